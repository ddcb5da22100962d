//! The network: one QUIC connection per pair of peers, shared by every protocol.
//!
//! ```text
//!   streams  discovery  ...          a lane is a QUIC stream whose first byte
//!      |  lanes  |                   names the protocol; the rest is frames
//!   +--+---------+--------------+
//!   | peer    the registry      |    dial.rs   single flight, one attempt
//!   |   link  one connection    |    accept.rs the other side of it
//!   |   hello its first words   |    frame.rs  lengths and payloads
//!   +---------------------------+
//!   | endpoint  iroh            |
//! ```
//!
//! Only this module knows iroh's endpoint. [`Network`] in `node.rs` is the handle
//! that users hold; `builder.rs` puts its parts together.

mod accept;
mod builder;
mod dial;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod frame;
mod hello;
pub(crate) mod link;
mod local;
mod lookup;
mod metrics;
mod node;
pub(crate) mod peer;
mod peer_addr;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(test)]
mod tests;
mod untaken;

pub use {
	builder::{Error, NetworkBuilder, NetworkConfig, NetworkError},
	local::LocalNode,
	lookup::Lookup,
	mosaik_proto::{PeerId, id::NetworkId},
	node::Network,
	peer::PathInfo,
	peer_addr::{PeerAddr, PeerAddrError},
};

/// What mosaik's connections are called in the TLS handshake. Peers that differ
/// in it cannot even refuse each other politely: the versions are in the hello.
pub(crate) const ALPN: &[u8] = b"/mosaik/1";

/// The protocols that share a connection, by the first byte of their lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Protocol {
	/// Catalog sync and announcements.
	Discovery = 1,
	/// Subscriptions to streams.
	Streams = 2,
}

impl Protocol {
	/// Every protocol of this build.
	pub(crate) const ALL: [Self; 2] = [Self::Discovery, Self::Streams];

	/// The protocol a lane's first byte names.
	pub(crate) fn from_byte(byte: u8) -> Option<Self> {
		Self::ALL
			.into_iter()
			.find(|protocol| *protocol as u8 == byte)
	}
}
