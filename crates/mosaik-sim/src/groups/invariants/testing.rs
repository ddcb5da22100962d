//! States to test the invariants on.

use {
	super::formation::Before,
	crate::groups::machine::command,
	mosaik_proto::{
		SecretKey,
		groups::{
			Config, MemberInfo,
			engine::{RoleKind, Status},
			entry::{Entry, EntryKind, Envelope},
			state::{Base, Life},
			types::{LeadershipPreference, LogIndex, LogPos, MemberId, Nonce, Term},
		},
	},
	std::sync::Arc,
};

pub(super) fn id(id: u64) -> MemberId {
	MemberId::new(id).unwrap()
}

pub(super) const fn at(index: LogIndex, term: Term) -> LogPos {
	LogPos { term, index }
}

pub(super) fn founders(count: u8) -> Config {
	Config::founding((0..count).map(|founder| MemberInfo {
		peer: SecretKey::from_bytes(&[founder + 1; 32]).public(),
		nonce: Nonce::from(u128::from(founder)),
		preference: LeadershipPreference::Normal,
	}))
}

pub(super) fn genesis(count: u8) -> Base {
	Base::genesis(founders(count))
}

pub(super) fn noop(index: LogIndex, term: Term) -> Entry {
	Entry {
		pos: at(index, term),
		seq_end: 0,
		kind: EntryKind::Noop,
	}
}

pub(super) fn envelope(origin: u64, origin_seq: u64) -> Envelope {
	Envelope {
		origin: id(origin),
		origin_seq,
		payload: command(origin * 1000 + origin_seq),
	}
}

pub(super) fn commands(index: LogIndex, term: Term, batch: &[(u64, u64)]) -> Entry {
	let batch: Vec<_> = batch
		.iter()
		.map(|&(origin, seq)| envelope(origin, seq))
		.collect();
	Entry {
		pos: at(index, term),
		seq_end: batch.len() as u64,
		kind: EntryKind::Commands(batch.into()),
	}
}

pub(super) fn config(index: LogIndex, term: Term, voters: &[u64]) -> Entry {
	let mut config = founders(3);
	config.voters = voters.iter().map(|&voter| id(voter)).collect();
	Entry {
		pos: at(index, term),
		seq_end: 0,
		kind: EntryKind::Config(Arc::new(config)),
	}
}

pub(super) fn status(term: Term, last: LogIndex) -> Status {
	let config = Arc::new(founders(3));
	Status {
		id: id(1),
		term,
		role: RoleKind::Follower,
		leader: None,
		commit: 0,
		applied: 0,
		last: at(last, term),
		base: at(0, 0),
		config: Arc::clone(&config),
		config_index: 0,
		life: Life::Normal,
		committed_config: config,
		committed_config_index: 0,
		own_commit: false,
		progress: Vec::new(),
		transferring: None,
		quiesced: false,
		poisoned: None,
	}
}

pub(super) const fn before(status: &Status) -> Before {
	Before {
		life: 1,
		term: status.term,
		role: status.role,
		commit: status.commit,
		applied: status.applied,
		last: status.last,
	}
}
