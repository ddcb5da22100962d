//! The ways to a first peer, started together.

use {
	super::{Config, addr, dht, driver::Driver, host::Host, mdns},
	crate::{network::LocalNode, runtime::tasks::Tasks},
	mosaik_proto::{EndpointAddr, discovery::Input, id::NetworkId},
	tokio::sync::{mpsc, watch},
};

/// How many candidates may wait to be looked at; further ones are dropped and
/// come again.
const CANDIDATES: usize = 256;

/// Which ways to take.
pub(super) struct Ways {
	network: NetworkId,
	bootstrap: Vec<EndpointAddr>,
	same_host: bool,
	mdns: bool,
	dht: dht::DhtConfig,
}

impl Ways {
	pub(super) fn new(config: &Config, network: NetworkId) -> Self {
		Self {
			network,
			bootstrap: config.bootstrap_peers.clone(),
			same_host: config.same_host,
			mdns: config.mdns,
			dht: dht::DhtConfig {
				enabled: !config.no_dht_bootstrap,
				bootstrap: config.dht_nodes(),
			},
		}
	}

	/// Starts to look for peers, and to be found.
	pub(super) fn start(
		self,
		local: &LocalNode,
		own: watch::Receiver<EndpointAddr>,
		driver: Driver,
		tasks: &Tasks,
	) {
		let (sender, mut candidates) = mpsc::channel(CANDIDATES);
		if self.same_host {
			let on_host = same_host(local, own.clone(), tasks);
			tasks.spawn(
				"discovery.host",
				Host::new(self.network).run(on_host, sender.clone()),
			);
		}
		if self.mdns {
			tasks.spawn(
				"discovery.mdns",
				mdns::run(self.network, own.clone(), sender.clone()),
			);
		}
		// Fails only when the endpoint is closed already.
		if let Ok(dns) = local.endpoint().dns_resolver() {
			let dns = dns.clone();
			tasks.spawn(
				"discovery.dht",
				dht::run(self.network, self.dht, dns, own, sender),
			);
		}
		tasks.spawn("discovery.candidates", async move {
			for peer in self.bootstrap {
				driver.handle(Input::Candidate(peer));
			}
			while let Some(peer) = candidates.recv().await {
				driver.handle(Input::Candidate(peer));
			}
		});
	}
}

/// Follows the addresses at which this node is reached from the same host.
fn same_host(
	local: &LocalNode,
	mut own: watch::Receiver<EndpointAddr>,
	tasks: &Tasks,
) -> watch::Receiver<EndpointAddr> {
	let bound = local.endpoint().bound_sockets();
	let (sender, receiver) = watch::channel(addr::same_host(&own.borrow(), &bound));
	tasks.spawn("discovery.host.addr", async move {
		while own.changed().await.is_ok() {
			sender.send_replace(addr::same_host(&own.borrow_and_update(), &bound));
		}
	});
	receiver
}
