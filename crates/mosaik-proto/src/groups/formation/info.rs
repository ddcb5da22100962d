//! What members of a group tell one another of the formation they are in.

use {
	crate::{
		PeerId,
		groups::types::{FormationId, LeadershipPreference, LogIndex, MemberId, Nonce, Seq, Term},
	},
	serde::{Deserialize, Serialize},
};

/// How many formations that ended a node remembers and tells of.
pub const MAX_ENDED: usize = 16;

/// Where a node stands in its group. Told when a session begins and whenever it
/// changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
	/// The lifetime of the node's storage.
	pub nonce: Nonce,
	/// How much it wants to lead.
	pub preference: LeadershipPreference,
	/// Whether it looks for a formation or belongs to one.
	pub standing: Standing,
	/// Formations of the group that came to an end, greatest ids first, with what
	/// their members joined; at most [`MAX_ENDED`].
	pub ended: Vec<(FormationId, Option<FormationId>)>,
}

/// Whether a node belongs to a formation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
	/// It looks for one, or for others to found one with.
	Seeking,
	/// It asked to be let into this one.
	Joining(FormationId),
	/// It belongs to this one.
	Member(FormationInfo),
}

/// What a member knows of its formation. Others than the leader may be behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormationInfo {
	/// Which.
	pub formation: FormationId,
	/// Who says so.
	pub member: MemberId,
	/// Whether there ever was a second member.
	pub established: bool,
	/// How many members vote.
	pub voters: u32,
	/// How many commands there were.
	pub commands: Seq,
	/// The term of who says so.
	pub term: Term,
	/// The index up to which its log is committed, for who joins.
	pub commit: LogIndex,
	/// The node that leads.
	pub leader: Option<PeerId>,
}

/// Which of two formations yields: the lower one. For direction only: safety does
/// not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
	has_commands: bool,
	established: bool,
	voters: u32,
	commands: Seq,
	formation: FormationId,
}

impl FormationInfo {
	/// The rank of the formation.
	pub const fn rank(&self) -> Rank {
		Rank {
			has_commands: self.commands > 0,
			established: self.established,
			voters: self.voters,
			commands: self.commands,
			formation: self.formation,
		}
	}

	/// Whether neither of two formations may yield by itself: both have been
	/// shared, and both have commands that somebody may rely on.
	pub const fn conflicts_with(&self, other: &Self) -> bool {
		self.established && other.established && self.commands > 0 && other.commands > 0
	}
}

impl Info {
	/// The formation that the node belongs to.
	pub const fn formation(&self) -> Option<&FormationInfo> {
		match &self.standing {
			Standing::Member(info) => Some(info),
			Standing::Seeking | Standing::Joining(_) => None,
		}
	}
}
