//! The data under the core, against the plainest thing that does the same.

use {
	super::{arbitrary, *},
	crate::groups::{
		config::{ConfigChange, InvalidChange},
		raft::{
			log::Log,
			progress::{Mode, Progress},
		},
		state::Inadmissible,
	},
	proptest::{collection::vec, prelude::*},
	std::sync::Arc,
};

fn cases() -> ProptestConfig {
	ProptestConfig {
		failure_persistence: None,
		..ProptestConfig::default()
	}
}

#[derive(Clone, Debug)]
enum LogOp {
	/// So many commands, in a term that is so much later.
	Push(u64, usize),
	Config(u64),
	/// So many entries before the end, as the others.
	Truncate(u64),
	Compact(u64),
	/// A snapshot of this log so far before its end, or of another one beyond it.
	Install(u64, bool),
	Persist(u64),
}

fn log_op() -> impl Strategy<Value = LogOp> {
	prop_oneof![
		6 => (0..2u64, 0..3usize).prop_map(|(later, n)| LogOp::Push(later, n)),
		2 => (1..6u64).prop_map(LogOp::Config),
		2 => (0..6u64).prop_map(LogOp::Truncate),
		2 => (0..6u64).prop_map(LogOp::Compact),
		1 => (0..6u64, any::<bool>()).prop_map(|(n, other)| LogOp::Install(n, other)),
		2 => (0..6u64).prop_map(LogOp::Persist),
	]
}

/// All entries there ever were, the base being at a place in them; without the
/// entries before a foreign base.
struct Model {
	genesis: Base,
	entries: Vec<Entry>,
	base: LogIndex,
}

impl Model {
	fn get(&self, index: LogIndex) -> Option<&Entry> {
		self.entries.iter().find(|entry| entry.pos.index == index)
	}

	fn last(&self) -> LogPos {
		self.entries
			.last()
			.map_or(self.genesis.pos, |entry| entry.pos)
	}

	fn pos(&self, index: LogIndex) -> LogPos {
		self.get(index).map_or(self.genesis.pos, |entry| entry.pos)
	}

	fn state(&self, index: LogIndex) -> LogState {
		let mut state = self.genesis.state.clone();
		let until = self.entries.iter().filter(|entry| entry.pos.index <= index);
		until.for_each(|entry| state.push(entry));
		state
	}

	fn check(&self, log: &Log) {
		let last = self.last();
		assert_eq!(log.last(), last);
		assert_eq!(log.base().pos, self.pos(self.base));
		assert_eq!(log.base().state, self.state(self.base));
		assert_eq!(
			*log.state(),
			self.state(last.index),
			"the state is the fold"
		);
		for index in 0..last.index + 3 {
			let there = index > self.base && index <= last.index;
			assert_eq!(log.get(index), self.get(index).filter(|_| there));
			let known = there || index == self.base;
			assert_eq!(log.term_at(index), known.then(|| self.pos(index).term));
			if known {
				let state = self.state(index);
				assert_eq!(log.config_at(index), (state.config_index, &state.config));
			}
			for end in index..last.index + 2 {
				let range: Vec<&Entry> = log.range(index..=end).collect();
				let kept = self
					.entries
					.iter()
					.filter(|entry| entry.pos.index > self.base);
				let expected = kept.filter(|entry| (index..=end).contains(&entry.pos.index));
				assert_eq!(range, expected.collect::<Vec<_>>());
			}
			for term in 0..last.term + 2 {
				let places = (self.base + 1..=index.min(last.index)).rev();
				let best = places.map(|at| self.pos(at)).find(|pos| pos.term <= term);
				assert_eq!(
					log.last_before(index, term),
					best.unwrap_or(self.pos(self.base))
				);
			}
		}
		assert!(log.persisted() >= self.base && log.persisted() <= last.index);
	}

	fn append(&mut self, log: &mut Log, later: u64, kind: EntryKind) {
		let last = self.last();
		let entry = Entry {
			pos: at(last.term + later, last.index + 1),
			seq_end: 0,
			kind,
		};
		let seq_end = self.state(last.index).seq + entry.commands() as u64;
		let entry = Entry { seq_end, ..entry };
		log.push(entry.clone());
		self.entries.push(entry);
	}

	fn perform(&mut self, log: &mut Log, op: LogOp) {
		let last = self.last().index;
		match op {
			LogOp::Push(later, commands) => {
				let next = |seq| command(1, self.state(last).seq + seq as u64);
				let batch: Vec<Envelope> = (1..=commands).map(next).collect();
				self.append(log, later, EntryKind::Commands(batch.into()));
			}
			LogOp::Config(n) => {
				let config = Config::founding((1..=n).map(info));
				self.append(log, 0, EntryKind::Config(Arc::new(config)));
			}
			LogOp::Truncate(back) => {
				let from = (last + 1).saturating_sub(back).max(self.base + 1);
				log.truncate(from);
				self.entries.retain(|entry| entry.pos.index < from);
			}
			LogOp::Compact(back) => {
				// Only what is applied, and only what is written is.
				let index = last.saturating_sub(back).min(log.persisted());
				let index = index.max(self.base);
				log.compact(index);
				self.base = index;
			}
			LogOp::Install(back, is_other) => {
				let index = last.saturating_sub(back).max(self.base);
				if is_other {
					// Of a log that this one does not have.
					let mut base = self.genesis.clone();
					base.pos = at(self.last().term + 1, last + back);
					base.state.seq = last + back;
					assert!(log.install(base.clone()));
					(self.genesis, self.base) = (base, last + back);
					self.entries.clear();
				} else {
					let base = Base {
						pos: self.pos(index),
						state: self.state(index),
					};
					assert!(!log.install(base));
					self.base = index;
				}
			}
			LogOp::Persist(back) => {
				let before = log.persisted();
				log.persist(last.saturating_sub(back));
				assert_eq!(log.persisted(), before.max(last.saturating_sub(back)));
				log.persist(u64::MAX);
				assert_eq!(log.persisted(), last);
			}
		}
	}
}

proptest! {
	#![proptest_config(cases())]

	#[test]
	fn a_log_is_a_list_of_entries_and_their_fold(ops in vec(log_op(), 0..30)) {
		let genesis = disk(3, &[]).base;
		let mut log = Log::new(genesis.clone());
		let base = genesis.pos.index;
		let mut model = Model { genesis, entries: Vec::new(), base };
		for op in ops {
			model.perform(&mut log, op);
			model.check(&log);
		}
	}

	/// What fits is as much as fits: one entry more would not, and one is always sent.
	#[test]
	fn a_slice_is_as_long_as_fits(sizes in vec(0..5u64, 1..12), limit in 0..900usize, from in 0..12u64) {
		let mut log = Log::new(disk(3, &[]).base);
		for (index, commands) in (4..).zip(&sizes) {
			let batch: Vec<Envelope> = (0..*commands).map(|n| command(1, n)).collect();
			let kind = EntryKind::Commands(batch.into());
			log.push(Entry { kind, ..noop(1, index) });
		}
		let from = 4 + from % sizes.len() as u64;
		let (entries, bytes) = log.slice(from, limit);
		let sum = |entries: &[Entry]| entries.iter().map(Entry::size).sum::<usize>();
		prop_assert_eq!(bytes, sum(&entries));
		prop_assert!(!entries.is_empty() && entries[0].pos.index == from);
		prop_assert!(bytes <= limit || entries.len() == 1);
		if let Some(next) = log.get(from + entries.len() as u64) {
			prop_assert!(bytes + next.size() > limit);
		}
	}

	/// What is under way is within the window by number, and by bytes up to one
	/// append; what is acknowledged is never taken back.
	#[test]
	fn the_window_bounds_what_is_under_way(
		ops in vec((0..6u8, 0..40u64, 1..200usize), 0..80),
		max in 1..5usize,
		max_bytes in 1..500usize,
	) {
		let mut progress = Progress::new(5, 0);
		let (mut last, mut matched) = (4, 0);
		// The appends that were sent and neither answered nor given up.
		let mut under_way: Vec<(u64, usize)> = Vec::new();
		for (op, number, bytes) in ops {
			match op {
				0 | 1 => {
					last += 1;
					while progress.is_ready(last, max, max_bytes) {
						let end = progress.next.min(last).max(progress.next - 1);
						progress.sent(end, bytes);
						match progress.mode {
							Mode::Replicate => under_way.push((end, bytes)),
							_ => under_way.clear(),
						}
						prop_assert!(under_way.len() <= max);
						let all: usize = under_way.iter().map(|(_, bytes)| bytes).sum();
						prop_assert!(all < max_bytes + bytes);
					}
				}
				2 => {
					let index = (number % (last + 1)).min(last);
					prop_assert_eq!(progress.match_up_to(index), index > matched);
					matched = matched.max(index);
					under_way.retain(|(end, _)| *end > index);
				}
				3 => {
					let (prev, agreed) = (number % (last + 1), number % 7);
					if progress.conflict(prev, agreed.min(prev)) {
						under_way.clear();
						prop_assert!(progress.is_ready(last, max, max_bytes));
					}
				}
				4 => progress.beat(),
				_ => progress.probe(),
			}
			if !matches!(progress.mode, Mode::Replicate) {
				under_way.clear();
			}
			prop_assert_eq!(progress.matched, matched);
			prop_assert!(progress.next > matched && progress.next <= last.max(matched) + 1);
		}
	}

	/// By definition: of each origin what follows its last, in order; nothing if
	/// there is a gap or a stranger.
	#[test]
	fn what_is_admitted_is_what_follows(
		known in vec((1..4u64, 1..6u64), 0..6),
		batch in vec((1..5u64, 1..9u64), 0..10),
	) {
		let mut state = disk(3, &[]).base.state;
		let mut lasts: BTreeMap<u64, u64> = BTreeMap::new();
		for (origin, count) in known {
			let last = lasts.entry(origin).or_default();
			let commands: Vec<Envelope> = (1..=count).map(|n| command(origin, *last + n)).collect();
			*last += count;
			let seq_end = state.seq + count;
			let kind = EntryKind::Commands(commands.into());
			state.push(&Entry { kind, seq_end, ..noop(1, 4) });
		}
		let mut fresh = Vec::new();
		let mut refused = None;
		for &(origin, seq) in &batch {
			let last = lasts.entry(origin).or_default();
			if origin > 3 {
				refused = Some(Inadmissible::Stranger(m(origin)));
				break;
			}
			if seq > *last + 1 {
				refused = Some(Inadmissible::Gap { origin: m(origin), expected: *last + 1 });
				break;
			}
			if seq == *last + 1 {
				*last = seq;
				fresh.push(command(origin, seq));
			}
		}
		let all: Vec<Envelope> = batch.iter().map(|&(o, seq)| command(o, seq)).collect();
		let mut admitted = all.clone();
		match (state.admit(&mut admitted), refused) {
			(Err(error), Some(expected)) => {
				prop_assert_eq!(error, expected);
				prop_assert_eq!(admitted, all);
			}
			(Ok(duplicates), None) => {
				prop_assert_eq!(duplicates, all.len() - fresh.len());
				prop_assert_eq!(admitted, fresh);
			}
			(got, expected) => prop_assert!(false, "{got:?}, not {expected:?}"),
		}
	}

	/// Where the latest commands of an origin are: right, or not known any more.
	#[test]
	fn a_session_knows_where_the_latest_commands_are(runs in vec((1..4u64, 1..5u64), 0..40)) {
		let mut state = disk(3, &[]).base.state;
		let mut all: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
		for (origin, count) in runs {
			let seqs = all.entry(origin).or_default();
			let first = seqs.len() as u64 + 1;
			let commands: Vec<Envelope> = (first..first + count).map(|n| command(origin, n)).collect();
			seqs.extend(state.seq + 1..=state.seq + count);
			let seq_end = state.seq + count;
			let kind = EntryKind::Commands(commands.into());
			state.push(&Entry { kind, seq_end, ..noop(1, 4) });
		}
		for (origin, seqs) in all {
			let session = &state.sessions[&m(origin)];
			prop_assert_eq!(session.last, seqs.len() as u64);
			prop_assert_eq!(session.seq_of(0), None);
			prop_assert_eq!(session.seq_of(session.last + 1), None);
			prop_assert_eq!(session.seq_of(session.last), seqs.last().copied());
			let known: Vec<bool> = (1..=session.last)
				.map(|number| {
					let seq = session.seq_of(number);
					let expected = seqs[usize::try_from(number).unwrap() - 1];
					assert!(seq.is_none_or(|seq| seq == expected));
					seq.is_some()
				})
				.collect();
			prop_assert!(known.is_sorted(), "the latest are known");
		}
	}

	/// One member at a time, and nothing that is no configuration.
	#[test]
	fn a_change_is_of_one_member_and_leaves_a_configuration(
		changes in vec(arbitrary::change(), 0..30),
	) {
		let mut config = Config::founding((1..=2).map(info));
		for (index, change) in (10..).zip(changes) {
			let changes_voters = change.changes_voters(&config);
			let Ok(next) = change.apply(&config, index) else {
				continue;
			};
			prop_assert!(next.is_valid());
			let voters = config.voters.symmetric_difference(&next.voters).count();
			prop_assert_eq!(voters, usize::from(changes_voters));
			let before: BTreeSet<_> = config.members.keys().collect();
			let after: BTreeSet<_> = next.members.keys().collect();
			let members: Vec<_> = before.symmetric_difference(&after).collect();
			match &change {
				ConfigChange::AddLearner(info) => {
					prop_assert_eq!(members, [&&m(index)]);
					prop_assert_eq!(&next.members[&m(index)], info);
					let again = change.apply(&next, index + 1);
					prop_assert_eq!(again, Err(InvalidChange::IsMember(m(index))));
				}
				ConfigChange::Promote(id) => {
					prop_assert!(members.is_empty() && next.is_voter(*id));
				}
				ConfigChange::Remove(id) => {
					prop_assert_eq!(members, [&id]);
					prop_assert!(!next.is_voter(*id));
				}
				ConfigChange::Update(id, info) => {
					prop_assert!(members.is_empty());
					prop_assert_eq!(&next.members[id], info);
				}
			}
			config = next;
		}
	}
}
