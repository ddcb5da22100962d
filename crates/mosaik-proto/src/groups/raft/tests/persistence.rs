//! What must be on disk before what may leave: §3.8, figure 3.1 ("Updated on
//! stable storage before responding to RPCs").

use {
	super::*,
	crate::groups::engine::{PersistToken, RecoverError, RoleKind},
};

/// What there is to send while nothing is written; and what to write.
fn take(raft: &mut Raft) -> (Vec<(MemberId, Msg)>, Option<PersistToken>) {
	let mut sent = Vec::new();
	let mut token = None;
	while let Some(ready) = raft.ready() {
		sent.extend(ready.send);
		token = ready.persist.map(|persist| persist.token).or(token);
	}
	(sent, token)
}

#[test]
fn a_vote_leaves_when_it_is_written() {
	let mut raft = alone(1, 3, &[]);
	raft.step(m(2), vote(1, at(0, 3))).unwrap();
	let ready = raft.ready().unwrap();
	let persist = ready.persist.unwrap();
	let (term, vote) = (1, Some(m(2)));
	assert_eq!(persist.hard_state, Some(HardState { term, vote }));
	assert_eq!(ready.send, []);
	assert_eq!(take(&mut raft).0, []);
	raft.on_persisted(persist.token);
	assert_eq!(votes(&take(&mut raft).0), [(2, 1, true)]);
}

/// A refusal is about a term that must not be forgotten either.
#[test]
fn a_refusal_of_a_new_term_leaves_when_the_term_is_written() {
	let mut raft = alone(1, 3, &[1]);
	raft.step(m(2), vote(5, at(0, 3))).unwrap();
	let (sent, token) = take(&mut raft);
	assert_eq!(sent, []);
	raft.on_persisted(token.unwrap());
	assert_eq!(votes(&take(&mut raft).0), [(2, 5, false)]);
}

#[test]
fn a_candidate_asks_when_its_own_vote_is_written_and_counts_it_then() {
	let mut raft = alone(1, 3, &[]);
	time_out(&mut raft);
	let granted = true;
	raft.step(m(2), Msg::PreVoteReply(VoteReply { term: 1, granted }))
		.unwrap();
	let (sent, token) = take(&mut raft);
	assert_eq!(sent, []);
	// A vote of another before the own one is on disk is one of two.
	raft.step(m(2), Msg::VoteReply(VoteReply { term: 1, granted }))
		.unwrap();
	assert_eq!(raft.status().role, RoleKind::Candidate);
	raft.on_persisted(token.unwrap());
	assert_eq!(raft.status().role, RoleKind::Leader);
}

/// Links repeat messages, and disks stall: what waits for a write must not grow
/// with every repetition.
#[test]
fn a_request_that_is_repeated_while_a_write_is_under_way_is_answered_once() {
	let mut raft = alone(1, 3, &[]);
	raft.step(m(2), vote(1, at(0, 3))).unwrap();
	let (_, token) = take(&mut raft);
	for _ in 0..3 {
		raft.step(m(2), vote(1, at(0, 3))).unwrap();
	}
	raft.on_persisted(token.unwrap());
	assert_eq!(votes(&take(&mut raft).0), [(2, 1, true)]);
}

#[test]
fn an_acknowledgment_leaves_when_the_entries_are_written() {
	let mut raft = alone(1, 3, &[1]);
	raft.step(m(2), append(1, at(1, 4), &[1, 1], 4)).unwrap();
	let (sent, token) = take(&mut raft);
	assert_eq!(sent, []);
	raft.on_persisted(token.unwrap());
	assert_eq!(outcomes(&take(&mut raft).0), [AppendOutcome::Matched(6)]);
}

/// §10.2.1: the leader "can write to its disk in parallel with replicating".
#[test]
fn a_leaders_entries_leave_before_they_are_written() {
	let mut raft = alone(1, 3, &[]);
	make_leader(&mut raft);
	tell(&mut raft, 2, matched(1, 4));
	raft.propose(vec![command(1, 1)]).unwrap();
	let ready = raft.ready().unwrap();
	assert!(ready.persist.is_some());
	assert!(
		ready
			.send
			.iter()
			.any(|(_, msg)| matches!(msg, Msg::Append(_)))
	);
}

/// Several writes may be under way; each releases what waits for it.
#[test]
fn each_write_releases_what_waits_for_it() {
	let mut raft = alone(1, 3, &[1]);
	let mut tokens = Vec::new();
	for index in 4..8 {
		raft.step(m(2), append(1, at(1, index), &[1], 3)).unwrap();
		tokens.extend(take(&mut raft).1);
	}
	assert!(tokens.is_sorted() && tokens.len() == 4);
	raft.on_persisted(tokens[0]);
	assert_eq!(outcomes(&take(&mut raft).0), [AppendOutcome::Matched(5)]);
	raft.on_persisted(tokens[2]);
	let matched = [AppendOutcome::Matched(6), AppendOutcome::Matched(7)];
	assert_eq!(outcomes(&take(&mut raft).0), matched);
	raft.on_persisted(tokens[1]);
	assert_eq!(take(&mut raft).0, []);
	raft.on_persisted(tokens[3]);
	assert_eq!(outcomes(&take(&mut raft).0), [AppendOutcome::Matched(8)]);
}

/// Acknowledgments of one write are one; the furthest, whatever came last.
#[test]
fn acknowledgments_in_one_write_become_the_furthest() {
	let mut raft = alone(1, 3, &[1]);
	raft.step(m(2), append(1, at(1, 4), &[1, 1, 1], 4)).unwrap();
	raft.step(m(2), append(1, at(1, 4), &[1], 4)).unwrap();
	let sent = drain(&mut raft).send;
	assert_eq!(outcomes(&sent), [AppendOutcome::Matched(7)]);
}

/// What was replaced before its write was done is not on disk by that write.
#[test]
fn a_write_of_entries_that_were_replaced_does_not_count_for_the_new_ones() {
	let mut raft = alone(1, 3, &[1]);
	raft.step(m(2), append(1, at(1, 4), &[1, 1, 1], 4)).unwrap();
	let (_, first) = take(&mut raft);
	raft.step(m(3), append(2, at(1, 4), &[2, 2, 2], 7)).unwrap();
	let (_, second) = take(&mut raft);
	raft.on_persisted(first.unwrap());
	assert_eq!(raft.log.persisted(), 4);
	let ready = raft.ready().unwrap();
	assert_eq!((raft.handed, ready.apply), (4, None));
	// The old leader may count what is on this disk in its term; the new one not yet.
	assert!(ready.send.iter().all(|(to, _)| *to == m(2)));
	raft.on_persisted(second.unwrap());
	let ready = raft.ready().unwrap();
	assert_eq!(ready.apply, Some(5..=7));
	assert_eq!(outcomes(&ready.send), [AppendOutcome::Matched(7)]);
}

/// Who is told is that the log is written; what a state machine applies is too.
#[test]
fn nothing_is_applied_that_is_not_written() {
	let mut raft = alone(1, 3, &[]);
	raft.step(m(2), append(1, at(0, 3), &[1, 1], 5)).unwrap();
	let ready = raft.ready().unwrap();
	assert_eq!((raft.commit, ready.apply), (5, None));
	raft.on_persisted(ready.persist.unwrap().token);
	assert_eq!(raft.ready().unwrap().apply, Some(4..=5));
}

#[test]
fn a_restart_keeps_the_term_and_the_vote() {
	let mut cluster = Cluster::of(3);
	cluster.node(1).raft.step(m(2), vote(4, at(0, 3))).unwrap();
	cluster.pump(1);
	cluster.crash(1);
	cluster.restart(1);
	let raft = &mut cluster.node(1).raft;
	assert_eq!((raft.term, raft.vote), (4, Some(m(2))));
	assert_eq!(votes(&tell(raft, 3, vote(4, at(9, 9)))), [(3, 4, false)]);
	assert_eq!(votes(&tell(raft, 2, vote(4, at(0, 3)))), [(2, 4, true)]);
}

#[test]
fn a_crash_of_all_loses_nothing_that_was_committed() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	for _ in 0..10 {
		cluster.propose(1);
	}
	cluster.settle();
	let commit = cluster.raft(1).commit;
	for id in 1..=3 {
		cluster.crash(id);
	}
	for id in 1..=3 {
		cluster.restart(id);
	}
	assert_eq!(
		cluster.raft(2).commit,
		3,
		"what is committed is found out again"
	);
	cluster.run(5_000);
	assert!(cluster.raft(2).commit > commit);
	assert_eq!(cluster.node(3).commands.len(), 10);
	cluster.assert_equal();
}

/// What was neither written nor acknowledged may be gone; nothing else is.
#[test]
fn a_leader_that_crashes_before_its_write_loses_only_what_nobody_has() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.node(1).by_hand = true;
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.raft(1).commit, pos.index, "the others have it");
	cluster.crash(1);
	cluster.restart(1);
	assert_eq!(cluster.raft(1).log.last().index, pos.index - 1);
	cluster.run(5_000);
	cluster.assert_equal();
	assert_eq!(cluster.node(1).commands.len(), 1);
}

#[test]
fn a_log_that_is_none_is_not_started_from() {
	let new = |disk: Recovered| Raft::new(m(1), settings(), disk, 0).map(|_| ());
	let mut gap = disk(3, &[1, 1]);
	gap.entries.remove(0);
	assert_eq!(new(gap), Err(RecoverError::BrokenLog(5)));
	let mut backwards = disk(3, &[2, 1]);
	backwards.hard_state.term = 2;
	assert_eq!(new(backwards), Err(RecoverError::BrokenLog(5)));
	let mut forgotten = disk(3, &[1, 2]);
	forgotten.hard_state.term = 1;
	assert_eq!(new(forgotten), Err(RecoverError::MissingTerm(2)));
	let mut forgotten = disk(3, &[]);
	forgotten.base.pos.term = 5;
	assert_eq!(new(forgotten), Err(RecoverError::MissingTerm(5)));
	let mut end = disk(3, &[]);
	end.base.pos.index = u64::MAX;
	end.entries = vec![noop(1, 1)];
	assert!(new(end).is_err());
}

/// Heartbeats are answered when the term is written: it says who leads in it.
#[test]
fn an_answer_to_a_heartbeat_waits_for_the_term_and_for_nothing_else() {
	let mut raft = alone(1, 3, &[1]);
	let beat = |term| {
		Msg::Beat(crate::groups::message::Beat {
			term,
			commit: 0,
			round: 1,
			quiesce: None,
		})
	};
	raft.step(m(2), beat(2)).unwrap();
	let (sent, term) = take(&mut raft);
	assert_eq!(sent, []);
	raft.on_persisted(term.unwrap());
	assert_eq!(take(&mut raft).0.len(), 1);
	raft.step(m(2), append(2, at(1, 4), &[2], 0)).unwrap();
	take(&mut raft);
	raft.step(m(2), beat(2)).unwrap();
	let (sent, _) = take(&mut raft);
	assert!(matches!(sent[..], [(_, Msg::BeatReply(_))]));
}
