//! How well this node itself keeps up.
//!
//! On a host without a core to spare, messages wait to be read and pings to be
//! answered: the silence that a node hears is then its own. So a node that is
//! called late for its deadlines is slower to judge others (after Lifeguard:
//! Dadgar, Phillips, Currey, "Local Health Awareness for More Accurate Failure
//! Detection", 2018).

use {crate::core::Instant, std::time::Duration};

/// How much later a node judges than it was late itself.
const FACTOR: u32 = 8;

/// The most by which a judgement is put off.
const ALLOWANCE_MAX: Duration = Duration::from_secs(9);

/// After so long, half of a lateness is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(4);

/// Lateness that any busy machine has.
const USUAL: Duration = Duration::from_millis(20);

/// The lateness of a node, see the module.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Health {
	lateness: Duration,
	since: Instant,
}

impl Health {
	/// A deadline was missed by so much.
	pub(super) fn observe(&mut self, now: Instant, lateness: Duration) {
		if lateness > USUAL && lateness >= self.lateness(now) {
			self.lateness = lateness;
			self.since = now;
		}
	}

	/// How much longer than usual to wait before judging others.
	pub(super) fn allowance(&self, now: Instant) -> Duration {
		(self.lateness(now) * FACTOR).min(ALLOWANCE_MAX)
	}

	fn lateness(&self, now: Instant) -> Duration {
		let half_lives = now.since(self.since).as_micros() / HALF_LIFE.as_micros();
		let half_lives = u32::try_from(half_lives).unwrap_or(u32::MAX);
		1u32.checked_shl(half_lives)
			.map_or(Duration::ZERO, |divisor| self.lateness / divisor)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	const fn ms(ms: u64) -> Duration {
		Duration::from_millis(ms)
	}

	#[test]
	fn who_was_late_waits_longer_for_a_while() {
		let start = Instant(0);
		let mut health = Health::default();
		health.observe(start, USUAL);
		assert_eq!(health.allowance(start), Duration::ZERO);
		health.observe(start, ms(400));
		assert_eq!(health.allowance(start), ms(3200));
		health.observe(start + ms(100), ms(100));
		assert_eq!(
			health.allowance(start + ms(100)),
			ms(3200),
			"the worst counts"
		);
		assert_eq!(health.allowance(start + HALF_LIFE), ms(1600));
		assert_eq!(health.allowance(start + HALF_LIFE * 40), Duration::ZERO);
		health.observe(start, ms(60_000));
		assert_eq!(health.allowance(start), ALLOWANCE_MAX);
	}
}
