//! No member halts, and none says what the protocol forbids: where all follow it
//! and disks keep what they were given, that is a bug (design §4.1).

use {
	super::{Check, broken},
	crate::groups::note::Note,
	mosaik_proto::groups::types::MemberId,
};

/// Something happened at a member.
///
/// # Errors
/// When it halted or refused what another member said.
pub fn check(member: MemberId, note: &Note) -> Check {
	let what = match note {
		Note::Poisoned(poison) => format!("{member} halted: {poison}"),
		Note::Refused { from, error } => format!("{member} refused what {from} said: {error}"),
		Note::NoSnapshot(index) => {
			format!("{member} has no snapshot at {index}, its log begins there")
		}
		Note::Stolen { number, value } => {
			format!("{member} found another command as its {number}, which was to be {value}")
		}
		_ => return Ok(()),
	};
	broken("not poisoned", what)
}

#[cfg(test)]
mod tests {
	use {super::*, crate::groups::invariants::testing::id};

	#[test]
	fn a_member_that_halts_is_found_out() {
		assert!(check(id(1), &Note::Ended).is_ok());
		assert!(check(id(1), &Note::NoSnapshot(3)).is_err());
	}
}
