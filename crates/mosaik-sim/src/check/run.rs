//! Exploring a model and saying what came out.

use {
	stateright::{Checker, Expectation, HasDiscoveries, Model},
	std::{
		fmt::Debug,
		hash::Hash,
		time::{Duration, Instant},
	},
};

/// How far an exploration may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
	/// On how many threads.
	pub threads: usize,
	/// After how many transitions it is given up.
	pub transitions: usize,
}

impl Default for Limits {
	fn default() -> Self {
		Self {
			threads: 1,
			transitions: usize::MAX,
		}
	}
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
	/// How many different states there are.
	pub states: usize,
	/// How many transitions led to them.
	pub transitions: usize,
	/// How many steps it is to the last of them.
	pub depth: usize,
	/// How long it took.
	pub time: Duration,
	/// Whether there are no others.
	pub is_complete: bool,
	/// What must always hold and did not, with the steps that lead there.
	pub violations: Vec<Violation>,
	/// What must be possible and was not.
	pub missing: Vec<&'static str>,
}

/// Something that must hold and did not.
#[derive(Clone, Debug)]
pub struct Violation {
	/// What.
	pub property: &'static str,
	/// The steps that lead there, with the lines of the state that changed.
	pub trace: Vec<String>,
}

impl Report {
	/// Whether everything was explored and nothing was wrong.
	pub fn is_proven(&self) -> bool {
		self.is_complete && self.violations.is_empty() && self.missing.is_empty()
	}

	/// Whether a property of this name does not hold.
	pub fn violates(&self, property: &str) -> bool {
		let mut violations = self.violations.iter();
		violations.any(|violation| violation.property == property)
	}
}

/// Explores all that is reachable, breadth first, until something is wrong; then
/// once more, to find the shortest way there.
pub fn explore<M>(model: impl Fn() -> M, limits: Limits) -> Report
where
	M: Model + Send + Sync + 'static,
	M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
	M::Action: Clone + Debug + PartialEq,
{
	let report = explore_to(model(), limits, usize::MAX);
	if report.violations.is_empty() {
		return report;
	}
	let mut shorter = (2..=report.depth).map(|depth| explore_to(model(), limits, depth));
	let shortest = shorter.find(|report| !report.violations.is_empty());
	Report {
		violations: shortest.map_or(report.violations, |shortest| shortest.violations),
		..report
	}
}

fn explore_to<M>(model: M, limits: Limits, depth: usize) -> Report
where
	M: Model + Send + Sync + 'static,
	M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
	M::Action: Clone + Debug + PartialEq,
{
	let begun = Instant::now();
	let checker = model
		.checker()
		.threads(limits.threads)
		.finish_when(HasDiscoveries::AnyFailures)
		.target_state_count(limits.transitions)
		.target_max_depth(depth)
		.spawn_bfs()
		.join();
	let discoveries = checker.discoveries();
	let (mut violations, mut missing) = (Vec::new(), Vec::new());
	for property in checker.model().properties() {
		let path = discoveries.get(property.name);
		match (&property.expectation, path) {
			(Expectation::Sometimes, None) => missing.push(property.name),
			(Expectation::Sometimes, Some(_)) | (_, None) => {}
			(_, Some(path)) => violations.push(Violation {
				property: property.name,
				trace: trace(checker.model(), path.clone().into_vec()),
			}),
		}
	}
	Report {
		states: checker.unique_state_count(),
		transitions: checker.state_count(),
		depth: checker.max_depth(),
		time: begun.elapsed(),
		is_complete: violations.is_empty() && checker.state_count() < limits.transitions,
		violations,
		missing,
	}
}

fn trace<M>(model: &M, path: Vec<(M::State, Option<M::Action>)>) -> Vec<String>
where
	M: Model,
	M::State: Debug,
	M::Action: Debug,
{
	let mut known: Vec<String> = Vec::new();
	let mut lines = Vec::new();
	for (state, action) in path {
		let now: Vec<String> = format!("{state:?}").lines().map(str::to_owned).collect();
		let news = now.iter().filter(|line| !known.contains(line));
		lines.extend(news.map(|line| format!("      {line}")));
		known = now;
		lines.extend(action.map(|action| format!("  {}", model.format_action(&action))));
	}
	lines
}
