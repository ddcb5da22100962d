//! One producer, one consumer, as fast as they go.

use {
	crate::{
		payload::{Blob, Fixed},
		raw,
		table::{Budget, Table},
	},
	mosaik::{Bytes, Datum, Network, NetworkId, discovery, iroh::RelayMode},
	std::time::Instant,
	tokio::sync::mpsc,
};

pub(crate) async fn network(id: NetworkId) -> Network {
	Network::builder(id)
		.with_relay_mode(RelayMode::Disabled)
		.with_discovery(
			discovery::Config::builder()
				.no_dht_bootstrap()
				.with_mdns(false),
		)
		.build()
		.await
		.unwrap()
}

pub(crate) async fn run(table: &mut Table, rounds: usize) {
	fixed::<32>(table, rounds, 1_500_000).await;
	fixed::<256>(table, rounds, 600_000).await;
	fixed::<1024>(table, rounds, 250_000).await;
	bulk(table, rounds, 8_000).await;
}

async fn fixed<const N: usize>(table: &mut Table, rounds: usize, count: usize) {
	let mut pairs = Vec::new();
	let ours = Ours::new().await;
	let pair = raw::pair().await;
	for _ in 0..rounds {
		let (send, recv) = raw::open(&pair).await;
		let start = Instant::now();
		let (sender, receiver) = mpsc::channel(1024);
		tokio::spawn(raw::write_from_channel::<N>(send, receiver));
		tokio::spawn(async move {
			for _ in 0..count {
				sender.send([7; N]).await.unwrap();
			}
		});
		tokio::spawn(raw::read_messages::<N>(recv, count))
			.await
			.unwrap();
		let raw = count as f64 / start.elapsed().as_secs_f64();
		pairs.push((raw, ours.stream(Fixed([7; N]), count).await));
	}
	table.compare(format!("1:1, {N} B"), "msg/s", &pairs, Budget::AtLeast(0.8));
}

async fn bulk(table: &mut Table, rounds: usize, count: usize) {
	let chunk = Bytes::from(vec![7; 64 * 1024]);
	let mut pairs = Vec::new();
	let ours = Ours::new().await;
	let pair = raw::pair().await;
	for _ in 0..rounds {
		let (send, recv) = raw::open(&pair).await;
		let start = Instant::now();
		tokio::spawn(raw::write_bulk(send, chunk.clone(), count));
		tokio::spawn(raw::drain(recv, count * chunk.len()))
			.await
			.unwrap();
		let raw = (count * chunk.len()) as f64 / start.elapsed().as_secs_f64();
		let datums = ours.stream(Blob(chunk.clone()), count).await;
		pairs.push((raw, datums * chunk.len() as f64));
	}
	table.compare("1:1, 64 KiB", "B/s", &pairs, Budget::AtLeast(0.85));
}

/// Two nodes of a network.
struct Ours(Network, Network);

impl Ours {
	async fn new() -> Self {
		let id = NetworkId::random();
		Self(network(id).await, network(id).await)
	}

	/// Datums per second from `send` to `next`.
	async fn stream<D: Datum + Clone + Sync>(&self, datum: D, count: usize) -> f64 {
		let producer = self.0.streams().produce::<D>();
		let mut consumer = self.1.streams().consume::<D>();
		producer.when().subscribed().await;
		let start = Instant::now();
		let sending = tokio::spawn(async move {
			for _ in 0..count {
				producer.send(datum.clone()).await.unwrap();
			}
			producer
		});
		let receiving = tokio::spawn(async move {
			for _ in 0..count {
				std::hint::black_box(consumer.next().await.unwrap());
			}
		});
		receiving.await.unwrap();
		let elapsed = start.elapsed().as_secs_f64();
		drop(sending.await.unwrap());
		count as f64 / elapsed
	}
}
