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
//! The producer runs at the pace of its *fastest* consumer: there is room while
//! that one's lag is below the capacity. What happens to the others is the
//! [`Lagging`] policy. A consumer is cut as soon as its lag exceeds the capacity
//! while another keeps up, or, where none keeps up, once it took nothing for
//! [`STALL_GRACE`] while somebody was waiting for room.

use {
	crate::core::Instant,
	bytes::{Bytes, BytesMut},
	std::{
		cell::Cell,
		collections::{BTreeMap, VecDeque},
		time::Duration,
	},
};

/// How long the fastest consumer may take nothing from a full queue.
pub const STALL_GRACE: Duration = Duration::from_secs(1);

/// The size at which an open batch is sealed, in bytes.
const SEAL_AT: usize = 64 * 1024;

/// The memory that is set aside for a new open batch, in bytes.
const BATCH_CAPACITY: usize = SEAL_AT + 4 * 1024;

/// An open batch is not begun in less memory than this, in bytes.
const SMALLEST_BATCH: usize = 1024;

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

struct Batch {
	/// The number of the datum after the last one of the batch.
	end: u64,
	bytes: Bytes,
}

struct Cursor {
	/// The number of the next datum to take; always the start of a batch.
	next: u64,
	/// Waits to be told of new datums.
	idle: bool,
}

/// The queue, see the [module](self).
pub struct Fanout {
	limits: FanoutLimits,
	/// The number of the next datum to be pushed.
	head: u64,
	sealed: VecDeque<Batch>,
	sealed_bytes: usize,
	open: BytesMut,
	open_start: u64,
	consumers: BTreeMap<ConsumerKey, Cursor>,
	next_key: u64,
	/// Since when the queue has been full with nobody taking anything.
	stalled_since: Option<Instant>,
}

impl Fanout {
	/// An empty queue.
	pub fn new(limits: FanoutLimits) -> Self {
		Self {
			limits: FanoutLimits {
				datums: limits.datums.max(1),
				..limits
			},
			head: 0,
			sealed: VecDeque::new(),
			sealed_bytes: 0,
			open: BytesMut::new(),
			open_start: 0,
			consumers: BTreeMap::new(),
			next_key: 0,
			stalled_since: None,
		}
	}

	/// Adds a consumer, which gets every datum pushed from now on.
	pub fn subscribe(&mut self) -> ConsumerKey {
		self.seal();
		let key = ConsumerKey(self.next_key);
		self.next_key += 1;
		self.consumers.insert(
			key,
			Cursor {
				next: self.head,
				idle: false,
			},
		);
		key
	}

	/// Removes a consumer. Returns how many datums it had not taken.
	pub fn unsubscribe(&mut self, key: ConsumerKey) -> u64 {
		let left = self
			.consumers
			.remove(&key)
			.map_or(0, |cursor| self.head - cursor.next);
		self.stalled_since = None;
		self.release();
		left
	}

	/// How many consumers there are.
	pub fn consumers(&self) -> usize {
		self.consumers.len()
	}

	/// Whether a datum can be pushed.
	pub fn has_room(&self) -> bool {
		let cursors = self.consumers.values().map(|cursor| cursor.next);
		let pace = match self.limits.lagging {
			Lagging::Disconnect => cursors.max(),
			Lagging::Wait => cursors.min(),
		};
		let lag = pace.map_or(0, |next| self.head - next);
		lag == 0 || (lag < self.limits.datums && self.bytes() < self.limits.bytes)
	}

	/// Appends a datum: `encode` writes one frame to the end of the buffer.
	///
	/// `wake` is called for every consumer that waits for datums. Consumers that
	/// now lag too far behind the others are returned by [`cut`](Self::cut).
	///
	/// # Errors
	/// When there is no room or `encode` fails; nothing was appended.
	pub fn push<E>(
		&mut self,
		encode: impl FnOnce(&mut BytesMut) -> Result<(), E>,
		mut wake: impl FnMut(ConsumerKey),
	) -> Result<(), PushError<E>> {
		if !self.has_room() {
			return Err(PushError::Full);
		}
		if self.open.is_empty() && self.open.capacity() < SMALLEST_BATCH {
			self.open.reserve(BATCH_CAPACITY);
		}
		let end = Cell::new(self.open.len());
		// Takes back what `encode` wrote, also when it panics.
		let restore = Restore {
			buffer: &mut self.open,
			end: &end,
		};
		encode(restore.buffer).map_err(PushError::Encode)?;
		end.set(restore.buffer.len());
		drop(restore);
		self.head += 1;
		if self.consumers.is_empty() {
			self.release();
		} else if self.open.len() >= SEAL_AT {
			self.seal();
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
	pub fn take(&mut self, key: ConsumerKey, max_bytes: usize, out: &mut Vec<Bytes>) -> u64 {
		let Some(cursor) = self.consumers.get(&key) else {
			return 0;
		};
		let start = cursor.next;
		if start == self.head {
			self.set_idle(key);
			return 0;
		}
		self.seal();
		let first = self.sealed.partition_point(|batch| batch.end <= start);
		let mut next = start;
		let mut bytes = 0;
		for batch in self.sealed.range(first..) {
			if bytes > 0 && bytes + batch.bytes.len() > max_bytes {
				break;
			}
			bytes += batch.bytes.len();
			next = batch.end;
			out.push(batch.bytes.clone());
		}
		if let Some(cursor) = self.consumers.get_mut(&key) {
			cursor.next = next;
		}
		self.stalled_since = None;
		self.release();
		next - start
	}

	/// Removes and returns the consumers that lag too far behind.
	///
	/// `waiting` says that somebody found the queue full just now.
	pub fn cut(&mut self, now: Instant, waiting: bool) -> Vec<ConsumerKey> {
		if self.limits.lagging == Lagging::Wait {
			return Vec::new();
		}
		let fastest = self.consumers.values().map(|cursor| cursor.next).max();
		let stalled = waiting && !self.has_room() && {
			now.since(*self.stalled_since.get_or_insert(now)) >= STALL_GRACE
		};
		let lagging: Vec<_> = self
			.consumers
			.iter()
			.filter(|(_, cursor)| {
				let behind =
					self.head - cursor.next > self.limits.datums && Some(cursor.next) < fastest;
				behind || stalled
			})
			.map(|(key, _)| *key)
			.collect();
		for key in &lagging {
			self.unsubscribe(*key);
		}
		lagging
	}

	/// When [`cut`](Self::cut) is due if somebody keeps waiting for room.
	pub fn stall_deadline(&self) -> Option<Instant> {
		self.stalled_since.map(|since| since + STALL_GRACE)
	}

	/// Whether some consumer may be behind by more than the capacity.
	///
	/// Cheaper than [`cut`](Self::cut), for the hot path.
	pub fn may_lag(&self) -> bool {
		self.limits.lagging == Lagging::Disconnect
			&& self.consumers.len() > 1
			&& self
				.consumers
				.values()
				.any(|c| self.head - c.next > self.limits.datums)
	}

	/// Whether every consumer has taken everything.
	pub fn is_drained(&self) -> bool {
		self.consumers
			.values()
			.all(|cursor| cursor.next == self.head)
	}

	fn bytes(&self) -> usize {
		self.sealed_bytes + self.open.len()
	}

	fn set_idle(&mut self, key: ConsumerKey) {
		if let Some(cursor) = self.consumers.get_mut(&key) {
			cursor.idle = true;
		}
	}

	/// Ends the open batch.
	fn seal(&mut self) {
		if self.open_start == self.head {
			return;
		}
		let bytes = self.open.split().freeze();
		self.sealed_bytes += bytes.len();
		self.sealed.push_back(Batch {
			end: self.head,
			bytes,
		});
		self.open_start = self.head;
		self.release();
	}

	/// Drops the batches that every consumer has taken.
	fn release(&mut self) {
		let slowest = self
			.consumers
			.values()
			.map(|cursor| cursor.next)
			.min()
			.unwrap_or(self.head);
		while let Some(batch) = self.sealed.front()
			&& batch.end <= slowest
		{
			self.sealed_bytes -= batch.bytes.len();
			self.sealed.pop_front();
		}
		if self.consumers.is_empty() {
			self.open.clear();
			self.open_start = self.head;
		}
	}
}

/// Cuts a buffer to a length when it is dropped.
struct Restore<'a> {
	buffer: &'a mut BytesMut,
	end: &'a Cell<usize>,
}

impl Drop for Restore<'_> {
	fn drop(&mut self) {
		self.buffer.truncate(self.end.get());
	}
}

impl std::fmt::Debug for Fanout {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.debug_struct("Fanout")
			.field("head", &self.head)
			.field("consumers", &self.consumers.len())
			.field("bytes", &self.bytes())
			.finish_non_exhaustive()
	}
}

#[cfg(test)]
mod tests {
	use {super::*, proptest::prelude::*, std::convert::Infallible};

	fn fanout(datums: u64, lagging: Lagging) -> Fanout {
		Fanout::new(FanoutLimits {
			datums,
			bytes: 1 << 20,
			lagging,
		})
	}

	/// Pushes one byte, returns who was woken.
	fn push(fanout: &mut Fanout, byte: u8) -> Result<Vec<ConsumerKey>, PushError<Infallible>> {
		let mut woken = Vec::new();
		let write = |buffer: &mut BytesMut| {
			buffer.extend_from_slice(&[byte]);
			Ok(())
		};
		fanout.push(write, |key| woken.push(key)).map(|()| woken)
	}

	fn take(fanout: &mut Fanout, key: ConsumerKey) -> Vec<u8> {
		let mut out = Vec::new();
		let count = fanout.take(key, usize::MAX, &mut out);
		let bytes = out.concat();
		assert_eq!(bytes.len() as u64, count);
		bytes
	}

	#[test]
	fn each_consumer_gets_everything_from_its_subscription_on() {
		let mut f = fanout(10, Lagging::Wait);
		let a = f.subscribe();
		push(&mut f, 1).unwrap();
		let b = f.subscribe();
		push(&mut f, 2).unwrap();
		assert_eq!(take(&mut f, a), [1, 2]);
		assert_eq!(take(&mut f, b), [2]);
		assert!(f.is_drained());
		assert_eq!(f.bytes(), 0);
	}

	#[test]
	fn only_idle_consumers_are_woken_and_only_once() {
		let mut f = fanout(10, Lagging::Wait);
		let a = f.subscribe();
		let _busy = f.subscribe();
		assert_eq!(take(&mut f, a), [0u8; 0]);
		assert_eq!(push(&mut f, 1).unwrap(), [a]);
		assert_eq!(push(&mut f, 2).unwrap(), []);
	}

	#[test]
	fn with_waiting_the_slowest_sets_the_pace() {
		let mut f = fanout(2, Lagging::Wait);
		let slow = f.subscribe();
		let fast = f.subscribe();
		push(&mut f, 1).unwrap();
		push(&mut f, 2).unwrap();
		take(&mut f, fast);
		assert!(matches!(push(&mut f, 3), Err(PushError::Full)));
		assert_eq!(f.cut(Instant(u64::MAX), true), []);
		take(&mut f, slow);
		push(&mut f, 3).unwrap();
	}

	#[test]
	fn with_disconnecting_the_fastest_sets_the_pace_and_the_slow_is_cut() {
		let mut f = fanout(2, Lagging::Disconnect);
		let slow = f.subscribe();
		let fast = f.subscribe();
		for byte in 0..3 {
			push(&mut f, byte).unwrap();
			take(&mut f, fast);
		}
		assert!(f.may_lag());
		assert_eq!(f.cut(Instant(0), false), [slow]);
		assert_eq!(take(&mut f, slow), [0u8; 0]);
		assert_eq!(f.bytes(), 0);
	}

	#[test]
	fn a_lone_stalled_consumer_is_cut_after_the_grace_only() {
		let mut f = fanout(2, Lagging::Disconnect);
		let lone = f.subscribe();
		push(&mut f, 1).unwrap();
		push(&mut f, 2).unwrap();
		let start = Instant(7);
		assert_eq!(f.cut(start, true), []);
		assert_eq!(f.stall_deadline(), Some(start + STALL_GRACE));
		take(&mut f, lone);
		assert_eq!(f.stall_deadline(), None);
		push(&mut f, 3).unwrap();
		push(&mut f, 4).unwrap();
		assert_eq!(f.cut(start + STALL_GRACE, true), []);
		assert_eq!(f.cut(start + STALL_GRACE + STALL_GRACE, true), [lone]);
	}

	#[test]
	fn a_failed_encoding_changes_nothing() {
		let mut f = fanout(2, Lagging::Wait);
		let a = f.subscribe();
		assert!(matches!(
			f.push(|_| Err("no"), |_| {}),
			Err(PushError::Encode("no"))
		));
		assert_eq!(take(&mut f, a), [0u8; 0]);
	}

	#[test]
	fn an_encoder_that_panics_leaves_nothing_behind() {
		let mut f = fanout(2, Lagging::Wait);
		let a = f.subscribe();
		let torn = |buffer: &mut BytesMut| -> Result<(), Infallible> {
			buffer.extend_from_slice(&[1, 2]);
			panic!("user code");
		};
		let pushed =
			std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f.push(torn, |_| {})));
		assert!(pushed.is_err());
		push(&mut f, 3).unwrap();
		assert_eq!(take(&mut f, a), [3]);
	}

	#[test]
	fn bytes_are_bounded_but_one_large_datum_passes() {
		let mut f = Fanout::new(FanoutLimits {
			datums: 10,
			bytes: 2,
			lagging: Lagging::Wait,
		});
		let a = f.subscribe();
		let large = |buffer: &mut BytesMut| {
			buffer.extend_from_slice(&[9; 5]);
			Ok::<_, Infallible>(())
		};
		f.push(large, |_| {}).unwrap();
		assert!(!f.has_room());
		let mut out = Vec::new();
		assert_eq!(f.take(a, 1, &mut out), 1);
		assert!(f.has_room());
	}

	proptest! {
		/// Whatever the interleaving, each consumer gets a gapless run of what was
		/// pushed while it was subscribed, and memory stays within the limits.
		#[test]
		fn runs_are_gapless_and_bounded(steps in prop::collection::vec(0u8..8, 1..300), wait: bool) {
			let lagging = if wait { Lagging::Wait } else { Lagging::Disconnect };
			let mut f = fanout(4, lagging);
			let mut alive: Vec<(ConsumerKey, u8)> = Vec::new();
			let mut pushed = 0u8;
			for step in steps {
				match step {
					0 if alive.len() < 4 => alive.push((f.subscribe(), pushed)),
					1 if !alive.is_empty() => {
						let (key, _) = alive.remove(0);
						f.unsubscribe(key);
					}
					2..=4 => {
						if push(&mut f, pushed).is_ok() {
							pushed = pushed.wrapping_add(1);
						}
						let cut = f.cut(Instant(0), false);
						alive.retain(|(key, _)| !cut.contains(key));
						prop_assert!(!cut.is_empty() || f.bytes() <= 6);
					}
					_ if !alive.is_empty() => {
						let index = usize::from(step) % alive.len();
						let (key, expected) = &mut alive[index];
						for byte in take(&mut f, *key) {
							prop_assert_eq!(byte, *expected);
							*expected = expected.wrapping_add(1);
						}
						prop_assert_eq!(*expected, pushed);
					}
					_ => {}
				}
			}
		}
	}
}
