//! Handing over leadership: §3.10.

use {
	super::*,
	crate::groups::{
		config::ConfigChange,
		engine::{ConfigError, ReadToken, Rejected, RoleKind},
	},
};

fn elected(n: u64) -> Cluster {
	let mut cluster = Cluster::of(n);
	cluster.elect(1);
	cluster
}

fn transfer(cluster: &mut Cluster, to: u64) -> Result<(), Rejected> {
	let result = cluster.node(1).raft.transfer_leader(m(to));
	cluster.pump(1);
	result
}

/// §3.10: the leader "sends a TimeoutNow request to the target server", which
/// "starts a new election" without waiting, and wins.
#[test]
fn leadership_is_handed_over_without_waiting_for_a_timeout() {
	for n in [2, 3, 5] {
		let mut cluster = elected(n);
		transfer(&mut cluster, 2).unwrap();
		cluster.settle();
		assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(2), 2));
		assert_eq!(cluster.raft(1).status().role, RoleKind::Follower);
		cluster.propose(2);
		cluster.settle();
		cluster.assert_equal();
	}
}

/// §3.10, step 1: "The prior leader stops accepting new client requests."
#[test]
fn nothing_is_accepted_while_leadership_is_handed_over() {
	let mut cluster = elected(3);
	cluster.isolate(2);
	transfer(&mut cluster, 2).unwrap();
	let to = m(2);
	let refused = cluster.try_propose(1).unwrap_err();
	assert_eq!(refused.reason, Rejected::Transferring { to });
	assert_eq!(refused.given.len(), 1);
	let change = ConfigChange::Remove(m(3));
	let refused = cluster.node(1).raft.propose_config(change);
	assert_eq!(
		refused,
		Err(ConfigError::Rejected(Rejected::Transferring { to }))
	);
	assert_eq!(
		transfer(&mut cluster, 3),
		Err(Rejected::Transferring { to })
	);
	// Reads change nothing and go on.
	cluster.node(1).raft.read_index(ReadToken(1)).unwrap();
	assert_eq!(cluster.raft(1).status().transferring, Some(to));
}

/// §3.10, step 2: "The prior leader fully updates the target server's log to match
/// its own."
#[test]
fn the_target_has_the_whole_log_before_it_stands() {
	let mut cluster = elected(3);
	cluster.isolate(2);
	for _ in 0..20 {
		cluster.propose(1);
	}
	cluster.settle();
	transfer(&mut cluster, 2).unwrap();
	cluster.settle();
	assert_eq!(cluster.leader(), Some(1));
	cluster.heal();
	cluster.run(600);
	assert_eq!(cluster.leader(), Some(2));
	cluster.assert_equal();
	assert_eq!(cluster.node(2).commands.len(), 20);
}

/// §3.10: "If leadership transfer does not complete after about an election
/// timeout, the prior leader aborts the transfer and resumes accepting client
/// requests."
#[test]
fn a_transfer_that_does_not_succeed_is_given_up_after_an_election_timeout() {
	let mut cluster = elected(3);
	cluster.crash(2);
	transfer(&mut cluster, 2).unwrap();
	cluster.run(settings().election_timeout - 1);
	assert_eq!(cluster.raft(1).status().transferring, Some(m(2)));
	cluster.run(1);
	assert_eq!(cluster.raft(1).status().transferring, None);
	assert_eq!(cluster.leader(), Some(1));
	cluster.propose(1);
}

#[test]
fn leadership_is_handed_only_to_voters() {
	let mut cluster = elected(3);
	let learner = cluster.add_learner(1, 4);
	for to in [learner, 1, 99] {
		assert_eq!(transfer(&mut cluster, to), Err(Rejected::NotPermitted));
	}
	let leader = Some(m(1));
	let refused = cluster.node(2).raft.transfer_leader(m(3));
	assert_eq!(refused, Err(Rejected::NotLeader { leader }));
}

/// §4.2.3: the request says that the leader asked for it, so that those who hear
/// the leader vote nevertheless.
#[test]
fn an_election_that_the_leader_asked_for_is_not_refused_for_hearing_it() {
	let mut raft = alone(1, 3, &[]);
	tell(&mut raft, 2, append(1, at(0, 3), &[1], 3));
	let mut request = VoteRequest {
		term: 2,
		last: at(1, 4),
		transfer: true,
	};
	let sent = tell(&mut raft, 3, Msg::Vote(request.clone()));
	assert_eq!(votes(&sent), [(3, 2, true)]);
	// Its log is judged like any other's.
	request.term = 3;
	request.last = at(0, 3);
	assert_eq!(
		votes(&tell(&mut raft, 3, Msg::Vote(request))),
		[(3, 3, false)]
	);
}

#[test]
fn who_is_told_to_stand_and_is_no_voter_or_in_a_later_term_does_not() {
	let mut learner = Raft::new(m(9), settings(), disk(3, &[]), 0).unwrap();
	assert_eq!(tell(&mut learner, 1, Msg::TimeoutNow { term: 1 }), []);
	assert_eq!(learner.status().role, RoleKind::Follower);
	let mut later = alone(1, 3, &[5]);
	assert_eq!(tell(&mut later, 2, Msg::TimeoutNow { term: 4 }), []);
	assert_eq!((later.term, later.status().role), (5, RoleKind::Follower));
	let mut leads = alone(1, 3, &[]);
	make_leader(&mut leads);
	assert_eq!(tell(&mut leads, 2, Msg::TimeoutNow { term: 1 }), []);
	assert_eq!(leads.status().role, RoleKind::Leader);
}

/// A transfer wakes a group that sleeps.
#[test]
fn a_lost_request_to_stand_leaves_the_leader_in_place() {
	let mut cluster = elected(3);
	cluster.lose(|_, _, msg| matches!(msg, Msg::TimeoutNow { .. }));
	transfer(&mut cluster, 2).unwrap();
	cluster.run(3_000);
	assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), 1));
	cluster.propose(1);
	cluster.settle();
	cluster.assert_equal();
}
