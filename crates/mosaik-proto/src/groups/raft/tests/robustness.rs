//! No panic is reachable from the wire, and nothing that is said brings a member
//! out of shape. The seventeenth of the named regressions.

use {
	super::{
		arbitrary::{self, Op},
		claims::check_member,
		*,
	},
	crate::{
		groups::{
			engine::{PersistToken, ReadToken},
			message::Frame,
		},
		wire::Datum,
	},
	proptest::{collection::vec, prelude::*},
};

/// Does it; what it refuses must have changed nothing.
fn perform(raft: &mut Raft, op: Op) {
	match op {
		Op::Step(from, msg) => {
			let before = raft.clone();
			if raft.step(from, msg).is_err() && raft.poisoned.is_none() {
				assert_eq!(*raft, before, "a refused message has no effect");
			}
		}
		Op::Support => {
			for voter in raft.log.state().config.voters.clone() {
				let (term, granted) = (raft.term, true);
				let next = term.saturating_add(1);
				let pre = VoteReply {
					term: next,
					granted,
				};
				let _ = raft.step(voter, Msg::PreVoteReply(pre));
				let _ = raft.step(voter, Msg::VoteReply(VoteReply { term, granted }));
			}
		}
		Op::Match(from, behind) => {
			let index = raft.log.last().index.saturating_sub(behind);
			let _ = raft.step(from, matched(raft.term, index));
		}
		Op::Tick(time) => raft.tick(raft.now.saturating_add(time)),
		Op::Propose(batch) => {
			if let Err(refused) = raft.propose(batch.clone()) {
				assert_eq!(refused.given, batch);
			}
		}
		Op::Change(change) => _ = raft.propose_config(change),
		Op::Formation(step) => _ = raft.propose_formation(step),
		Op::Read(token) => _ = raft.read_index(ReadToken(token)),
		Op::Transfer(to) => _ = raft.transfer_leader(to),
		Op::Hint(hint) => raft.hint(hint),
		Op::Persisted(back) => {
			let begun = raft.writes.begun.0;
			raft.on_persisted(PersistToken(begun.saturating_sub(back)));
		}
		Op::Applied(index) => raft.on_applied(index),
		Op::Snapshot(result) => raft.on_snapshot(result),
		Op::Compact(index) => raft.compact(index),
	}
}

/// Takes what is to be done; it must come to an end.
fn exhaust(raft: &mut Raft) {
	for _ in 0..8 {
		if raft.ready().is_none() {
			return;
		}
	}
	panic!("there is always something more to do");
}

fn survive(mut raft: Raft, ops: Vec<Op>) {
	let (mut term, mut commit) = (raft.term, raft.commit);
	for op in ops {
		perform(&mut raft, op);
		check_member(&raft);
		exhaust(&mut raft);
		check_member(&raft);
		assert!(raft.term >= term, "terms never go back");
		assert!(raft.commit >= commit, "nor does what is committed");
		(term, commit) = (raft.term, raft.commit);
		raft.status();
		raft.next_wakeup();
		let state = raft
			.log
			.entries
			.iter()
			.fold(raft.log.base().state.clone(), |mut state, e| {
				state.push(e);
				state
			});
		assert_eq!(state, *raft.log_state(), "the state is the fold of the log");
	}
}

proptest! {
	#![proptest_config(ProptestConfig {
		failure_persistence: None,
		..ProptestConfig::default()
	})]

	#[test]
	fn r17_no_sequence_of_messages_and_requests_panics(
		n in 1..4u64,
		terms in vec(1..4u64, 0..4),
		ops in vec(arbitrary::op(), 0..40),
	) {
		let mut terms = terms;
		terms.sort_unstable();
		survive(alone(1, n, &terms), ops);
	}

	#[test]
	fn r17_no_sequence_panics_somebody_who_was_just_let_in(
		ops in vec(arbitrary::op(), 0..40),
	) {
		survive(Raft::new(m(5), settings(), blank(), 0).unwrap(), ops);
	}

	#[test]
	fn r17_no_message_panics_a_leader(
		n in 1..4u64,
		commands in 0..4u64,
		ops in vec(arbitrary::op(), 0..20),
	) {
		let mut raft = alone(1, n, &[1]);
		make_leader(&mut raft);
		for number in 1..=commands {
			raft.propose(vec![command(1, number)]).unwrap();
		}
		drain(&mut raft);
		survive(raft, ops);
	}
}

proptest! {
	#![proptest_config(ProptestConfig {
		failure_persistence: None,
		..ProptestConfig::default()
	})]

	#[test]
	fn a_frame_is_decoded_as_it_was_encoded(frame in arbitrary::frame()) {
		let bytes = frame.encode().unwrap();
		prop_assert_eq!(Frame::decode(&bytes).unwrap(), frame);
	}

	#[test]
	fn r17_any_bytes_are_a_frame_or_not(bytes in vec(any::<u8>(), 0..300)) {
		let _ = Frame::decode(&bytes);
		let _ = Msg::decode(&bytes);
	}

	/// A frame that was damaged on its way, or made up from a true one.
	#[test]
	fn r17_a_damaged_frame_is_a_frame_or_not(
		frame in arbitrary::frame(),
		damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
		cut in any::<prop::sample::Index>(),
	) {
		let mut bytes = frame.encode().unwrap().to_vec();
		for (at, byte) in damage {
			let at = at.index(bytes.len());
			bytes[at] = byte;
		}
		if let Ok(frame) = Frame::decode(&bytes)
			&& let Msg::Append(append) = &frame.msg
		{
			prop_assert!(append.entries.capacity() <= bytes.len());
		}
		let cut = cut.index(bytes.len());
		prop_assert!(Frame::decode(&frame.encode().unwrap()[..cut.min(10)]).is_err());
	}
}

/// A length that is claimed is not believed: room is made as entries are found.
#[test]
fn r17_a_frame_that_claims_more_than_it_holds_is_no_frame() {
	let Msg::Append(mut append) = append(1, at(1, 1), &[], 1) else {
		unreachable!("that is what it makes");
	};
	append.entries.push(noop(1, 2));
	let bytes = Msg::Append(append).encode().unwrap().to_vec();
	let length = bytes.iter().position(|byte| *byte == 1).unwrap();
	for at in length..bytes.len() {
		for huge in [&[0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0xff; 9], &[0xff; 10]] {
			let mut bytes = bytes.clone();
			bytes.splice(at..=at, huge.iter().copied());
			let _ = Msg::decode(&bytes);
		}
	}
	// Member 0 does not exist.
	let frame = Frame {
		formation: 0.into(),
		from: m(1),
		to: m(2),
		msg: Msg::TimeoutNow { term: 3 },
	};
	let mut bytes = frame.encode().unwrap().to_vec();
	assert_eq!(bytes[16], 1);
	bytes[16] = 0;
	assert!(Frame::decode(&bytes).is_err());
}
