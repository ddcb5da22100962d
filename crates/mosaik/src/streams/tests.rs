//! Peers and users that do not do as they should.

use {
	super::{ChannelConditions, Producer, producer::Error},
	crate::{
		discovery,
		network::{
			Network, Protocol,
			frame::{ReadError, write_frames},
			link::Lane,
		},
	},
	bytes::{Bytes, BytesMut},
	iroh::RelayMode,
	mosaik_proto::{
		id::NetworkId,
		streams::{Ack, Answer, Criteria, Subscribe},
		wire::{self, CloseCode, Datum},
	},
	std::{
		convert::Infallible,
		future::Future,
		sync::{Arc, OnceLock},
		time::Duration,
	},
};

/// Longer than anything here may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
	let result = tokio::time::timeout(PATIENCE, future).await;
	result.expect("it happens in time")
}

/// A node of which nothing leaves the host.
pub(super) async fn start(id: NetworkId) -> Network {
	let discovery = discovery::Config::builder().no_dht_bootstrap();
	let builder = Network::builder(id).with_relay_mode(RelayMode::Disabled);
	builder.with_discovery(discovery).build().await.unwrap()
}

/// Two nodes that know each other.
async fn pair() -> [Network; 2] {
	let id = NetworkId::random();
	let [a, b] = [start(id).await, start(id).await];
	for (node, other) in [(&a, &b), (&b, &a)] {
		let other = other.local().id();
		let mut catalog = node.discovery().catalog_watch();
		let known = catalog.wait_for(|catalog| catalog.get_signed(&other).is_some());
		soon(known).await.unwrap();
	}
	[a, b]
}

async fn say<T: Datum>(lane: &mut Lane, message: &T) {
	let mut buffer = BytesMut::new();
	wire::append_frame(message, &mut buffer, wire::MAX_HANDSHAKE).unwrap();
	let mut chunks = [buffer.freeze()];
	write_frames(&mut lane.send, &mut chunks).await.unwrap();
}

/// A consumer made by hand, which has been let in.
async fn subscribe<D: Datum>(node: &Network, producer: &Producer<D>, to: &Network) -> Lane {
	let peers = &node.streams().0.peers;
	let open = peers.open(to.local().id(), Protocol::Streams);
	let mut lane = soon(open).await.unwrap();
	let subscribe = Subscribe {
		stream: *producer.stream_id(),
		criteria: Criteria::default(),
		version: node.discovery().me().update_version(),
	};
	say(&mut lane, &subscribe).await;
	let answer = soon(lane.recv.next(wire::MAX_HANDSHAKE)).await.unwrap();
	let answer = wire::deserialize::<Answer>(&answer.unwrap()).unwrap();
	assert_eq!(answer, Answer::Accepted);
	lane
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_read_more_than_was_sent_is_told_that_it_broke_the_rules() {
	let [a, b] = pair().await;
	let producer = a.streams().produce::<u64>();
	// Nothing is sent to the first, and a datum to the second.
	for sent in 0..2 {
		let mut lane = subscribe(&b, &producer, &a).await;
		for datum in 0..sent {
			producer.send(datum).await.unwrap();
			soon(lane.recv.next(wire::MAX_DATUM)).await.unwrap();
		}
		say(&mut lane, &Ack { read: 100 }).await;
		match soon(lane.recv.next(wire::MAX_DATUM)).await {
			Err(ReadError::Reset(code)) => assert_eq!(code, CloseCode::ProtocolViolation),
			other => panic!("{other:?}"),
		}
		soon(producer.when().unsubscribed()).await;
	}
}

/// A number that some cannot bear.
struct Unlucky(u8);

impl Datum for Unlucky {
	type DecodeError = Infallible;
	type EncodeError = Infallible;

	fn encode(&self) -> Result<Bytes, Infallible> {
		Ok(vec![self.0].into())
	}

	fn decode(bytes: &[u8]) -> Result<Self, Infallible> {
		assert_ne!(bytes, [13], "user code");
		Ok(Self(bytes[0]))
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_that_panics_costs_the_subscription_and_it_is_made_anew() {
	let [a, b] = pair().await;
	let producer = a.streams().produce::<Unlucky>();
	let mut consumer = b.streams().consume::<Unlucky>();
	soon(producer.when().subscribed()).await;
	producer.send(Unlucky(13)).await.unwrap();
	soon(producer.when().unsubscribed()).await;
	soon(producer.when().subscribed()).await;
	producer.send(Unlucky(7)).await.unwrap();
	assert_eq!(soon(consumer.recv()).await.unwrap().0, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_panic_leave_no_ghosts() {
	let [a, b] = pair().await;
	let panics = |conditions: ChannelConditions| conditions.with_predicate(|_| panic!("user code"));
	let producer = a.streams().producer::<u64>().online_when(panics);
	let producer = producer.build().unwrap();
	let consumer = b.streams().consumer::<u64>().online_when(panics).build();
	soon(producer.when().subscribed()).await;
	soon(consumer.when().subscribed()).await;
	assert!(!producer.is_online() && !consumer.is_online());
	drop(consumer);
	soon(producer.when().unsubscribed()).await;
	// Neither side has lost more than that.
	let _consumer = b.streams().consume::<u64>();
	soon(producer.when().subscribed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_may_use_the_producer_that_they_are_of() {
	let [a, b] = pair().await;
	let own: Arc<OnceLock<Producer<u64>>> = Arc::default();
	let inside = own.clone();
	let producer = a
		.streams()
		.producer::<u64>()
		.online_when(move |conditions| {
			let own = inside.clone();
			conditions.with_predicate(move |_| {
				let sent = own.get().map(|producer| producer.try_send(1));
				matches!(sent, Some(Err(Error::Offline(1)) | Ok(())))
			})
		});
	let producer = producer.build().unwrap();
	assert!(own.set(producer.clone()).is_ok());
	let _consumer = b.streams().consume::<u64>();
	soon(producer.when().online()).await;
}
