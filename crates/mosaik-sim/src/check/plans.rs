//! The configurations that are explored.

mod changing;
mod steady;

use super::{
	merge::MergeModel,
	raft::{Bounds, RaftModel},
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

/// A plan for the members of one formation: its name, what it is about, its bounds.
type Outline = (&'static str, &'static str, Bounds);

/// All of them.
pub fn all() -> Vec<Plan> {
	let formations = steady::outlines().into_iter().chain(changing::outlines());
	let formations = formations.map(|(name, about, bounds)| Plan {
		name,
		about,
		world: World::Raft(bounds),
	});
	let merge = |name, about, formations, attempts| Plan {
		name,
		about,
		world: World::Merge(MergeModel {
			formations,
			attempts,
		}),
	};
	let merges = [
		merge("merge-2", "two formations, three attempts each", 2, 3),
		merge("merge-3", "three formations, two attempts each", 3, 2),
	];
	formations.chain(merges).collect()
}
