//! The receiving half of a stream.

use {
	super::{
		ChannelConditions, ChannelInfo, Criteria, Stats, Streams, When,
		backoff::{Backoff, ExponentialBackoffBuilder},
		subscribe::Inlet,
	},
	crate::runtime::{
		exclusive::Exclusive,
		queue::{Capacity, Reader, queue},
	},
	futures::Stream,
	mosaik_proto::{
		discovery::PeerInfo,
		id::{ShortFmtExt, StreamId},
		streams::Requirements,
		tickets::TicketValidator,
		wire::Datum,
	},
	std::{
		fmt,
		future::poll_fn,
		pin::Pin,
		sync::Arc,
		task::{Context, Poll},
	},
	tokio_util::sync::DropGuard,
};

/// How many datums, and how many bytes of them, a consumer holds before it stops
/// reading from its producers. It may hold twice as much and a batch at most.
const CAPACITY: Capacity = Capacity {
	items: 1024,
	bytes: 8 * 1024 * 1024,
};

/// The settings of a consumer.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
	/// The stream.
	pub stream_id: StreamId,
	/// Which of its datums it wants.
	pub criteria: Criteria,
}

type NewBackoff = Box<dyn Fn() -> Box<dyn Backoff> + Send + Sync>;

/// Configures a consumer.
pub struct Builder<'s, D: Datum> {
	streams: &'s Streams,
	config: ConsumerConfig,
	requirements: Requirements,
	online_when: Option<Box<dyn Fn(ChannelConditions) -> ChannelConditions + Send + Sync>>,
	backoff: NewBackoff,
	datum: std::marker::PhantomData<fn() -> D>,
}

impl<'s, D: Datum> Builder<'s, D> {
	pub(super) fn new(streams: &'s Streams) -> Self {
		let backoff = ExponentialBackoffBuilder::new()
			.with_initial_interval(streams.0.config.backoff_initial)
			.with_max_interval(streams.0.config.backoff_max)
			.build();
		Self {
			streams,
			config: ConsumerConfig {
				stream_id: D::derived_stream_id(),
				criteria: Criteria::default(),
			},
			requirements: Requirements::default(),
			online_when: None,
			backoff: Box::new(move || Box::new(backoff.clone())),
			datum: std::marker::PhantomData,
		}
	}

	/// Names the stream, instead of deriving its id from the datum's type.
	#[must_use]
	pub fn with_stream_id(mut self, id: impl Into<StreamId>) -> Self {
		self.config.stream_id = id.into();
		self
	}

	/// Asks for some of the datums only.
	#[must_use]
	pub const fn with_criteria(mut self, criteria: Criteria) -> Self {
		self.config.criteria = criteria;
		self
	}

	/// Subscribes only to producers that satisfy the predicate, and all others
	/// given.
	#[must_use]
	pub fn require<F>(mut self, predicate: F) -> Self
	where
		F: Fn(&PeerInfo) -> bool + Send + Sync + 'static,
	{
		self.requirements.require(predicate);
		self
	}

	/// Subscribes only to producers with a valid ticket, for every validator
	/// given.
	#[must_use]
	pub fn require_ticket(mut self, validator: impl TicketValidator) -> Self {
		self.requirements.require_ticket(validator);
		self
	}

	/// When the consumer is online; by default at once and always.
	#[must_use]
	pub fn online_when<F>(mut self, conditions: F) -> Self
	where
		F: Fn(ChannelConditions) -> ChannelConditions + Send + Sync + 'static,
	{
		self.online_when = Some(Box::new(conditions));
		self
	}

	/// How long to wait before a producer is tried again, each with a copy of
	/// its own. By default from half a second doubling to half a minute, without
	/// giving up.
	#[must_use]
	pub fn with_backoff<B: Backoff + Clone + Send + Sync + 'static>(mut self, backoff: B) -> Self {
		self.backoff = Box::new(move || Box::new(backoff.clone()));
		self
	}

	/// Creates the consumer, which begins to subscribe in the background.
	pub fn build(self) -> Consumer<D> {
		let Self {
			streams,
			config,
			requirements,
			online_when,
			backoff,
			..
		} = self;
		let (writer, reader) = queue(CAPACITY);
		let inlet = Inlet::new(
			streams,
			config.clone(),
			requirements,
			online_when.as_deref(),
		);
		let end = streams.0.tasks.token().child_token();
		inlet.clone().start(writer, backoff, end.clone());
		Consumer {
			config,
			inlet,
			reader: Exclusive::new(reader),
			_end: end.drop_guard(),
		}
	}
}

impl<D: Datum> fmt::Debug for Builder<'_, D> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Builder")
			.field("config", &self.config)
			.field("requirements", &self.requirements)
			.finish_non_exhaustive()
	}
}

/// The receiving half of a stream on this node: every datum of every producer,
/// each producer's in the order of sending.
///
/// It subscribes by itself to the producers that are known and meet the
/// requirements, keeps watching for new ones and comes back to those it lost. It
/// holds a bounded number of datums; while it is full, its producers see a
/// consumer that does not keep up.
///
/// Dropping it ends its subscriptions.
pub struct Consumer<D: Datum> {
	config: ConsumerConfig,
	inlet: Arc<Inlet>,
	reader: Exclusive<Reader<D>>,
	_end: DropGuard,
}

impl<D: Datum> Consumer<D> {
	/// The settings.
	pub const fn config(&self) -> &ConsumerConfig {
		&self.config
	}

	/// The stream.
	pub const fn stream_id(&self) -> &StreamId {
		&self.config.stream_id
	}

	/// Whether its conditions for being online are met and the network is up.
	pub fn is_online(&self) -> bool {
		self.inlet.is_online()
	}

	/// Awaits events of this consumer.
	pub fn when(&self) -> &When {
		&self.inlet.when
	}

	/// What was received, from all producers.
	pub fn stats(&self) -> &Stats {
		&self.inlet.stats
	}

	/// The producers it knows that meet the requirements, whether it is
	/// connected to them or not.
	pub fn producers(&self) -> impl Iterator<Item = ChannelInfo> {
		let producers = self.inlet.channels();
		(0..producers.len()).map(move |index| producers[index].clone())
	}

	/// The next datum; `None` when the network has shut down.
	///
	/// Cancellation safe: no datum is lost when it is dropped.
	pub async fn recv(&mut self) -> Option<D> {
		poll_fn(|cx| self.reader.get_mut().poll_next(cx)).await
	}

	/// As [`recv`](Self::recv).
	pub async fn next(&mut self) -> Option<D> {
		// By way of `recv` every datum would be moved once more.
		poll_fn(|cx| self.reader.get_mut().poll_next(cx)).await
	}

	/// The next datum if one is here.
	pub fn try_recv(&mut self) -> Option<D> {
		self.reader.get_mut().try_next()
	}
}

impl<D: Datum> fmt::Debug for Consumer<D> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Consumer")
			.field("stream", &self.stream_id().short())
			.field("stats", &self.stats().to_string())
			.finish_non_exhaustive()
	}
}

// Datums are moved, never pinned.
impl<D: Datum> Unpin for Consumer<D> {}

impl<D: Datum> Stream for Consumer<D> {
	type Item = D;

	fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<D>> {
		self.get_mut().reader.get_mut().poll_next(cx)
	}
}
