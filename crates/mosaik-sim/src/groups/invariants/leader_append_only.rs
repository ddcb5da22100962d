//! A leader never overwrites nor deletes entries of its log, it only appends
//! (Raft §5.3, Leader Append-Only).

use {
	super::{Check, broken, formation::Before},
	mosaik_proto::groups::{
		engine::{RoleKind, Status},
		types::{LogIndex, MemberId},
	},
};

/// The log of a member changed from an index on.
///
/// # Errors
/// When it leads, as before, and had something there.
pub fn check(member: MemberId, before: &Before, status: &Status, from: LogIndex) -> Check {
	let leads = before.role == RoleKind::Leader
		&& status.role == RoleKind::Leader
		&& before.term == status.term;
	if leads && from <= before.last.index {
		let what = format!("{member} leads and replaces its log from {from}");
		return broken("leader append-only", what);
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{before, id, status},
	};

	#[test]
	fn a_leader_only_appends() {
		let mut now = status(1, 3);
		now.role = RoleKind::Leader;
		let then = before(&now);
		assert!(check(id(1), &then, &now, now.last.index + 1).is_ok());
		assert!(check(id(1), &then, &now, now.last.index).is_err());
		now.role = RoleKind::Follower;
		assert!(check(id(1), &then, &now, now.last.index).is_ok());
	}
}
