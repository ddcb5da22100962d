//! A runtime for leaderless distributed systems.

pub mod declare;
#[allow(
	dead_code,
	reason = "the drivers are started by the network, which is being written"
)]
mod discovery;

/// What the macros expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
	pub use mosaik_macros::{stream, unique_id};
}

pub use mosaik_proto::id::Digest;
