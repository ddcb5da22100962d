//! How much is under way: §10.2.2, and the limits that are the house's own.

use {
	super::*,
	crate::groups::engine::{Hint, Rejected},
};

/// A leader of two whose follower is known to match.
fn leader(change: impl FnOnce(&mut Settings)) -> Raft {
	let mut settings = settings();
	change(&mut settings);
	let mut raft = Raft::new(m(1), settings, disk(2, &[]), 0).unwrap();
	make_leader(&mut raft);
	tell(&mut raft, 2, matched(1, 3));
	raft
}

fn propose(raft: &mut Raft, number: u64) -> Vec<Append> {
	raft.propose(vec![command(1, number)]).unwrap();
	appends(drain(raft).send)
}

fn appends(sent: Vec<(MemberId, Msg)>) -> Vec<Append> {
	let appends = sent.into_iter().filter_map(|(_, msg)| match msg {
		Msg::Append(append) => Some(append),
		_ => None,
	});
	appends.collect()
}

fn beat(raft: &mut Raft) -> Vec<Append> {
	let at = raft.next_wakeup().unwrap();
	raft.tick(at);
	appends(drain(raft).send)
}

/// §10.2.2: with pipelining the leader "can update nextIndex for the follower
/// optimistically" and need not wait for each answer.
#[test]
fn appends_are_pipelined() {
	let mut raft = leader(|_| {});
	for number in 1..=10 {
		let sent = propose(&mut raft, number);
		assert_eq!(sent.len(), 1);
		assert_eq!(sent[0].prev.index, 2 + number);
	}
}

/// A window full of appends waits for answers, and each frees its place.
#[test]
fn so_many_appends_are_under_way_and_no_more() {
	let mut raft = leader(|settings| settings.max_inflight = 3);
	for number in 1..=3 {
		assert_eq!(propose(&mut raft, number).len(), 1);
	}
	for number in 4..=6 {
		assert_eq!(propose(&mut raft, number), []);
	}
	// What waited travels together.
	let sent = appends(tell(&mut raft, 2, matched(1, 4)));
	assert_eq!(sent.len(), 1);
	assert_eq!(sent[0].entries.len(), 3);
	// An answer frees all before it; an old one nothing.
	assert_eq!(appends(tell(&mut raft, 2, matched(1, 4))), []);
	tell(&mut raft, 2, matched(1, 9));
	for number in 7..=9 {
		assert_eq!(propose(&mut raft, number).len(), 1);
	}
	assert_eq!(propose(&mut raft, 10), []);
}

#[test]
fn so_many_bytes_are_under_way_and_no_more() {
	let size = noop(1, 1).size() + command(1, 1).size();
	let mut raft = leader(|settings| settings.max_inflight_bytes = 2 * size);
	assert_eq!(propose(&mut raft, 1).len(), 1);
	assert_eq!(propose(&mut raft, 2).len(), 1);
	assert_eq!(propose(&mut raft, 3), []);
	assert_eq!(appends(tell(&mut raft, 2, matched(1, 4))).len(), 1);
}

/// One message holds so many bytes; an entry that is greater travels alone.
#[test]
fn a_message_holds_so_many_bytes_but_at_least_one_entry() {
	let size = noop(1, 1).size() + command(1, 1).size();
	for (limit, each) in [(1, 1), (size, 1), (2 * size, 2), (3 * size + 1, 3)] {
		let mut raft = leader(|settings| settings.max_append_bytes = limit);
		for number in 1..=6 {
			raft.propose(vec![command(1, number)]).unwrap();
		}
		let sent = appends(drain(&mut raft).send);
		assert!(
			sent.iter().all(|append| append.entries.len() == each),
			"{limit}"
		);
		assert_eq!(sent.len(), 6 / each);
	}
}

/// Until it is known where the logs agree, one append is under way at a time: and
/// one per heartbeat if nobody answers.
#[test]
fn a_member_that_does_not_answer_is_probed_once_per_heartbeat() {
	let mut raft = alone(1, 2, &[]);
	raft.settings.election_timeout = 1_000_000;
	make_leader(&mut raft);
	for number in 1..=5 {
		assert_eq!(propose(&mut raft, number), []);
	}
	for _ in 0..3 {
		assert_eq!(beat(&mut raft).len(), 1);
		assert_eq!(drain(&mut raft).send, []);
	}
	let sent = appends(tell(&mut raft, 2, matched(1, 3)));
	assert_eq!(sent.len(), 1);
	assert_eq!(sent[0].entries.len(), 5);
}

/// A loss shows by a refusal, at once, or by silence over a heartbeat.
#[test]
fn after_a_loss_the_leader_begins_again_after_what_is_known_to_match() {
	let mut raft = leader(|_| {});
	for number in 1..=3 {
		propose(&mut raft, number);
	}
	// The first of the three is lost: the second is refused.
	let outcome = AppendOutcome::Conflict {
		prev: 4,
		hint: at(1, 3),
	};
	let (term, round) = (1, 0);
	let refused = AppendReply {
		term,
		round,
		outcome,
	};
	let sent = appends(tell(&mut raft, 2, Msg::AppendReply(refused.clone())));
	assert_eq!(sent.len(), 1);
	assert_eq!((sent[0].prev.index, sent[0].entries.len()), (3, 3));
	// So is the third, and that is old news.
	let outcome = AppendOutcome::Conflict {
		prev: 5,
		hint: at(1, 3),
	};
	let refused = AppendReply { outcome, ..refused };
	assert_eq!(appends(tell(&mut raft, 2, Msg::AppendReply(refused))), []);
	tell(&mut raft, 2, matched(1, 6));

	propose(&mut raft, 4);
	assert_eq!(beat(&mut raft), [], "it may still arrive");
	let sent = beat(&mut raft);
	assert_eq!((sent[0].prev.index, sent[0].entries.len()), (6, 1));
}

/// A hint that a member cannot be reached stops what would be lost.
#[test]
fn who_is_known_to_be_down_is_probed_by_heartbeats_only() {
	let mut raft = leader(|_| {});
	propose(&mut raft, 1);
	raft.hint(Hint::PeerDown(m(2)));
	assert_eq!(propose(&mut raft, 2), []);
	let sent = beat(&mut raft);
	assert_eq!(sent[0].entries.len(), 2);
	raft.hint(Hint::PeerUp(m(2)));
	assert_eq!(appends(drain(&mut raft).send)[0].entries.len(), 2);
}

/// Hints before the first answer do not make the leader forget where to look.
#[test]
fn a_hint_does_not_move_a_probe_to_the_beginning_of_the_log() {
	let mut raft = alone(1, 2, &[1; 100]);
	make_leader(&mut raft);
	raft.hint(Hint::PeerDown(m(2)));
	raft.hint(Hint::PeerUp(m(2)));
	let sent = appends(drain(&mut raft).send);
	assert_eq!((sent[0].prev.index, sent[0].entries.len()), (102, 1));
}

/// Uncommitted bytes are bounded; beyond, commands are given back.
#[test]
fn a_leader_with_too_much_uncommitted_gives_commands_back() {
	let size = noop(1, 1).size() + command(1, 1).size();
	let mut raft = leader(|settings| settings.max_unapplied_bytes = 2 * size);
	propose(&mut raft, 1);
	propose(&mut raft, 2);
	let refused = raft.propose(vec![command(1, 3)]).unwrap_err();
	assert_eq!(refused.reason, Rejected::Overloaded);
	assert_eq!(refused.given, [command(1, 3)]);
	tell(&mut raft, 2, matched(1, 4));
	propose(&mut raft, 3);
	assert!(raft.propose(vec![command(1, 4)]).is_err());
	// What is greater than the limit is taken alone, or it never would be.
	tell(&mut raft, 2, matched(1, 6));
	let batch: Vec<Envelope> = (4..20).map(|number| command(1, number)).collect();
	assert_eq!(raft.propose(batch).unwrap().appended, 16);
	assert!(raft.propose(vec![command(1, 20)]).is_err());
}

/// A machine that does not keep up makes neither a leader's log grow without bound,
#[test]
fn a_leader_whose_machine_is_slow_gives_commands_back() {
	let size = noop(1, 1).size() + command(1, 1).size();
	let mut raft = leader(|settings| settings.max_unapplied_bytes = 2 * size);
	propose(&mut raft, 1);
	propose(&mut raft, 2);
	raft.step(m(2), matched(1, 5)).unwrap();
	assert_eq!((raft.commit, raft.applied), (5, 3));
	let refused = raft.propose(vec![command(1, 3)]).unwrap_err();
	assert_eq!(refused.reason, Rejected::Overloaded);
	drain(&mut raft);
	assert_eq!(raft.applied, 5);
	raft.propose(vec![command(1, 3)]).unwrap();
}

/// nor a follower's, which takes nothing new, so that the leader tries again with
/// every heartbeat only.
#[test]
fn a_follower_whose_machine_is_slow_takes_no_more() {
	let mut raft = alone(1, 3, &[]);
	raft.settings.max_unapplied_bytes = 2 * noop(1, 1).size();
	let last = |raft: &Raft| raft.log.last().index;
	raft.step(m(2), append(1, at(0, 3), &[1, 1, 1], 6)).unwrap();
	assert_eq!((last(&raft), raft.commit), (6, 6));
	raft.step(m(2), append(1, at(1, 6), &[1], 6)).unwrap();
	raft.step(m(2), append(1, at(1, 7), &[1], 6)).unwrap();
	assert_eq!(last(&raft), 6);
	let sent = drain(&mut raft).send;
	assert_eq!(sent, [(m(2), matched(1, 6))], "for the first one");
	tell(&mut raft, 2, append(1, at(1, 6), &[1], 6));
	assert_eq!(last(&raft), 7);
}

/// What a new leader finds uncommitted counts as well.
#[test]
fn entries_of_earlier_terms_count_as_uncommitted() {
	let mut raft = alone(1, 3, &[1, 1, 1]);
	raft.settings.max_unapplied_bytes = 4 * noop(1, 1).size();
	make_leader(&mut raft);
	let refused = raft.propose(vec![command(1, 1)]).unwrap_err();
	assert_eq!(refused.reason, Rejected::Overloaded);
	tell(&mut raft, 2, matched(2, 7));
	raft.propose(vec![command(1, 1)]).unwrap();
}

/// A member that lags is brought up in messages of bounded size, window by window.
#[test]
fn a_member_far_behind_is_brought_up_within_the_limits() {
	let mut settings = settings();
	settings.max_append_bytes = 400;
	settings.max_inflight = 4;
	let mut cluster = Cluster::with(3, settings);
	cluster.elect(1);
	cluster.crash(3);
	for _ in 0..200 {
		cluster.propose(1);
		cluster.settle();
	}
	cluster.restart(3);
	cluster.hold(|from, to, _| (from, to) == (1, 3));
	cluster.node(1).raft.hint(Hint::PeerUp(m(3)));
	cluster.pump(1);
	let mut rounds = 0;
	while !cluster.link(1, 3).is_empty() {
		let waiting = cluster.link(1, 3);
		let appends = waiting.iter().filter(|msg| matches!(msg, Msg::Append(_)));
		assert!(appends.count() <= 4);
		cluster.deliver(1, 3);
		cluster.settle();
		rounds += 1;
	}
	assert!(rounds > 20);
	cluster.assert_equal();
}
