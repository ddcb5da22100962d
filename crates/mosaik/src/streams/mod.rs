//! Streams: typed publish and subscribe between the nodes of a network.
//!
//! ```text
//!  Producer::send ─ outlet (encode once) ─┬─ serve ── lane ──> subscribe ─┐
//!                                         └─ serve ── lane ──> …          ├─ queue ─ Consumer::next
//!                                          another node's serve ── lane ──┘
//! ```
//!
//! A consumer finds the producers of its stream in the catalog and opens a lane
//! to each of them (`subscribe.rs`); the producer's side checks who is there and
//! writes (`serve.rs`). Whom to subscribe to and what each consumer is sent is
//! decided in `mosaik_proto::streams`.

mod def;
mod info;
mod metrics;
mod outlet;
mod serve;
mod subscribe;
#[cfg(test)]
mod tests;
mod when;

pub mod backoff;
pub mod consumer;
pub mod producer;

use {
	crate::{
		discovery::Discovery,
		network::{
			Protocol,
			peer::{Incoming, Peers},
		},
		runtime::tasks::Tasks,
	},
	mosaik_proto::{
		PeerId,
		id::{NetworkId, ShortFmtExt},
		wire::Datum,
	},
	outlet::Outlet,
	std::{
		any::Any,
		collections::BTreeMap,
		fmt,
		sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
	},
	tokio_util::task::TaskTracker,
};

#[doc(hidden)]
pub use def::shared_producer;
pub use {
	consumer::Consumer,
	def::{
		ConsumerDef, ConsumerOf, ProducerDef, ProducerOf, StreamConsumer, StreamDef, StreamProducer,
	},
	info::{ChannelInfo, State, Stats},
	mosaik_proto::{id::StreamId, streams::Criteria},
	producer::Producer,
	when::{ChannelConditions, When},
};

crate::runtime::config::config! {
	/// The settings of a node's streams.
	pub struct Config {
		/// The pauses between attempts to reach a producer, where a consumer does
		/// not set its own: the first one. More than zero; half a second by
		/// default.
		backoff_initial / with_backoff_initial: std::time::Duration = std::time::Duration::from_millis(500),
		/// As above, the longest one: at least the first; 30 s by default.
		backoff_max / with_backoff_max: std::time::Duration = std::time::Duration::from_secs(30),
	}
	validate(config) {
		if config.backoff_initial.is_zero() || config.backoff_max < config.backoff_initial {
			Err("backoff_initial must be more than zero and at most backoff_max".to_owned())
		} else {
			Ok(())
		}
	}
}

/// The typed handle of a producer and its untyped part.
struct Registered {
	handle: Weak<dyn Any + Send + Sync>,
	outlet: Arc<Outlet>,
}

struct Inner {
	network: NetworkId,
	config: Config,
	peers: Peers,
	discovery: Discovery,
	tasks: Tasks,
	producers: Mutex<BTreeMap<StreamId, Registered>>,
	metrics: metrics::StreamsMetrics,
	/// The subscriptions of others to our producers.
	serving: TaskTracker,
}

/// The streams of a node: where producers and consumers come from. Cheap to
/// clone.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

impl Streams {
	pub(crate) fn new(
		network: NetworkId,
		config: Config,
		peers: Peers,
		discovery: Discovery,
		tasks: Tasks,
	) -> Self {
		let mut incoming = peers.accept(Protocol::Streams);
		let streams = Self(Arc::new(Inner {
			network,
			config,
			peers,
			discovery,
			tasks: tasks.clone(),
			producers: Mutex::new(BTreeMap::new()),
			metrics: metrics::StreamsMetrics::new(&network),
			serving: TaskTracker::new(),
		}));
		let accept = streams.clone();
		tasks.spawn("streams.accept", async move {
			while let Some(incoming) = incoming.recv().await {
				accept.serve(incoming);
			}
		});
		streams
	}

	/// Produces the stream of `D`, or shares this node's producer of it.
	pub fn produce<D: Datum>(&self) -> Producer<D> {
		shared_producer(self.producer().build())
	}

	/// Configures a producer of `D`.
	pub fn producer<D: Datum>(&self) -> producer::Builder<'_, D> {
		producer::Builder::new(self)
	}

	/// Configures a producer of a defined stream.
	pub fn producer_of<D: Datum>(&self, def: StreamDef<D>) -> producer::Builder<'_, D> {
		let builder = self.producer();
		match def.stream_id {
			Some(id) => builder.with_stream_id(id),
			None => builder,
		}
	}

	/// Consumes the stream of `D`, from all of its producers.
	pub fn consume<D: Datum>(&self) -> Consumer<D> {
		self.consumer().build()
	}

	/// Configures a consumer of `D`.
	pub fn consumer<D: Datum>(&self) -> consumer::Builder<'_, D> {
		consumer::Builder::new(self)
	}

	/// Configures a consumer of a defined stream.
	pub fn consumer_of<D: Datum>(&self, def: StreamDef<D>) -> consumer::Builder<'_, D> {
		let builder = self.consumer();
		match def.stream_id {
			Some(id) => builder.with_stream_id(id),
			None => builder,
		}
	}

	fn network_id(&self) -> &NetworkId {
		&self.0.network
	}

	fn local_id(&self) -> PeerId {
		self.0.peers.id()
	}

	/// Makes `handle` the producer of the stream and announces it.
	///
	/// Where there is one already, it comes back as the error. One of another
	/// datum type cannot be shared: then the new one is closed from the start.
	fn register_producer<D: Datum>(
		&self,
		stream: StreamId,
		handle: Arc<producer::Handle<D>>,
	) -> Result<Arc<producer::Handle<D>>, Arc<producer::Handle<D>>> {
		let mut producers = self.producers();
		if let Some(existing) = producers
			.get(&stream)
			.and_then(|entry| entry.handle.upgrade())
		{
			drop(producers);
			return Err(existing.downcast().unwrap_or_else(|_| {
				tracing::error!(
					stream = %stream.short(),
					datum = std::any::type_name::<D>(),
					"this node produces the stream with another datum type; \
					 the new producer is closed: give it an id of its own"
				);
				handle.outlet.close();
				handle
			}));
		}
		if self.0.tasks.token().is_cancelled() {
			handle.outlet.close();
			return Ok(handle);
		}
		let erased: Arc<dyn Any + Send + Sync> = handle.clone();
		let outlet = handle.outlet.clone();
		producers.insert(
			stream,
			Registered {
				handle: Arc::downgrade(&erased),
				outlet,
			},
		);
		self.announce(&producers);
		Ok(handle)
	}

	/// Withdraws a producer, if it has not been replaced since.
	fn remove_producer(&self, outlet: &Arc<Outlet>) {
		let mut producers = self.producers();
		let stream = outlet.stream_id();
		if producers
			.get(stream)
			.is_some_and(|entry| Arc::ptr_eq(&entry.outlet, outlet))
		{
			producers.remove(stream);
			self.announce(&producers);
		}
	}

	/// Says in our entry what we produce. Under the lock, so that announcements
	/// do not overtake each other.
	fn announce(&self, producers: &BTreeMap<StreamId, Registered>) {
		let streams: Vec<StreamId> = producers.keys().copied().collect();
		self.0.metrics.producers.set(streams.len() as f64);
		self.0.discovery.update(move |entry| {
			let gone: Vec<StreamId> = entry.streams().iter().copied().collect();
			entry.remove_streams(gone).add_streams(streams)
		});
	}

	/// Waits until consumers have what was sent, not for those that do not read.
	pub(crate) async fn drained(&self) {
		let serving = &self.0.serving;
		serving.close();
		let _ = tokio::time::timeout(serve::DRAIN_TIMEOUT, serving.wait()).await;
	}

	/// Closes every producer: what was sent is still delivered.
	pub(crate) fn close(&self) {
		for registered in self.producers().values() {
			registered.outlet.close();
		}
	}

	fn outlet(&self, stream: &StreamId) -> Option<Arc<Outlet>> {
		self.producers()
			.get(stream)
			.map(|registered| registered.outlet.clone())
	}

	fn serve(&self, incoming: Incoming) {
		let streams = self.clone();
		self.0
			.tasks
			.spawn_until_done("streams.serve", |token| async move {
				let serving = streams.0.serving.clone();
				let subscription = serve::serve(streams, incoming, token);
				serving.track_future(subscription).await;
			});
	}

	fn producers(&self) -> MutexGuard<'_, BTreeMap<StreamId, Registered>> {
		// Nothing panics while it holds the lock; a poisoned one is still whole.
		self.0
			.producers
			.lock()
			.unwrap_or_else(PoisonError::into_inner)
	}
}

impl fmt::Debug for Streams {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Streams")
			.field("network", &self.0.network.short())
			.field("producers", &self.producers().len())
			.finish_non_exhaustive()
	}
}
