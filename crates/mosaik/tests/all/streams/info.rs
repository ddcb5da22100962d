//! What a subscription tells about itself.

use {
	super::{Item, item, next, subscribed},
	crate::util::{eventually, nodes, soon},
	mosaik::{
		Criteria,
		streams::{State, StreamId},
	},
	std::time::Duration,
};

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_tell_who_is_connected_and_how_much_went_through() {
	let [n0, n1] = nodes().await;
	let producer = n0
		.streams()
		.producer::<Item>()
		.with_stream_id("info")
		.build()
		.unwrap();
	let mut consumer = n1
		.streams()
		.consumer::<Item>()
		.with_stream_id("info")
		.build();
	subscribed(&producer, 1).await;
	soon("the other side", consumer.when().subscribed()).await;
	for number in 0..10 {
		producer.send(item(0, number)).await.unwrap();
		next(&mut consumer).await;
	}
	let sender = producer.consumers().next().unwrap();
	let receiver = consumer.producers().next().unwrap();
	assert_eq!(sender.peer().id(), &n1.local().id());
	assert_eq!(receiver.peer().id(), &n0.local().id());
	for channel in [&sender, &receiver] {
		assert_eq!(channel.stream_id(), &StreamId::from("info"));
		assert_eq!(channel.producer_id(), &n0.local().id());
		assert_eq!(channel.consumer_id(), &n1.local().id());
		assert_eq!(channel.state(), State::Connected);
		assert!(channel.is_connected());
		assert!(channel.criteria().matches(&item(0, 0)));
		// What is written is counted after it was written.
		eventually("all counted", || channel.stats().datums() == 10).await;
		assert_eq!(channel.stats().bytes(), 20, "two bytes each in postcard");
		assert!(channel.stats().uptime().unwrap() < Duration::from_secs(60));
	}
	assert_eq!(consumer.stats().datums(), 10);
	assert_eq!(consumer.stats().bytes(), 20);
	let shown = receiver.stats().to_string();
	assert!(shown.contains("10") && shown.contains("20"), "{shown}");

	drop(consumer);
	soon("disconnected", sender.disconnected()).await;
	soon("disconnected", receiver.disconnected()).await;
	assert!(!sender.is_connected() && !receiver.is_connected());
	assert_eq!(sender.state(), State::Terminated);
	assert_eq!(*sender.state_watcher().borrow(), State::Terminated);
	soon("none left", producer.when().unsubscribed()).await;
	assert_eq!(producer.consumers().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_tell_what_was_built() {
	let [n0] = nodes().await;
	let producer = n0
		.streams()
		.producer::<Item>()
		.with_stream_id("config")
		.with_buffer_size(5)
		.with_max_consumers(6)
		.disconnect_lagging(false)
		.build()
		.unwrap();
	let config = producer.config();
	assert_eq!(config.stream_id, StreamId::from("config"));
	assert_eq!(config.network_id, *n0.network_id());
	assert_eq!(config.buffer_size, 5);
	assert_eq!(config.max_consumers, 6);
	assert!(!config.disconnect_lagging);
	let consumer = n0
		.streams()
		.consumer::<Item>()
		.with_stream_id("config")
		.with_criteria(Criteria::default())
		.build();
	assert_eq!(consumer.config().stream_id, StreamId::from("config"));
	assert!(consumer.config().criteria.matches(&item(0, 0)));
	let by_default = n0.streams().produce::<Item>();
	assert_eq!(by_default.config().buffer_size, 1024);
	assert!(by_default.config().disconnect_lagging);
}
