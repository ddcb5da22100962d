//! Memory per known peer and per idle connection, by the resident set.

use {
	crate::{
		one_to_one::network,
		raw,
		table::{Budget, Table},
	},
	mosaik::{
		Network, NetworkId, SecretKey,
		discovery::{self, PeerEntry},
		iroh::{EndpointAddr, RelayMode},
	},
	std::fs,
};

const PEERS: usize = 10_000;
const CONNECTIONS: usize = 40;

pub(crate) async fn run(table: &mut Table) {
	let id = NetworkId::random();
	let node = network(id).await;
	let keys: Vec<SecretKey> = (0..PEERS).map(|_| SecretKey::generate()).collect();
	let entries: Vec<_> = keys
		.iter()
		.map(|key| {
			let addr = EndpointAddr::from(key.public()).with_ip_addr(([127, 0, 0, 1], 1).into());
			PeerEntry::new(id, addr)
				.add_tags(["a", "b"])
				.sign(key)
				.unwrap()
		})
		.collect();
	let before = resident();
	for entry in entries {
		// A copy of its own, as one that came over the wire has.
		let (entry, _) = entry.into();
		let key = keys.iter().find(|key| key.public() == *entry.id());
		node.discovery().feed(entry.sign(key.unwrap()).unwrap());
	}
	let per_peer = (resident() - before) / PEERS as f64;
	table.alone(
		"memory per known peer",
		"B",
		&[per_peer],
		Budget::Below(8192.0),
	);
	node.shutdown().await;

	// Both ends of a connection are in this process. Endpoints and nodes are made
	// before it is counted what connecting them takes.
	let hub = raw::endpoint().await;
	let mut endpoints = Vec::new();
	for _ in 0..CONNECTIONS {
		endpoints.push(raw::endpoint().await);
	}
	let before = resident();
	let mut connections = Vec::new();
	for endpoint in &endpoints {
		connections.push(raw::connect(endpoint, &hub).await);
	}
	let raw = (resident() - before) / CONNECTIONS as f64;

	let id = NetworkId::random();
	let hub = alone(id).await;
	let mut nodes = Vec::new();
	for _ in 0..CONNECTIONS {
		nodes.push(alone(NetworkId::random()).await);
	}
	drop(nodes);
	let mut nodes = Vec::new();
	for _ in 0..CONNECTIONS {
		nodes.push(alone(id).await);
	}
	let before = resident();
	for node in &nodes {
		node.discovery()
			.sync_with(hub.local().addr())
			.await
			.unwrap();
	}
	let links = nodes.iter().map(connected).sum::<usize>() / 2 + connected(&hub) / 2;
	let ours = (resident() - before) / links.max(1) as f64;
	table.compare(
		"memory per idle connection",
		"B",
		&[(raw, ours)],
		Budget::AtMost(1.1),
	);
}

/// A node that looks for nobody by itself.
async fn alone(id: NetworkId) -> Network {
	let discovery = discovery::Config::builder();
	Network::builder(id)
		.with_relay_mode(RelayMode::Disabled)
		.with_discovery(
			discovery
				.no_dht_bootstrap()
				.with_mdns(false)
				.with_same_host(false),
		)
		.build()
		.await
		.unwrap()
}

/// How many peers a node has a connection to.
fn connected(node: &Network) -> usize {
	let catalog = node.discovery().catalog();
	catalog
		.peers()
		.filter(|peer| node.path(peer.id()).is_some())
		.count()
}

/// The resident set of this process in bytes.
fn resident() -> f64 {
	let statm = fs::read_to_string("/proc/self/statm").unwrap();
	let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
	pages * 4096.0
}
