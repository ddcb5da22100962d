//! Discovery: who is in the network, and who is gone.

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
