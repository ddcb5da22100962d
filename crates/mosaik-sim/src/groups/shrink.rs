//! Leaving out what is not needed for a violation: delta debugging (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).

use super::sim::{Options, Outcome, run};

/// What is left of a run.
#[derive(Debug)]
pub struct Shrunk {
	/// How to run it.
	pub options: Options,
	/// What becomes of it.
	pub outcome: Outcome,
	/// How many runs it took.
	pub runs: usize,
}

/// The smallest run that breaks the same invariant, as far as `budget` runs find.
pub fn shrink(options: &Options, outcome: &Outcome, budget: usize) -> Option<Shrunk> {
	let wanted = outcome.violation.as_ref()?.invariant;
	let mut runs = 0;
	let mut fails = |kept: &[usize], events: u64| -> Option<u64> {
		runs += 1;
		let outcome = run(&Options {
			kept: Some(kept.to_vec()),
			events,
			trace: false,
			..options.clone()
		});
		let violation = outcome.violation?;
		(violation.invariant == wanted).then_some(outcome.stats.events)
	};
	let mut kept: Vec<usize> = outcome.actions.iter().map(|action| action.number).collect();
	let mut events = options.events;
	// The shortest beginning of the plan, by bisection.
	let (mut low, mut high) = (0, kept.len());
	while low < high {
		let middle = (low + high) / 2;
		if fails(&kept[..middle], events).is_some() {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	kept.truncate(high);
	let mut chunk = kept.len().div_ceil(2).max(1);
	let mut spent = 0;
	while spent < budget && !kept.is_empty() {
		let mut at = 0;
		let mut is_smaller = false;
		while at < kept.len() && spent < budget {
			let mut without = kept.clone();
			without.drain(at..(at + chunk).min(kept.len()));
			spent += 1;
			if fails(&without, events).is_some() {
				kept = without;
				is_smaller = true;
			} else {
				at += chunk;
			}
		}
		if chunk == 1 && !is_smaller {
			break;
		}
		chunk = (chunk / 2).max(1);
	}
	if let Some(at) = fails(&kept, events) {
		events = at.min(events);
	}
	let options = Options {
		kept: Some(kept),
		events,
		trace: true,
		..options.clone()
	};
	let outcome = run(&options);
	Some(Shrunk {
		options,
		outcome,
		runs,
	})
}
