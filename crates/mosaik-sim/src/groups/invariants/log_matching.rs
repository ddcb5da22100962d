//! Log matching: if two logs have an entry with the same index and term, they are
//! identical up to there (Raft §5.3; dissertation §3.5).
//!
//! Every entry that ever was in a log is remembered with the term of the one before
//! it. A log whose entries are all known to follow one another is, by induction,
//! the only one that ends so.

use {
	super::{Check, Violation, broken, exactly_once},
	mosaik_proto::groups::{
		Config,
		entry::{Entry, EntryKind},
		state::Base,
		types::{LogIndex, LogPos, MemberId, Term},
	},
	std::{rc::Rc, sync::Arc},
};

/// The numbers of the last command of each member, by member.
pub type Lasts = Rc<Vec<(MemberId, u64)>>;

/// See the module.
#[derive(Debug, Default)]
pub struct LogMatching {
	/// By index, those of different terms.
	known: Vec<Vec<Known>>,
}

/// An entry with what follows from the log up to it.
#[derive(Debug)]
struct Known {
	pos: LogPos,
	/// `None` for the beginning of the formation.
	entry: Option<Entry>,
	prev_term: Term,
	lasts: Lasts,
	config: Arc<Config>,
	config_index: LogIndex,
}

impl LogMatching {
	/// The formation begins.
	pub fn found(&mut self, base: &Base) {
		let known = Known {
			pos: base.pos,
			entry: None,
			prev_term: 0,
			lasts: Rc::default(),
			config: Arc::clone(&base.state.config),
			config_index: base.state.config_index,
		};
		self.at(base.pos.index).push(known);
	}

	/// An entry is in the log of a member, after another one. Returns whether no log
	/// had it before.
	///
	/// # Errors
	/// When the logs do not match, or a command is in the log twice.
	pub fn entry(
		&mut self,
		member: MemberId,
		prev: LogPos,
		entry: &Entry,
	) -> Result<bool, Violation> {
		let pos = entry.pos;
		let follows = pos.index == prev.index + 1 && pos.term >= prev.term;
		if let Some(known) = self.find(pos) {
			if !follows || known.prev_term != prev.term {
				let (one, two) = (known.prev_term, prev);
				let what = format!("{member} has {pos:?} after {two:?}, others after term {one}");
				return broken("log matching", what);
			}
			if known.entry.as_ref() != Some(entry) {
				let what = format!("{member} has another {pos:?} than others");
				return broken("log matching", what);
			}
			return Ok(false);
		}
		let Some(before) = self.find(prev).filter(|_| follows) else {
			return broken(
				"log matching",
				format!("{member} has {pos:?} after {prev:?}"),
			);
		};
		let mut lasts = Rc::clone(&before.lasts);
		let (mut config, mut config_index) = (Arc::clone(&before.config), before.config_index);
		match &entry.kind {
			EntryKind::Commands(batch) => {
				exactly_once::check(pos, Rc::make_mut(&mut lasts), batch)?;
			}
			EntryKind::Config(next) => {
				config = Arc::clone(next);
				config_index = pos.index;
				Rc::make_mut(&mut lasts).retain(|(member, _)| next.contains(*member));
			}
			EntryKind::Noop | EntryKind::Formation(_) => {}
		}
		let known = Known {
			pos,
			entry: Some(entry.clone()),
			prev_term: prev.term,
			lasts,
			config,
			config_index,
		};
		self.at(pos.index).push(known);
		Ok(true)
	}

	/// What a member thinks of the commands in its log is so.
	///
	/// # Errors
	/// When it forgot some.
	pub fn same_state(
		&self,
		member: MemberId,
		last: LogPos,
		lasts: impl Iterator<Item = (MemberId, u64)>,
	) -> Check {
		let Some(known) = self.find(last) else {
			return Ok(());
		};
		if lasts.eq(known.lasts.iter().copied()) {
			return Ok(());
		}
		let what = format!("{member} does not know which commands are in its log at {last:?}");
		broken("exactly once", what)
	}

	/// An entry that is or was in a log.
	pub fn get(&self, pos: LogPos) -> Option<&Entry> {
		self.find(pos)?.entry.as_ref()
	}

	/// The term of the entry before one.
	pub fn prev_term(&self, pos: LogPos) -> Option<Term> {
		self.find(pos).map(|known| known.prev_term)
	}

	/// The configuration in force after an entry, and where it is.
	pub fn config_at(&self, pos: LogPos) -> Option<(&Config, LogIndex)> {
		let known = self.find(pos)?;
		Some((&known.config, known.config_index))
	}

	fn find(&self, pos: LogPos) -> Option<&Known> {
		let known = self.known.get(usize::try_from(pos.index).ok()?)?;
		known.iter().find(|known| known.pos.term == pos.term)
	}

	fn at(&mut self, index: LogIndex) -> &mut Vec<Known> {
		let index = usize::try_from(index).unwrap_or(usize::MAX);
		if self.known.len() <= index {
			self.known.resize_with(index + 1, Vec::new);
		}
		&mut self.known[index]
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{at, commands, genesis, id, noop},
	};

	#[test]
	fn logs_that_have_an_entry_in_common_are_equal_before_it() {
		let mut logs = LogMatching::default();
		logs.found(&genesis(3));
		assert!(logs.entry(id(1), at(3, 0), &noop(4, 1)).unwrap());
		assert!(!logs.entry(id(2), at(3, 0), &noop(4, 1)).unwrap());
		assert!(logs.entry(id(2), at(4, 1), &noop(5, 3)).unwrap());
		assert!(logs.entry(id(3), at(3, 0), &noop(4, 2)).unwrap());
		// The same entry after another one.
		assert!(logs.entry(id(3), at(4, 2), &noop(5, 3)).is_err());
		// Another entry at the same place.
		assert!(
			logs.entry(id(3), at(3, 0), &commands(4, 1, &[(1, 1)]))
				.is_err()
		);
		// After something that nobody has.
		assert!(logs.entry(id(3), at(9, 1), &noop(10, 3)).is_err());
	}

	#[test]
	fn who_forgets_commands_is_found_out() {
		let mut logs = LogMatching::default();
		logs.found(&genesis(3));
		logs.entry(id(1), at(3, 0), &commands(4, 1, &[(1, 1), (1, 2)]))
			.unwrap();
		let lasts = |last| [(id(1), last)].into_iter();
		assert!(logs.same_state(id(2), at(4, 1), lasts(2)).is_ok());
		assert!(logs.same_state(id(2), at(4, 1), lasts(1)).is_err());
		assert!(logs.same_state(id(2), at(4, 1), [].into_iter()).is_err());
	}
}
