//! How messages are lost, repeated and delayed, and who cannot reach whom.

use {
	super::Node,
	rand::{Rng, RngExt, rngs::Xoshiro256PlusPlus},
	std::collections::BTreeMap,
};

/// How the network and the disks fare. Times are in microseconds, chances in
/// thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
	/// Half of the messages take less.
	pub delay: u64,
	/// How much delays differ, in thousandths of the standard deviation of their
	/// logarithm.
	pub spread: u64,
	/// How often a message takes longer by a spike.
	pub spikes: u64,
	/// The longest spike.
	pub spike: u64,
	/// How many messages are lost.
	pub loss: u64,
	/// How many arrive twice.
	pub duplicates: u64,
	/// Half of the writes take less.
	pub write: u64,
}

impl Default for Weather {
	/// That of a good network: 2 ms, nothing lost.
	fn default() -> Self {
		Self {
			delay: 2_000,
			spread: 300,
			spikes: 0,
			spike: 0,
			loss: 0,
			duplicates: 0,
			write: 500,
		}
	}
}

impl Weather {
	/// How long a message takes.
	pub(super) fn delay(&self, rng: &mut Xoshiro256PlusPlus) -> u64 {
		let delay = log_normal(self.delay, self.spread, rng);
		if self.spikes > 0 && self.spike > 0 && rng.random_range(0..1000) < self.spikes {
			return delay + rng.random_range(0..=self.spike);
		}
		delay
	}

	/// How long a write takes.
	pub(super) fn write(&self, rng: &mut Xoshiro256PlusPlus) -> u64 {
		log_normal(self.write, self.spread, rng)
	}
}

/// About log-normal, by multiplication alone, so that it is the same everywhere.
fn log_normal(median: u64, spread: u64, rng: &mut Xoshiro256PlusPlus) -> u64 {
	let bits = rng.next_u64();
	// The sum of four uniform numbers is about normal.
	let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
	let normal = (sum as f64 / 65_535.0 - 2.0) * 1.732;
	let exponent = normal * spread as f64 / 1000.0;
	let root = (1.0 + exponent / 8.0).max(0.05);
	let squared = root * root;
	let fourth = squared * squared;
	(median as f64 * fourth * fourth) as u64
}

/// The ways between nodes.
#[derive(Debug)]
pub(super) struct Network {
	pub(super) weather: Weather,
	/// By sender, a bit for each receiver that it cannot reach.
	blocked: Vec<u64>,
	/// When the last reliable message of each pair arrives.
	last_arrival: BTreeMap<(Node, Node), u64>,
}

impl Network {
	pub(super) fn new(weather: Weather, nodes: usize) -> Self {
		assert!(nodes <= 64, "the ways are kept in 64 bits");
		Self {
			weather,
			blocked: vec![0; nodes],
			last_arrival: BTreeMap::new(),
		}
	}

	pub(super) fn block(&mut self, from: Node, to: Node) {
		self.blocked[from] |= 1 << to;
	}

	pub(super) fn is_blocked(&self, from: Node, to: Node) -> bool {
		self.blocked[from] & (1 << to) != 0
	}

	pub(super) fn heal(&mut self) {
		self.blocked.fill(0);
	}

	/// When a reliable message arrives that would by itself at `at`.
	pub(super) fn in_order(&mut self, from: Node, to: Node, at: u64) -> Option<u64> {
		if self.is_blocked(from, to) {
			return None;
		}
		let last = self.last_arrival.entry((from, to)).or_default();
		*last = at.max(*last + 1);
		Some(*last)
	}

	/// How often a message that is sent now arrives.
	pub(super) fn copies(&self, from: Node, to: Node, rng: &mut Xoshiro256PlusPlus) -> u32 {
		let weather = &self.weather;
		if self.is_blocked(from, to) {
			return 0;
		}
		if weather.loss + weather.duplicates == 0 {
			return 1;
		}
		let dice = rng.random_range(0..1000);
		if dice < weather.loss {
			0
		} else if dice < weather.loss + weather.duplicates {
			2
		} else {
			1
		}
	}
}

#[cfg(test)]
mod tests {
	use {super::*, rand::SeedableRng};

	#[test]
	fn half_of_the_delays_are_below_the_median_and_some_are_long() {
		let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
		let mut delays: Vec<u64> = (0..10_001)
			.map(|_| log_normal(1000, 500, &mut rng))
			.collect();
		delays.sort_unstable();
		assert!(delays[5_000].abs_diff(1000) < 50, "{}", delays[5_000]);
		assert!(delays[100] > 250, "{}", delays[100]);
		assert!(delays[9_900] > 2_000, "{}", delays[9_900]);
	}
}
