//! The ways between nodes that need a server: relays, the DHT, pkarr and DNS.
//! Each server runs here, so that nothing depends on the internet or its lack.

use {
	crate::util::{soon, unique, until, within},
	iroh::{
		EndpointAddr, RelayMap, RelayMode, RelayUrl, Watcher,
		address_lookup::{AddrFilter, DnsAddressLookup, MemoryLookup, PkarrPublisher},
		test_utils::DnsPkarrServer,
	},
	iroh_mainline_address_lookup::DhtAddressLookup,
	iroh_relay::server::{RelayConfig, Server, ServerConfig},
	mosaik::{
		Network, NetworkId,
		discovery::{self, ConfigBuilder},
		network::{NetworkBuilder, NetworkError},
	},
	n0_mainline::{DhtBuilder, Testnet},
	std::{
		collections::BTreeSet,
		io,
		net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
		sync::{Arc, Mutex},
		time::{Duration, Instant},
	},
	tokio::time::{interval, sleep},
	tracing::{level_filters::LevelFilter, subscriber::DefaultGuard},
};

/// How long a log is read that must stay quiet.
const QUIET: Duration = Duration::from_secs(5);

/// What "a handful" of warnings is.
const HANDFUL: usize = 5;

/// Starts without asking anybody on this host or its network.
fn alone() -> ConfigBuilder {
	discovery::Config::builder()
		.with_same_host(false)
		.with_mdns(false)
}

/// A node that finds nobody by itself.
fn lonely(id: NetworkId) -> NetworkBuilder {
	Network::builder(id)
		.with_relay_mode(RelayMode::Disabled)
		.with_discovery(alone().no_dht_bootstrap())
}

/// Waits for what nothing announces.
async fn becomes(what: &str, mut condition: impl FnMut() -> bool) {
	let mut tick = interval(Duration::from_millis(5));
	soon(what, async {
		while !condition() {
			tick.tick().await;
		}
	})
	.await;
}

async fn see_each_other(n0: &Network, n1: &Network) {
	let (id0, id1) = (n0.local().id(), n1.local().id());
	tokio::join!(
		until(n0, "n0 sees n1", |c| c.get(&id1).is_some()),
		until(n1, "n1 sees n0", |c| c.get(&id0).is_some()),
	);
}

/// Sends a few numbers from one node to the other.
async fn stream(from: &Network, to: &Network) {
	let producer = from.streams().produce::<u64>();
	let mut consumer = to.streams().consume::<u64>();
	soon("subscription", producer.when().subscribed()).await;
	for value in 0..100 {
		soon("room", producer.send(value)).await.unwrap();
	}
	for value in 0..100 {
		assert_eq!(soon("datum", consumer.next()).await, Some(value));
	}
}

/// What a test and its nodes log: those that run on its own thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
	/// Captures warnings and errors until the guard is dropped. Only for tests on
	/// a current-thread runtime.
	fn of_this_thread() -> (Self, DefaultGuard) {
		let log = Self::default();
		let writer = log.clone();
		let subscriber = tracing_subscriber::fmt()
			.with_max_level(LevelFilter::WARN)
			.with_ansi(false)
			.with_writer(move || writer.clone())
			.finish();
		(log, tracing::subscriber::set_default(subscriber))
	}

	/// The lines that nodes have logged, without those of servers run here.
	fn of_nodes(&self) -> Vec<String> {
		let lines = self.0.lock().unwrap();
		let of_nodes = lines
			.iter()
			.filter(|line| !line.contains("iroh_relay::server"));
		of_nodes.cloned().collect()
	}

	#[track_caller]
	fn assert_at_most(&self, limit: usize) {
		let lines = self.of_nodes();
		assert!(
			lines.len() <= limit,
			"{} lines:\n{}",
			lines.len(),
			lines.concat()
		);
	}
}

impl io::Write for Log {
	fn write(&mut self, line: &[u8]) -> io::Result<usize> {
		let text = String::from_utf8_lossy(line).into_owned();
		self.0.lock().unwrap().push(text);
		Ok(line.len())
	}

	fn flush(&mut self) -> io::Result<()> {
		Ok(())
	}
}

/// A relay of our own.
struct Relay {
	server: Server,
	url: RelayUrl,
}

impl Relay {
	async fn start() -> Self {
		let mut config = ServerConfig::default();
		config.relay = Some(RelayConfig::new((Ipv4Addr::LOCALHOST, 0)));
		let server = Server::spawn(config).await.unwrap();
		let url = url(server.http_addr().unwrap());
		Self { server, url }
	}

	fn mode(&self) -> RelayMode {
		mode(&self.url)
	}
}

fn url(addr: SocketAddr) -> RelayUrl {
	format!("http://{addr}").parse().unwrap()
}

fn mode(url: &RelayUrl) -> RelayMode {
	let config = iroh_relay::RelayConfig::new(url.clone(), None);
	RelayMode::Custom(RelayMap::from_iter([config]))
}

/// Waits until a node is reached through its relay; tells how long it took.
async fn has_relay(node: &Network) -> Duration {
	let start = Instant::now();
	let mut addr = node.local().endpoint().watch_addr();
	soon("the node has a relay", async {
		while addr.get().relay_urls().next().is_none() {
			addr.updated().await.unwrap();
		}
	})
	.await;
	start.elapsed()
}

/// A node of which others know the relay only, and one to dial it.
async fn pair_at_a_relay(
	relay: &Relay,
	addresses: [BTreeSet<SocketAddr>; 2],
) -> (Network, Network) {
	let id = unique();
	let [at0, at1] = addresses;
	let node = |at, discovery: ConfigBuilder| {
		Network::builder(id)
			.with_relay_mode(relay.mode())
			.with_addresses::<BTreeSet<_>>(at)
			.with_discovery(discovery.no_dht_bootstrap())
			.build()
	};
	let n0 = node(at0, alone()).await.unwrap();
	let online = has_relay(&n0).await;
	let only_relay = EndpointAddr::new(n0.local().id()).with_relay_url(relay.url.clone());
	let start = Instant::now();
	let n1 = node(at1, alone().with_bootstrap(only_relay)).await.unwrap();
	see_each_other(&n0, &n1).await;
	let elapsed = start.elapsed();
	println!("at the relay after {online:?}, connected through it in {elapsed:?}");
	(n0, n1)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_share_nothing_but_a_relay_stream_through_it() {
	if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
		println!("skipped: this host has no IPv6 loopback");
		return;
	}
	let relay = Relay::start().await;
	// There is no way from the one family to the other but by the relay.
	let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
	let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
	let (n0, n1) = pair_at_a_relay(&relay, [v4, v6].map(|at| BTreeSet::from([at]))).await;
	tokio::join!(stream(&n0, &n1), stream(&n1, &n0));
	for (from, to) in [(&n0, &n1), (&n1, &n0)] {
		let path = from.path(&to.local().id()).unwrap();
		assert!(path.relay, "{path:?}");
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_meet_at_a_relay_go_on_to_talk_directly() {
	let relay = Relay::start().await;
	let (n0, n1) = pair_at_a_relay(&relay, Default::default()).await;
	stream(&n0, &n1).await;
	let direct = |from: &Network, to: &Network| {
		let path = from.path(&to.local().id());
		path.is_some_and(|path| !path.relay)
	};
	becomes("n0 talks directly", || direct(&n0, &n1)).await;
	becomes("n1 talks directly", || direct(&n1, &n0)).await;
	stream(&n1, &n0).await;
}

/// A node with this relay must start at once, be found and not fill the log.
async fn is_not_bothered_by(relay: RelayUrl) {
	let (log, _guard) = Log::of_this_thread();
	let id = unique();
	let with_relay = |discovery: ConfigBuilder| {
		Network::builder(id)
			.with_relay_mode(mode(&relay))
			.with_discovery(discovery.no_dht_bootstrap())
			.build()
	};
	let start = Instant::now();
	let n0 = with_relay(alone()).await.unwrap();
	assert!(start.elapsed() < Duration::from_millis(500));
	let n1 = with_relay(alone().with_bootstrap(n0.local().addr())).await;
	let n1 = n1.unwrap();
	see_each_other(&n0, &n1).await;
	println!("with {relay}: two nodes met in {:?}", start.elapsed());
	stream(&n0, &n1).await;
	sleep(QUIET).await;
	log.assert_at_most(HANDFUL);
	let start = Instant::now();
	tokio::join!(n0.shutdown(), n1.shutdown());
	assert!(start.elapsed() < Duration::from_secs(2));
	log.assert_at_most(HANDFUL);
}

#[tokio::test]
async fn a_relay_that_refuses_connections_delays_nothing_and_leaves_the_log_quiet() {
	let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
	let addr = nobody.local_addr().unwrap();
	drop(nobody);
	is_not_bothered_by(url(addr)).await;
}

#[tokio::test]
async fn a_relay_that_never_answers_delays_nothing_and_leaves_the_log_quiet() {
	// Takes connections into its backlog and says nothing.
	let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
	is_not_bothered_by(url(silent.local_addr().unwrap())).await;
}

#[tokio::test]
async fn a_relay_whose_name_is_unknown_delays_nothing_and_leaves_the_log_quiet() {
	is_not_bothered_by("http://relay.invalid".parse().unwrap()).await;
}

#[tokio::test]
async fn a_relay_that_dies_leaves_direct_links_up_and_the_log_quiet() {
	let (log, _guard) = Log::of_this_thread();
	let relay = Relay::start().await;
	let (n0, n1) = pair_at_a_relay(&relay, Default::default()).await;
	has_relay(&n1).await;
	let id1 = n1.local().id();
	becomes("a direct path", || {
		n0.path(&id1).is_some_and(|path| !path.relay)
	})
	.await;
	let mut events = n0.discovery().events();
	relay.server.shutdown().await.unwrap();
	sleep(QUIET).await;
	log.assert_at_most(HANDFUL);
	while let Ok(event) = events.try_recv() {
		assert!(
			!matches!(event, discovery::Event::PeerDeparted(_)),
			"{event:?}"
		);
	}
	stream(&n0, &n1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_find_each_other_by_the_dht_alone() {
	let testnet = Testnet::new(10).await.unwrap();
	let nodes = testnet.bootstrap.iter().map(|node| node.parse().unwrap());
	let nodes: Vec<SocketAddr> = nodes.collect();
	let id = unique();
	let node = || {
		Network::builder(id)
			.with_relay_mode(RelayMode::Disabled)
			.with_discovery(alone().with_dht_nodes(nodes.iter().copied()))
			.build()
	};
	let start = Instant::now();
	let n0 = node().await.unwrap();
	let n1 = node().await.unwrap();
	let limit = Duration::from_secs(60);
	within(limit, "they find each other", see_each_other(&n0, &n1)).await;
	println!(
		"two that start together met by the DHT in {:?}",
		start.elapsed()
	);
	let start = Instant::now();
	let n2 = node().await.unwrap();
	see_each_other(&n0, &n2).await;
	println!("a newcomer was let in by the DHT in {:?}", start.elapsed());
	stream(&n0, &n2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_id_is_enough_where_pkarr_and_dns_know_it() {
	let server = DnsPkarrServer::run().await.unwrap();
	let id = unique();
	let node = || {
		let publish = PkarrPublisher::builder(server.pkarr_url().clone())
			.addr_filter(AddrFilter::unfiltered());
		let resolve =
			DnsAddressLookup::builder("dns.iroh.test".into()).dns_resolver(server.dns_resolver());
		lonely(id)
			.with_address_lookup(publish)
			.with_address_lookup(resolve)
			.build()
	};
	let (n0, n1) = tokio::try_join!(node(), node()).unwrap();
	let id0 = n0.local().id();
	let published = server.on_endpoint(&id0, Duration::from_secs(15));
	published.await.unwrap();
	let start = Instant::now();
	let synced = n1.discovery().sync_with(n0.local().id());
	soon("a sync by bare id", synced).await.unwrap();
	println!("synced by pkarr and DNS in {:?}", start.elapsed());
	see_each_other(&n0, &n1).await;
	stream(&n0, &n1).await;
	let n2 = node().await.unwrap();
	soon("a dial by bare id", n2.discovery().dial(n0.local().id())).await;
	see_each_other(&n0, &n2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_id_is_enough_where_the_dht_knows_it() {
	let testnet = Testnet::new(10).await.unwrap();
	let id = unique();
	let node = || {
		let mut dht = DhtBuilder::default();
		dht.bootstrap(&testnet.bootstrap);
		let lookup = DhtAddressLookup::builder()
			.dht_builder(dht)
			.addr_filter(AddrFilter::unfiltered());
		lonely(id).with_address_lookup(lookup).build()
	};
	let (n0, n1) = tokio::try_join!(node(), node()).unwrap();
	let start = Instant::now();
	// Publishing takes a moment of which nothing tells.
	soon("a sync by bare id", async {
		while n1.discovery().sync_with(n0.local().id()).await.is_err() {}
	})
	.await;
	println!("synced by the DHT in {:?}", start.elapsed());
	see_each_other(&n0, &n1).await;
	stream(&n0, &n1).await;
}

#[tokio::test]
async fn a_lookup_serves_the_first_node_built_and_clones_of_the_builder_say_so() {
	let builder = lonely(unique()).with_address_lookup(MemoryLookup::new());
	let clone = builder.clone();
	let _node = builder.build().await.unwrap();
	let refused = clone.build().await.unwrap_err();
	assert!(matches!(refused, NetworkError::AddressLookup(_)));
}

#[tokio::test]
async fn with_the_defaults_a_node_is_up_at_once_and_quiet_even_offline() {
	let (log, _guard) = Log::of_this_thread();
	let start = Instant::now();
	let node = Network::new(unique()).await.unwrap();
	let up = start.elapsed();
	assert!(up < Duration::from_millis(500), "{up:?}");
	sleep(QUIET).await;
	log.assert_at_most(0);
	let start = Instant::now();
	node.shutdown().await;
	let down = start.elapsed();
	assert!(down < Duration::from_secs(2), "{down:?}");
	println!("up in {up:?}, down in {down:?}");
	// iroh 1.4 has one ("relay_recv_channel closed") for each endpoint with relays.
	log.assert_at_most(1);
}
