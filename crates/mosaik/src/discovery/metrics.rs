//! The metrics of discovery, brought up to date with what the core counts.

use {
	crate::runtime::metrics::labels,
	metrics::{Counter, Gauge, counter, gauge},
	mosaik_proto::{discovery::Membership, id::NetworkId},
};

/// What discovery counts.
pub(super) struct DiscoveryMetrics {
	catalog: Gauge,
	neighbours: Gauge,
	discovered: Counter,
	updated: Counter,
	departed: Counter,
	syncs: Counter,
	forged: Counter,
	refused: Counter,
	suspicions: Counter,
}

impl DiscoveryMetrics {
	pub(super) fn new(network: &NetworkId) -> Self {
		let labels = labels(&[("network", network)]);
		Self {
			catalog: gauge!("mosaik.discovery.catalog.size", labels.iter()),
			neighbours: gauge!("mosaik.discovery.gossip.neighbors", labels.iter()),
			discovered: counter!("mosaik.discovery.peers.discovered", labels.iter()),
			updated: counter!("mosaik.discovery.peers.updated", labels.iter()),
			departed: counter!("mosaik.discovery.peers.departed", labels.iter()),
			syncs: counter!("mosaik.discovery.catalog.syncs", labels.iter()),
			forged: counter!("mosaik.discovery.entries.forged", labels.iter()),
			refused: counter!("mosaik.discovery.entries.refused", labels.iter()),
			suspicions: counter!("mosaik.discovery.suspicions", labels.iter()),
		}
	}

	/// Takes over what the core has counted.
	pub(super) fn update(&self, core: &Membership) {
		let stats = core.stats();
		self.catalog.set(core.catalog().peers_count() as f64);
		self.neighbours.set(core.neighbours().count() as f64);
		self.discovered.absolute(stats.discovered);
		self.updated.absolute(stats.updated);
		self.departed.absolute(stats.departed);
		self.syncs.absolute(stats.syncs);
		self.forged.absolute(stats.forged);
		self.refused.absolute(stats.refused + stats.foreign);
		self.suspicions.absolute(stats.suspicions);
	}
}
