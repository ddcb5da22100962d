//! Strong reads of this node, and those that others ask of it while it leads.

use {
	super::io::CallId,
	crate::{
		PeerId,
		groups::{
			engine::ReadToken,
			types::{LogIndex, MemberId, Term, Ticks},
		},
	},
	std::collections::BTreeMap,
};

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Reads {
	last_id: u64,
	/// Reads of this node's user, by number.
	own: BTreeMap<u64, Own>,
	/// What the engine was asked for whom.
	asked: BTreeMap<ReadToken, Asker>,
	/// How many of them are for others, or were: the engine keeps what it was asked.
	others: usize,
	target: Option<(Term, MemberId)>,
}

#[derive(Debug)]
struct Own {
	call: CallId,
	/// When the leader was asked.
	asked_at: Option<Ticks>,
	/// What must be applied.
	index: Option<LogIndex>,
}

/// For whom the engine is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
	/// A read of this node.
	Own(u64),
	/// A read of another member.
	Other(PeerId, u64),
	/// Nobody waits for it any more.
	Nobody,
}

impl Reads {
	/// None yet, numbered from after `last_id`.
	pub(super) fn new(last_id: u64) -> Self {
		Self {
			last_id,
			..Self::default()
		}
	}

	/// The last number that was given.
	pub(super) const fn last_id(&self) -> u64 {
		self.last_id
	}

	pub(super) fn len(&self) -> usize {
		self.own.len()
	}

	pub(super) fn push(&mut self, call: CallId) {
		self.last_id += 1;
		let own = Own {
			call,
			asked_at: None,
			index: None,
		};
		self.own.insert(self.last_id, own);
	}

	/// Numbers what the engine is asked.
	pub(super) fn token(&mut self, asker: Asker) -> ReadToken {
		self.last_id += 1;
		let token = ReadToken(self.last_id);
		self.others += usize::from(matches!(asker, Asker::Other(..)));
		self.asked.insert(token, asker);
		token
	}

	/// How many reads of others the engine has.
	pub(super) const fn others(&self) -> usize {
		self.others
	}

	/// The session with a node is gone: nobody waits for what was asked in it, and
	/// in the next one the same number may be another read.
	pub(super) fn forget(&mut self, peer: PeerId) {
		let is_of = |asker: &&mut Asker| matches!(asker, Asker::Other(other, _) if *other == peer);
		let gone = self.asked.values_mut().filter(is_of);
		gone.for_each(|asker| *asker = Asker::Nobody);
	}

	/// Whom the engine's answer is for.
	pub(super) fn take(&mut self, token: ReadToken) -> Option<Asker> {
		let asker = self.asked.remove(&token)?;
		self.others -= usize::from(!matches!(asker, Asker::Own(_)));
		Some(asker)
	}

	/// Who leads: whoever is new is asked everything.
	pub(super) fn set_target(&mut self, target: Option<(Term, MemberId)>) {
		if self.target != target {
			self.target = target;
			self.own.values_mut().for_each(|own| own.asked_at = None);
		}
	}

	/// The reads to ask the leader about, now.
	pub(super) fn due(&mut self, timeout: Ticks, now: Ticks) -> Vec<u64> {
		let is_due = |own: &Own| {
			own.index.is_none()
				&& own
					.asked_at
					.is_none_or(|at| at.saturating_add(timeout) <= now)
		};
		let mut ids = Vec::new();
		for (id, own) in self.own.iter_mut().filter(|(_, own)| is_due(own)) {
			own.asked_at = Some(now);
			ids.push(*id);
		}
		ids
	}

	/// The leader answered.
	pub(super) fn answered(&mut self, id: u64, index: Option<LogIndex>) {
		if let Some(own) = self.own.get_mut(&id) {
			own.index = own.index.or(index);
			if own.index.is_none() {
				// Asked again when there is another leader, or after a while.
				own.asked_at = own.asked_at.or(Some(0));
			}
		}
	}

	/// The reads that can be answered now.
	pub(super) fn readable(&mut self, applied: LogIndex) -> Vec<(CallId, LogIndex)> {
		let is_ready = |_: &u64, own: &mut Own| own.index.is_some_and(|index| index <= applied);
		let ready = self.own.extract_if(.., is_ready);
		ready
			.filter_map(|(_, own)| Some((own.call, own.index?)))
			.collect()
	}

	/// When to ask again.
	pub(super) fn deadline(&self, timeout: Ticks) -> Option<Ticks> {
		self.target?;
		let waiting = self.own.values().filter(|own| own.index.is_none());
		waiting
			.filter_map(|own| Some(own.asked_at?.saturating_add(timeout)))
			.min()
	}

	/// Gives up on all of this node's reads.
	pub(super) fn take_calls(&mut self) -> Vec<CallId> {
		std::mem::take(&mut self.own)
			.into_values()
			.map(|own| own.call)
			.collect()
	}
}
