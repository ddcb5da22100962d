//! Nodes: how they come, what they are, how they go.

use {
	crate::util::{acquainted, eventually, local, node, nodes, soon, unique, until, within},
	futures::future::join_all,
	mosaik::{Network, PeerId, SecretKey, discovery::Event, network::NetworkError},
	std::{
		collections::BTreeSet,
		net::{Ipv4Addr, SocketAddr, UdpSocket},
		time::Duration,
	},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_the_defaults_is_up_at_once_without_internet() {
	// Relays, DNS and the DHT are on and cannot be reached from here.
	let limit = Duration::from_millis(500);
	let network = within(limit, "a node", Network::new(unique()))
		.await
		.unwrap();
	within(limit, "online", network.online()).await;
	within(limit, "online", network.local().online()).await;
	assert!(network.local().addr().ip_addrs().next().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_the_defaults_find_each_other() {
	let name = unique().to_string();
	let (n0, n1) = tokio::join!(Network::new(name.as_str()), Network::new(name.as_str()));
	acquainted(&[n0.unwrap(), n1.unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_can_be_dialled_as_soon_as_it_is_built() {
	let id = unique();
	let n0 = crate::util::hermit(id).build().await.unwrap();
	let addr = n0.local().addr();
	assert_eq!(addr.id, n0.local().id());
	let n1 = crate::util::hermit(id).build().await.unwrap();
	within(SECOND, "exchange", n1.discovery().sync_with(addr))
		.await
		.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_five_nodes_in_one_process_all_see_the_others() {
	let id = unique();
	let nodes = join_all((0..35).map(|_| Network::new(id))).await;
	let nodes: Vec<Network> = nodes.into_iter().map(Result::unwrap).collect();
	acquainted(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_needs_an_id() {
	let error = mosaik::network::NetworkBuilder::default().build().await;
	assert!(matches!(error, Err(NetworkError::MissingNetworkId)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_key_is_the_identity() {
	let key = SecretKey::generate();
	let network = local(unique())
		.with_secret_key(key.clone())
		.build()
		.await
		.unwrap();
	assert_eq!(network.local().id(), key.public());
	assert_eq!(network.local().secret_key().to_bytes(), key.to_bytes());
	assert_eq!(network.local().to_string(), key.public().to_string());
	let (a, b) = tokio::join!(node(unique()), node(unique()));
	assert_ne!(a.local().id(), b.local().id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_listens_where_it_is_told() {
	let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
	let network = local(unique())
		.with_addresses(BTreeSet::from([any]))
		.build()
		.await
		.unwrap();
	let bound = network.local().endpoint().bound_sockets();
	assert_eq!(bound.len(), 1);
	assert!(bound[0].ip().is_loopback());
	assert!(
		network
			.local()
			.addr()
			.ip_addrs()
			.any(|addr| *addr == bound[0])
	);
	let id = unique();
	let taken = local(id)
		.with_addresses(BTreeSet::from([bound[0]]))
		.build()
		.await;
	assert!(taken.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_handle_leaves_and_frees_everything() {
	let [n0, n1] = nodes().await;
	let mut events = n0.discovery().events();
	let peer = n1.local().id();
	let sockets = n1.local().endpoint().bound_sockets();
	let clone = n1.clone();
	drop(n1);
	assert!(clone.local().addr().ip_addrs().next().is_some());
	assert!(n0.discovery().catalog().get(&peer).is_some());
	drop(clone);
	within(SECOND, "departure", departed(&mut events, peer)).await;
	for socket in sockets {
		eventually("the port is free", || UdpSocket::bind(socket).is_ok()).await;
	}
}

async fn departed(events: &mut tokio::sync::broadcast::Receiver<Event>, peer: PeerId) {
	while events.recv().await.unwrap() != Event::PeerDeparted(peer) {}
}

#[test]
fn every_task_ends_with_the_network() {
	let runtime = tokio::runtime::Runtime::new().unwrap();
	let tasks = || runtime.metrics().num_alive_tasks();
	runtime.block_on(async {
		let [n0, n1] = nodes().await;
		let producer = n0.streams().produce::<u64>();
		let consumer = n1.streams().consume::<u64>();
		soon("subscription", producer.when().subscribed()).await;
		assert!(tasks() > 0);
		drop((n0, n1));
		// Handles that outlive it keep no task.
		eventually("no task left", || tasks() == 0).await;
		drop((producer, consumer));
	});
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_waits_until_everything_has_ended() {
	let [n0, n1] = nodes().await;
	let mut events = n0.discovery().events();
	let sockets = n1.local().endpoint().bound_sockets();
	within(2 * SECOND, "shutdown", n1.shutdown()).await;
	within(SECOND, "departure", departed(&mut events, n1.local().id())).await;
	within(SECOND, "shutdown again", n1.shutdown()).await;
	let error = soon("an error", n1.discovery().sync_with(n0.local().addr())).await;
	assert!(error.is_err());
	drop(n1);
	for socket in sockets {
		eventually("the port is free", || UdpSocket::bind(socket).is_ok()).await;
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_noticed() {
	let id = unique();
	let n0 = node(id).await;
	let mut events = n0.discovery().events();
	let doomed = std::thread::spawn(move || {
		let runtime = tokio::runtime::Runtime::new().unwrap();
		let network = runtime.block_on(node(id));
		(runtime, network)
	});
	let (runtime, n1) = doomed.join().unwrap();
	let peer = n1.local().id();
	until(&n0, "n1", |c| c.get(&peer).is_some()).await;
	// Nothing of it runs any more, and nobody says goodbye.
	runtime.shutdown_background();
	soon("departure", departed(&mut events, peer)).await;
	drop(n1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_is_reached_again_by_discovery_and_streams() {
	let id = unique();
	let key = SecretKey::generate();
	let start = || local(id).with_secret_key(key.clone()).build();
	let n0 = node(id).await;
	let mut consumer = n0.streams().consume::<u64>();
	let n1 = start().await.unwrap();
	let producer = n1.streams().produce::<u64>();
	soon("subscription", producer.when().subscribed()).await;
	producer.send(1).await.unwrap();
	assert_eq!(soon("datum", consumer.next()).await, Some(1));
	let started = n1.discovery().me().started_at();
	let ports = n1.local().endpoint().bound_sockets();
	n1.shutdown().await;
	drop((producer, n1));
	for port in &ports {
		eventually("the port is free", || UdpSocket::bind(port).is_ok()).await;
	}
	// Whatever the system hands out next, these are taken.
	let _taken: Vec<_> = ports
		.iter()
		.map(|port| UdpSocket::bind(port).unwrap())
		.collect();

	let n1 = start().await.unwrap();
	let producer = n1.streams().produce::<u64>();
	let back = async {
		until(&n0, "the new one", |c| {
			c.get(&key.public())
				.is_some_and(|entry| entry.started_at() > started)
		})
		.await;
		producer.when().subscribed().await;
		producer.send(2).await.unwrap();
		assert_eq!(consumer.next().await, Some(2));
	};
	within(2 * SECOND, "back", back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_killed_and_restarted_is_reached_again() {
	let id = unique();
	let key = SecretKey::generate();
	let n0 = node(id).await;
	let mut consumer = n0.streams().consume::<u64>();
	let doomed = std::thread::spawn({
		let key = key.clone();
		move || {
			let runtime = tokio::runtime::Runtime::new().unwrap();
			let parts = runtime.block_on(async {
				let network = local(id).with_secret_key(key).build().await.unwrap();
				let producer = network.streams().produce::<u64>();
				soon("subscription", producer.when().subscribed()).await;
				(network, producer)
			});
			(runtime, parts)
		}
	});
	let (runtime, parts) = tokio::task::spawn_blocking(|| doomed.join().unwrap())
		.await
		.unwrap();
	let old = n0
		.discovery()
		.catalog()
		.get(&key.public())
		.unwrap()
		.started_at();
	runtime.shutdown_background();
	let n1 = local(id)
		.with_secret_key(key.clone())
		.build()
		.await
		.unwrap();
	let producer = n1.streams().produce::<u64>();
	let back = async {
		until(&n0, "the new one", |c| {
			c.get(&key.public())
				.is_some_and(|entry| entry.started_at() > old)
		})
		.await;
		producer.when().subscribed().await;
		producer.send(2).await.unwrap();
		assert_eq!(consumer.next().await, Some(2));
	};
	within(5 * SECOND, "back", back).await;
	drop(parts);
}
