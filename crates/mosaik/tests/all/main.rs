//! Nodes on real QUIC over loopback, in one process.

#![expect(missing_docs, reason = "tests")]

mod discovery;
mod network;
mod streams;
mod util;
