//! What is sent arrives: all of it, in order, everywhere.

use {
	super::{Blob, Item, item, next, send_error, subscribed, unsubscribed},
	crate::util::{acquainted, hermit, never, node, nodes, soon, unique},
	futures::{SinkExt, StreamExt, future::join_all, stream},
	mosaik::{
		Bytes, StreamId,
		streams::{ChannelInfo, StreamDef, backoff::ExponentialBackoffBuilder, producer},
	},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_consumer_gets_everything_of_every_producer_in_order() {
	const ITEMS: u64 = 2_000;
	let nodes: [_; 5] = nodes().await;
	let producers: Vec<_> = (0..2)
		.map(|index: usize| {
			// More is sent than the buffer holds, and nobody is to be cut.
			let producer = nodes[index].streams().producer::<Item>();
			producer.disconnect_lagging(false).build().unwrap()
		})
		.collect();
	let consumers: Vec<_> = (2..5)
		.map(|index: usize| nodes[index].streams().consume::<Item>())
		.collect();
	for producer in &producers {
		subscribed(producer, 3).await;
	}
	let sending = join_all((0..2).map(|index| {
		let producer = &producers[index as usize];
		async move {
			for number in 0..ITEMS {
				producer.send(item(index, number)).await.unwrap();
			}
		}
	}));
	let receiving = join_all(consumers.into_iter().map(|mut consumer| async move {
		let mut expected = [0, 0];
		for _ in 0..2 * ITEMS {
			let Item { producer, number } = next(&mut consumer).await;
			let expected = &mut expected[producer as usize];
			assert_eq!(number, *expected);
			*expected += 1;
		}
		assert_eq!(expected, [ITEMS, ITEMS]);
		assert_eq!(consumer.try_recv(), None);
	}));
	soon("delivery", futures::future::join(sending, receiving)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_gets_what_is_sent_from_its_subscription_on() {
	let [n0, n1, n2] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let mut early = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut early).await, item(0, 0));
	let mut late = n2.streams().consume::<Item>();
	subscribed(&producer, 2).await;
	producer.send(item(0, 1)).await.unwrap();
	assert_eq!(next(&mut late).await, item(0, 1));
	assert_eq!(next(&mut early).await, item(0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_gets_data_from_producers_that_appear_later() {
	let id = unique();
	let n0 = node(id).await;
	let mut consumer = n0.streams().consume::<Item>();
	for index in 1..4 {
		let other = node(id).await;
		let producer = other.streams().produce::<Item>();
		subscribed(&producer, 1).await;
		producer.send(item(index, 0)).await.unwrap();
		assert_eq!(next(&mut consumer).await, item(index, 0));
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_the_producer_does_not_know_introduces_itself_without_a_pause() {
	let id = unique();
	let [n0, n1] = [
		hermit(id).build().await.unwrap(),
		hermit(id).build().await.unwrap(),
	];
	let producer = n0.streams().produce::<Item>();
	let hour = std::time::Duration::from_secs(3600);
	let patient = ExponentialBackoffBuilder::new()
		.with_initial_interval(hour)
		.with_max_interval(hour)
		.build();
	let consumer = n1.streams().consumer::<Item>().with_backoff(patient);
	let _consumer = consumer.build();
	n1.discovery().feed(n0.discovery().me());
	subscribed(&producer, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_may_produce_and_consume_the_same_stream() {
	let [n0, n1] = nodes().await;
	let p0 = n0.streams().produce::<Item>();
	let p1 = n1.streams().produce::<Item>();
	let mut c0 = n0.streams().consume::<Item>();
	let mut c1 = n1.streams().consume::<Item>();
	let of = |node: &mosaik::Network| {
		let id = node.local().id();
		move |peer: &mosaik::discovery::PeerEntry| *peer.id() == id
	};
	soon("n1", p0.when().subscribed().with_predicate(of(&n1))).await;
	soon("n0", p1.when().subscribed().with_predicate(of(&n0))).await;
	p0.send(item(0, 0)).await.unwrap();
	p1.send(item(1, 0)).await.unwrap();
	let from = |items: Vec<Item>, producer| {
		assert!(items.contains(&item(producer, 0)), "{items:?}");
	};
	from(vec![next(&mut c0).await], 1);
	from(vec![next(&mut c1).await], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_of_a_producer_and_produce_share_one_stream() {
	let [n0, n1] = nodes().await;
	let first = n0.streams().produce::<Item>();
	let clone = first.clone();
	let again = n0.streams().produce::<Item>();
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&again, 1).await;
	assert_eq!(first.consumers().count(), 1);
	for (number, producer) in [&first, &clone, &again].into_iter().enumerate() {
		producer.send(item(0, number as u64)).await.unwrap();
	}
	for number in 0..3 {
		assert_eq!(next(&mut consumer).await, item(0, number));
	}
	drop((first, clone));
	again.send(item(0, 3)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_of_one_producer_may_send_at_the_same_time() {
	const ITEMS: u64 = 500;
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	let sending = join_all((0..4).map(|index| {
		let producer = producer.clone();
		async move {
			for number in 0..ITEMS {
				producer.send(item(index, number)).await.unwrap();
			}
		}
	}));
	let receiving = async {
		let mut expected = [0; 4];
		for _ in 0..4 * ITEMS {
			let Item { producer, number } = next(&mut consumer).await;
			assert_eq!(number, expected[producer as usize]);
			expected[producer as usize] += 1;
		}
	};
	soon("delivery", futures::future::join(sending, receiving)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn building_a_second_producer_gives_the_existing_one_as_the_error() {
	let [n0, n1] = nodes().await;
	let builder = || n0.streams().producer::<Item>().with_buffer_size(7);
	let first = builder().build().unwrap();
	let producer::BuilderError::AlreadyExists(second) =
		builder().with_buffer_size(9).build().unwrap_err();
	assert_eq!(second.config().buffer_size, 7);
	drop(first);
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&second, 1).await;
	second.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 0));
	drop(second);
	assert_eq!(
		builder()
			.with_buffer_size(9)
			.build()
			.unwrap()
			.config()
			.buffer_size,
		9
	);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_ids_separate_streams_of_one_type() {
	const A: StreamDef<Item> = StreamDef::with_stream_id(mosaik::unique_id!("a"));
	let [n0, n1] = nodes().await;
	let by_type = n0.streams().produce::<Item>();
	let a = n0.streams().producer_of(A).build().unwrap();
	let b = n0
		.streams()
		.producer::<Item>()
		.with_stream_id("b")
		.build()
		.unwrap();
	assert_eq!(a.stream_id(), &StreamId::from("a"));
	let mut of_type = n1.streams().consume::<Item>();
	let mut of_a = n1.streams().consumer_of(A).build();
	let mut of_b = n1.streams().consumer::<Item>().with_stream_id("b").build();
	for (index, producer) in [&by_type, &a, &b].into_iter().enumerate() {
		subscribed(producer, 1).await;
		producer.send(item(index as u32, 0)).await.unwrap();
	}
	for (index, consumer) in [&mut of_type, &mut of_a, &mut of_b].into_iter().enumerate() {
		assert_eq!(next(consumer).await, item(index as u32, 0));
		assert_eq!(consumer.try_recv(), None);
		assert_eq!(consumer.producers().count(), 1);
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn sink_and_stream_work_with_the_combinators_of_futures() {
	let [n0, n1] = nodes().await;
	let mut producer = n0.streams().produce::<Item>();
	let consumer = n1.streams().consume::<Item>();
	let items = stream::iter((0..3_000).map(|number| item(0, number)));
	// As a sink it waits for the subscription and for room by itself.
	let sending = items.map(Ok).forward(&mut producer);
	let receiving = consumer.take(3_000).collect::<Vec<_>>();
	let (sent, received) = soon("all", futures::future::join(sending, receiving)).await;
	sent.unwrap();
	assert!(
		received
			.into_iter()
			.eq((0..3_000).map(|number| item(0, number)))
	);
	SinkExt::flush(&mut producer).await.unwrap();
	SinkExt::close(&mut producer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn send_waits_until_the_producer_is_online() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	assert!(!producer.is_online());
	never("sent to nobody", producer.send(item(0, 9))).await;
	let sending = producer.send(item(0, 0));
	let mut consumer = n1.streams().consume::<Item>();
	soon("sent", sending).await.unwrap();
	// What was given up on was not sent.
	assert_eq!(next(&mut consumer).await, item(0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn try_send_gives_the_datum_back() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let offline = send_error(producer.try_send(item(0, 1)));
	assert_eq!(offline, producer::Error::Offline(item(0, 1)));
	let producer::Error::Offline(datum) = offline else {
		panic!("{offline:?}")
	};
	assert_eq!(datum, item(0, 1));
	let _consumer = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	producer.try_send(item(0, 1)).unwrap();
	n0.shutdown().await;
	let closed = send_error(producer.try_send(item(0, 2)));
	assert!(
		matches!(closed, producer::Error::Closed(Some(datum)) if datum == item(0, 2)),
		"{closed:?}"
	);
	let closed = send_error(soon("an error", producer.send(item(0, 3))).await);
	assert!(matches!(closed, producer::Error::Closed(_)), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datum_over_the_size_limit_comes_back_and_others_pass() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Blob>();
	let mut consumer = n1.streams().consume::<Blob>();
	subscribed(&producer, 1).await;
	let huge = Blob(vec![1; 16 * 1024 * 1024 + 1].into());
	for error in [
		send_error(producer.try_send(huge.clone())),
		send_error(producer.send(huge.clone()).await),
	] {
		assert!(matches!(&error, producer::Error::Encoding(datum, _) if *datum == huge));
	}
	let largest = Blob(vec![2; 16 * 1024 * 1024].into());
	producer.send(largest.clone()).await.unwrap();
	producer.send(Blob(Bytes::new())).await.unwrap();
	assert!(next(&mut consumer).await == largest);
	assert_eq!(next(&mut consumer).await, Blob(Bytes::new()));
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
	clippy::disallowed_methods,
	reason = "the API under test takes an unbounded sender"
)]
async fn what_no_consumer_took_goes_to_the_undelivered_sink() {
	let [n0, n1] = nodes().await;
	let (sink, mut undelivered) = tokio::sync::mpsc::unbounded_channel();
	let producer = n0
		.streams()
		.producer::<Item>()
		.online_when(|c| c.minimum_of(0))
		.with_undelivered_sink(sink)
		.build()
		.unwrap();
	producer.try_send(item(0, 0)).unwrap();
	producer.send(item(0, 1)).await.unwrap();
	assert_eq!(undelivered.recv().await, Some(item(0, 0)));
	assert_eq!(undelivered.recv().await, Some(item(0, 1)));
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	producer.send(item(0, 2)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 2));
	assert!(undelivered.try_recv().is_err());
	drop(consumer);
	unsubscribed(&producer).await;
	producer.send(item(0, 3)).await.unwrap();
	assert_eq!(undelivered.recv().await, Some(item(0, 3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_the_producer_was_dropped_still_arrives() {
	const ITEMS: u64 = 1_000;
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	for number in 0..ITEMS {
		producer.send(item(0, number)).await.unwrap();
	}
	drop(producer);
	for number in 0..ITEMS {
		assert_eq!(next(&mut consumer).await, item(0, number));
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_the_network_was_dropped_still_arrives() {
	const ITEMS: u64 = 1_000;
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	for number in 0..ITEMS {
		producer.send(item(0, number)).await.unwrap();
	}
	drop((producer, n0));
	for number in 0..ITEMS {
		assert_eq!(next(&mut consumer).await, item(0, number));
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_notices_that_its_consumer_is_gone() {
	let [n0, n1, n2] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let dropped = n1.streams().consume::<Item>();
	let _held = n2.streams().consume::<Item>();
	subscribed(&producer, 2).await;
	drop(dropped);
	soon("one", producer.when().subscribed().minimum_of(2).unmet()).await;
	assert!(producer.is_online());
	// The network goes, though a handle of its consumer is held.
	drop(n2);
	unsubscribed(&producer).await;
	soon("offline", producer.when().offline()).await;
	assert!(!producer.is_online());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_ends_with_its_network() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	assert!(consumer.is_online());
	drop(n1);
	assert_eq!(soon("the end", consumer.recv()).await, None);
	assert!(!consumer.is_online());
	soon("offline", consumer.when().offline()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_datum_finds_its_producer_connected() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	for round in 0..30 {
		let mut consumer = n1.streams().consume::<Item>();
		producer.send(item(0, round)).await.unwrap();
		assert_eq!(next(&mut consumer).await, item(0, round));
		assert!(consumer.when().subscribed().is_condition_met());
		assert!(
			consumer
				.producers()
				.all(|channel| ChannelInfo::is_connected(&channel))
		);
		drop(consumer);
		soon("unsubscribed", producer.when().unsubscribed()).await;
	}
}

/// On one thread: nothing runs that the producer does not make room for.
#[tokio::test]
async fn a_producer_that_never_waits_lets_others_run() {
	let [n0] = nodes().await;
	let producer = n0
		.streams()
		.producer::<u64>()
		.online_when(|consumers| consumers.minimum_of(0))
		.build()
		.unwrap();
	let mut numbers = 0..1_000_000;
	let mut sink = producer.clone();
	for as_sink in [false, true] {
		let mut turns = 0;
		let sends = async {
			loop {
				let number = numbers.next().expect("others run in between");
				if as_sink {
					SinkExt::send(&mut sink, number).await.unwrap();
				} else {
					producer.send(number).await.unwrap();
				}
			}
		};
		let others = async {
			while turns < 3 {
				turns += 1;
				tokio::task::yield_now().await;
			}
		};
		tokio::select! {
			biased;
			() = sends => {}
			() = others => {}
		}
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_comes_back_to_a_producer_that_was_dropped_and_made_again() {
	let [n0, n1] = nodes().await;
	let mut consumer = n1
		.streams()
		.consumer::<Item>()
		.with_backoff(super::eager())
		.build();
	for round in 0..3 {
		let producer = n0.streams().produce::<Item>();
		subscribed(&producer, 1).await;
		producer.send(item(0, round)).await.unwrap();
		assert_eq!(next(&mut consumer).await, item(0, round));
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn several_consumers_on_one_node_each_get_everything() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let mut consumers = [(); 3].map(|()| n1.streams().consume::<Item>());
	subscribed(&producer, 3).await;
	producer.send(item(0, 0)).await.unwrap();
	for consumer in &mut consumers {
		assert_eq!(next(consumer).await, item(0, 0));
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_does_not_fit_ends_that_subscription_and_no_other() {
	use mosaik::streams::State;
	let nodes: [_; 3] = nodes().await;
	let [n0, n1, n2] = &nodes;
	let producer = n0
		.streams()
		.producer::<u64>()
		.with_stream_id("x")
		.build()
		.unwrap();
	let mut wrong = n1
		.streams()
		.consumer::<String>()
		.with_stream_id("x")
		.build();
	let mut right = n2.streams().consumer::<u64>().with_stream_id("x").build();
	acquainted(&nodes).await;
	subscribed(&producer, 2).await;
	let channel = wrong.producers().next().unwrap();
	producer.send(5).await.unwrap();
	let mut state = channel.state_watcher().clone();
	soon(
		"verdict",
		state.wait_for(|state| *state == State::Terminated),
	)
	.await
	.unwrap();
	assert_eq!(wrong.try_recv(), None);
	assert_eq!(next(&mut right).await, 5);
	soon(
		"one left",
		producer.when().subscribed().minimum_of(2).unmet(),
	)
	.await;
	producer.send(6).await.unwrap();
	assert_eq!(next(&mut right).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_that_share_the_last_room_as_sinks_lose_nothing() {
	const EACH: u64 = 2_000;
	let id = unique();
	let (n0, n1) = tokio::join!(node(id), node(id));
	let producer = n0.streams().producer::<u64>();
	let producer = producer
		.with_buffer_size(1)
		.disconnect_lagging(false)
		.build()
		.unwrap();
	let mut consumer = n1.streams().consume::<u64>();
	soon("subscription", producer.when().subscribed()).await;
	let forward = |start: u64| {
		let mut handle = producer.clone();
		async move {
			let mut datums = stream::iter(start..start + EACH).map(Ok);
			handle.send_all(&mut datums).await.unwrap();
		}
	};
	let sending = join_all([forward(0), forward(EACH), forward(2 * EACH)]);
	let receiving = async {
		let mut seen = Vec::new();
		while seen.len() < 3 * EACH as usize {
			seen.push(soon("datum", consumer.next()).await.unwrap());
		}
		seen
	};
	let (_, mut seen) = tokio::join!(sending, receiving);
	seen.sort_unstable();
	assert!(seen.into_iter().eq(0..3 * EACH));
}
