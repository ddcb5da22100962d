//! Memory per known peer and per idle connection, by the resident set.

use {
	crate::{
		one_to_one::network,
		raw,
		table::{Budget, Table},
	},
	mosaik::{NetworkId, SecretKey, discovery::PeerEntry, iroh::EndpointAddr},
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

	// Both ends are in this process, and each pair has endpoints of its own.
	let mut raw_pairs = Vec::new();
	let before = resident();
	for _ in 0..CONNECTIONS {
		raw_pairs.push(raw::pair().await);
	}
	let raw = (resident() - before) / CONNECTIONS as f64;
	let mut nodes = Vec::new();
	let before = resident();
	for _ in 0..CONNECTIONS {
		let id = NetworkId::random();
		let (n0, n1) = (network(id).await, network(id).await);
		n0.discovery().sync_with(n1.local().addr()).await.unwrap();
		nodes.push((n0, n1));
	}
	let ours = (resident() - before) / CONNECTIONS as f64;
	table.compare(
		"memory per pair of nodes, connected",
		"B",
		&[(raw, ours)],
		Budget::None,
	);
}

/// The resident set of this process in bytes.
fn resident() -> f64 {
	let statm = fs::read_to_string("/proc/self/statm").unwrap();
	let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
	pages * 4096.0
}
