//! What the published sources say of Raft, sentence by sentence.
//!
//! The name of a test is the sentence that it proves; the section is that of the
//! dissertation unless the Raft paper is named. Members are real, everything
//! between and below them is a table: a queue of messages per pair, a disk that
//! is written at once or by hand, a clock that stands still unless it is moved.
//! After every step the claims of §3.4 to §3.6 are checked on all members:
//! one leader per term, equal logs up to equal entries, one state machine.

mod arbitrary;
mod chaos;
mod check_quorum;
mod claims;
mod cluster;
mod commit;
mod configuration;
mod conflicts;
mod elections;
mod flow_control;
mod formation;
mod models;
mod persistence;
mod poison;
mod policies;
mod pre_vote;
mod quiescence;
mod reads;
mod regressions;
mod removal;
mod replication;
mod robustness;
mod script;
mod sessions;
mod signs_of_life;
mod snapshots;
mod transfer;

use {
	super::Raft,
	crate::{
		PeerId,
		groups::{
			config::{Config, MemberInfo},
			engine::{Engine, HardState, Ready, Recovered},
			entry::{Entry, EntryKind, Envelope},
			message::{Append, AppendOutcome, AppendReply, Msg, VoteReply, VoteRequest},
			settings::Settings,
			state::{Base, LogState},
			types::{LeadershipPreference, LogIndex, LogPos, MemberId, Nonce, Term},
		},
	},
	bytes::Bytes,
	cluster::Cluster,
	std::collections::{BTreeMap, BTreeSet},
};

fn m(id: u64) -> MemberId {
	MemberId::new(id).unwrap()
}

fn at(term: Term, index: LogIndex) -> LogPos {
	LogPos { term, index }
}

fn info(n: u64) -> MemberInfo {
	let mut seed = [0; 32];
	seed[..8].copy_from_slice(&n.to_le_bytes());
	MemberInfo {
		peer: PeerId::from(crate::SecretKey::from_bytes(&seed).public()),
		nonce: Nonce::from(u128::from(n)),
		preference: LeadershipPreference::Normal,
	}
}

fn command(origin: u64, origin_seq: u64) -> Envelope {
	Envelope {
		origin: m(origin),
		origin_seq,
		payload: Bytes::from(format!("{origin}.{origin_seq}")),
	}
}

/// Quiet timing: nothing but what the test does, and no chance.
fn settings() -> Settings {
	Settings {
		election_jitter: 1,
		quiesce_after: 0,
		..Settings::default()
	}
}

/// What is on the disk of a founder among `n`, with entries of these terms.
fn disk(n: u64, terms: &[Term]) -> Recovered {
	let base = Base::genesis(Config::founding((1..=n).map(info)));
	let entries: Vec<Entry> = (n + 1..).zip(terms).map(|(i, &t)| noop(t, i)).collect();
	let term = terms.last().copied().unwrap_or(0);
	Recovered {
		hard_state: HardState { term, vote: None },
		base,
		entries,
	}
}

/// What is on the disk of somebody who has just been let in.
fn blank() -> Recovered {
	let nobody = Config {
		voters: BTreeSet::new(),
		members: BTreeMap::new(),
	};
	Recovered {
		hard_state: HardState::default(),
		base: Base {
			pos: LogPos::default(),
			state: LogState::genesis(nobody),
		},
		entries: Vec::new(),
	}
}

/// An entry without effect at a place.
fn noop(term: Term, index: LogIndex) -> Entry {
	Entry {
		pos: at(term, index),
		seq_end: 0,
		kind: EntryKind::Noop,
	}
}

/// One of `n` founders on its own, with entries of these terms.
fn alone(id: u64, n: u64, terms: &[Term]) -> Raft {
	Raft::new(m(id), settings(), disk(n, terms), id).unwrap()
}

/// Takes all that is to be done, with every write done at once.
fn drain(raft: &mut Raft) -> Ready {
	let mut all = Ready::default();
	while let Some(ready) = raft.ready() {
		let token = ready.persist.as_ref().map(|persist| persist.token);
		all.persist = ready.persist.or(all.persist);
		all.send.extend(ready.send);
		all.apply = match (all.apply, ready.apply) {
			(Some(all), Some(more)) => Some(*all.start()..=*more.end()),
			(all, more) => all.or(more),
		};
		if let Some(applied) = &all.apply {
			raft.on_applied(*applied.end());
		}
		all.reads.extend(ready.reads);
		all.fetch = ready.fetch.or(all.fetch);
		all.events.extend(ready.events);
		if let Some(token) = token {
			raft.on_persisted(token);
		}
	}
	all
}

/// Says something to `raft` and returns what it sends.
fn tell(raft: &mut Raft, from: u64, msg: impl Into<Msg>) -> Vec<(MemberId, Msg)> {
	raft.step(m(from), msg.into()).unwrap();
	drain(raft).send
}

/// Lets the election timeout pass, and everything that was heard with it.
fn time_out(raft: &mut Raft) -> Vec<(MemberId, Msg)> {
	let at = raft.election_at.unwrap();
	raft.tick(at);
	drain(raft).send
}

/// A pre-vote and an election that is won against nobody.
fn make_leader(raft: &mut Raft) {
	time_out(raft);
	for voter in raft.log.state().config.voters.clone() {
		if voter != raft.id {
			let term = raft.term;
			let pre = VoteReply {
				term: term + 1,
				granted: true,
			};
			raft.step(voter, Msg::PreVoteReply(pre)).unwrap();
		}
	}
	drain(raft);
	for voter in raft.log.state().config.voters.clone() {
		if voter != raft.id {
			let term = raft.term;
			let granted = true;
			raft.step(voter, Msg::VoteReply(VoteReply { term, granted }))
				.unwrap();
		}
	}
	drain(raft);
	assert_eq!(raft.leader, Some(raft.id));
}

fn append(term: Term, prev: LogPos, terms: &[Term], commit: LogIndex) -> Msg {
	let entries = (prev.index + 1..).zip(terms);
	Msg::Append(Append {
		term,
		prev,
		entries: entries.map(|(i, &t)| noop(t, i)).collect(),
		commit,
		round: 0,
	})
}

fn matched(term: Term, index: LogIndex) -> Msg {
	Msg::AppendReply(AppendReply {
		term,
		round: 0,
		outcome: AppendOutcome::Matched(index),
	})
}

fn vote(term: Term, last: LogPos) -> Msg {
	Msg::Vote(VoteRequest {
		term,
		last,
		transfer: false,
	})
}

fn pre_vote(term: Term, last: LogPos) -> Msg {
	Msg::PreVote(VoteRequest {
		term,
		last,
		transfer: false,
	})
}

/// What was decided about an election in these messages.
fn votes(sent: &[(MemberId, Msg)]) -> Vec<(u64, Term, bool)> {
	let replies = sent.iter().filter_map(|(to, msg)| match msg {
		Msg::VoteReply(reply) | Msg::PreVoteReply(reply) => {
			Some((to.get(), reply.term, reply.granted))
		}
		_ => None,
	});
	replies.collect()
}

fn outcomes(sent: &[(MemberId, Msg)]) -> Vec<AppendOutcome> {
	let replies = sent.iter().filter_map(|(_, msg)| match msg {
		Msg::AppendReply(reply) => Some(reply.outcome),
		_ => None,
	});
	replies.collect()
}

/// The terms of the entries that a member has.
fn terms(raft: &Raft) -> Vec<Term> {
	raft.entries(0..=u64::MAX)
		.map(|entry| entry.pos.term)
		.collect()
}
