//! `stream!` in all its forms: what is declared, streams.

use {
	super::{Item, eager, item, soon},
	crate::util::{Guard, never, nodes, pass},
	mosaik::{
		ConsumerOf, Criteria, Datum, Network, ProducerOf, StreamConsumer, StreamId, StreamProducer,
		tickets::Expiration,
	},
};

mosaik::stream!(
	/// By the type of the datum.
	pub Plain = Item
);
mosaik::stream!(Named = Item, "macros.named");
const ID: StreamId = mosaik::unique_id!("macros.const");
mosaik::declare::stream!(pub(crate) ByConst = Item, ID);
mosaik::stream!(pub producer Out = Item, "macros.out", max_consumers: 1);
mosaik::stream!(pub consumer In = Item, "macros.in", consumer require: |peer| !peer.streams().is_empty());
mosaik::stream!(
	Full = Item, "macros.full",
	require: |_| true,
	producer require: |peer| peer.tags().contains(&"buyer".into()),
	consumer require: |peer| peer.tags().contains(&"seller".into()),
	require_ticket: Guard("both"),
	consumer require_ticket: Guard("seller"),
	producer online_when: |c| c.minimum_of(1),
	consumer online_when: |c| c.minimum_of(1),
	max_consumers: 3,
	buffer_size: 32,
	disconnect_lagging: false,
	criteria: Criteria::default(),
	backoff: eager(),
);

async fn streams<S>()
where
	S: StreamProducer<Producer = mosaik::streams::Producer<Item>>
		+ StreamConsumer<Consumer = mosaik::streams::Consumer<Item>>,
{
	let [n0, n1] = nodes().await;
	let mut consumer: ConsumerOf<S> = soon("a consumer", S::online_consumer(&n1)).await;
	let producer: ProducerOf<S> = soon("a producer", S::online_producer(&n0)).await;
	producer.send(item(1, 2)).await.unwrap();
	assert_eq!(super::next(&mut consumer).await, item(1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_streams_stream() {
	tokio::join!(streams::<Plain>(), streams::<Named>(), streams::<ByConst>());
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_ids_are_those_written() {
	let [n0] = nodes().await;
	assert_eq!(Plain::producer(&n0).stream_id(), &Item::derived_stream_id());
	assert_eq!(
		Named::consumer(&n0).stream_id(),
		&StreamId::from("macros.named")
	);
	assert_eq!(ByConst::consumer(&n0).stream_id(), &ID);
	let shared = Named::producer(&n0);
	assert_eq!(Named::producer(&n0).stream_id(), shared.stream_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sides_of_a_restricted_stream_meet() {
	let [n0, n1] = nodes().await;
	// The other side stays within the crate, as inherent methods.
	let out = Out::producer(&n0);
	let mut out_consumer = Out::consumer(&n1);
	let into = In::producer(&n0);
	let mut in_consumer = soon("a consumer", In::online_consumer(&n1)).await;
	super::subscribed(&out, 1).await;
	super::subscribed(&into, 1).await;
	out.send(item(0, 0)).await.unwrap();
	into.send(item(0, 1)).await.unwrap();
	assert_eq!(super::next(&mut out_consumer).await, item(0, 0));
	assert_eq!(super::next(&mut in_consumer).await, item(0, 1));
	assert_eq!(out.config().max_consumers, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_takes_effect() {
	let [seller, buyer] = nodes().await;
	let producer = Full::producer(&seller);
	assert_eq!(producer.config().max_consumers, 3);
	assert_eq!(producer.config().buffer_size, 32);
	assert!(!producer.config().disconnect_lagging);
	let mut consumer = Full::consumer(&buyer);
	assert!(!consumer.is_online());
	type Step<'a> = &'a dyn Fn(&Network, &Network);
	let steps: [Step<'_>; 5] = [
		&|_, buyer| buyer.discovery().add_tags("buyer"),
		&|seller, _| seller.discovery().add_tags("seller"),
		&|_, buyer| {
			buyer
				.discovery()
				.add_ticket(pass("both", Expiration::Never))
		},
		&|seller, _| {
			seller
				.discovery()
				.add_ticket(pass("both", Expiration::Never))
		},
		&|seller, _| {
			seller
				.discovery()
				.add_ticket(pass("seller", Expiration::Never))
		},
	];
	for step in steps {
		never("in before all is there", producer.when().subscribed()).await;
		step(&seller, &buyer);
	}
	soon("online", producer.when().online()).await;
	soon("online", consumer.when().online()).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(super::next(&mut consumer).await, item(0, 0));
}
