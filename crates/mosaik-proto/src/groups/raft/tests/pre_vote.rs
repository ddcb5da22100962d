//! Pre-vote: §9.6. A candidate first asks whether it could win.

use {super::*, crate::groups::engine::RoleKind};

fn pre(term: Term, granted: bool) -> Msg {
	Msg::PreVoteReply(VoteReply { term, granted })
}

/// §9.6: "a candidate only increments its term if it first learns from a majority of
/// the cluster that they would be willing to grant the candidate their votes".
#[test]
fn the_term_is_incremented_only_when_a_majority_would_vote() {
	let mut raft = alone(1, 5, &[2]);
	let sent = time_out(&mut raft);
	let asked: Vec<_> = (2..=5).map(|id| (m(id), pre_vote(3, at(2, 6)))).collect();
	assert_eq!(sent, asked);
	assert_eq!((raft.term, raft.vote), (2, None));
	assert_eq!(tell(&mut raft, 2, pre(3, true)), []);
	assert_eq!(raft.term, 2);
	assert_eq!(tell(&mut raft, 3, pre(3, true)).len(), 4);
	assert_eq!((raft.term, raft.vote), (3, Some(m(1))));
}

/// A pre-vote promises nothing: it is given to everybody who could win, changes
/// nothing and is not written.
#[test]
fn a_pre_vote_is_no_vote() {
	let mut raft = alone(1, 3, &[1]);
	let before = raft.clone();
	for from in [2, 3] {
		raft.step(m(from), pre_vote(2, at(1, 4))).unwrap();
		let ready = drain(&mut raft);
		assert_eq!(ready.persist, None);
		assert_eq!(votes(&ready.send), [(from, 2, true)]);
	}
	assert_eq!((raft.term, raft.vote), (before.term, before.vote));
	assert_eq!(
		raft.election_at, before.election_at,
		"its own turn comes as before"
	);
}

/// §9.6: granted where the log is up to date and no leader was heard from.
#[test]
fn a_pre_vote_is_refused_to_whom_a_vote_would_be() {
	let mut raft = alone(1, 3, &[1, 2]);
	assert_eq!(
		votes(&tell(&mut raft, 2, pre_vote(3, at(1, 9)))),
		[(2, 2, false)]
	);
	assert_eq!(
		votes(&tell(&mut raft, 2, pre_vote(3, at(2, 4)))),
		[(2, 2, false)]
	);
	assert_eq!(
		votes(&tell(&mut raft, 2, pre_vote(2, at(2, 5)))),
		[(2, 2, false)]
	);
	assert_eq!(
		votes(&tell(&mut raft, 2, pre_vote(3, at(2, 5)))),
		[(2, 3, true)]
	);
	tell(&mut raft, 3, append(2, at(2, 5), &[], 3));
	assert_eq!(
		votes(&tell(&mut raft, 2, pre_vote(3, at(2, 5)))),
		[(2, 2, false)]
	);
}

/// §9.6: "Pre-Vote solves the issue of a partitioned server disrupting the cluster
/// when it rejoins. While a server is partitioned, it won't be able to increment
/// its term".
#[test]
fn a_member_that_was_cut_off_returns_without_a_new_term() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.isolate(3);
	cluster.run(30_000);
	assert_eq!(cluster.raft(3).term, 1);
	assert_eq!(cluster.raft(3).status().role, RoleKind::PreCandidate);
	cluster.propose(1);
	cluster.heal();
	cluster.run(3_000);
	assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), 1));
	cluster.assert_equal();
}

/// A majority of refusals ends it; the next timeout begins it again.
#[test]
fn a_pre_vote_that_is_lost_is_tried_again() {
	let mut raft = alone(1, 3, &[]);
	time_out(&mut raft);
	tell(&mut raft, 2, pre(0, false));
	assert_eq!(raft.status().role, RoleKind::PreCandidate);
	tell(&mut raft, 3, pre(0, false));
	assert_eq!(raft.status().role, RoleKind::Follower);
	assert_eq!(time_out(&mut raft).len(), 2);
}

/// A refusal in a later term says what the term is: the next pre-vote is for the
/// one after it.
#[test]
fn a_refusal_brings_a_member_up_to_the_term() {
	let mut raft = alone(1, 3, &[1]);
	time_out(&mut raft);
	tell(&mut raft, 2, pre(7, false));
	assert_eq!((raft.term, raft.status().role), (7, RoleKind::Follower));
	let sent = time_out(&mut raft);
	assert_eq!(sent[0].1, pre_vote(8, at(1, 4)));
}

#[test]
fn answers_to_an_earlier_pre_vote_do_not_count() {
	let mut raft = alone(1, 3, &[4]);
	time_out(&mut raft);
	tell(&mut raft, 2, pre(4, true));
	assert_eq!(raft.status().role, RoleKind::PreCandidate);
	tell(&mut raft, 2, pre(5, true));
	assert_eq!(raft.status().role, RoleKind::Candidate);
}

/// §4.2.3, §9.6: where A and B do not hear each other but both hear C, B's attempts
/// leave the leader alone.
#[test]
fn who_does_not_hear_a_leader_that_others_hear_does_not_depose_it() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.partition(&[1], &[2]);
	cluster.run(30_000);
	assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), 1));
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.raft(1).commit, pos.index);
}

/// A leader that is asked for a pre-vote is not heard by who asks.
#[test]
fn a_leader_answers_a_pre_vote_with_a_heartbeat() {
	let mut raft = alone(1, 3, &[]);
	make_leader(&mut raft);
	tell(&mut raft, 2, matched(1, 4));
	let sent = tell(&mut raft, 2, pre_vote(2, at(1, 4)));
	assert!(
		sent.iter()
			.any(|(to, msg)| *to == m(2) && matches!(msg, Msg::Beat(_)))
	);
	assert_eq!(votes(&sent), [(2, 1, false)]);
}

/// A member whose term ran ahead, by an election that nobody finished, is not stuck:
/// the leader hears of the term and a new one is elected in a later one.
#[test]
fn a_member_with_a_later_term_is_brought_back() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.crash(3);
	cluster.node(3).disk.hard_state.term = 9;
	cluster.restart(3);
	cluster.run(5_000);
	let leader = cluster.leader().unwrap();
	assert!(cluster.raft(leader).term > 9);
	cluster.propose(leader);
	cluster.settle();
	cluster.assert_equal();
}

/// The leader dies: the others find out by their timeouts and elect one of them.
#[test]
fn a_dead_leader_is_replaced() {
	for n in [3, 5, 7] {
		let mut settings = settings();
		settings.election_jitter = 500;
		let mut cluster = Cluster::with(n, settings);
		cluster.run(5_000);
		let old = cluster.leader().unwrap();
		cluster.crash(old);
		cluster.run(5_000);
		let new = cluster.leader().unwrap();
		assert_ne!(new, old);
		cluster.propose(new);
		cluster.settle();
		cluster.assert_equal();
	}
}
