//! The configurations that are explored.

use super::{
	merge::MergeModel,
	raft::{Bounds, Network, RaftModel},
	run::{Limits, Report, explore},
};

/// What is explored, by name.
#[derive(Clone, Debug)]
pub struct Plan {
	/// How it is called.
	pub name: &'static str,
	/// What it is about.
	pub about: &'static str,
	/// What is explored.
	pub world: World,
}

/// What is explored.
#[derive(Clone, Debug)]
pub enum World {
	/// The members of one formation.
	Raft(Bounds),
	/// Formations that meet.
	Merge(MergeModel),
}

impl Plan {
	/// Explores it.
	pub fn run(&self, limits: Limits) -> Report {
		match &self.world {
			World::Raft(bounds) => explore(|| RaftModel::new(bounds.clone()), limits),
			World::Merge(model) => explore(|| *model, limits),
		}
	}
}

impl Plan {
	/// The same, but what counts is only what comes of a change of configuration
	/// that breaks a rule, not that it does.
	#[must_use]
	pub fn judging_outcomes(mut self) -> Self {
		if let World::Raft(bounds) = &mut self.world {
			bounds.judges_changes = false;
		}
		self
	}
}

/// The one of this name.
pub fn find(name: &str) -> Option<Plan> {
	all().into_iter().find(|plan| plan.name == name)
}

/// All of them, the small before the large.
pub fn all() -> Vec<Plan> {
	let mut plans = Vec::new();
	let mut raft = |name, about, bounds| {
		plans.push(Plan {
			name,
			about,
			world: World::Raft(bounds),
		});
	};
	raft(
		"two",
		"two voters, one of whom restarts",
		Bounds {
			voters: 2,
			terms: 3,
			log: 3,
			commands: true,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"two-writes",
		"two voters whose writes take time, one of whom restarts",
		Bounds {
			voters: 2,
			is_led: true,
			terms: 3,
			log: 3,
			commands: true,
			restarts: 1,
			writes: 2,
			..Bounds::default()
		},
	);
	raft(
		"three",
		"three voters and two terms, from the beginning",
		Bounds {
			log: 2,
			commands: true,
			..Bounds::default()
		},
	);
	raft(
		"three-led",
		"three voters and three terms, after a first leader",
		Bounds {
			is_led: true,
			terms: 3,
			log: 2,
			commands: true,
			..Bounds::default()
		},
	);
	raft(
		"three-led-log",
		"the same with a longer log",
		Bounds {
			is_led: true,
			terms: 3,
			log: 3,
			commands: true,
			..Bounds::default()
		},
	);
	raft(
		"three-restart",
		"three voters, one of whom restarts",
		Bounds {
			is_led: true,
			log: 3,
			commands: true,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"three-restart-3",
		"the same in three terms",
		Bounds {
			is_led: true,
			terms: 3,
			log: 2,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"three-writes",
		"three voters whose writes take time, one of whom restarts",
		Bounds {
			is_led: true,
			log: 2,
			commands: true,
			restarts: 1,
			writes: 1,
			..Bounds::default()
		},
	);
	raft(
		"three-beats",
		"three voters with heartbeats and leaders that step down",
		Bounds {
			is_led: true,
			log: 2,
			commands: true,
			beats: true,
			steps_down: true,
			..Bounds::default()
		},
	);
	raft(
		"pre-votes-2",
		"two voters with pre-votes, one of whom restarts",
		Bounds {
			voters: 2,
			terms: 3,
			log: 2,
			commands: true,
			pre_votes: true,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"pre-votes-3",
		"three voters with pre-votes",
		Bounds {
			is_led: true,
			log: 2,
			commands: true,
			pre_votes: true,
			..Bounds::default()
		},
	);
	raft(
		"reads",
		"three voters and a strong read",
		Bounds {
			is_led: true,
			log: 2,
			commands: true,
			reads: 1,
			..Bounds::default()
		},
	);
	raft(
		"reads-beats",
		"two voters, two strong reads and heartbeats",
		Bounds {
			voters: 2,
			is_led: true,
			terms: 2,
			log: 2,
			commands: true,
			reads: 2,
			beats: true,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"learner",
		"three voters and a learner",
		Bounds {
			learners: 1,
			is_led: true,
			terms: 2,
			log: 2,
			commands: true,
			..Bounds::default()
		},
	);
	raft(
		"shrink-dead",
		"two voters, of whom the second is dead",
		Bounds {
			voters: 2,
			is_led: true,
			dead: &[2],
			terms: 3,
			log: 5,
			commands: true,
			removes_down_to: 1,
			restarts: 2,
			..Bounds::default()
		},
	);
	raft(
		"shrink-2",
		"two voters become one; one restarts",
		Bounds {
			voters: 2,
			is_led: true,
			terms: 3,
			log: 4,
			commands: true,
			removes_down_to: 1,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"shrink-3",
		"three voters become one, in two terms",
		Bounds {
			is_led: true,
			terms: 2,
			log: 4,
			commands: true,
			removes_down_to: 1,
			..Bounds::default()
		},
	);
	raft(
		"shrink-3-3",
		"the same in three terms",
		Bounds {
			is_led: true,
			terms: 3,
			log: 3,
			removes_down_to: 1,
			..Bounds::default()
		},
	);
	raft(
		"shrink-writes",
		"two voters whose writes take time become one",
		Bounds {
			voters: 2,
			is_led: true,
			terms: 3,
			log: 3,
			removes_down_to: 1,
			restarts: 1,
			writes: 2,
			..Bounds::default()
		},
	);
	raft(
		"join",
		"a learner joins a single voter and is promoted; one restarts",
		Bounds {
			voters: 1,
			is_led: true,
			terms: 3,
			log: 4,
			joins_up_to: 2,
			promotes: true,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"join-writes",
		"the same with writes that take time",
		Bounds {
			voters: 1,
			is_led: true,
			terms: 3,
			log: 3,
			joins_up_to: 2,
			promotes: true,
			restarts: 1,
			writes: 2,
			..Bounds::default()
		},
	);
	raft(
		"join-leave",
		"a learner joins, is promoted, and either is removed",
		Bounds {
			voters: 1,
			is_led: true,
			terms: 3,
			log: 5,
			joins_up_to: 2,
			promotes: true,
			removes_down_to: 1,
			..Bounds::default()
		},
	);
	raft(
		"promote",
		"a learner of two voters is promoted",
		Bounds {
			voters: 2,
			learners: 1,
			is_led: true,
			terms: 3,
			log: 3,
			promotes: true,
			..Bounds::default()
		},
	);
	raft(
		"loss",
		"three voters, of whom one is lost and removed",
		Bounds {
			is_led: true,
			terms: 2,
			log: 3,
			commands: true,
			removes_down_to: 2,
			losses: 1,
			..Bounds::default()
		},
	);
	raft(
		"loss-join",
		"a voter of two is lost, removed and replaced",
		Bounds {
			voters: 2,
			is_led: true,
			terms: 3,
			log: 5,
			removes_down_to: 1,
			losses: 1,
			joins_up_to: 2,
			promotes: true,
			..Bounds::default()
		},
	);
	raft(
		"calls-3",
		"three voters that are removed, in a world of calls",
		Bounds {
			network: Network::Calls,
			is_led: true,
			terms: 4,
			log: 4,
			removes_down_to: 1,
			restarts: 1,
			..Bounds::default()
		},
	);
	raft(
		"calls-8",
		"three voters and four terms, entry by entry, in a world of calls",
		Bounds {
			network: Network::Calls,
			is_led: true,
			terms: 4,
			log: 3,
			commands: true,
			single_entries: true,
			..Bounds::default()
		},
	);
	raft(
		"calls-4",
		"four voters that are removed, in a world of calls",
		Bounds {
			voters: 4,
			network: Network::Calls,
			is_led: true,
			terms: 3,
			log: 3,
			removes_down_to: 1,
			..Bounds::default()
		},
	);
	raft(
		"calls-5",
		"four voters and a learner, in a world of calls",
		Bounds {
			voters: 4,
			learners: 1,
			network: Network::Calls,
			is_led: true,
			terms: 3,
			log: 3,
			removes_down_to: 3,
			promotes: true,
			..Bounds::default()
		},
	);
	raft(
		"calls-join",
		"up to three members that join one, in a world of calls",
		Bounds {
			voters: 1,
			network: Network::Calls,
			is_led: true,
			terms: 3,
			log: 7,
			removes_down_to: 1,
			promotes: true,
			joins_up_to: 3,
			..Bounds::default()
		},
	);
	for (name, about, formations, attempts) in [
		("merge-2", "two formations that yield to one another", 2, 3),
		(
			"merge-3",
			"three formations that yield to one another",
			3,
			2,
		),
	] {
		let world = World::Merge(MergeModel {
			formations,
			attempts,
		});
		plans.push(Plan { name, about, world });
	}
	plans
}
