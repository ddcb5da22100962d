//! What is known of one subscription, from either side.

use {
	super::Criteria,
	crate::runtime::when::Countable,
	mosaik_proto::{
		PeerId,
		discovery::{PeerEntry, PeerInfo},
		id::{ShortFmtExt, StreamId},
	},
	std::{
		fmt,
		future::Future,
		sync::{
			Arc, OnceLock,
			atomic::{AtomicUsize, Ordering},
		},
		time::{Duration, Instant},
	},
	tokio::sync::watch,
};

/// How far a subscription has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
	/// Being set up, or waiting to be tried again.
	Connecting,
	/// Datums flow.
	Connected,
	/// Over: it will not be tried again.
	Terminated,
}

/// What has gone through a subscription, or through a consumer in all.
#[derive(Debug, Default)]
pub struct Stats {
	datums: AtomicUsize,
	bytes: AtomicUsize,
	since: OnceLock<Instant>,
}

impl Stats {
	/// How many datums.
	pub fn datums(&self) -> usize {
		self.datums.load(Ordering::Relaxed)
	}

	/// How many bytes, encoded.
	pub fn bytes(&self) -> usize {
		self.bytes.load(Ordering::Relaxed)
	}

	/// For how long it has been connected, `None` if it never was.
	pub fn uptime(&self) -> Option<Duration> {
		self.since.get().map(Instant::elapsed)
	}

	pub(super) fn start(&self) {
		self.since.get_or_init(Instant::now);
	}

	pub(super) fn add(&self, datums: usize, bytes: usize) {
		self.datums.fetch_add(datums, Ordering::Relaxed);
		self.bytes.fetch_add(bytes, Ordering::Relaxed);
	}
}

impl fmt::Display for Stats {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{} datums, {}", self.datums(), HumanBytes(self.bytes()))?;
		match self.uptime() {
			Some(uptime) => write!(f, ", up {}s", uptime.as_secs()),
			None => f.write_str(", never connected"),
		}
	}
}

/// Bytes in the unit that makes them readable.
struct HumanBytes(usize);

impl fmt::Display for HumanBytes {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		#[expect(clippy::cast_precision_loss, reason = "one decimal is printed")]
		let mut value = self.0 as f64;
		let mut unit = "B";
		for next in ["KiB", "MiB", "GiB", "TiB"] {
			if value < 1024.0 {
				break;
			}
			value /= 1024.0;
			unit = next;
		}
		if unit == "B" {
			write!(f, "{} B", self.0)
		} else {
			write!(f, "{value:.1} {unit}")
		}
	}
}

/// One subscription, as the producer or the consumer sees it. Cheap to clone.
#[derive(Clone)]
pub struct ChannelInfo {
	stream: StreamId,
	producer: PeerId,
	consumer: PeerId,
	criteria: Criteria,
	peer: PeerInfo,
	state: watch::Receiver<State>,
	stats: Arc<Stats>,
}

impl ChannelInfo {
	pub(super) const fn new(
		stream: StreamId,
		(producer, consumer): (PeerId, PeerId),
		criteria: Criteria,
		peer: PeerInfo,
		state: watch::Receiver<State>,
		stats: Arc<Stats>,
	) -> Self {
		Self {
			stream,
			producer,
			consumer,
			criteria,
			peer,
			state,
			stats,
		}
	}

	/// The same subscription with a newer entry of the other side.
	pub(super) fn with_peer(self, peer: PeerInfo) -> Self {
		Self { peer, ..self }
	}

	/// The stream.
	pub const fn stream_id(&self) -> &StreamId {
		&self.stream
	}

	/// The peer that sends.
	pub const fn producer_id(&self) -> &PeerId {
		&self.producer
	}

	/// The peer that receives.
	pub const fn consumer_id(&self) -> &PeerId {
		&self.consumer
	}

	/// Which datums the consumer asked for.
	pub const fn criteria(&self) -> &Criteria {
		&self.criteria
	}

	/// The entry of the other side, as it was when this was asked for.
	pub fn peer(&self) -> &PeerEntry {
		&self.peer
	}

	pub(super) const fn peer_info(&self) -> &PeerInfo {
		&self.peer
	}

	/// How far it has come.
	pub fn state(&self) -> State {
		*self.state.borrow()
	}

	/// Follows the state.
	pub const fn state_watcher(&self) -> &watch::Receiver<State> {
		&self.state
	}

	/// Whether datums flow.
	pub fn is_connected(&self) -> bool {
		self.state() == State::Connected
	}

	/// What has gone through it.
	pub fn stats(&self) -> &Stats {
		&self.stats
	}

	/// Resolves when the subscription is not connected any more, at once if it
	/// is not connected now.
	pub fn disconnected(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
		let mut state = self.state.clone();
		async move {
			// An error means that its owner is gone: disconnected as well.
			let _ = state.wait_for(|state| *state != State::Connected).await;
		}
	}
}

impl fmt::Debug for ChannelInfo {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("ChannelInfo")
			.field("stream", &self.stream.short())
			.field("producer", &self.producer.short())
			.field("consumer", &self.consumer.short())
			.field("state", &self.state())
			.finish_non_exhaustive()
	}
}

impl Countable for ChannelInfo {
	fn entry(&self) -> &PeerEntry {
		&self.peer
	}

	fn is_up(&self) -> bool {
		self.is_connected()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn stats_are_readable() {
		let stats = Stats::default();
		assert_eq!(stats.to_string(), "0 datums, 0 B, never connected");
		stats.start();
		stats.add(2, 1536);
		assert_eq!(stats.to_string(), "2 datums, 1.5 KiB, up 0s");
		assert_eq!(HumanBytes(5 << 30).to_string(), "5.0 GiB");
	}
}
