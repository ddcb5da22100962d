//! What holds of every member at any time, and of all together.

use {
	super::cluster::Cluster,
	crate::groups::{
		engine::{Engine, RoleKind},
		raft::{Raft, Role},
	},
};

impl Cluster {
	/// What holds of every member at any time, and of all together.
	pub(super) fn check(&mut self, id: u64) {
		let node = &self.nodes[&id];
		check_member(&node.raft);
		let status = node.raft.status();
		if status.role == RoleKind::Leader {
			let leader = *self.leaders.entry(status.term).or_insert(id);
			assert_eq!(leader, id, "one leader per term (§3.4)");
		}
		for (&other, node) in self.nodes.iter().filter(|(other, _)| **other != id) {
			check_matching(&self.nodes[&id].raft, &node.raft, id, other);
		}
	}

	/// All that are up have the same log, committed and applied to the end.
	pub(super) fn assert_equal(&self) {
		let up = self.up();
		let first = &self.nodes[&up[0]];
		for node in up.iter().map(|id| &self.nodes[id]) {
			let status = node.raft.status();
			assert_eq!(status.last, first.raft.log.last());
			assert_eq!(status.commit, status.last.index);
			assert_eq!(status.applied, status.last.index);
			assert_eq!(node.commands, first.commands);
			assert_eq!(node.raft.log_state(), first.raft.log_state());
		}
	}
}

/// Each member on its own.
pub(super) fn check_member(raft: &Raft) {
	let last = raft.log.last();
	let order = [
		raft.log.base().pos.index,
		raft.applied,
		raft.handed,
		raft.commit,
		last.index,
	];
	assert!(
		order.is_sorted(),
		"base, applied, handed, commit, last: {order:?}"
	);
	assert!(raft.handed <= raft.log.persisted() && raft.log.persisted() <= last.index);
	assert!(last.term <= raft.term, "no entry is of a later term");
	if let Role::Leader(leader) = &raft.role {
		assert_eq!(raft.leader, Some(raft.id));
		assert!(!leader.progress.contains_key(&raft.id));
		let members = raft.log.state().config.members.keys();
		assert!(
			members
				.filter(|id| **id != raft.id)
				.eq(leader.progress.keys())
		);
		for progress in leader.progress.values() {
			assert!(progress.matched <= last.index && progress.matched < progress.next);
		}
	}
}

/// If two logs have an entry with the same index and term, they are equal up to
/// there (§3.5).
fn check_matching(a: &Raft, b: &Raft, a_id: u64, b_id: u64) {
	let first = a.log.base().pos.index.max(b.log.base().pos.index) + 1;
	let last = a.log.last().index.min(b.log.last().index);
	let agreed = (first..=last)
		.rev()
		.find(|&index| a.log.term_at(index) == b.log.term_at(index));
	if let Some(agreed) = agreed {
		let range = first..=agreed;
		assert!(
			a.entries(range.clone()).eq(b.entries(range)),
			"logs of {a_id} and {b_id} match up to {agreed} (§3.5)"
		);
	}
}
