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
//! Only this module knows iroh's endpoint.

mod accept;
mod dial;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod frame;
mod hello;
pub(crate) mod link;
pub(crate) mod peer;
#[cfg(test)]
mod tests;
mod untaken;

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
