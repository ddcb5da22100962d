//! What follows from a log: the part of the replicated state that the group
//! itself needs, next to that of the user's machine.

use {
	super::{
		config::{Config, ConfigChange, InvalidChange},
		entry::{Entry, EntryKind, Envelope, FormationEntry},
		mutants::mutant,
		types::{FormationId, LogIndex, LogPos, MAX_NUMBER, MemberId, Seq},
	},
	serde::{Deserialize, Serialize},
	std::{
		collections::{BTreeMap, BTreeSet},
		sync::Arc,
	},
};

/// How many runs of commands an origin's session remembers the indices of.
const MAX_RUNS: usize = 8;

/// The bits of an origin's number that count its commands; those above count the
/// starts of its process.
pub const EPOCH_SHIFT: u32 = 40;

/// Whether the command numbered `next` may come right after the one numbered
/// `last`: the next of the same start of its origin, or the first of a later one.
pub const fn follows(last: u64, next: u64) -> bool {
	let is_first = next & ((1 << EPOCH_SHIFT) - 1) == 1;
	next == last.wrapping_add(1) || is_first && next >> EPOCH_SHIFT > last >> EPOCH_SHIFT
}

/// The fold of a log up to a position: equal logs have equal states.
///
/// A leader decides by the state at the *end* of its log what it may append, so
/// no entry of a log is ever a duplicate, leaves a gap or contradicts what
/// comes before it, whoever led when it was appended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogState {
	/// Who belongs to the formation.
	pub config: Arc<Config>,
	/// Where the configuration changed last.
	pub config_index: LogIndex,
	/// Whether there ever was a second member.
	pub established: bool,
	/// How many user commands there were.
	pub seq: Seq,
	/// Which commands of which member there were.
	pub sessions: BTreeMap<MemberId, Session>,
	/// Whether the formation goes on.
	pub life: Life,
	/// Where that changed last.
	pub life_index: LogIndex,
	/// The number of the last attempt to yield.
	pub attempts: u64,
}

/// Whether a formation goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Life {
	/// It does.
	#[default]
	Normal,
	/// It asks another formation to take in its members.
	Yielding {
		/// Which.
		into: FormationId,
		/// The number of the attempt.
		attempt: u64,
	},
	/// Its members join another formation.
	Dissolved {
		/// Which.
		into: FormationId,
	},
	/// It ended without a successor.
	Closed,
}

/// The commands of one member: they enter the log in order and without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
	/// The number of the last one, with the start of the process that it is from
	/// above [`EPOCH_SHIFT`].
	pub last: u64,
	/// Where the latest of them are, oldest first.
	runs: Vec<Run>,
}

/// Commands of one member that follow one another directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Run {
	origin_seq: u64,
	seq: Seq,
	length: u64,
}

impl Session {
	/// The index of a command of this member, `None` if there is no such command
	/// yet or it is too long ago.
	pub fn seq_of(&self, origin_seq: u64) -> Option<Seq> {
		let run =
			self.runs.iter().rev().find(|run| {
				run.origin_seq <= origin_seq && origin_seq - run.origin_seq < run.length
			})?;
		Some(run.seq.saturating_add(origin_seq - run.origin_seq))
	}

	fn push(&mut self, origin_seq: u64, seq: Seq) {
		self.last = self.last.max(origin_seq);
		if let Some(run) = self.runs.last_mut()
			&& run.origin_seq.checked_add(run.length) == Some(origin_seq)
			&& run.seq.checked_add(run.length) == Some(seq)
		{
			run.length += 1;
			return;
		}
		if self.runs.len() == MAX_RUNS {
			self.runs.remove(0);
		}
		self.runs.push(Run {
			origin_seq,
			seq,
			length: 1,
		});
	}
}

/// Why commands cannot follow a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inadmissible {
	/// Commands before one of them are missing.
	Gap {
		/// Whose.
		origin: MemberId,
		/// The number of the first that is missing.
		expected: u64,
	},
	/// The origin of one of them is not a member.
	Stranger(MemberId),
}

impl LogState {
	/// The state at the beginning of a formation.
	pub fn genesis(config: Config) -> Self {
		Self {
			config_index: config.members.len() as LogIndex,
			established: config.members.len() > 1,
			config: Arc::new(config),
			seq: 0,
			sessions: BTreeMap::new(),
			life: Life::Normal,
			life_index: 0,
			attempts: 0,
		}
	}

	/// The state of a member that knows nothing yet.
	pub fn blank() -> Self {
		Self::genesis(Config {
			voters: BTreeSet::new(),
			members: BTreeMap::new(),
		})
	}

	/// Takes in the next entry. Total: an entry that makes no sense changes
	/// nothing but what it says outright.
	pub fn push(&mut self, entry: &Entry) {
		match &entry.kind {
			EntryKind::Noop => {}
			EntryKind::Commands(batch) => {
				let mut seq = self.seq;
				for envelope in batch.iter() {
					seq = seq.saturating_add(1);
					let session = self.sessions.entry(envelope.origin).or_default();
					session.push(envelope.origin_seq, seq);
				}
			}
			EntryKind::Config(config) => {
				self.config = Arc::clone(config);
				self.config_index = entry.pos.index;
				self.established |= config.members.len() > 1;
				self.sessions.retain(|member, _| config.contains(*member));
			}
			EntryKind::Formation(step) => {
				self.live(*step);
				if !matches!(step, FormationEntry::Absorb { .. }) {
					self.life_index = entry.pos.index;
				}
			}
		}
		self.seq = entry.seq_end;
	}

	fn live(&mut self, step: FormationEntry) {
		match step {
			FormationEntry::Yielding { into, attempt } => {
				self.life = Life::Yielding { into, attempt };
				self.attempts = attempt;
			}
			FormationEntry::YieldAborted { .. } => self.life = Life::Normal,
			FormationEntry::Absorb { .. } => {}
			FormationEntry::Dissolve { into, .. } => self.life = Life::Dissolved { into },
			FormationEntry::Close => self.life = Life::Closed,
		}
	}

	/// Whether a step may follow this state.
	pub fn permits(&self, step: FormationEntry) -> bool {
		match (step, self.life) {
			(FormationEntry::Yielding { attempt, .. }, Life::Normal) => {
				attempt == self.attempts + 1
			}
			(
				FormationEntry::YieldAborted { attempt },
				Life::Yielding {
					attempt: active, ..
				},
			) => attempt == active,
			(
				FormationEntry::Dissolve { into, attempt },
				Life::Yielding {
					into: target,
					attempt: active,
				},
			) => into == target && (attempt == active || mutant!(DissolveStaleAttempt)),
			(FormationEntry::Dissolve { .. }, Life::Normal) => mutant!(DissolveStaleAttempt),
			(FormationEntry::Absorb { .. }, Life::Yielding { .. }) => mutant!(AbsorbWhileYielding),
			(FormationEntry::Absorb { .. } | FormationEntry::Close, Life::Normal) => true,
			_ => false,
		}
	}

	/// Whether commands and changes of members may still follow.
	pub const fn is_open(&self) -> bool {
		matches!(self.life, Life::Normal | Life::Yielding { .. })
	}

	/// Takes out of `batch` what is in the log already and returns how many that
	/// were: what is left follows the log without a gap.
	///
	/// # Errors
	/// When commands before them are missing, or one comes from a stranger. The
	/// batch is left as it was.
	pub fn admit(&self, batch: &mut Vec<Envelope>) -> Result<usize, Inadmissible> {
		let before = batch.len();
		// Batches come from one origin, nearly always.
		let mut lasts: Vec<(MemberId, u64)> = Vec::with_capacity(1);
		let mut refused = None;
		for envelope in batch.iter() {
			let origin = envelope.origin;
			let known = lasts.iter().position(|(known, _)| *known == origin);
			let at = known.unwrap_or_else(|| {
				let session = self.sessions.get(&origin);
				lasts.push((origin, session.map_or(0, |session| session.last)));
				lasts.len() - 1
			});
			let last = &mut lasts[at].1;
			if !self.config.contains(origin) {
				refused = Some(Inadmissible::Stranger(origin));
				break;
			}
			let is_gap = envelope.origin_seq > *last && !follows(*last, envelope.origin_seq);
			if is_gap || envelope.origin_seq > MAX_NUMBER {
				let expected = last.saturating_add(1);
				refused = Some(Inadmissible::Gap { origin, expected });
				break;
			}
			*last = (*last).max(envelope.origin_seq);
		}
		if let Some(refused) = refused {
			return Err(refused);
		}
		if mutant!(NoDedup) {
			return Ok(0);
		}
		let mut fresh: Vec<(MemberId, u64)> = Vec::new();
		batch.retain(|envelope| {
			let origin = envelope.origin;
			let at = fresh.iter().position(|(known, _)| *known == origin);
			let at = at.unwrap_or_else(|| {
				let session = self.sessions.get(&origin);
				fresh.push((origin, session.map_or(0, |session| session.last)));
				fresh.len() - 1
			});
			let last = &mut fresh[at].1;
			let is_next = follows(*last, envelope.origin_seq);
			if is_next {
				*last = envelope.origin_seq;
			}
			is_next
		});
		Ok(before - batch.len())
	}

	/// The configuration after a change, if appended at `index`.
	///
	/// # Errors
	/// When the change makes no sense here.
	pub fn change(&self, change: &ConfigChange, index: LogIndex) -> Result<Config, InvalidChange> {
		#[cfg(mutants)]
		if mutant!(ReuseMemberId)
			&& let ConfigChange::AddLearner(_) = change
		{
			let free = (1..index)
				.find(|&id| MemberId::new(id).is_some_and(|id| !self.config.contains(id)));
			return change.apply(&self.config, free.unwrap_or(index));
		}
		change.apply(&self.config, index)
	}
}

/// A position with the state there: where a log begins, and what a snapshot says
/// besides the user's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Base {
	/// The last position that is covered.
	pub pos: LogPos,
	/// The state after it.
	pub state: LogState,
}

impl Base {
	/// Where a member begins that has to be told everything.
	pub fn blank() -> Self {
		Self {
			pos: LogPos::default(),
			state: LogState::blank(),
		}
	}

	/// What holds of every snapshot, whatever log it is of.
	pub fn is_plausible(&self) -> bool {
		let state = &self.state;
		let is_plausible = |session: &Session| {
			let runs = session.runs.iter();
			let mut numbers = runs.flat_map(|run| [run.origin_seq, run.seq, run.length]);
			session.last <= MAX_NUMBER
				&& session.runs.len() <= MAX_RUNS
				&& numbers.all(|number| number <= MAX_NUMBER)
		};
		self.pos.is_plausible()
			&& state.config.is_valid()
			&& state.config_index <= self.pos.index
			&& state.seq <= MAX_NUMBER
			&& state.attempts <= MAX_NUMBER
			&& state.sessions.values().all(is_plausible)
	}

	/// The beginning of a formation: the founders have the ids `1..=n`, so the
	/// first entry that can add a member is the one after `n`.
	pub fn genesis(config: Config) -> Self {
		let pos = LogPos {
			term: 0,
			index: config.members.len() as LogIndex,
		};
		Self {
			pos,
			state: LogState::genesis(config),
		}
	}
}
