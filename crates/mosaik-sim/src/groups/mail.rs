//! What members of a group send to one another, as datagrams.

use {
	super::disk::Snapshot,
	crate::lossy::Message,
	mosaik_proto::groups::{
		entry::Envelope,
		message::{AppendOutcome, Frame, Msg},
		types::{FormationId, LogIndex, LogPos, MemberId, Nonce},
	},
};

/// A message.
#[derive(Clone, Debug)]
pub enum Mail {
	/// Of the core.
	Frame(Frame),
	/// Commands for the leader.
	Forward {
		/// Of which formation.
		formation: FormationId,
		/// The commands.
		batch: Vec<Envelope>,
	},
	/// A strong read is asked of the leader.
	AskRead {
		/// Of which formation.
		formation: FormationId,
		/// Which, at the asker's.
		read: u64,
	},
	/// A strong read must have applied so much.
	ReadAt {
		/// Of which formation.
		formation: FormationId,
		/// Which, at the asker's.
		read: u64,
		/// How much; `None` if it must be asked again.
		index: Option<LogIndex>,
	},
	/// A node would like to be a member.
	Join {
		/// The lifetime of its storage.
		nonce: Nonce,
	},
	/// It is one.
	Joined {
		/// Of which formation.
		formation: FormationId,
		/// The lifetime that was admitted.
		nonce: Nonce,
		/// As whom.
		member: MemberId,
	},
	/// A member that hears no leader asks whether it is one still.
	AmI {
		/// Of which formation.
		formation: FormationId,
		/// Who it is.
		member: MemberId,
	},
	/// A snapshot is wanted.
	Fetch {
		/// Of which formation.
		formation: FormationId,
		/// Which.
		pos: LogPos,
	},
	/// Here it is, or it is not here.
	Fetched {
		/// Of which formation.
		formation: FormationId,
		/// Which.
		pos: LogPos,
		/// The snapshot.
		snapshot: Option<Box<Snapshot>>,
	},
}

/// Mixes numbers into one.
const fn mix(a: u64, b: u64) -> u64 {
	(a ^ b.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

const fn of_frame(msg: &Msg) -> u64 {
	let (kind, detail) = match msg {
		Msg::Append(m) => (1, mix(m.prev.index, m.entries.len() as u64 + m.commit)),
		Msg::AppendReply(m) => match m.outcome {
			AppendOutcome::Matched(index) => (2, index),
			AppendOutcome::Conflict { prev, hint } => (3, mix(prev, hint.index)),
			AppendOutcome::Stale => (4, 0),
		},
		Msg::Beat(m) => (5, mix(m.commit, m.round)),
		Msg::BeatReply(m) => (6, m.round),
		Msg::PreVote(m) => (7, m.last.index),
		Msg::PreVoteReply(m) => (8, m.granted as u64),
		Msg::Vote(m) => (9, m.last.index),
		Msg::VoteReply(m) => (10, m.granted as u64),
		Msg::TimeoutNow { .. } => (11, 0),
		Msg::SnapshotOffer(m) => (12, m.pos.index),
		Msg::SnapshotFailed { pos, .. } => (13, pos.index),
		Msg::NotMember { config_index } => (14, *config_index),
	};
	let term = match msg.term() {
		Some(term) => term,
		None => 0,
	};
	mix(mix(kind, term), detail)
}

impl Message for Mail {
	fn fingerprint(&self) -> u64 {
		match self {
			Self::Frame(frame) => mix(mix(frame.from.get(), frame.to.get()), of_frame(&frame.msg)),
			Self::Forward { batch, .. } => {
				let first = batch.first().map_or(0, |envelope| envelope.origin_seq);
				mix(mix(21, first), batch.len() as u64)
			}
			Self::AskRead { read, .. } => mix(22, *read),
			Self::ReadAt { read, index, .. } => mix(mix(23, *read), index.unwrap_or(0)),
			Self::Join { .. } => 24,
			Self::Joined { member, .. } => mix(25, member.get()),
			Self::AmI { member, .. } => mix(28, member.get()),
			Self::Fetch { pos, .. } => mix(26, pos.index),
			Self::Fetched { pos, snapshot, .. } => {
				mix(mix(27, pos.index), u64::from(snapshot.is_some()))
			}
		}
	}
}
