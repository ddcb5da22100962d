//! What must hold, one file each, checked after every event.
//!
//! Each keeps what it needs of the past and is told only what an event touched, so
//! that a check costs about as much as the event. What they know is kept per
//! formation: positions and members of different formations have nothing to do
//! with one another.

pub mod acknowledged;
pub mod bounded;
pub mod commit_quorum;
pub mod committed;
pub mod config_rules;
pub mod election_safety;
pub mod exactly_once;
pub mod fencing;
pub mod leader_append_only;
pub mod leader_completeness;
pub mod log_matching;
pub mod member_ids;
pub mod monotonic;
pub mod not_poisoned;
pub mod one_vote;
pub mod promises;
pub mod state_machine;
pub mod strong_reads;
pub mod votes_counted;

mod formation;
#[cfg(test)]
mod testing;

pub use formation::{Formation, Holds, View};

use {
	super::note::Note,
	mosaik_proto::groups::{Raft, types::FormationId},
	std::{collections::BTreeMap, fmt},
};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
	/// Which.
	pub invariant: &'static str,
	/// What happened.
	pub what: String,
}

impl fmt::Display for Violation {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{}: {}", self.invariant, self.what)
	}
}

/// What a check says.
pub type Check = Result<(), Violation>;

/// An invariant is broken.
pub(crate) fn broken<T>(invariant: &'static str, what: impl Into<String>) -> Result<T, Violation> {
	Err(Violation {
		invariant,
		what: what.into(),
	})
}

/// All invariants of all formations.
#[derive(Debug, Default)]
pub struct Invariants {
	formations: BTreeMap<FormationId, Formation>,
}

impl Invariants {
	/// What is known of a formation.
	pub fn formation(&mut self, id: FormationId) -> &mut Formation {
		self.formations.entry(id).or_default()
	}

	/// A process handled something: everything that could have changed is checked.
	///
	/// # Errors
	/// When an invariant is broken.
	pub fn check(&mut self, view: &View<'_, Raft>, notes: &[Note], holds: Holds<'_>) -> Check {
		bounded::check(view.engine.load())?;
		self.formation(view.formation).check(view, notes, holds)
	}
}
