//! One visit to the DHT: join, read the slots, perhaps write one, leave.
//!
//! A node visits every few minutes. In between it would only keep the tables of
//! a DHT node up to date, at the cost of a socket and of steady traffic.

use {
	super::{
		DhtConfig, DhtError,
		slot::{self, SLOTS, SlotRecord},
	},
	futures::{StreamExt, future::join_all, stream::FuturesUnordered},
	iroh::dns::DnsResolver,
	mosaik_proto::{PublicKey, id::NetworkId},
	n0_mainline::{Dht, MutableItem},
	std::{
		io,
		net::{IpAddr, Ipv4Addr, SocketAddr},
		time::Duration,
	},
	tokio::{net::UdpSocket, time::timeout},
	tracing::debug,
};

/// The nodes of the public DHT through which one joins.
const PUBLIC: [&str; 4] = [
	"router.bittorrent.com:6881",
	"dht.transmissionbt.com:6881",
	"dht.libtorrent.org:25401",
	"relay.pkarr.org:6881",
];

/// For the name of a bootstrap node to resolve.
const RESOLVE: Duration = Duration::from_secs(3);
/// For the first bootstrap node to answer.
const PROBE: Duration = Duration::from_secs(3);
/// For the table of nodes to fill.
const JOIN: Duration = Duration::from_secs(15);
/// For a lookup; what has been found until then counts.
const READ: Duration = Duration::from_secs(15);
/// For a record to be stored.
const WRITE: Duration = Duration::from_secs(20);
/// How many items of one slot are looked at: nodes may answer with any number.
const MAX_ITEMS: usize = 64;
/// How many bootstrap nodes are used.
const MAX_BOOTSTRAP: usize = 16;

/// A connection to the DHT, closed on drop.
#[derive(Debug)]
pub(super) struct Client {
	dht: Dht,
	network: NetworkId,
}

impl Client {
	/// Joins the DHT.
	pub(super) async fn join(
		network: NetworkId,
		config: &DhtConfig,
		dns: &DnsResolver,
	) -> Result<Self, DhtError> {
		let nodes = bootstrap_nodes(config, dns).await;
		// The client logs errors when it has nobody to talk to, and resolves names
		// on the thread it is built on. It is given neither reason.
		probe(&nodes).await?;
		let dht = Dht::builder().bootstrap(&nodes).build()?;
		match timeout(JOIN, dht.bootstrapped()).await {
			Ok(Ok(true)) => Ok(Self { dht, network }),
			_ => Err(DhtError::Offline),
		}
	}

	/// Reads all slots at once; `on_record` hears of each as it arrives.
	pub(super) async fn read(
		&self,
		mut on_record: impl FnMut(&SlotRecord),
	) -> [Option<SlotRecord>; SLOTS] {
		let keys = slot::slots(&self.network).into_iter().enumerate();
		let mut reads: FuturesUnordered<_> =
			keys.map(|(slot, key)| self.read_slot(slot, key)).collect();
		let mut records = [const { None }; SLOTS];
		while let Some((slot, record)) = reads.next().await {
			if let Some(record) = &record {
				on_record(record);
			}
			records[slot] = record;
		}
		records
	}

	async fn read_slot(&self, slot: usize, key: PublicKey) -> (usize, Option<SlotRecord>) {
		let mut newest: Option<MutableItem> = None;
		let look = async {
			let Ok(items) = self.dht.get_mutable(key.as_bytes(), None, None).await else {
				return;
			};
			// Nodes disagree for as long as a new record spreads, and the client's
			// own "most recent" takes the first that comes.
			let mut items = items.take(MAX_ITEMS);
			while let Some(item) = items.next().await {
				if newest
					.as_ref()
					.is_none_or(|best| version(&item) > version(best))
				{
					newest = Some(item);
				}
			}
		};
		// In time or not, what has come is as good as it gets.
		let _ = timeout(READ, look).await;
		(slot, newest.and_then(|item| slot::decode(slot, &item)))
	}

	/// Stores an item.
	pub(super) async fn write(&self, item: MutableItem) -> bool {
		match timeout(WRITE, self.dht.put_mutable(item, None)).await {
			Ok(Ok(_)) => true,
			Ok(Err(error)) => {
				debug!(%error, "the DHT did not take our record");
				false
			}
			Err(_) => false,
		}
	}
}

/// What BEP 44 orders items by.
fn version(item: &MutableItem) -> (i64, &[u8]) {
	(item.seq(), item.value())
}

/// The addresses of the bootstrap nodes, as far as their names resolve.
async fn bootstrap_nodes(config: &DhtConfig, dns: &DnsResolver) -> Vec<SocketAddr> {
	let names: Vec<&str> = match &config.bootstrap {
		Some(nodes) => nodes.iter().map(String::as_str).collect(),
		None => PUBLIC.to_vec(),
	};
	let resolved = join_all(names.into_iter().map(|name| resolve(name, dns))).await;
	resolved.into_iter().flatten().take(MAX_BOOTSTRAP).collect()
}

/// By the endpoint's resolver. The standard library's would block a thread for
/// as long as it pleases, and with it the end of the program.
async fn resolve(name: &str, dns: &DnsResolver) -> Vec<SocketAddr> {
	if let Ok(addr) = name.parse() {
		return vec![addr];
	}
	let Some((host, port)) = name.rsplit_once(':') else {
		return Vec::new();
	};
	let Ok(port) = port.parse() else {
		return Vec::new();
	};
	let found = dns.lookup_ipv4(host, RESOLVE).await;
	let addr = |ip: IpAddr| SocketAddr::from((ip, port));
	found.map_or_else(|_| Vec::new(), |ips| ips.map(addr).collect())
}

/// Waits until one of `nodes` answers a ping.
async fn probe(nodes: &[SocketAddr]) -> Result<(), DhtError> {
	// Of BEP 5, with an arbitrary node id.
	const PING: &[u8] = b"d1:ad2:id20:mosaik-mosaik-mosaike1:q4:ping1:t2:mo1:y1:qe";

	let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
	let mut sent = 0;
	for node in nodes {
		// Fails at once on a host without a route.
		sent += usize::from(socket.send_to(PING, node).await.is_ok());
	}
	if sent == 0 {
		return Err(DhtError::Offline);
	}
	let answer = async {
		let mut packet = [0; 1500];
		loop {
			match socket.recv_from(&mut packet).await {
				Ok((len, from)) if nodes.contains(&from) && packet[..len].starts_with(b"d") => {
					return true;
				}
				// A node that refuses says nothing about the others, and a socket
				// that is not connected hears of no refusal.
				Ok(_) => {}
				Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
				Err(_) => return false,
			}
		}
	};
	match timeout(PROBE, answer).await {
		Ok(true) => Ok(()),
		_ => Err(DhtError::Offline),
	}
}
