//! How long a consumer may hold up the others.
//!
//! The time for which others have nothing left to take because one is waited for is
//! charged to it:
//!
//! - Short waits add up; a quarter of the time is forgiven, [`DELAY_MAX`] is too much.
//! - A pause, longer than [`PAUSE_MIN`] without taking anything, is paid from an
//!   allowance, [`PAUSE_FIRST`] in the beginning, that grows by one part in
//!   [`EARNED`] of the time for which the consumer is subscribed, to [`PAUSE_MAX`].
//!
//! Where nobody but the producer is held up, one that takes nothing for
//! [`STALL_GRACE`] has used up its time.
//!
//! At most a [`tick`] is charged at once, and whoever waits looks again after that
//! time. On a machine with more work than processors the producer gets to look less
//! often, just as its consumers get to read less often: what is counted are the
//! chances to run, not the time on the wall.

use std::time::Duration;

/// How long a consumer may take nothing from a full queue while it holds up
/// nobody but the producer.
pub const STALL_GRACE: Duration = Duration::from_secs(1);

/// From this length on a wait is a pause.
pub const PAUSE_MIN: Duration = Duration::from_millis(20);

/// How long a new consumer may take nothing from a full queue while others run dry.
pub const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The same for one that has been subscribed for long.
pub const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How much time a consumer may take from others in all, less what is forgiven.
pub const DELAY_MAX: Duration = Duration::from_millis(250);

/// The share of the time that a consumer may pause: one part in so many.
const EARNED: u32 = 25;

/// The share of the time for which a consumer may hold up others: one in four.
const FORGIVEN: u32 = 4;

/// What is charged at most at once, and how often one who waits looks again.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// The same where nobody but the producer is held up.
pub(super) const SLOW_TICK: Duration = Duration::from_millis(50);

/// How often one who waits looks again.
pub(super) const fn tick(delays_others: bool) -> Duration {
	if delays_others { TICK } else { SLOW_TICK }
}

/// What a consumer has taken from the others, and may take.
#[derive(Debug)]
pub(super) struct Account {
	/// For how long it has been waited for since it last took something.
	still: Duration,
	/// For how much of that others had nothing left to take.
	pause: Duration,
	/// The time it has taken from others in short waits.
	delay: Duration,
	/// How long a pause it can pay for.
	allowance: Duration,
}

impl Account {
	pub(super) const fn new() -> Self {
		Self {
			still: Duration::ZERO,
			pause: Duration::ZERO,
			delay: Duration::ZERO,
			allowance: PAUSE_FIRST,
		}
	}

	/// Time passes.
	pub(super) fn forgive(&mut self, elapsed: Duration) {
		self.delay = self.delay.saturating_sub(elapsed / FORGIVEN);
		self.allowance = PAUSE_MAX.min(self.allowance + elapsed / EARNED);
	}

	/// It has been waited for, for so long.
	pub(super) fn charge(&mut self, elapsed: Duration, delays_others: bool) {
		let charge = elapsed.min(tick(delays_others));
		self.still += charge;
		if delays_others {
			self.pause += charge;
		}
	}

	/// It takes something: the wait is over, and paid for.
	pub(super) fn pay(&mut self) {
		self.still = Duration::ZERO;
		let pause = std::mem::take(&mut self.pause);
		if pause < PAUSE_MIN {
			self.delay += pause;
		} else {
			self.allowance = self.allowance.saturating_sub(pause);
		}
	}

	/// How long it may go on as it does.
	pub(super) fn patience(&self, delays_others: bool) -> Duration {
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
