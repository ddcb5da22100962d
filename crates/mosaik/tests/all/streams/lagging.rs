//! Consumers that do not keep up.

use {
	super::{Blob, channel_to, subscribed},
	crate::util::{nodes, soon, within},
	mosaik::{
		Network,
		streams::{Consumer, Producer, State, producer},
	},
	std::{
		sync::atomic::{AtomicU32, Ordering},
		time::Duration,
	},
	tokio::time::MissedTickBehavior,
};

/// So many blobs are far more than any consumer holds.
const BLOBS: u32 = 600;

/// A producer that holds few blobs.
fn small(node: &Network, blobs: usize) -> producer::Builder<'_, Blob> {
	node.streams().producer().with_buffer_size(blobs)
}

/// Sends all blobs and counts them.
async fn send_all(producer: &Producer<Blob>, sent: &AtomicU32) {
	for number in 0..BLOBS {
		producer.send(Blob::numbered(number)).await.unwrap();
		sent.store(number + 1, Ordering::Relaxed);
	}
}

async fn read_all(consumer: &mut Consumer<Blob>, from: u32) {
	for number in from..BLOBS {
		assert_eq!(super::next(consumer).await.number(), number);
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_falls_behind_is_cut_and_delays_no_other() {
	let [n0, n1, n2] = nodes().await;
	let producer = small(&n0, 16).build().unwrap();
	let stalled = n1.streams().consume::<Blob>();
	let mut reading = n2.streams().consume::<Blob>();
	subscribed(&producer, 2).await;
	let channel = channel_to(&producer, &n1);
	for number in 0..BLOBS {
		producer.send(Blob::numbered(number)).await.unwrap();
		// In step: this one never falls behind.
		assert_eq!(super::next(&mut reading).await.number(), number);
	}
	soon("cut", channel.disconnected()).await;
	assert_eq!(channel.state(), State::Terminated);
	assert!(channel.stats().datums() < BLOBS as usize);
	drop(stalled);
}

/// On one thread: the producer alone decides from the cut on.
#[tokio::test]
async fn who_has_cut_its_only_consumer_takes_nothing_more() {
	let [n0, n1] = nodes().await;
	let producer = small(&n0, 4).build().unwrap();
	let stalled = n1.streams().consume::<Blob>();
	subscribed(&producer, 1).await;
	let mut was_full = false;
	loop {
		match producer.try_send(Blob::numbered(0)) {
			Ok(()) => assert!(!was_full, "taken by nobody"),
			Err(producer::Error::Full(_)) => was_full = true,
			Err(error) => {
				assert!(matches!(error, producer::Error::Offline(_)), "{error}");
				break;
			}
		}
	}
	assert_eq!(producer.consumers().count(), 0);
	drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_producer_waits_for_a_consumer_that_may_not_be_cut() {
	let [n0, n1, n2] = nodes().await;
	let producer = small(&n0, 16).disconnect_lagging(false).build().unwrap();
	let mut stalled = n1.streams().consume::<Blob>();
	let mut reading = n2.streams().consume::<Blob>();
	subscribed(&producer, 2).await;
	let sent = AtomicU32::new(0);
	let sending = send_all(&producer, &sent);
	let receiving = async {
		soon("standstill", standstill(&sent)).await;
		// Both the stalled consumer's memory and the producer's are bounded.
		assert!(sent.load(Ordering::Relaxed) < BLOBS);
		assert!(matches!(
			producer.try_send(Blob::numbered(u32::MAX)),
			Err(producer::Error::Full(blob)) if blob.number() == u32::MAX
		));
		read_all(&mut stalled, 0).await;
	};
	let all = futures::future::join3(sending, receiving, read_all(&mut reading, 0));
	soon("delivery", all).await;
	assert_eq!(producer.consumers().count(), 2);
}

/// Resolves when the counter has stood still for a while.
async fn standstill(counter: &AtomicU32) {
	let mut interval = tokio::time::interval(Duration::from_millis(300));
	interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
	let mut last = None;
	loop {
		interval.tick().await;
		let current = counter.load(Ordering::Relaxed);
		if current > 0 && last == Some(current) {
			return;
		}
		last = Some(current);
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_consumer_holds_back_the_producer_and_memory_stays_bounded() {
	let [n0, n1] = nodes().await;
	let producer = small(&n0, 16).build().unwrap();
	let consumer = n1.streams().consume::<Blob>();
	subscribed(&producer, 1).await;
	let channel = producer.consumers().next().unwrap();
	let sent = AtomicU32::new(0);
	let sending = send_all(&producer, &sent);
	// Either the producer stands still, or it cuts the consumer: both bound memory.
	tokio::select! {
		() = sending => panic!("all were sent though nobody read them"),
		() = soon("standstill", standstill(&sent)) => {}
		() = soon("cut", channel.disconnected()) => {}
	}
	assert!(consumer.stats().datums() < BLOBS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_cut_comes_back_when_it_reads_again() {
	let [n0, n1, n2] = nodes().await;
	let producer = small(&n0, 8).build().unwrap();
	let mut stalled = n1
		.streams()
		.consumer::<Blob>()
		.with_backoff(super::eager())
		.build();
	let mut reading = n2.streams().consume::<Blob>();
	subscribed(&producer, 2).await;
	let channel = channel_to(&producer, &n1);
	let mut number = 0;
	while channel.is_connected() {
		assert!(number < BLOBS, "not cut");
		producer.send(Blob::numbered(number)).await.unwrap();
		assert_eq!(super::next(&mut reading).await.number(), number);
		number += 1;
	}
	let (last, mut expected) = (u32::MAX, 0);
	let again = async {
		// What arrived before the cut is a prefix, without a gap.
		loop {
			let number = super::next(&mut stalled).await.number();
			if number == last {
				return;
			}
			assert_eq!(number, expected);
			expected += 1;
		}
	};
	let sending = async {
		subscribed(&producer, 2).await;
		producer.send(Blob::numbered(last)).await.unwrap();
	};
	soon("back", futures::future::join(again, sending)).await;
	assert!(expected < number);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_does_not_read_holds_up_no_shutdown_for_long() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Blob>();
	let consumer = n1.streams().consume::<Blob>();
	subscribed(&producer, 1).await;
	for number in 0..BLOBS / 2 {
		if producer.try_send(Blob::numbered(number)).is_err() {
			break;
		}
	}
	// What was sent has a second to arrive, and is far more than the consumer takes.
	within(Duration::from_secs(2), "shutdown", n0.shutdown()).await;
	assert!(consumer.stats().datums() < BLOBS as usize / 2);
}

/// QUIC gives up a connection on which too many packets of a stream wait to be read,
/// and each write is a packet at least.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_pauses_keeps_its_connection_whatever_the_writes_are() {
	for (size, count) in [(10, 6_000), (1_100, 3_000), (2_200, 3_000), (60_000, 600)] {
		let [n0, n1] = nodes().await;
		// One datum at a time: each is a write.
		let builder = n0.streams().producer::<Vec<u8>>().with_buffer_size(1);
		let producer = builder.disconnect_lagging(false).build().unwrap();
		let mut consumer = n1.streams().consume::<Vec<u8>>();
		producer.when().subscribed().minimum_of(1).await;
		let channel = producer.consumers().next().unwrap();
		let sent = AtomicU32::new(0);
		let sending = async {
			for number in 0..count {
				producer.send(vec![number as u8; size]).await.unwrap();
				sent.store(number + 1, Ordering::Relaxed);
			}
		};
		let reading = async {
			soon("standstill", standstill(&sent)).await;
			assert!(sent.load(Ordering::Relaxed) < count, "it never paused");
			for number in 0..count {
				let datum = soon("datum", consumer.next()).await.unwrap();
				assert_eq!((datum.len(), datum[0]), (size, number as u8));
			}
		};
		futures::future::join(sending, reading).await;
		assert_eq!(channel.state(), State::Connected);
	}
}
