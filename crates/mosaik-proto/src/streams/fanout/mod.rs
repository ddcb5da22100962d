//! The producer's queue: written once, read by every consumer at its own pace.
//!
//! Datums are encoded one after another into an open batch. A consumer that is
//! ready takes everything from its cursor on: the open batch is sealed then, and
//! the sealed bytes are shared with whoever takes them later. So the size of a
//! batch follows from how busy the consumers are, and an idle consumer gets a
//! lone datum at once.
//!
//! ```text
//!            sealed, shared            open
//!    [ … 7 8 9 ][ 10 11 ][ 12 13 14 ]( 15 16 ‥
//!               ^ slow: lag 7        ^ fast: lag 2
//! ```
//!
//! With [`Lagging::Wait`] there is room while the slowest consumer lags by less than
//! the capacity. With [`Lagging::Disconnect`] the fastest one sets the pace, and the
//! others may lag by [`SLACK`] times as much: so a consumer that pauses for a moment
//! holds up nobody. One that lags by all of that is waited for until it lags by half
//! of it only: let go at once, it would compete with all others for the processors
//! and stay where it is. The time for which others then have nothing left to take is
//! charged to it, see [`account`]; who has nothing left to pay with is cut. So
//! consumers of about the same speed stay together, one that has been reading
//! survives a hiccup, and one that is really slower, or reads no more, costs the
//! others next to nothing.

mod account;
mod batches;

pub use account::{DELAY_MAX, PAUSE_FIRST, PAUSE_MAX, PAUSE_MIN, STALL_GRACE};

use {
	crate::core::Instant,
	account::{Account, tick},
	batches::Batches,
	bytes::{Bytes, BytesMut},
	std::{collections::BTreeMap, time::Duration},
};

/// Accounts are settled this often while nobody is waited for.
const SETTLE_EVERY: Duration = Duration::from_millis(1);

/// How many times the capacity a consumer may lag while another keeps up.
pub const SLACK: u64 = 8;

/// A consumer of one producer, numbered in the order of subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerKey(u64);

/// What happens to a consumer that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lagging {
	/// It is cut, and the others go on.
	Disconnect,
	/// The producer waits for it.
	Wait,
}

/// The bounds of a producer's queue.
#[derive(Debug, Clone, Copy)]
pub struct FanoutLimits {
	/// How many datums a consumer may be behind, at least 1.
	pub datums: u64,
	/// How many bytes the queue may hold. A single larger datum is let in when
	/// the queue is empty.
	pub bytes: usize,
	/// What happens to a consumer that does not keep up.
	pub lagging: Lagging,
}

/// Why a datum was not taken. The queue is as it was.
#[derive(Debug)]
pub enum PushError<E> {
	/// There is no room.
	Full,
	/// The datum has no encoding within the limits.
	Encode(E),
}

/// Where a consumer is.
struct Cursor {
	/// The number of the next datum to take; always the start of a batch.
	next: u64,
	/// Waits to be told of new datums.
	idle: bool,
	account: Account,
}

/// The queue, see the module.
pub struct Fanout {
	limits: FanoutLimits,
	batches: Batches,
	consumers: BTreeMap<ConsumerKey, Cursor>,
	next_key: u64,
	/// Whether somebody found the queue full and it has been full since.
	is_waited_for: bool,
	/// One that reached the limit is waited for until it lags by half of that.
	is_catching_up: bool,
	/// Until when the accounts are settled.
	settled: Instant,
}

impl Fanout {
	/// An empty queue.
	pub fn new(limits: FanoutLimits) -> Self {
		Self {
			limits: FanoutLimits {
				datums: limits.datums.max(1),
				..limits
			},
			batches: Batches::default(),
			consumers: BTreeMap::new(),
			next_key: 0,
			is_waited_for: false,
			is_catching_up: false,
			settled: Instant::default(),
		}
	}

	/// Adds a consumer, which gets every datum pushed from now on.
	pub fn subscribe(&mut self) -> ConsumerKey {
		self.batches.seal();
		let key = ConsumerKey(self.next_key);
		self.next_key += 1;
		let cursor = Cursor {
			next: self.batches.head(),
			idle: false,
			account: Account::new(),
		};
		self.consumers.insert(key, cursor);
		key
	}

	/// Removes a consumer. Returns how many datums it had not taken.
	pub fn unsubscribe(&mut self, key: ConsumerKey) -> u64 {
		let left = self
			.consumers
			.remove(&key)
			.map_or(0, |cursor| self.batches.head() - cursor.next);
		self.release();
		self.look_for_room();
		left
	}

	/// Nobody is waited for any more where there is room.
	fn look_for_room(&mut self) {
		if self.has_room() {
			self.is_waited_for = false;
			self.is_catching_up = false;
		}
	}

	/// How many consumers there are.
	pub fn consumers(&self) -> usize {
		self.consumers.len()
	}

	/// Whether a datum can be pushed.
	pub fn has_room(&self) -> bool {
		let slowest = self.consumers.values().map(|cursor| cursor.next).min();
		let lag = slowest.map_or(0, |next| self.batches.head() - next);
		if lag == 0 {
			return true;
		}
		lag < self.allowed_lag() && self.batches.bytes() < self.limits.bytes
	}

	/// By how much a consumer may lag at most, as the others stand.
	fn allowed_lag(&self) -> u64 {
		let fastest = self.consumers.values().map(|cursor| cursor.next).max();
		let pace = fastest.map_or(0, |next| self.batches.head() - next);
		match self.limits.lagging {
			Lagging::Disconnect if pace < self.limits.datums => {
				let slack = if self.is_catching_up {
					SLACK / 2
				} else {
					SLACK
				};
				self.limits.datums.saturating_mul(slack)
			}
			Lagging::Disconnect | Lagging::Wait => self.limits.datums,
		}
	}

	/// Appends a datum: `encode` writes one frame to the end of the buffer, or its
	/// beginning and returns the rest where that saves a copy.
	///
	/// `wake` is called for every consumer that waits for datums.
	///
	/// # Errors
	/// When there is no room or `encode` fails; nothing was appended.
	pub fn push<E>(
		&mut self,
		encode: impl FnOnce(&mut BytesMut) -> Result<Option<Bytes>, E>,
		mut wake: impl FnMut(ConsumerKey),
	) -> Result<(), PushError<E>> {
		if !self.has_room() {
			return Err(PushError::Full);
		}
		self.batches.push(encode).map_err(PushError::Encode)?;
		if self.consumers.is_empty() {
			self.batches.clear();
		}
		for (key, cursor) in &mut self.consumers {
			if std::mem::take(&mut cursor.idle) {
				wake(*key);
			}
		}
		Ok(())
	}

	/// Moves up to about `max_bytes` (at least one batch) to `out` and returns
	/// how many datums that is. When it is none, the consumer is woken by the
	/// next [`push`](Self::push).
	pub fn take(
		&mut self,
		now: Instant,
		key: ConsumerKey,
		max_bytes: usize,
		out: &mut Vec<Bytes>,
	) -> u64 {
		self.settle(now);
		let Some(cursor) = self.consumers.get_mut(&key) else {
			return 0;
		};
		let start = cursor.next;
		if start == self.batches.head() {
			cursor.idle = true;
			return 0;
		}
		self.batches.seal();
		let mut next = start;
		let mut bytes = 0;
		for batch in self.batches.sealed_from(start) {
			if bytes > 0 && bytes + batch.len() > max_bytes {
				break;
			}
			bytes += batch.len();
			next = batch.end;
			out.push(batch.bytes.clone());
			out.extend(batch.rest.clone());
		}
		cursor.next = next;
		cursor.account.pay();
		self.release();
		self.look_for_room();
		next - start
	}

	/// Somebody found the queue full: removes and returns the consumers that have
	/// held it up for too long, and how many datums each had not taken.
	pub fn cut(&mut self, now: Instant) -> Vec<(ConsumerKey, u64)> {
		// What was before is not charged: nobody wanted more of them until now.
		self.settle_now(now);
		if self.has_room() {
			return Vec::new();
		}
		if !self.is_waited_for {
			self.is_waited_for = true;
			let limit = self.limits.datums.saturating_mul(SLACK);
			self.is_catching_up = self.allowed_lag() == limit;
		}
		if self.limits.lagging == Lagging::Wait {
			return Vec::new();
		}
		let delays_others = self.someone_is_idle();
		let over: Vec<_> = self
			.consumers
			.iter()
			.filter(|(_, cursor)| {
				self.blocks(cursor) && cursor.account.patience(delays_others).is_zero()
			})
			.map(|(key, _)| *key)
			.collect();
		over.into_iter()
			.map(|key| (key, self.unsubscribe(key)))
			.collect()
	}

	/// When [`cut`](Self::cut) may cut somebody, if the queue stays full.
	pub fn cut_deadline(&self) -> Option<Instant> {
		if !self.is_waited_for || self.limits.lagging == Lagging::Wait {
			return None;
		}
		let delays_others = self.someone_is_idle();
		let blockers = self.consumers.values().filter(|cursor| self.blocks(cursor));
		let patience = blockers
			.map(|cursor| cursor.account.patience(delays_others))
			.min()?;
		// Never now: time has to pass before there is something new to see.
		Some(self.settled + patience.clamp(Duration::from_micros(1), tick(delays_others)))
	}

	/// Charges those who are waited for with the time since the last call.
	fn settle(&mut self, now: Instant) {
		let elapsed = now.since(self.settled);
		if elapsed < SETTLE_EVERY && !self.is_waited_for {
			return;
		}
		self.settle_now(now);
	}

	fn settle_now(&mut self, now: Instant) {
		let elapsed = now.since(self.settled);
		self.settled = self.settled.max(now);
		if self.is_waited_for {
			let delays_others = self.someone_is_idle();
			for cursor in self.blockers() {
				cursor.account.charge(elapsed, delays_others);
			}
		}
		for cursor in self.consumers.values_mut() {
			cursor.account.forgive(elapsed);
		}
	}

	/// Whether the queue is full because of this consumer.
	fn blocks(&self, cursor: &Cursor) -> bool {
		let lag = self.batches.head() - cursor.next;
		lag >= self.allowed_lag() || (lag > 0 && self.batches.bytes() >= self.limits.bytes)
	}

	fn blockers(&mut self) -> impl Iterator<Item = &mut Cursor> {
		let (head, allowed) = (self.batches.head(), self.allowed_lag());
		let is_over_bytes = self.batches.bytes() >= self.limits.bytes;
		self.consumers.values_mut().filter(move |cursor| {
			let lag = head - cursor.next;
			lag >= allowed || (lag > 0 && is_over_bytes)
		})
	}

	fn someone_is_idle(&self) -> bool {
		self.consumers.values().any(|cursor| cursor.idle)
	}

	/// Whether every consumer has taken everything.
	pub fn is_drained(&self) -> bool {
		self.consumers
			.values()
			.all(|cursor| cursor.next == self.batches.head())
	}

	/// Drops what every consumer has taken.
	fn release(&mut self) {
		match self.consumers.values().map(|cursor| cursor.next).min() {
			Some(slowest) => self.batches.release(slowest),
			None => self.batches.clear(),
		}
	}
}

impl std::fmt::Debug for Fanout {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.debug_struct("Fanout")
			.field("head", &self.batches.head())
			.field("consumers", &self.consumers.len())
			.field("bytes", &self.batches.bytes())
			.finish_non_exhaustive()
	}
}

#[cfg(test)]
mod tests;
