//! A producer's queue and its consumers, without the type of the datum.
//!
//! What happens to the queue is decided by [`Fanout`]; here it meets threads:
//! one short lock per datum, one wake-up per idle consumer.

use {
	super::{
		ChannelConditions, ChannelInfo, Criteria, State, Stats, Streams, When,
		producer::EncodeError,
	},
	crate::runtime::when::Channels,
	bytes::Bytes,
	mosaik_proto::{
		core::Instant as CoreInstant,
		discovery::PeerInfo,
		id::{ShortFmtExt, StreamId},
		streams::{ConsumerKey, Fanout, FanoutLimits, Lagging, PushError, Requirements},
		tickets::Expiration,
		wire::{self, CloseCode, Datum},
	},
	std::{
		collections::{BTreeMap, BTreeSet},
		pin::Pin,
		sync::{
			Arc, Mutex, MutexGuard, PoisonError,
			atomic::{AtomicBool, Ordering},
		},
		time::{Duration, Instant},
	},
	tokio::sync::{Notify, futures::Notified, watch},
};

/// How much memory a producer's queue may hold, in bytes; a single larger datum
/// passes when the queue is empty.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// The bounds that the user sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
	pub(super) datums: u64,
	pub(super) lagging: Lagging,
	pub(super) consumers: usize,
}

/// Why a datum was not taken.
pub(super) enum Refused {
	Closed,
	Offline,
	Full,
	Encode(EncodeError),
}

/// One subscribed consumer, as its writer sees it.
pub(super) struct Slot {
	pub(super) key: ConsumerKey,
	pub(super) stats: Arc<Stats>,
	/// There are datums to take, or the stream has ended.
	pub(super) ready: Arc<Notify>,
	/// Set when the consumer is cut.
	pub(super) cut: watch::Receiver<Option<CloseCode>>,
	state: watch::Sender<State>,
}

struct Subscriber {
	ready: Arc<Notify>,
	cut: watch::Sender<Option<CloseCode>>,
	info: ChannelInfo,
}

struct Inner {
	fanout: Fanout,
	subscribers: BTreeMap<ConsumerKey, Subscriber>,
}

/// Consumers, and what the user's conditions say of them.
struct ConsumerSet {
	channels: Channels<ChannelInfo>,
	suffices: bool,
}

/// See the [module](self).
pub(super) struct Outlet {
	stream: StreamId,
	limits: Limits,
	requirements: Requirements,
	/// Held by whoever changes the set of consumers, while the user's conditions
	/// judge it; before `inner`.
	changing: Mutex<()>,
	inner: Mutex<Inner>,
	room: Notify,
	closed: AtomicBool,
	online: AtomicBool,
	online_watch: watch::Sender<bool>,
	online_when: ChannelConditions,
	channels: watch::Sender<Channels<ChannelInfo>>,
	when: When,
	epoch: Instant,
	pub(super) metrics: super::metrics::ProducerMetrics,
}

impl Outlet {
	pub(super) fn new(
		streams: &Streams,
		stream: StreamId,
		limits: Limits,
		requirements: Requirements,
		online_when: &dyn Fn(ChannelConditions) -> ChannelConditions,
	) -> Arc<Self> {
		let (channels, channels_watch) = watch::channel(Channels::from([]));
		let online_when = online_when(ChannelConditions::new(channels_watch.clone()));
		let online = online_when.is_condition_met();
		let (online_sender, online_watch) = watch::channel(online);
		Arc::new(Self {
			stream,
			limits,
			requirements,
			changing: Mutex::new(()),
			inner: Mutex::new(Inner {
				fanout: Fanout::new(FanoutLimits {
					datums: limits.datums,
					bytes: MAX_QUEUED_BYTES,
					lagging: limits.lagging,
				}),
				subscribers: BTreeMap::new(),
			}),
			room: Notify::new(),
			closed: AtomicBool::new(false),
			online: AtomicBool::new(online),
			online_watch: online_sender,
			online_when,
			channels,
			when: When::new(online_watch, channels_watch),
			epoch: Instant::now(),
			metrics: super::metrics::ProducerMetrics::new(streams.network_id(), &stream),
		})
	}

	pub(super) const fn stream_id(&self) -> &StreamId {
		&self.stream
	}

	pub(super) const fn when(&self) -> &When {
		&self.when
	}

	pub(super) fn channels(&self) -> Channels<ChannelInfo> {
		self.channels.borrow().clone()
	}

	pub(super) fn is_online(&self) -> bool {
		self.online.load(Ordering::Acquire)
	}

	pub(super) fn is_closed(&self) -> bool {
		self.closed.load(Ordering::Acquire)
	}

	/// Whether a push would be taken.
	pub(super) fn is_ready(&self) -> bool {
		self.is_online() && self.lock().fanout.has_room()
	}

	/// Encodes the datum for every consumer. Returns whether there was one.
	pub(super) fn push<D: Datum>(&self, datum: &D) -> Result<bool, Refused> {
		let mut guard = self.lock();
		// Both are set under the lock: what is pushed from here on has a taker.
		if self.is_closed() {
			return Err(Refused::Closed);
		}
		if !self.is_online() {
			return Err(Refused::Offline);
		}
		let Inner {
			fanout,
			subscribers,
		} = &mut *guard;
		let encode = |buffer: &mut _| wire::begin_frame(datum, buffer, wire::MAX_DATUM);
		let wake = |key| {
			if let Some(subscriber) = subscribers.get(&key) {
				subscriber.ready.notify_one();
			}
		};
		match fanout.push(encode, wake) {
			Ok(()) => Ok(fanout.consumers() > 0),
			Err(PushError::Full) => {
				self.cut_lagging(guard);
				Err(Refused::Full)
			}
			Err(PushError::Encode(error)) => {
				self.metrics.dropped.increment(1);
				Err(Refused::Encode(EncodeError::new(error)))
			}
		}
	}

	/// Cuts the consumers that the fan-out says lag too far behind.
	fn cut_lagging(&self, mut inner: MutexGuard<'_, Inner>) {
		let cut = inner.fanout.cut(self.now());
		if cut.is_empty() {
			return;
		}
		for (key, missed) in &cut {
			self.metrics.dropped.increment(*missed);
			if let Some(subscriber) = inner.subscribers.get(key) {
				tracing::debug!(
					stream = %self.stream.short(),
					consumer = %subscriber.info.consumer_id().short(),
					"consumer fell too far behind, disconnecting it"
				);
				subscriber.cut.send_replace(Some(CloseCode::TooSlow));
			}
		}
		if inner.fanout.consumers() == 0 {
			// Nobody is there for what is sent until the user's conditions are asked.
			self.online.store(false, Ordering::Release);
		}
		drop(inner);
		// Where the set is being changed, by the user's conditions perhaps, the writer
		// of each consumer does it.
		if let Ok(changing) = self.changing.try_lock() {
			let keys: BTreeSet<ConsumerKey> = cut.iter().map(|(key, _)| *key).collect();
			self.remove(&changing, &keys);
		}
		self.room.notify_waiters();
	}

	/// Resolves at the next change that may make room; see [`wait`](Self::wait).
	pub(super) fn wait_for_room(&self) -> Notified<'_> {
		self.room.notified()
	}

	/// Waits for `room`, or until a stalled consumer is due to be cut.
	pub(super) async fn wait(&self, room: Pin<&mut Notified<'_>>) {
		let deadline = self.lock().fanout.cut_deadline();
		match deadline {
			None => room.await,
			Some(deadline) => {
				let pause = deadline.since(self.now());
				// Whichever comes first: the caller looks again.
				let _ = tokio::time::timeout(pause, room).await;
			}
		}
	}

	/// Resolves when a push may be taken or the outlet is closed.
	pub(super) async fn ready(self: Arc<Self>) {
		loop {
			let room = self.room.notified();
			tokio::pin!(room);
			room.as_mut().enable();
			if self.is_closed() || self.is_ready() {
				return;
			}
			self.cut_lagging(self.lock());
			if self.is_ready() {
				return;
			}
			self.wait(room).await;
		}
	}

	/// Until when the peer may be a consumer.
	pub(super) fn admit(&self, peer: &PeerInfo) -> Result<Expiration, CloseCode> {
		self.requirements
			.admit(peer)
			.map_err(|_| CloseCode::NotAllowed)
	}

	/// Adds a consumer, which gets every datum pushed from now on.
	pub(super) fn subscribe(
		&self,
		producer: mosaik_proto::PeerId,
		peer: PeerInfo,
		criteria: Criteria,
	) -> Result<Slot, CloseCode> {
		let _changing = self.changing();
		if self.is_closed() {
			return Err(CloseCode::StreamNotFound);
		}
		if self.lock().fanout.consumers() >= self.limits.consumers {
			return Err(CloseCode::NoCapacity);
		}
		let ready = Arc::new(Notify::new());
		let (cut_sender, cut) = watch::channel(None);
		let (state, state_watch) = watch::channel(State::Connected);
		let stats = Arc::new(Stats::default());
		stats.start();
		let ends = (producer, *peer.id());
		let info = ChannelInfo::new(
			self.stream,
			ends,
			criteria,
			peer,
			state_watch,
			stats.clone(),
		);
		let mut channels = self.infos(|_, info| Some(info.clone()));
		channels.push(info.clone());
		let set = self.judge(channels);
		let mut inner = self.lock();
		if self.is_closed() {
			return Err(CloseCode::StreamNotFound);
		}
		let key = inner.fanout.subscribe();
		let subscriber = Subscriber {
			ready: ready.clone(),
			cut: cut_sender,
			info,
		};
		inner.subscribers.insert(key, subscriber);
		self.publish(&inner, set);
		drop(inner);
		self.metrics.accepted.increment(1);
		self.room.notify_waiters();
		Ok(Slot {
			key,
			stats,
			ready,
			cut,
			state,
		})
	}

	/// A consumer's entry has changed: conditions may count it differently.
	pub(super) fn update(&self, slot: &Slot, peer: PeerInfo) {
		let _changing = self.changing();
		let renewed = |info: &ChannelInfo| info.clone().with_peer(peer.clone());
		let channels = self.infos(|key, info| {
			let is_it = key == slot.key;
			Some(if is_it { renewed(info) } else { info.clone() })
		});
		let set = self.judge(channels);
		let mut inner = self.lock();
		if let Some(subscriber) = inner.subscribers.get_mut(&slot.key) {
			subscriber.info = renewed(&subscriber.info);
		}
		self.publish(&inner, set);
	}

	/// Removes a consumer, if it is still there. What one missed that was cut has
	/// been counted.
	pub(super) fn unsubscribe(&self, slot: &Slot) {
		self.remove(&self.changing(), &BTreeSet::from([slot.key]));
		slot.state.send_replace(State::Terminated);
		self.room.notify_waiters();
	}

	/// Removes consumers, those of them that are still there.
	fn remove(&self, _changing: &MutexGuard<'_, ()>, keys: &BTreeSet<ConsumerKey>) {
		let channels = self.infos(|key, info| (!keys.contains(&key)).then(|| info.clone()));
		let set = self.judge(channels);
		let mut inner = self.lock();
		for key in keys {
			let missed = inner.fanout.unsubscribe(*key);
			self.metrics.dropped.increment(missed);
			inner.subscribers.remove(key);
		}
		self.publish(&inner, set);
	}

	/// The consumers as they are to be shown, those left out for which there is
	/// `None`.
	fn infos(
		&self,
		show: impl Fn(ConsumerKey, &ChannelInfo) -> Option<ChannelInfo>,
	) -> Vec<ChannelInfo> {
		let inner = self.lock();
		let consumers = inner.subscribers.iter();
		consumers
			.filter_map(|(key, subscriber)| show(*key, &subscriber.info))
			.collect()
	}

	/// Asks the user whether these consumers suffice to be online. Without the
	/// lock: the user's code may use this producer, and may panic.
	fn judge(&self, channels: Vec<ChannelInfo>) -> ConsumerSet {
		let channels = Channels::from(channels);
		let suffices = self.online_when.holds_without_panic(&channels);
		ConsumerSet { channels, suffices }
	}

	/// Takes what there is for a consumer, see [`Fanout::take`].
	pub(super) fn take(&self, slot: &Slot, max_bytes: usize, out: &mut Vec<Bytes>) -> u64 {
		let now = self.now();
		let taken = self.lock().fanout.take(now, slot.key, max_bytes, out);
		// Also when there was nothing to take: one that waits makes room to overtake.
		self.room.notify_waiters();
		taken
	}

	/// Ends the stream: consumers get what was sent, and nothing more is taken.
	pub(super) fn close(&self) {
		let inner = self.lock();
		self.closed.store(true, Ordering::Release);
		for subscriber in inner.subscribers.values() {
			subscriber.ready.notify_one();
		}
		self.online.store(false, Ordering::Release);
		drop(inner);
		self.online_watch.send_replace(false);
		self.room.notify_waiters();
	}

	/// Publishes the set of consumers and whether they suffice to be online.
	fn publish(&self, inner: &Inner, set: ConsumerSet) {
		let online = !self.is_closed() && set.suffices;
		// First, so that who was told of a subscription finds it so.
		self.online.store(online, Ordering::Release);
		self.channels.send_replace(set.channels);
		self.metrics.consumers.set(inner.subscribers.len() as f64);
		self.online_watch
			.send_if_modified(|current| std::mem::replace(current, online) != online);
	}

	fn now(&self) -> CoreInstant {
		CoreInstant::default() + Duration::from_micros(1).max(self.epoch.elapsed())
	}

	fn changing(&self) -> MutexGuard<'_, ()> {
		// It guards no data that could be torn.
		self.changing.lock().unwrap_or_else(PoisonError::into_inner)
	}

	fn lock(&self) -> MutexGuard<'_, Inner> {
		// An encoder of the user may panic in `push`, which appends last: the
		// state is whole, only the frame is missing.
		self.inner.lock().unwrap_or_else(PoisonError::into_inner)
	}
}
