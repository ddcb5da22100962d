//! A network of processes in virtual time.
//!
//! The world knows nodes by number, moves messages and breaks things; what the
//! nodes do is a [`Process`]. Links are what QUIC streams are: reliable and in
//! order while they are up, noticed to be broken only after a silence.

mod network;
mod trace;

pub use {network::Weather, trace::Trace};

use {
	mosaik_proto::core::{Instant, Now},
	network::{Link, LinkId},
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	std::{
		cmp::Reverse,
		collections::{BTreeMap, BTreeSet, BinaryHeap},
		fmt,
		time::Duration,
	},
};

/// A node's number.
pub type Node = usize;

/// What runs on a node: a core with what it needs to be started.
pub trait Process: Sized {
	/// What travels between nodes.
	type Message: fmt::Debug;
	/// What an observer is told.
	type Event: fmt::Debug;
	/// What outlives a crash.
	type Durable: fmt::Debug;

	/// Begins a life. `generation` counts the lives of this node.
	fn start(durable: &Self::Durable, generation: u32, now: Now, seed: u64) -> Self;
	/// Takes in what happened.
	fn handle(&mut self, now: Now, happening: Happening<Self::Message>);
	/// What is to be done, until `None`.
	fn poll(&mut self) -> Option<Effect<Self::Message, Self::Event>>;
	/// When it wants to be called.
	fn deadline(&self) -> Option<Instant>;
	/// The size of a message on the wire, in bytes.
	fn size(message: &Self::Message) -> usize;
}

/// What happens to a process.
#[derive(Debug)]
pub enum Happening<M> {
	/// Time passed.
	Tick,
	/// A link is up.
	LinkUp {
		/// The other side.
		peer: Node,
		/// Who dialled.
		opened_by_us: bool,
	},
	/// A link broke or was closed by the other side.
	LinkDown {
		/// The other side.
		peer: Node,
	},
	/// A dial came to nothing.
	DialFailed {
		/// Who was dialled.
		peer: Node,
	},
	/// A message arrived.
	Message {
		/// The sender.
		from: Node,
		/// The message.
		message: M,
	},
}

/// What a process wants done.
#[derive(Debug)]
pub enum Effect<M, E> {
	/// Open a link.
	Dial {
		/// To whom.
		peer: Node,
		/// The generations of the peer that live at the addresses known.
		places: Vec<u32>,
	},
	/// Close the link.
	Close {
		/// To whom.
		peer: Node,
	},
	/// Close the link, if it leads to a former life of the peer.
	CloseFormer {
		/// To whom.
		peer: Node,
	},
	/// Send a message over the link.
	Send {
		/// To whom.
		peer: Node,
		/// The message.
		message: M,
	},
	/// Tell the observer.
	Event(E),
}

/// A node and its process, if that is running.
#[derive(Debug)]
struct Place<P: Process> {
	durable: P::Durable,
	process: Option<P>,
	generation: u32,
	booted: u64,
	skew_ms: i64,
	paused: bool,
	backlog: Vec<Happening<P::Message>>,
	wake_at: Option<u64>,
	links: BTreeMap<Node, LinkId>,
	sent_bytes: u64,
	sent_messages: u64,
}

/// What will happen.
#[derive(Debug)]
enum Pending {
	Wake(Node),
	/// The handshake is over.
	Open {
		from: Node,
		to: Node,
		generations: [u32; 2],
		deadline: u64,
		lost: bool,
	},
	/// The head of a link's queue arrives, in this direction.
	Arrive {
		link: LinkId,
		direction: usize,
	},
	/// If the way has been blocked since, the link is broken.
	Idle {
		link: LinkId,
		blocked_since: u64,
	},
	/// Tell one side that the link is gone.
	Down {
		to: Node,
		generation: u32,
		peer: Node,
		link: LinkId,
	},
}

/// A network of processes, see the [module](self).
#[derive(Debug)]
pub struct World<P: Process> {
	seed: u64,
	time: u64,
	sequence: u64,
	queue: BinaryHeap<Reverse<(u64, u64)>>,
	pending: BTreeMap<u64, Pending>,
	places: Vec<Place<P>>,
	links: BTreeMap<LinkId, Link<P::Message>>,
	next_link: LinkId,
	weather: Weather,
	/// The side of the cut that each node is on.
	sides: BTreeMap<Node, u32>,
	rng: Xoshiro256PlusPlus,
	events: Vec<(Instant, Node, P::Event)>,
	trace: Trace,
}

/// The place of an address that leads to any life of a node, as a name does.
pub const ANY_LIFE: u32 = u32::MAX;

/// The true time at the beginning, by the wall clock.
const EPOCH_MS: i64 = 1_800_000_000_000;

impl<P: Process> World<P> {
	/// An empty world.
	pub fn new(seed: u64, weather: Weather) -> Self {
		Self {
			seed,
			time: 0,
			sequence: 0,
			queue: BinaryHeap::new(),
			pending: BTreeMap::new(),
			places: Vec::new(),
			links: BTreeMap::new(),
			next_link: 0,
			weather,
			sides: BTreeMap::new(),
			rng: Xoshiro256PlusPlus::seed_from_u64(seed),
			events: Vec::new(),
			trace: Trace::default(),
		}
	}

	/// What happened so far.
	pub const fn trace(&mut self) -> &mut Trace {
		&mut self.trace
	}

	/// The time since the beginning.
	pub const fn now(&self) -> Instant {
		Instant(self.time)
	}

	/// The world's dice, for scenarios.
	pub const fn rng(&mut self) -> &mut Xoshiro256PlusPlus {
		&mut self.rng
	}

	/// Changes how dials fare from now on.
	pub const fn weather(&mut self) -> &mut Weather {
		&mut self.weather
	}

	/// How many nodes there are, running or not.
	pub const fn len(&self) -> usize {
		self.places.len()
	}

	/// Whether there are no nodes.
	pub const fn is_empty(&self) -> bool {
		self.places.is_empty()
	}

	/// The process of a node, if it is running.
	pub fn process(&self, node: Node) -> Option<&P> {
		self.places[node].process.as_ref()
	}

	/// The nodes with a process.
	pub fn running(&self) -> impl Iterator<Item = (Node, &P)> + Clone {
		let places = self.places.iter().enumerate();
		places.filter_map(|(node, place)| Some((node, place.process.as_ref()?)))
	}

	/// Bytes and messages a node has sent, in all its lives.
	pub fn sent(&self, node: Node) -> (u64, u64) {
		let place = &self.places[node];
		(place.sent_bytes, place.sent_messages)
	}

	/// Takes what the processes told since the last call.
	pub fn take_events(&mut self) -> Vec<(Instant, Node, P::Event)> {
		std::mem::take(&mut self.events)
	}

	/// Adds a node whose clock is wrong by `skew_ms`, and starts it.
	pub fn add(&mut self, durable: P::Durable, skew_ms: i64) -> Node {
		let node = self.places.len();
		self.places.push(Place {
			durable,
			process: None,
			generation: 0,
			booted: 0,
			skew_ms,
			paused: false,
			backlog: Vec::new(),
			wake_at: None,
			links: BTreeMap::new(),
			sent_bytes: 0,
			sent_messages: 0,
		});
		self.start(node);
		node
	}

	/// Starts a node that is not running, under the clock error `skew_ms`.
	pub fn restart(&mut self, node: Node, skew_ms: i64) {
		assert!(self.places[node].process.is_none(), "it is running");
		self.places[node].skew_ms = skew_ms;
		self.places[node].generation += 1;
		self.start(node);
	}

	fn start(&mut self, node: Node) {
		let generation = self.places[node].generation;
		self.note(format_args!("{node} starts, life {generation}"));
		self.places[node].booted = self.time;
		let seed = self.rng.random();
		let now = self.now_at(node);
		let place = &mut self.places[node];
		place.process = Some(P::start(&place.durable, generation, now, seed));
		self.settle(node);
	}

	/// The process is gone without a word.
	pub fn crash(&mut self, node: Node) {
		self.note(format_args!("{node} crashes"));
		let place = &mut self.places[node];
		place.process = None;
		place.paused = false;
		place.backlog.clear();
		place.wake_at = None;
		let links = std::mem::take(&mut place.links);
		for (peer, link) in links {
			self.block(link);
			let _ = peer;
		}
	}

	/// The process stands still; what arrives waits.
	pub fn pause(&mut self, node: Node) {
		self.note(format_args!("{node} pauses"));
		self.places[node].paused = true;
		let links: Vec<LinkId> = self.places[node].links.values().copied().collect();
		for link in links {
			self.block(link);
		}
	}

	/// The process goes on.
	pub fn resume(&mut self, node: Node) {
		self.note(format_args!("{node} resumes"));
		let place = &mut self.places[node];
		place.paused = false;
		let mut backlog = std::mem::take(&mut place.backlog);
		if self.rng.random() {
			backlog.insert(0, Happening::Tick);
		} else {
			backlog.push(Happening::Tick);
		}
		for happening in backlog {
			self.happen(node, happening);
		}
		self.unblock();
	}

	/// Cuts these nodes off from the others, who stay together.
	pub fn cut(&mut self, island: impl IntoIterator<Item = Node>, side: u32) {
		let island: BTreeSet<Node> = island.into_iter().collect();
		self.note(format_args!(
			"side {side}: {} nodes {:?}",
			island.len(),
			island.first()
		));
		self.sides
			.extend(island.into_iter().map(|node| (node, side)));
		let cut: Vec<LinkId> = self.links.keys().copied().collect();
		for link in cut {
			self.block(link);
		}
	}

	/// Mends all cuts.
	pub fn mend(&mut self) {
		self.note(format_args!("the network is whole"));
		self.sides.clear();
		self.unblock();
	}

	/// Lets a user of a node's process do something.
	pub fn with<T>(&mut self, node: Node, act: impl FnOnce(&mut P, Now) -> T) -> Option<T> {
		let now = self.now_at(node);
		let result = act(self.places[node].process.as_mut()?, now);
		self.settle(node);
		Some(result)
	}

	/// Runs for a while, or until something was told to the observer: `false`
	/// if the time is up.
	pub fn run_until_event(&mut self, end: Instant) -> bool {
		while self.events.is_empty() {
			match self.queue.peek() {
				Some(&Reverse((at, id))) if at <= end.0 => {
					self.queue.pop();
					self.time = at;
					if let Some(pending) = self.pending.remove(&id) {
						self.occur(pending);
					}
				}
				_ => {
					self.time = end.0;
					return false;
				}
			}
		}
		true
	}

	/// Runs for a while.
	pub fn run_for(&mut self, time: Duration) -> Vec<(Instant, Node, P::Event)> {
		let end = self.now() + time;
		let mut events = Vec::new();
		while self.run_until_event(end) {
			events.append(&mut self.events);
		}
		events
	}

	fn now_at(&self, node: Node) -> Now {
		let place = &self.places[node];
		let true_ms = EPOCH_MS + i64::try_from(self.time / 1000).unwrap_or(i64::MAX);
		Now {
			mono: Instant(self.time - place.booted),
			wall_ms: u64::try_from(true_ms + place.skew_ms).unwrap_or_default(),
		}
	}

	fn later(&mut self, at: u64, pending: Pending) {
		self.sequence += 1;
		self.pending.insert(self.sequence, pending);
		self.queue.push(Reverse((at, self.sequence)));
	}

	fn occur(&mut self, pending: Pending) {
		match pending {
			Pending::Wake(node) => {
				let place = &mut self.places[node];
				if place.wake_at == Some(self.time) {
					place.wake_at = None;
					if !place.paused {
						self.happen(node, Happening::Tick);
					}
				}
			}
			Pending::Open {
				from,
				to,
				generations,
				deadline,
				lost,
			} => self.open(from, to, generations, deadline, lost),
			Pending::Arrive { link, direction } => self.arrive(link, direction),
			Pending::Idle {
				link,
				blocked_since,
			} => self.idle(link, blocked_since),
			Pending::Down {
				to,
				generation,
				peer,
				link,
			} => {
				let place = &mut self.places[to];
				if place.generation == generation && place.links.get(&peer) == Some(&link) {
					place.links.remove(&peer);
					self.happen(to, Happening::LinkDown { peer });
				}
			}
		}
	}

	/// Lets something happen to a process, now or when it is awake again.
	fn happen(&mut self, node: Node, happening: Happening<P::Message>) {
		let now = self.now_at(node);
		let place = &mut self.places[node];
		if place.paused {
			place.backlog.push(happening);
			return;
		}
		let Some(process) = &mut place.process else {
			return;
		};
		process.handle(now, happening);
		self.settle(node);
	}

	/// Performs what a process wants and sets its alarm.
	fn settle(&mut self, node: Node) {
		while let Some(effect) = self.places[node].process.as_mut().and_then(P::poll) {
			match effect {
				Effect::Dial { peer, places } => self.dial(node, peer, &places),
				Effect::Close { peer } => self.close(node, peer),
				Effect::CloseFormer { peer } => self.close_former(node, peer),
				Effect::Send { peer, message } => self.send(node, peer, message),
				Effect::Event(event) => {
					self.note(format_args!("{node} says {event:?}"));
					self.events.push((Instant(self.time), node, event));
				}
			}
		}
		let place = &mut self.places[node];
		let Some(deadline) = place.process.as_ref().and_then(P::deadline) else {
			return;
		};
		let at = deadline.0.saturating_add(place.booted).max(self.time);
		if place.wake_at.is_none_or(|wake| at < wake) {
			place.wake_at = Some(at);
			self.later(at, Pending::Wake(node));
		}
	}

	fn note(&mut self, line: fmt::Arguments<'_>) {
		self.trace.line(self.time, line);
	}
}
