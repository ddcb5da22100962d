//! Formations that yield to one another: `Yielding`, `Absorb`, `Dissolve`.
//!
//! Each formation is what its log says: its steps are committed entries, so they
//! are atomic and never forgotten. What may follow what is asked of the real
//! [`LogState`]. Between formations, what was asked and answered can arrive at
//! any later time, any number of times, or never; a formation may ask any other,
//! and give up at any moment.

use {
	super::shared::Shared,
	mosaik_proto::groups::{
		Config,
		entry::{Entry, EntryKind, FormationEntry},
		state::{Life, LogState},
		types::{FormationId, LogPos},
	},
	stateright::{Model, Property},
	std::{collections::BTreeSet, fmt},
};

/// The number of a formation.
pub type Formation = usize;

/// What formations say to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
	/// `from` asks `to` to absorb it.
	Ask {
		/// Who asks.
		from: Formation,
		/// Whom.
		to: Formation,
		/// The attempt of who asks.
		attempt: u64,
	},
	/// `by` has absorbed `from`.
	Accept {
		/// Who asked.
		from: Formation,
		/// Whom.
		by: Formation,
		/// The attempt of who asked.
		attempt: u64,
	},
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
	/// A formation begins to yield into another one.
	Yield(Formation, Formation),
	/// It gives up.
	Abort(Formation),
	/// Something that was said arrives.
	Hear(Call),
}

/// The formations, and all that was ever said.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
	/// What follows from their logs.
	pub formations: Vec<Shared<LogState>>,
	/// What was said.
	pub said: BTreeSet<Call>,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct MergeModel {
	/// How many formations there are.
	pub formations: usize,
	/// How often each may yield.
	pub attempts: u64,
}

impl fmt::Debug for State {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let mut formations = self.formations.iter().enumerate();
		formations.try_for_each(|(at, state)| writeln!(f, "formation {at}: {:?}", state.life))
	}
}

fn id(formation: Formation) -> FormationId {
	FormationId::from(formation as u128)
}

impl State {
	/// Appends a step to a log, if it may follow.
	fn append(&mut self, formation: Formation, step: FormationEntry) -> Option<()> {
		let state = &self.formations[formation];
		if !state.permits(step) {
			return None;
		}
		let mut state = (**state).clone();
		// Positions do not matter here, so all are alike.
		state.push(&Entry {
			pos: LogPos { term: 1, index: 2 },
			seq_end: 0,
			kind: EntryKind::Formation(step),
		});
		self.formations[formation] = Shared::new(state);
		Some(())
	}

	fn successor(&self, formation: Formation) -> Option<Formation> {
		match self.formations[formation].life {
			Life::Dissolved { into } => (0..self.formations.len()).find(|other| id(*other) == into),
			_ => None,
		}
	}

	/// Whether whoever follows the members of any formation arrives at one that
	/// lives.
	pub fn is_acyclic(&self) -> bool {
		(0..self.formations.len()).all(|mut formation| {
			let steps = 0..=self.formations.len();
			steps.into_iter().any(|_| match self.successor(formation) {
				Some(next) => {
					formation = next;
					false
				}
				None => true,
			})
		})
	}
}

impl Model for MergeModel {
	type State = State;
	type Action = Step;

	fn init_states(&self) -> Vec<State> {
		let config = Config::founding([super::raft::node::info(1)]);
		let one = Shared::new(LogState::genesis(config));
		vec![State {
			formations: vec![one; self.formations],
			said: BTreeSet::new(),
		}]
	}

	fn actions(&self, state: &State, actions: &mut Vec<Step>) {
		for from in 0..self.formations {
			if state.formations[from].attempts < self.attempts {
				let others = (0..self.formations).filter(|into| *into != from);
				actions.extend(others.map(|into| Step::Yield(from, into)));
			}
			actions.push(Step::Abort(from));
		}
		actions.extend(state.said.iter().copied().map(Step::Hear));
	}

	fn next_state(&self, last: &State, step: Step) -> Option<State> {
		let mut state = last.clone();
		match step {
			Step::Yield(from, to) => {
				let attempt = state.formations[from].attempts + 1;
				let into = id(to);
				state.append(from, FormationEntry::Yielding { into, attempt })?;
				state.said.insert(Call::Ask { from, to, attempt });
			}
			Step::Abort(from) => {
				let attempt = state.formations[from].attempts;
				state.append(from, FormationEntry::YieldAborted { attempt })?;
			}
			Step::Hear(Call::Ask { from, to, attempt }) => {
				let by = to;
				let asker = id(from);
				let absorb = FormationEntry::Absorb {
					from: asker,
					attempt,
				};
				state.append(to, absorb)?;
				state.said.insert(Call::Accept { from, by, attempt });
			}
			Step::Hear(Call::Accept { from, by, attempt }) => {
				let into = id(by);
				state.append(from, FormationEntry::Dissolve { into, attempt })?;
			}
		}
		(state != *last).then_some(state)
	}

	fn format_action(&self, step: &Step) -> String {
		match step {
			Step::Yield(from, into) => format!("formation {from} yields into {into}"),
			Step::Abort(from) => format!("formation {from} gives up"),
			Step::Hear(Call::Ask { from, to, attempt }) => {
				format!("formation {to} hears that {from} asks it, attempt {attempt}")
			}
			Step::Hear(Call::Accept { from, by, attempt }) => {
				format!("formation {from} hears that {by} accepted, attempt {attempt}")
			}
		}
	}

	fn properties(&self) -> Vec<Property<Self>> {
		vec![
			Property::always(
				"every chain ends in a living formation",
				|_, state: &State| state.is_acyclic(),
			),
			Property::sometimes("all but one dissolve", |_, state: &State| {
				let lives = |at: &usize| state.successor(*at).is_none();
				(0..state.formations.len()).filter(lives).count() == 1
			}),
		]
	}
}
