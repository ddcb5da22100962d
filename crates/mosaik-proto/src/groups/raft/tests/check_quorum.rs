//! A leader that a majority does not answer steps down (§6.2), unless it can get
//! rid of who does not answer.

use {
	super::*,
	crate::groups::{config::ConfigChange, engine::RoleKind},
};

/// Whether the leader of `n` still leads long after these died.
fn leads(n: u64, dead: &[u64]) -> bool {
	let mut cluster = Cluster::of(n);
	cluster.elect(1);
	for &id in dead {
		cluster.crash(id);
	}
	cluster.run(2_500);
	cluster.raft(1).status().role == RoleKind::Leader
}

/// §6.2: "a leader steps down if an election timeout elapses without a successful
/// round of heartbeats to a majority of its cluster".
#[test]
fn a_leader_that_no_majority_answers_steps_down() {
	assert!(leads(3, &[3]));
	assert!(!leads(3, &[2, 3]));
	assert!(leads(5, &[4, 5]));
	assert!(!leads(5, &[3, 4, 5]));
	assert!(leads(7, &[5, 6, 7]));
	assert!(!leads(7, &[4, 5, 6, 7]));
}

/// A majority of what is left after one removal answers: the leader can commit that
/// removal, so it stays to do it.
#[test]
fn a_leader_that_could_shed_a_dead_voter_stays() {
	assert!(leads(2, &[2]));
	assert!(leads(4, &[3, 4]));
	assert!(leads(6, &[4, 5, 6]));
	assert!(!leads(4, &[2, 3, 4]));
	assert!(!leads(6, &[3, 4, 5, 6]));
}

#[test]
fn a_leader_that_may_not_shed_voters_steps_down() {
	let mut settings = settings();
	settings.min_voters = 2;
	let mut cluster = Cluster::with(2, settings);
	cluster.elect(1);
	cluster.crash(2);
	cluster.run(2_500);
	assert_eq!(cluster.raft(1).status().role, RoleKind::Follower);
	assert_eq!(cluster.raft(1).leader, None);
}

#[test]
fn learners_do_not_keep_a_leader_in_place() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.add_learner(1, 4);
	cluster.add_learner(1, 5);
	cluster.crash(2);
	cluster.crash(3);
	cluster.run(2_500);
	assert_eq!(cluster.leader(), None);
}

#[test]
fn a_leader_that_stepped_down_leads_again_when_a_majority_is_back() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.crash(2);
	cluster.crash(3);
	cluster.run(2_500);
	assert_eq!(cluster.leader(), None);
	cluster.restart(2);
	cluster.run(5_000);
	let leader = cluster.leader().expect("two of three are back");
	cluster.propose(leader);
	cluster.settle();
	cluster.assert_equal();
}

/// A leader that is heard by a majority at every timeout stays for ever, though
/// each of them is away now and then.
#[test]
fn a_leader_stays_while_different_members_answer() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	for round in 0..20 {
		let away = 2 + round % 2;
		cluster.heal();
		cluster.isolate(away);
		cluster.run(700);
		assert_eq!(cluster.leader(), Some(1));
	}
	cluster.heal();
	cluster.run(3_000);
	assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), 1));
}

/// Four voters of which two died: shed one by one, without an election.
#[test]
fn two_of_four_are_shed_without_an_election() {
	let mut cluster = Cluster::of(4);
	cluster.elect(1);
	cluster.crash(3);
	cluster.crash(4);
	cluster.run(12_000);
	cluster.change(1, ConfigChange::Remove(m(3)));
	cluster.run(2_000);
	cluster.change(1, ConfigChange::Remove(m(4)));
	cluster.run(2_000);
	assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), 1));
	cluster.assert_equal();
}
