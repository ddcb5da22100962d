//! Discovery: who is in the network, and who is gone.

mod entry;
mod error;
mod info;
pub use info::PeerInfo;

pub use {
	entry::{IntoIterOrSingle, PeerEntry, PeerEntryVersion, SignedPeerEntry},
	error::Error,
};
