//! What cannot happen, and what is done when it does: nothing more.

use {
	super::*,
	crate::groups::{
		config::ConfigChange,
		engine::{
			CoreEvent, Hint, PersistToken, Poison, ReadToken, Rejected, SnapshotResult, StepError,
		},
		entry::FormationEntry,
		message::Beat,
	},
};

/// A follower of member 2 in term 1 with these entries, committed up to an index.
fn follower(entries: &[Term], commit: LogIndex) -> Raft {
	let mut raft = alone(1, 3, &[]);
	tell(&mut raft, 2, append(1, at(0, 3), entries, commit));
	raft
}

fn beat(term: Term, commit: LogIndex) -> Msg {
	Msg::Beat(Beat {
		term,
		commit,
		round: 0,
		quiesce: None,
	})
}

/// Says something that halts the member, and checks that nothing comes of anything
/// from then on.
fn halt(mut raft: Raft, from: u64, msg: Msg, poison: Poison) {
	let log = raft.log.clone();
	assert_eq!(raft.step(m(from), msg), Err(StepError::Poisoned(poison)));
	let ready = raft.ready().unwrap();
	assert_eq!(ready.events.last(), Some(&CoreEvent::Poisoned(poison)));
	assert_eq!(
		(ready.persist, ready.send, ready.apply, ready.fetch),
		(None, vec![], None, None)
	);
	assert_eq!(raft.log, log, "nothing was changed");

	raft.tick(1_000_000);
	let error = Err(StepError::Poisoned(poison));
	assert_eq!(raft.step(m(2), append(9, at(1, 4), &[9], 4)), error);
	assert_eq!(raft.step(m(2), vote(9, at(9, 9))), error);
	for hint in [
		Hint::PeerUp(m(2)),
		Hint::PeerDown(m(2)),
		Hint::LeaderDeparting,
	] {
		raft.hint(hint);
	}
	let rejected = Rejected::Poisoned(poison);
	assert_eq!(
		raft.propose(vec![command(1, 1)]).unwrap_err().reason,
		rejected
	);
	assert_eq!(
		raft.propose_config(ConfigChange::Remove(m(2))),
		Err(rejected.into())
	);
	assert_eq!(raft.propose_formation(FormationEntry::Close), Err(rejected));
	assert_eq!(raft.read_index(ReadToken(1)), Err(rejected));
	assert_eq!(raft.transfer_leader(m(2)), Err(rejected));
	let base = disk(3, &[]).base;
	raft.on_snapshot(SnapshotResult::Fetched(base));
	raft.on_persisted(PersistToken(99));
	raft.on_applied(99);
	raft.compact(99);
	assert_eq!(raft.next_wakeup(), None);
	assert!(raft.ready().is_none());
	assert_eq!(raft.log, log);
	assert_eq!(raft.status().poisoned, Some(poison));
}

/// §3.4: at most one leader can be elected in a term. Two that say so are not Raft.
#[test]
fn two_leaders_in_a_term_halt_the_member() {
	let (first, second) = (m(2), m(3));
	let poison = Poison::TwoLeaders {
		term: 1,
		first,
		second,
	};
	halt(follower(&[1], 3), 3, append(1, at(1, 4), &[1], 3), poison);
	halt(follower(&[1], 3), 3, beat(1, 3), poison);
	let mut leads = alone(1, 3, &[]);
	make_leader(&mut leads);
	let first = m(1);
	halt(
		leads,
		3,
		beat(1, 3),
		Poison::TwoLeaders {
			term: 1,
			first,
			second,
		},
	);
}

/// §3.6.3: "If a log entry is committed in a given term, then that entry will be
/// present in the logs of the leaders for all higher-numbered terms."
#[test]
fn a_leader_that_contradicts_what_is_committed_halts_the_member() {
	let from = m(3);
	let cases = [
		(append(2, at(2, 5), &[], 5), 5),
		(append(2, at(2, 5), &[2], 5), 5),
		(append(2, at(1, 4), &[2], 5), 5),
		(append(2, at(0, 3), &[1, 2, 2], 5), 5),
		(append(2, at(0, 3), &[2], 3), 4),
		(append(2, at(2, 4), &[2, 2, 2], 3), 4),
	];
	for (msg, index) in cases {
		let poison = Poison::CommittedConflict { from, index };
		halt(follower(&[1, 1, 1], 5), 3, msg, poison);
	}
	// What is not committed may be contradicted.
	let mut raft = follower(&[1, 1, 1], 5);
	tell(&mut raft, 3, append(2, at(1, 5), &[2], 6));
	assert_eq!(terms(&raft), [1, 1, 2]);
}

/// Figure 3.1: what was acknowledged is on stable storage. A leader tells a member
/// only of commits that it acknowledged.
#[test]
fn a_member_that_lacks_what_it_acknowledged_halts() {
	let poison = Poison::LostEntries { commit: 6, last: 5 };
	halt(follower(&[1, 1], 4), 2, beat(1, 6), poison);
}

#[test]
fn a_member_that_halts_hands_out_nothing_that_it_had_not_yet() {
	let mut raft = alone(1, 3, &[1, 1]);
	raft.step(m(2), append(1, at(1, 4), &[1], 5)).unwrap();
	raft.step(m(3), beat(1, 3)).unwrap_err();
	assert_eq!(raft.ready().unwrap().apply, None);
}

/// What it was doing for others is given back.
#[test]
fn reads_of_a_leader_that_halts_are_given_back() {
	let mut raft = alone(1, 3, &[]);
	make_leader(&mut raft);
	raft.read_index(ReadToken(1)).unwrap();
	assert!(raft.step(m(2), beat(1, 3)).is_err());
	let ready = raft.ready().unwrap();
	assert_eq!(ready.reads.len(), 1);
	assert_eq!(ready.reads[0].index, None);
}

/// A write that was under way may end; nothing that waited for it leaves.
#[test]
fn what_waits_for_a_write_never_leaves() {
	let mut raft = alone(1, 3, &[]);
	raft.step(m(2), append(1, at(0, 3), &[1], 4)).unwrap();
	let token = raft.ready().unwrap().persist.unwrap().token;
	assert!(raft.step(m(3), beat(1, 3)).is_err());
	raft.ready();
	raft.on_persisted(token);
	assert!(raft.ready().is_none());
}

/// A message that cannot be of a member that follows the protocol has no effect.
#[test]
fn a_message_that_makes_no_sense_is_refused_and_changes_nothing() {
	let mut raft = follower(&[1, 1], 4);
	let broken = |entries: Vec<Entry>| {
		Msg::Append(Append {
			term: 2,
			prev: at(1, 5),
			entries,
			commit: 0,
			round: 0,
		})
	};
	let mut counted = noop(2, 7);
	counted.seq_end = 3;
	let cases = [
		vec![noop(2, 7)],
		vec![noop(2, 6), noop(2, 8)],
		vec![noop(3, 6)],
		vec![noop(2, 6), noop(1, 7)],
		vec![noop(2, 6), counted, noop(2, 8)],
	];
	let before = raft.clone();
	for entries in cases {
		assert_eq!(
			raft.step(m(2), broken(entries)),
			Err(StepError::BrokenEntries)
		);
		assert_eq!(raft, before);
	}
	let mut config = noop(2, 6);
	config.kind = EntryKind::Config(blank().base.state.config);
	assert_eq!(
		raft.step(m(2), broken(vec![config])),
		Err(StepError::Implausible)
	);
	for msg in [
		vote(u64::MAX, at(1, 5)),
		vote(2, at(1, u64::MAX)),
		beat(2, u64::MAX),
	] {
		assert_eq!(raft.step(m(2), msg), Err(StepError::Implausible));
	}
	assert_eq!(raft.step(m(1), vote(9, at(9, 9))), Err(StepError::FromSelf));
	assert_eq!(raft, before);
	let mut leads = alone(1, 3, &[]);
	make_leader(&mut leads);
	let before = leads.clone();
	let error = leads.step(m(2), matched(1, 5));
	assert_eq!(error, Err(StepError::FalseMatch { index: 5, last: 4 }));
	assert_eq!(leads, before);
}
