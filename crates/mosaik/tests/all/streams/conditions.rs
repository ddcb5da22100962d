//! `when()` and `online_when()`.

use {
	super::{Item, item, next, send_error, subscribed},
	crate::util::{never, nodes, soon},
	futures::FutureExt,
	mosaik::streams::producer,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_is_online_while_it_has_a_consumer_and_a_consumer_at_once() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	assert!(!producer.is_online());
	assert!(producer.when().offline().now_or_never().is_some());
	let consumer = n1.streams().consume::<Item>();
	assert!(consumer.is_online());
	assert!(consumer.when().online().now_or_never().is_some());
	soon("online", producer.when().online()).await;
	assert!(producer.is_online() && producer.when().is_online());
	drop(consumer);
	soon("offline", producer.when().offline()).await;
	assert!(!producer.is_online());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_is_online_when_its_conditions_say() {
	let [n0, n1, n2] = nodes().await;
	let producer = n0
		.streams()
		.producer::<Item>()
		.online_when(|c| c.minimum_of(2).with_tags("gold"))
		.build()
		.unwrap();
	n1.discovery().add_tags("gold");
	let _first = n1.streams().consume::<Item>();
	subscribed(&producer, 1).await;
	let _second = n2.streams().consume::<Item>();
	subscribed(&producer, 2).await;
	assert!(!producer.is_online());
	let error = send_error(producer.try_send(item(0, 0)));
	assert!(matches!(error, producer::Error::Offline(_)));
	n2.discovery().add_tags("gold");
	soon("online", producer.when().online()).await;
	producer.try_send(item(0, 0)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_is_online_when_its_conditions_say() {
	let [n0, n1, n2] = nodes().await;
	let consumer = n0
		.streams()
		.consumer::<Item>()
		.online_when(|c| c.minimum_of(2))
		.build();
	let _p1 = n1.streams().produce::<Item>();
	soon("one", consumer.when().subscribed()).await;
	assert!(!consumer.is_online());
	let p2 = n2.streams().produce::<Item>();
	soon("online", consumer.when().online()).await;
	assert!(consumer.is_online());
	drop(p2);
	soon("offline", consumer.when().offline()).await;
	assert!(!consumer.is_online());
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_count_tags_predicates_and_minima() {
	let [n0, n1, n2] = nodes().await;
	n1.discovery().add_tags(["a", "b"]);
	n2.discovery().add_tags("a");
	let producer = n0.streams().produce::<Item>();
	let any = producer.when().subscribed();
	let two = any.clone().minimum_of(2);
	let tagged_a = any.clone().with_tags("a");
	let tagged_both = two.clone().with_tags(["a", "b"]);
	let id = n2.local().id();
	let second = any.clone().with_predicate(move |peer| *peer.id() == id);
	assert!(any == false);
	assert!(false == any);
	assert!(!any.is_condition_met());
	assert!(any.clone().unmet() == true && producer.when().unsubscribed() == true);
	let _first = n1.streams().consume::<Item>();
	soon("any", any.clone()).await;
	soon("tagged", tagged_a.clone()).await;
	assert!(any == true);
	assert!(true == any);
	assert!(tagged_a == true);
	assert!(two == false && second == false);
	never("two", two.clone()).await;
	let _second = n2.streams().consume::<Item>();
	soon("two", two.clone()).await;
	soon("second", second.clone()).await;
	assert!(two == true && second == true);
	assert!(tagged_both == false && tagged_both.clone().unmet() == true);
	assert!(producer.when().unsubscribed() == false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_resolves_again_at_each_change_to_met() {
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Item>();
	let mut subscribed = producer.when().subscribed();
	let mut unsubscribed = producer.when().unsubscribed();
	soon("met from the start", &mut unsubscribed).await;
	for _ in 0..3 {
		assert!((&mut subscribed).now_or_never().is_none());
		let consumer = n1.streams().consume::<Item>();
		soon("subscribed", &mut subscribed).await;
		assert!((&mut subscribed).now_or_never().is_none(), "no change");
		assert!((&mut unsubscribed).now_or_never().is_none());
		drop(consumer);
		soon("unsubscribed", &mut unsubscribed).await;
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_the_subscription() {
	let [n0, n1] = nodes().await;
	let mut consumer = n1.streams().consume::<Item>();
	assert!(consumer.when().unsubscribed() == true);
	let producer = n0.streams().produce::<Item>();
	soon("the consumer's", consumer.when().subscribed()).await;
	soon("the producer's", producer.when().subscribed()).await;
	producer.send(item(0, 0)).await.unwrap();
	assert_eq!(next(&mut consumer).await, item(0, 0));
	drop(producer);
	soon("the end", consumer.when().unsubscribed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_does_not_borrow_the_handle() {
	let [n0, n1] = nodes().await;
	let (online, subscribed, when) = {
		let producer = n0.streams().produce::<Item>();
		let when = producer.when().clone();
		(producer.when().online(), when.subscribed(), when)
	};
	drop((online, subscribed));
	let _consumer = n1.streams().consume::<Item>();
	assert!(!when.is_online());
}
