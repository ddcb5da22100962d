//! The public API has every item that `api-surface.txt` lists for this
//! milestone, with its signature: what is missing does not compile.

use {
	chrono::{DateTime, Utc},
	mosaik::{discovery, network, primitives::*, streams, tickets::*, *},
	serde::{Serialize, de::DeserializeOwned},
	std::{
		collections::{BTreeMap, BTreeSet},
		convert::Infallible,
		error::Error as StdError,
		fmt::{Debug, Display},
		hash::Hash,
		net::SocketAddr,
		ops::{Deref, DerefMut},
		str::FromStr,
		time::Duration,
	},
	tokio::sync::{broadcast, mpsc::UnboundedSender, watch},
};

/// `implements!(Type: Traits)` fails to compile where a trait is missing.
macro_rules! implements {
	($($type:ty: $($bound:path),+;)*) => {
		$({
			fn check<T: ?Sized $(+ $bound)+>() {}
			check::<$type>();
		})*
	};
}

/// What may cross threads and outlive its origin.
fn lives_on<T>(future: impl Future<Output = T> + Send + Sync + 'static) {
	drop(future);
}

/// States the type of a value.
fn is<T>(_: T) {}

type D = u64;

#[test]
fn the_traits_are_implemented() {
	implements! {
		Digest: Copy, Eq, Ord, Hash, Debug, Display, AsRef<[u8]>, Deref, FromStr, Serialize, DeserializeOwned;
		Digest: PartialEq<&'static Digest>, From<&'static [u8]>, From<&'static str>, From<blake3::Hash>, From<&'static blake3::Hash>;
		&'static Digest: PartialEq<Digest>;
		[u8; 32]: From<Digest>, From<&'static Digest>;
		SecretKey: From<Digest>;
		Encoded<D>: Clone, Eq, Debug, Hash, From<D>, Deref<Target = D>, DerefMut, Serialize, DeserializeOwned;
		Redacted<D>: Debug, Display;
		Short<Digest>: Debug, Display;
		D: Datum, RedactedFmtExt;
		Digest: ShortFmtExt;

		network::Error: StdError, Send, Sync;
		network::NetworkError: From<iroh::endpoint::BindError>, From<iroh::endpoint::InvalidSocketAddr>;
		Network: Clone, Debug, Send, Sync;
		network::LocalNode: Clone, Debug, Display;
		network::NetworkBuilder: Default;
		network::NetworkConfig: Clone, Debug;

		discovery::Error: StdError, From<Box<dyn StdError + Send + Sync>>;
		discovery::ConfigBuilderError: StdError, From<String>;
		discovery::Event: Clone, Eq, Debug;
		discovery::Catalog: Clone, Debug, Send, Sync;
		discovery::Config: Clone, PartialEq, Debug, Serialize, DeserializeOwned;
		discovery::Discovery: Clone, Debug;
		discovery::PeerEntry: Clone, Eq, Hash, Debug, Serialize, DeserializeOwned;
		discovery::PeerEntry: From<discovery::SignedPeerEntry>, From<&'static discovery::SignedPeerEntry>, From<discovery::PeerInfo>;
		discovery::PeerInfo: AsRef<discovery::PeerEntry>, Clone, Debug, Deref<Target = discovery::PeerEntry>;
		discovery::SignedPeerEntry: AsRef<discovery::PeerEntry>, AsRef<Signature>, Clone, Eq, Debug, Deref<Target = discovery::PeerEntry>, Serialize, DeserializeOwned;
		(discovery::PeerEntry, Signature): From<discovery::SignedPeerEntry>;
		PeerId: From<&'static discovery::PeerEntry>, From<&'static discovery::SignedPeerEntry>;
		discovery::PeerEntryVersion: Copy, Eq, Ord, Default, Debug, Display, Hash, Serialize, DeserializeOwned;

		streams::producer::Error<D>: StdError, PartialEq;
		streams::producer::BuilderError<D>: StdError;
		streams::Producer<D>: Clone, Debug, Send, Sync, Unpin, futures::Sink<D, Error = streams::producer::Error<D>>;
		streams::Consumer<D>: Debug, Send, Sync, Unpin, futures::Stream<Item = D>;
		streams::Producer<std::cell::Cell<u8>>: Send, Sync;
		streams::Consumer<std::cell::Cell<u8>>: Send, Sync;
		streams::State: Copy, Eq, Debug;
		streams::Stats: Default, Debug, Display;
		streams::ChannelConditions: Clone, Debug, PartialEq<bool>, Future<Output = ()>, Send, Sync, Unpin;
		bool: PartialEq<streams::ChannelConditions>;
		streams::ChannelInfo: Clone, Debug;
		streams::When: Clone, Debug;
		Criteria: Clone, Default, Debug, Serialize, DeserializeOwned;
		streams::StreamDef<D>: Copy, Eq, Debug, Hash, Default;

		Ticket: Clone, Eq, Ord, Debug, Display, Hash, Serialize, DeserializeOwned;
		Expiration: Copy, Eq, Ord, Debug, Serialize, DeserializeOwned;
		InvalidTicket: Copy, StdError;
		Box<dyn TicketValidator>: TicketValidator;
		std::sync::Arc<dyn TicketValidator>: TicketValidator;
	}
}

#[test]
fn primitives_have_their_items() {
	const ZERO: Digest = Digest::zero();
	const MADE: Digest = Digest::from_bytes([1; 32]);
	const BYTES: &[u8; 32] = MADE.as_bytes();
	const LEN: usize = ZERO.len();
	assert_eq!((BYTES, LEN), (&[1; 32], 32));
	let _: fn(&blake3::Hasher) -> Digest = Digest::from_hasher;
	let _: fn(&[u8]) -> Digest = Digest::hash;
	let _: fn(&Digest) -> Digest = Digest::hashed;
	let _: fn() -> Digest = Digest::random;
	let _: Digest = Digest::from_parts(&["a", "b"]).derive("c").derive(vec![1]);
	let parsed: Result<Digest, Infallible> = "a".parse();
	let ids: [UniqueId; 5] = [
		parsed.unwrap(),
		Tag::zero(),
		NetworkId::zero(),
		StreamId::zero(),
		TicketClass::zero(),
	];
	let _: [Digest; 3] = [GroupId::zero(), StoreId::zero(), FunctionId::zero()];
	let _: (Short<&Digest>, Redacted<&Digest>) = (ids[0].short(), ids[0].redacted());
	let bytes: Result<Bytes, EncodeError> = try_serialize(&1_u8);
	let _: Result<u8, DecodeError> = deserialize(bytes.unwrap());
	let _: Result<(), EncodeError> = try_serialize_to_writer(&1_u8, &mut Vec::new());
	let _: Result<Bytes, postcard::Error> = Datum::encode(&1_u8);
	let _: Result<u8, postcard::Error> = Datum::decode(&[1]);
	let _: StreamId = u8::derived_stream_id();
	let _: BytesMut = BytesMut::new();
	fn takes<V>(tags: impl IntoIterOrSingle<Tag, V>) -> usize {
		tags.iterator().count()
	}
	assert_eq!(
		(
			takes("a"),
			takes(ids[0]),
			takes(["a", "b"]),
			takes(vec![ids[0]])
		),
		(1, 1, 2, 1)
	);
}

#[test]
fn tickets_have_their_items() {
	const NEVER: Expiration = Expiration::never();
	const EMPTY: Ticket = Ticket::new(TicketClass::zero(), Bytes::new());
	let Ticket { class, data } = EMPTY;
	let _: (TicketClass, Bytes) = (class, data);
	let _: (&[u8], UniqueId) = (EMPTY.data(), EMPTY.id());
	assert_eq!(NEVER, Expiration::Never);
	let moments = [
		Expiration::already_expired(),
		Expiration::after(chrono::Duration::minutes(1)),
		Expiration::in_1h(),
		Expiration::in_3h(),
		Expiration::in_6h(),
		Expiration::in_n_hours(12),
		Expiration::in_24h(),
		Expiration::At(DateTime::<Utc>::MAX_UTC),
		Expiration::Never,
	];
	assert!(moments.is_sorted());
	assert!(moments[0].is_expired() && !moments[1].is_expired());
	let _: Option<Duration> = NEVER.remaining();
	let _: InvalidTicket = InvalidTicket;
}

/// Never called: it compiles or it does not.
#[expect(dead_code, reason = "a compile test")]
async fn network_has_its_items(network: &Network, error: network::Error) {
	let _: Result<Network, network::Error> = Network::new("id").await;
	let builder: network::NetworkBuilder = Network::builder("id");
	let _: Result<Network, network::NetworkError> = builder
		.with_network_id("id")
		.with_addresses(BTreeSet::<SocketAddr>::new())
		.with_addresses([SocketAddr::from(([127, 0, 0, 1], 0))])
		.with_discovery(discovery::Config::builder())
		.with_streams(streams::Config::builder())
		.with_prometheus_addr(SocketAddr::from(([127, 0, 0, 1], 0)))
		.with_prometheus_addr(None)
		.with_relay_mode(iroh::endpoint::RelayMode::Disabled)
		.with_secret_key(SecretKey::generate())
		.with_secret_key(Digest::random())
		.build()
		.await;
	let _: &discovery::Discovery = network.discovery();
	let _: &network::LocalNode = network.local();
	let _: &NetworkId = network.network_id();
	let _: &streams::Streams = network.streams();
	network.online().await;
	let local = network.local();
	let _: iroh::EndpointAddr = local.addr();
	let _: &iroh::endpoint::Endpoint = local.endpoint();
	let _: PeerId = local.id();
	let _: &NetworkId = local.network_id();
	let _: &SecretKey = local.secret_key();
	local.online().await;
	match error {
		network::Error::Bind(_) | network::Error::InvalidAddress(_) => {}
		network::NetworkError::MissingNetworkId => {}
		network::NetworkError::Prometheus(text) => is::<String>(text),
		_ => {}
	}
}

#[expect(dead_code, reason = "a compile test")]
fn network_config_has_its_fields(config: network::NetworkConfig) {
	let _: (BTreeSet<SocketAddr>, NetworkId) = (config.addresses, config.network_id);
	let _: (discovery::ConfigBuilder, streams::ConfigBuilder) = (config.discovery, config.streams);
	let _: (Option<SocketAddr>, SecretKey) = (config.prometheus_addr, config.secret_key);
	let _: iroh::endpoint::RelayMode = config.relay_mode;
}

#[test]
fn every_field_of_the_discovery_config_has_a_setter() {
	let second = Duration::from_secs(1);
	let peer = SecretKey::generate().public();
	let config: Result<discovery::Config, discovery::ConfigBuilderError> =
		discovery::Config::builder()
			.with_announce_interval(second)
			.with_announce_jitter(0.25)
			.with_bootstrap_peers(vec![peer.into()])
			.with_bootstrap(peer)
			.with_bootstrap(iroh::EndpointAddr::from(peer))
			.with_bootstrap([peer])
			.with_bootstrap(vec![iroh::EndpointAddr::from(peer)])
			.with_events_backlog(7)
			.with_graceful_departure_window(second)
			.with_max_rtt(second)
			.with_max_rtt(Some(second))
			.with_max_time_drift(second)
			.with_no_dht_bootstrap(true)
			.no_dht_bootstrap()
			.with_purge_after(second)
			.with_rtt_probe_interval(second)
			.with_tags("a")
			.with_tags(vec![Tag::from("b")])
			.build();
	let config = config.unwrap();
	let _: Vec<PeerId> = config.bootstrap_peers_ids();
	assert_eq!(config.bootstrap_peers.len(), 5);
	assert_eq!(config.announce_interval, second);
	assert!((config.announce_jitter - 0.25_f32).abs() < f32::EPSILON);
	assert_eq!(config.events_backlog, 7);
	assert_eq!(config.graceful_departure_window, second);
	assert_eq!(config.max_rtt, Some(second));
	assert_eq!(config.max_time_drift, second);
	assert!(config.no_dht_bootstrap);
	assert_eq!(config.purge_after, second);
	assert_eq!(config.rtt_probe_interval, second);
	assert_eq!(config.tags, ["a", "b"].map(Tag::from));
	let stored: discovery::Config = serde_json::from_str(r#"{"events_backlog":7}"#).unwrap();
	assert_eq!(
		stored.events_backlog, 7,
		"what is not stored is the default"
	);
}

#[expect(dead_code, reason = "a compile test")]
async fn discovery_has_its_items(
	discovery: &discovery::Discovery,
	signed: discovery::SignedPeerEntry,
) {
	use discovery::{Error, Event, PeerEntry, SignedPeerEntry};
	let peer = discovery.catalog().local_id();
	let address = iroh::EndpointAddr::from(peer);
	discovery.add_tags("a");
	discovery.add_tags(["a"]);
	discovery.remove_tags(vec![Tag::zero()]);
	let ticket = Ticket::new(TicketClass::zero(), Bytes::new());
	discovery.remove_ticket(ticket.id());
	discovery.remove_tickets_of(ticket.class);
	discovery.add_ticket(ticket.clone());
	discovery.replace_ticket(ticket);
	let _: watch::Receiver<discovery::Catalog> = discovery.catalog_watch();
	let mut events: broadcast::Receiver<Event> = discovery.events();
	let _: SignedPeerEntry = discovery.me();
	discovery.dial(peer).await;
	discovery.dial([address.clone()]).await;
	let _: bool = discovery.clear_unsigned()
		| discovery.feed(signed.clone())
		| discovery.insert(signed)
		| discovery.insert(discovery.me().into_unsigned())
		| discovery.remove(peer);
	let _: Result<(), Error> = discovery.sync_with(peer).await;
	lives_on(discovery.sync_with(address));
	match events.recv().await.unwrap() {
		Event::PeerDeparted(peer) => is::<PeerId>(peer),
		Event::PeerDiscovered(entry) | Event::PeerUpdated(entry) => is::<PeerEntry>(entry),
	}
}

#[expect(dead_code, reason = "a compile test")]
fn discovery_errors_are_listed(error: discovery::Error) {
	use discovery::Error;
	match error {
		Error::Cancelled | Error::InvalidSignature => {}
		Error::DifferentNetwork {
			local_network,
			remote_network,
		} => {
			let _: [NetworkId; 2] = [local_network, remote_network];
		}
		Error::InvalidSecretKey(a, b) | Error::PeerIdChanged(a, b) => {
			is::<(PeerId, PeerId)>((a, b))
		}
		Error::Other(error) => is::<Box<dyn StdError + Send + Sync>>(error),
	}
}

#[expect(dead_code, reason = "a compile test")]
fn catalogs_and_entries_have_their_items(catalog: &discovery::Catalog, info: discovery::PeerInfo) {
	use discovery::{PeerEntry, PeerEntryVersion, PeerInfo, SignedPeerEntry};
	let peer: PeerId = catalog.local_id();
	let _: (Option<&PeerEntry>, Option<&SignedPeerEntry>) =
		(catalog.get(&peer), catalog.get_signed(&peer));
	let _: Option<&PeerEntry> = catalog
		.iter()
		.chain(catalog.peers())
		.chain(catalog.unsigned_peers())
		.next_back();
	let _: Option<&SignedPeerEntry> = catalog
		.iter_signed()
		.chain(catalog.signed_peers())
		.next_back();
	let _: (&SignedPeerEntry, NetworkId) = (catalog.local(), catalog.network_id());
	let _: usize = catalog.peers_count() + catalog.signed_peers_count();

	let _: (Option<Duration>, bool) = (info.rtt(), info.rtt_below(Duration::ZERO));
	let _: &PeerEntry = &info;
	let entry: PeerEntry = PeerInfo::into_entry(info);
	let ticket = Ticket::new(TicketClass::zero(), Bytes::new());
	let _: Result<PeerEntry, discovery::Error> = entry.clone().update_address(peer.into());
	let entry: PeerEntry = entry
		.add_functions(FunctionId::zero())
		.add_groups([GroupId::zero()])
		.add_streams("a")
		.add_tags(["a"])
		.add_ticket(ticket.clone())
		.remove_functions([FunctionId::zero()])
		.remove_groups(GroupId::zero())
		.remove_streams(["a"])
		.remove_tags("a")
		.remove_ticket(ticket.id())
		.remove_tickets_of(ticket.class);
	let _: &iroh::EndpointAddr = entry.address();
	let _: blake3::Hash = entry.digest();
	let _: [&BTreeSet<Digest>; 4] = [
		entry.functions(),
		entry.groups(),
		entry.streams(),
		entry.tags(),
	];
	let _: (&PeerId, &NetworkId) = (entry.id(), entry.network_id());
	let _: &semver::Version = entry.protocol_version();
	let _: [DateTime<Utc>; 2] = [entry.started_at(), entry.updated_at()];
	let _: &BTreeMap<UniqueId, Ticket> = entry.tickets();
	let _: Option<&Ticket> = entry.tickets_of(ticket.class).next();
	let _: Option<&Ticket> = entry
		.valid_tickets(ticket.class, |bytes: &[u8]| bytes.is_empty())
		.next();
	let _: bool = entry.has_valid_ticket(ticket.class, |_| true) | entry.is_newer_than(&entry);
	let version: PeerEntryVersion = entry.update_version();
	let _: [DateTime<Utc>; 2] = [version.started_at(), version.updated_at()];
	let _: Duration = entry.uptime();
	let validator: std::sync::Arc<dyn TicketValidator> =
		std::sync::Arc::new(crate::util::Guard("a"));
	let _: Result<Expiration, InvalidTicket> = entry.validate_ticket(&*validator);
	let _: Result<Option<Expiration>, InvalidTicket> = entry.validate_tickets(&[validator]);
	let signed: Result<SignedPeerEntry, discovery::Error> = entry.sign(&SecretKey::generate());
	let _: PeerEntry = signed.unwrap().into_unsigned();
}

#[expect(dead_code, reason = "a compile test")]
fn streams_have_their_items(network: &Network, sink: UnboundedSender<D>) {
	const DEF: streams::StreamDef<D> = streams::StreamDef::new();
	const NAMED: streams::StreamDef<D> = streams::StreamDef::with_stream_id(StreamId::zero());
	const PRODUCER: streams::ProducerDef<D> = streams::ProducerDef::new(NAMED.stream_id);
	const CONSUMER: streams::ConsumerDef<D> = streams::ConsumerDef::new(None);
	let _: [Option<StreamId>; 3] = [DEF.stream_id, PRODUCER.stream_id, CONSUMER.stream_id];
	let streams: &streams::Streams = network.streams();
	let _: [streams::producer::Builder<'_, D>; 3] = [
		streams.producer(),
		streams.producer_of(DEF),
		PRODUCER.open(network),
	];
	let _: [streams::consumer::Builder<'_, D>; 3] = [
		streams.consumer(),
		streams.consumer_of(DEF),
		CONSUMER.open(network),
	];
	let built: Result<streams::Producer<D>, streams::producer::BuilderError<D>> = streams
		.producer()
		.disconnect_lagging(true)
		.online_when(|c: streams::ChannelConditions| {
			c.minimum_of(2)
				.with_tags("a")
				.with_predicate(|_: &discovery::PeerEntry| true)
		})
		.require(|_: &discovery::PeerInfo| true)
		.require_ticket(crate::util::Guard("a"))
		.with_buffer_size(1)
		.with_max_consumers(1)
		.with_stream_id("a")
		.with_undelivered_sink(sink)
		.build();
	let producer = match built {
		Ok(producer) | Err(streams::producer::BuilderError::AlreadyExists(producer)) => producer,
	};
	let backoff: streams::backoff::ExponentialBackoff = streams::backoff::ExponentialBackoff {
		max_elapsed_time: None,
		..Default::default()
	};
	let mut consumer: streams::Consumer<D> = streams
		.consumer()
		.online_when(|c| c.unmet())
		.require(|_| true)
		.require_ticket(crate::util::Guard("a"))
		.with_backoff(backoff)
		.with_criteria(Criteria::default())
		.with_stream_id("a")
		.build();
	let streams::producer::ProducerConfig {
		stream_id,
		network_id,
		buffer_size,
		disconnect_lagging,
		max_consumers,
		..
	} = producer.config();
	let _: (&StreamId, &NetworkId, &usize, &bool, &usize) = (
		stream_id,
		network_id,
		buffer_size,
		disconnect_lagging,
		max_consumers,
	);
	let streams::consumer::ConsumerConfig {
		stream_id,
		criteria,
		..
	} = consumer.config();
	let _: (&StreamId, &Criteria) = (stream_id, criteria);
	let _: (bool, bool) = (producer.is_online(), consumer.is_online());
	let _: [&StreamId; 2] = [producer.stream_id(), consumer.stream_id()];
	let _: Result<(), streams::producer::Error<D>> = producer.try_send(1);
	let _: Option<D> = consumer.try_recv();
	let _: &streams::Stats = consumer.stats();
	for when in [producer.when(), consumer.when()] {
		lives_on(when.online());
		lives_on(when.offline());
		let _: bool = when.is_online();
		let _: [streams::ChannelConditions; 2] = [when.subscribed(), when.unsubscribed()];
		let _: bool = when.subscribed().is_condition_met();
	}
	for channel in producer.consumers().chain(consumer.producers()) {
		channel_has_its_items(&channel);
	}
}

fn channel_has_its_items(channel: &streams::ChannelInfo) {
	let _: [&PeerId; 2] = [channel.consumer_id(), channel.producer_id()];
	let _: (&Criteria, &StreamId) = (channel.criteria(), channel.stream_id());
	let _: &discovery::PeerEntry = channel.peer();
	let _: &watch::Receiver<streams::State> = channel.state_watcher();
	let _: bool = channel.is_connected();
	lives_on(channel.disconnected());
	let stats: &streams::Stats = channel.stats();
	let _: (usize, usize, Option<Duration>) = (stats.bytes(), stats.datums(), stats.uptime());
	match channel.state() {
		streams::State::Connected | streams::State::Connecting | streams::State::Terminated => {}
	}
}

#[expect(dead_code, reason = "a compile test")]
fn stream_errors_are_listed(error: streams::producer::Error<D>) {
	use streams::producer::Error;
	match error {
		Error::Closed(datum) => is::<Option<D>>(datum),
		Error::Encoding(datum, _) | Error::Full(datum) | Error::Offline(datum) => is::<D>(datum),
	}
}

mod quick_taste {
	//! The first program of the book, with nothing but the crate imported.

	use {
		mosaik::*,
		serde::{Deserialize, Serialize},
	};

	#[derive(Serialize, Deserialize)]
	struct SensorReading {
		temp: f64,
	}

	#[tokio::test(flavor = "multi_thread")]
	async fn the_quick_taste_runs_as_written() -> Result<(), Box<dyn std::error::Error>> {
		let network_id = NetworkId::random();
		let n0 = Network::new(network_id).await?;
		let n1 = Network::new(network_id).await?;
		let producer = n0.streams().produce::<SensorReading>();
		let mut consumer = n1.streams().consume::<SensorReading>();
		producer.when().subscribed().minimum_of(1).await;
		producer.send(SensorReading { temp: 21.5 }).await?;
		assert!((consumer.next().await.unwrap().temp - 21.5).abs() < f64::EPSILON);
		Ok(())
	}
}

mod with_futures {
	//! The same with the extension traits of `futures` in scope.

	use {
		futures::{SinkExt, StreamExt},
		mosaik::*,
	};

	#[tokio::test(flavor = "multi_thread")]
	async fn extension_traits_in_scope_change_nothing() -> Result<(), Box<dyn std::error::Error>> {
		let network_id = NetworkId::random();
		let n0 = Network::new(network_id).await?;
		let n1 = Network::new(network_id).await?;
		let mut producer = n0.streams().produce::<String>();
		let mut consumer = n1.streams().consume::<String>();
		producer.when().subscribed().minimum_of(1).await;
		producer.send("inherent".to_owned()).await?;
		SinkExt::send(&mut producer, "sink".to_owned()).await?;
		let by_reference = &mut producer;
		by_reference.send("by reference".to_owned()).await?;
		assert_eq!(consumer.next().await.as_deref(), Some("inherent"));
		assert_eq!(
			StreamExt::next(&mut consumer).await.as_deref(),
			Some("sink")
		);
		let by_reference = &mut consumer;
		assert_eq!(by_reference.next().await.as_deref(), Some("by reference"));
		Ok(())
	}
}

mod declared {
	//! The macros under each of their names.

	mosaik::declare::stream!(pub Ticks = u64, "surface.ticks");

	#[test]
	fn the_macros_stand_where_they_are_listed() {
		use mosaik::{ConsumerOf, ProducerOf, id, stream, tag, unique_id};
		stream!(Local = u64, unique_id!("a"));
		assert_eq!(id!("a"), unique_id!("a"));
		assert_eq!(id!("a"), tag!("a"));
		let _: Option<(ProducerOf<Ticks>, ConsumerOf<Local>)> = None;
	}
}
