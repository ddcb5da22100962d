//! What a replica is told and what it wants done.

use {
	super::Message,
	crate::{
		PeerId,
		groups::{
			config::Config,
			engine::{HardState, Persist, Poison, RecoverError, Recovered},
			formation::pledge::Pledge,
			state::Base,
			types::{FormationId, LogIndex, LogPos, MemberId, Nonce, Seq, Term},
		},
	},
	bytes::Bytes,
	std::{ops::RangeInclusive, sync::Arc},
};

/// Numbers a request of the user, as the driver likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What happens to a replica.
#[derive(Clone, Debug)]
pub enum Input {
	/// Time passed.
	Tick,
	/// There is an authenticated session with another member of the group.
	BondUp {
		/// Its node.
		peer: PeerId,
	},
	/// The session is gone.
	BondDown {
		/// Its node.
		peer: PeerId,
	},
	/// A node no longer satisfies the group's rules.
	Revoked {
		/// Which.
		peer: PeerId,
	},
	/// A bond brought a message.
	Message {
		/// From whom.
		from: PeerId,
		/// What.
		message: Message,
	},
	/// A write and all before it survive a crash.
	Written {
		/// The token of the write.
		token: u64,
	},
	/// The state machine has applied everything up to an index.
	Applied {
		/// For whom it was applied.
		of: Identity,
		/// Up to where.
		index: LogIndex,
	},
	/// The state machine can be restored by a snapshot: the log up to there is no
	/// longer needed.
	Snapshotted {
		/// Whose log.
		of: Identity,
		/// Up to where.
		index: LogIndex,
	},
	/// A snapshot was fetched.
	Fetched {
		/// For whom.
		of: Identity,
		/// Its position and the group's part of its state.
		base: Base,
	},
	/// A snapshot could not be fetched.
	FetchFailed {
		/// For whom.
		of: Identity,
		/// Which.
		pos: LogPos,
	},
	/// The user issues commands, to take effect in this order. Answered by one
	/// [`Output::Done`].
	Execute {
		/// The request.
		call: CallId,
		/// The commands.
		payloads: Vec<Bytes>,
	},
	/// The user wants to read what is there now, linearizably.
	Read {
		/// The request.
		call: CallId,
	},
	/// The user decided a [`Event::Conflict`]: this node's formation yields. Its
	/// leader is told once; nothing happens if there is none, or if it goes. After a
	/// [`Event::QuorumLost`] it is the decision of this node alone to give it up.
	Yield {
		/// To which.
		into: FormationId,
	},
	/// The user leaves: done as soon as the others can go on without this node, or
	/// refused after [`leave_patience`](super::ReplicaSettings::leave_patience).
	Leave {
		/// The request.
		call: CallId,
	},
}

/// What a replica wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
	/// Send a message over a bond. It may be lost with the bond.
	Send {
		/// To whom.
		to: PeerId,
		/// What.
		message: Message,
	},
	/// Begin a write, after those begun before.
	Write(Write),
	/// Let the state machine apply these entries.
	Apply {
		/// Who this node is: one that comes back to the same formation later is
		/// another one, with a state of its own.
		of: Identity,
		/// Which.
		range: RangeInclusive<LogIndex>,
	},
	/// Fetch a snapshot, from this node or from any that has it. Where the log of
	/// whoever offers it begins before the first command, that is an empty machine.
	Fetch {
		/// For whom.
		of: Identity,
		/// Who offered it.
		from: PeerId,
		/// The last position it covers.
		pos: LogPos,
	},
	/// This membership is over: the state belongs to it and goes with it. An event
	/// before says what the user should know of it.
	Reset {
		/// Who this node was.
		of: Identity,
	},
	/// A request is answered.
	Done {
		/// Which.
		call: CallId,
		/// How.
		outcome: Outcome,
	},
	/// Tell the user.
	Event(Event),
}

/// A write, atomic and in order.
#[derive(Clone, Debug)]
pub struct Write {
	/// To be told when it is done.
	pub token: u64,
	/// What to write.
	pub kind: WriteKind,
}

/// What to write.
#[derive(Clone, Debug)]
pub enum WriteKind {
	/// The pledge of this node, with the nonce it was given under.
	Pledge {
		/// The lifetime of the storage.
		nonce: Nonce,
		/// The pledge, none if it was given back.
		pledge: Option<Pledge>,
	},
	/// Who this node is from now on. The log stays if it is there and of this
	/// formation and member; otherwise it begins after `base`.
	Begin {
		/// Who.
		identity: Identity,
		/// The term that the log begins in, where it is a new one.
		hard_state: HardState,
		/// Where the log begins.
		base: Base,
	},
	/// What the engine wants written.
	Engine(Persist),
	/// Forget everything.
	Wipe,
}

/// Who a node is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
	/// The formation that it belongs to.
	pub formation: FormationId,
	/// As which member.
	pub member: MemberId,
	/// The lifetime of its storage.
	pub nonce: Nonce,
	/// How often it started with this storage.
	pub starts: u32,
}

/// What is found on a disk.
#[derive(Clone, Debug)]
pub enum Stored {
	/// Nothing, always so where storage is volatile.
	Empty,
	/// A pledge.
	Pledged {
		/// The lifetime of the storage.
		nonce: Nonce,
		/// The pledge.
		pledge: Pledge,
	},
	/// A member.
	Member {
		/// Who.
		identity: Identity,
		/// Its log.
		recovered: Recovered,
	},
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
	/// All commands are committed and applied here: the index of the last. `None`
	/// if it is too long ago to tell, as after a snapshot.
	Committed(Option<Seq>),
	/// A read: the state machine here has applied all that it must show.
	Readable {
		/// The commit index when the read was asked.
		index: LogIndex,
	},
	/// Certainly not done: this node is in no formation, or knows no leader.
	Offline,
	/// Certainly not done: too much is waiting here.
	Overloaded,
	/// Certainly not done: the formation has lost its quorum.
	NoQuorum,
	/// Not done in this formation, which ended before.
	Superseded,
	/// It may have happened or not, all or the first of the commands: this node
	/// was removed, or its formation ended, before it knew.
	Unknown,
	/// This node has left.
	Left,
	/// This node cannot leave, for so long already that its user should know. It is
	/// a member as before; a leader that was asked may still remove it, and then it
	/// joins again.
	CannotLeave(Obstacle),
}

/// What keeps a member from leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
	/// No leader is known that could remove it.
	NoLeader,
	/// Without it no majority of the voters answers, or its removal was not committed
	/// in time.
	NoQuorum,
	/// It is the only voter, and nobody who could take its place has caught up.
	LastVoter,
}

/// What the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
	/// The node became a member.
	Member {
		/// Of what, and as whom.
		identity: Identity,
	},
	/// Commands and reads are served, or no longer.
	Online(bool),
	/// Who leads.
	Leader {
		/// The term.
		term: Term,
		/// The node, if it is known.
		leader: Option<PeerId>,
	},
	/// The formation that this node belonged to is over. Commands that only it had
	/// are discarded.
	Superseded {
		/// Which.
		formation: FormationId,
		/// What takes its place, if known.
		into: Option<FormationId>,
		/// The commands that are discarded, if there were any.
		discarded: Option<RangeInclusive<Seq>>,
	},
	/// So many voters are out of reach for so long that nothing can be committed.
	QuorumLost {
		/// The formation.
		formation: FormationId,
		/// Its members.
		config: Arc<Config>,
		/// Those voters that can be reached, this node included.
		reachable: Vec<MemberId>,
	},
	/// This node pledged to take part in a founding, and its founder neither founds
	/// nor gives the pledge back, for as long as it takes to call a quorum lost. The
	/// node keeps its promise and waits on: others may have founded. If the founder
	/// never comes back, start the node again with empty storage.
	FounderLost {
		/// What was to be founded.
		formation: FormationId,
		/// By whom.
		founder: PeerId,
	},
	/// There is a quorum again.
	QuorumRestored {
		/// The formation.
		formation: FormationId,
	},
	/// Two formations of the group have both been shared and both have commands:
	/// one must be told to yield.
	Conflict {
		/// This node's.
		own: FormationId,
		/// The other one.
		other: FormationId,
	},
	/// The formation was closed by its last voter; what is here can still be read.
	Closed {
		/// Which.
		formation: FormationId,
	},
	/// What was found on the disk is no log of this member: its storage lost what it
	/// had. Nothing of it is used; the node goes on as another member. Whoever drives
	/// this keeps the files aside before it wipes them.
	StorageLost {
		/// Who this node was.
		identity: Identity,
		/// What is wrong with it; `None` if the process started too often for its
		/// commands to be told apart.
		error: Option<RecoverError>,
	},
	/// The member has halted: an invariant does not hold.
	Poisoned(Poison),
}
