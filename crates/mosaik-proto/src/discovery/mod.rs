//! Discovery: who is in the network, and who is gone.

mod entry;
mod error;

pub use {
	entry::{IntoIterOrSingle, PeerEntry, PeerEntryVersion, SignedPeerEntry},
	error::Error,
};
