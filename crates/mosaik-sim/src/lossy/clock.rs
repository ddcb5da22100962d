//! Clocks that run at different rates.

use mosaik_proto::groups::types::Ticks;

/// A clock that began with a process and never goes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
	/// When the rate was set, in true microseconds.
	since: u64,
	/// What the clock said then, in its own microseconds.
	said: u64,
	/// Thousandths of the true rate.
	rate: u64,
}

impl Default for Clock {
	fn default() -> Self {
		Self::new(0, 1000)
	}
}

impl Clock {
	pub(super) const fn new(time: u64, rate: u64) -> Self {
		Self {
			since: time,
			said: 0,
			rate,
		}
	}

	const fn micros(&self, time: u64) -> u64 {
		self.said + (time - self.since) * self.rate / 1000
	}

	/// What it says at a true time.
	pub(super) const fn ticks(&self, time: u64) -> Ticks {
		self.micros(time) / 1000
	}

	/// The first true time at which it says `ticks`.
	pub(super) const fn time_of(&self, ticks: Ticks) -> u64 {
		let wanted = ticks.saturating_mul(1000).saturating_sub(self.said);
		self.since
			.saturating_add(wanted.saturating_mul(1000).div_ceil(self.rate))
	}

	pub(super) const fn set_rate(&mut self, time: u64, rate: u64) {
		self.said = self.micros(time);
		self.since = time;
		self.rate = rate;
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn an_alarm_rings_when_the_clock_says_so_and_not_earlier() {
		let mut clock = Clock::new(777, 1000);
		for (step, rate) in [(13, 700), (5_001, 1300), (99_999, 1000), (4, 913)] {
			clock.set_rate(clock.since + step, rate);
			for ticks in clock.ticks(clock.since) + 1..clock.ticks(clock.since) + 500 {
				let at = clock.time_of(ticks);
				assert_eq!(clock.ticks(at), ticks);
				assert!(clock.ticks(at - 1) < ticks);
			}
		}
	}
}
