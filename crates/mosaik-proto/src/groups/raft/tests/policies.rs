//! How eagerly a member stands for election, and who never does.

use {
	super::*,
	crate::groups::engine::{ElectionPolicy, RoleKind},
};

fn role(raft: &Raft) -> RoleKind {
	raft.status().role
}

#[test]
fn a_member_whose_policy_is_never_does_not_stand_but_votes() {
	let mut raft = alone(1, 3, &[]);
	raft.set_election_policy(ElectionPolicy::Never);
	assert_eq!(time_out(&mut raft), []);
	assert_eq!(
		(role(&raft), raft.next_wakeup()),
		(RoleKind::Follower, None)
	);
	assert_eq!(
		votes(&tell(&mut raft, 2, vote(1, at(0, 3)))),
		[(2, 1, true)]
	);
	raft.set_election_policy(ElectionPolicy::Normal);
	assert!(raft.next_wakeup().is_some());
}

#[test]
fn a_reluctant_member_waits_so_many_times_as_long_and_leads_if_nobody_else_does() {
	let mut cluster = Cluster::of(3);
	let reluctant = cluster.node(1);
	reluctant
		.raft
		.set_election_policy(ElectionPolicy::Reluctant(3));
	assert_eq!(reluctant.raft.next_wakeup(), Some(3_000));
	cluster.isolate(3);
	cluster
		.node(2)
		.raft
		.set_election_policy(ElectionPolicy::Never);
	cluster.run(2_999);
	assert_eq!(cluster.leader(), None);
	cluster.run(1);
	assert_eq!(cluster.leader(), Some(1));
}
