//! Commands of this node, each of which takes effect once.
//!
//! They are numbered, sent to whoever leads, and sent again until this node sees
//! them in what it applies. A leader takes only the next number of each origin, so
//! the order holds and nothing happens twice, over any number of leaders.

use {
	super::io::CallId,
	crate::groups::{
		entry::{Entry, EntryKind, Envelope},
		state::{EPOCH_SHIFT, LogState},
		types::{LogIndex, MemberId, Seq, Term, Ticks},
	},
	bytes::Bytes,
	std::collections::VecDeque,
};

/// The most commands in one batch.
const MAX_BATCH: usize = 1_024;

/// How many starts of a process can be told apart.
pub(super) const MAX_STARTS: u32 = 0x003f_ffff;

/// The most bytes in one batch; a single command may exceed it.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Requests {
	origin: MemberId,
	last: u64,
	pending: VecDeque<Pending>,
	bytes: usize,
	/// The last one that was sent to the target.
	sent: u64,
	target: Option<(Term, MemberId)>,
	/// When something was sent, or got through, last.
	active_at: Ticks,
	/// Commands that are being applied: where, which, and their index.
	landing: VecDeque<(LogIndex, u64, Seq)>,
}

#[derive(Debug)]
struct Pending {
	number: u64,
	payload: Bytes,
	/// The request that this is the last command of, and the number of its first.
	call: Option<(CallId, u64)>,
}

impl Requests {
	/// None yet, in the `starts`th life of this member's process.
	pub(super) fn new(origin: MemberId, starts: u32) -> Self {
		Self {
			origin,
			last: u64::from(starts & MAX_STARTS) << EPOCH_SHIFT,
			pending: VecDeque::new(),
			bytes: 0,
			sent: 0,
			target: None,
			active_at: 0,
			landing: VecDeque::new(),
		}
	}

	pub(super) fn len(&self) -> usize {
		self.pending.len()
	}

	pub(super) const fn bytes(&self) -> usize {
		self.bytes
	}

	pub(super) fn push(&mut self, call: CallId, payloads: Vec<Bytes>) {
		let count = payloads.len();
		let first = self.last + 1;
		for (n, payload) in payloads.into_iter().enumerate() {
			self.last += 1;
			self.bytes += payload.len();
			self.pending.push_back(Pending {
				number: self.last,
				payload,
				call: (n + 1 == count).then_some((call, first)),
			});
		}
	}

	/// Who leads: whoever is new is sent everything.
	pub(super) fn set_target(&mut self, target: Option<(Term, MemberId)>) {
		if self.target != target {
			self.target = target;
			self.sent = 0;
		}
	}

	/// The next commands to send, empty if there are none.
	pub(super) fn next_batch(&self) -> Vec<Envelope> {
		let mut bytes = 0;
		let unsent = self
			.pending
			.partition_point(|pending| pending.number <= self.sent);
		let next = self
			.pending
			.range(unsent..)
			.take(MAX_BATCH)
			.take_while(|pending| {
				bytes += pending.payload.len();
				bytes <= MAX_BATCH_BYTES || bytes == pending.payload.len()
			});
		let envelope = |pending: &Pending| Envelope {
			origin: self.origin,
			origin_seq: pending.number,
			payload: pending.payload.clone(),
		};
		next.map(envelope).collect()
	}

	/// A batch is under way.
	pub(super) fn sent(&mut self, batch: &[Envelope], now: Ticks) {
		if let Some(last) = batch.last() {
			self.sent = last.origin_seq;
			self.active_at = now;
		}
	}

	/// The leader has everything up to `last` and not what follows: send that.
	pub(super) fn rewind(&mut self, last: u64) {
		self.sent = last;
	}

	/// Sends everything again, if nothing got through for too long.
	pub(super) fn retry_after(&mut self, timeout: Ticks, now: Ticks) {
		if self.deadline(timeout).is_some_and(|at| at <= now) {
			self.sent = 0;
			self.active_at = now;
		}
	}

	/// When to send again.
	pub(super) fn deadline(&self, timeout: Ticks) -> Option<Ticks> {
		let waits = !self.pending.is_empty() && self.target.is_some();
		waits.then(|| self.active_at.saturating_add(timeout))
	}

	/// These entries are being applied.
	pub(super) fn landing<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) {
		let Some(first) = self.pending.front().map(|pending| pending.number) else {
			return;
		};
		for entry in entries {
			let EntryKind::Commands(batch) = &entry.kind else {
				continue;
			};
			let before = entry.seq_end.saturating_sub(batch.len() as Seq);
			for (seq, envelope) in (before + 1..).zip(batch.iter()) {
				if envelope.origin == self.origin && envelope.origin_seq >= first {
					let landing = (entry.pos.index, envelope.origin_seq, seq);
					self.landing.push_back(landing);
				}
			}
		}
	}

	/// Everything up to `index` is applied: the requests that are done, with the
	/// index of their last command.
	pub(super) fn applied(&mut self, index: LogIndex, now: Ticks) -> Vec<(CallId, Option<Seq>)> {
		let mut done = Vec::new();
		while let Some(&(at, number, seq)) = self.landing.front()
			&& at <= index
		{
			self.landing.pop_front();
			self.active_at = now;
			self.finish(number, |_| Some(seq), &mut done);
		}
		done
	}

	/// The state came with a snapshot: what it contains is done.
	pub(super) fn restored(&mut self, state: &LogState) -> Vec<(CallId, Option<Seq>)> {
		let mut done = Vec::new();
		if let Some(session) = state.sessions.get(&self.origin) {
			self.landing.retain(|(_, number, _)| *number > session.last);
			self.finish(session.last, |number| session.seq_of(number), &mut done);
		}
		done
	}

	fn finish(
		&mut self,
		last: u64,
		seq_of: impl Fn(u64) -> Option<Seq>,
		done: &mut Vec<(CallId, Option<Seq>)>,
	) {
		while let Some(pending) = self.pending.front()
			&& pending.number <= last
		{
			self.bytes -= pending.payload.len();
			if let Some((call, _)) = pending.call {
				done.push((call, seq_of(pending.number)));
			}
			self.pending.pop_front();
		}
	}

	/// Nobody waits for what is pending any more; it is still sent.
	pub(super) fn detach_calls(&mut self) -> Vec<CallId> {
		let calls = self
			.pending
			.iter_mut()
			.filter_map(|pending| pending.call.take());
		calls.map(|(call, _)| call).collect()
	}

	/// Gives up on all that is pending: the requests, and whether a part of each
	/// has taken effect already.
	pub(super) fn take_calls(&mut self) -> Vec<(CallId, bool)> {
		self.bytes = 0;
		self.landing.clear();
		let pending = std::mem::take(&mut self.pending);
		let oldest = pending.front().map_or(0, |pending| pending.number);
		let calls = pending.into_iter().filter_map(|pending| pending.call);
		calls.map(|(call, first)| (call, first < oldest)).collect()
	}
}
