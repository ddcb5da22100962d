//! The sending half of a stream.

use {
	super::{
		ChannelConditions, ChannelInfo, Streams, When,
		outlet::{Limits, Outlet, Refused},
	},
	crate::runtime::exclusive::Exclusive,
	futures::Sink,
	mosaik_proto::{
		discovery::PeerInfo,
		id::{NetworkId, ShortFmtExt, StreamId},
		streams::{Lagging, Requirements},
		tickets::TicketValidator,
		wire::Datum,
	},
	std::{
		fmt,
		future::Future,
		pin::Pin,
		sync::{
			Arc,
			atomic::{AtomicU32, Ordering},
		},
		task::{Context, Poll, ready},
	},
	tokio::sync::mpsc::UnboundedSender,
};

/// How many datums a consumer may fall behind, by default.
pub const DEFAULT_BUFFER_SIZE: usize = 1024;

/// How many datums a handle sends before it lets others run.
const TURN: u32 = 4096;

/// Why a datum could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EncodeError(Box<dyn std::error::Error + Send + Sync>);

impl EncodeError {
	pub(super) fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
		Self(Box::new(error))
	}
}

/// Why a datum was not sent. It was given to no consumer, and comes back.
#[derive(thiserror::Error)]
pub enum Error<D> {
	/// The producer is closed: its network has shut down. It will not come back.
	#[error("the producer is closed; the datum was not sent")]
	Closed(Option<D>),
	/// The datum has no encoding, or one over the size limit. Another may pass.
	#[error("the datum could not be encoded; it was not sent")]
	Encoding(D, #[source] EncodeError),
	/// There is no room in the queue. Try again, or wait with `send`.
	#[error("the producer's queue is full; the datum was not sent")]
	Full(D),
	/// The producer is not online. Try again, or wait with `send`.
	#[error("the producer is offline; the datum was not sent")]
	Offline(D),
}

impl<D> Error<D> {
	/// The datum that was not sent.
	pub fn into_datum(self) -> Option<D> {
		match self {
			Self::Closed(datum) => datum,
			Self::Encoding(datum, _) | Self::Full(datum) | Self::Offline(datum) => Some(datum),
		}
	}
}

/// Shows the kind of error: datums need not be printable.
impl<D> fmt::Debug for Error<D> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			Self::Closed(_) => f.write_str("Closed"),
			Self::Encoding(_, error) => f.debug_tuple("Encoding").field(error).finish(),
			Self::Full(_) => f.write_str("Full"),
			Self::Offline(_) => f.write_str("Offline"),
		}
	}
}

/// Two errors are equal if they are of the same kind: datums need not be
/// comparable.
impl<D> PartialEq for Error<D> {
	fn eq(&self, other: &Self) -> bool {
		std::mem::discriminant(self) == std::mem::discriminant(other)
	}
}

/// Why a producer was not built.
#[derive(thiserror::Error)]
pub enum BuilderError<D: Datum> {
	/// This node already produces the stream: this is its producer. The options
	/// of the builder were not applied to it.
	#[error("this node already produces stream {}", .0.stream_id().short())]
	AlreadyExists(Producer<D>),
}

impl<D: Datum> fmt::Debug for BuilderError<D> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let Self::AlreadyExists(producer) = self;
		f.debug_tuple("AlreadyExists").field(producer).finish()
	}
}

/// The settings of a producer.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
	/// The stream.
	pub stream_id: StreamId,
	/// The network.
	pub network_id: NetworkId,
	/// How many datums a consumer may fall behind, at least 1; 1024 by default.
	pub buffer_size: usize,
	/// Whether a consumer that falls behind is disconnected (the default), or
	/// the producer waits for it.
	pub disconnect_lagging: bool,
	/// How many consumers it takes; no limit by default.
	pub max_consumers: usize,
}

/// Configures a producer.
pub struct Builder<'s, D: Datum> {
	streams: &'s Streams,
	config: ProducerConfig,
	requirements: Requirements,
	online_when: Box<dyn Fn(ChannelConditions) -> ChannelConditions + Send + Sync>,
	undelivered: Option<UnboundedSender<D>>,
}

impl<'s, D: Datum> Builder<'s, D> {
	pub(super) fn new(streams: &'s Streams) -> Self {
		Self {
			streams,
			config: ProducerConfig {
				stream_id: D::derived_stream_id(),
				network_id: *streams.network_id(),
				buffer_size: DEFAULT_BUFFER_SIZE,
				disconnect_lagging: true,
				max_consumers: usize::MAX,
			},
			requirements: Requirements::default(),
			online_when: Box::new(|conditions| conditions),
			undelivered: None,
		}
	}

	/// Names the stream, instead of deriving its id from the datum's type.
	#[must_use]
	pub fn with_stream_id(mut self, id: impl Into<StreamId>) -> Self {
		self.config.stream_id = id.into();
		self
	}

	/// Takes only consumers that satisfy the predicate, and all others given.
	#[must_use]
	pub fn require<F>(mut self, predicate: F) -> Self
	where
		F: Fn(&PeerInfo) -> bool + Send + Sync + 'static,
	{
		self.requirements.require(predicate);
		self
	}

	/// Takes only consumers with a valid ticket, for every validator given.
	#[must_use]
	pub fn require_ticket(mut self, validator: impl TicketValidator) -> Self {
		self.requirements.require_ticket(validator);
		self
	}

	/// When the producer is online; by default while it has a consumer.
	#[must_use]
	pub fn online_when<F>(mut self, conditions: F) -> Self
	where
		F: Fn(ChannelConditions) -> ChannelConditions + Send + Sync + 'static,
	{
		self.online_when = Box::new(conditions);
		self
	}

	/// How many consumers to take; further ones are refused with `NoCapacity`.
	#[must_use]
	pub const fn with_max_consumers(mut self, count: usize) -> Self {
		self.config.max_consumers = count;
		self
	}

	/// How many datums a consumer may fall behind, at least 1.
	#[must_use]
	pub const fn with_buffer_size(mut self, datums: usize) -> Self {
		self.config.buffer_size = if datums == 0 { 1 } else { datums };
		self
	}

	/// Whether a consumer that does not keep up is disconnected with `TooSlow`
	/// (the default), or the producer waits for it.
	///
	/// It is disconnected when it lags by eight times the buffer size and others
	/// run dry because of it: after 50 ms in which it took nothing, or 250 ms in
	/// all, a quarter of the time being forgiven. Where it holds up nobody but the
	/// producer, after a second in which it took nothing.
	#[must_use]
	pub const fn disconnect_lagging(mut self, disconnect: bool) -> Self {
		self.config.disconnect_lagging = disconnect;
		self
	}

	/// Where datums go that no consumer took.
	#[must_use]
	pub fn with_undelivered_sink(mut self, sink: UnboundedSender<D>) -> Self {
		self.undelivered = Some(sink);
		self
	}

	/// Creates the producer and announces it.
	///
	/// # Errors
	/// When this node already produces the stream; the error carries its
	/// producer.
	pub fn build(self) -> Result<Producer<D>, BuilderError<D>> {
		let Self {
			streams,
			config,
			requirements,
			online_when,
			undelivered,
		} = self;
		let limits = Limits {
			datums: config.buffer_size as u64,
			lagging: if config.disconnect_lagging {
				Lagging::Disconnect
			} else {
				Lagging::Wait
			},
			consumers: config.max_consumers,
		};
		let stream_id = config.stream_id;
		let outlet = Outlet::new(streams, stream_id, limits, requirements, &*online_when);
		let handle = Arc::new(Handle {
			streams: streams.clone(),
			config,
			outlet,
			undelivered,
		});
		match streams.register_producer(stream_id, handle) {
			Ok(handle) => Ok(Producer {
				handle,
				room: None,
				pending: Exclusive::default(),
				turn: AtomicU32::new(0),
			}),
			Err(handle) => Err(BuilderError::AlreadyExists(Producer {
				handle,
				room: None,
				pending: Exclusive::default(),
				turn: AtomicU32::new(0),
			})),
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

/// What the clones of a producer share; the stream ends when it is dropped.
pub(super) struct Handle<D: Datum> {
	streams: Streams,
	config: ProducerConfig,
	pub(super) outlet: Arc<Outlet>,
	undelivered: Option<UnboundedSender<D>>,
}

impl<D: Datum> Drop for Handle<D> {
	fn drop(&mut self) {
		self.streams.remove_producer(&self.outlet);
		self.outlet.close();
	}
}

/// The sending half of a stream on this node. Cheap to clone; when the last
/// clone is dropped, what was sent is still delivered and the stream ends.
///
/// Every consumer receives every datum that is sent while it is subscribed, in
/// the order of sending. A datum is encoded once, whatever the number of
/// consumers. The producer runs at the pace of its fastest consumer; the others
/// may lag behind by eight times the buffer size before they are waited for, and
/// who makes others wait is disconnected, see [`Builder::disconnect_lagging`].
///
/// It is a [`Sink`] too.
pub struct Producer<D: Datum> {
	handle: Arc<Handle<D>>,
	/// What this handle waits for as a sink.
	room: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
	/// What this handle took as a sink when another one had just taken the room.
	pending: Exclusive<Option<D>>,
	/// How many datums it sent without a pause.
	turn: AtomicU32,
}

// Datums are moved, never pinned.
impl<D: Datum> Unpin for Producer<D> {}

impl<D: Datum> Producer<D> {
	/// The settings.
	pub fn config(&self) -> &ProducerConfig {
		&self.handle.config
	}

	/// The stream.
	pub fn stream_id(&self) -> &StreamId {
		&self.handle.config.stream_id
	}

	/// Whether datums can be sent now.
	pub fn is_online(&self) -> bool {
		self.handle.outlet.is_online()
	}

	/// Awaits events of this producer.
	pub fn when(&self) -> &When {
		self.handle.outlet.when()
	}

	/// The consumers it has now.
	pub fn consumers(&self) -> impl Iterator<Item = ChannelInfo> {
		let consumers = self.handle.outlet.channels();
		(0..consumers.len()).map(move |index| consumers[index].clone())
	}

	/// Sends a datum, waiting until the producer is online and has room.
	///
	/// It is with the queue when this returns; delivery goes on in the
	/// background. Cancellation safe: a datum whose `send` was dropped before it
	/// finished was not sent.
	///
	/// # Errors
	/// When the datum cannot be encoded or the network has shut down.
	pub async fn send(&self, datum: D) -> Result<(), Error<D>> {
		if self.is_turn_over() {
			// Before it is sent: what is cancelled here was not.
			tokio::task::yield_now().await;
		}
		let mut datum = datum;
		loop {
			datum = match self.try_send(datum) {
				Err(Error::Full(datum) | Error::Offline(datum)) => datum,
				result => return result,
			};
			let wait = self.handle.outlet.wait_for_room();
			tokio::pin!(wait);
			// From here on no change is missed, so look again before waiting.
			wait.as_mut().enable();
			datum = match self.try_send(datum) {
				Err(Error::Full(datum) | Error::Offline(datum)) => datum,
				result => return result,
			};
			self.handle.outlet.wait(wait).await;
			self.turn.store(0, Ordering::Relaxed);
		}
	}

	/// Whether it is time to let others run. A producer whose consumers keep up, or
	/// that needs none, never has to wait: on a runtime of one thread nothing else
	/// would ever run.
	fn is_turn_over(&self) -> bool {
		// A lost update makes a turn longer: nothing depends on its exact length.
		let turn = self.turn.load(Ordering::Relaxed) + 1;
		let is_over = turn >= TURN;
		self.turn
			.store(if is_over { 0 } else { turn }, Ordering::Relaxed);
		is_over
	}

	/// Sends a datum now or not at all.
	///
	/// # Errors
	/// When the producer is offline, full or closed, or the datum cannot be
	/// encoded. The datum comes back in the error.
	pub fn try_send(&self, datum: D) -> Result<(), Error<D>> {
		match self.handle.outlet.push(&datum) {
			Ok(true) => Ok(()),
			Ok(false) => {
				if let Some(sink) = &self.handle.undelivered {
					// Whoever dropped the receiver does not want to know.
					let _ = sink.send(datum);
				}
				Ok(())
			}
			Err(Refused::Closed) => Err(Error::Closed(Some(datum))),
			Err(Refused::Offline) => Err(Error::Offline(datum)),
			Err(Refused::Full) => Err(Error::Full(datum)),
			Err(Refused::Encode(error)) => Err(Error::Encoding(datum, error)),
		}
	}
}

impl<D: Datum> Clone for Producer<D> {
	fn clone(&self) -> Self {
		Self {
			handle: self.handle.clone(),
			room: None,
			pending: Exclusive::default(),
			turn: AtomicU32::new(0),
		}
	}
}

impl<D: Datum> fmt::Debug for Producer<D> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Producer")
			.field("stream", &self.stream_id().short())
			.field("online", &self.is_online())
			.finish_non_exhaustive()
	}
}

impl<D: Datum> Sink<D> for Producer<D> {
	type Error = Error<D>;

	fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error<D>>> {
		let this = self.get_mut();
		ready!(this.poll_pending(cx))?;
		let outlet = this.handle.outlet.clone();
		loop {
			if outlet.is_closed() {
				return Poll::Ready(Err(Error::Closed(None)));
			}
			if outlet.is_ready() {
				this.room = None;
				if this.is_turn_over() {
					cx.waker().wake_by_ref();
					return Poll::Pending;
				}
				return Poll::Ready(Ok(()));
			}
			ready!(this.poll_room(cx));
		}
	}

	fn start_send(self: Pin<&mut Self>, datum: D) -> Result<(), Error<D>> {
		let this = self.get_mut();
		match this.try_send(datum) {
			// There was room, but another handle or the last consumer was faster.
			Err(Error::Full(datum) | Error::Offline(datum)) => {
				*this.pending.get_mut() = Some(datum);
				Ok(())
			}
			result => result,
		}
	}

	/// Resolves when everything is with the queue; delivery goes on by itself.
	fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error<D>>> {
		self.get_mut().poll_pending(cx)
	}

	fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error<D>>> {
		self.get_mut().poll_pending(cx)
	}
}

/// The sink's part.
impl<D: Datum> Producer<D> {
	/// Sends what could not be sent before.
	fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error<D>>> {
		while let Some(datum) = self.pending.get_mut().take() {
			match self.try_send(datum) {
				Err(Error::Full(datum) | Error::Offline(datum)) => {
					*self.pending.get_mut() = Some(datum);
				}
				result => return Poll::Ready(result),
			}
			ready!(self.poll_room(cx));
		}
		Poll::Ready(Ok(()))
	}

	/// Waits until a datum may be taken.
	fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
		let outlet = &self.handle.outlet;
		let room = self
			.room
			.get_or_insert_with(|| Box::pin(outlet.clone().ready()));
		ready!(room.as_mut().poll(cx));
		self.room = None;
		Poll::Ready(())
	}
}
