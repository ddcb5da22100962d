//! What kinds of worlds there are: how they are built and what befalls them.

use {
	super::plan::Weights,
	crate::lossy::Weather,
	clap::ValueEnum,
	mosaik_proto::groups::{Settings, types::Ticks},
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
};

/// What becomes of the disks of those who crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Storage {
	/// All of them keep what was written.
	Durable,
	/// None does.
	Volatile,
	/// Some do.
	Mixed,
}

/// What is tried most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mix {
	/// A bit of everything.
	Standard,
	/// Timeouts as short as the network is slow, crashes around elections.
	Elections,
	/// Disks that are slower than the network.
	Disks,
	/// Members come, go, are promoted and removed all the time.
	Members,
	/// Long logs, snapshots and slow machines.
	Snapshots,
	/// Partitions, with users on both sides.
	Partitions,
}

impl Mix {
	/// All of them.
	pub const ALL: [Self; 6] = [
		Self::Standard,
		Self::Elections,
		Self::Disks,
		Self::Members,
		Self::Snapshots,
		Self::Partitions,
	];

	/// Its name on the command line.
	pub const fn name(self) -> &'static str {
		match self {
			Self::Standard => "standard",
			Self::Elections => "elections",
			Self::Disks => "disks",
			Self::Members => "members",
			Self::Snapshots => "snapshots",
			Self::Partitions => "partitions",
		}
	}
}

/// A kind of world.
#[derive(Clone, Debug)]
pub struct Scenario {
	/// Its name.
	pub mix: Mix,
	/// How many nodes there are.
	pub nodes: usize,
	/// How many of them found the formation.
	pub founders: usize,
	/// How many voters there should be; 0: nobody takes care.
	pub seats: usize,
	/// Which nodes keep their disk.
	pub durable: Vec<bool>,
	/// Which nodes never lead.
	pub observers: Vec<bool>,
	/// Of the core.
	pub settings: Settings,
	/// How things fare when nothing special happens.
	pub weather: Weather,
	/// After what silence a member is removed.
	pub dead_after: Ticks,
	/// How many entries there are between snapshots.
	pub snapshot_every: u64,
	/// The mean time between actions, in microseconds.
	pub pace: u64,
	/// How often what happens.
	pub weights: Weights,
}

/// What the command line may fix; the seed decides the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
	/// What is tried.
	pub mix: Option<Mix>,
	/// How many nodes.
	pub nodes: Option<usize>,
	/// What disks.
	pub storage: Option<Storage>,
}

impl Scenario {
	/// The world of a seed.
	pub fn of(seed: u64, wish: Wish) -> Self {
		let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5ce7_a210);
		let by_seed = Mix::ALL[rng.random_range(0..Mix::ALL.len())];
		let mix = wish.mix.unwrap_or(by_seed);
		let by_seed = if mix == Mix::Elections {
			rng.random_range(2..=5)
		} else {
			rng.random_range(2..=7)
		};
		let nodes = wish.nodes.unwrap_or(by_seed).clamp(1, 16);
		let founders = rng.random_range(1..=nodes.min(5));
		let by_seed = [
			Storage::Durable,
			Storage::Durable,
			Storage::Volatile,
			Storage::Mixed,
		];
		let by_seed = by_seed[rng.random_range(0..by_seed.len())];
		let durable = (0..nodes).map(|_| match wish.storage.unwrap_or(by_seed) {
			Storage::Durable => true,
			Storage::Volatile => false,
			Storage::Mixed => rng.random(),
		});
		let durable = durable.collect();
		let observers = (0..nodes).map(|node| node >= founders && rng.random_bool(0.1));
		let observers = observers.collect();
		let heartbeat = rng.random_range(40..=150);
		let timeout = heartbeat * rng.random_range(3..=5);
		let settings = Settings {
			heartbeat,
			election_timeout: timeout,
			election_jitter: timeout * rng.random_range(3..=10) / 10,
			quiesce_after: [0, 3, 3][rng.random_range(0..3)],
			max_append_bytes: [200, 1_000, 1 << 20][rng.random_range(0..3)],
			max_inflight: [2, 8, 64][rng.random_range(0..3)],
			max_unapplied_bytes: [2_000, 20_000, 64 << 20][rng.random_range(0..3)],
			..Settings::default()
		};
		let weather = Weather {
			delay: rng.random_range(500..=8_000),
			spread: rng.random_range(100..=900),
			spikes: rng.random_range(0..=20),
			spike: heartbeat * 1000 * rng.random_range(1..=10),
			loss: rng.random_range(0..=40),
			duplicates: rng.random_range(0..=40),
			write: rng.random_range(50..=5_000),
		};
		let seats = [0, 3, 3, 5][rng.random_range(0..4)];
		let mut scenario = Self {
			mix,
			nodes,
			founders,
			seats,
			durable,
			observers,
			settings,
			weather,
			dead_after: timeout * rng.random_range(4..=12),
			snapshot_every: rng.random_range(10..=60),
			pace: heartbeat * rng.random_range(100..=600),
			weights: Weights::default(),
		};
		scenario.season(&mut rng);
		scenario
	}

	fn season(&mut self, rng: &mut Xoshiro256PlusPlus) {
		let weights = &mut self.weights;
		match self.mix {
			Mix::Standard => {}
			Mix::Elections => {
				// The network is about as slow as the timeouts are short.
				let heartbeat = rng.random_range(5..=30);
				self.settings.heartbeat = heartbeat;
				self.settings.election_timeout = heartbeat * rng.random_range(2..=4);
				self.settings.election_jitter = heartbeat * rng.random_range(1..=4);
				self.weather.delay = heartbeat * rng.random_range(100..=800);
				self.weather.spread = rng.random_range(300..=1_000);
				self.weather.loss = rng.random_range(0..=150);
				self.weather.duplicates = rng.random_range(0..=150);
				self.weather.spike = heartbeat * 1000 * rng.random_range(2..=30);
				self.weather.write = heartbeat * rng.random_range(10..=800);
				self.pace = heartbeat * rng.random_range(300..=3_000);
				self.dead_after = self.settings.election_timeout * rng.random_range(5..=20);
				weights.crash = 12;
				weights.cut = 8;
				weights.hint = 8;
				weights.transfer = 5;
			}
			Mix::Disks => {
				self.weather.write = self.settings.heartbeat * rng.random_range(100..=2_000);
				self.weather.spread = rng.random_range(500..=1_000);
				weights.stall = 10;
				weights.crash = 10;
			}
			Mix::Members => {
				weights.config = 25;
				weights.crash = 8;
				weights.transfer = 4;
				self.dead_after = self.settings.election_timeout * 5;
			}
			Mix::Snapshots => {
				self.snapshot_every = rng.random_range(3..=12);
				weights.append = 60;
				weights.slow = 6;
				weights.compact = 10;
				weights.crash = 6;
			}
			Mix::Partitions => {
				weights.cut = 10;
				weights.append = 60;
				weights.read = 60;
				self.pace /= 4;
			}
		}
	}
}
