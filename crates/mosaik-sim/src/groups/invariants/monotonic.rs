//! Term, commit index and applied index never go back in a life, and a member
//! that restarts never falls behind a term in which it promised something (Raft
//! §5.1, persistent state; dissertation §3.8).

use {
	super::{Check, broken, formation::Before},
	crate::groups::note::Note,
	mosaik_proto::groups::{
		engine::Status,
		types::{MemberId, Term},
	},
	std::collections::BTreeMap,
};

/// See the module.
#[derive(Debug, Default)]
pub struct Monotonic {
	/// The latest term in which a member voted or acknowledged something.
	promised: BTreeMap<MemberId, Term>,
}

impl Monotonic {
	/// Something left a member.
	pub fn note(&mut self, member: MemberId, note: &Note) {
		if let Note::Voted { term, .. } | Note::Matched { term, .. } = note {
			let promised = self.promised.entry(member).or_default();
			*promised = (*promised).max(*term);
		}
	}

	/// A member is as it says, and was so `before` in this life.
	///
	/// # Errors
	/// When something went back.
	pub fn check(
		&self,
		member: MemberId,
		life: u64,
		before: Option<&Before>,
		status: &Status,
	) -> Check {
		let (term, commit, applied) = (status.term, status.commit, status.applied);
		if applied > commit || commit > status.last.index {
			let last = status.last.index;
			let what = format!("{member} applied {applied}, committed {commit}, has {last}");
			return broken("monotonic", what);
		}
		if let Some(before) = before {
			if term < before.term || commit < before.commit || applied < before.applied {
				let what = format!("{member} went back from {before:?} to {status:?}");
				return broken("monotonic", what);
			}
			return Ok(());
		}
		let promised = self.promised.get(&member).copied().unwrap_or_default();
		if term < promised {
			let what = format!(
				"{member} begins its life {life} in term {term} after a promise in {promised}"
			);
			return broken("monotonic", what);
		}
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{before, id, status},
	};

	#[test]
	fn nothing_goes_back_in_a_life() {
		let monotonic = Monotonic::default();
		let mut now = status(5, 9);
		now.commit = 7;
		now.applied = 6;
		let then = before(&now);
		let check = |status: &Status| monotonic.check(id(1), 1, Some(&then), status);
		assert!(check(&now).is_ok());
		for go_back in [
			|status: &mut Status| status.term = 4,
			|status: &mut Status| status.commit = 6,
			|status: &mut Status| status.applied = 5,
			|status: &mut Status| status.applied = 8,
			|status: &mut Status| status.commit = 10,
		] {
			let mut bad = now.clone();
			go_back(&mut bad);
			assert!(check(&bad).is_err());
		}
	}

	#[test]
	fn a_promise_outlives_a_restart() {
		let mut monotonic = Monotonic::default();
		monotonic.note(id(1), &Note::Matched { term: 4, index: 1 });
		assert!(monotonic.check(id(1), 2, None, &status(3, 9)).is_err());
		assert!(monotonic.check(id(1), 2, None, &status(4, 9)).is_ok());
		assert!(monotonic.check(id(2), 2, None, &status(3, 9)).is_ok());
	}
}
