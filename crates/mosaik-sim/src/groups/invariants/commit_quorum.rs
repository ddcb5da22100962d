//! A leader commits an entry of its own term when a majority of the voters of its
//! configuration have it on disk (Raft §5.3 and §5.4.2; dissertation §4.1).

use {
	super::{Check, Holds, broken},
	mosaik_proto::groups::{
		engine::Status,
		types::{LogPos, MemberId},
	},
};

/// A leader committed everything up to `pos`.
///
/// # Errors
/// When it must not.
pub fn check(member: MemberId, status: &Status, pos: LogPos, holds: Holds<'_>) -> Check {
	if pos.term != status.term {
		let what = format!("{member} committed {pos:?} in term {}", status.term);
		return broken("commit quorum", what);
	}
	let voters = &status.config.voters;
	// Of who has lost its storage nobody can say what it had.
	let having = voters
		.iter()
		.filter(|voter| holds(**voter, pos).unwrap_or(true));
	let having = having.count();
	if having * 2 > voters.len() {
		return Ok(());
	}
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
		assert!(check(id(1), &status, at(9, 4), &only(&[1, 3])).is_ok());
		assert!(check(id(1), &status, at(9, 4), &only(&[1, 7])).is_err());
		assert!(check(id(1), &status, at(9, 3), &only(&[1, 3])).is_err());
		assert!(check(id(1), &status, at(9, 4), &|_, _| None).is_ok());
	}
}
