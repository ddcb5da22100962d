//! What members of a formation say to one another.
//!
//! Messages may be lost, repeated and overtaken: each says all that is needed to
//! judge it. None is addressed or signed here: the session that carries it knows
//! who sent it, and [`Frame`] for which formation and member it is meant.

use {
	super::{
		entry::{Entry, growing},
		types::{FormationId, LogIndex, LogPos, MAX_NUMBER, MemberId, Term},
	},
	serde::{Deserialize, Serialize},
};

/// A message with its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
	/// The formation that it belongs to; others never see it.
	pub formation: FormationId,
	/// Who sent it: checked against the session that it came by.
	pub from: MemberId,
	/// Who it is for: a node that came back as another member ignores it.
	pub to: MemberId,
	/// What it says.
	pub msg: Msg,
}

/// What a member says to another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Msg {
	/// A leader's entries.
	Append(Append),
	/// What became of them.
	AppendReply(AppendReply),
	/// A leader lives.
	Beat(Beat),
	/// A follower heard it.
	BeatReply(BeatReply),
	/// Would you vote for me? (dissertation §9.6)
	PreVote(VoteRequest),
	/// Whether it would.
	PreVoteReply(VoteReply),
	/// Vote for me.
	Vote(VoteRequest),
	/// Whether it did.
	VoteReply(VoteReply),
	/// Stand for election now (dissertation §3.10).
	TimeoutNow {
		/// The term of the leader that says so.
		term: Term,
	},
	/// The entries that you lack are gone: fetch a snapshot.
	SnapshotOffer(SnapshotOffer),
	/// The snapshot could not be fetched.
	SnapshotFailed {
		/// The term of the follower.
		term: Term,
		/// Which was offered.
		pos: LogPos,
	},
	/// You were removed.
	NotMember {
		/// The configuration that says so, which is committed.
		config_index: LogIndex,
	},
}

/// A leader's entries, and with them its commit index and the round of
/// heartbeats that they count for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Append {
	/// The leader's term.
	pub term: Term,
	/// What the entries follow.
	pub prev: LogPos,
	/// The entries; none to find out where the logs agree.
	#[serde(deserialize_with = "growing")]
	pub entries: Vec<Entry>,
	/// What is committed.
	pub commit: LogIndex,
	/// The leader's latest round.
	pub round: u64,
}

/// What became of an [`Append`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendReply {
	/// The follower's term.
	pub term: Term,
	/// The round of the append.
	pub round: u64,
	/// How it went.
	pub outcome: AppendOutcome,
}

/// How an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppendOutcome {
	/// The logs are equal up to here, and written.
	Matched(LogIndex),
	/// The logs differ at the position that the entries were to follow.
	Conflict {
		/// The index of that position.
		prev: LogIndex,
		/// The last position of the follower that could be in the leader's log.
		hint: LogPos,
	},
	/// The sender's term is over.
	Stale,
}

/// A leader lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Beat {
	/// The leader's term.
	pub term: Term,
	/// What is committed of what the follower has.
	pub commit: LogIndex,
	/// The leader's latest round.
	pub round: u64,
	/// Set where there will be no further beats until something happens: the
	/// end of the leader's log, all of it committed.
	pub quiesce: Option<LogPos>,
}

/// A follower heard a [`Beat`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BeatReply {
	/// The follower's term.
	pub term: Term,
	/// The round of the beat.
	pub round: u64,
}

/// A candidate's request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteRequest {
	/// The term that the candidate stands in.
	pub term: Term,
	/// The end of its log.
	pub last: LogPos,
	/// Whether the leader itself asked it to stand.
	pub transfer: bool,
}

/// The answer to a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteReply {
	/// Where granted, the term asked for; otherwise the term of who answers.
	pub term: Term,
	/// Whether it is granted.
	pub granted: bool,
}

/// A snapshot that a follower needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotOffer {
	/// The leader's term.
	pub term: Term,
	/// The last position that the snapshot covers.
	pub pos: LogPos,
	/// The leader's latest round.
	pub round: u64,
}

impl Msg {
	/// Whether all that would be counted on from could have been counted to.
	pub fn is_plausible(&self) -> bool {
		let term = self.term().is_none_or(|term| term <= MAX_NUMBER);
		let rest = match self {
			Self::Append(m) => {
				let entries = m.entries.iter().all(Entry::is_plausible);
				m.prev.is_plausible() && entries && m.commit <= MAX_NUMBER
			}
			Self::AppendReply(m) => match m.outcome {
				AppendOutcome::Matched(index) => index <= MAX_NUMBER,
				AppendOutcome::Conflict { prev, hint } => prev <= MAX_NUMBER && hint.is_plausible(),
				AppendOutcome::Stale => true,
			},
			Self::Beat(m) => m.commit <= MAX_NUMBER,
			Self::PreVote(m) | Self::Vote(m) => m.last.is_plausible(),
			Self::SnapshotOffer(m) => m.pos.is_plausible(),
			Self::SnapshotFailed { pos, .. } => pos.is_plausible(),
			Self::NotMember { config_index } => *config_index <= MAX_NUMBER,
			Self::BeatReply(_)
			| Self::PreVoteReply(_)
			| Self::VoteReply(_)
			| Self::TimeoutNow { .. } => true,
		};
		term && rest
	}

	/// The term of the sender, or that it stands in.
	pub const fn term(&self) -> Option<Term> {
		match self {
			Self::Append(m) => Some(m.term),
			Self::AppendReply(m) => Some(m.term),
			Self::Beat(m) => Some(m.term),
			Self::BeatReply(m) => Some(m.term),
			Self::PreVote(m) | Self::Vote(m) => Some(m.term),
			Self::PreVoteReply(m) | Self::VoteReply(m) => Some(m.term),
			Self::TimeoutNow { term } | Self::SnapshotFailed { term, .. } => Some(*term),
			Self::SnapshotOffer(m) => Some(m.term),
			Self::NotMember { .. } => None,
		}
	}
}
