//! A leader commits an entry of its own term when a majority of the voters of its
//! configuration have it on disk (Raft §5.3 and §5.4.2; dissertation §4.1).

use {
	super::{Check, Holds, broken},
	mosaik_proto::groups::{
		Config,
		engine::Status,
		types::{LogPos, MemberId},
	},
};

/// A leader committed everything up to `pos`, by its configuration or by the one
/// that it had before this event.
///
/// # Errors
/// When it must not.
pub fn check(
	member: MemberId,
	status: &Status,
	old: Option<&Config>,
	pos: LogPos,
	holds: Holds<'_>,
) -> Check {
	if pos.term != status.term {
		let what = format!("{member} committed {pos:?} in term {}", status.term);
		return broken("commit quorum", what);
	}
	// Of who has lost its storage nobody can say what it had.
	let has = |voter: &&MemberId| holds(**voter, pos).unwrap_or(true);
	let is_quorum =
		|config: &Config| config.voters.iter().filter(has).count() * 2 > config.voters.len();
	if is_quorum(&status.config) || old.is_some_and(is_quorum) {
		return Ok(());
	}
	let voters = &status.config.voters;
	let having = voters.iter().filter(has).count();
	let what = format!("{member} committed {pos:?}, which {having} of {voters:?} have on disk");
	broken("commit quorum", what)
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{at, id, status},
	};

	#[test]
	fn a_majority_has_what_is_committed() {
		let status = status(4, 9);
		let only = |members: &'static [u64]| {
			move |member: MemberId, _: LogPos| Some(members.contains(&member.get()))
		};
		assert!(check(id(1), &status, None, at(9, 4), &only(&[1, 3])).is_ok());
		assert!(check(id(1), &status, None, at(9, 4), &only(&[1, 7])).is_err());
		assert!(check(id(1), &status, None, at(9, 3), &only(&[1, 3])).is_err());
		assert!(check(id(1), &status, None, at(9, 4), &|_, _| None).is_ok());
	}
}
