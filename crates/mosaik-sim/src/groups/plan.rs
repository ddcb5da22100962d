//! What befalls a world: a list of timed actions, written down before it begins,
//! so that any of them can be left out.

use {
	super::scenario::Scenario,
	crate::lossy::{Node, Weather},
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	std::collections::BTreeSet,
};

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
	/// This node.
	Node(Node),
	/// Who leads in the latest term, at that moment.
	Leader,
	/// A voter that does not lead, by this number.
	Follower(u64),
}

/// What happens. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
	/// A user issues commands.
	Append {
		/// Where.
		node: Node,
		/// How many at once.
		count: u64,
	},
	/// A user reads.
	Read {
		/// Where.
		node: Node,
	},
	/// A process crashes, and begins again later.
	Crash {
		/// Whose.
		who: Who,
		/// After what time it begins again.
		down: u64,
		/// Its disk is gone, even if it was durable.
		loses_disk: bool,
		/// Even if a majority could be lost by that.
		is_reckless: bool,
	},
	/// A process stands still.
	Pause {
		/// Whose.
		who: Who,
		/// How long.
		micros: u64,
	},
	/// A clock runs at another rate.
	Rate {
		/// Whose.
		node: Node,
		/// Thousandths of the true one.
		rate: u64,
	},
	/// Some nodes cannot reach the others.
	Cut {
		/// A bit for each.
		island: u64,
		/// And who leads, if it is not among them: it is now; if it is, it is not.
		turns_leader: bool,
		/// Only messages from the island are lost, not those to it.
		is_one_way: bool,
		/// How long.
		micros: u64,
	},
	/// The network is bad.
	Storm {
		/// How bad.
		weather: Weather,
		/// How long.
		micros: u64,
	},
	/// A disk does nothing.
	Stall {
		/// Whose.
		who: Who,
		/// How long.
		micros: u64,
	},
	/// A machine takes time to apply an entry.
	Slow {
		/// Whose.
		node: Node,
		/// How long; 0 is none.
		micros: u64,
	},
	/// Somebody proposes a change of members.
	Config {
		/// Who proposes it.
		who: Who,
		/// What.
		change: Change,
		/// Decides whom it concerns.
		dice: u64,
	},
	/// Leadership is to be handed over.
	Transfer {
		/// Decides to whom.
		dice: u64,
	},
	/// A hint, true or not.
	Hint {
		/// Who gets it.
		who: Who,
		/// Decides which and about whom.
		dice: u64,
	},
	/// A log is compacted as far as it can be.
	Compact {
		/// Whose.
		who: Who,
	},
}

/// A change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
	/// A learner gets a seat.
	Promote,
	/// Somebody is removed.
	Remove,
	/// The leader removes itself.
	RemoveLeader,
	/// Somebody is described anew.
	Update,
}

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
	/// Its number in the plan.
	pub number: usize,
	/// When, in microseconds.
	pub at: u64,
	/// What.
	pub what: What,
}

/// How often what happens, relative to one another.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "they are named as what they weigh")]
pub struct Weights {
	pub append: u32,
	pub read: u32,
	pub crash: u32,
	pub pause: u32,
	pub rate: u32,
	pub cut: u32,
	pub storm: u32,
	pub stall: u32,
	pub slow: u32,
	pub config: u32,
	pub transfer: u32,
	pub hint: u32,
	pub compact: u32,
}

impl Default for Weights {
	fn default() -> Self {
		Self {
			append: 40,
			read: 20,
			crash: 5,
			pause: 3,
			rate: 1,
			cut: 4,
			storm: 2,
			stall: 2,
			slow: 1,
			config: 3,
			transfer: 2,
			hint: 3,
			compact: 2,
		}
	}
}

/// The actions of a world, one after the other and without an end.
#[derive(Debug)]
pub struct Plan {
	rng: Xoshiro256PlusPlus,
	scenario: Scenario,
	at: u64,
	number: usize,
	/// If set, only these happen.
	kept: Option<BTreeSet<usize>>,
}

impl Plan {
	/// The plan of a seed.
	pub fn new(seed: u64, scenario: &Scenario, kept: Option<&[usize]>) -> Self {
		Self {
			rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x91a7_0ac7),
			scenario: scenario.clone(),
			at: 0,
			number: 0,
			kept: kept.map(|kept| kept.iter().copied().collect()),
		}
	}

	/// The next action; `None` when the last one that is kept is over.
	pub fn next_action(&mut self) -> Option<Action> {
		loop {
			if let Some(kept) = &self.kept
				&& kept.last().is_none_or(|last| *last < self.number)
			{
				return None;
			}
			let action = self.draw();
			let kept = self.kept.as_ref();
			if kept.is_none_or(|kept| kept.contains(&action.number)) {
				return Some(action);
			}
		}
	}

	fn draw(&mut self) -> Action {
		// Exponential-ish: bursts and lulls.
		let pace = self.scenario.pace;
		let factor = [0, 1, 2, 5, 10, 20, 40][self.rng.random_range(0..7)];
		self.at += self.rng.random_range(0..=pace * factor / 5 + 1);
		let number = self.number;
		self.number += 1;
		Action {
			number,
			at: self.at,
			what: self.what(),
		}
	}

	fn who(&mut self) -> Who {
		match self.rng.random_range(0..3) {
			0 => Who::Node(self.node()),
			1 => Who::Leader,
			_ => Who::Follower(self.rng.random()),
		}
	}

	fn node(&mut self) -> Node {
		self.rng.random_range(0..self.scenario.nodes)
	}

	/// From a heartbeat to many election timeouts, the short ones more often.
	fn while_(&mut self) -> u64 {
		let settings = &self.scenario.settings;
		let most = match self.rng.random_range(0..4) {
			0 => settings.heartbeat,
			1 => settings.election_timeout,
			2 => settings.election_timeout * 3,
			_ => settings.election_timeout * 10,
		};
		1000 * self.rng.random_range(0..=most) + 1
	}

	fn what(&mut self) -> What {
		let weights = self.scenario.weights;
		let all = [
			weights.append,
			weights.read,
			weights.crash,
			weights.pause,
			weights.rate,
			weights.cut,
			weights.storm,
			weights.stall,
			weights.slow,
			weights.config,
			weights.transfer,
			weights.hint,
			weights.compact,
		];
		let mut dice = self.rng.random_range(0..all.iter().sum::<u32>());
		let mut kind = 0;
		while dice >= all[kind] {
			dice -= all[kind];
			kind += 1;
		}
		match kind {
			0 => What::Append {
				node: self.node(),
				count: [1, 1, 2, 4][self.rng.random_range(0..4)],
			},
			1 => What::Read { node: self.node() },
			2 => What::Crash {
				who: self.who(),
				down: self.while_(),
				loses_disk: self.rng.random_bool(0.03),
				is_reckless: self.rng.random_bool(0.002),
			},
			3 => What::Pause {
				who: self.who(),
				micros: self.while_(),
			},
			4 => What::Rate {
				node: self.node(),
				rate: self.rng.random_range(700..=1300),
			},
			5 => What::Cut {
				island: self.rng.random_range(0..1 << self.scenario.nodes),
				turns_leader: self.rng.random_bool(0.3),
				is_one_way: self.rng.random_bool(0.3),
				micros: self.while_(),
			},
			6 => self.storm(),
			7 => What::Stall {
				who: self.who(),
				micros: self.while_(),
			},
			8 => What::Slow {
				node: self.node(),
				micros: [0, 0, 100, 1_000, 20_000][self.rng.random_range(0..5)],
			},
			9 => {
				use Change::{Promote, Remove, RemoveLeader, Update};
				let changes = [
					Promote,
					Promote,
					Promote,
					Remove,
					Remove,
					RemoveLeader,
					Update,
				];
				What::Config {
					who: if self.rng.random_bool(0.8) {
						Who::Leader
					} else {
						self.who()
					},
					change: changes[self.rng.random_range(0..changes.len())],
					dice: self.rng.random(),
				}
			}
			10 => What::Transfer {
				dice: self.rng.random(),
			},
			11 => What::Hint {
				who: self.who(),
				dice: self.rng.random(),
			},
			_ => What::Compact { who: self.who() },
		}
	}

	fn storm(&mut self) -> What {
		let usual = &self.scenario.weather;
		let weather = Weather {
			delay: usual.delay * self.rng.random_range(1..=10),
			spread: self.rng.random_range(300..=1_200),
			spikes: self.rng.random_range(0..=300),
			spike: usual.spike,
			loss: self.rng.random_range(0..=600),
			duplicates: self.rng.random_range(0..=300),
			write: usual.write * self.rng.random_range(1..=4),
		};
		What::Storm {
			weather,
			micros: self.while_(),
		}
	}
}
