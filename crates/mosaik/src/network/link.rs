//! One connection to a peer, and the lanes on it.
//!
//! Every lane holds a [`LaneGuard`]; a link without guards for a while is closed
//! by agreement, so that no lane is lost in between. The side that wants to
//! close stops opening lanes and says how many it has opened and seen. The other
//! closes if it has no lane either and the counts are its own, that is, if
//! nothing is under way in either direction; otherwise it answers that it keeps
//! the connection. An opener that comes in between waits for that one answer and
//! goes on, on this connection or on a new one.

use {
	super::{
		Protocol,
		frame::{FrameReader, application_code, var_int},
		hello::{self, Control, Incarnation},
		peer::{Incoming, Peers},
	},
	bytes::{Buf, Bytes, BytesMut},
	futures::{StreamExt, stream::FuturesUnordered},
	iroh::endpoint::{Connection, RecvStream, SendStream},
	mosaik_proto::{
		PeerId,
		wire::{CloseCode, FRAME_HEADER},
	},
	std::{
		fmt,
		pin::pin,
		sync::{Arc, OnceLock},
		time::Duration,
	},
	tokio::{
		sync::watch,
		time::{Instant, sleep_until, timeout},
	},
	tracing::debug,
};

/// How many bytes of control messages may wait to be written. Each answers one of
/// the peer's: a peer that asks faster than it reads is disconnected.
const OUTBOX: usize = 256;

/// A bidirectional stream of one protocol.
#[derive(Debug)]
pub(crate) struct Lane {
	/// What goes to the peer. Dropping it finishes the stream; to abandon it,
	/// reset it.
	pub send: SendStream,
	/// What comes from the peer. Dropping it stops the stream.
	pub recv: FrameReader,
	/// Keeps the connection. Clone it when the halves go separate ways.
	pub guard: LaneGuard,
}

impl Lane {
	/// Whom the lane leads to.
	#[cfg(test)]
	pub(crate) fn peer(&self) -> PeerId {
		self.guard.peer()
	}

	/// Ends both directions and tells the peer why.
	pub(crate) fn reject(mut self, code: CloseCode) {
		// Fails when the stream has ended, and then there is nothing to reject.
		let _ = self.send.reset(var_int(code));
		self.recv.stop(code);
	}
}

/// Counts a connection as used, as long as it lives.
pub(crate) struct LaneGuard(Arc<Link>);

impl LaneGuard {
	/// The authenticated peer.
	pub(crate) fn peer(&self) -> PeerId {
		self.0.peer
	}

	/// When the peer started, by its own clock.
	#[cfg(test)]
	pub(crate) fn started_ms(&self) -> u64 {
		self.0.incarnation.started_ms
	}

	/// Whether both lanes are on one connection.
	pub(crate) fn same_connection(&self, other: &Self) -> bool {
		Arc::ptr_eq(&self.0, &other.0)
	}

	/// Waits until the connection ends; the code is `None` if the peer vanished.
	#[cfg(test)]
	pub(crate) async fn closed(&self) -> Option<CloseCode> {
		self.0.conn.closed().await;
		self.0.close_code()
	}

	/// A secret that only the two ends of this connection know, for proofs that
	/// are worth nothing on another one. `None` if the connection has ended.
	#[cfg(test)]
	pub(crate) fn export_keying_material(&self, label: &[u8], context: &[u8]) -> Option<[u8; 32]> {
		let mut secret = [0; 32];
		let exported = self
			.0
			.conn
			.export_keying_material(&mut secret, label, context);
		exported.ok().map(|()| secret)
	}
}

impl Clone for LaneGuard {
	fn clone(&self) -> Self {
		self.0.usage.send_if_modified(|usage| {
			usage.lanes += 1;
			false
		});
		Self(self.0.clone())
	}
}

impl Drop for LaneGuard {
	fn drop(&mut self) {
		// The driver looks at the time by itself: nobody is woken for a lane.
		self.0.usage.send_if_modified(|usage| {
			usage.lanes -= 1;
			usage.last_used = Instant::now();
			false
		});
	}
}

impl fmt::Debug for LaneGuard {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_tuple("LaneGuard").field(&self.0.peer).finish()
	}
}

/// A connection that both sides have agreed on.
pub(crate) struct Link {
	pub(super) peer: PeerId,
	pub(super) incarnation: Incarnation,
	/// Whether this node dialled it.
	pub(super) dialled: bool,
	pub(super) up_since: Instant,
	pub(super) conn: Connection,
	/// A lock whose waiters hear of a change of phase.
	usage: watch::Sender<Usage>,
	/// What this node closed it with.
	closed_with: OnceLock<CloseCode>,
}

impl fmt::Debug for Link {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Link")
			.field("peer", &self.peer)
			.field("dialled", &self.dialled)
			.field("usage", &*self.usage.borrow())
			.finish_non_exhaustive()
	}
}

/// Why a link opened no lane.
#[derive(Debug)]
pub(super) enum LaneError {
	/// The link is no more; another one may be opened.
	Gone,
	/// The peer has as many lanes as it allows, or reads nothing.
	Overloaded,
}

/// What is under way on a link. Pure bookkeeping, see the [module](self).
#[derive(Debug)]
struct Usage {
	phase: Phase,
	/// Guards that live.
	lanes: usize,
	/// Lanes this node has opened.
	opened: u64,
	/// Lanes of the peer that this node has seen.
	accepted: u64,
	last_used: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
	/// Lanes may be opened.
	Up,
	/// This node has asked to close at this time and opens no lanes.
	Asked(Instant),
	/// Closed, or about to be.
	Retired,
}

/// What a look at the clock says.
#[derive(Debug, PartialEq, Eq)]
enum Tick {
	LookAgainAt(Instant),
	Ask(Control),
	/// The peer has not answered: close without it.
	Close,
}

impl Usage {
	const fn new(now: Instant) -> Self {
		Self {
			phase: Phase::Up,
			lanes: 0,
			opened: 0,
			accepted: 0,
			last_used: now,
		}
	}

	fn tick(&mut self, now: Instant, idle_after: Duration, patience: Duration) -> Tick {
		match self.phase {
			Phase::Asked(since) if now >= since + patience => Tick::Close,
			Phase::Asked(since) => Tick::LookAgainAt(since + patience),
			Phase::Retired => Tick::Close,
			Phase::Up if self.lanes > 0 => Tick::LookAgainAt(now + idle_after),
			Phase::Up if now < self.last_used + idle_after => {
				Tick::LookAgainAt(self.last_used + idle_after)
			}
			Phase::Up => {
				self.phase = Phase::Asked(now);
				Tick::Ask(Control::Idle {
					opened: self.opened,
					accepted: self.accepted,
				})
			}
		}
	}

	/// The peer asks to close: whether to do so.
	fn on_idle(&mut self, opened: u64, accepted: u64) -> bool {
		let agreed = self.lanes == 0 && self.accepted == opened && self.opened == accepted;
		if agreed {
			self.phase = Phase::Retired;
		}
		agreed
	}

	fn on_keep(&mut self, now: Instant) {
		if let Phase::Asked(_) = self.phase {
			self.phase = Phase::Up;
			self.last_used = now;
		}
	}
}

impl Link {
	pub(super) fn new(conn: Connection, incarnation: Incarnation, dialled: bool) -> Self {
		let now = Instant::now();
		Self {
			peer: conn.remote_id(),
			incarnation,
			dialled,
			up_since: now,
			conn,
			usage: watch::Sender::new(Usage::new(now)),
			closed_with: OnceLock::new(),
		}
	}

	/// Whether lanes can be opened, now or after the answer to a question.
	pub(super) fn is_open(&self) -> bool {
		self.conn.close_reason().is_none() && self.usage.borrow().phase != Phase::Retired
	}

	/// Closes the connection at once; all its lanes are lost.
	pub(super) fn close(&self, code: CloseCode, reason: &str) {
		self.retire();
		if self.conn.close_reason().is_none() {
			// Whoever closes first has said why.
			let _ = self.closed_with.set(code);
			self.conn.close(var_int(code), reason.as_bytes());
		}
	}

	fn retire(&self) {
		self.usage.send_modify(|usage| usage.phase = Phase::Retired);
	}

	/// The code that either side closed the connection with.
	pub(super) fn close_code(&self) -> Option<CloseCode> {
		self.closed_with
			.get()
			.copied()
			.or_else(|| application_code(&self.conn.close_reason()?))
	}

	/// Opens a lane. Waits while the peer has no room for one.
	pub(super) async fn open_lane(
		self: &Arc<Self>,
		protocol: Protocol,
		patience: Duration,
	) -> Result<Lane, LaneError> {
		let guard = self.enter().await?;
		let open = async {
			let (mut send, recv) = self.conn.open_bi().await.map_err(|_| LaneError::Gone)?;
			self.usage.send_if_modified(|usage| {
				usage.opened += 1;
				false
			});
			let first = Bytes::copy_from_slice(&[protocol as u8]);
			send.write_chunk(first).await.map_err(|_| LaneError::Gone)?;
			Ok((send, FrameReader::new(recv)))
		};
		let (send, recv) = timeout(patience, open)
			.await
			.unwrap_or(Err(LaneError::Overloaded))?;
		Ok(Lane { send, recv, guard })
	}

	/// Counts a lane that this node is about to open.
	async fn enter(self: &Arc<Self>) -> Result<LaneGuard, LaneError> {
		loop {
			let mut phase = Phase::Up;
			self.usage.send_if_modified(|usage| {
				phase = usage.phase;
				if phase == Phase::Up {
					usage.lanes += 1;
				}
				false
			});
			match phase {
				Phase::Up => return Ok(LaneGuard(self.clone())),
				Phase::Retired => return Err(LaneError::Gone),
				Phase::Asked(_) => {
					let answered = |usage: &Usage| !matches!(usage.phase, Phase::Asked(_));
					// Fails when the sender is gone, but `self` holds it.
					let _ = self.usage.subscribe().wait_for(answered).await;
				}
			}
		}
	}

	/// Counts a lane that the peer has opened.
	fn entered(self: &Arc<Self>) -> LaneGuard {
		self.usage.send_if_modified(|usage| {
			usage.lanes += 1;
			usage.accepted += 1;
			false
		});
		LaneGuard(self.clone())
	}
}

/// The stream of the hello, which stays open for [`Control`] messages.
#[derive(Debug)]
pub(super) struct ControlStream {
	pub send: SendStream,
	pub recv: FrameReader,
}

/// The way out of the control stream. Holds no memory while it is empty.
struct Outbox {
	send: SendStream,
	/// Frames, of which the first may have been written in part.
	waiting: BytesMut,
	/// The peer stopped reading.
	broken: bool,
}

/// The peer does not read its control messages.
struct OutboxFull;

impl Outbox {
	fn push(&mut self, message: &[u8]) -> Result<(), OutboxFull> {
		let length = u32::try_from(message.len()).map_err(|_| OutboxFull)?;
		if self.broken || self.waiting.len() + FRAME_HEADER + message.len() > OUTBOX {
			return Err(OutboxFull);
		}
		self.waiting.extend_from_slice(&length.to_le_bytes());
		self.waiting.extend_from_slice(message);
		Ok(())
	}

	/// Writes what waits. Cancellation safe.
	async fn flush(&mut self) {
		while !self.waiting.is_empty() {
			match self.send.write(&self.waiting).await {
				Ok(written) => self.waiting.advance(written),
				Err(_) => {
					self.broken = true;
					self.waiting.clear();
				}
			}
		}
		self.waiting = BytesMut::new();
	}
}

/// Runs a link until its connection ends, and takes it out of the registry.
pub(super) struct Driver {
	link: Arc<Link>,
	peers: Peers,
}

impl Driver {
	pub(super) const fn new(link: Arc<Link>, peers: Peers) -> Self {
		Self { link, peers }
	}

	/// Serves the link. `first` is the message that the hello still owes.
	pub(super) async fn run(self, control: ControlStream, first: Option<Bytes>) {
		let limits = self.peers.limits();
		let ControlStream { send, mut recv } = control;
		let mut outbox = Outbox {
			send,
			waiting: BytesMut::new(),
			broken: false,
		};
		if let Some(first) = first {
			self.say(&first, &mut outbox);
		}
		let mut opening = FuturesUnordered::new();
		let mut timer = pin!(sleep_until(self.link.up_since + limits.idle_after));

		loop {
			tokio::select! {
				biased;
				_ = self.link.conn.closed() => break,
				() = outbox.flush(), if !outbox.waiting.is_empty() => {}
				message = recv.next(hello::LIMIT) => match message {
					Ok(Some(message)) => self.on_control(&message, &mut outbox),
					Ok(None) => self.violation("the control stream was finished"),
					// The connection is gone or the stream abused; the first arm
					// tells once it is closed.
					Err(_) => self.violation("the control stream broke"),
				},
				Some((lane, byte)) = opening.next() => self.on_lane(lane, byte),
				stream = self.link.conn.accept_bi() => if let Ok((send, recv)) = stream {
					let patience = limits.hello_timeout;
					// Boxed, as an empty set has room for one of what it holds.
					opening.push(Box::pin(first_byte(self.link.entered(), send, recv, patience)));
				},
				() = &mut timer => {
					let next = self.on_timer(&mut outbox, limits.idle_after, limits.hello_timeout);
					timer.as_mut().reset(next);
				}
			}
		}
	}

	fn on_control(&self, message: &[u8], outbox: &mut Outbox) {
		match Control::decode(message) {
			Some(Control::Idle { opened, accepted }) => {
				let mut agreed = false;
				self.link.usage.send_if_modified(|usage| {
					agreed = usage.on_idle(opened, accepted);
					agreed
				});
				if agreed {
					self.link
						.close(CloseCode::Idle, "nobody uses the connection");
				} else {
					self.say(&Control::Keep.encode(), outbox);
				}
			}
			Some(Control::Keep) => self
				.link
				.usage
				.send_modify(|usage| usage.on_keep(Instant::now())),
			// Where the acceptor decides, the dialler's word adds nothing.
			Some(Control::Ready) => {}
			None => self.violation("no such control message"),
		}
	}

	fn on_timer(&self, outbox: &mut Outbox, idle_after: Duration, patience: Duration) -> Instant {
		let now = Instant::now();
		let mut tick = Tick::LookAgainAt(now);
		self.link.usage.send_if_modified(|usage| {
			tick = usage.tick(now, idle_after, patience);
			matches!(tick, Tick::Ask(_))
		});
		match tick {
			Tick::LookAgainAt(next) => return next,
			Tick::Ask(question) => self.say(&question.encode(), outbox),
			Tick::Close => self
				.link
				.close(CloseCode::Idle, "nobody uses the connection"),
		}
		now + patience
	}

	fn on_lane(&self, lane: Lane, byte: Option<u8>) {
		match byte {
			Some(byte) => match Protocol::from_byte(byte) {
				Some(protocol) => self.peers.dispatch(
					protocol,
					Incoming {
						peer: self.link.peer,
						lane,
					},
				),
				None => lane.reject(CloseCode::UnknownProtocol),
			},
			// Opened and given up, or silent for too long.
			None => lane.reject(CloseCode::Cancelled),
		}
	}

	fn say(&self, message: &[u8], outbox: &mut Outbox) {
		if outbox.push(message).is_err() {
			self.violation("control messages are not read");
		}
	}

	fn violation(&self, reason: &'static str) {
		if self.link.conn.close_reason().is_none() {
			debug!(peer = %self.link.peer.fmt_short(), reason, "closing a connection");
		}
		self.link.close(CloseCode::ProtocolViolation, reason);
	}
}

/// Leaves nothing behind, however the driver ends: by the connection's end, the
/// node's shutdown or a panic.
impl Drop for Driver {
	fn drop(&mut self) {
		let (code, reason) = self.peers.farewell();
		self.link.close(code, reason);
		self.peers.forget(&self.link);
	}
}

/// Waits for the byte that names the protocol of a lane.
async fn first_byte(
	guard: LaneGuard,
	send: SendStream,
	recv: RecvStream,
	patience: Duration,
) -> (Lane, Option<u8>) {
	let mut recv = FrameReader::new(recv);
	let byte = timeout(patience, recv.first_byte()).await;
	(
		Lane { send, recv, guard },
		byte.ok().and_then(Result::ok).flatten(),
	)
}

#[cfg(test)]
impl Link {
	/// Resolves when this node wants to close the link or has closed it.
	pub(super) async fn is_waning(&self) {
		let waning = |usage: &Usage| usage.phase != Phase::Up;
		// Fails when the sender is gone, but `self` holds it.
		let _ = self.usage.subscribe().wait_for(waning).await;
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	const IDLE: Duration = Duration::from_secs(30);
	const PATIENCE: Duration = Duration::from_secs(5);

	#[test]
	fn an_unused_link_asks_once_and_gives_up_on_silence() {
		let start = Instant::now();
		let mut usage = Usage::new(start);
		assert_eq!(
			usage.tick(start, IDLE, PATIENCE),
			Tick::LookAgainAt(start + IDLE)
		);
		let at = start + IDLE;
		let asked = Tick::Ask(Control::Idle {
			opened: 0,
			accepted: 0,
		});
		assert_eq!(usage.tick(at, IDLE, PATIENCE), asked);
		assert_eq!(
			usage.tick(at, IDLE, PATIENCE),
			Tick::LookAgainAt(at + PATIENCE)
		);
		assert_eq!(usage.tick(at + PATIENCE, IDLE, PATIENCE), Tick::Close);
	}

	#[test]
	fn a_link_in_use_is_kept() {
		let start = Instant::now();
		let mut usage = Usage::new(start);
		usage.lanes = 1;
		let at = start + IDLE;
		assert_eq!(usage.tick(at, IDLE, PATIENCE), Tick::LookAgainAt(at + IDLE));
		assert!(!usage.on_idle(0, 0));
		usage.lanes = 0;
		assert!(matches!(usage.tick(at, IDLE, PATIENCE), Tick::Ask(_)));
		usage.on_keep(at);
		assert_eq!(usage.tick(at, IDLE, PATIENCE), Tick::LookAgainAt(at + IDLE));
	}

	#[test]
	fn lanes_under_way_in_either_direction_forbid_the_close() {
		let mut usage = Usage::new(Instant::now());
		assert!(!usage.on_idle(1, 0), "a lane of the peer has not arrived");
		usage.opened = 1;
		assert!(!usage.on_idle(0, 0), "a lane of ours has not arrived");
		assert!(usage.on_idle(0, 1));
		assert_eq!(usage.phase, Phase::Retired);
	}
}
