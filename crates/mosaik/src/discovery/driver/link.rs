//! A link: one lane to a neighbour and one task that serves both directions.
//!
//! Most links are idle most of the time and there may be many: one that is idle
//! holds no buffer and no queue.

use {
	super::Driver,
	crate::network::{
		frame::{self, FrameReader, ReadError},
		link::{Lane, LaneGuard},
	},
	bytes::{Bytes, BytesMut},
	iroh::endpoint::SendStream,
	mosaik_proto::{
		PeerId,
		discovery::Message,
		id::ShortFmtExt,
		wire::{self, CloseCode},
	},
	std::{
		collections::VecDeque,
		pin::pin,
		sync::{Arc, Mutex, MutexGuard, PoisonError},
		time::Duration,
	},
	tokio::{sync::Notify, time},
	tokio_util::sync::CancellationToken,
};

/// How many messages may wait to be written to a neighbour. One that is further
/// behind is dropped as a neighbour: a sync repairs what it missed.
const QUEUE: usize = 512;

/// How many messages are written in one go.
const BATCH: usize = 64;

/// How many messages are still taken in from a neighbour that takes no more.
const LAST_WORDS: usize = 512;

/// How long the last messages may take to arrive.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Tells links to the same peer apart.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkId(u64);

impl LinkId {
	/// Returns this id and moves on to the next.
	pub(super) fn advance(&mut self) -> Self {
		let id = *self;
		self.0 += 1;
		id
	}
}

/// The handle of a link. Dropping it lets the link write what is queued.
pub(super) struct Link {
	id: LinkId,
	opened_by_us: bool,
	guard: LaneGuard,
	shared: Arc<Shared>,
	ended: CancellationToken,
}

/// What the handle tells the task.
#[derive(Default)]
struct Shared {
	outgoing: Mutex<Outgoing>,
	/// The task is to look at it.
	changed: Notify,
}

#[derive(Default)]
struct Outgoing {
	messages: VecDeque<Message>,
	end: End,
}

/// Whether the handle wants the link to end, and how.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum End {
	#[default]
	No,
	/// When everything is written.
	Finish,
	/// At once.
	Close(CloseCode),
}

impl Link {
	/// Starts the task of a link.
	pub(super) fn start(driver: &Driver, id: LinkId, lane: Lane, opened_by_us: bool) -> Self {
		let guard = lane.guard.clone();
		let shared = Arc::new(Shared::default());
		let ended = CancellationToken::new();
		let task = Task {
			driver: driver.clone(),
			id,
			peer: guard.peer(),
			shared: shared.clone(),
		};
		// However the task ends.
		let tell = ended.clone().drop_guard();
		driver
			.tasks
			.spawn_until_done("discovery.link", move |node| async move {
				task.run(lane, node).await;
				drop(tell);
			});
		Self {
			id,
			opened_by_us,
			guard,
			shared,
			ended,
		}
	}

	pub(super) const fn id(&self) -> LinkId {
		self.id
	}

	pub(super) const fn opened_by_us(&self) -> bool {
		self.opened_by_us
	}

	pub(super) fn is_on_the_connection_of(&self, lane: &Lane) -> bool {
		self.guard.same_connection(&lane.guard)
	}

	/// Queues a message, or fails if the neighbour is too far behind.
	pub(super) fn send(&self, message: Message) -> Result<(), ()> {
		let mut outgoing = self.shared.lock();
		if outgoing.messages.len() >= QUEUE {
			// If the link has ended, its task has reported that.
			return if self.ended.is_cancelled() {
				Ok(())
			} else {
				Err(())
			};
		}
		outgoing.messages.push_back(message);
		drop(outgoing);
		self.shared.changed.notify_one();
		Ok(())
	}

	/// Ends the link at once and tells the neighbour why.
	pub(super) fn close(self, reason: CloseCode) {
		self.shared.lock().end = End::Close(reason);
		// Dropping it wakes the task.
	}

	/// Ends the link when what is queued has been written.
	pub(super) fn finish(self) {
		drop(self);
	}

	/// Is cancelled when everything was written, or never will be.
	pub(super) fn ended(&self) -> CancellationToken {
		self.ended.clone()
	}
}

impl Drop for Link {
	fn drop(&mut self) {
		let mut outgoing = self.shared.lock();
		if outgoing.end == End::No {
			outgoing.end = End::Finish;
		}
		drop(outgoing);
		self.shared.changed.notify_one();
	}
}

impl Shared {
	fn lock(&self) -> MutexGuard<'_, Outgoing> {
		// Nothing panics while it is held; if something did, the queue is whole.
		self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// What to write next, if there is `room`: nothing, if nothing waits.
	///
	/// # Errors
	/// When the link is to end.
	fn next(&self, room: bool) -> Result<Vec<Message>, Over> {
		let mut outgoing = self.lock();
		match outgoing.end {
			End::Close(code) => return Err(Over::Broken(code)),
			End::Finish if room && outgoing.messages.is_empty() => return Err(Over::Finished),
			End::Finish | End::No => {}
		}
		if !room {
			return Ok(Vec::new());
		}
		let count = outgoing.messages.len().min(BATCH);
		let batch = outgoing.messages.drain(..count).collect();
		if outgoing.messages.is_empty() {
			// An idle link keeps no memory of a burst.
			outgoing.messages = VecDeque::new();
		}
		Ok(batch)
	}
}

struct Task {
	driver: Driver,
	id: LinkId,
	peer: PeerId,
	shared: Arc<Shared>,
}

/// What a link ends with.
enum Over {
	/// Everything is written.
	Finished,
	/// What is left is not to be written, or cannot be.
	Broken(CloseCode),
	/// The node stops: the core need not be told.
	Stopped,
}

impl Task {
	/// Serves the lane until the link is over, and ends it.
	async fn run(self, lane: Lane, node: CancellationToken) {
		let Lane {
			mut send,
			mut recv,
			guard: _guard,
		} = lane;
		match self.serve(&mut send, &mut recv, &node).await {
			Over::Finished => {
				let _ = send.finish();
				// Resolves when the neighbour has everything. Our reader must live
				// till then: the neighbour takes its end for a reason not to go on.
				let _ = time::timeout(FINISH_TIMEOUT, send.stopped()).await;
			}
			Over::Broken(code) => {
				// Fails if the stream has ended: then there is nothing to reset.
				let _ = send.reset(frame::var_int(code));
				self.driver.link_down(self.id, self.peer);
			}
			Over::Stopped => {
				let _ = send.reset(frame::var_int(CloseCode::Cancelled));
			}
		}
	}

	/// Reads and writes until the link is over.
	async fn serve(
		&self,
		send: &mut SendStream,
		recv: &mut FrameReader,
		node: &CancellationToken,
	) -> Over {
		let mut stopped = pin!(node.cancelled());
		let mut frames = Bytes::new();
		loop {
			match self.shared.next(frames.is_empty()) {
				Err(over) => return over,
				Ok(batch) if batch.is_empty() => {}
				Ok(batch) => {
					frames = encode(&batch);
					continue;
				}
			}
			// Whichever is ready: neither direction holds up the other.
			tokio::select! {
				() = &mut stopped => return Over::Stopped,
				() = self.shared.changed.notified() => {}
				written = frame::write_some(send, &mut frames), if !frames.is_empty() => {
					if written.is_err() {
						break;
					}
				}
				frame = recv.next(wire::MAX_DISCOVERY) => {
					if !self.on_frame(frame) {
						return Over::Broken(CloseCode::Cancelled);
					}
				}
			}
		}
		// The neighbour takes no more, perhaps because it leaves: what it said
		// before it went has arrived and counts.
		for _ in 0..LAST_WORDS {
			let frame = recv.try_buffered(wire::MAX_DISCOVERY);
			if !self.on_frame(frame) {
				break;
			}
		}
		Over::Broken(CloseCode::Cancelled)
	}

	/// Hands on what a neighbour said; `false` if that was its last word.
	fn on_frame(&self, frame: Result<Option<Bytes>, ReadError>) -> bool {
		let peer = self.peer;
		let frame = match frame {
			Ok(Some(frame)) => frame,
			Ok(None) => return false,
			Err(error) => {
				tracing::trace!(peer = %peer.short(), %error, "a neighbour's link ended");
				return false;
			}
		};
		match Message::decode(&frame) {
			Ok(message) => self.driver.on_message(self.id, peer, message),
			Err(error) => {
				tracing::debug!(peer = %peer.short(), %error, "a neighbour sent nonsense");
				let code = CloseCode::ProtocolViolation;
				self.driver.peers.disconnect(&peer, code);
				return false;
			}
		}
		true
	}
}

fn encode(batch: &[Message]) -> Bytes {
	let mut frames = BytesMut::new();
	for message in batch {
		if let Err(error) = wire::append_frame(message, &mut frames, wire::MAX_DISCOVERY) {
			// The core keeps its messages below the limit.
			tracing::error!(%error, "a discovery message was not sent");
		}
	}
	frames.freeze()
}
