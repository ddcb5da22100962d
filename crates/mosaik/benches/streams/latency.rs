//! A lone datum, one way.

use {
	crate::{
		one_to_one::network,
		payload::Fixed,
		raw,
		table::{Budget, Table},
	},
	mosaik::NetworkId,
	std::time::Instant,
};

const COUNT: usize = 5_000;

pub(crate) async fn run(table: &mut Table, rounds: usize) {
	let id = NetworkId::random();
	let (n0, n1) = (network(id).await, network(id).await);
	let there = n0
		.streams()
		.producer::<Fixed<32>>()
		.with_stream_id("there")
		.build()
		.unwrap();
	let back = n1
		.streams()
		.producer::<Fixed<32>>()
		.with_stream_id("back")
		.build()
		.unwrap();
	let mut at_n1 = n1
		.streams()
		.consumer::<Fixed<32>>()
		.with_stream_id("there")
		.build();
	let mut at_n0 = n0
		.streams()
		.consumer::<Fixed<32>>()
		.with_stream_id("back")
		.build();
	there.when().subscribed().await;
	back.when().subscribed().await;
	tokio::spawn(async move {
		while let Some(datum) = at_n1.next().await {
			back.send(datum).await.unwrap();
		}
	});

	let pair = raw::pair().await;
	let (mut ping_send, mut ping_recv) = raw::open(&pair).await;
	let (mut pong_send, mut pong_recv) = raw::open_on(&pair.server, &pair.client).await;
	tokio::spawn(async move {
		let mut message = [0; 32];
		while ping_recv.read_exact(&mut message).await.is_ok() {
			pong_send.write_all(&message).await.unwrap();
		}
	});

	let mut pairs = Vec::new();
	for _ in 0..rounds {
		let mut raw = Vec::with_capacity(COUNT);
		for _ in 0..COUNT {
			let start = Instant::now();
			ping_send.write_all(&[7; 32]).await.unwrap();
			pong_recv.read_exact(&mut [0; 32]).await.unwrap();
			raw.push(start.elapsed().as_secs_f64() / 2.0);
		}
		let mut ours = Vec::with_capacity(COUNT);
		for _ in 0..COUNT {
			let start = Instant::now();
			there.send(Fixed([7; 32])).await.unwrap();
			at_n0.next().await.unwrap();
			ours.push(start.elapsed().as_secs_f64() / 2.0);
		}
		let median = |values: Vec<f64>| crate::table::median(values.into_iter()) * 1e6;
		pairs.push((median(raw), median(ours)));
	}
	table.compare("one datum, one way, p50", "us", &pairs, Budget::AtMost(1.3));
}
