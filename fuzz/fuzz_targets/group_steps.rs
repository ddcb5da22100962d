//! Three members and somebody who says to any of them whatever he likes, among what
//! they say to one another: no panic, and each stays in shape. What is committed is
//! not compared: who forges the messages of members can break any agreement.

#![no_main]

use {
	libfuzzer_sys::{arbitrary, fuzz_target},
	mosaik_proto::{
		SecretKey,
		groups::{
			Config, ConfigChange, Engine, MemberInfo, Raft, Settings,
			engine::{HardState, Hint, PersistToken, ReadToken, Recovered, SnapshotResult},
			entry::Envelope,
			message::Msg,
			state::Base,
			types::{LeadershipPreference, LogIndex, LogPos, MemberId, Nonce, Term},
		},
		wire::Datum,
	},
	std::collections::VecDeque,
};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
	ops: Vec<(u8, Op)>,
}

#[derive(Debug, arbitrary::Arbitrary)]
enum Op {
	/// A message of anybody, as it is encoded.
	Forge {
		from: u64,
		msg: Vec<u8>,
	},
	/// The oldest message to this member is delivered, or lost.
	Deliver,
	Lose,
	Tick(u16),
	TickFar(u64),
	Propose {
		origin: u64,
		seq: u64,
	},
	Add(u8),
	Promote(u64),
	Remove(u64),
	Read,
	Transfer(u64),
	Up(u64),
	Down(u64),
	Persisted(u8),
	Compact(u64),
	/// The snapshot of another member, or none.
	Fetched(u8),
	Failed {
		term: u64,
		index: u64,
	},
}

struct Member {
	raft: Raft,
	inbox: VecDeque<(MemberId, Msg)>,
	begun: PersistToken,
	now: u64,
	term: Term,
	commit: LogIndex,
}

fn id(n: u64) -> MemberId {
	MemberId::new(n).unwrap_or(MemberId::new(1).unwrap())
}

fn info(n: u8) -> MemberInfo {
	MemberInfo {
		peer: SecretKey::from_bytes(&[n; 32]).public(),
		nonce: Nonce::from(u128::from(n)),
		preference: LeadershipPreference::Normal,
	}
}

fn members() -> Vec<Member> {
	let member = |n: u64| {
		let recovered = Recovered {
			hard_state: HardState::default(),
			base: Base::genesis(Config::founding((1..=3).map(info))),
			entries: Vec::new(),
		};
		Member {
			raft: Raft::new(id(n), Settings::default(), recovered, n).unwrap(),
			inbox: VecDeque::new(),
			begun: PersistToken(0),
			now: 0,
			term: 0,
			commit: 0,
		}
	};
	(1..=3).map(member).collect()
}

fn perform(members: &mut [Member], at: usize, op: Op) {
	let base = match op {
		Op::Fetched(other) => {
			let other = &members[usize::from(other) % members.len()].raft;
			let pos = other.status().base;
			let state = other.log_state().clone();
			Some(Base { pos, state })
		}
		_ => None,
	};
	let member = &mut members[at];
	let raft = &mut member.raft;
	match op {
		Op::Forge { from, msg } => {
			if let Ok(msg) = Msg::decode(&msg) {
				let _ = raft.step(id(from), msg);
			}
		}
		Op::Deliver => {
			if let Some((from, msg)) = member.inbox.pop_front() {
				let _ = raft.step(from, msg);
			}
		}
		Op::Lose => _ = member.inbox.pop_front(),
		Op::Tick(time) => {
			member.now = member.now.saturating_add(time.into());
			raft.tick(member.now);
		}
		Op::TickFar(time) => {
			member.now = member.now.saturating_add(time);
			raft.tick(member.now);
		}
		Op::Propose { origin, seq } => {
			let batch = vec![Envelope {
				origin: id(origin),
				origin_seq: seq,
				payload: Default::default(),
			}];
			if let Err(refused) = raft.propose(batch.clone()) {
				assert_eq!(refused.given, batch);
			}
		}
		Op::Add(n) => _ = raft.propose_config(ConfigChange::AddLearner(info(n))),
		Op::Promote(n) => _ = raft.propose_config(ConfigChange::Promote(id(n))),
		Op::Remove(n) => _ = raft.propose_config(ConfigChange::Remove(id(n))),
		Op::Read => _ = raft.read_index(ReadToken(0)),
		Op::Transfer(to) => _ = raft.transfer_leader(id(to)),
		Op::Up(n) => raft.hint(Hint::PeerUp(id(n))),
		Op::Down(n) => raft.hint(Hint::PeerDown(id(n))),
		Op::Persisted(back) => {
			raft.on_persisted(PersistToken(member.begun.0.saturating_sub(back.into())));
		}
		Op::Compact(index) => raft.compact(index),
		Op::Fetched(_) => {
			let base = base.expect("it was made above");
			raft.on_snapshot(SnapshotResult::Fetched(base));
		}
		Op::Failed { term, index } => {
			let pos = LogPos { term, index };
			raft.on_snapshot(SnapshotResult::Failed { pos });
		}
	}
}

/// Takes what is to be done; writes are done when an op says so.
fn pump(members: &mut [Member], at: usize) {
	let from = members[at].raft.status().id;
	for round in 0.. {
		assert!(round < 8, "there is always something more to do");
		let Some(ready) = members[at].raft.ready() else {
			break;
		};
		if let Some(persist) = ready.persist {
			members[at].begun = persist.token;
		}
		if let Some(apply) = ready.apply {
			members[at].raft.on_applied(*apply.end());
		}
		for (to, msg) in ready.send {
			let to = usize::try_from(to.get() - 1).unwrap_or(usize::MAX);
			if let Some(to) = members.get_mut(to)
				&& to.inbox.len() < 64
			{
				to.inbox.push_back((from, msg));
			}
		}
	}
	let member = &mut members[at];
	let status = member.raft.status();
	assert!(status.base.index <= status.applied && status.applied <= status.commit);
	assert!(status.commit <= status.last.index && status.last.term <= status.term);
	assert!(status.term >= member.term && status.commit >= member.commit);
	(member.term, member.commit) = (status.term, status.commit);
	member.raft.next_wakeup();
}

fuzz_target!(|input: Input| {
	let mut members = members();
	for (at, op) in input.ops {
		let at = usize::from(at) % members.len();
		perform(&mut members, at, op);
		pump(&mut members, at);
	}
});
