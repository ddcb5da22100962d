//! What goes wrong, and when: decided by the seed before anything happens, so that
//! parts of it can be left out to find the part that matters.

use {
	crate::lossy::{Node, Weather},
	mosaik_proto::groups::types::LeadershipPreference,
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	std::fmt,
};

/// One thing that is done to the world, or by a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
	/// A node starts, with or without what it had.
	Start(Node),
	/// A process is gone.
	Crash(Node),
	/// A process stands still, for so many milliseconds.
	Pause(Node, u64),
	/// A disk does nothing, for so many milliseconds.
	Stall(Node, u64),
	/// A clock runs at so many thousandths of the true rate.
	Rate(Node, u64),
	/// Two nodes lose their session, and stay apart.
	Cut(Node, Node),
	/// Messages of the first no longer reach the second.
	CutOneWay(Node, Node),
	/// The nodes of this bit mask cannot reach the others.
	Island(u64),
	/// All ways are free again.
	Heal,
	/// A user issues commands.
	Execute(Node, u64),
	/// A user reads.
	Read(Node),
	/// A user leaves; the node starts again a while later.
	Leave(Node),
}

/// What is going to happen in a run.
#[derive(Clone, Debug)]
pub struct Plan {
	/// What everything else follows from.
	pub seed: u64,
	/// Each node: how much it wants to lead, and whether its disk survives.
	pub nodes: Vec<(LeadershipPreference, bool)>,
	/// How many must found together; 1: anybody alone.
	pub expect: usize,
	/// Whether volatile nodes crash although a majority of the voters goes with
	/// them: then the loss must be surfaced.
	pub is_harsh: bool,
	/// How the network fares while things go wrong.
	pub weather: Weather,
	/// What is done, and after how many milliseconds, in order.
	pub actions: Vec<(u64, Action)>,
	/// When things stop going wrong, in milliseconds.
	pub end: u64,
	/// How many of a thousand turning points of a node are met with a fault.
	pub ambush: u32,
	/// How many of a thousand pairs of nodes never reach one another, for a while
	/// before the world is put right.
	pub torn: u32,
}

/// What the faults are aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mix {
	/// Nothing: they come as they come.
	Random,
	/// Turning points: elections, changes of members, steps of a merge.
	Ambush,
	/// The end, where some pairs of nodes stay cut off and all others must work.
	Torn,
}

impl fmt::Display for Mix {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(match self {
			Self::Random => "random",
			Self::Ambush => "ambush",
			Self::Torn => "torn",
		})
	}
}

/// What kinds of nodes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Disks {
	/// All keep what they wrote.
	Durable,
	/// All forget everything.
	Volatile,
	/// Some of each.
	Mixed,
}

impl fmt::Display for Disks {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(match self {
			Self::Durable => "durable",
			Self::Volatile => "volatile",
			Self::Mixed => "mixed",
		})
	}
}

impl Plan {
	/// The plan that follows from a seed.
	pub fn new(seed: u64, nodes: usize, disks: Disks, millis: u64) -> Self {
		let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x0070_6c61_6e00);
		let kinds: Vec<_> = (0..nodes)
			.map(|node| {
				let preference = match rng.random_range(0..10) {
					// One at least wants to lead.
					_ if node == 0 => LeadershipPreference::Normal,
					0 => LeadershipPreference::Observer,
					1 => LeadershipPreference::reluctant(),
					_ => LeadershipPreference::Normal,
				};
				let is_durable = match disks {
					Disks::Durable => true,
					Disks::Volatile => false,
					Disks::Mixed => rng.random(),
				};
				(preference, is_durable)
			})
			.collect();
		let voters = kinds
			.iter()
			.filter(|(preference, _)| preference.may_vote())
			.count();
		let expect = if rng.random_range(0..4) == 0 && voters >= 3 {
			voters / 2 + 1
		} else {
			1
		};
		let weather = Weather {
			delay: rng.random_range(200..20_000),
			spread: rng.random_range(100..900),
			spikes: rng.random_range(0..30),
			spike: rng.random_range(0..2_000_000),
			loss: if rng.random() {
				rng.random_range(0..150)
			} else {
				0
			},
			duplicates: if rng.random() {
				rng.random_range(0..100)
			} else {
				0
			},
			write: rng.random_range(100..20_000),
		};
		let mut plan = Self {
			seed,
			nodes: kinds,
			expect,
			is_harsh: rng.random_range(0..4) == 0,
			weather,
			actions: Vec::new(),
			end: millis,
			ambush: 0,
			torn: 0,
		};
		plan.fill(&mut rng);
		plan
	}

	/// The same, with its faults aimed at something. What is planned stays as it is.
	pub fn with_mix(mut self, mix: Mix) -> Self {
		let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed ^ 0x006d_6978);
		match mix {
			Mix::Random => {}
			Mix::Ambush => self.ambush = rng.random_range(20..600),
			Mix::Torn => self.torn = rng.random_range(50..700),
		}
		self
	}

	/// Whether all disks survive.
	pub fn is_durable(&self) -> bool {
		self.nodes.iter().all(|(_, is_durable)| *is_durable)
	}

	fn fill(&mut self, rng: &mut Xoshiro256PlusPlus) {
		let nodes = self.nodes.len();
		for node in 0..nodes {
			// Some start together, some much later.
			let at = if rng.random() {
				rng.random_range(0..50)
			} else {
				rng.random_range(0..8_000)
			};
			self.actions.push((at, Action::Start(node)));
		}
		let fault_every = rng.random_range(300..6_000);
		let work_every = rng.random_range(5..200);
		let mut at = 0;
		while at < self.end {
			at += rng.random_range(1..fault_every * 2);
			let node = rng.random_range(0..nodes);
			let other = rng.random_range(0..nodes);
			let action = match rng.random_range(0..20) {
				0..5 => {
					let back = at + rng.random_range(10..8_000);
					self.actions.push((back, Action::Start(node)));
					Action::Crash(node)
				}
				5..7 => Action::Pause(node, rng.random_range(100..15_000)),
				7 => Action::Stall(node, rng.random_range(100..8_000)),
				8 => Action::Rate(node, rng.random_range(700..1_300)),
				9..11 if node != other => Action::Cut(node, other),
				11 if node != other => Action::CutOneWay(node, other),
				12..15 => Action::Island(rng.random_range(0..1 << nodes)),
				15 => {
					let back = at + rng.random_range(500..5_000);
					self.actions.push((back, Action::Start(node)));
					Action::Leave(node)
				}
				_ => Action::Heal,
			};
			self.actions.push((at, action));
		}
		let mut at = 0;
		while at < self.end {
			at += rng.random_range(1..work_every * 2);
			let node = rng.random_range(0..nodes);
			let action = if rng.random_range(0..4) == 0 {
				Action::Read(node)
			} else {
				Action::Execute(node, rng.random_range(1..4))
			};
			self.actions.push((at, action));
		}
		self.actions.retain(|(at, _)| *at < self.end);
		self.actions.sort_by_key(|(at, _)| *at);
	}
}
