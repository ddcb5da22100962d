//! What replicas of one group say to one another, over authenticated bonds.

use {
	crate::groups::{
		entry::Envelope,
		formation::info::Info,
		message::Frame,
		state::Base,
		types::{FormationId, LeadershipPreference, LogIndex, MemberId, Nonce},
	},
	serde::{Deserialize, Serialize},
};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
	/// Where the sender stands.
	Info(Info),

	/// Promise to take part in this founding and no other.
	Pledge {
		/// Which.
		formation: FormationId,
	},
	/// Whether the sender does.
	Pledged {
		/// In which.
		formation: FormationId,
		/// Whether.
		granted: bool,
	},
	/// The founding comes to nothing: the pledge is free.
	Release {
		/// Which.
		formation: FormationId,
	},
	/// The founding succeeded: this is the beginning.
	Genesis {
		/// The formation.
		formation: FormationId,
		/// Where its log begins.
		base: Base,
	},

	/// The sender wants to become a member.
	Join {
		/// Of which formation.
		formation: FormationId,
		/// The lifetime of its storage.
		nonce: Nonce,
		/// How much it wants to lead.
		preference: LeadershipPreference,
	},
	/// The receiver is a member.
	Joined {
		/// Of which formation.
		formation: FormationId,
		/// The nonce that was admitted.
		nonce: Nonce,
		/// As whom.
		member: MemberId,
		/// Where its log begins.
		base: Base,
		/// What was committed then.
		commit: LogIndex,
	},

	/// A message of the engine.
	Engine(Frame),

	/// Commands for the leader.
	Forward {
		/// The formation.
		formation: FormationId,
		/// The commands, all of the sender.
		batch: Vec<Envelope>,
	},
	/// What became of them.
	Forwarded {
		/// The formation.
		formation: FormationId,
		/// The number of the last command of the sender that is in the leader's log;
		/// `None` if it does not lead, or takes nothing now.
		last: Option<u64>,
		/// Whether commands before these are missing: they follow `last`.
		has_gap: bool,
	},
	/// Up to where must the sender have applied to read what is there now?
	Read {
		/// The formation.
		formation: FormationId,
		/// Which read.
		id: u64,
	},
	/// Up to there.
	ReadIndex {
		/// The formation.
		formation: FormationId,
		/// Which read.
		id: u64,
		/// The index, `None` if the sender does not lead any more.
		index: Option<LogIndex>,
	},
	/// The sender hears no leader: is it still a member? Who knows that it is not
	/// says so.
	Check {
		/// The formation.
		formation: FormationId,
		/// Who it is.
		member: MemberId,
	},
	/// The sender wants to leave.
	Leave {
		/// The formation.
		formation: FormationId,
		/// Who.
		member: MemberId,
	},

	/// A formation asks to be taken in.
	Absorb {
		/// The one that asks.
		from: FormationId,
		/// The one that is asked.
		into: FormationId,
		/// The number of the attempt.
		attempt: u64,
	},
	/// It is taken in.
	Absorbed {
		/// The one that asked.
		from: FormationId,
		/// The one that was asked.
		into: FormationId,
		/// The number of the attempt.
		attempt: u64,
	},
	/// The user of the sender decided a conflict: the formation yields. For its
	/// leader.
	Yield {
		/// The formation.
		formation: FormationId,
		/// To which.
		into: FormationId,
	},
}
