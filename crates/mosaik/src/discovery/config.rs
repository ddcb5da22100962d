//! The settings of discovery.

use {
	mosaik_proto::{
		EndpointAddr, PeerId,
		discovery::{IntoIterOrSingle, MembershipConfig},
		id::Tag,
	},
	std::{net::SocketAddr, time::Duration},
};

crate::runtime::config::config! {
	/// The settings of a node's discovery.
	pub struct Config {
		/// How often a far neighbour is told that this node is alive, with a
		/// summary of its catalog. Changes are announced at once, whatever this is.
		/// 100 ms to a minute; 5 s by default.
		announce_interval / with_announce_interval: Duration = Duration::from_secs(5),
		/// The share of `announce_interval` by which it may be longer, 0 to 1, so
		/// that nodes do not announce in step; a half by default.
		announce_jitter: f32 = 0.5,
		/// Nodes to turn to first.
		bootstrap_peers / with_bootstrap_peers: Vec<EndpointAddr> = Vec::new(),
		/// The nodes of the mainline DHT to start from, `host:port`; the public ones
		/// where there are none.
		dht_bootstrap / with_dht_bootstrap: Vec<String> = Vec::new(),
		/// How many events a slow receiver of `events()` may be behind before it
		/// misses some. At least 1; 128 by default. Costs half a kilobyte each.
		events_backlog: usize = 128,
		/// How long leaving may take; half a second by default.
		graceful_departure_window / with_graceful_departure_window: Duration =
			Duration::from_millis(500),
		/// Whether peers are looked for on the local network by mDNS; they are by
		/// default.
		mdns / with_mdns: bool = true,
		/// Whether peers are looked for on this host; they are by default.
		same_host / with_same_host: bool = true,
		/// Peers with a larger smoothed round-trip time are hidden. None by default.
		max_rtt / with_max_rtt: Option<Duration> = None,
		/// Has no effect: clocks of different nodes are never compared. Kept so
		/// that configurations written for earlier versions still work.
		max_time_drift / with_max_time_drift: Duration = Duration::from_secs(10),
		/// Whether to do without the public mainline DHT.
		no_dht_bootstrap / with_no_dht_bootstrap: bool = false,
		/// Entries without news for this long are hidden and dropped: unsigned
		/// ones, and all of them while no other node can be reached. At least a
		/// second; five minutes by default.
		purge_after / with_purge_after: Duration = Duration::from_secs(300),
		/// How often the round-trip time of live connections is sampled. At least
		/// 100 ms; 2 s by default.
		rtt_probe_interval / with_rtt_probe_interval: Duration = Duration::from_secs(2),
		/// Labels of this node, for others to select by.
		tags: Vec<Tag> = Vec::new(),
	}
	validate(config) {
		let interval = config.announce_interval;
		if !(MIN_INTERVAL..=Duration::from_secs(60)).contains(&interval) {
			Err("announce_interval must be between 100 ms and a minute".to_owned())
		} else if !(0.0..=1.0).contains(&config.announce_jitter) {
			Err("announce_jitter must be between 0 and 1".to_owned())
		} else if config.events_backlog == 0 {
			Err("events_backlog must be at least 1".to_owned())
		} else if config.purge_after < Duration::from_secs(1) {
			Err("purge_after must be at least a second".to_owned())
		} else if config.rtt_probe_interval < MIN_INTERVAL {
			Err("rtt_probe_interval must be at least 100 ms".to_owned())
		} else {
			Ok(())
		}
	}
}

const MIN_INTERVAL: Duration = Duration::from_millis(100);

impl Config {
	/// The ids of the bootstrap peers.
	pub fn bootstrap_peers_ids(&self) -> Vec<PeerId> {
		self.bootstrap_peers.iter().map(|addr| addr.id).collect()
	}

	/// The DHT nodes to start from.
	pub(super) fn dht_nodes(&self) -> Option<Vec<String>> {
		(!self.dht_bootstrap.is_empty()).then(|| self.dht_bootstrap.clone())
	}

	/// What of this the membership core goes by.
	pub(super) fn membership(&self) -> MembershipConfig {
		MembershipConfig {
			purge_after: self.purge_after,
			max_rtt: self.max_rtt,
			ping_long: self.announce_interval,
			ping_ring: self
				.announce_interval
				.min(MembershipConfig::default().ping_ring),
			..MembershipConfig::default()
		}
	}
}

impl ConfigBuilder {
	/// Sets [`Config::announce_jitter`].
	#[must_use]
	pub const fn with_announce_jitter(mut self, jitter: f32) -> Self {
		self.config.announce_jitter = jitter;
		self
	}

	/// Sets [`Config::events_backlog`].
	#[must_use]
	pub const fn with_events_backlog(mut self, events: usize) -> Self {
		self.config.events_backlog = events;
		self
	}

	/// Adds nodes to turn to first, one or many: addresses, or bare ids where a
	/// lookup can find them.
	#[must_use]
	pub fn with_bootstrap<V>(mut self, peers: impl IntoIterOrSingle<EndpointAddr, V>) -> Self {
		self.config.bootstrap_peers.extend(peers.iterator());
		self
	}

	/// Adds labels of this node, one or many.
	#[must_use]
	pub fn with_tags<V>(mut self, tags: impl IntoIterOrSingle<Tag, V>) -> Self {
		self.config.tags.extend(tags.iterator());
		self
	}

	/// Does without the public mainline DHT.
	#[must_use]
	pub const fn no_dht_bootstrap(mut self) -> Self {
		self.config.no_dht_bootstrap = true;
		self
	}

	/// Starts from these nodes of the mainline DHT instead of the public ones.
	#[must_use]
	pub fn with_dht_nodes(mut self, nodes: impl IntoIterator<Item = SocketAddr>) -> Self {
		self.config
			.dht_bootstrap
			.extend(nodes.into_iter().map(|node| node.to_string()));
		self
	}
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::SecretKey};

	#[test]
	fn setters_add_or_replace_as_they_say() {
		let peer = SecretKey::from_bytes(&[1; 32]).public();
		let config = Config::builder()
			.with_bootstrap(peer)
			.with_bootstrap([EndpointAddr::from(peer)])
			.with_tags("a")
			.with_tags(["b", "c"])
			.with_max_rtt(Duration::from_millis(5))
			.no_dht_bootstrap()
			.build()
			.unwrap();
		assert_eq!(config.bootstrap_peers_ids(), [peer, peer]);
		assert_eq!(config.tags, ["a", "b", "c"].map(Tag::from));
		assert_eq!(config.max_rtt, Some(Duration::from_millis(5)));
		assert!(config.no_dht_bootstrap);
	}

	#[test]
	fn values_out_of_range_are_refused_by_name() {
		let refused = Config::builder()
			.with_events_backlog(0usize)
			.build()
			.unwrap_err();
		assert!(refused.to_string().contains("events_backlog"));
		assert!(
			Config::builder()
				.with_purge_after(Duration::ZERO)
				.build()
				.is_err()
		);
		assert!(Config::builder().with_announce_jitter(2.0).build().is_err());
		assert_eq!(Config::builder().build().unwrap(), Config::default());
	}
}
