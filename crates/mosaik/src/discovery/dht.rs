//! Peers anywhere: the public BitTorrent DHT.
//!
//! A network has a handful of [slots](slot) in the DHT, which everyone who knows
//! its id can read and write. Each holds the address of one node. A newcomer
//! reads them all, dials whom it finds, and writes itself into one that is free;
//! the nodes in the slots renew their records, and now and then change. A dozen
//! stale or forged records cost a few dials in vain and nothing else: it takes
//! one live node to be let in on all the others by gossip.
//!
//! | module     | does |
//! |------------|------|
//! | [`slot`]   | where the slots are and what is in them |
//! | [`plan`]   | when to look, which slot to write |
//! | [`client`] | the visit to the DHT |
//!
//! Offline, a visit ends after an attempt to resolve four names and to ping what
//! they stand for; it is told once and tried again ever more rarely.

mod client;
mod plan;
mod slot;

pub(crate) use slot::{SLOTS, SlotRecord, slots};

use {
	super::{Config, addr},
	client::Client,
	iroh::dns::DnsResolver,
	mosaik_proto::{EndpointAddr, PeerId, PublicKey, id::NetworkId},
	plan::{Outcome, Pace},
	std::{
		io,
		time::{Duration, SystemTime},
	},
	tokio::{
		sync::{mpsc, watch},
		time::{Instant, sleep_until},
	},
	tracing::debug,
};

/// How long to wait at least, when our address has changed: it often changes
/// several times in a row.
const SETTLE: Duration = Duration::from_secs(10);

/// How to use the DHT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DhtConfig {
	/// Whether to use it at all. Default: true.
	pub(crate) enabled: bool,
	/// The nodes through which to join it, `host:port` each. Default: `None`,
	/// those of the public DHT.
	pub(crate) bootstrap: Option<Vec<String>>,
}

impl Default for DhtConfig {
	fn default() -> Self {
		Self {
			enabled: true,
			bootstrap: None,
		}
	}
}

/// Why the slots could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DhtError {
	/// No node of the DHT answered; it may be tried again later.
	#[error("the DHT cannot be reached")]
	Offline,
	/// A socket could not be made.
	#[error("a socket operation failed")]
	Io(#[from] io::Error),
}

/// One of a network's places in the DHT, see [`dht_slots`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhtSlot {
	/// The key under which the DHT stores it, for other tools.
	pub key: PublicKey,
	/// Who is written there, `None` if nobody is or the DHT did not tell in time.
	pub record: Option<DhtRecord>,
}

/// Who is written in a [`DhtSlot`]. Anyone who knows the network may have
/// written it: dialling the peer tells whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhtRecord {
	/// The node, with its addresses.
	pub peer: EndpointAddr,
	/// When it was written, by the writer's clock.
	pub written_at: SystemTime,
}

/// Reads the slots of a network in the DHT once, all of them in their order, in
/// a few seconds. Of the settings those of the DHT count.
///
/// Nodes read and write the slots by themselves: this is for looking at them.
///
/// # Errors
/// When the DHT cannot be reached.
pub async fn dht_slots(
	network: impl Into<NetworkId>,
	config: &Config,
) -> Result<Vec<DhtSlot>, DhtError> {
	let network = network.into();
	let config = DhtConfig {
		enabled: true,
		bootstrap: config.dht_nodes(),
	};
	let client = Client::join(network, &config, &DnsResolver::new()).await?;
	let records = client.read(|_| {}).await;
	let described = slots(&network).into_iter().zip(records);
	Ok(described
		.map(|(key, record)| DhtSlot::new(key, record))
		.collect())
}

impl DhtSlot {
	fn new(key: PublicKey, record: Option<SlotRecord>) -> Self {
		let record = record.and_then(|record| {
			let written_at = Duration::from_secs(record.written_at);
			Some(DhtRecord {
				peer: record.peer,
				// The writer may claim any moment, even one that has no name here.
				written_at: SystemTime::UNIX_EPOCH.checked_add(written_at)?,
			})
		});
		Self { key, record }
	}
}

/// Makes `own` known in the DHT and offers the peers found there, until it is
/// dropped, the queue is closed, or at once if the DHT is not to be used.
pub(crate) async fn run(
	network: NetworkId,
	config: DhtConfig,
	dns: DnsResolver,
	mut own: watch::Receiver<EndpointAddr>,
	candidates: mpsc::Sender<EndpointAddr>,
) {
	if !config.enabled {
		return;
	}
	let mut visitor = Visitor {
		network,
		config,
		dns,
		written: None,
		told: false,
	};
	let mut pace = Pace::new();
	while !candidates.is_closed() {
		let addr = own.borrow_and_update().clone();
		let outcome = tokio::select! {
			outcome = visitor.visit(&addr, &candidates) => outcome,
			() = candidates.closed() => return,
		};
		let now = Instant::now();
		let mut next = now + pace.next(outcome, &mut rand::rng());
		loop {
			tokio::select! {
				() = sleep_until(next) => break,
				// New addresses are to be made known, and often mean that the internet
				// is back.
				() = addr::changed(&mut own) => next = next.min(Instant::now() + SETTLE),
				() = candidates.closed() => return,
			}
		}
	}
}

/// What is kept from visit to visit.
struct Visitor {
	network: NetworkId,
	config: DhtConfig,
	dns: DnsResolver,
	/// The address we last wrote.
	written: Option<EndpointAddr>,
	/// Whether the log knows that the DHT cannot be reached.
	told: bool,
}

impl Visitor {
	async fn visit(
		&mut self,
		own: &EndpointAddr,
		candidates: &mpsc::Sender<EndpointAddr>,
	) -> Outcome {
		let client = match Client::join(self.network, &self.config, &self.dns).await {
			Ok(client) => client,
			Err(error) => {
				if !self.told {
					debug!(%error, "peers are not found by the DHT, for now");
				}
				self.told = true;
				return Outcome::Offline;
			}
		};
		self.told = false;
		let mut outcome = Outcome::Alone;
		let records = client.read(|record| {
			if is_candidate(record, &own.id) {
				outcome = Outcome::Company;
				addr::offer(candidates, record.peer.clone());
			}
		});
		let records = records.await;
		self.write(&client, own, &records).await;
		outcome
	}

	async fn write(
		&mut self,
		client: &Client,
		own: &EndpointAddr,
		records: &[Option<SlotRecord>; SLOTS],
	) {
		let now = now();
		let moved = self.written.as_ref().is_some_and(|written| written != own);
		let slot = plan::slot_to_write(&own.id, moved, now, records, &mut rand::rng());
		let item = slot
			.and_then(|slot| slot::encode(&self.network, slot, own, now, records[slot].as_ref()));
		if let Some(item) = item
			&& client.write(item).await
		{
			self.written = Some(own.clone());
		}
	}
}

/// Whether a record is worth a dial.
fn is_candidate(record: &SlotRecord, me: &PeerId) -> bool {
	record.peer.id != *me && !record.peer.is_empty() && plan::is_fresh(record, now())
}

/// Seconds since 1970. Records are compared across hosts, so that no monotonic
/// clock would do; [`plan`] bears with clocks that are off.
fn now() -> u64 {
	SystemTime::UNIX_EPOCH
		.elapsed()
		.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::SecretKey, n0_mainline::Testnet};

	fn node(n: u8) -> EndpointAddr {
		let id = SecretKey::from_bytes(&[n; 32]).public();
		EndpointAddr::new(id).with_ip_addr(([192, 0, 2, n], 7).into())
	}

	fn config(bootstrap: &[String]) -> DhtConfig {
		DhtConfig {
			bootstrap: Some(bootstrap.to_vec()),
			..DhtConfig::default()
		}
	}

	fn visitor(network: &str, testnet: &Testnet) -> Visitor {
		Visitor {
			network: network.into(),
			config: config(&testnet.bootstrap),
			dns: DnsResolver::new(),
			written: None,
			told: false,
		}
	}

	/// Who is written in the slots of a network.
	async fn written(network: NetworkId, testnet: &Testnet) -> Vec<EndpointAddr> {
		let config = Config {
			dht_bootstrap: testnet.bootstrap.clone(),
			..Config::default()
		};
		let slots = dht_slots(network, &config).await.unwrap();
		assert_eq!(slots.len(), SLOTS);
		let records = slots.into_iter().filter_map(|slot| slot.record);
		records.map(|record| record.peer).collect()
	}

	#[tokio::test]
	async fn two_nodes_find_each_other_and_strangers_do_not() {
		let testnet = Testnet::new(10).await.unwrap();
		let (sender, mut found) = mpsc::channel(8);
		let mut a = visitor("x", &testnet);
		assert_eq!(a.visit(&node(1), &sender).await, Outcome::Alone);
		let mut b = visitor("x", &testnet);
		assert_eq!(b.visit(&node(2), &sender).await, Outcome::Company);
		assert_eq!(found.recv().await, Some(node(1)));
		assert_eq!(a.visit(&node(1), &sender).await, Outcome::Company);
		assert_eq!(found.recv().await, Some(node(2)));
		let mut c = visitor("y", &testnet);
		assert_eq!(c.visit(&node(3), &sender).await, Outcome::Alone);
		assert!(found.try_recv().is_err());

		let read = |network: &str| written(network.into(), &testnet);
		let mut peers = read("x").await;
		peers.sort_by_key(|peer| peer.addrs.clone());
		assert_eq!(peers, [node(1), node(2)]);
		assert_eq!(read("y").await.len(), 1);
		assert_eq!(read("z").await, []);
	}

	#[tokio::test]
	async fn a_node_that_moves_replaces_its_record() {
		let testnet = Testnet::new(10).await.unwrap();
		let (sender, _found) = mpsc::channel(8);
		let mut a = visitor("x", &testnet);
		a.visit(&node(1), &sender).await;
		let moved = node(1).with_ip_addr(([198, 51, 100, 1], 9).into());
		a.visit(&moved, &sender).await;
		assert_eq!(written("x".into(), &testnet).await, [moved]);
	}

	#[tokio::test]
	async fn the_driver_finds_who_is_there() {
		let testnet = Testnet::new(10).await.unwrap();
		let (sender, _) = mpsc::channel(8);
		visitor("x", &testnet).visit(&node(1), &sender).await;

		let (_own, watch) = watch::channel(node(2));
		let (sender, mut found) = mpsc::channel(8);
		let config = config(&testnet.bootstrap);
		let run = run("x".into(), config, DnsResolver::new(), watch, sender);
		let wait = async {
			assert_eq!(found.recv().await, Some(node(1)));
			found.close();
		};
		let both = async { tokio::join!(run, wait) };
		tokio::time::timeout(Duration::from_secs(20), both)
			.await
			.unwrap();
	}

	#[tokio::test]
	async fn offline_a_visit_fails_soon_and_is_told_once() {
		let dead = UdpPort::reserve();
		let testnet = Testnet {
			bootstrap: vec![dead.0.clone(), "no-port".into(), "x:y".into()],
			nodes: Vec::new(),
		};
		let (sender, found) = mpsc::channel(8);
		let mut a = visitor("x", &testnet);
		let start = Instant::now();
		assert_eq!(a.visit(&node(1), &sender).await, Outcome::Offline);
		assert!(start.elapsed() < Duration::from_secs(5));
		assert!(a.told && found.is_empty());
		a.config = config(&[]);
		let start = Instant::now();
		assert_eq!(a.visit(&node(1), &sender).await, Outcome::Offline);
		assert!(start.elapsed() < Duration::from_millis(500));
	}

	/// An address that takes packets and answers none.
	struct UdpPort(
		String,
		#[expect(dead_code, reason = "held open")] std::net::UdpSocket,
	);

	impl UdpPort {
		fn reserve() -> Self {
			let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
			Self(socket.local_addr().unwrap().to_string(), socket)
		}
	}

	#[tokio::test]
	async fn turned_off_it_does_nothing() {
		let (_own, watch) = watch::channel(node(1));
		let (sender, _found) = mpsc::channel(1);
		let config = DhtConfig {
			enabled: false,
			..DhtConfig::default()
		};
		run("x".into(), config, DnsResolver::new(), watch, sender).await;
	}
}
