//! What a process tells of itself, for those who check it: things that cannot be
//! seen in its state afterwards.

use {
	super::machine::Prefix,
	mosaik_proto::groups::{
		engine::{Poison, StepError},
		types::{FormationId, LogIndex, LogPos, MemberId, Seq, Term},
	},
};

/// Something that happened in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
	/// The log changed from this index on, or begins there now.
	LogFrom(LogIndex),
	/// A frame was handed to the core.
	Stepped {
		/// Of which formation it was.
		formation: FormationId,
		/// For whom it was.
		to: MemberId,
	},
	/// A vote left for a candidate.
	Voted {
		/// In which term.
		term: Term,
		/// For whom.
		candidate: MemberId,
	},
	/// A request for votes left.
	Stood {
		/// In which term.
		term: Term,
	},
	/// An acknowledgment left.
	Matched {
		/// In which term.
		term: Term,
		/// Up to where the logs are equal and written.
		index: LogIndex,
	},
	/// Somebody's vote arrived.
	VoteArrived {
		/// In which term.
		term: Term,
		/// Whose.
		from: MemberId,
	},
	/// The machine applied an entry.
	Applied {
		/// Which.
		pos: LogPos,
		/// How many commands there are, says the entry.
		seq_end: Seq,
		/// The state after it.
		prefix: Prefix,
	},
	/// The machine was replaced by a snapshot.
	Installed {
		/// Its position.
		pos: LogPos,
		/// The state.
		prefix: Prefix,
	},
	/// A command of this node was applied here.
	Done {
		/// Its value.
		value: u64,
		/// Its index; `None` if it is hidden by a snapshot.
		index: Option<Seq>,
	},
	/// A strong read was answered.
	Read {
		/// Which.
		read: u64,
		/// What was read.
		prefix: Prefix,
	},
	/// A strong read was given up.
	ReadFailed {
		/// Which.
		read: u64,
	},
	/// Another command was applied under the number of one of this node.
	Stolen {
		/// The number.
		number: u64,
		/// The command that was to have it.
		value: u64,
	},
	/// The core halted.
	Poisoned(Poison),
	/// The core refused a message, although all members follow the protocol.
	Refused {
		/// Whose.
		from: MemberId,
		/// Why.
		error: StepError,
	},
	/// The core compacted to a position of which there is no snapshot.
	NoSnapshot(LogIndex),
	/// This member was removed, and the process is nobody again.
	Ended,
}
