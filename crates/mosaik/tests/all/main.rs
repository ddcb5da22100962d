//! Nodes on real QUIC over loopback, in one process.

#![allow(
	clippy::print_stdout,
	clippy::unwrap_used,
	reason = "the helpers of tests stop at any error and say what they measured"
)]
#![expect(missing_docs, reason = "tests")]

mod discovery;
mod metrics;
mod network;
mod primitives;
mod streams;
mod surface;
mod util;
mod ways;
