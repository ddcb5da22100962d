use {
	crate::util::{local, node, soon, unique},
	mosaik::{
		Bytes, Datum, Network,
		streams::{State, producer},
	},
	serde::{Deserialize, Serialize},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reading {
	sensor: String,
	value: u64,
}

fn reading(value: u64) -> Reading {
	Reading {
		sensor: "a".to_owned(),
		value,
	}
}

async fn pair() -> (Network, Network) {
	let id = unique();
	tokio::join!(node(id), node(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_share_a_name_stream_typed_data() {
	let (n0, n1) = pair().await;
	let producer = n0.streams().produce::<Reading>();
	let mut consumer = n1.streams().consume::<Reading>();
	soon("subscription", producer.when().subscribed().minimum_of(1)).await;
	for value in 0..1000 {
		soon("room", producer.send(reading(value))).await.unwrap();
	}
	for value in 0..1000 {
		assert_eq!(soon("datum", consumer.next()).await, Some(reading(value)));
	}
	assert_eq!(consumer.stats().datums(), 1000);
	let channel = consumer.producers().next().unwrap();
	assert_eq!(channel.producer_id(), &n0.local().id());
	assert_eq!(channel.state(), State::Connected);
	assert_eq!(channel.stats().datums(), 1000);
	assert!(
		producer
			.consumers()
			.all(|c| c.consumer_id() == &n1.local().id())
	);
}
