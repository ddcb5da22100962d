//! Commands and strong reads: of this node's user, and of others while it leads.

use {
	super::{Message, Outcome, Output, Phase, Replica, io::CallId, reads::Asker},
	crate::{
		PeerId,
		groups::{
			engine::{Engine, ReadDone, Rejected},
			entry::Envelope,
			raft::Raft,
			types::{FormationId, LogIndex},
		},
	},
	bytes::Bytes,
};

impl Replica {
	/// Nobody will answer what is pending any more.
	pub(super) fn fail_requests(&mut self) {
		self.end_requests(Outcome::Unknown);
	}

	/// Ends all requests; commands that did not begin to take effect with `outcome`.
	pub(super) fn end_requests(&mut self, outcome: Outcome) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		for (call, has_begun) in member.requests.take_calls() {
			let outcome = if has_begun {
				Outcome::Unknown
			} else {
				outcome.clone()
			};
			self.out.push_back(Output::Done { call, outcome });
		}
		for call in member.reads.take_calls() {
			let outcome = Outcome::Offline;
			self.out.push_back(Output::Done { call, outcome });
		}
	}

	pub(super) fn finish(&mut self, done: Vec<(CallId, Option<u64>)>) {
		for (call, seq) in done {
			let outcome = Outcome::Committed(seq);
			self.out.push_back(Output::Done { call, outcome });
		}
	}

	pub(super) fn on_execute(&mut self, call: CallId, payloads: Vec<Bytes>) {
		let outcome = match &self.phase {
			Phase::Member(member) => {
				let bytes: usize = payloads.iter().map(Bytes::len).sum();
				let is_full = member.requests.len() + payloads.len() > self.settings.max_pending
					|| member.requests.bytes() + bytes > self.settings.max_pending_bytes;
				if member.raft.is_poisoned() {
					Some(Outcome::Offline)
				} else if !member.raft.log_state().is_open() {
					Some(Outcome::Superseded)
				} else if member.is_quorum_lost {
					Some(Outcome::NoQuorum)
				} else if payloads.is_empty() {
					Some(Outcome::Committed(None))
				} else {
					is_full.then_some(Outcome::Overloaded)
				}
			}
			_ => Some(Outcome::Offline),
		};
		if let Some(outcome) = outcome {
			return self.out.push_back(Output::Done { call, outcome });
		}
		if let Phase::Member(member) = &mut self.phase {
			member.requests.push(call, payloads);
		}
	}

	/// Sends what is pending to whoever leads. Returns whether this node's engine
	/// has something to do.
	pub(super) fn send_requests(&mut self) -> bool {
		let (now, timeout) = (self.now, self.settings.forward_timeout);
		let Phase::Member(member) = &mut self.phase else {
			return false;
		};
		member.requests.retry_after(timeout, now);
		let Some(leader) = member.raft.leader() else {
			return false;
		};
		let formation = member.identity.formation;
		let mut has_proposed = false;
		loop {
			let Phase::Member(member) = &mut self.phase else {
				return has_proposed;
			};
			let batch = member.requests.next_batch();
			if batch.is_empty() {
				return has_proposed;
			}
			if leader == member.identity.member {
				member.requests.sent(&batch, now);
				let (last, has_gap) = propose(&mut member.raft, batch);
				let Some(last) = last else {
					// Refused: it is tried again after a while.
					return has_proposed;
				};
				if has_gap {
					member.requests.rewind(last);
					return has_proposed;
				}
				has_proposed = true;
			} else {
				let peer = member
					.peer_of(leader)
					.filter(|peer| self.bonds.contains(peer));
				let Some(peer) = peer else {
					return has_proposed;
				};
				member.requests.sent(&batch, now);
				self.send(peer, Message::Forward { formation, batch });
			}
		}
	}

	pub(super) fn on_forward(
		&mut self,
		from: PeerId,
		formation: FormationId,
		batch: Vec<Envelope>,
	) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let config = &member.raft.log_state().config;
		let is_own = |envelope: &Envelope| {
			let origin = config.members.get(&envelope.origin);
			origin.is_some_and(|info| info.peer == from)
		};
		if member.identity.formation != formation || !batch.iter().all(is_own) {
			return;
		}
		let (last, has_gap) = propose(&mut member.raft, batch);
		let forwarded = Message::Forwarded {
			formation,
			last,
			has_gap,
		};
		self.send(from, forwarded);
	}

	pub(super) fn on_forwarded(
		&mut self,
		formation: FormationId,
		last: Option<u64>,
		has_gap: bool,
	) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity.formation == formation
			&& let Some(last) = last
			&& has_gap
		{
			member.requests.rewind(last);
		}
	}

	// Strong reads.

	pub(super) fn on_read(&mut self, call: CallId) {
		let outcome = match &mut self.phase {
			Phase::Member(member) if member.raft.is_poisoned() => Outcome::Offline,
			Phase::Member(member) if member.is_quorum_lost => Outcome::NoQuorum,
			Phase::Member(member) if member.reads.len() >= self.settings.max_reads => {
				Outcome::Overloaded
			}
			Phase::Member(member) => return member.reads.push(call),
			_ => Outcome::Offline,
		};
		self.out.push_back(Output::Done { call, outcome });
	}

	pub(super) fn answer_reads(&mut self) {
		let (now, timeout) = (self.now, self.settings.forward_timeout);
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let formation = member.identity.formation;
		if let Some(leader) = member.raft.leader() {
			let due = member.reads.due(timeout, now);
			let is_own = leader == member.identity.member;
			let peer = member.peer_of(leader);
			for id in due {
				if is_own {
					self.ask_engine(Asker::Own(id));
				} else if let Some(peer) = peer {
					self.send(peer, Message::Read { formation, id });
				}
			}
			if is_own {
				while let Phase::Member(member) = &mut self.phase
					&& let Some(ready) = member.raft.ready()
				{
					let of = member.identity;
					self.perform(of, ready);
				}
			}
		}
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		for (call, index) in member.reads.readable(member.raft.applied()) {
			let outcome = Outcome::Readable { index };
			self.out.push_back(Output::Done { call, outcome });
		}
	}

	fn ask_engine(&mut self, asker: Asker) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let token = member.reads.token(asker);
		if member.raft.read_index(token).is_err() {
			self.on_read_done(ReadDone { token, index: None });
		}
	}

	pub(super) fn on_read_asked(&mut self, from: PeerId, formation: FormationId, id: u64) {
		let Phase::Member(member) = &self.phase else {
			return;
		};
		if member.identity.formation != formation {
			return;
		}
		// Half of the places are this node's own.
		if member.reads.others() >= self.settings.raft.max_reads.div_ceil(2) {
			let index = None;
			let refused = Message::ReadIndex {
				formation,
				id,
				index,
			};
			return self.send(from, refused);
		}
		self.ask_engine(Asker::Other(from, id));
	}

	pub(super) fn on_read_done(&mut self, done: ReadDone) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let formation = member.identity.formation;
		match member.reads.take(done.token) {
			Some(Asker::Own(id)) => member.reads.answered(id, done.index),
			Some(Asker::Other(peer, id)) => {
				let index = done.index;
				let answer = Message::ReadIndex {
					formation,
					id,
					index,
				};
				self.send(peer, answer);
			}
			Some(Asker::Nobody) | None => {}
		}
	}

	pub(super) fn on_read_index(
		&mut self,
		formation: FormationId,
		id: u64,
		index: Option<LogIndex>,
	) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity.formation == formation
		{
			member.reads.answered(id, index);
		}
	}
}

/// Appends commands, if this member leads: the last of their origin that the log
/// has now, `None` if it takes nothing; and whether commands before them are
/// missing.
fn propose(raft: &mut Raft, batch: Vec<Envelope>) -> (Option<u64>, bool) {
	let Some(origin) = batch.last().map(|envelope| envelope.origin) else {
		return (None, false);
	};
	let has_gap = match raft.propose(batch) {
		Ok(_) => false,
		Err(refused) if matches!(refused.reason, Rejected::Gap { .. }) => true,
		Err(_) => return (None, false),
	};
	let session = raft.log_state().sessions.get(&origin);
	(Some(session.map_or(0, |session| session.last)), has_gap)
}
