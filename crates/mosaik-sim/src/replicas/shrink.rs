//! Finds the part of a plan that makes it fail (delta debugging, Zeller 2002).

use super::{plan::Plan, run::run};

/// How many runs that may take.
const MAX_RUNS: usize = 400;

/// A plan with fewer actions that fails as well. It need not fail in the same way.
pub fn shrink(mut plan: Plan) -> Plan {
	let mut runs = 0;
	let mut fails = |plan: &Plan| {
		runs += 1;
		runs <= MAX_RUNS && run(plan, false).violation.is_some()
	};
	// The end first: what comes after the failure has no part in it.
	let mut keep = plan.actions.len();
	while keep > 1 {
		let mut shorter = plan.clone();
		shorter.actions.truncate(keep / 2);
		shorter.end = shorter.actions.last().map_or(0, |(at, _)| *at);
		if !fails(&shorter) {
			break;
		}
		plan = shorter;
		keep = plan.actions.len();
	}
	let mut chunk = plan.actions.len() / 2;
	while chunk > 0 {
		let mut from = 0;
		while from < plan.actions.len() {
			let mut without = plan.clone();
			let to = (from + chunk).min(without.actions.len());
			without.actions.drain(from..to);
			if fails(&without) {
				plan = without;
			} else {
				from = to;
			}
		}
		chunk /= 2;
	}
	plan
}
