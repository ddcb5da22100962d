//! The log of a member: a base, the entries after it, and what follows from them.

use {
	crate::groups::{
		config::Config,
		engine::RecoverError,
		entry::{Entry, EntryKind},
		state::{Base, LogState},
		types::{LogIndex, LogPos, Term},
	},
	std::{collections::VecDeque, ops::RangeInclusive, sync::Arc},
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Log {
	base: Base,
	pub(super) entries: VecDeque<Entry>,
	/// What follows from the base and all entries.
	state: LogState,
	/// The configurations among the entries, so that the committed one is found
	/// without a search.
	configs: VecDeque<(LogIndex, Arc<Config>)>,
	/// Entries up to here survive a crash.
	persisted: LogIndex,
}

impl Log {
	pub(super) fn new(base: Base) -> Self {
		Self {
			entries: VecDeque::new(),
			state: base.state.clone(),
			configs: VecDeque::new(),
			persisted: base.pos.index,
			base,
		}
	}

	/// The log that was found on disk.
	pub(super) fn recover(
		base: Base,
		entries: Vec<Entry>,
		term: Term,
	) -> Result<Self, RecoverError> {
		if base.pos.term > term {
			return Err(RecoverError::MissingTerm(base.pos.term));
		}
		let mut log = Self::new(base);
		for entry in entries {
			if Some(entry.pos.index) != log.last().index.checked_add(1)
				|| entry.pos.term < log.last().term
			{
				return Err(RecoverError::BrokenLog(entry.pos.index));
			}
			if entry.pos.term > term {
				return Err(RecoverError::MissingTerm(entry.pos.term));
			}
			log.push(entry);
		}
		log.persisted = log.last().index;
		Ok(log)
	}

	pub(super) const fn base(&self) -> &Base {
		&self.base
	}

	/// What follows from the whole log.
	pub(super) const fn state(&self) -> &LogState {
		&self.state
	}

	pub(super) fn last(&self) -> LogPos {
		self.entries.back().map_or(self.base.pos, |entry| entry.pos)
	}

	pub(super) const fn persisted(&self) -> LogIndex {
		self.persisted
	}

	/// Entries up to `index` are on disk.
	pub(super) fn persist(&mut self, index: LogIndex) {
		self.persisted = self.persisted.max(index.min(self.last().index));
	}

	/// The term of the entry at `index`; `None` before the base and after the end.
	pub(super) fn term_at(&self, index: LogIndex) -> Option<Term> {
		if index == self.base.pos.index {
			return Some(self.base.pos.term);
		}
		self.get(index).map(|entry| entry.pos.term)
	}

	pub(super) fn get(&self, index: LogIndex) -> Option<&Entry> {
		let offset = index.checked_sub(self.base.pos.index + 1)?;
		self.entries.get(usize::try_from(offset).ok()?)
	}

	/// Whether this very entry is in the log, or covered by its base.
	pub(super) fn contains(&self, pos: LogPos) -> bool {
		self.term_at(pos.index) == Some(pos.term)
	}

	/// The bytes of these entries.
	pub(super) fn bytes(&self, range: RangeInclusive<LogIndex>) -> usize {
		self.range(range).map(Entry::size).sum()
	}

	pub(super) fn range(
		&self,
		range: RangeInclusive<LogIndex>,
	) -> impl DoubleEndedIterator<Item = &Entry> {
		let first = self.base.pos.index + 1;
		let offset =
			|index: LogIndex| usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
		let skip = offset(*range.start());
		let end = match range.end().checked_sub(first) {
			Some(end) => usize::try_from(end).unwrap_or(usize::MAX).saturating_add(1),
			None => 0,
		};
		let end = end.min(self.entries.len());
		self.entries.range(skip.min(end)..end)
	}

	/// The entries from `from` on, as many as fit `max_bytes`, at least one, and
	/// their size.
	pub(super) fn slice(&self, from: LogIndex, max_bytes: usize) -> (Vec<Entry>, usize) {
		let mut bytes = 0;
		let fits = |entry: &&Entry| {
			let size = entry.size();
			let fits = bytes == 0 || bytes + size <= max_bytes;
			bytes += if fits { size } else { 0 };
			fits
		};
		let entries = self.range(from..=self.last().index);
		let entries: Vec<Entry> = entries.take_while(fits).cloned().collect();
		(entries, bytes)
	}

	/// The last position that is not after `index` nor of a term after `term`: the
	/// last that a log which ends there can have in common with this one.
	pub(super) fn last_before(&self, index: LogIndex, term: Term) -> LogPos {
		let entries = self.range(self.base.pos.index + 1..=index).rev();
		let mut positions = entries.map(|entry| entry.pos);
		positions
			.find(|pos| pos.term <= term)
			.unwrap_or(self.base.pos)
	}

	/// The latest configuration up to `index`.
	pub(super) fn config_at(&self, index: LogIndex) -> (LogIndex, &Arc<Config>) {
		let mut configs = self.configs.iter().rev();
		configs.find(|(at, _)| *at <= index).map_or(
			(self.base.state.config_index, &self.base.state.config),
			|(at, config)| (*at, config),
		)
	}

	/// The configuration at `index` and all after it.
	pub(super) fn configs_from(&self, index: LogIndex) -> impl Iterator<Item = &Arc<Config>> {
		let after = self.configs.iter().filter(move |(at, _)| *at > index);
		let (_, at) = self.config_at(index);
		std::iter::once(at).chain(after.map(|(_, config)| config))
	}

	/// Appends the entry that follows.
	pub(super) fn push(&mut self, entry: Entry) {
		debug_assert_eq!(
			entry.pos.index,
			self.last().index + 1,
			"entries follow one another"
		);
		if let EntryKind::Config(config) = &entry.kind {
			self.configs
				.push_back((entry.pos.index, Arc::clone(config)));
		}
		self.state.push(&entry);
		self.entries.push_back(entry);
	}

	/// Drops the entries from `index` on, which must be after the base.
	pub(super) fn truncate(&mut self, index: LogIndex) {
		let keep = index.saturating_sub(self.base.pos.index + 1);
		self.entries
			.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
		self.configs.retain(|(at, _)| *at < index);
		self.persisted = self.persisted.min(self.last().index);
		self.state = self.base.state.clone();
		for entry in &self.entries {
			self.state.push(entry);
		}
	}

	/// Moves the base forward to `index`, which must be in the log.
	pub(super) fn compact(&mut self, index: LogIndex) {
		let covered = index
			.min(self.last().index)
			.saturating_sub(self.base.pos.index);
		for entry in self.entries.drain(..usize::try_from(covered).unwrap_or(0)) {
			self.base.state.push(&entry);
			self.base.pos = entry.pos;
		}
		self.configs.retain(|(at, _)| *at > index);
	}

	/// Begins anew after `base`. Entries that follow it are kept; returns whether
	/// there are none and all others went.
	pub(super) fn install(&mut self, base: Base) -> bool {
		let follows = base.pos.index <= self.last().index && self.contains(base.pos);
		if follows {
			self.compact(base.pos.index);
			self.persisted = self.persisted.max(base.pos.index);
		} else {
			*self = Self::new(base);
		}
		!follows
	}
}
