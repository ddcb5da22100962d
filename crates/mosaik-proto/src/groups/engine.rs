//! The seam between a consensus engine and what drives it.
//!
//! The driver calls [`Engine::tick`] with the time before anything else, tells
//! what happened, and then takes [`Ready`]s until there are none. It performs
//! them in order:
//!
//! 1. `persist` is begun: one atomic write, after those begun before. When it is
//!    on disk, [`Engine::on_persisted`] is told its token.
//! 2. `send` leaves at once. What depends on a write is held back by the engine
//!    until that write is done: a vote, an acknowledgment, a candidate's request.
//! 3. `apply` is handed to the state machine, then [`Engine::on_applied`].
//! 4. `reads`, `fetch` and `events` are answered, begun and reported.
//!
//! The engine never waits and never assumes that any of it succeeds.

use super::{
	config::{Config, ConfigChange, InvalidChange},
	entry::{Entry, Envelope, FormationEntry},
	message::Msg,
	state::{Base, Life, LogState},
	types::{LogIndex, LogPos, MemberId, Seq, Term, Ticks},
};
use std::{ops::RangeInclusive, sync::Arc};

/// A consensus engine for one member of one formation, see the [module](self).
pub trait Engine {
	/// The time is `now`. Call it first whenever time has passed.
	fn tick(&mut self, now: Ticks);
	/// A message came from another member.
	///
	/// # Errors
	/// When the message cannot come from a member that follows the protocol; it
	/// had no effect. The session that it came by should be closed.
	fn step(&mut self, from: MemberId, msg: Msg) -> Result<(), StepError>;
	/// Appends commands, if this member leads.
	///
	/// # Errors
	/// When it cannot; nothing was appended and the commands are given back.
	fn propose(&mut self, batch: Vec<Envelope>) -> Result<Proposed, Refused<Vec<Envelope>>>;
	/// Appends a change of configuration, if this member leads.
	///
	/// # Errors
	/// When it cannot; nothing was appended.
	fn propose_config(&mut self, change: ConfigChange) -> Result<LogPos, ConfigError>;
	/// Appends a step of the formation, if this member leads.
	///
	/// # Errors
	/// When it cannot; nothing was appended.
	fn propose_formation(&mut self, step: FormationEntry) -> Result<LogPos, Rejected>;
	/// Asks for the index up to which a linearizable read must have applied.
	///
	/// # Errors
	/// When this member does not lead or too many reads wait.
	fn read_index(&mut self, token: ReadToken) -> Result<(), Rejected>;
	/// Hands leadership to a voter; until that has happened or failed, proposals
	/// are rejected.
	///
	/// # Errors
	/// When this member does not lead or `to` cannot.
	fn transfer_leader(&mut self, to: MemberId) -> Result<(), Rejected>;
	/// Something outside suggests that now is the time to try something.
	fn hint(&mut self, hint: Hint);
	/// How eagerly this member stands for election.
	fn set_election_policy(&mut self, policy: ElectionPolicy);
	/// What is to be done, `None` when all has been taken.
	fn ready(&mut self) -> Option<Ready>;
	/// The write with this token, and all before it, survive a crash.
	fn on_persisted(&mut self, token: PersistToken);
	/// The state machine has applied everything up to `index`.
	fn on_applied(&mut self, index: LogIndex);
	/// A fetch came to an end.
	fn on_snapshot(&mut self, result: SnapshotResult);
	/// The state machine can be restored up to `index` by a snapshot: the log up
	/// to there is no longer needed.
	fn compact(&mut self, index: LogIndex);
	/// When to tick at the latest; `None` when nothing happens by itself.
	fn next_wakeup(&self) -> Option<Ticks>;
	/// How things stand.
	fn status(&self) -> Status;
	/// What follows from the log as it is.
	fn log_state(&self) -> &LogState;
	/// The entries at these indices that the log still has.
	fn entries(&self, range: RangeInclusive<LogIndex>) -> impl Iterator<Item = &Entry>;
}

/// Numbers a write; they are begun and done in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistToken(pub u64);

/// Numbers a read, as the driver likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);

/// What is to be done, see the [module](self).
#[derive(Debug, Default)]
pub struct Ready {
	/// What to write, atomically.
	pub persist: Option<Persist>,
	/// What to send.
	pub send: Vec<(MemberId, Msg)>,
	/// What to apply.
	pub apply: Option<RangeInclusive<LogIndex>>,
	/// Reads that were decided.
	pub reads: Vec<ReadDone>,
	/// A snapshot to fetch.
	pub fetch: Option<SnapshotFetch>,
	/// What happened.
	pub events: Vec<CoreEvent>,
}

/// A write. Its parts are done in the order of the fields, all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
	/// To be told when it is done.
	pub token: PersistToken,
	/// The new term and vote.
	pub hard_state: Option<HardState>,
	/// The log begins anew after this snapshot, which was fetched: it becomes the
	/// state, and entries up to it are dropped; all of them if `reset`.
	pub install: Option<Install>,
	/// The entries up to here are covered by a snapshot and may be dropped.
	pub compact: Option<Base>,
	/// Entries to be written, replacing all from the index of the first on.
	pub append: Vec<Entry>,
}

/// A snapshot that takes the place of a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Install {
	/// Where the log begins now.
	pub base: Base,
	/// Whether the entries after it go as well, because they do not follow it.
	pub reset: bool,
}

/// What a member must remember over restarts, besides its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
	/// The latest term it has seen.
	pub term: Term,
	/// Who it voted for in that term.
	pub vote: Option<MemberId>,
}

/// What a member finds on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
	/// The term and vote.
	pub hard_state: HardState,
	/// Where the log begins.
	pub base: Base,
	/// The log.
	pub entries: Vec<Entry>,
}

impl Recovered {
	/// A member that begins after `base`: it has seen the term of that.
	pub const fn beginning(base: Base) -> Self {
		let hard_state = HardState {
			term: base.pos.term,
			vote: None,
		};
		Self {
			hard_state,
			base,
			entries: Vec::new(),
		}
	}
}

/// Why what was found on disk is no log of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
	/// The entries do not follow one another.
	#[error("the log is broken at index {0}: start as a new member")]
	BrokenLog(LogIndex),
	/// The log has entries of a term that was never written down.
	#[error("the log has entries of term {0}, which was not recorded: start as a new member")]
	MissingTerm(Term),
}

/// Commands were appended, or were already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
	/// Where those are that were new.
	pub pos: Option<LogPos>,
	/// The index of the last new command; those before it go back from there.
	pub seq_end: Seq,
	/// How many were new.
	pub appended: usize,
	/// How many are in the log already.
	pub duplicates: usize,
}

/// A strong read was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadDone {
	/// Which.
	pub token: ReadToken,
	/// What must be applied before it is answered; `None` if this member stopped
	/// leading and the read must be asked elsewhere.
	pub index: Option<LogIndex>,
}

/// A snapshot to fetch, from the leader or from anybody who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotFetch {
	/// Who offered it.
	pub from: MemberId,
	/// The last position that it covers.
	pub pos: LogPos,
}

/// How a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotResult {
	/// The snapshot is at hand; its position and the group's part of its state.
	Fetched(Base),
	/// It could not be had.
	Failed {
		/// Which.
		pos: LogPos,
	},
}

/// What the driver is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CoreEvent {
	/// Who leads, if anybody is known to, in which term.
	Leader {
		/// The term.
		term: Term,
		/// The leader.
		leader: Option<MemberId>,
	},
	/// Entries from here to the end were replaced by those of another leader:
	/// what was proposed there did not happen there.
	Dropped {
		/// The first.
		from: LogPos,
		/// The last.
		to: LogPos,
	},
	/// A committed configuration no longer has this member.
	Removed {
		/// Where.
		config_index: LogIndex,
	},
	/// An invariant does not hold. The member does nothing any more.
	Poisoned(Poison),
}

/// An invariant that does not hold: a bug, a disk that forgets, or two nodes with
/// one identity. Going on could lose what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Poison {
	/// Two members lead in one term.
	#[error("{first} and {second} both lead in term {term}")]
	TwoLeaders {
		/// The term.
		term: Term,
		/// The one that was followed.
		first: MemberId,
		/// The other one.
		second: MemberId,
	},
	/// A leader contradicts what is committed here.
	#[error("{from} has another entry at the committed index {index}")]
	CommittedConflict {
		/// The leader.
		from: MemberId,
		/// Where.
		index: LogIndex,
	},
	/// A leader says that more is committed than this member has, although it
	/// acknowledged it: its disk has forgotten it.
	#[error("index {commit} is committed, but the log ends at {last}: storage lost what it had")]
	LostEntries {
		/// What is committed.
		commit: LogIndex,
		/// What there is.
		last: LogIndex,
	},
	/// A snapshot is not of this log.
	#[error("the snapshot at {index} is of another log")]
	ForeignSnapshot {
		/// Where.
		index: LogIndex,
	},
}

/// Why a message was refused: it cannot come from a member that follows the
/// protocol. It had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
	/// The entries of an append do not follow one another.
	#[error("the entries do not follow one another")]
	BrokenEntries,
	/// More was acknowledged than was sent.
	#[error("index {index} was acknowledged, but the log ends at {last}")]
	FalseMatch {
		/// What was acknowledged.
		index: LogIndex,
		/// Where the log ends.
		last: LogIndex,
	},
	/// The message has a number that is never counted to, or a configuration that
	/// is none.
	#[error("the message has a number or a configuration that cannot be")]
	Implausible,
	/// The message claims to come from this member.
	#[error("a message of this member's own came from outside")]
	FromSelf,
	/// The member is poisoned.
	#[error("the member is halted: {0}")]
	Poisoned(#[from] Poison),
}

/// Why nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
	/// Another member leads, if any.
	#[error("this member does not lead: ask {leader:?}")]
	NotLeader {
		/// Who does.
		leader: Option<MemberId>,
	},
	/// Leadership is being handed over; ask the new leader in a moment.
	#[error("leadership is being handed to {to}")]
	Transferring {
		/// To whom.
		to: MemberId,
	},
	/// A limit is reached; try again later.
	#[error("too much is waiting to be committed")]
	Overloaded,
	/// Commands before these are missing: send those first.
	#[error("{origin} must send its command {expected} first")]
	Gap {
		/// Whose.
		origin: MemberId,
		/// The first that is missing.
		expected: u64,
	},
	/// The origin of a command is not a member.
	#[error("{0} is not a member")]
	Stranger(MemberId),
	/// The formation came to its end, or the step does not follow from its state.
	#[error("the formation does not permit this now")]
	NotPermitted,
	/// The member is poisoned.
	#[error("the member is halted: {0}")]
	Poisoned(#[from] Poison),
}

/// A refusal that gives back what was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<T> {
	/// Why.
	pub reason: Rejected,
	/// What was handed in.
	pub given: T,
}

/// Why the configuration did not change. Nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
	/// As for anything else.
	#[error(transparent)]
	Rejected(#[from] Rejected),
	/// The change makes no sense.
	#[error(transparent)]
	Invalid(#[from] InvalidChange),
	/// The previous change is not committed; try again when it is.
	#[error("the change at index {0} is not committed yet")]
	Pending(LogIndex),
	/// The leader has not committed an entry of its term (Ongaro 2015); try again
	/// when it has.
	#[error("the leader has not committed an entry of its term yet")]
	NoOwnCommit,
}

/// A suggestion. It can change when something is tried, never what is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
	/// A member can be reached again.
	PeerUp(MemberId),
	/// A member cannot be reached.
	PeerDown(MemberId),
	/// The leader has said that it leaves.
	LeaderDeparting,
}

/// How eagerly a member stands for election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ElectionPolicy {
	/// When the leader has been silent for the election timeout.
	#[default]
	Normal,
	/// After so many times the timeout.
	Reluctant(u64),
	/// Not by itself.
	Never,
}

/// What a member does in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleKind {
	/// It follows, or waits.
	Follower,
	/// It asks whether it could win.
	PreCandidate,
	/// It stands for election.
	Candidate,
	/// It leads.
	Leader,
}

/// How things stand with a member.
#[derive(Clone, Debug)]
pub struct Status {
	/// The member.
	pub id: MemberId,
	/// Its term.
	pub term: Term,
	/// Its role in it.
	pub role: RoleKind,
	/// Who leads, if known.
	pub leader: Option<MemberId>,
	/// What is committed, as far as it knows.
	pub commit: LogIndex,
	/// What is applied.
	pub applied: LogIndex,
	/// The end of its log.
	pub last: LogPos,
	/// Where its log begins.
	pub base: LogPos,
	/// The configuration at the end of its log, which is the one in force.
	pub config: Arc<Config>,
	/// Where that is.
	pub config_index: LogIndex,
	/// Whether the formation goes on, at the end of its log.
	pub life: Life,
	/// The latest configuration that is committed.
	pub committed_config: Arc<Config>,
	/// Where that is.
	pub committed_config_index: LogIndex,
	/// Whether it leads and has committed an entry of its term.
	pub own_commit: bool,
	/// Where it leads: what it knows of the others.
	pub progress: Vec<(MemberId, MemberProgress)>,
	/// To whom it hands leadership.
	pub transferring: Option<MemberId>,
	/// Whether the group sleeps.
	pub quiesced: bool,
	/// Why it halted.
	pub poisoned: Option<Poison>,
}

/// What a leader knows of another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberProgress {
	/// Up to where the logs are known to be equal.
	pub matched: LogIndex,
	/// When it last answered.
	pub last_ack: Ticks,
	/// Whether it answered what all of them were asked last, or something later.
	pub fresh: bool,
	/// Whether it is being sent a snapshot.
	pub snapshot: bool,
}
