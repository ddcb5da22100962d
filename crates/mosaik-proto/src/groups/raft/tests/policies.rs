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
	// It asks who leads; nobody counts the answers.
	let asked = time_out(&mut raft);
	assert!(asked.iter().all(|(_, msg)| matches!(msg, Msg::PreVote(_))));
	let granted = true;
	tell(
		&mut raft,
		2,
		Msg::PreVoteReply(VoteReply { term: 1, granted }),
	);
	assert_eq!((role(&raft), raft.term), (RoleKind::Follower, 0));
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

/// A voter's preference never decides its vote: that would be a danger to liveness.
#[test]
fn reluctance_is_no_reason_to_refuse_a_vote_or_a_hand_over() {
	let mut raft = alone(1, 3, &[]);
	raft.set_election_policy(ElectionPolicy::Reluctant(10));
	assert_eq!(
		votes(&tell(&mut raft, 2, pre_vote(1, at(0, 3)))),
		[(2, 1, true)]
	);
	assert_eq!(
		votes(&tell(&mut raft, 2, vote(1, at(0, 3)))),
		[(2, 1, true)]
	);
	tell(&mut raft, 2, append(1, at(0, 3), &[1], 3));
	tell(&mut raft, 2, Msg::TimeoutNow { term: 1 });
	assert_eq!((role(&raft), raft.term), (RoleKind::Candidate, 2));
}

/// Two voters whose policy is never do not elect anybody, and a third one gets both.
#[test]
fn a_group_of_members_that_never_stand_has_no_leader() {
	let mut cluster = Cluster::of(3);
	for id in 1..=3 {
		cluster
			.node(id)
			.raft
			.set_election_policy(ElectionPolicy::Never);
	}
	cluster.run(60_000);
	assert_eq!(cluster.leader(), None);
	cluster
		.node(3)
		.raft
		.set_election_policy(ElectionPolicy::Normal);
	cluster.run(5_000);
	assert_eq!(cluster.leader(), Some(3));
}
