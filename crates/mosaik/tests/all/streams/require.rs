//! Who may subscribe to whom.

use {
	super::{Item, eager, item, next, subscribed, unsubscribed},
	crate::util::{hermit, never, node, nodes, soon, unique, until},
	mosaik::{Tag, streams::State, tag},
};

const GOLD: Tag = tag!("gold");

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_takes_consumers_that_pass_while_they_pass() {
	let [n0, n1, n2] = nodes().await;
	let producer = n0
		.streams()
		.producer::<Item>()
		.require(|peer| peer.tags().contains(&GOLD))
		.build()
		.unwrap();
	n1.discovery().add_tags(GOLD);
	let mut gold = n1.streams().consume::<Item>();
	let plain = n2.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	let refused = soon("a channel", channel_state(&plain, State::Terminated));
	refused.await;
	assert_eq!(producer.consumers().count(), 1);

	n1.discovery().remove_tags(GOLD);
	unsubscribed(&producer).await;
	n1.discovery().add_tags(GOLD);
	subscribed(&producer, 1).await;
	producer.send(item(0, 1)).await.unwrap();
	assert_eq!(next(&mut gold).await, item(0, 1));

	// The verdict on the other is not forever either.
	n2.discovery().add_tags([GOLD, "more".into()]);
	subscribed(&producer, 2).await;
}

/// Resolves when the consumer has a channel in that state.
async fn channel_state(consumer: &mosaik::streams::Consumer<Item>, wanted: State) {
	loop {
		if let Some(channel) = consumer.producers().next() {
			let mut state = channel.state_watcher().clone();
			if state.wait_for(|state| *state == wanted).await.is_ok() {
				return;
			}
		}
		tokio::task::yield_now().await;
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_subscribes_to_producers_that_pass_while_they_pass() {
	let [n0, n1, n2] = nodes().await;
	let p1 = n1.streams().produce::<Item>();
	let p2 = n2.streams().produce::<Item>();
	n1.discovery().add_tags(GOLD);
	let mut consumer = n0
		.streams()
		.consumer::<Item>()
		.require(|peer| peer.tags().contains(&GOLD))
		.build();
	subscribed(&p1, 1).await;
	assert!(
		consumer
			.producers()
			.all(|c| *c.producer_id() == n1.local().id())
	);
	assert!(!p2.is_online());
	n1.discovery().remove_tags(GOLD);
	n2.discovery().add_tags(GOLD);
	unsubscribed(&p1).await;
	subscribed(&p2, 1).await;
	p2.send(item(2, 0)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(2, 0));
	n1.discovery().add_tags(GOLD);
	subscribed(&p1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predicates_are_composed_with_and() {
	let [n0, n1, n2] = nodes().await;
	n1.discovery().add_tags("a");
	n2.discovery().add_tags(["a", "b"]);
	let has = |tag: &'static str| {
		move |peer: &mosaik::discovery::PeerInfo| peer.tags().contains(&Tag::from(tag))
	};
	let producer = n0
		.streams()
		.producer::<Item>()
		.require(has("a"))
		.require(has("b"))
		.build()
		.unwrap();
	let _one = n1.streams().consume::<Item>();
	let _both = n2.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	assert_eq!(
		producer.consumers().next().unwrap().consumer_id(),
		&n2.local().id()
	);
	never(
		"one of two is enough",
		producer.when().subscribed().minimum_of(2),
	)
	.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predicates_see_the_round_trip_time() {
	let id = unique();
	let (n0, n1) = tokio::join!(node(id), node(id));
	let producer = n0.streams().produce::<Item>();
	let _consumer = n1
		.streams()
		.consumer::<Item>()
		.require(|peer| peer.rtt_below(std::time::Duration::from_secs(5)))
		.require(|peer| peer.rtt().is_some())
		.build();
	subscribed(&producer, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn further_consumers_wait_and_get_in_when_one_leaves() {
	let [n0, n1, n2] = nodes().await;
	let producer = n0
		.streams()
		.producer::<Item>()
		.with_max_consumers(1)
		.build()
		.unwrap();
	let consume = |node: &mosaik::Network| {
		node.streams()
			.consumer::<Item>()
			.with_backoff(eager())
			.build()
	};
	let first = consume(&n1);
	subscribed(&producer, 1).await;
	let mut second = consume(&n2);
	never("a second one", producer.when().subscribed().minimum_of(2)).await;
	assert_eq!(
		producer.consumers().next().unwrap().consumer_id(),
		&n1.local().id()
	);
	drop(first);
	let is_second = producer.when().subscribed().with_predicate({
		let id = n2.local().id();
		move |peer| *peer.id() == id
	});
	soon("the second", is_second).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut second).await, item(0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_does_not_know_the_consumer_learns_of_it() {
	let id = unique();
	let (n0, n1) = tokio::join!(hermit(id).build(), hermit(id).build());
	let (n0, n1) = (n0.unwrap(), n1.unwrap());
	let producer = n0.streams().produce::<Item>();
	let mut consumer = n1.streams().consume::<Item>();
	// The consumer hears of the producer, the producer not of the consumer.
	assert!(n1.discovery().feed(n0.discovery().me()));
	until(&n1, "the producer", |c| c.get(&n0.local().id()).is_some()).await;
	subscribed(&producer, 1).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 0));
}
