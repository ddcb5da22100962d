//! The definition, word for word, for tests: try every subset of the calls of
//! unknown outcome, and every order of those and the rest.

use super::{Call, History, Model, Outcome};

/// Whether any order will do. Use it for a handful of calls.
pub(super) fn is_linearizable<M: Model>(history: &History<M::Op, M::Ret>) -> bool {
	let calls = history.calls();
	let by = |wanted: fn(&Outcome<M::Ret>) -> bool| -> Vec<_> {
		calls.iter().filter(|call| wanted(&call.outcome)).collect()
	};
	let returned = by(|outcome| matches!(outcome, Outcome::Returned { .. }));
	let unknown = by(|outcome| matches!(outcome, Outcome::Pending | Outcome::Unknown));
	(0..1_u32 << unknown.len()).any(|subset| {
		let mut order = returned.clone();
		let in_subset = |number: &usize| subset & (1 << number) != 0;
		order.extend((0..unknown.len()).filter(in_subset).map(|n| unknown[n]));
		any_permutation(&mut order, 0, &|order| explains::<M>(order))
	})
}

fn any_permutation<T>(items: &mut [T], from: usize, holds: &dyn Fn(&[T]) -> bool) -> bool {
	if from == items.len() {
		return holds(items);
	}
	for item in from..items.len() {
		items.swap(from, item);
		let found = any_permutation(items, from + 1, holds);
		items.swap(from, item);
		if found {
			return true;
		}
	}
	false
}

fn explains<M: Model>(order: &[&Call<M::Op, M::Ret>]) -> bool {
	let mut state = M::init();
	for (place, call) in order.iter().enumerate() {
		let (after, returns) = M::step(&state, &call.op);
		state = after;
		if let Outcome::Returned { at, ret } = &call.outcome {
			let mut before = order[..place].iter();
			if *ret != returns || before.any(|earlier| *at < earlier.invoked) {
				return false;
			}
		}
	}
	true
}
