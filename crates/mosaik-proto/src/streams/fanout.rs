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
//! charged to it:
//!
//! - Short waits add up; a quarter of the time is forgiven, [`DELAY_MAX`] is too much.
//! - A pause, longer than [`PAUSE_MIN`] without taking anything, is paid from an
//!   allowance, [`PAUSE_FIRST`] in the beginning, that grows by one part in
//!   [`EARNED`] of the time for which the consumer is subscribed, to [`PAUSE_MAX`].
//!
//! Who has nothing left to pay with is cut. So consumers of about the same speed
//! stay together, one that has been reading survives a hiccup, and one that is
//! really slower, or reads no more, costs the others next to nothing. Where no
//! consumer keeps up, one that takes nothing for [`STALL_GRACE`] is cut.
//!
//! At most [`TICK`] is charged at once, and whoever waits looks again after that
//! time. On a machine with more work than processors the producer gets to look less
//! often, just as its consumers get to read less often: what is counted are the
//! chances to run, not the time on the wall.

use {
	crate::core::Instant,
	bytes::{Bytes, BytesMut},
	std::{
		cell::Cell,
		collections::{BTreeMap, VecDeque},
		time::Duration,
	},
};

/// How long a consumer may take nothing from a full queue while it holds up
/// nobody but the producer.
pub const STALL_GRACE: Duration = Duration::from_secs(1);

/// From this length on a wait is a pause.
pub const PAUSE_MIN: Duration = Duration::from_millis(20);

/// How long a new consumer may take nothing from a full queue while others run dry.
pub const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The same for one that has been subscribed for long.
pub const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The share of the time that a consumer may pause: one part in so many.
const EARNED: u32 = 25;

/// What is charged at most at once, and how often one who waits looks again.
const TICK: Duration = Duration::from_millis(5);

/// The same where nobody but the producer is held up.
const SLOW_TICK: Duration = Duration::from_millis(50);

/// Accounts are settled this often while nobody is waited for.
const SETTLE_EVERY: Duration = Duration::from_millis(1);

/// How much time a consumer may take from others in all, less what is forgiven.
pub const DELAY_MAX: Duration = Duration::from_millis(250);

/// How many times the capacity a consumer may lag while another keeps up.
pub const SLACK: u64 = 8;

/// The share of the time for which a consumer may hold up others: one in four.
const FORGIVEN: u32 = 4;

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
	/// The rest of the last datum, if it was not copied.
	rest: Option<Bytes>,
}

impl Batch {
	fn len(&self) -> usize {
		self.bytes.len() + self.rest.as_ref().map_or(0, Bytes::len)
	}
}

struct Cursor {
	/// The number of the next datum to take; always the start of a batch.
	next: u64,
	/// Waits to be told of new datums.
	idle: bool,
	/// For how long it has been waited for since it last took something.
	still: Duration,
	/// For how much of that others had nothing left to take.
	pause: Duration,
	/// The time it has taken from others in short waits.
	delay: Duration,
	/// How long a pause it can pay for.
	allowance: Duration,
}

impl Cursor {
	const fn new(next: u64) -> Self {
		Self {
			next,
			idle: false,
			still: Duration::ZERO,
			pause: Duration::ZERO,
			delay: Duration::ZERO,
			allowance: PAUSE_FIRST,
		}
	}

	fn forgive(&mut self, elapsed: Duration) {
		self.delay = self.delay.saturating_sub(elapsed / FORGIVEN);
		self.allowance = PAUSE_MAX.min(self.allowance + elapsed / EARNED);
	}

	/// Takes what is before `next`, and pays for the wait.
	fn move_to(&mut self, next: u64) {
		self.next = next;
		self.still = Duration::ZERO;
		let pause = std::mem::take(&mut self.pause);
		if pause < PAUSE_MIN {
			self.delay += pause;
		} else {
			self.allowance = self.allowance.saturating_sub(pause);
		}
	}

	/// How long it may go on as it does.
	fn patience(&self, delays_others: bool) -> Duration {
		if !delays_others {
			return STALL_GRACE.saturating_sub(self.still);
		}
		let short = self.delay + self.pause.min(PAUSE_MIN);
		// Charged in full, and forgiven in part meanwhile.
		let left = DELAY_MAX.saturating_sub(short) * FORGIVEN / (FORGIVEN - 1);
		// A short wait is not paid from the allowance.
		left.min(self.allowance.max(PAUSE_MIN).saturating_sub(self.pause))
	}
}

/// The queue, see the module.
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
			head: 0,
			sealed: VecDeque::new(),
			sealed_bytes: 0,
			open: BytesMut::new(),
			open_start: 0,
			consumers: BTreeMap::new(),
			next_key: 0,
			is_waited_for: false,
			is_catching_up: false,
			settled: Instant::default(),
		}
	}

	/// Adds a consumer, which gets every datum pushed from now on.
	pub fn subscribe(&mut self) -> ConsumerKey {
		self.seal();
		let key = ConsumerKey(self.next_key);
		self.next_key += 1;
		self.consumers.insert(key, Cursor::new(self.head));
		key
	}

	/// Removes a consumer. Returns how many datums it had not taken.
	pub fn unsubscribe(&mut self, key: ConsumerKey) -> u64 {
		let left = self
			.consumers
			.remove(&key)
			.map_or(0, |cursor| self.head - cursor.next);
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
		let lag = slowest.map_or(0, |next| self.head - next);
		if lag == 0 {
			return true;
		}
		lag < self.allowed_lag() && self.bytes() < self.limits.bytes
	}

	/// By how much a consumer may lag at most, as the others stand.
	fn allowed_lag(&self) -> u64 {
		let fastest = self.consumers.values().map(|cursor| cursor.next).max();
		let pace = fastest.map_or(0, |next| self.head - next);
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
		if self.open.is_empty() && self.open.capacity() < SMALLEST_BATCH {
			self.open.reserve(BATCH_CAPACITY);
		}
		let end = Cell::new(self.open.len());
		// Takes back what `encode` wrote, also when it panics.
		let restore = Restore {
			buffer: &mut self.open,
			end: &end,
		};
		let rest = encode(restore.buffer).map_err(PushError::Encode)?;
		end.set(restore.buffer.len());
		drop(restore);
		self.head += 1;
		if self.consumers.is_empty() {
			self.release();
		} else if rest.is_some() || self.open.len() >= SEAL_AT {
			self.seal_with(rest);
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
			if bytes > 0 && bytes + batch.len() > max_bytes {
				break;
			}
			bytes += batch.len();
			next = batch.end;
			out.push(batch.bytes.clone());
			out.extend(batch.rest.clone());
		}
		if let Some(cursor) = self.consumers.get_mut(&key) {
			cursor.move_to(next);
		}
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
			.filter(|(_, cursor)| self.blocks(cursor) && cursor.patience(delays_others).is_zero())
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
			.map(|cursor| cursor.patience(delays_others))
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
			let charge = elapsed.min(tick(delays_others));
			for cursor in self.blockers() {
				cursor.still += charge;
				if delays_others {
					cursor.pause += charge;
				}
			}
		}
		for cursor in self.consumers.values_mut() {
			cursor.forgive(elapsed);
		}
	}

	/// Whether the queue is full because of this consumer.
	fn blocks(&self, cursor: &Cursor) -> bool {
		let lag = self.head - cursor.next;
		lag >= self.allowed_lag() || (lag > 0 && self.bytes() >= self.limits.bytes)
	}

	fn blockers(&mut self) -> impl Iterator<Item = &mut Cursor> {
		let (head, allowed) = (self.head, self.allowed_lag());
		let is_over_bytes = self.bytes() >= self.limits.bytes;
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
		self.seal_with(None);
	}

	fn seal_with(&mut self, rest: Option<Bytes>) {
		if self.open_start == self.head {
			return;
		}
		let batch = Batch {
			end: self.head,
			bytes: self.open.split().freeze(),
			rest,
		};
		self.sealed_bytes += batch.len();
		self.sealed.push_back(batch);
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
			self.sealed_bytes -= batch.len();
			self.sealed.pop_front();
		}
		if self.consumers.is_empty() {
			self.open.clear();
			self.open_start = self.head;
		}
	}
}

/// How often one who waits looks again.
const fn tick(delays_others: bool) -> Duration {
	if delays_others { TICK } else { SLOW_TICK }
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
			Ok(None)
		};
		fanout.push(write, |key| woken.push(key)).map(|()| woken)
	}

	fn take(fanout: &mut Fanout, key: ConsumerKey) -> Vec<u8> {
		let mut out = Vec::new();
		let count = fanout.take(fanout.settled, key, usize::MAX, &mut out);
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
		assert_eq!(f.cut(Instant(u64::MAX)), []);
		take(&mut f, slow);
		push(&mut f, 3).unwrap();
	}

	/// Takes everything and then waits for more.
	fn drain(fanout: &mut Fanout, key: ConsumerKey) {
		while !take(fanout, key).is_empty() {}
	}

	fn ms(ms: u64) -> Instant {
		Instant(ms * 1000)
	}

	/// Waits as a driver does: when somebody is cut, and who.
	fn wait_for_cut(fanout: &mut Fanout, since: Instant) -> (Duration, ConsumerKey) {
		let mut now = since;
		loop {
			if let [(key, _)] = fanout.cut(now)[..] {
				return (now.since(since), key);
			}
			now = fanout.cut_deadline().unwrap();
		}
	}

	/// A consumer that lags by all that it may, and one that does not.
	fn full(fanout: &mut Fanout) -> (ConsumerKey, ConsumerKey) {
		let slow = fanout.subscribe();
		let fast = fanout.subscribe();
		fill(fanout, fast);
		(slow, fast)
	}

	fn fill(fanout: &mut Fanout, fast: ConsumerKey) {
		while fanout.has_room() {
			push(fanout, 7).unwrap();
			drain(fanout, fast);
		}
	}

	#[test]
	fn a_new_consumer_that_holds_up_others_is_cut_after_fifty_milliseconds() {
		let mut f = fanout(2, Lagging::Disconnect);
		let (slow, _) = full(&mut f);
		let (after, cut) = wait_for_cut(&mut f, ms(0));
		assert_eq!(cut, slow);
		// A little is earned meanwhile.
		assert!((ms(50)..ms(55)).contains(&(ms(0) + after)), "{after:?}");
		assert_eq!(take(&mut f, slow), [0u8; 0]);
		assert_eq!(f.bytes(), 0);
		push(&mut f, 3).unwrap();
	}

	#[test]
	fn one_that_has_read_for_long_may_pause_for_a_share_of_that_time() {
		for (subscribed, share) in [(1_000, 50 + 40), (10_000, 50 + 400), (100_000, 1_000)] {
			let mut f = fanout(2, Lagging::Disconnect);
			let (slow, _) = full(&mut f);
			let now = ms(subscribed);
			let (after, cut) = wait_for_cut(&mut f, now);
			assert_eq!(cut, slow);
			let expected = Duration::from_millis(share);
			let most = expected + expected / 10;
			assert!((expected..most).contains(&after), "{after:?}");
		}
	}

	#[test]
	fn one_that_is_waited_for_catches_up_by_half_before_there_is_room() {
		let mut f = fanout(2, Lagging::Disconnect);
		let (slow, fast) = full(&mut f);
		assert_eq!(f.cut(ms(0)), []);
		let mut lag = 16;
		while !f.has_room() {
			let taken = f.take(ms(0), slow, 1, &mut Vec::new());
			assert!(taken > 0, "each datum was sealed on its own");
			lag -= taken;
		}
		assert!(lag < 8, "{lag}");
		let mut pushed = 0;
		while f.has_room() {
			push(&mut f, 7).unwrap();
			drain(&mut f, fast);
			pushed += 1;
		}
		assert_eq!(lag + pushed, 16);
	}

	#[test]
	fn time_before_a_wait_is_not_charged() {
		let mut f = fanout(2, Lagging::Disconnect);
		let (slow, fast) = full(&mut f);
		let mut now = ms(0);
		for _ in 0..5_000 {
			// Waited for during a twentieth of the time.
			assert_eq!(f.cut(now), []);
			now = now + Duration::from_micros(45);
			f.take(now, slow, usize::MAX, &mut Vec::new());
			fill(&mut f, fast);
			now = now + Duration::from_micros(855);
		}
	}

	#[test]
	fn one_that_paused_is_not_cut_at_the_next_short_wait() {
		let mut f = fanout(2, Lagging::Disconnect);
		let (slow, fast) = full(&mut f);
		let mut now = ms(0);
		for _ in 0..10 {
			assert_eq!(f.cut(now), []);
			now = now + TICK;
		}
		f.take(now, slow, usize::MAX, &mut Vec::new());
		fill(&mut f, fast);
		assert_eq!(f.cut(now), []);
		assert_eq!(f.cut(now + TICK), []);
		f.take(now + TICK, slow, usize::MAX, &mut Vec::new());
	}

	#[test]
	fn one_below_the_limit_is_not_waited_for_where_all_were_behind() {
		let mut f = fanout(2, Lagging::Disconnect);
		let (_slow, fast) = (f.subscribe(), f.subscribe());
		for _ in 0..10 {
			push(&mut f, 7).unwrap();
			drain(&mut f, fast);
		}
		push(&mut f, 7).unwrap();
		push(&mut f, 7).unwrap();
		assert!(!f.has_room(), "the fastest lags by the capacity");
		assert_eq!(f.cut(ms(0)), []);
		drain(&mut f, fast);
		assert!(f.has_room(), "the other one lags by 12 of 16");
	}

	#[test]
	fn a_pause_is_paid_for_once() {
		let mut f = fanout(2, Lagging::Disconnect);
		let (slow, fast) = full(&mut f);
		let mut now = ms(10_000);
		for _ in 0..80 {
			assert_eq!(f.cut(now), []);
			now = now + TICK;
		}
		f.take(now, slow, usize::MAX, &mut Vec::new());
		fill(&mut f, fast);
		let (after, _) = wait_for_cut(&mut f, now);
		assert!(after < Duration::from_millis(100), "{after:?}");
	}

	#[test]
	fn time_in_which_the_producer_did_not_get_to_run_is_not_charged() {
		let mut f = fanout(2, Lagging::Disconnect);
		let (slow, _) = full(&mut f);
		assert_eq!(f.cut(ms(0)), []);
		assert_eq!(f.cut(ms(400)), []);
		assert_eq!(f.cut(ms(800)), []);
		assert_eq!(take(&mut f, slow).len(), 16);
	}

	#[test]
	fn with_disconnecting_one_that_is_always_slower_is_cut_in_the_end() {
		let mut f = fanout(2, Lagging::Disconnect);
		let slow = f.subscribe();
		let fast = f.subscribe();
		for step in 0..200 {
			while f.has_room() {
				push(&mut f, 1).unwrap();
				drain(&mut f, fast);
			}
			let now = ms(step * 10);
			let looks = [now, now + TICK];
			if let Some((cut, _)) = looks.into_iter().find_map(|now| f.cut(now).pop()) {
				assert_eq!(cut, slow);
				// It holds up the other for 9 of 10 ms; 2.5 of them are forgiven.
				assert!((30..42).contains(&step), "{step}");
				return;
			}
			f.take(now + Duration::from_millis(9), slow, 1, &mut Vec::new());
		}
		panic!("it was never cut");
	}

	#[test]
	fn consumers_that_take_turns_at_being_slow_are_not_cut() {
		let mut f = fanout(2, Lagging::Disconnect);
		let keys = [
			f.subscribe(),
			f.subscribe(),
			f.subscribe(),
			f.subscribe(),
			f.subscribe(),
		];
		for round in 0..1000 {
			let slow = keys[round % keys.len()];
			while f.has_room() {
				push(&mut f, 1).unwrap();
				for key in keys.into_iter().filter(|key| *key != slow) {
					drain(&mut f, key);
				}
			}
			let now = ms(round as u64 * 10);
			assert_eq!(f.cut(now), []);
			assert_eq!(f.cut(now + Duration::from_millis(5)), []);
			f.take(
				now + Duration::from_millis(9),
				slow,
				usize::MAX,
				&mut Vec::new(),
			);
		}
	}

	#[test]
	fn time_with_room_is_nobodys_delay() {
		let mut f = fanout(2, Lagging::Disconnect);
		let slow = f.subscribe();
		let fast = f.subscribe();
		push(&mut f, 1).unwrap();
		drain(&mut f, fast);
		f.settle(ms(5000));
		push(&mut f, 2).unwrap();
		drain(&mut f, fast);
		// Full for a long time, but nobody wanted to push.
		assert_eq!(f.cut(ms(9000)), []);
		assert_eq!(take(&mut f, slow), [1, 2]);
	}

	#[test]
	fn a_lone_stalled_consumer_is_cut_after_the_grace_only() {
		let mut f = fanout(2, Lagging::Disconnect);
		let lone = f.subscribe();
		push(&mut f, 1).unwrap();
		push(&mut f, 2).unwrap();
		let start = ms(7);
		assert_eq!(f.cut(start), []);
		assert_eq!(f.cut_deadline(), Some(start + SLOW_TICK));
		f.take(start + TICK, lone, usize::MAX, &mut Vec::new());
		assert_eq!(f.cut_deadline(), None);
		push(&mut f, 3).unwrap();
		push(&mut f, 4).unwrap();
		assert_eq!(wait_for_cut(&mut f, ms(2000)), (STALL_GRACE, lone));
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
		let torn = |buffer: &mut BytesMut| -> Result<Option<Bytes>, Infallible> {
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
	fn a_rest_that_is_not_copied_follows_its_beginning() {
		let mut f = fanout(10, Lagging::Wait);
		let a = f.subscribe();
		push(&mut f, 1).unwrap();
		let rest = Bytes::from_static(&[3, 4]);
		let large = |buffer: &mut BytesMut| {
			buffer.extend_from_slice(&[2]);
			Ok::<_, Infallible>(Some(rest.clone()))
		};
		f.push(large, |_| {}).unwrap();
		push(&mut f, 5).unwrap();
		let mut out = Vec::new();
		assert_eq!(f.take(ms(0), a, usize::MAX, &mut out), 3);
		assert_eq!(out.concat(), [1, 2, 3, 4, 5]);
		assert_eq!(out[1].as_ptr(), rest.as_ptr());
		assert_eq!(f.bytes(), 0);
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
			Ok::<_, Infallible>(None)
		};
		f.push(large, |_| {}).unwrap();
		assert!(!f.has_room());
		let mut out = Vec::new();
		assert_eq!(f.take(ms(0), a, 1, &mut out), 1);
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
						let cut = f.cut(ms(0));
						alive.retain(|(key, _)| cut.iter().all(|(cut, _)| cut != key));
						prop_assert!(!cut.is_empty() || f.bytes() <= 4 * SLACK as usize);
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
