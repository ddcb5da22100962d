//! Metrics as text over HTTP.

use {
	crate::util::{acquainted, local, node, soon, unique},
	std::net::{Ipv4Addr, SocketAddr},
	tokio::{
		io::{AsyncReadExt, AsyncWriteExt},
		net::{TcpListener, TcpStream},
	},
};

/// An address that was free a moment ago.
async fn free() -> SocketAddr {
	let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
	listener.local_addr().unwrap()
}

async fn get(addr: SocketAddr, path: &str) -> String {
	let mut stream = TcpStream::connect(addr).await.unwrap();
	let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	stream.write_all(request.as_bytes()).await.unwrap();
	let mut answer = String::new();
	stream.read_to_string(&mut answer).await.unwrap();
	answer
}

/// The value of a metric of this network.
fn value(text: &str, name: &str, network: &str) -> Option<f64> {
	let line = text.lines().find(|line| {
		line.starts_with(&format!("{name}{{")) && line.contains(&format!("network=\"{network}"))
	})?;
	line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_as_text_at_any_get() {
	const ITEMS: u64 = 10;
	let id = unique();
	let addr = free().await;
	let n0 = local(id).with_prometheus_addr(addr).build().await.unwrap();
	let n1 = local(id).build().await.unwrap();
	// Or the producer might have to send the consumer away once, to introduce itself.
	acquainted(&[n0.clone(), n1.clone()]).await;
	let producer = n0.streams().produce::<u64>();
	let mut consumer = n1.streams().consume::<u64>();
	soon("subscription", producer.when().subscribed()).await;
	for number in 0..ITEMS {
		producer.send(number).await.unwrap();
		assert_eq!(soon("datum", consumer.next()).await, Some(number));
	}

	for path in ["/", "/metrics", "/any/thing?else"] {
		let answer = soon("answer", get(addr, path)).await;
		assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
	}
	let network = &id.to_string()[..8];
	let items = "mosaik_streams_producer_items_sent";
	let text = soon("current numbers", async {
		loop {
			let text = get(addr, "/metrics").await;
			let peers = value(&text, "mosaik_discovery_catalog_size", network);
			if peers == Some(1.0) && value(&text, items, network) == Some(ITEMS as f64) {
				return text;
			}
			tokio::task::yield_now().await;
		}
	})
	.await;
	for (name, expected) in [
		("mosaik_streams_producers_active", Some(1.0)),
		("mosaik_streams_consumers_active", None),
		("mosaik_streams_producer_consumers", Some(1.0)),
		("mosaik_streams_producer_consumers_accepted", Some(1.0)),
		("mosaik_streams_producer_consumers_rejected", Some(0.0)),
		("mosaik_streams_producer_bytes_sent", Some(ITEMS as f64)),
		("mosaik_streams_producer_items_dropped", Some(0.0)),
		("mosaik_streams_connections_accepted", Some(1.0)),
		("mosaik_streams_connections_rejected", None),
		("mosaik_streams_consumer_producers", Some(1.0)),
		("mosaik_streams_consumer_items_received", Some(ITEMS as f64)),
		("mosaik_streams_consumer_bytes_received", Some(ITEMS as f64)),
		("mosaik_streams_datums_total", None),
		("mosaik_streams_bytes_total", None),
		("mosaik_discovery_peers_discovered", None),
		("mosaik_discovery_peers_updated", None),
		("mosaik_discovery_peers_departed", Some(0.0)),
		("mosaik_discovery_catalog_syncs", None),
		("mosaik_discovery_gossip_neighbors", Some(1.0)),
		("mosaik_network_connections_opened", None),
		("mosaik_network_egress_bytes", None),
		("mosaik_network_ingress_bytes", None),
	] {
		let found = value(&text, name, network);
		assert!(found.is_some(), "{name} is missing:\n{text}");
		if expected.is_some() {
			assert_eq!(found, expected, "{name}");
		}
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_that_was_cut_had_not_taken_counts_as_dropped() {
	let id = unique();
	let addr = free().await;
	let n0 = local(id).with_prometheus_addr(addr).build().await.unwrap();
	let [n1, n2] = [node(id).await, node(id).await];
	acquainted(&[n0.clone(), n1.clone(), n2.clone()]).await;
	let producer = n0.streams().producer::<Vec<u8>>().with_buffer_size(16);
	let producer = producer.build().unwrap();
	let stalled = n1.streams().consume::<Vec<u8>>();
	let mut reading = n2.streams().consume::<Vec<u8>>();
	let both = producer.when().subscribed().minimum_of(2);
	soon("subscriptions", both).await;
	let channel = producer
		.consumers()
		.find(|channel| *channel.consumer_id() == n1.local().id())
		.unwrap();
	while channel.is_connected() {
		producer.send(vec![0; 128 * 1024]).await.unwrap();
		soon("datum", reading.next()).await.unwrap();
	}
	let text = get(addr, "/metrics").await;
	let dropped = value(
		&text,
		"mosaik_streams_producer_items_dropped",
		&id.to_string()[..8],
	);
	// It was cut because it lagged by more than the buffer holds.
	assert!(
		dropped.is_some_and(|dropped| dropped >= 16.0),
		"{dropped:?}"
	);
	drop(stalled);
}
