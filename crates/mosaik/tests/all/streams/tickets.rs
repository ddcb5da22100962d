//! Tickets as a condition of subscribing.

use {
	super::{Item, item, next, subscribed, unsubscribed},
	crate::util::{Guard, PASS, never, nodes, pass, soon},
	chrono::Utc,
	mosaik::{
		Network,
		streams::{Consumer, Producer},
		tickets::{Expiration, TicketValidator},
	},
	std::{sync::Arc, time::Duration},
};

/// An expiry in a moment, with time enough to subscribe before it.
fn in_a_moment() -> Expiration {
	Expiration::after(chrono::Duration::milliseconds(1500))
}

fn has_passed(expiration: Expiration) -> bool {
	// Tickets here count in milliseconds.
	matches!(expiration, Expiration::At(at) if Utc::now() >= at - Duration::from_millis(1))
}

fn guarded_producer(node: &Network, guard: Guard) -> Producer<Item> {
	let producer = node.streams().producer().require_ticket(guard);
	producer.build().unwrap()
}

fn guarded_consumer(node: &Network, guard: Guard) -> Consumer<Item> {
	node.streams().consumer().require_ticket(guard).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_takes_consumers_with_a_valid_ticket() {
	let [n0, n1, n2] = nodes().await;
	let producer = guarded_producer(&n0, Guard("in"));
	let mut consumer = n1.streams().consume::<Item>();
	n2.discovery().add_ticket(pass("other", Expiration::Never));
	let _other = n2.streams().consume::<Item>();
	never("in without a ticket", producer.when().subscribed()).await;
	n1.discovery().add_ticket(pass("in", Expiration::Never));
	subscribed(&producer, 1).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 0));
	n1.discovery().remove_tickets_of(PASS);
	unsubscribed(&producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_subscribes_to_producers_with_a_valid_ticket() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let ticket = pass("in", Expiration::in_1h());
	let mut consumer = guarded_consumer(&n1, Guard("in"));
	never("subscribed without a ticket", producer.when().subscribed()).await;
	assert_eq!(consumer.producers().count(), 0);
	n0.discovery().add_ticket(ticket.clone());
	subscribed(&producer, 1).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 0));
	n0.discovery().remove_ticket(ticket.id());
	unsubscribed(&producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_validator_must_be_satisfied() {
	let [n0, n1] = nodes().await;
	let boxed: Box<dyn TicketValidator> = Box::new(Guard("a"));
	let shared: Arc<dyn TicketValidator> = Arc::new(Guard("b"));
	let producer = n0
		.streams()
		.producer::<Item>()
		.require_ticket(boxed)
		.require_ticket(shared)
		.build()
		.unwrap();
	let _consumer = n1.streams().consume::<Item>();
	n1.discovery().add_ticket(pass("a", Expiration::Never));
	never("in with one of two", producer.when().subscribed()).await;
	n1.discovery().add_ticket(pass("b", Expiration::Never));
	subscribed(&producer, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_producer_disconnects_at_the_moment_a_ticket_expires() {
	let [n0, n1] = nodes().await;
	let producer = n0
		.streams()
		.producer::<Item>()
		.require_ticket(Guard("a"))
		.require_ticket(Guard("b"))
		.build()
		.unwrap();
	let _consumer = n1.streams().consume::<Item>();
	let until = in_a_moment();
	// The earliest over the validators counts, and for each the longest ticket.
	n1.discovery().add_ticket(pass("a", Expiration::in_1h()));
	n1.discovery().add_ticket(pass("b", until));
	n1.discovery().add_ticket(pass(
		"b",
		Expiration::after(chrono::Duration::milliseconds(700)),
	));
	subscribed(&producer, 1).await;
	unsubscribed(&producer).await;
	assert!(has_passed(until));
	let Expiration::At(at) = until else {
		unreachable!()
	};
	assert!(
		Utc::now() - at < chrono::Duration::seconds(1),
		"much too late"
	);
	n1.discovery().add_ticket(pass("b", Expiration::in_1h()));
	subscribed(&producer, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_disconnects_at_the_moment_a_ticket_expires() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let until = in_a_moment();
	n0.discovery().add_ticket(pass("in", until));
	let consumer = guarded_consumer(&n1, Guard("in"));
	subscribed(&producer, 1).await;
	unsubscribed(&producer).await;
	assert!(has_passed(until));
	assert!(consumer.producers().all(|channel| !channel.is_connected()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_ticket_in_time_keeps_the_connection() {
	let [n0, n1] = nodes().await;
	let producer = guarded_producer(&n0, Guard("in"));
	let mut consumer = guarded_consumer(&n1, Guard("in"));
	let until = in_a_moment();
	for node in [&n0, &n1] {
		node.discovery().add_ticket(pass("in", until));
	}
	subscribed(&producer, 1).await;
	let channel = producer.consumers().next().unwrap();
	for node in [&n0, &n1] {
		node.discovery()
			.replace_ticket(pass("in", Expiration::in_1h()));
		let me = node.discovery().me();
		assert_eq!(me.tickets_of(PASS).count(), 1);
	}
	let rest = until.remaining().unwrap();
	let disconnected =
		tokio::time::timeout(rest + Duration::from_millis(300), channel.disconnected());
	assert!(disconnected.await.is_err(), "disconnected");
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_8_kib_arrive() {
	let [n0, n1] = nodes().await;
	let name: &'static str = Box::leak("x".repeat(8 * 1024).into_boxed_str());
	let producer = guarded_producer(&n0, Guard(name));
	n1.discovery().add_ticket(pass(name, Expiration::Never));
	let mut consumer = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(soon("it", consumer.next()).await, Some(item(0, 0)));
}
