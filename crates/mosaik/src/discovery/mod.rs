//! Finding the peers of a network.
//!
//! Three drivers look for candidates, each with a `run` future for the caller to
//! spawn. They are given the node's own address to make known, as a `watch`, and
//! a bounded queue for what they find. A candidate is a hint: it may be dead or
//! a stranger, which dialling finds out. When the queue is full candidates are
//! dropped; all of them come again.
//!
//! | module   | finds | how fast |
//! |----------|-------|----------|
//! | [`host`] | processes of the same user on this host | milliseconds |
//! | [`mdns`] | the local network | about a second |
//! | [`dht`]  | the internet | seconds to minutes |

pub(crate) mod addr;
pub(crate) mod dht;
pub(crate) mod host;
pub(crate) mod mdns;
