//! Memory per known peer and per idle connection, by the resident set.
//!
//! A connection of ours is compared with two of raw iroh:
//!
//! - *in use before*: each end has a control stream and a task that reads it, as
//!   whoever notices a peer's death or speaks more than one protocol has, and 32
//!   round trips have gone over it. After as many packets QUIC itself holds more
//!   for good; any connection that is kept alive gets there within two minutes.
//!   This is how a competent engineer holds an idle connection: the budget.
//! - *bare*: connected and never used, which nobody would keep. Shown, too.
//!
//! Ours carries a control stream and a discovery link. What the nodes learn of
//! each other counts as well; networks are small so that it is little.

use {
	crate::{
		one_to_one::network,
		raw,
		table::{Budget, Table},
	},
	futures::future::join_all,
	mosaik::{
		Network, NetworkId, SecretKey,
		discovery::{self, PeerEntry},
		iroh::{EndpointAddr, RelayMode, endpoint::Connection},
	},
	std::{env, fs, process::Command},
};

const PEERS: usize = 10_000;

/// How many networks there are, and how many nodes in each.
const GROUPS: usize = 8;
const SIZE: usize = 8;

/// How much goes over a connection before it is idle.
const ROUND_TRIPS: usize = 32;
const MESSAGE: &[u8] = &[7; 32];

/// Tells the program to measure one kind of connection and nothing else.
pub(crate) const ARGUMENT: &str = "--memory-of";

pub(crate) async fn run(table: &mut Table, rounds: usize) {
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

	let mut used = Vec::new();
	let mut bare = Vec::new();
	for _ in 0..rounds {
		let ours = measure("ours");
		used.push((measure("used"), ours));
		bare.push((measure("bare"), ours));
	}
	table.compare(
		"memory per idle connection",
		"B",
		&used,
		Budget::AtMost(1.1),
	);
	table.compare("… to a bare one", "B", &bare, Budget::None);
}

/// Has a connection measured by a process of its own: what one case leaves in the
/// allocator is room for the next.
fn measure(what: &str) -> f64 {
	let program = env::current_exe().unwrap();
	let output = Command::new(program).args([ARGUMENT, what]).output();
	let output = output.unwrap();
	assert!(output.status.success(), "{output:?}");
	let figure = String::from_utf8(output.stdout).unwrap();
	figure.trim().parse().unwrap()
}

/// What that process does: prints the bytes per connection, for both its ends.
pub(crate) async fn child(what: &str) {
	let per_connection = match what {
		"ours" => ours().await,
		"used" => raw_iroh(ROUND_TRIPS).await,
		"bare" => raw_iroh(0).await,
		other => panic!("no such connection: {other}"),
	};
	println!("{per_connection}");
}

/// The pairs of a group.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
	(0..SIZE).flat_map(|a| (0..a).map(move |b| (a, b)))
}

/// Everybody of a group is connected to everybody. Endpoints are made before it
/// is counted what connecting them takes.
async fn raw_iroh(round_trips: usize) -> f64 {
	let mut groups = Vec::new();
	for _ in 0..GROUPS {
		let group: Vec<_> = (0..SIZE).map(|_| raw::endpoint()).collect();
		groups.push(join_all(group).await);
	}
	let before = resident();
	let mut connections = Vec::new();
	for group in &groups {
		for (a, b) in pairs() {
			let (ours, theirs) = raw::connect(&group[a], &group[b]).await;
			if round_trips > 0 {
				converse(&ours, &theirs, round_trips).await;
			}
			connections.push((ours, theirs));
		}
	}
	(resident() - before) / connections.len() as f64
}

/// Sends on a stream to and fro, and leaves it open with a reader on each side.
async fn converse(a: &Connection, b: &Connection, round_trips: usize) {
	let (mut ours, mut answers) = a.open_bi().await.unwrap();
	ours.write_all(MESSAGE).await.unwrap();
	let (mut theirs, mut questions) = b.accept_bi().await.unwrap();
	let mut buffer = [0; MESSAGE.len()];
	questions.read_exact(&mut buffer).await.unwrap();
	for _ in 0..round_trips {
		theirs.write_all(MESSAGE).await.unwrap();
		answers.read_exact(&mut buffer).await.unwrap();
		ours.write_all(MESSAGE).await.unwrap();
		questions.read_exact(&mut buffer).await.unwrap();
	}
	for (send, mut recv) in [(ours, answers), (theirs, questions)] {
		tokio::spawn(async move {
			let _send = send;
			while let Ok(Some(chunk)) = recv.read_chunk(usize::MAX).await {
				std::hint::black_box(chunk);
			}
		});
	}
}

async fn ours() -> f64 {
	let mut groups = Vec::new();
	for _ in 0..GROUPS {
		let id = NetworkId::random();
		groups.push(join_all((0..SIZE).map(|_| alone(id))).await);
	}
	let before = resident();
	for group in &groups {
		for (a, b) in pairs() {
			let synced = group[a].discovery().sync_with(group[b].local().addr());
			synced.await.unwrap();
		}
	}
	let used = resident() - before;
	let ends: usize = groups.iter().flatten().map(connected).sum();
	assert_eq!(ends, 2 * GROUPS * pairs().count(), "all are connected");
	used / (ends / 2) as f64
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
