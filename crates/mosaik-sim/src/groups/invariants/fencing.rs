//! What belongs to another formation, or to who a node was before, never reaches
//! the core (design §2.1, §2.9).

use {
	super::{Check, broken},
	crate::groups::note::Note,
	mosaik_proto::groups::types::{FormationId, MemberId},
};

/// Something happened at a member.
///
/// # Errors
/// When its core was handed what was not for it.
pub fn check(formation: FormationId, member: MemberId, note: &Note) -> Check {
	match note {
		Note::Stepped { formation: of, to } if *of != formation || *to != member => {
			let what = format!("{member} of {formation} took a frame for {to} of {of}");
			broken("fencing", what)
		}
		_ => Ok(()),
	}
}

#[cfg(test)]
mod tests {
	use {super::*, crate::groups::invariants::testing::id};

	#[test]
	fn frames_of_others_are_not_taken() {
		let here = FormationId::from(1);
		let stepped = |formation: u128, to| Note::Stepped {
			formation: FormationId::from(formation),
			to: id(to),
		};
		assert!(check(here, id(1), &stepped(1, 1)).is_ok());
		assert!(check(here, id(1), &stepped(1, 2)).is_err());
		assert!(check(here, id(1), &stepped(2, 1)).is_err());
	}
}
