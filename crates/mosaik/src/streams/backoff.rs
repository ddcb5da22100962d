//! How long a consumer waits before it tries a producer again.

use {rand::RngExt, std::time::Duration};

pub use mosaik_proto::streams::Backoff;

/// Pauses that grow by a factor, with jitter: half a second, doubling, up to
/// half a minute, without an end.
///
/// Jitter keeps consumers that lost the same producer from coming back in step.
#[derive(Debug, Clone, PartialEq)]
pub struct ExponentialBackoff {
	/// The next pause, before jitter.
	pub current_interval: Duration,
	/// The first pause.
	pub initial_interval: Duration,
	/// The share of a pause by which it is varied in either direction, 0 to 1.
	pub randomization_factor: f64,
	/// What a pause is multiplied by to give the next, at least 1.
	pub multiplier: f64,
	/// The longest pause, before jitter.
	pub max_interval: Duration,
	/// After so much waiting without a success it gives up; `None` for never.
	pub max_elapsed_time: Option<Duration>,
	/// How long it has waited since the last success.
	pub elapsed: Duration,
}

impl Default for ExponentialBackoff {
	fn default() -> Self {
		let initial_interval = Duration::from_millis(500);
		Self {
			current_interval: initial_interval,
			initial_interval,
			randomization_factor: 0.5,
			multiplier: 2.0,
			max_interval: Duration::from_secs(30),
			max_elapsed_time: None,
			elapsed: Duration::ZERO,
		}
	}
}

impl Backoff for ExponentialBackoff {
	fn next_backoff(&mut self) -> Option<Duration> {
		let factor = self.randomization_factor.clamp(0.0, 1.0);
		let jitter = rand::rng().random_range(1.0 - factor..=1.0 + factor);
		let pause = self.current_interval.mul_f64(jitter);
		self.elapsed = self.elapsed.saturating_add(pause);
		if self
			.max_elapsed_time
			.is_some_and(|limit| self.elapsed > limit)
		{
			return None;
		}
		let grown = self.current_interval.as_secs_f64() * self.multiplier.max(1.0);
		self.current_interval = Duration::try_from_secs_f64(grown)
			.unwrap_or(self.max_interval)
			.min(self.max_interval);
		Some(pause)
	}

	fn reset(&mut self) {
		self.current_interval = self.initial_interval;
		self.elapsed = Duration::ZERO;
	}
}

/// Builds an [`ExponentialBackoff`].
#[derive(Debug, Clone, Default)]
pub struct ExponentialBackoffBuilder(ExponentialBackoff);

impl ExponentialBackoffBuilder {
	/// A builder that starts from the defaults.
	pub fn new() -> Self {
		Self::default()
	}

	/// Sets the first pause.
	#[must_use]
	pub const fn with_initial_interval(mut self, interval: Duration) -> Self {
		self.0.initial_interval = interval;
		self
	}

	/// Sets the share by which a pause is varied, 0 to 1.
	#[must_use]
	pub const fn with_randomization_factor(mut self, factor: f64) -> Self {
		self.0.randomization_factor = factor;
		self
	}

	/// Sets what a pause is multiplied by, at least 1.
	#[must_use]
	pub const fn with_multiplier(mut self, multiplier: f64) -> Self {
		self.0.multiplier = multiplier;
		self
	}

	/// Sets the longest pause.
	#[must_use]
	pub const fn with_max_interval(mut self, interval: Duration) -> Self {
		self.0.max_interval = interval;
		self
	}

	/// Sets after how much waiting it gives up; `None` for never.
	#[must_use]
	pub const fn with_max_elapsed_time(mut self, limit: Option<Duration>) -> Self {
		self.0.max_elapsed_time = limit;
		self
	}

	/// The backoff.
	pub fn build(mut self) -> ExponentialBackoff {
		self.0.reset();
		self.0
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn pauses_double_up_to_the_longest_and_start_over_after_a_success() {
		let mut backoff = ExponentialBackoffBuilder::new()
			.with_initial_interval(Duration::from_secs(1))
			.with_max_interval(Duration::from_secs(3))
			.with_randomization_factor(0.0)
			.build();
		let mut next = || backoff.next_backoff().unwrap().as_secs();
		assert_eq!([next(), next(), next(), next()], [1, 2, 3, 3]);
		backoff.reset();
		assert_eq!(backoff.next_backoff(), Some(Duration::from_secs(1)));
	}

	#[test]
	fn it_gives_up_when_told_to() {
		let mut backoff = ExponentialBackoffBuilder::new()
			.with_max_elapsed_time(Some(Duration::from_secs(2)))
			.with_randomization_factor(0.0)
			.build();
		assert!(backoff.next_backoff().is_some());
		assert!(backoff.next_backoff().is_some());
		assert_eq!(backoff.next_backoff(), None);
	}
}
