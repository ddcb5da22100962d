//! Committed entries are never replaced: all members that take an index for
//! committed have the same entry there, for ever (Raft §5.4, State Machine Safety;
//! design §4.7).

use {
	super::{Violation, broken, log_matching::LogMatching},
	mosaik_proto::groups::types::{LogIndex, LogPos, MemberId, Term},
	std::ops::Range,
};

/// See the module.
#[derive(Debug, Default)]
pub struct Committed {
	/// The index of the first of `terms`.
	first: LogIndex,
	/// By index: the term of the entry, and the term in which a leader committed it.
	terms: Vec<(Term, Term)>,
}

impl Committed {
	/// The formation begins.
	pub fn found(&mut self, pos: LogPos) {
		self.first = pos.index;
		self.terms = vec![(pos.term, 0)];
	}

	/// The term of the committed entry at an index.
	pub fn term_at(&self, index: LogIndex) -> Option<Term> {
		self.get(index).map(|(term, _)| term)
	}

	fn get(&self, index: LogIndex) -> Option<(Term, Term)> {
		let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
		self.terms.get(at).copied()
	}

	/// The last committed index.
	pub const fn last(&self) -> LogIndex {
		(self.first + self.terms.len() as LogIndex).saturating_sub(1)
	}

	/// The last position that was committed in a term before `term`.
	pub fn before(&self, term: Term) -> Option<LogPos> {
		let index = (self.first..=self.last()).rev();
		let mut committed = index.filter_map(|index| Some((index, self.get(index)?)));
		committed
			.find(|(_, (_, in_term))| *in_term < term)
			.map(|(index, (term, _))| LogPos { term, index })
	}

	/// A member in `term` takes everything up to `pos` for committed, which is what
	/// it has there. Returns the indices of which that is news.
	///
	/// # Errors
	/// When another entry is committed there.
	pub fn commit(
		&mut self,
		member: MemberId,
		term: Term,
		pos: LogPos,
		logs: &LogMatching,
	) -> Result<Range<LogIndex>, Violation> {
		let known = self.last();
		if pos.index <= known {
			return match self.term_at(pos.index) {
				Some(other) if other != pos.term => {
					let what = format!("{member} committed {pos:?}, others term {other} there");
					broken("committed", what)
				}
				_ => Ok(0..0),
			};
		}
		// Back from the last one; by log matching there is one way.
		let mut news = Vec::new();
		let mut at = pos;
		while at.index > known {
			news.push((at.term, term));
			let Some(prev) = logs.prev_term(at) else {
				return broken(
					"committed",
					format!("{member} committed {at:?} out of nowhere"),
				);
			};
			at = LogPos {
				term: prev,
				index: at.index - 1,
			};
		}
		if self.term_at(known) != Some(at.term) {
			let what = format!("{member} committed {pos:?}, in whose log {at:?} is not committed");
			return broken("committed", what);
		}
		self.terms.extend(news.into_iter().rev());
		Ok(known + 1..pos.index + 1)
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{at, genesis, id, noop},
	};

	#[test]
	fn what_is_committed_is_the_same_for_all() {
		let mut logs = LogMatching::default();
		logs.found(&genesis(3));
		for (prev, entry) in [
			(at(3, 0), noop(4, 1)),
			(at(4, 1), noop(5, 1)),
			(at(4, 1), noop(5, 2)),
			(at(5, 2), noop(6, 2)),
		] {
			logs.entry(id(1), prev, &entry).unwrap();
		}
		let mut committed = Committed::default();
		committed.found(at(3, 0));
		assert_eq!(committed.commit(id(1), 1, at(5, 1), &logs), Ok(4..6));
		assert_eq!(committed.commit(id(2), 1, at(4, 1), &logs), Ok(0..0));
		// Another entry at a committed index, and one that follows another one.
		assert!(committed.commit(id(3), 2, at(5, 2), &logs).is_err());
		assert!(committed.commit(id(3), 2, at(6, 2), &logs).is_err());
		assert_eq!(committed.before(1), Some(at(3, 0)));
		assert_eq!(committed.before(2), Some(at(5, 1)));
	}
}
