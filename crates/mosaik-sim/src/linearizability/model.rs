//! What an object does, one call at a time.

use std::{fmt, hash::Hash};

/// A deterministic sequential object.
///
/// `init` and `step` are the object. The rest is knowledge about it that spares the
/// search work: the defaults know nothing and are always right, anything else must
/// hold in every state.
pub trait Model {
	/// What it remembers. Equal states must behave alike for ever.
	type State: Clone + Eq + Hash + fmt::Debug;
	/// What it can be asked.
	type Op: PartialEq + fmt::Debug;
	/// What it answers.
	type Ret: PartialEq + fmt::Debug;
	/// Something that is so or not in a state, and on which what calls return
	/// depends: "register 3 holds 7". `()` if there is no use for it.
	type Fact: Ord;

	/// How it begins.
	fn init() -> Self::State;

	/// Executes one call.
	fn step(state: &Self::State, op: &Self::Op) -> (Self::State, Self::Ret);

	/// Whether a call that returns this changes no state whatever.
	fn is_read(_op: &Self::Op, _ret: &Self::Ret) -> bool {
		false
	}

	/// Whether `op` cannot return `ret`, neither in `state` nor in any that can
	/// follow it: an index that is taken, a length that is exceeded.
	fn is_past(_state: &Self::State, _op: &Self::Op, _ret: &Self::Ret) -> bool {
		false
	}

	/// Whether a fact is so. Without facts, nobody asks.
	fn holds(_state: &Self::State, _fact: &Self::Fact) -> bool {
		true
	}

	/// What must be so for `op` to return `ret`.
	fn needs(_op: &Self::Op, _ret: &Self::Ret) -> Option<Self::Fact> {
		None
	}

	/// What may be so after `op` that was not so before: nothing but this.
	fn brings(_op: &Self::Op) -> Option<Self::Fact> {
		None
	}

	/// What was so in the state before `op` and is not after it.
	fn ends(_before: &Self::State, _op: &Self::Op, _after: &Self::State) -> Option<Self::Fact> {
		None
	}
}

/// A model of many independent objects: a call concerns that of its key alone.
pub trait Keyed: Model {
	/// The name of an object.
	type Key: Ord + fmt::Debug;

	/// Which object the call is for.
	fn key(op: &Self::Op) -> Self::Key;
}
