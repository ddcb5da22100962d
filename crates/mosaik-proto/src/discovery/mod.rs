//! Discovery: who is in the network, and who is gone.
//!
//! Every node holds a [`Catalog`] of all members: of each the entry that it
//! signed itself, saying where it lives and what it offers. The [`Membership`]
//! core keeps the catalogs of all nodes the same while members come, change,
//! leave, die and are cut off. It does so by four small mechanisms that share
//! nothing but the links between neighbours.
//!
//! # Links
//!
//! ```text
//!                  ids in order, a ring
//!        ┌── p2 ── p1 ── me ── s1 ── s2 ── … ──┐     ring links: watched,
//!        │    └─────┴─────┼─────┴─────┘        │     pinged every second
//!        │                │                    │
//!        └─ x3 ──────── x2 ─────────────── x1 ─┘     long links: 3 points of
//!            └────────────┴─────────────────┘        the ring, hash(me, i)
//! ```
//!
//! As everybody knows everybody, whom to link to is computed, not negotiated: two
//! neighbours on each side of the ring of ids, and three far points. A small
//! network is a full mesh by that. Links of others are kept up to a limit; those
//! that are not needed any more end after a while. The overlay follows from the
//! catalog alone, and so heals as fast as the catalog does.
//!
//! # Changes travel by themselves
//!
//! A new version of an entry goes in full to the ring successor and to three
//! links by chance, and as an advert of forty bytes to the others; who saw it
//! first passes it on once. Whoever got only adverts pulls the entry from one of
//! the advertisers after a moment. Large entries, those with tickets, travel by
//! adverts only. News that leave within a few milliseconds leave together.
//! Versions are the owner's clock, but only ever compared with those of the same
//! owner: how wrong a clock is does not matter, and an owner that meets a version
//! of itself that is not older than its own steps over it.
//!
//! # The dead are suspected first
//!
//! ```text
//!              3 s of silence           4 s without a word
//!      alive ─────────────────> suspect ──────────────────> dead: a tombstone
//!        ^                        │  told to all, also to
//!        └──── a newer version ───┘  the suspect: it refutes
//! ```
//!
//! Ring neighbours ping each other; nobody else has to. One that hears nothing
//! tells everybody that it *suspects* a version, and each node that takes note
//! starts its own clock. The suspect refutes by issuing a newer version, which
//! travels as any change. So a killed process is gone everywhere after about
//! seven seconds, one that slept for five is not, and a liar can only make
//! others talk. Only the word of a peer itself, a signed [`Departure`], takes
//! effect at once. This is SWIM without its random probes, which a ring of
//! watchers makes unnecessary.
//!
//! A node that was itself asleep notices (its timer is late), and does not blame
//! the others for its own silence. If it slept long it compares notes before it
//! passes on what it knows, as it may be the only one to think that the dead are
//! alive.
//!
//! # What got lost is found
//!
//! Every ping carries a sum of the sender's catalog ([`Fingerprint`], eight
//! bytes whatever the size). If two neighbours differ for longer than a change
//! takes to travel, one opens a *sync*:
//!
//! ```text
//!      opener                                        answerer
//!        │ ── Digest: 64 sums, one per range of ids ──> │
//!        │ <── Lists: (id, version, alive?) where they ─│
//!        │     differ, and all the dead if it is fresh  │
//!        │ ── News: what the answerer lacks ──────────> │
//!        │ ── Want: what the opener lacks ────────────> │
//!        │ <── News, then Done: both have merged ───────│
//! ```
//!
//! The answerer keeps no state. A tombstone that meets a living entry of the same
//! version turns it into a suspect, so that it is the peer itself that decides.
//!
//! Peers that died without a goodbye are remembered with their addresses, and so
//! are the ways into the network; one of them is dialled now and then. If it was
//! the network that broke, the islands merge as soon as one link is up: the sync
//! over it makes suspects of all that each side took for dead, and all of them
//! refute.
//!
//! # What is absent
//!
//! No timer of a node does work that grows with the network; nothing is sent
//! periodically but pings. There is no clock that must be right, no leader, no
//! vote. Admission is not decided here: who may connect at all is the business of
//! the driver, which reports only links to nodes of the same network. The
//! guarantees are the tests and invariants of `mosaik-sim/src/discovery`.
//!
//! # For the driver
//!
//! One link per peer at a time, in order and reliable while it is up; see
//! [`Input`] and [`Output`] for what is expected at each. Messages are frames of
//! at most [`MAX_DISCOVERY`](crate::wire::MAX_DISCOVERY) bytes.
//!
//! [`Departure`]: message::Departure

mod catalog;
mod config;
mod entry;
mod error;
mod fingerprint;
mod graveyard;
mod membership;
pub mod message;
mod rtt;
mod timers;

pub use {
	catalog::{Catalog, PeerInfo},
	config::MembershipConfig,
	entry::{IntoIterOrSingle, PeerEntry, PeerEntryVersion, SignedPeerEntry},
	error::Error,
	fingerprint::{BUCKETS, Fingerprint, Key},
	membership::{Event, Input, MAX_PEERS, Membership, Output, Stats, SyncError, SyncToken},
	message::Message,
	rtt::Rtt,
};
