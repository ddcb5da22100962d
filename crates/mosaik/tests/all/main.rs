//! Nodes on real QUIC over loopback, in one process.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod discovery;
mod metrics;
mod network;
mod primitives;
mod streams;
mod surface;
mod util;
mod ways;
