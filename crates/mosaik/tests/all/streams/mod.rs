//! Typed publish and subscribe.

mod conditions;
mod delivery;
mod info;
mod lagging;
mod macros;
mod require;
mod tickets;

use {
	crate::util::soon,
	mosaik::{
		Bytes, Datum, Network,
		streams::{ChannelInfo, Consumer, Producer, backoff::ExponentialBackoff, producer},
	},
	serde::{Deserialize, Serialize},
	std::{convert::Infallible, time::Duration},
};

/// A small datum: the number of its producer and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(unreachable_pub, reason = "public streams are declared of it")]
pub struct Item {
	producer: u32,
	number: u64,
}

const fn item(producer: u32, number: u64) -> Item {
	Item { producer, number }
}

/// A large datum that costs nothing to encode.
#[derive(Debug, Clone, PartialEq)]
struct Blob(Bytes);

impl Datum for Blob {
	type DecodeError = Infallible;
	type EncodeError = Infallible;

	fn encode(&self) -> Result<Bytes, Infallible> {
		Ok(self.0.clone())
	}

	fn decode(bytes: &[u8]) -> Result<Self, Infallible> {
		Ok(Self(Bytes::copy_from_slice(bytes)))
	}
}

impl Blob {
	const SIZE: usize = 128 * 1024;

	fn numbered(number: u32) -> Self {
		let mut bytes = vec![0; Self::SIZE];
		bytes[..4].copy_from_slice(&number.to_le_bytes());
		Self(bytes.into())
	}

	fn number(&self) -> u32 {
		u32::from_le_bytes(self.0[..4].try_into().unwrap())
	}
}

/// The next datum, which must come soon.
async fn next<D: Datum>(consumer: &mut Consumer<D>) -> D {
	soon("datum", consumer.next())
		.await
		.expect("the network is up")
}

/// Waits until the producer has that many consumers.
async fn subscribed<D: Datum>(producer: &Producer<D>, consumers: usize) {
	let condition = producer.when().subscribed().minimum_of(consumers);
	soon("subscription", condition).await;
}

/// The subscription of a node to the producer.
fn channel_to<D: Datum>(producer: &Producer<D>, consumer: &Network) -> ChannelInfo {
	let id = consumer.local().id();
	let mut consumers = producer.consumers();
	consumers
		.find(|channel| *channel.consumer_id() == id)
		.expect("it is subscribed")
}

/// Waits until the producer has none.
async fn unsubscribed<D: Datum>(producer: &Producer<D>) {
	soon("end of subscription", producer.when().unsubscribed()).await;
}

fn send_error<D>(result: Result<(), producer::Error<D>>) -> producer::Error<D> {
	result.expect_err("it must fail")
}

/// Tries again soon.
fn eager() -> ExponentialBackoff {
	mosaik::streams::backoff::ExponentialBackoffBuilder::new()
		.with_initial_interval(Duration::from_millis(20))
		.with_max_interval(Duration::from_millis(100))
		.build()
}
