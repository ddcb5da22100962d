//! The registry of connections: at most one per peer, dialled on demand.
//!
//! Two peers may dial each other at the same time, and a restarted peer may dial
//! while its old connection still looks alive. Of any two peers, the one with
//! the **smaller id decides** which connection counts: when it dials, by
//! sending `Ready` after the welcome; when it is dialled, by sending the
//! welcome. The other side takes a connection when it is told to, and lets it
//! replace whatever it had. So both always agree, with these rules for the
//! smaller one:
//!
//! - Its own dial wins for [`Limits::race_window`]; meanwhile the larger one is
//!   refused with `Superseded` and waits for the connection that is coming.
//! - If that does not come, the larger one dials again and *insists*, and is
//!   taken. Neither can wait for ever.
//! - A peer that dials although there is a connection has lost it (or is another
//!   incarnation): the old one is replaced.
//!
//! The window is the one judgement by time in this. A handshake that takes longer
//! may end with a connection that replaces one in use: its lanes are lost with
//! `Superseded`, as with any other end of a connection, and are opened again.

use {
	super::{
		Protocol, accept,
		dial::{Dial, Outcome},
		error::OpenError,
		hello::{Hello, Incarnation},
		link::{ControlStream, Driver, Lane, LaneError, Link},
	},
	crate::runtime::tasks::Tasks,
	bytes::Bytes,
	iroh::{Endpoint, address_lookup::MemoryLookup, endpoint::Connection},
	mosaik_proto::{
		EndpointAddr, PeerId, TransportAddr,
		id::NetworkId,
		wire::{CloseCode, WIRE_VERSIONS},
	},
	std::{
		collections::{BTreeMap, HashMap},
		sync::{Arc, Mutex, MutexGuard, PoisonError},
		time::Duration,
	},
	tokio::{
		sync::{broadcast, mpsc, oneshot},
		time::timeout,
	},
	tokio_util::sync::CancellationToken,
	tracing::debug,
};

/// How many events a slow listener may lag behind before it loses the oldest.
const EVENT_QUEUE: usize = 1_024;

/// How many addresses of a peer are remembered from dials.
const MAX_REMEMBERED_ADDRS: usize = 32;

/// How often `open` starts over because the connection it was given ended.
const OPEN_ATTEMPTS: usize = 5;

/// How long a shutdown waits for peers to acknowledge that their connections were
/// closed. They were told at once; what got lost is repeated in the background.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// Who this node is, on every connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
	/// The network; peers of others are refused.
	pub network: NetworkId,
	/// When this node started, in milliseconds since the Unix epoch.
	pub started_ms: u64,
	/// A random value for this run.
	pub nonce: u64,
}

/// The bounds of the registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
	/// How many peers may be connected or being dialled. More are refused with
	/// `Overloaded`. About 120 kB each, most of it QUIC's.
	pub max_connections: usize,
	/// How many inbound handshakes may be under way. More are refused.
	pub max_half_open: usize,
	/// How many lanes of a protocol may wait to be received. More are reset with
	/// `Overloaded`.
	pub lane_queue: usize,
	/// After how long without lanes a connection is closed.
	pub idle_after: Duration,
	/// How long a dial may take.
	pub connect_timeout: Duration,
	/// How long a peer may take for each step of the hello.
	pub hello_timeout: Duration,
	/// How long a dial wins over one from the other side.
	pub race_window: Duration,
}

impl Default for Limits {
	fn default() -> Self {
		Self {
			max_connections: 1_024,
			max_half_open: 128,
			lane_queue: 256,
			idle_after: Duration::from_secs(30),
			connect_timeout: Duration::from_secs(5),
			hello_timeout: Duration::from_secs(5),
			race_window: Duration::from_secs(1),
		}
	}
}

/// Peers come and go. A listener that lags loses the oldest events and is told
/// so by the channel; [`Peers::connected`] has the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerEvent {
	/// A connection is up.
	Connected {
		/// The peer.
		peer: PeerId,
		/// When the peer started, by its own clock.
		started_ms: u64,
	},
	/// The connection and all its lanes are gone. If it was replaced, a
	/// `Connected` follows.
	Disconnected {
		/// The peer.
		peer: PeerId,
		/// Why either side closed it; `None` if the peer vanished.
		code: Option<CloseCode>,
	},
}

/// A lane that a peer has opened.
#[derive(Debug)]
pub(crate) struct Incoming {
	/// The authenticated peer.
	pub peer: PeerId,
	/// The lane; its protocol byte has been read.
	pub lane: Lane,
}

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
	/// The round trip as QUIC estimates it.
	pub rtt: Duration,
	/// Whether packets go through a relay.
	pub relay: bool,
	/// The address of the peer or of the relay.
	pub remote: String,
}

/// The connections of a node; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Peers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
	endpoint: Endpoint,
	memory: MemoryLookup,
	identity: Identity,
	tasks: Tasks,
	limits: Limits,
	/// Held for a few map operations, never over an await.
	state: Mutex<State>,
	events: broadcast::Sender<PeerEvent>,
	/// Cancelled when the node leaves.
	closing: CancellationToken,
	/// Cancelled when the endpoint is closed.
	closed: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
	slots: HashMap<PeerId, Slot>,
	queues: BTreeMap<Protocol, Queue>,
	/// Set once the node leaves.
	closing: Option<CloseCode>,
}

/// What there is of a peer; never empty.
#[derive(Debug, Default)]
struct Slot {
	link: Option<Arc<Link>>,
	dial: Option<Arc<Dial>>,
}

/// Where the lanes of a protocol go.
#[derive(Debug)]
struct Queue {
	sender: mpsc::Sender<Incoming>,
	/// Until a protocol asks for its lanes. They wait for it here, so that peers
	/// may connect while a node starts.
	unclaimed: Option<mpsc::Receiver<Incoming>>,
}

/// A link that became the one to its peer.
struct Installed {
	link: Arc<Link>,
	/// The dial that has come to its end thereby.
	dial: Option<Arc<Dial>>,
}

/// What [`Peers::open`] found under the lock.
enum Found {
	Link(Arc<Link>),
	Dial { dial: Arc<Dial>, joined: bool },
}

impl Peers {
	/// Starts accepting connections on the endpoint, which is closed when the
	/// node's tasks are cancelled.
	pub(crate) fn new(
		endpoint: Endpoint,
		memory: MemoryLookup,
		identity: Identity,
		tasks: Tasks,
		limits: Limits,
	) -> Self {
		let queues = Protocol::ALL.map(|protocol| {
			let (sender, receiver) = mpsc::channel(limits.lane_queue);
			let unclaimed = Some(receiver);
			(protocol, Queue { sender, unclaimed })
		});
		let peers = Self(Arc::new(Shared {
			endpoint,
			memory,
			identity,
			tasks: tasks.clone(),
			limits,
			state: Mutex::new(State {
				queues: queues.into(),
				..State::default()
			}),
			events: broadcast::Sender::new(EVENT_QUEUE),
			closing: CancellationToken::new(),
			closed: CancellationToken::new(),
		}));
		tasks.spawn("network::accept", accept::run(peers.clone()));
		tasks.spawn_until_done("network::close", |stop| peers.clone().close(stop));
		peers
	}

	/// Opens a lane for a protocol to a peer. Dials if there is no connection;
	/// callers that want the same peer at the same time share the dial.
	/// Addresses that are given are tried besides the known ones, and remembered
	/// if the dial succeeds.
	pub(crate) async fn open(
		&self,
		peer: impl Into<EndpointAddr>,
		protocol: Protocol,
	) -> Result<Lane, OpenError> {
		let addr = peer.into();
		for _ in 0..OPEN_ATTEMPTS {
			let link = self.link(&addr).await?;
			match link.open_lane(protocol, self.0.limits.hello_timeout).await {
				Ok(lane) => return Ok(lane),
				Err(LaneError::Overloaded) => return Err(OpenError::Overloaded),
				Err(LaneError::Gone) => {
					// Closed in this moment, or about to be because it is idle.
					link.close(CloseCode::Idle, "nobody uses the connection");
					self.forget(&link);
				}
			}
		}
		Err(OpenError::Lost)
	}

	/// Receives the lanes that peers open for a protocol. Whoever asks last gets
	/// them; when the receiver is dropped, lanes are refused with
	/// `UnknownProtocol`.
	pub(crate) fn accept(&self, protocol: Protocol) -> mpsc::Receiver<Incoming> {
		let (sender, receiver) = mpsc::channel(self.0.limits.lane_queue);
		let mut state = self.state();
		let queue = state.queues.entry(protocol).or_insert(Queue {
			sender: sender.clone(),
			unclaimed: None,
		});
		queue.unclaimed.take().unwrap_or_else(|| {
			queue.sender = sender;
			receiver
		})
	}

	/// Tells when peers come and go from now on.
	pub(crate) fn events(&self) -> broadcast::Receiver<PeerEvent> {
		self.0.events.subscribe()
	}

	/// The peers that a connection is up to.
	pub(crate) fn connected(&self) -> Vec<PeerId> {
		let state = self.state();
		let links = state.slots.values().filter_map(|slot| slot.link.as_ref());
		links
			.filter(|link| link.is_open())
			.map(|link| link.peer)
			.collect()
	}

	/// How a peer is reached, if a connection is up.
	pub(crate) fn path(&self, peer: &PeerId) -> Option<PathInfo> {
		let link = self.state().slots.get(peer)?.link.clone()?;
		let paths = link.conn.paths();
		let path = paths.iter().find(|path| path.is_selected())?;
		Some(PathInfo {
			rtt: path.rtt(),
			relay: path.is_relay(),
			remote: match path.remote_addr() {
				TransportAddr::Ip(addr) => addr.to_string(),
				TransportAddr::Relay(url) => url.to_string(),
				other => other.to_string(),
			},
		})
	}

	/// Closes the connection to a peer and abandons a dial, at once.
	///
	/// Needed before a peer that restarted can be dialled: while a connection to
	/// its old incarnation is held, iroh dials the old address only.
	pub(crate) fn disconnect(&self, peer: &PeerId, code: CloseCode) {
		let mut state = self.state();
		let Some(Slot { link, dial }) = state.slots.remove(peer) else {
			return;
		};
		if let Some(dial) = dial {
			dial.resolve(Outcome::Abandoned);
		}
		if let Some(link) = link {
			self.dropped(&link, code, "disconnected");
		}
	}

	/// As [`disconnect`](Self::disconnect), if the connection is to a life of the
	/// peer that started before `started_ms`, or is still being dialled.
	pub(crate) fn disconnect_older(&self, peer: &PeerId, started_ms: u64) {
		let is_current = self
			.state()
			.slots
			.get(peer)
			.and_then(|slot| slot.link.as_ref())
			.is_some_and(|link| link.incarnation.started_ms >= started_ms);
		if !is_current {
			self.disconnect(peer, CloseCode::Superseded);
		}
	}

	/// Closes every connection with this code and then the endpoint. No lane can
	/// be opened any more. Returns when peers were told, or after
	/// [`CLOSE_TIMEOUT`].
	pub(crate) async fn shutdown(&self, code: CloseCode) {
		self.leave(code);
		self.0.closed.cancelled().await;
	}

	/// The identity of this node.
	pub(crate) fn id(&self) -> PeerId {
		self.0.endpoint.id()
	}

	/// The endpoint the connections are on.
	pub(crate) fn endpoint(&self) -> &Endpoint {
		&self.0.endpoint
	}
}

/// For the other files of the network.
impl Peers {
	pub(super) fn limits(&self) -> Limits {
		self.0.limits
	}

	pub(super) fn tasks(&self) -> &Tasks {
		&self.0.tasks
	}

	pub(super) fn network(&self) -> &NetworkId {
		&self.0.identity.network
	}

	pub(super) fn incarnation(&self) -> Incarnation {
		Incarnation {
			started_ms: self.0.identity.started_ms,
			nonce: self.0.identity.nonce,
		}
	}

	pub(super) fn hello(&self, insist: bool) -> Hello {
		Hello {
			versions: WIRE_VERSIONS,
			network: self.0.identity.network,
			incarnation: self.incarnation(),
			insist,
		}
	}

	pub(super) fn closing(&self) -> &CancellationToken {
		&self.0.closing
	}

	/// Whether this node decides which connection to the peer counts.
	pub(super) fn decides(&self, peer: &PeerId) -> bool {
		self.id() < *peer
	}

	/// Whether an inbound connection may be taken, before the decision on it.
	pub(super) fn admits(&self, peer: &PeerId) -> Result<(), CloseCode> {
		self.state().admits(peer, &self.0.limits)
	}

	/// Decides on an inbound connection and takes it. For the smaller id.
	pub(super) fn take_inbound(
		&self,
		conn: &Connection,
		hello: &Hello,
		control: ControlStream,
		welcome: Bytes,
	) -> Result<(), CloseCode> {
		let link = Link::new(conn.clone(), hello.incarnation, false);
		let mut state = self.state();
		state.admits(&link.peer, &self.0.limits)?;
		let window = self.0.limits.race_window;
		if let Some(slot) = state.slots.get(&link.peer)
			&& !hello.insist
			&& slot.is_ahead_of(hello.incarnation, window)
		{
			return Err(CloseCode::Superseded);
		}
		let installed = self.install(&mut state, link);
		drop(state);
		self.launch(installed, control, Some(welcome));
		Ok(())
	}

	/// Takes a connection because the peer has decided so. For the larger id.
	pub(super) fn take_decided(
		&self,
		conn: &Connection,
		incarnation: Incarnation,
		dialled: bool,
		control: ControlStream,
	) -> Result<(), CloseCode> {
		let link = Link::new(conn.clone(), incarnation, dialled);
		let mut state = self.state();
		state.admits(&link.peer, &self.0.limits)?;
		let installed = self.install(&mut state, link);
		drop(state);
		self.launch(installed, control, None);
		Ok(())
	}

	/// Decides on a connection that this node has dialled. For the smaller id.
	pub(super) fn take_outbound(
		&self,
		dial: &Arc<Dial>,
		conn: &Connection,
		incarnation: Incarnation,
		control: ControlStream,
		ready: Bytes,
	) -> Result<(), CloseCode> {
		let link = Link::new(conn.clone(), incarnation, true);
		let mut state = self.state();
		let slot = state.slots.get(&link.peer);
		// Otherwise another connection was taken in the meantime.
		if !slot.is_some_and(|slot| slot.is_dialling(dial)) {
			return Err(CloseCode::Superseded);
		}
		let installed = self.install(&mut state, link);
		drop(state);
		self.launch(installed, control, Some(ready));
		Ok(())
	}

	/// Makes a connection the one to its peer.
	fn install(&self, state: &mut State, link: Link) -> Installed {
		let link = Arc::new(link);
		let slot = state.slots.entry(link.peer).or_default();
		let old = slot.link.replace(link.clone());
		let dial = slot.dial.take();
		if let Some(old) = old {
			self.dropped(
				&old,
				CloseCode::Superseded,
				"another connection took its place",
			);
		}
		self.emit(PeerEvent::Connected {
			peer: link.peer,
			started_ms: link.incarnation.started_ms,
		});
		Installed { link, dial }
	}

	/// Starts the task of an installed link. Not under the lock: a runtime that
	/// stops drops the task at once, and that takes the link out again.
	fn launch(&self, installed: Installed, control: ControlStream, first: Option<Bytes>) {
		let Installed { link, dial } = installed;
		let driver = Driver::new(link.clone(), self.clone());
		self.0
			.tasks
			.spawn("network::link", driver.run(control, first));
		if let Some(dial) = dial {
			dial.resolve(Outcome::Up(link));
		}
	}

	/// Ends a dial that failed, if it still counts.
	pub(super) fn dial_failed(&self, dial: &Arc<Dial>, error: OpenError) {
		let peer = dial.addr.id;
		let mut state = self.state();
		if let Some(slot) = state.slots.get_mut(&peer)
			&& slot.is_dialling(dial)
		{
			slot.dial = None;
			state.remove_if_empty(&peer);
		}
		drop(state);
		dial.resolve(Outcome::Failed(error));
	}

	/// Remembers addresses at which a peer was reached, for later dials by id.
	pub(super) fn remember(&self, addr: &EndpointAddr) {
		if addr.addrs.is_empty() {
			return;
		}
		let known = self.0.memory.get_endpoint_info(addr.id);
		let known = known.map_or(0, |known| known.addrs().count());
		if known + addr.addrs.len() > MAX_REMEMBERED_ADDRS {
			self.0.memory.set_endpoint_info(addr.clone());
		} else {
			self.0.memory.add_endpoint_info(addr.clone());
		}
	}

	/// Takes a link that has ended out of the registry.
	pub(super) fn forget(&self, link: &Arc<Link>) {
		let mut state = self.state();
		let Some(slot) = state.slots.get_mut(&link.peer) else {
			return;
		};
		if slot
			.link
			.take_if(|current| Arc::ptr_eq(current, link))
			.is_some()
		{
			state.remove_if_empty(&link.peer);
			self.emit(PeerEvent::Disconnected {
				peer: link.peer,
				code: link.close_code(),
			});
		}
	}

	/// Gives a lane to its protocol, or refuses it.
	pub(super) fn dispatch(&self, protocol: Protocol, incoming: Incoming) {
		let sender = {
			let state = self.state();
			state
				.queues
				.get(&protocol)
				.map(|queue| queue.sender.clone())
		};
		let Some(sender) = sender else {
			return incoming.lane.reject(CloseCode::UnknownProtocol);
		};
		match sender.try_send(incoming) {
			Ok(()) => {}
			Err(mpsc::error::TrySendError::Full(incoming)) => {
				debug!(?protocol, peer = %incoming.peer.fmt_short(), "too many lanes wait");
				incoming.lane.reject(CloseCode::Overloaded);
			}
			Err(mpsc::error::TrySendError::Closed(incoming)) => {
				incoming.lane.reject(CloseCode::UnknownProtocol);
			}
		}
	}

	/// What to tell peers when a connection must end here and now.
	pub(super) fn farewell(&self) -> (CloseCode, &'static str) {
		match self.state().closing {
			Some(code) => (code, LEAVING),
			None if self.0.tasks.token().is_cancelled() => (CloseCode::GracefulShutdown, LEAVING),
			None => (CloseCode::Cancelled, "the connection's task ended"),
		}
	}
}

impl Peers {
	fn state(&self) -> MutexGuard<'_, State> {
		// Nothing panics while it is held; if something did, the map is whole.
		self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
	}

	fn emit(&self, event: PeerEvent) {
		// Fails when nobody listens.
		let _ = self.0.events.send(event);
	}

	/// Ends a link that was taken out of the registry, under the lock so that
	/// events come in the order of what they tell.
	fn dropped(&self, link: &Arc<Link>, code: CloseCode, reason: &str) {
		link.close(code, reason);
		self.emit(PeerEvent::Disconnected {
			peer: link.peer,
			code: link.close_code(),
		});
	}

	/// The connection to a peer, dialled if need be.
	async fn link(&self, addr: &EndpointAddr) -> Result<Arc<Link>, OpenError> {
		for _ in 0..OPEN_ATTEMPTS {
			let (dial, joined) = match self.find_or_dial(addr)? {
				Found::Link(link) => return Ok(link),
				Found::Dial { dial, joined } => (dial, joined),
			};
			match dial.resolved().await {
				Outcome::Up(link) => return Ok(link),
				// That dial did not know the addresses given here.
				Outcome::Failed(_) if joined && !addr.addrs.is_subset(&dial.addr.addrs) => {}
				Outcome::Failed(error) => return Err(error),
				Outcome::Abandoned | Outcome::Pending => {}
			}
		}
		Err(OpenError::Lost)
	}

	fn find_or_dial(&self, addr: &EndpointAddr) -> Result<Found, OpenError> {
		let mut state = self.state();
		if state.closing.is_some() {
			return Err(OpenError::ShuttingDown);
		}
		if let Some(slot) = state.slots.get(&addr.id) {
			if let Some(link) = slot.link.as_ref().filter(|link| link.is_open()) {
				return Ok(Found::Link(link.clone()));
			}
			if let Some(dial) = &slot.dial {
				let dial = dial.clone();
				return Ok(Found::Dial { dial, joined: true });
			}
		} else if state.slots.len() >= self.0.limits.max_connections {
			return Err(OpenError::Overloaded);
		}
		let dial = Arc::new(Dial::new(addr.clone()));
		state.slots.entry(addr.id).or_default().dial = Some(dial.clone());
		drop(state);
		self.0
			.tasks
			.spawn("network::dial", dial.clone().run(self.clone()));
		Ok(Found::Dial {
			dial,
			joined: false,
		})
	}

	/// Closes everything, without waiting.
	fn leave(&self, code: CloseCode) {
		let mut state = self.state();
		state.closing.get_or_insert(code);
		state.queues.clear();
		let slots = std::mem::take(&mut state.slots);
		for Slot { link, dial } in slots.into_values() {
			if let Some(dial) = dial {
				dial.resolve(Outcome::Failed(OpenError::ShuttingDown));
			}
			if let Some(link) = link {
				self.dropped(&link, code, LEAVING);
			}
		}
		drop(state);
		self.0.closing.cancel();
	}

	/// Closes the endpoint when the node leaves or its tasks are cancelled.
	async fn close(self, stop: CancellationToken) {
		tokio::select! {
			() = stop.cancelled() => self.leave(CloseCode::GracefulShutdown),
			() = self.0.closing.cancelled() => {}
		}
		let endpoint = self.0.endpoint.clone();
		let (closed, all_closed) = oneshot::channel::<()>();
		self.0.tasks.run_shutdown(async move {
			endpoint.close().await;
			drop(closed);
		});
		if timeout(CLOSE_TIMEOUT, all_closed).await.is_err() {
			debug!("some peers did not acknowledge that this node leaves");
		}
		self.0.closed.cancel();
	}
}

const LEAVING: &str = "the node leaves";

impl State {
	/// Whether there is room for a connection to this peer.
	fn admits(&self, peer: &PeerId, limits: &Limits) -> Result<(), CloseCode> {
		match self.closing {
			Some(code) => Err(code),
			None if self.slots.contains_key(peer) => Ok(()),
			None if self.slots.len() < limits.max_connections => Ok(()),
			None => Err(CloseCode::Overloaded),
		}
	}

	fn remove_if_empty(&mut self, peer: &PeerId) {
		if let Some(Slot {
			link: None,
			dial: None,
		}) = self.slots.get(peer)
		{
			self.slots.remove(peer);
		}
	}
}

impl Slot {
	fn is_dialling(&self, dial: &Arc<Dial>) -> bool {
		self.dial
			.as_ref()
			.is_some_and(|current| Arc::ptr_eq(current, dial))
	}

	/// Whether a connection of this node's own making is to be preferred to an
	/// inbound one, see the [module](self).
	fn is_ahead_of(&self, incoming: Incarnation, window: Duration) -> bool {
		let dialling = self.dial.as_ref();
		let dialling = dialling.is_some_and(|dial| dial.started.elapsed() < window);
		let dialled = self.link.as_ref().is_some_and(|link| {
			// Older than this, and the peer would not dial if it had it.
			link.is_open()
				&& link.dialled
				&& link.incarnation == incoming
				&& link.up_since.elapsed() < window
		});
		dialling || dialled
	}
}

#[cfg(test)]
impl Peers {
	/// Whether there is neither a connection to the peer nor a dial.
	pub(super) fn is_unknown(&self, peer: &PeerId) -> bool {
		!self.state().slots.contains_key(peer)
	}

	pub(super) fn current(&self, peer: &PeerId) -> Option<Arc<Link>> {
		self.state().slots.get(peer)?.link.clone()
	}
}
