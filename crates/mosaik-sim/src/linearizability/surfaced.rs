//! Nothing that was acknowledged disappears silently.
//!
//! Within a formation, linearizability says that an acknowledged command stays.
//! But a formation can end: it yields to another (`Superseded`), is founded anew by
//! those who are left after a proven loss (`Reformed`), or stays without a quorum
//! for ever (`QuorumLost`). Each of these says what it costs. This oracle holds
//! what was acknowledged against what is left in the end and against what was said
//! to be lost; whatever is in neither is a [`Loss`].
//!
//! ```text
//!   X  1 2 3 4 5 6        Reformed into Y, kept up to 4: surfaces 5.. of X
//!   Y  1 2 3 4 a b        Superseded by Z, discards 1..=6: surfaces 1..=6 of Y,
//!   Z  p q r                 and with it 1..=4 of X, which Y had taken over
//! ```
//!
//! Two formations in `Conflict` lose nothing: both are still there, each with its
//! own final state, until one of them is superseded.

use std::{
	collections::{BTreeMap, BTreeSet},
	fmt,
	ops::RangeInclusive,
};

/// The id of a formation.
pub type Formation = u128;

/// An event that told of commands being lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surfaced {
	/// Whose.
	pub formation: Formation,
	/// Their indices.
	pub discarded: RangeInclusive<u64>,
}

/// An acknowledged command that is gone, or not where it was, and nobody was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss<V> {
	/// Which formation acknowledged it.
	pub formation: Formation,
	/// At which index.
	pub index: u64,
	/// The command.
	pub value: V,
	/// What became of it.
	pub fate: Fate,
}

/// What became of a command that should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
	/// The formation at the end of the chain does not have it.
	Missing {
		/// That formation.
		from: Formation,
	},
	/// It is in the formation at the end of the chain, but at another index.
	Moved {
		/// That formation.
		within: Formation,
		/// Where it is now.
		to: u64,
	},
	/// The chain ends in a formation that nobody serves, and that was not said to
	/// have lost its quorum.
	Vanished {
		/// That formation.
		with: Formation,
	},
}

impl<V: fmt::Debug> fmt::Display for Loss<V> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let (formation, index, value) = (self.formation, self.index, &self.value);
		write!(
			f,
			"{value:?}, acknowledged at {index} by {formation:x}, is silently "
		)?;
		match self.fate {
			Fate::Missing { from } => write!(f, "missing from {from:x}"),
			Fate::Moved { within, to } => write!(f, "moved to {to} in {within:x}"),
			Fate::Vanished { with } => write!(f, "gone with {with:x}"),
		}
	}
}

/// How one formation went over into another.
#[derive(Debug, Clone, Copy)]
struct Succession {
	into: Formation,
	/// Whether the successor began with the commands of its predecessor, so that
	/// they have the same indices there.
	continues: bool,
}

/// What is known of one formation.
#[derive(Debug)]
struct Account<V> {
	acknowledged: Vec<(u64, V)>,
	discarded: Vec<RangeInclusive<u64>>,
	succession: Option<Succession>,
	quorum_lost: bool,
	/// Where each command is in the end.
	applied: Option<BTreeMap<V, u64>>,
}

/// What was acknowledged, told and left, per formation.
#[derive(Debug)]
pub struct Ledger<V> {
	accounts: BTreeMap<Formation, Account<V>>,
}

impl<V> Default for Ledger<V> {
	fn default() -> Self {
		Self {
			accounts: BTreeMap::new(),
		}
	}
}

impl<V: Clone + Ord> Ledger<V> {
	/// A client was told that its command is committed. Values are unique.
	pub fn acknowledged(&mut self, formation: Formation, index: u64, value: V) {
		self.account(formation).acknowledged.push((index, value));
	}

	/// Somebody was told that commands are lost.
	pub fn surfaced(&mut self, event: Surfaced) {
		let account = self.account(event.formation);
		account.discarded.push(event.discarded);
	}

	/// `Superseded`: the formation yielded to another one, and its commands in
	/// this range are discarded.
	pub fn superseded(
		&mut self,
		formation: Formation,
		into: Formation,
		discarded: RangeInclusive<u64>,
	) {
		self.surfaced(Surfaced {
			formation,
			discarded,
		});
		self.succeed(formation, into, false);
	}

	/// `Reformed`: the formation was founded anew, with its commands up to and
	/// including this index.
	pub fn reformed(&mut self, formation: Formation, into: Formation, kept_up_to: u64) {
		if let Some(first_lost) = kept_up_to.checked_add(1) {
			self.surfaced(Surfaced {
				formation,
				discarded: first_lost..=u64::MAX,
			});
		}
		self.succeed(formation, into, true);
	}

	/// `QuorumLost`. A quorum that was lost may come back: this excuses nothing
	/// unless the formation has no final state.
	pub fn quorum_lost(&mut self, formation: Formation) {
		self.account(formation).quorum_lost = true;
	}

	/// The commands that a formation has applied in the end, the first one being at
	/// index 1. A formation that nobody serves any more has none of this.
	pub fn survives(&mut self, formation: Formation, applied: impl IntoIterator<Item = V>) {
		let applied = applied.into_iter().zip(1..).collect();
		self.account(formation).applied = Some(applied);
	}

	/// The acknowledged commands that are neither there nor surfaced, by formation
	/// and in the order in which they were acknowledged.
	pub fn losses(&self) -> Vec<Loss<V>> {
		let mut losses = Vec::new();
		for (formation, account) in &self.accounts {
			for (index, value) in &account.acknowledged {
				if let Some(fate) = self.fate(*formation, *index, value) {
					losses.push(Loss {
						formation: *formation,
						index: *index,
						value: value.clone(),
						fate,
					});
				}
			}
		}
		losses
	}

	/// Follows a command to where it is in the end.
	fn fate(&self, formation: Formation, index: u64, value: &V) -> Option<Fate> {
		let mut at = formation;
		// Known as long as each formation continued the one before.
		let mut index = Some(index);
		let mut passed = BTreeSet::new();
		loop {
			let gone = Fate::Vanished { with: at };
			// A chain that comes back to itself has no end.
			let Some(account) = self.accounts.get(&at).filter(|_| passed.insert(at)) else {
				return Some(gone);
			};
			let surfaced = |index| account.discarded.iter().any(|range| range.contains(&index));
			if index.is_some_and(surfaced) {
				return None;
			}
			if let Some(succession) = account.succession {
				at = succession.into;
				index = index.filter(|_| succession.continues);
				continue;
			}
			let Some(applied) = &account.applied else {
				return (!account.quorum_lost).then_some(gone);
			};
			return match applied.get(value) {
				None => Some(Fate::Missing { from: at }),
				Some(to) if index.is_some_and(|index| index != *to) => Some(Fate::Moved {
					within: at,
					to: *to,
				}),
				Some(_) => None,
			};
		}
	}

	fn succeed(&mut self, formation: Formation, into: Formation, continues: bool) {
		self.account(formation).succession = Some(Succession { into, continues });
	}

	fn account(&mut self, formation: Formation) -> &mut Account<V> {
		let account = self.accounts.entry(formation);
		account.or_insert_with(|| Account {
			acknowledged: Vec::new(),
			discarded: Vec::new(),
			succession: None,
			quorum_lost: false,
			applied: None,
		})
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	/// Formation 1 acknowledged `a` at 1 and `b` at 3.
	fn ledger() -> Ledger<char> {
		let mut ledger = Ledger::default();
		ledger.acknowledged(1, 1, 'a');
		ledger.acknowledged(1, 3, 'b');
		ledger
	}

	fn fates(ledger: &Ledger<char>) -> Vec<(char, Fate)> {
		let losses = ledger.losses().into_iter();
		losses.map(|loss| (loss.value, loss.fate)).collect()
	}

	#[test]
	fn what_is_applied_in_the_end_is_not_lost() {
		let mut ledger = ledger();
		ledger.survives(1, ['a', 'x', 'b']);
		assert_eq!(ledger.losses(), []);
	}

	#[test]
	fn an_acknowledged_command_that_is_not_there_is_named() {
		let mut ledger = ledger();
		ledger.survives(1, ['a', 'x', 'y']);
		assert_eq!(fates(&ledger), [('b', Fate::Missing { from: 1 })]);
		assert_eq!(
			ledger.losses()[0].to_string(),
			"'b', acknowledged at 3 by 1, is silently missing from 1"
		);
	}

	#[test]
	fn a_command_stays_at_its_index() {
		let mut ledger = ledger();
		ledger.survives(1, ['a', 'b']);
		assert_eq!(fates(&ledger), [('b', Fate::Moved { within: 1, to: 2 })]);
	}

	#[test]
	fn what_was_said_to_be_discarded_is_not_lost_silently() {
		let mut ledger = ledger();
		ledger.superseded(1, 2, 2..=3);
		ledger.survives(2, ['p']);
		// One that was not in the range.
		assert_eq!(fates(&ledger), [('a', Fate::Missing { from: 2 })]);
		ledger.surfaced(Surfaced {
			formation: 1,
			discarded: 1..=1,
		});
		assert_eq!(ledger.losses(), []);
	}

	#[test]
	fn ranges_of_one_formation_excuse_nothing_in_another() {
		let mut ledger = ledger();
		ledger.superseded(1, 2, 1..=2);
		ledger.superseded(2, 3, 1..=9);
		ledger.survives(3, []);
		assert_eq!(fates(&ledger), [('b', Fate::Missing { from: 3 })]);
	}

	#[test]
	fn a_command_that_was_submitted_again_may_have_another_index() {
		let mut ledger = ledger();
		ledger.superseded(1, 2, 1..=1);
		ledger.survives(2, ['p', 'b', 'a']);
		assert_eq!(ledger.losses(), []);
	}

	#[test]
	fn a_reformed_formation_keeps_what_it_said_to_keep() {
		let mut ledger = ledger();
		ledger.reformed(1, 2, 2);
		ledger.survives(2, ['a', 'x', 'y']);
		assert_eq!(ledger.losses(), []);
		ledger.survives(2, ['x', 'a']);
		assert_eq!(fates(&ledger), [('a', Fate::Moved { within: 2, to: 2 })]);
		ledger.survives(2, ['x']);
		assert_eq!(fates(&ledger), [('a', Fate::Missing { from: 2 })]);
	}

	#[test]
	fn what_was_kept_can_be_surfaced_later_in_the_chain() {
		let mut ledger = ledger();
		ledger.reformed(1, 2, 2);
		ledger.superseded(2, 3, 1..=5);
		ledger.survives(3, ['p']);
		assert_eq!(ledger.losses(), []);
	}

	#[test]
	fn a_lost_quorum_excuses_only_a_formation_that_does_not_come_back() {
		let mut ledger = ledger();
		let vanished = Fate::Vanished { with: 1 };
		assert_eq!(fates(&ledger), [('a', vanished), ('b', vanished)]);
		ledger.quorum_lost(1);
		assert_eq!(ledger.losses(), []);
		ledger.survives(1, ['a']);
		assert_eq!(fates(&ledger), [('b', Fate::Missing { from: 1 })]);
	}

	#[test]
	fn a_conflict_loses_nothing_as_both_are_there() {
		let mut ledger = ledger();
		ledger.acknowledged(2, 1, 'p');
		ledger.survives(1, ['a', 'x', 'b']);
		ledger.survives(2, ['p']);
		assert_eq!(ledger.losses(), []);
	}

	#[test]
	fn a_chain_without_an_end_loses_everything() {
		let mut ledger = ledger();
		ledger.superseded(1, 2, 1..=1);
		ledger.superseded(2, 1, 1..=9);
		assert_eq!(fates(&ledger), [('b', Fate::Vanished { with: 1 })]);
	}
}
