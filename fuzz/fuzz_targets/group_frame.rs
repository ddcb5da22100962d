//! Whatever comes for a group: it decodes or not; what decodes is encoded the same
//! way, takes no more room than it came in, and is taken in by each member.
//!
//! The golden vectors under `groups/` are good seeds.

#![no_main]

use {
	libfuzzer_sys::fuzz_target,
	mosaik_proto::{
		SecretKey,
		groups::{
			Config, Engine, MemberInfo, Raft, Settings,
			engine::{HardState, Recovered},
			message::{Frame, Msg},
			state::Base,
			types::{LeadershipPreference, MemberId, Nonce},
		},
		wire::Datum,
	},
};

fn member(id: u64, founders: u8) -> Raft {
	let infos = (1..=founders).map(|n| MemberInfo {
		peer: SecretKey::from_bytes(&[n; 32]).public(),
		nonce: Nonce::from(u128::from(n)),
		preference: LeadershipPreference::Normal,
	});
	let recovered = Recovered {
		hard_state: HardState::default(),
		base: Base::genesis(Config::founding(infos)),
		entries: Vec::new(),
	};
	let id = MemberId::new(id).unwrap();
	Raft::new(id, Settings::default(), recovered, 1).unwrap()
}

fn drain(raft: &mut Raft) {
	while let Some(ready) = raft.ready() {
		if let Some(persist) = ready.persist {
			raft.on_persisted(persist.token);
		}
		if let Some(apply) = ready.apply {
			raft.on_applied(*apply.end());
		}
		for (_, msg) in ready.send {
			assert_eq!(Msg::decode(&msg.encode().unwrap()).unwrap(), msg);
		}
	}
}

fuzz_target!(|data: &[u8]| {
	let Ok(frame) = Frame::decode(data) else {
		return;
	};
	if let Msg::Append(append) = &frame.msg {
		assert!(append.entries.capacity() <= data.len());
	}
	assert_eq!(Frame::decode(&frame.encode().unwrap()).unwrap(), frame);
	// A follower of three, a leader of one, and somebody who does not belong.
	for (id, founders) in [(1, 3), (1, 1), (9, 3)] {
		let mut raft = member(id, founders);
		if founders == 1 {
			raft.tick(0);
			drain(&mut raft);
		}
		let _ = raft.step(frame.from, frame.msg.clone());
		drain(&mut raft);
		raft.tick(10_000);
		drain(&mut raft);
		let status = raft.status();
		assert!(status.base.index <= status.applied && status.applied <= status.commit);
		assert!(status.commit <= status.last.index && status.last.term <= status.term);
	}
});
