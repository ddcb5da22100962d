//! Smoothed round-trip times, as in [RFC 6298](https://www.rfc-editor.org/rfc/rfc6298).

use std::time::Duration;

/// The round-trip time to one peer, smoothed over its samples.
///
/// The first sample is taken as it is; each further one moves the estimate by
/// an eighth and the variation by a quarter of the difference (RFC 6298,
/// section 2). What TCP derives from it, the retransmission timeout, nobody
/// needs here: QUIC has its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rtt {
	smoothed: Option<Duration>,
	variation: Duration,
}

/// No network is this slow: a larger sample is a lie or a suspended machine.
const MAX_SAMPLE: Duration = Duration::from_secs(60);

impl Rtt {
	/// An estimate without samples.
	pub const fn new() -> Self {
		Self {
			smoothed: None,
			variation: Duration::ZERO,
		}
	}

	/// Takes in a sample and returns the new estimate.
	pub fn sample(&mut self, sample: Duration) -> Duration {
		let sample = sample.min(MAX_SAMPLE);
		let smoothed = match self.smoothed {
			None => {
				self.variation = sample / 2;
				sample
			}
			Some(smoothed) => {
				let difference = smoothed.abs_diff(sample);
				self.variation = (self.variation * 3 + difference) / 4;
				(smoothed * 7 + sample) / 8
			}
		};
		self.smoothed = Some(smoothed);
		smoothed
	}

	/// The smoothed round-trip time, `None` before the first sample.
	pub const fn smoothed(&self) -> Option<Duration> {
		self.smoothed
	}

	/// The mean deviation of the samples from the estimate.
	pub const fn variation(&self) -> Duration {
		self.variation
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	const fn ms(n: u64) -> Duration {
		Duration::from_millis(n)
	}

	#[test]
	fn the_first_sample_is_the_estimate_and_half_of_it_the_variation() {
		let mut rtt = Rtt::new();
		assert_eq!(rtt.smoothed(), None);
		assert_eq!(rtt.sample(ms(80)), ms(80));
		assert_eq!(rtt.variation(), ms(40));
	}

	#[test]
	fn further_samples_move_it_by_an_eighth_and_a_quarter() {
		let mut rtt = Rtt::new();
		rtt.sample(ms(80));
		assert_eq!(rtt.sample(ms(160)), ms(90));
		assert_eq!(rtt.variation(), ms(50));
	}

	#[test]
	fn it_converges_and_an_absurd_sample_does_not_spoil_it() {
		let mut rtt = Rtt::new();
		rtt.sample(ms(500));
		for _ in 0..100 {
			rtt.sample(ms(10));
		}
		assert!(rtt.smoothed().unwrap() < ms(11));
		rtt.sample(Duration::MAX);
		assert!(rtt.smoothed().unwrap() < Duration::from_secs(8));
	}
}
