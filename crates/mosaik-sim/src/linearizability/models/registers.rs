//! A register per key.

use {
	crate::linearizability::model::{Keyed, Model},
	std::collections::BTreeMap,
};

/// Registers that are read, written, and compared and swapped, each by its key.
#[derive(Debug, Clone, Copy)]
pub struct Registers;

/// A call on one register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterOp {
	/// Which.
	pub key: u64,
	/// What to do with it.
	pub action: Action,
}

/// What is done with a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
	/// Returns the value.
	Read,
	/// Replaces the value.
	Write(u64),
	/// Replaces the value if it is the one expected.
	Cas {
		/// The value expected, `None` if none was ever written.
		expect: Option<u64>,
		/// The value to be written.
		new: u64,
	},
}

/// What a register answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterRet {
	/// The value read, `None` if none was ever written.
	Value(Option<u64>),
	/// Written.
	Written,
	/// Whether it was swapped.
	Swapped(bool),
}

impl Model for Registers {
	type State = BTreeMap<u64, u64>;
	type Op = RegisterOp;
	type Ret = RegisterRet;
	/// A register holds this.
	type Fact = (u64, Option<u64>);

	fn init() -> Self::State {
		BTreeMap::new()
	}

	fn step(state: &Self::State, op: &RegisterOp) -> (Self::State, RegisterRet) {
		let value = state.get(&op.key).copied();
		let (written, ret) = match op.action {
			Action::Read => (None, RegisterRet::Value(value)),
			Action::Write(new) => (Some(new), RegisterRet::Written),
			Action::Cas { expect, new } if value == expect => {
				(Some(new), RegisterRet::Swapped(true))
			}
			Action::Cas { .. } => (None, RegisterRet::Swapped(false)),
		};
		let mut state = state.clone();
		if let Some(new) = written {
			state.insert(op.key, new);
		}
		(state, ret)
	}

	fn is_read(_op: &RegisterOp, ret: &RegisterRet) -> bool {
		matches!(ret, RegisterRet::Value(_) | RegisterRet::Swapped(false))
	}

	fn holds(state: &Self::State, (key, value): &Self::Fact) -> bool {
		state.get(key) == value.as_ref()
	}

	fn needs(op: &RegisterOp, ret: &RegisterRet) -> Option<Self::Fact> {
		match (op.action, ret) {
			(Action::Read, RegisterRet::Value(value)) => Some((op.key, *value)),
			(Action::Cas { expect, .. }, RegisterRet::Swapped(true)) => Some((op.key, expect)),
			_ => None,
		}
	}

	fn brings(op: &RegisterOp) -> Option<Self::Fact> {
		match op.action {
			Action::Read => None,
			Action::Write(new) | Action::Cas { new, .. } => Some((op.key, Some(new))),
		}
	}

	fn ends(before: &Self::State, op: &RegisterOp, after: &Self::State) -> Option<Self::Fact> {
		let (before, after) = (before.get(&op.key), after.get(&op.key));
		(before != after).then_some((op.key, before.copied()))
	}
}

impl Keyed for Registers {
	type Key = u64;

	fn key(op: &RegisterOp) -> u64 {
		op.key
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_swap_needs_the_expected_value() {
		let step = |state: &_, action| Registers::step(state, &RegisterOp { key: 3, action });
		let empty = Registers::init();
		assert_eq!(step(&empty, Action::Read).1, RegisterRet::Value(None));
		let (one, _) = step(&empty, Action::Write(1));
		let swap = |expect| Action::Cas { expect, new: 2 };
		let (same, ret) = step(&one, swap(None));
		assert_eq!((&same, ret), (&one, RegisterRet::Swapped(false)));
		let (two, ret) = step(&one, swap(Some(1)));
		assert_eq!(ret, RegisterRet::Swapped(true));
		assert_eq!(step(&two, Action::Read).1, RegisterRet::Value(Some(2)));
	}
}
