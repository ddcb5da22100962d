//! One producer, eight consumers.

use {
	crate::{
		one_to_one::network,
		payload::Fixed,
		raw,
		table::{Budget, Table},
	},
	mosaik::{Bytes, Network, NetworkId},
	std::time::Instant,
};

const CONSUMERS: usize = 8;
/// Enough for a second or so: the one consumer that is cut costs its time once.
const COUNT: usize = 160_000;
const SIZE: usize = 1024;

pub(crate) async fn run(table: &mut Table, rounds: usize) {
	let id = NetworkId::random();
	let producer = network(id).await;
	let mut consumers = Vec::new();
	for _ in 0..CONSUMERS {
		consumers.push(network(id).await);
	}
	let server = raw::endpoint().await;
	let mut links = Vec::new();
	for _ in 0..CONSUMERS {
		let client = raw::endpoint().await;
		let connections = raw::connect(&server, &client).await;
		links.push((client, connections));
	}

	let mut pairs = Vec::new();
	let mut stalled = Vec::new();
	for _ in 0..rounds {
		let mut streams = Vec::new();
		for (_, (from, to)) in &links {
			streams.push(raw::open_on(from, to).await);
		}
		let batch = Bytes::from(vec![7; 16 * (4 + SIZE)]);
		let start = Instant::now();
		let readers: Vec<_> = streams
			.into_iter()
			.map(|(send, recv)| {
				tokio::spawn(raw::write_bulk(send, batch.clone(), COUNT / 16));
				tokio::spawn(raw::read_messages::<SIZE>(recv, COUNT))
			})
			.collect();
		for reader in readers {
			reader.await.unwrap();
		}
		let raw = (CONSUMERS * COUNT * SIZE) as f64 / start.elapsed().as_secs_f64();
		let ours = stream(&producer, &consumers, false).await;
		pairs.push((raw, ours));
		stalled.push((ours, stream(&producer, &consumers, true).await));
	}
	table.compare(
		"fan-out to 8, 1 KiB, sum",
		"B/s",
		&pairs,
		Budget::AtLeast(0.8),
	);
	table.compare(
		"the same, one more is stalled",
		"B/s",
		&stalled,
		Budget::AtLeast(0.95),
	);
}

/// Bytes per second over all consumers that read.
async fn stream(from: &Network, to: &[Network], stalled: bool) -> f64 {
	let id = NetworkId::random();
	let producer = from
		.streams()
		.producer()
		.with_stream_id(id)
		.build()
		.unwrap();
	let idle = stalled.then(|| {
		to[0]
			.streams()
			.consumer::<Fixed<SIZE>>()
			.with_stream_id(id)
			.build()
	});
	let consumers: Vec<_> = to
		.iter()
		.map(|node| node.streams().consumer().with_stream_id(id).build())
		.collect();
	let expected = to.len() + usize::from(stalled);
	producer.when().subscribed().minimum_of(expected).await;
	for consumer in &consumers {
		consumer.when().subscribed().await;
	}
	let start = Instant::now();
	let readers: Vec<_> = consumers
		.into_iter()
		.map(|mut consumer| {
			let mut cut = consumer.when().unsubscribed();
			tokio::spawn(async move {
				let mut read = 0;
				while read < COUNT {
					tokio::select! {
						biased;
						datum = consumer.next() => {
							let datum: Fixed<SIZE> = datum.unwrap();
							std::hint::black_box(datum);
							read += 1;
						}
						// None should be; on a busy machine one may.
						() = &mut cut => break,
					}
				}
				(Instant::now(), read)
			})
		})
		.collect();
	for _ in 0..COUNT {
		producer.send(Fixed([7; SIZE])).await.unwrap();
	}
	let (mut end, mut read) = (start, 0);
	for reader in readers {
		let (at, count) = reader.await.unwrap();
		end = end.max(at);
		read += count;
	}
	drop(idle);
	let missed = to.len() * COUNT - read;
	if missed > 0 {
		println!("a consumer that reads was cut and missed {missed} datums: is the machine busy?");
	}
	(read * SIZE) as f64 / (end - start).as_secs_f64()
}
