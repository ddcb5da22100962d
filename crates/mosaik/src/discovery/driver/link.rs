//! A link: one lane to a neighbour, one task that reads and one that writes.

use {
	super::Driver,
	crate::network::{
		frame::{self, FrameReader},
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
	std::time::Duration,
	tokio::{
		sync::{mpsc, watch},
		time,
	},
	tokio_util::sync::CancellationToken,
};

/// How many messages may wait to be written to a neighbour. One that is further
/// behind is dropped as a neighbour: a sync repairs what it missed.
const QUEUE: usize = 512;

/// How many messages are written in one go.
const BATCH: usize = 64;

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

/// Why a link's tasks are to stop, if not because the other side did.
type Reason = Option<CloseCode>;

/// The handle of a link. Dropping it lets the writer finish what is queued.
pub(super) struct Link {
	id: LinkId,
	opened_by_us: bool,
	guard: LaneGuard,
	queue: mpsc::Sender<Message>,
	close: watch::Sender<Reason>,
	ended: watch::Receiver<bool>,
}

impl Link {
	/// Starts the tasks of a link.
	pub(super) fn start(driver: &Driver, id: LinkId, lane: Lane, opened_by_us: bool) -> Self {
		let peer = lane.peer();
		let Lane { send, recv, guard } = lane;
		let (queue, messages) = mpsc::channel(QUEUE);
		let (close, closed) = watch::channel(None);
		let (ended_sender, ended) = watch::channel(false);
		let over = CancellationToken::new();

		let reader = driver.clone();
		let mut read_closed = closed.clone();
		let read_over = over.clone();
		driver.tasks.spawn("discovery.read", async move {
			tokio::select! {
				biased;
				() = read_over.cancelled() => {}
				// Not when the handle is dropped: the writer is to finish then, and
				// takes our end for a reason not to.
				Ok(_) = read_closed.wait_for(Option::is_some) => {}
				() = read(&reader, id, peer, recv) => {}
			}
			read_over.cancel();
			reader.link_down(id, peer);
		});

		let held = guard.clone();
		driver
			.tasks
			.spawn_until_done("discovery.write", move |node| async move {
				let writer = Writer {
					send,
					messages,
					closed,
				};
				writer.run(&over, &node).await;
				over.cancel();
				ended_sender.send_replace(true);
				drop(held);
			});
		Self {
			id,
			opened_by_us,
			guard,
			queue,
			close,
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
		match self.queue.try_send(message) {
			Ok(()) => Ok(()),
			Err(mpsc::error::TrySendError::Full(_)) => Err(()),
			// The link has ended; it is reported by its reader.
			Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
		}
	}

	/// Ends the link at once and tells the neighbour why.
	pub(super) fn close(self, reason: CloseCode) {
		self.close.send_replace(Some(reason));
	}

	/// Ends the link when what is queued has been written.
	pub(super) fn finish(self) {
		drop(self);
	}

	/// Becomes true when everything was written, or never will be.
	pub(super) fn ended(&self) -> watch::Receiver<bool> {
		self.ended.clone()
	}
}

/// Hands on messages until the link ends.
async fn read(driver: &Driver, id: LinkId, peer: PeerId, mut recv: FrameReader) {
	loop {
		let frame = match recv.next(wire::MAX_DISCOVERY).await {
			Ok(Some(frame)) => frame,
			Ok(None) => return,
			Err(error) => {
				tracing::trace!(peer = %peer.short(), %error, "a neighbour's link ended");
				return;
			}
		};
		match Message::decode(&frame) {
			Ok(message) => driver.on_message(id, peer, message),
			Err(error) => {
				tracing::debug!(peer = %peer.short(), %error, "a neighbour sent nonsense");
				recv.stop(CloseCode::ProtocolViolation);
				driver.peers.disconnect(&peer, CloseCode::ProtocolViolation);
				return;
			}
		}
	}
}

struct Writer {
	send: SendStream,
	messages: mpsc::Receiver<Message>,
	closed: watch::Receiver<Reason>,
}

impl Writer {
	async fn run(mut self, over: &CancellationToken, node: &CancellationToken) {
		let mut closed = self.closed.clone();
		let finished = tokio::select! {
			biased;
			Ok(_) = closed.wait_for(Option::is_some) => false,
			() = over.cancelled() => false,
			() = node.cancelled() => false,
			finished = self.write() => finished,
		};
		if finished {
			let _ = self.send.finish();
			// Resolves when the neighbour has everything.
			let _ = time::timeout(FINISH_TIMEOUT, self.send.stopped()).await;
		} else {
			let reason = self.closed.borrow().unwrap_or(CloseCode::Cancelled);
			// Fails if the stream has ended: then there is nothing to reset.
			let _ = self.send.reset(frame::var_int(reason));
		}
	}

	/// Writes messages until the queue is closed and empty; false if it broke.
	async fn write(&mut self) -> bool {
		// Grows with what comes: most links are idle most of the time.
		let mut batch = Vec::new();
		while self.messages.recv_many(&mut batch, BATCH).await > 0 {
			let mut buffer = BytesMut::new();
			for message in batch.drain(..) {
				let frame = wire::append_frame(&message, &mut buffer, wire::MAX_DISCOVERY);
				if let Err(error) = frame {
					// The core keeps its messages below the limit.
					tracing::error!(%error, "a discovery message was not sent");
				}
			}
			let mut chunks: [Bytes; 1] = [buffer.freeze()];
			if frame::write_frames(&mut self.send, &mut chunks)
				.await
				.is_err()
			{
				return false;
			}
		}
		true
	}
}
