//! What travels: one reading of one machine.

use {
	mosaik::{PeerId, stream},
	serde::{Deserialize, Serialize},
};

stream!(
	/// The readings of every machine in the network.
	///
	/// The name is what `mosaik tail` takes, and what keeps this the same stream
	/// when the type below moves or is renamed.
	pub(crate) Readings = Reading, "mosaik.examples.sensors"
);

/// One reading.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reading {
	/// The node that made it. Good enough among friends: a consumer that must
	/// know takes one producer each, by `require(|peer| peer.id() == …)`.
	pub(crate) from: PeerId,
	/// What the node calls itself.
	pub(crate) name: String,
	/// Its tags by name: the catalog has them as hashes only.
	pub(crate) tags: Vec<String>,
	/// The load of the last 1, 5 and 15 minutes, where the system tells.
	pub(crate) load: Option<[f32; 3]>,
	/// The memory, where the system tells.
	pub(crate) memory: Option<Memory>,
	/// The traffic of each network interface since the last reading.
	pub(crate) interfaces: Vec<Interface>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Memory {
	pub(crate) used: u64,
	pub(crate) total: u64,
}

/// The traffic of a network interface, in bytes per second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Interface {
	pub(crate) name: String,
	pub(crate) received: f64,
	pub(crate) sent: f64,
}
