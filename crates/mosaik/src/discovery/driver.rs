//! Does what the membership core decides: links, timers, events.
//!
//! The core is behind one short lock and everything it asks for is done at once
//! and without waiting: a message goes into a link's bounded queue, a dial
//! becomes a task. So a user's call sees its own effect when it returns, and
//! there is no queue between the core and what it decided.

use {
	super::{Config, metrics::DiscoveryMetrics},
	crate::{
		network::{
			LocalNode, Protocol,
			error::OpenError,
			link::Lane,
			peer::{Incoming, Peers},
		},
		runtime::tasks::Tasks,
	},
	chrono::Utc,
	futures::StreamExt,
	iroh::{Watcher, address_lookup::MemoryLookup},
	mosaik_proto::{
		EndpointAddr, PeerId,
		core::{Core, Instant as CoreInstant, Now},
		discovery::{
			Catalog, Error, Event, Input, Membership, Message, Output, PeerEntry, SyncError,
			SyncToken,
		},
		id::{NetworkId, ShortFmtExt},
		wire::CloseCode,
	},
	std::{
		collections::{BTreeMap, VecDeque},
		future::Future,
		ops::Deref,
		sync::{Arc, Mutex, MutexGuard, PoisonError},
		time::{Duration, Instant},
	},
	tokio::{
		sync::{Notify, broadcast, oneshot, watch},
		time,
	},
};

mod link;

use link::{Link, LinkId};

/// How many exchanges may be waited for at once. The core bounds them per link.
const MAX_SYNCS: usize = 4096;

/// How often the metrics are brought up to date.
const METRICS_INTERVAL: Duration = Duration::from_secs(1);

/// What waits for the end of an exchange.
struct Waiting {
	peer: PeerId,
	done: oneshot::Sender<Result<(), Error>>,
}

struct State {
	core: Membership,
	links: BTreeMap<PeerId, Link>,
	next_link: LinkId,
	syncs: BTreeMap<SyncToken, Waiting>,
	next_sync: SyncToken,
	/// What is to be told once the catalog is up to date.
	events: Vec<Event>,
	/// The other network of peers that exchanges wait for.
	foreign: BTreeMap<PeerId, NetworkId>,
}

/// The shared part of a [`Driver`].
pub(super) struct Inner {
	state: Mutex<State>,
	/// The core's deadline may have moved.
	moved: Notify,
	epoch: Instant,
	departure_window: Duration,
	peers: Peers,
	memory: MemoryLookup,
	tasks: Tasks,
	pub(super) catalog: watch::Sender<Catalog>,
	pub(super) events: broadcast::Sender<Event>,
}

/// The membership core with what it needs to act. Cheap to clone.
#[derive(Clone)]
pub(super) struct Driver(Arc<Inner>);

impl Deref for Driver {
	type Target = Inner;

	fn deref(&self) -> &Inner {
		&self.0
	}
}

impl Driver {
	pub(super) fn start(
		local: &LocalNode,
		started_ms: u64,
		config: &Config,
		peers: Peers,
		memory: MemoryLookup,
		tasks: &Tasks,
	) -> Self {
		let address = local.addr();
		let entry = PeerEntry::new(*local.network_id(), address.clone())
			.add_tags(config.tags.iter().copied());
		let now = Now {
			mono: CoreInstant::default(),
			wall_ms: started_ms,
		};
		let key = local.secret_key().clone();
		let core = Membership::new(config.membership(), key, entry, now, rand::random())
			// Both come from the same endpoint.
			.expect("the entry is of the peer whose key signs it");
		let driver = Self(Arc::new(Inner {
			catalog: watch::Sender::new(core.catalog()),
			events: broadcast::Sender::new(config.events_backlog),
			state: Mutex::new(State {
				core,
				links: BTreeMap::new(),
				next_link: LinkId::default(),
				syncs: BTreeMap::new(),
				next_sync: 0,
				events: Vec::new(),
				foreign: BTreeMap::new(),
			}),
			moved: Notify::new(),
			epoch: Instant::now(),
			departure_window: config.graceful_departure_window,
			peers,
			memory,
			tasks: tasks.clone(),
		}));
		driver.spawn_loops(local, config.rtt_probe_interval);
		driver
	}

	fn spawn_loops(&self, local: &LocalNode, rtt_interval: Duration) {
		let tasks = &self.tasks;
		tasks.spawn("discovery.timers", self.clone().keep_time());
		tasks.spawn("discovery.rtt", self.clone().sample_rtts(rtt_interval));
		let metrics = DiscoveryMetrics::new(local.network_id());
		tasks.spawn("discovery.metrics", self.clone().count(metrics));
		let mut incoming = self.peers.accept(Protocol::Discovery);
		let driver = self.clone();
		tasks.spawn("discovery.accept", async move {
			while let Some(Incoming { peer, lane }) = incoming.recv().await {
				driver.link_up(peer, lane, false);
			}
		});
	}

	/// Ticks the core when it wants to be.
	async fn keep_time(self) {
		loop {
			let deadline = self.state().core.deadline();
			let pause = deadline.map(|deadline| deadline.since(self.now().mono));
			tokio::select! {
				biased;
				() = self.moved.notified() => {}
				() = sleep(pause) => self.handle(Input::Tick),
			}
		}
	}

	/// Tells the core what the transport measures.
	async fn sample_rtts(self, interval: Duration) {
		let mut interval = time::interval(interval);
		interval.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
		loop {
			interval.tick().await;
			for peer in self.peers.connected() {
				if let Some(path) = self.peers.path(&peer) {
					self.handle(Input::Rtt {
						peer,
						sample: path.rtt,
					});
				}
			}
		}
	}

	async fn count(self, metrics: DiscoveryMetrics) {
		let mut interval = time::interval(METRICS_INTERVAL);
		loop {
			interval.tick().await;
			metrics.update(&self.state().core);
		}
	}

	/// Takes in one event and does all that follows from it.
	pub(super) fn handle(&self, input: Input) {
		self.with(|core, now| core.handle(now, input));
	}

	/// Calls the core and does all that follows from it.
	pub(super) fn with<T>(&self, call: impl FnOnce(&mut Membership, Now) -> T) -> T {
		self.with_state(&mut self.state(), call)
	}

	fn with_state<T>(&self, state: &mut State, call: impl FnOnce(&mut Membership, Now) -> T) -> T {
		let before = state.core.deadline();
		let result = call(&mut state.core, self.now());
		self.perform_all(state);
		if state.core.deadline() != before {
			self.moved.notify_one();
		}
		result
	}

	/// Changes the own entry.
	pub(super) fn update(&self, change: impl FnOnce(PeerEntry) -> PeerEntry) {
		self.with(|core, now| {
			let entry = change(core.local().clone().into_unsigned());
			core.handle(now, Input::UpdateLocal(entry));
		});
	}

	fn perform_all(&self, state: &mut State) {
		// What fails at once is told to the core, which may want more.
		let mut failed = VecDeque::new();
		loop {
			while let Some(output) = state.core.poll() {
				self.perform(state, output, &mut failed);
			}
			let Some(input) = failed.pop_front() else {
				break;
			};
			state.core.handle(self.now(), input);
		}
		// Last, so that who hears of a change finds it in the catalog.
		for event in state.events.drain(..) {
			// An error means that nobody listens.
			let _ = self.events.send(event);
		}
	}

	fn perform(&self, state: &mut State, output: Output, failed: &mut VecDeque<Input>) {
		match output {
			Output::Dial(address) => self.dial(address),
			Output::Close { peer, reason } => {
				if let Some(link) = state.links.remove(&peer) {
					link.close(reason);
				}
			}
			Output::Send { peer, message } => {
				let Some(link) = state.links.get(&peer) else {
					return;
				};
				if link.send(message).is_err() {
					tracing::debug!(peer = %peer.short(), "a neighbour does not keep up");
					if let Some(link) = state.links.remove(&peer) {
						link.close(CloseCode::TooSlow);
					}
					failed.push_back(Input::LinkDown { peer });
				}
			}
			Output::Event(event) => {
				if let Event::PeerDeparted(peer) = &event {
					self.memory.remove_endpoint_info(*peer);
				}
				state.events.push(event);
			}
			Output::CatalogChanged => {
				self.catalog.send_replace(state.core.catalog());
			}
			Output::SyncDone { token, result } => state.sync_done(token, result),
			Output::Incarnation { peer, started_ms } => {
				self.peers.disconnect_older(&peer, started_ms);
			}
			Output::Address(address) => {
				self.memory.set_endpoint_info(address);
			}
			Output::DuplicateIdentity { started_ms } => tracing::warn!(
				started_ms,
				"another process uses this node's key: only one of the two can be reached"
			),
			Output::Left => {
				for (_, link) in std::mem::take(&mut state.links) {
					link.finish();
				}
			}
		}
	}

	/// Opens a link to a peer.
	fn dial(&self, address: EndpointAddr) {
		let driver = self.clone();
		self.tasks.spawn("discovery.dial", async move {
			let peer = address.id;
			match driver.peers.open(address, Protocol::Discovery).await {
				Ok(lane) => driver.link_up(peer, lane, true),
				Err(error) => {
					tracing::trace!(peer = %peer.short(), %error, "dialling failed");
					driver.dial_failed(peer, &error);
				}
			}
		});
	}

	fn dial_failed(&self, peer: PeerId, error: &OpenError) {
		if let OpenError::DifferentNetwork {
			theirs: Some(theirs),
			..
		} = error
		{
			let mut state = self.state();
			// Only while somebody wants to know.
			if state.syncs.values().any(|waiting| waiting.peer == peer) {
				state.foreign.insert(peer, *theirs);
			}
		}
		// What answers from another network is another node at the same address.
		let answered = !matches!(
			error,
			OpenError::Dial(_) | OpenError::Timeout | OpenError::DifferentNetwork { .. }
		);
		self.handle(Input::DialFailed { peer, answered });
	}

	/// Takes a link into use, unless the one there is takes precedence.
	fn link_up(&self, peer: PeerId, lane: Lane, opened_by_us: bool) {
		let mut state = self.state();
		if let Some(link) = state.links.get(&peer) {
			// Both sides opened one on the same connection: both keep the one that
			// the smaller id opened. On another connection the older is dead.
			let ours_wins = self.peers.id() < peer;
			let keep_old = link.is_on_the_connection_of(&lane)
				&& link.opened_by_us() != opened_by_us
				&& link.opened_by_us() == ours_wins;
			if keep_old {
				drop(state);
				lane.reject(CloseCode::Superseded);
				return;
			}
			if let Some(link) = state.links.remove(&peer) {
				link.close(CloseCode::Superseded);
			}
		}
		let id = state.next_link.advance();
		let link = Link::start(self, id, lane, opened_by_us);
		state.links.insert(peer, link);
		// Under the same lock: its end must not be told before its beginning.
		self.with_state(&mut state, |core, now| {
			core.handle(now, Input::LinkUp { peer, opened_by_us });
		});
	}

	/// A link's reader got something.
	fn on_message(&self, id: LinkId, from: PeerId, message: Message) {
		if self.is_current(id, &from) {
			self.handle(Input::Message { from, message });
		}
	}

	/// A link has ended.
	fn link_down(&self, id: LinkId, peer: PeerId) {
		let mut state = self.state();
		if state.links.get(&peer).is_some_and(|link| link.id() == id) {
			state.links.remove(&peer);
			self.with_state(&mut state, |core, now| {
				core.handle(now, Input::LinkDown { peer })
			});
		}
	}

	fn is_current(&self, id: LinkId, peer: &PeerId) -> bool {
		self.state()
			.links
			.get(peer)
			.is_some_and(|link| link.id() == id)
	}

	/// See [`Discovery::sync_with`](super::Discovery::sync_with).
	pub(super) fn sync_with(
		&self,
		address: EndpointAddr,
	) -> impl Future<Output = Result<(), Error>> + Send + Sync + 'static {
		let (done, result) = oneshot::channel();
		let mut state = self.state();
		let token = state.next_sync;
		state.next_sync += 1;
		let overloaded = state.syncs.len() >= MAX_SYNCS;
		if !overloaded {
			state.syncs.insert(
				token,
				Waiting {
					peer: address.id,
					done,
				},
			);
		}
		drop(state);
		if !overloaded {
			self.handle(Input::SyncWith { address, token });
		}
		let cancelled = self.tasks.token().clone();
		async move {
			if overloaded {
				return Err(Error::Other(Box::new(SyncError::Overloaded)));
			}
			tokio::select! {
				biased;
				result = result => result.unwrap_or(Err(Error::Cancelled)),
				() = cancelled.cancelled_owned() => Err(Error::Cancelled),
			}
		}
	}

	/// See [`Discovery::leave`](super::Discovery::leave).
	pub(super) async fn leave(&self) {
		let ends: Vec<_> = self.state().links.values().map(Link::ended).collect();
		self.handle(Input::Leave);
		let flushed = async {
			for end in &ends {
				end.cancelled().await;
			}
		};
		let _ = time::timeout(self.departure_window, flushed).await;
	}

	fn now(&self) -> Now {
		Now {
			mono: CoreInstant::default() + self.epoch.elapsed(),
			wall_ms: u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default(),
		}
	}

	fn state(&self) -> MutexGuard<'_, State> {
		// A closure of the user (`update`) may panic before the core is called: a
		// poisoned state is whole.
		self.state.lock().unwrap_or_else(PoisonError::into_inner)
	}
}

impl State {
	fn sync_done(&mut self, token: SyncToken, result: Result<(), SyncError>) {
		let Some(Waiting { peer, done }) = self.syncs.remove(&token) else {
			return;
		};
		let foreign = self.foreign.remove(&peer);
		let result = result.map_err(|error| match (error, foreign) {
			(SyncError::Left, _) => Error::Cancelled,
			(_, Some(remote_network)) => Error::DifferentNetwork {
				local_network: self.core.catalog().network_id(),
				remote_network,
			},
			(error, None) => Error::Other(Box::new(error)),
		});
		// An error means that nobody waits any more.
		let _ = done.send(result);
	}
}

/// Follows the addresses of this node and announces them.
pub(super) async fn follow_address(
	driver: Driver,
	local: LocalNode,
	own: watch::Sender<EndpointAddr>,
) {
	let mut changes = local.endpoint().watch_addr().stream();
	while changes.next().await.is_some() {
		// With the loopback address where there is no other.
		let address = local.addr();
		if own.send_if_modified(|current| {
			let changed = *current != address;
			current.clone_from(&address);
			changed
		}) {
			driver.update(|entry| {
				let unchanged = entry.clone();
				entry.update_address(address).unwrap_or(unchanged)
			});
		}
	}
}

async fn sleep(pause: Option<Duration>) {
	match pause {
		Some(pause) => time::sleep(pause).await,
		None => std::future::pending().await,
	}
}
