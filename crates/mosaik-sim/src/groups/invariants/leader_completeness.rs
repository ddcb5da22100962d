//! Leader completeness: what is committed in a term is in the logs of the leaders
//! of all later terms (Raft §5.4; dissertation §3.6).
//!
//! Because of log matching the last such entry stands for all before it.

use {
	super::{Check, broken, committed::Committed},
	mosaik_proto::groups::types::{LogIndex, MemberId, Term},
};

/// A member begins to lead in `term`, with a log whose terms are `term_at`.
///
/// # Errors
/// When a committed entry is not in its log.
pub fn check(
	committed: &Committed,
	member: MemberId,
	term: Term,
	term_at: impl Fn(LogIndex) -> Option<Term>,
) -> Check {
	let Some(pos) = committed.before(term) else {
		return Ok(());
	};
	if term_at(pos.index) == Some(pos.term) {
		return Ok(());
	}
	let what = format!("{member} leads in term {term} without {pos:?}, which is committed");
	broken("leader completeness", what)
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::{
			log_matching::LogMatching,
			testing::{at, genesis, id, noop},
		},
	};

	#[test]
	fn a_leader_has_what_was_committed_in_terms_before_its_own() {
		let mut logs = LogMatching::default();
		logs.found(&genesis(3));
		logs.entry(id(1), at(3, 0), &noop(4, 2)).unwrap();
		let mut committed = Committed::default();
		committed.found(at(3, 0));
		committed.commit(id(1), 2, at(4, 2), &logs).unwrap();
		let long = |index| [None, None, None, Some(0), Some(2)][index as usize];
		let short = |index| [None, None, None, Some(0), None][index as usize];
		assert!(check(&committed, id(2), 3, long).is_ok());
		assert!(check(&committed, id(2), 3, short).is_err());
		// One that was elected earlier and comes late need not have it.
		assert!(check(&committed, id(2), 2, short).is_ok());
	}
}
