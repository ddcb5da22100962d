//! What happens to the membership core, and what it asks for.

use {
	super::super::{Message, PeerEntry, SignedPeerEntry},
	crate::{EndpointAddr, PeerId, wire::CloseCode},
	std::time::Duration,
};

/// The caller's name for a sync it asked for.
pub type SyncToken = u64;

/// Something that happened to a node.
#[derive(Debug, Clone)]
pub enum Input {
	/// Nothing but time passed: owed at [`deadline`](crate::core::Core::deadline).
	Tick,
	/// A link to a peer is up, both sides know that it leads to the same
	/// network. There is at most one per peer: a second one takes the place of
	/// the first. If both sides open one at once, the driver keeps the one that
	/// the smaller id opened.
	LinkUp {
		/// The peer.
		peer: PeerId,
		/// Whether this node dialled.
		opened_by_us: bool,
	},
	/// The link to a peer is gone, and nothing that was sent may be assumed to
	/// have arrived. Reported before the next link to the same peer comes up;
	/// not needed after an [`Output::Close`].
	LinkDown {
		/// The peer.
		peer: PeerId,
	},
	/// An [`Output::Dial`] came to nothing.
	DialFailed {
		/// The peer.
		peer: PeerId,
		/// Whether the peer answered all the same, as it does when the two dial
		/// each other at once: then it lives.
		answered: bool,
	},
	/// A neighbour sent a message.
	Message {
		/// The neighbour.
		from: PeerId,
		/// The message.
		message: Message,
	},
	/// Somebody may live there: a bootstrap peer, one found on the host, the LAN
	/// or the DHT. Dialled unless it is a member already.
	Candidate(EndpointAddr),
	/// A round-trip time was measured on the connection to a peer.
	Rtt {
		/// The peer.
		peer: PeerId,
		/// The sample.
		sample: Duration,
	},
	/// Exchange catalogs with a peer in full; answered by [`Output::SyncDone`].
	SyncWith {
		/// Whom to sync with; the address may be empty if the peer is known.
		address: EndpointAddr,
		/// Comes back in the answer.
		token: SyncToken,
	},
	/// The node's own entry changed: the core gives it a version, signs it and
	/// tells everybody. Ignored if it is of another peer or network, does not
	/// fit [`MAX_ENTRY`](crate::wire::MAX_ENTRY) or says nothing new.
	UpdateLocal(PeerEntry),
	/// As [`Membership::insert`](super::Membership::insert).
	Insert(PeerEntry),
	/// As [`Membership::feed`](super::Membership::feed).
	Feed(SignedPeerEntry),
	/// As [`Membership::remove`](super::Membership::remove).
	Remove(PeerId),
	/// As [`Membership::clear_unsigned`](super::Membership::clear_unsigned).
	ClearUnsigned,
	/// The node leaves for good: it says goodbye and answers
	/// [`Output::Left`]. The core does nothing any more after this.
	Leave,
}

/// Something the driver is to do.
#[derive(Debug, Clone)]
pub enum Output {
	/// Open a link to this address; answered by [`Input::LinkUp`] or
	/// [`Input::DialFailed`]. If a link to the peer exists, this is not asked.
	Dial(EndpointAddr),
	/// Close the link to a peer; the core has forgotten it already.
	Close {
		/// The peer.
		peer: PeerId,
		/// What to tell it.
		reason: CloseCode,
	},
	/// Send a message over the link to a peer, in order. A link whose queue is
	/// full is to be closed and reported as down.
	Send {
		/// The peer.
		peer: PeerId,
		/// The message.
		message: Message,
	},
	/// Tell the users.
	Event(Event),
	/// The catalog changed: publish a new picture of it. Once per call at most.
	CatalogChanged,
	/// A sync came to an end.
	SyncDone {
		/// The token it was asked for with.
		token: SyncToken,
		/// Whether both sides have merged.
		result: Result<(), SyncError>,
	},
	/// A peer has been restarted: a connection to its former life is dead,
	/// though it may not look like it, and would be in the way of a new one.
	/// Close it, unless its handshake named a start that is not older. The core
	/// has forgotten the link over it, or is to be told that it is down where
	/// nobody has spoken on it, and dials anew if it needs one.
	Incarnation {
		/// The peer.
		peer: PeerId,
		/// The start of the new life, by the peer's clock.
		started_ms: u64,
	},
	/// An address was learnt: whoever dials by id should know it.
	Address(EndpointAddr),
	/// Another process uses this node's key. The core has taken a step over its
	/// entry, ever more slowly; worth a warning, as only one of the two can be
	/// reached.
	DuplicateIdentity {
		/// When the other one started, by its clock.
		started_ms: u64,
	},
	/// All goodbyes have been handed out: the links may be flushed and closed.
	Left,
}

/// A change of the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
	/// A peer was not known before, or was thought gone.
	PeerDiscovered(PeerEntry),
	/// A peer changed its entry.
	PeerUpdated(PeerEntry),
	/// A peer left, died or has not been heard of for too long.
	PeerDeparted(PeerId),
}

/// Why a sync did not happen. Whatever was exchanged so far has been kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
	/// The peer could not be reached; try again later.
	#[error("the peer could not be reached")]
	Unreachable,
	/// The link broke; try again.
	#[error("the link to the peer broke")]
	LinkLost,
	/// The peer did not answer in time; try again later.
	#[error("the peer did not answer in time")]
	TimedOut,
	/// Too many syncs wait already; try again later.
	#[error("too many syncs are waiting")]
	Overloaded,
	/// The node left.
	#[error("the node left")]
	Left,
}

/// What the core counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
	/// Peers discovered.
	pub discovered: u64,
	/// Entries that changed.
	pub updated: u64,
	/// Peers that departed.
	pub departed: u64,
	/// Syncs that ran to their end.
	pub syncs: u64,
	/// Entries of other networks, dropped.
	pub foreign: u64,
	/// Entries or departures with bad signatures: their senders' links were
	/// closed.
	pub forged: u64,
	/// Entries too large, too many or without a place, dropped.
	pub refused: u64,
	/// Suspicions this node raised.
	pub suspicions: u64,
	/// Suspicions of this node that it refuted.
	pub refutations: u64,
	/// Entries that had to be asked for.
	pub pulls: u64,
}
