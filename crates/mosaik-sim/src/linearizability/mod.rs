//! Whether what clients saw can be explained by one object that does one thing
//! at a time.
//!
//! While a simulation goes, it records a [`History`]: who called what when, and
//! what came back. Afterwards [`check`] looks for an order of the calls in which
//! a sequential [`Model`] returns just what the clients got, and in which no call
//! comes before one that had returned when it was made (Herlihy and Wing 1990).
//! The order of time is the order in which events were recorded; the times in a
//! history are for people.
//!
//! ```text
//!   client 0   |---- Append(7) -> 1 ----|
//!   client 1        |- Append(8) -> 2 -|         |-- Append(9) -> ?
//!   client 2                              |-- Read -> [7, 8, 9] --|
//!
//!   one order: Append(7), Append(8), Append(9), Read
//! ```
//!
//! A call of unknown outcome may have taken effect at any time after it was made,
//! or never: it has a beginning and no end, and nothing is asked of its return.
//!
//! The search is that of Wing and Gong (1993) with the memory of Lowe
//! (2017). The question is NP-complete (Gibbons and Korach 1997), so that it has
//! a [`Budget`]. A check that ran out of it has shown nothing, and is a verdict
//! of its own.
//!
//! A formation is an object: a history is of one formation. That nothing is lost
//! silently between formations is another oracle, [`surfaced`].
//!
//! Papers: Herlihy and Wing, "Linearizability: a correctness condition for
//! concurrent objects", ACM TOPLAS 12(3), 1990; Wing and Gong, "Testing and verifying
//! concurrent objects", JPDC 17, 1993; Gibbons and Korach, "Testing shared
//! memories", SIAM Journal on Computing 26(4), 1997; Horn and Kroening, "Faster
//! linearizability checking via P-compositionality", FORTE 2015; Lowe, "Testing
//! for linearizability", Concurrency and Computation 29(4), 2017.

mod entries;
mod facts;
pub mod history;
mod memo;
pub mod model;
pub mod models;
pub mod report;
pub mod surfaced;
mod wgl;

#[cfg(test)]
mod brute;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod workload;

pub use {
	history::{Call, CallId, Client, History, Moment, Outcome},
	model::{Keyed, Model},
	report::Report,
};

use {
	std::{collections::BTreeMap, fmt},
	wgl::{Found, Tuning, search},
};

/// How long to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
	/// Steps of the search, each about one step of the model, for each part of a
	/// history that is checked on its own. It also bounds the memory: a step
	/// remembers at most one configuration, of a hundred bytes or so.
	pub steps: u64,
}

impl Default for Budget {
	/// Five million steps: about half a second in release. Five thousand calls take
	/// some ten thousands.
	fn default() -> Self {
		Self { steps: 5_000_000 }
	}
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "only `Linearizable` is good news"]
pub enum Verdict {
	/// There is an order.
	Linearizable,
	/// There is none.
	NotLinearizable(Box<Report>),
	/// The budget is spent, and neither is known.
	Exhausted {
		/// How many steps were made.
		steps: u64,
	},
}

impl Verdict {
	/// Whether an order was found. A check that ran out of steps found none.
	pub const fn is_linearizable(&self) -> bool {
		matches!(self, Self::Linearizable)
	}

	/// What to say if the history was not shown to be linearizable.
	pub fn failure(&self) -> Option<String> {
		(!self.is_linearizable()).then(|| self.to_string())
	}
}

impl fmt::Display for Verdict {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			Self::Linearizable => f.write_str("linearizable"),
			Self::NotLinearizable(report) => report.fmt(f),
			Self::Exhausted { steps } => {
				write!(
					f,
					"not known to be linearizable: gave up after {steps} steps"
				)
			}
		}
	}
}

/// Looks for an order of all calls of a history.
pub fn check<M: Model>(history: &History<M::Op, M::Ret>, budget: Budget) -> Verdict {
	let calls: Vec<_> = history.calls().iter().collect();
	judge::<M>(&calls, budget).0
}

/// Looks for an order of the calls of each key, which is enough: a history is
/// linearizable if and only if its part for each object is (the locality theorem
/// of Herlihy and Wing; Horn and Kroening call its use P-compositionality).
///
/// The work grows fast with the calls that are concurrent, and those of different
/// keys now are not. The violation of the least key is reported; it is one even if
/// other keys exhausted their budget.
pub fn check_by_key<M: Keyed>(history: &History<M::Op, M::Ret>, budget: Budget) -> Verdict {
	let mut keys: BTreeMap<M::Key, Vec<_>> = BTreeMap::new();
	for call in history.calls() {
		keys.entry(M::key(&call.op)).or_default().push(call);
	}
	let mut exhausted = false;
	let mut total = 0;
	for (key, calls) in keys {
		let (verdict, steps) = judge::<M>(&calls, budget);
		total += steps;
		match verdict {
			Verdict::Linearizable => {}
			Verdict::NotLinearizable(mut report) => {
				report.key = Some(format!("{key:?}"));
				return Verdict::NotLinearizable(report);
			}
			Verdict::Exhausted { .. } => exhausted = true,
		}
	}
	if exhausted {
		return Verdict::Exhausted { steps: total };
	}
	Verdict::Linearizable
}

/// The verdict on some calls of a history, and the steps to it.
fn judge<M: Model>(calls: &[&Call<M::Op, M::Ret>], budget: Budget) -> (Verdict, u64) {
	let (found, steps) = search::<M>(calls, budget, Tuning::default());
	let verdict = match found {
		Found::Order(..) => Verdict::Linearizable,
		Found::Nothing => Verdict::NotLinearizable(Box::new(Report::new::<M>(calls, budget))),
		Found::Exhausted => Verdict::Exhausted { steps },
	};
	(verdict, steps)
}
