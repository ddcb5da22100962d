//! The consumer's side: one task that follows the catalog, and one per producer
//! that reads.

use {
	super::{
		ChannelConditions, ChannelInfo, State, Stats, Streams, When, backoff::Backoff,
		consumer::ConsumerConfig, metrics::ConsumerMetrics,
	},
	crate::{
		network::{
			Protocol,
			frame::{self, FrameReader},
			link::Lane,
		},
		runtime::{queue::Writer, when::Channels},
	},
	bytes::{Bytes, BytesMut},
	chrono::Utc,
	futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered},
	mosaik_proto::{
		PeerId,
		core::{Core, Instant as CoreInstant, Now},
		discovery::{Catalog, PeerInfo},
		id::ShortFmtExt,
		streams::{
			Answer, Input, Outcome, Output, Receipts, Requirements, Subscribe, Subscriptions,
		},
		tickets::Expiration,
		wire::{self, CloseCode, Datum},
	},
	std::{
		collections::BTreeMap,
		sync::{
			Arc, Mutex, MutexGuard, PoisonError,
			atomic::{AtomicBool, Ordering},
		},
		time::{Duration, Instant},
	},
	tokio::{
		sync::{mpsc, oneshot, watch},
		time,
	},
	tokio_util::sync::CancellationToken,
};

/// How long a producer may take to answer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an exchange of catalogs may take before the producer is asked anyway:
/// it may have come to know us in another way. The exchange goes on meanwhile.
const SYNC_PATIENCE: Duration = Duration::from_millis(500);

/// How many datums are decoded before they are handed over.
const DECODE_BATCH: usize = 256;

/// How many readers may have told the follower that they are subscribed; further
/// ones wait.
const REPORTS: usize = 64;

/// What is known of one producer.
struct Producer {
	info: ChannelInfo,
	state: watch::Sender<State>,
	stats: Arc<Stats>,
	/// An attempt or a subscription is on.
	active: bool,
	end: CancellationToken,
}

/// The untyped part of a consumer.
pub(super) struct Inlet {
	streams: Streams,
	config: ConsumerConfig,
	requirements: Requirements,
	producers: Mutex<BTreeMap<PeerId, Producer>>,
	channels: watch::Sender<Channels<ChannelInfo>>,
	online: watch::Sender<bool>,
	online_when: Option<ChannelConditions>,
	/// The consumer or the network has ended.
	has_ended: AtomicBool,
	pub(super) when: When,
	pub(super) stats: Stats,
	metrics: ConsumerMetrics,
}

impl Inlet {
	pub(super) fn new(
		streams: &Streams,
		config: ConsumerConfig,
		requirements: Requirements,
		online_when: Option<&(dyn Fn(ChannelConditions) -> ChannelConditions + Send + Sync)>,
	) -> Arc<Self> {
		let (channels, channels_watch) = watch::channel(Channels::from([]));
		let online_when = online_when.map(|f| f(ChannelConditions::new(channels_watch.clone())));
		let is_online = online_when
			.as_ref()
			.is_none_or(ChannelConditions::is_condition_met);
		let (online, online_watch) = watch::channel(is_online);
		let stats = Stats::default();
		stats.start();
		let metrics = ConsumerMetrics::new(streams.network_id(), &config.stream_id);
		Arc::new(Self {
			streams: streams.clone(),
			config,
			requirements,
			producers: Mutex::new(BTreeMap::new()),
			channels,
			online,
			online_when,
			has_ended: AtomicBool::new(false),
			when: When::new(online_watch, channels_watch),
			stats,
			metrics,
		})
	}

	pub(super) fn channels(&self) -> Channels<ChannelInfo> {
		self.channels.borrow().clone()
	}

	/// Starts to follow the catalog, until `end`.
	pub(super) fn start<D: Datum>(
		self: Arc<Self>,
		writer: Writer<D>,
		backoff: Box<dyn Fn() -> Box<dyn Backoff> + Send + Sync>,
		end: CancellationToken,
	) {
		let streams = self.streams.clone();
		streams.0.metrics.consumers.increment(1.0);
		streams
			.0
			.tasks
			.clone()
			.spawn_until_done("streams.follow", move |_| async move {
				let follower = Follower::new(self.clone(), writer, backoff, end);
				follower.run().await;
				for producer in std::mem::take(&mut *self.producers()).into_values() {
					producer.state.send_replace(State::Terminated);
				}
				self.publish();
				streams.0.metrics.consumers.decrement(1.0);
			});
	}

	fn set_state(&self, peer: &PeerId, state: State) {
		let producers = self.producers();
		let Some(producer) = producers.get(peer) else {
			return;
		};
		if producer.state.send_replace(state) == state {
			return;
		}
		drop(producers);
		self.publish();
	}

	/// Publishes the set of producers and whether they suffice to be online.
	fn publish(&self) {
		let channels: Channels<_> = {
			let producers = self.producers();
			producers.values().map(|p| p.info.clone()).collect()
		};
		let connected = channels
			.iter()
			.filter(|channel| channel.is_connected())
			.count();
		self.metrics.producers.set(connected as f64);
		self.channels.send_replace(channels);
		let online = self.is_online();
		self.online
			.send_if_modified(|current| std::mem::replace(current, online) != online);
	}

	/// Whether it goes on, and the conditions are met by the producers it shows.
	pub(super) fn is_online(&self) -> bool {
		let is_met =
			|online_when: &ChannelConditions| online_when.holds_without_panic(&self.channels());
		!self.has_ended.load(Ordering::Acquire) && self.online_when.as_ref().is_none_or(is_met)
	}

	fn producers(&self) -> MutexGuard<'_, BTreeMap<PeerId, Producer>> {
		// Nothing panics while it holds the lock; a poisoned one is still whole.
		self.producers
			.lock()
			.unwrap_or_else(PoisonError::into_inner)
	}
}

/// Follows the catalog and keeps the subscriptions as [`Subscriptions`] says.
struct Follower<D: Datum> {
	inlet: Arc<Inlet>,
	core: Subscriptions,
	epoch: Instant,
	catalog: watch::Receiver<Catalog>,
	writer: Writer<D>,
	/// Told by each attempt that was accepted.
	subscribed: (mpsc::Sender<Subscribed>, mpsc::Receiver<Subscribed>),
	/// The attempts that are on, one per producer at most.
	attempts: FuturesUnordered<BoxFuture<'static, (PeerId, Outcome)>>,
	/// When the first ticket of an eligible producer expires.
	expiry: Expiration,
	end: CancellationToken,
}

impl<D: Datum> Follower<D> {
	fn new(
		inlet: Arc<Inlet>,
		writer: Writer<D>,
		backoff: Box<dyn Fn() -> Box<dyn Backoff> + Send + Sync>,
		end: CancellationToken,
	) -> Self {
		Self {
			catalog: inlet.streams.0.discovery.catalog_watch(),
			inlet,
			core: Subscriptions::new(backoff),
			epoch: Instant::now(),
			writer,
			subscribed: mpsc::channel(REPORTS),
			attempts: FuturesUnordered::new(),
			expiry: Expiration::Never,
			end,
		}
	}

	async fn run(mut self) {
		self.on_catalog();
		let end = self.end.clone();
		loop {
			let wake = self.next_wake();
			tokio::select! {
				biased;
				() = end.cancelled() => {
					// Before the reader sees the end.
					self.inlet.has_ended.store(true, Ordering::Release);
					return;
				}
				// Before the ends, which come later.
				Some((peer, seen)) = self.subscribed.1.recv() => {
					self.on_subscribed(peer);
					// Fails when the attempt has ended meanwhile.
					let _ = seen.send(());
				}
				Some((peer, outcome)) = self.attempts.next() => self.on_ended(peer, outcome),
				Ok(()) = self.catalog.changed() => self.on_catalog(),
				() = sleep_until(wake) => {
					// A ticket may have expired, or a pause be over.
					self.on_catalog();
					self.handle(Input::Tick);
				}
			}
		}
	}

	fn next_wake(&self) -> Option<Duration> {
		let pause = self
			.core
			.deadline()
			.map(|deadline| deadline.since(self.now().mono));
		// The wall clock may be set while we wait.
		let expiry = self.expiry.remaining_at(Utc::now());
		let expiry = expiry.map(|remaining| remaining.min(Duration::from_secs(60)));
		[pause, expiry].into_iter().flatten().min()
	}

	fn on_catalog(&mut self) {
		let catalog = self.catalog.borrow_and_update().clone();
		let stream = self.inlet.config.stream_id;
		self.expiry = Expiration::Never;
		let mut eligible = BTreeMap::new();
		for info in catalog
			.infos()
			.filter(|info| info.streams().contains(&stream))
		{
			let Ok(until) = self.inlet.requirements.admit(info) else {
				continue;
			};
			if until.is_expired() {
				continue;
			}
			self.expiry = self.expiry.min(until);
			eligible.insert(*info.id(), info.update_version());
		}
		self.inlet.producers().retain(|peer, producer| {
			if eligible.contains_key(peer) {
				if let Some(info) = catalog.info(peer)
					&& info.update_version() != producer.info.peer().update_version()
				{
					producer.info = producer.info.clone().with_peer(info);
				}
				return true;
			}
			let offers = catalog
				.get(peer)
				.is_some_and(|entry| entry.streams().contains(&stream));
			let info = catalog.info(peer);
			let info = info.as_ref().unwrap_or_else(|| producer.info.peer_info());
			if !offers
				&& producer.active
				&& let Ok(until) = self.inlet.requirements.admit(info)
				&& !until.is_expired()
			{
				// It has ended its stream or left: what it has sent is still coming,
				// its first answer perhaps too.
				self.expiry = self.expiry.min(until);
				eligible.insert(*peer, info.update_version());
				return true;
			}
			producer.state.send_replace(State::Terminated);
			producer.end.cancel();
			false
		});
		self.inlet.publish();
		self.handle(Input::Eligible(eligible, catalog.local().update_version()));
	}

	fn on_subscribed(&mut self, peer: PeerId) {
		self.inlet.set_state(&peer, State::Connected);
		self.handle(Input::Subscribed(peer));
	}

	fn on_ended(&mut self, peer: PeerId, outcome: Outcome) {
		if let Some(producer) = self.inlet.producers().get_mut(&peer) {
			producer.active = false;
		}
		self.inlet.set_state(&peer, State::Connecting);
		self.handle(Input::Ended(peer, outcome));
		// Does it still offer the stream?
		self.on_catalog();
	}

	fn handle(&mut self, input: Input) {
		self.core.handle(self.now(), input);
		while let Some(output) = self.core.poll() {
			match output {
				Output::Subscribe { peer, sync } => self.subscribe(peer, sync),
				Output::Cancel(peer) => {
					if let Some(producer) = self.inlet.producers().get(&peer) {
						producer.end.cancel();
					}
				}
				Output::GaveUp(peer) => self.inlet.set_state(&peer, State::Terminated),
			}
		}
	}

	/// Starts an attempt, which is waited for among the others.
	fn subscribe(&mut self, peer: PeerId, sync: bool) {
		let info = self.catalog.borrow().info(&peer);
		let Some(info) = info else {
			// It left between the decision and now: the next change says so.
			let ended = Input::Ended(peer, Outcome::Retry);
			return self.core.handle(self.now(), ended);
		};
		let end = self.end.child_token();
		let stats = self.add_producer(info.clone(), end.clone());
		let reader = ProducerReader {
			inlet: self.inlet.clone(),
			info,
			stats,
			writer: self.writer.clone(),
			subscribed: self.subscribed.0.clone(),
		};
		let (ended, outcome) = oneshot::channel();
		self.inlet
			.streams
			.0
			.tasks
			.spawn("streams.subscribe", async move {
				let outcome = tokio::select! {
					biased;
					() = end.cancelled() => Outcome::Retry,
					outcome = reader.run(sync) => outcome,
				};
				// Fails when the consumer is gone.
				let _ = ended.send(outcome);
			});
		// The datum's decoder may panic, which ends the attempt as well.
		let outcome = outcome.map(move |outcome| (peer, outcome.unwrap_or(Outcome::Retry)));
		self.attempts.push(outcome.boxed());
	}

	/// Shows the producer among the consumer's. Its statistics go on over
	/// reconnections.
	fn add_producer(&self, info: PeerInfo, end: CancellationToken) -> Arc<Stats> {
		let peer = *info.id();
		let mut producers = self.inlet.producers();
		if let Some(producer) = producers.get_mut(&peer) {
			producer.end = end;
			producer.active = true;
			producer.state.send_replace(State::Connecting);
			return producer.stats.clone();
		}
		let (state, state_watch) = watch::channel(State::Connecting);
		let stats = Arc::new(Stats::default());
		let ends = (peer, self.inlet.streams.local_id());
		let ConsumerConfig {
			stream_id,
			criteria,
		} = self.inlet.config;
		let info = ChannelInfo::new(stream_id, ends, criteria, info, state_watch, stats.clone());
		producers.insert(
			peer,
			Producer {
				info,
				state,
				stats: stats.clone(),
				active: true,
				end,
			},
		);
		drop(producers);
		self.inlet.publish();
		stats
	}

	fn now(&self) -> Now {
		Now {
			mono: CoreInstant::default() + self.epoch.elapsed(),
			wall_ms: 0,
		}
	}
}

async fn sleep_until(wake: Option<Duration>) {
	match wake {
		Some(pause) => time::sleep(pause).await,
		None => std::future::pending().await,
	}
}

/// Reads from one producer.
struct ProducerReader<D: Datum> {
	inlet: Arc<Inlet>,
	info: PeerInfo,
	stats: Arc<Stats>,
	writer: Writer<D>,
	subscribed: mpsc::Sender<Subscribed>,
}

/// A producer that accepted, and whom to tell that this is shown.
type Subscribed = (PeerId, oneshot::Sender<()>);

/// Why reading ended: a code, if there was one.
type Ended = Option<CloseCode>;

impl<D: Datum> ProducerReader<D> {
	/// One attempt, from the catalog exchange to the end of the subscription.
	async fn run(&self, sync: bool) -> Outcome {
		if sync {
			let address = self.info.address().clone();
			// Whether it worked shows in the answer of the producer.
			let sync = self.inlet.streams.0.discovery.sync_with(address);
			let _ = time::timeout(SYNC_PATIENCE, sync).await;
		}
		let code = match self.subscribe().await {
			Ok(lane) => {
				self.stats.start();
				self.report_subscribed().await;
				self.read(lane).await
			}
			Err(code) => code,
		};
		tracing::debug!(
			stream = %self.inlet.config.stream_id.short(),
			producer = %self.info.id().short(),
			?code,
			"subscription ended"
		);
		Outcome::of(code)
	}

	/// Nothing is read before the subscription is shown: who has a datum finds the
	/// producer connected.
	async fn report_subscribed(&self) {
		let (seen, is_seen) = oneshot::channel();
		// Both fail when the consumer is gone.
		if self.subscribed.send((*self.info.id(), seen)).await.is_ok() {
			let _ = is_seen.await;
		}
	}

	async fn subscribe(&self) -> Result<Lane, Ended> {
		let ConsumerConfig {
			stream_id,
			criteria,
		} = self.inlet.config;
		let peers = &self.inlet.streams.0.peers;
		let address = self.info.address().clone();
		let opened = peers.open(address, Protocol::Streams).await;
		let mut lane = opened.map_err(|error| error.code())?;
		let discovery = &self.inlet.streams.0.discovery;
		let subscribe = Subscribe {
			stream: stream_id,
			criteria,
			version: discovery.me().update_version(),
		};
		let handshake = async {
			let mut chunks = [request(&subscribe)];
			frame::write_frames(&mut lane.send, &mut chunks)
				.await
				.map_err(|e| e.code())?;
			lane.recv
				.next(wire::MAX_HANDSHAKE)
				.await
				.map_err(|e| e.code())
		};
		let answer = time::timeout(HANDSHAKE_TIMEOUT, handshake)
			.await
			.map_err(|_| None)??;
		match answer.and_then(|bytes| wire::deserialize::<Answer>(&bytes).ok()) {
			Some(Answer::Accepted) => Ok(lane),
			Some(Answer::Refused(code)) => Err(Some(CloseCode(code))),
			None => Err(Some(CloseCode::ProtocolViolation)),
		}
	}

	/// Hands on datums until the subscription ends.
	async fn read(&self, mut lane: Lane) -> Ended {
		let mut batch = Vec::new();
		let mut receipts = Receipts::default();
		let mut acking = true;
		loop {
			let bytes = match self.read_batch(&mut lane.recv, &mut batch).await {
				Ok(Some(bytes)) => bytes,
				Ok(None) => return Some(CloseCode::Success),
				Err(code) => {
					// What came before the end was sent to us: hand it on.
					if !batch.is_empty() {
						let _ = self.writer.push(&mut batch, 0).await;
					}
					if code == Some(CloseCode::ProtocolViolation) {
						lane.recv.stop(CloseCode::ProtocolViolation);
					}
					return code;
				}
			};
			let datums = batch.len();
			self.stats.add(datums, bytes);
			self.inlet.stats.add(datums, bytes);
			self.inlet.metrics.received(datums as u64, bytes as u64);
			if self.writer.push(&mut batch, bytes).await.is_err() {
				return Some(CloseCode::Cancelled);
			}
			let read = bytes + datums * wire::FRAME_HEADER;
			if let Some(ack) = receipts.read(read as u64, datums as u64)
				&& acking
			{
				// A producer that has ended the stream wants no more of them, but what
				// it has sent is still to be read.
				let mut chunks = [request(&ack)];
				acking = frame::write_frames(&mut lane.send, &mut chunks)
					.await
					.is_ok();
			}
		}
	}

	/// Waits for a datum and takes along what has come with it.
	async fn read_batch(
		&self,
		recv: &mut FrameReader,
		batch: &mut Vec<D>,
	) -> Result<Option<usize>, Ended> {
		let first = recv
			.next(wire::MAX_DATUM)
			.await
			.map_err(|error| violation_or(&error))?;
		let Some(frame) = first else { return Ok(None) };
		let mut bytes = frame.len();
		self.decode(frame, batch)?;
		while batch.len() < DECODE_BATCH {
			let buffered = recv.try_buffered(wire::MAX_DATUM);
			let Some(frame) = buffered.map_err(|error| violation_or(&error))? else {
				break;
			};
			bytes += frame.len();
			self.decode(frame, batch)?;
		}
		Ok(Some(bytes))
	}

	fn decode(&self, frame: Bytes, batch: &mut Vec<D>) -> Result<(), Ended> {
		match D::decode_from(frame) {
			Ok(datum) => {
				batch.push(datum);
				Ok(())
			}
			Err(error) => {
				tracing::warn!(
					stream = %self.inlet.config.stream_id.short(),
					producer = %self.info.id().short(),
					datum = std::any::type_name::<D>(),
					%error,
					"cannot decode what the producer sends: does it use another type \
					 under the same stream id?"
				);
				Err(Some(CloseCode::ProtocolViolation))
			}
		}
	}
}

/// What the consumer says, as a frame.
fn request<T: Datum>(message: &T) -> Bytes {
	let mut buffer = BytesMut::new();
	wire::append_frame(message, &mut buffer, wire::MAX_HANDSHAKE)
		// Ids and numbers, far below the limit.
		.expect("a request always has an encoding");
	buffer.freeze()
}

/// The code of a read error; a frame that breaks the rules has ours.
const fn violation_or(error: &frame::ReadError) -> Ended {
	match error {
		frame::ReadError::TooLong(_) | frame::ReadError::Truncated => {
			Some(CloseCode::ProtocolViolation)
		}
		_ => error.code(),
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::{
			runtime::queue::{Capacity, queue},
			streams::{Criteria, backoff::ExponentialBackoff, tests::start},
		},
		mosaik_proto::{SecretKey, discovery::PeerEntryVersion, id::NetworkId},
	};

	#[tokio::test]
	async fn an_attempt_that_cannot_begin_has_ended_however_much_is_going_on() {
		let network = start(NetworkId::random()).await;
		let config = ConsumerConfig {
			stream_id: "stream".into(),
			criteria: Criteria::default(),
		};
		let inlet = Inlet::new(network.streams(), config, Requirements::default(), None);
		let capacity = Capacity { items: 1, bytes: 1 };
		let (writer, _reader) = queue::<u64>(capacity);
		let backoff = Box::new(|| Box::<ExponentialBackoff>::default() as Box<dyn Backoff>);
		let mut follower = Follower::new(inlet, writer, backoff, CancellationToken::new());
		let peer = SecretKey::from_bytes(&[1; 32]).public();
		for _ in 0..REPORTS {
			let (seen, _) = oneshot::channel();
			follower.subscribed.0.try_send((peer, seen)).unwrap();
		}
		let version = PeerEntryVersion::default();
		follower.handle(Input::Eligible([(peer, version)].into(), version));
		assert!(follower.core.deadline().is_some(), "it is tried again");
	}
}
