//! A network of processes that exchange datagrams and write to disks, in virtual
//! time.
//!
//! The sibling of [`world`](crate::world), whose links are reliable streams. Here
//! messages are lost, repeated and overtaken, clocks run at different rates, and
//! what was written survives a crash only if it was on disk by then. The world
//! does one thing at a time, [`World::step`], so that whoever runs it can look at
//! everything after each event. All of it follows from one seed.
//!
//! Times of the world are in microseconds; processes are told theirs in [`Ticks`],
//! by a clock of their own.

mod clock;
mod disk;
mod network;

pub use {disk::Disk, network::Weather};

use {
	crate::world::Trace,
	clock::Clock,
	disk::Writes,
	mosaik_proto::groups::types::Ticks,
	network::Network,
	rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	std::{cmp::Ordering, collections::BinaryHeap},
};

/// A node's number.
pub type Node = usize;

/// What runs on a node.
pub trait Process: Sized {
	/// What travels between nodes.
	type Message: Message;
	/// What is on the node's disk.
	type Disk: Disk;

	/// Something happens at `now`, on the clock of this process. What it wants done
	/// is added to `effects`.
	fn handle(
		&mut self,
		now: Ticks,
		input: Input<Self::Message>,
		effects: &mut Vec<Effect<Self::Message, <Self::Disk as Disk>::Write>>,
	);
	/// When it wants to be called, on its clock.
	fn deadline(&self) -> Option<Ticks>;
}

/// What travels between nodes.
pub trait Message: Clone + std::fmt::Debug {
	/// A number that tells messages apart, for the trace.
	fn fingerprint(&self) -> u64;

	/// Whether it goes over a session that repeats what is lost and keeps the order.
	/// It is lost only where the way is blocked, which ends the session.
	fn is_reliable(&self) -> bool {
		false
	}
}

/// What happens to a process.
#[derive(Clone, Debug)]
pub enum Input<M> {
	/// Time passed.
	Tick,
	/// A message arrived.
	Message {
		/// The sender.
		from: Node,
		/// The message.
		message: M,
	},
	/// The oldest write under way is on disk.
	Written,
	/// Work that takes time is done.
	Done(u64),
}

/// What a process wants done.
#[derive(Debug)]
pub enum Effect<M, W> {
	/// Send a message, which may be lost.
	Send {
		/// To whom.
		to: Node,
		/// The message.
		message: M,
		/// How much longer than others it takes, for its size.
		extra: u64,
	},
	/// Write to disk, after all writes before it.
	Write(W),
	/// Be told [`Input::Done`] after so many microseconds.
	Work {
		/// Which.
		token: u64,
		/// How long it takes.
		micros: u64,
	},
}

/// The effects of a process.
pub type Effects<P> = Vec<Effect<<P as Process>::Message, <<P as Process>::Disk as Disk>::Write>>;

/// What will happen.
#[derive(Debug)]
enum Pending<M> {
	Wake,
	Input {
		life: Option<u32>,
		input: Input<M>,
	},
	/// What waited while the process stood still.
	Late {
		life: u32,
		input: Input<M>,
	},
	Resume,
}

#[derive(Debug)]
struct Scheduled<M> {
	at: u64,
	sequence: u64,
	node: Node,
	pending: Pending<M>,
}

impl<M> PartialEq for Scheduled<M> {
	fn eq(&self, other: &Self) -> bool {
		self.sequence == other.sequence
	}
}

impl<M> Eq for Scheduled<M> {}

impl<M> PartialOrd for Scheduled<M> {
	fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
		Some(self.cmp(other))
	}
}

impl<M> Ord for Scheduled<M> {
	/// The earliest is the greatest, as the queue gives out the greatest.
	fn cmp(&self, other: &Self) -> Ordering {
		(other.at, other.sequence).cmp(&(self.at, self.sequence))
	}
}

#[derive(Debug)]
struct Place<P: Process> {
	process: Option<P>,
	disk: P::Disk,
	writes: Writes<<P::Disk as Disk>::Write>,
	life: u32,
	clock: Clock,
	paused: bool,
	backlog: Vec<Input<P::Message>>,
	wake_at: Option<u64>,
}

/// What a call of [`World::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
	/// This node's process handled something.
	Node(Node),
	/// Something happened that no process saw.
	Nothing,
	/// Nothing happens until then.
	Idle,
}

/// A network of processes, see the [module](self).
#[derive(Debug)]
pub struct World<P: Process> {
	time: u64,
	sequence: u64,
	queue: BinaryHeap<Scheduled<P::Message>>,
	places: Vec<Place<P>>,
	network: Network,
	rng: Xoshiro256PlusPlus,
	effects: Effects<P>,
	trace: Trace,
	handled: u64,
}

impl<P: Process> World<P> {
	/// A world of nodes without processes.
	pub fn new(seed: u64, weather: Weather, nodes: usize) -> Self
	where
		P::Disk: Default,
	{
		let places = (0..nodes).map(|_| Place {
			process: None,
			disk: P::Disk::default(),
			writes: Writes::default(),
			life: 0,
			clock: Clock::default(),
			paused: false,
			backlog: Vec::new(),
			wake_at: None,
		});
		Self {
			time: 0,
			sequence: 0,
			queue: BinaryHeap::new(),
			places: places.collect(),
			network: Network::new(weather, nodes),
			rng: Xoshiro256PlusPlus::seed_from_u64(seed),
			effects: Vec::new(),
			trace: Trace::default(),
			handled: 0,
		}
	}

	/// The time since the beginning, in microseconds.
	pub const fn now(&self) -> u64 {
		self.time
	}

	/// How many events processes have handled.
	pub const fn handled(&self) -> u64 {
		self.handled
	}

	/// What happened so far.
	pub const fn trace(&mut self) -> &mut Trace {
		&mut self.trace
	}

	/// How the network and the disks fare from now on.
	pub const fn weather(&mut self) -> &mut Weather {
		&mut self.network.weather
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

	/// The process of a node, to look at what it noted.
	pub fn process_mut(&mut self, node: Node) -> Option<&mut P> {
		self.places[node].process.as_mut()
	}

	/// What a crash of the node at this moment would leave on its disk for certain.
	pub fn disk(&self, node: Node) -> &P::Disk {
		&self.places[node].disk
	}

	/// The disk of a node that is not running.
	pub fn disk_mut(&mut self, node: Node) -> &mut P::Disk {
		&mut self.places[node].disk
	}

	/// The number of the life of a node.
	pub fn life(&self, node: Node) -> u32 {
		self.places[node].life
	}

	/// Whether a node stands still.
	pub fn is_paused(&self, node: Node) -> bool {
		self.places[node].paused
	}

	/// Begins a life with a clock that runs at `rate` thousandths of the true one.
	pub fn start(&mut self, node: Node, rate: u64, process: P) {
		let place = &mut self.places[node];
		assert!(place.process.is_none(), "it is running");
		place.clock = Clock::new(self.time, rate);
		place.process = Some(process);
		self.note(node, 1, rate);
		self.handle(node, Input::Tick);
	}

	/// The process is gone without a word. Of the writes under way those up to some
	/// point are on disk.
	pub fn crash(&mut self, node: Node) {
		let place = &mut self.places[node];
		if place.process.take().is_none() {
			return;
		}
		let survive = self.rng.random_range(0..=place.writes.len());
		place.writes.crash(survive, &mut place.disk);
		place.life += 1;
		place.paused = false;
		place.backlog.clear();
		place.wake_at = None;
		self.note(node, 2, survive as u64);
	}

	/// The process stands still for a while; what arrives waits.
	pub fn pause(&mut self, node: Node, micros: u64) {
		if self.places[node].process.is_some() && !self.places[node].paused {
			self.places[node].paused = true;
			self.note(node, 3, micros);
			self.later(self.time + micros, node, Pending::Resume);
		}
	}

	/// The disk of a node does nothing for a while.
	pub fn stall(&mut self, node: Node, micros: u64) {
		let until = self.time + micros;
		self.places[node].writes.stall(until);
		self.note(node, 4, micros);
	}

	/// The clock of a node runs at another rate from now on.
	pub fn set_rate(&mut self, node: Node, rate: u64) {
		self.places[node].clock.set_rate(self.time, rate);
		self.note(node, 5, rate);
		self.set_alarm(node);
	}

	/// Messages from one node to the other no longer arrive.
	pub fn block(&mut self, from: Node, to: Node) {
		self.network.block(from, to);
		self.note(from, 6, to as u64);
	}

	/// All messages arrive again, or at least some do.
	pub fn heal(&mut self) {
		self.network.heal();
		self.note(0, 7, 0);
	}

	/// Lets a user of a node's process do something.
	pub fn with<T>(
		&mut self,
		node: Node,
		act: impl FnOnce(&mut P, Ticks, &mut Effects<P>) -> T,
	) -> Option<T> {
		let place = &mut self.places[node];
		if place.paused {
			return None;
		}
		let now = place.clock.ticks(self.time);
		let mut effects = std::mem::take(&mut self.effects);
		let result = act(place.process.as_mut()?, now, &mut effects);
		self.effects = effects;
		self.note(node, 8, 0);
		self.settle(node);
		Some(result)
	}

	/// Lets the next thing happen that happens before `until`.
	pub fn step(&mut self, until: u64) -> Step {
		match self.queue.peek() {
			Some(next) if next.at <= until => {}
			_ => {
				self.time = self.time.max(until);
				return Step::Idle;
			}
		}
		let Some(next) = self.queue.pop() else {
			return Step::Idle;
		};
		self.time = next.at;
		let node = next.node;
		let place = &mut self.places[node];
		match next.pending {
			Pending::Wake => {
				if place.wake_at != Some(next.at) {
					return Step::Nothing;
				}
				place.wake_at = None;
				if place.paused {
					return Step::Nothing;
				}
				self.handle(node, Input::Tick);
				Step::Node(node)
			}
			Pending::Input { life, input } => self.arrive(node, life, input),
			Pending::Late { life, input } => {
				if place.life != life || place.process.is_none() {
					return Step::Nothing;
				}
				if place.paused {
					place.backlog.push(input);
					return Step::Nothing;
				}
				self.handle(node, input);
				Step::Node(node)
			}
			Pending::Resume => {
				if !std::mem::take(&mut place.paused) {
					return Step::Nothing;
				}
				// One after the other, so that each can be looked at. Whether time
				// or what waited is noticed first is a matter of chance.
				let mut waiting = std::mem::take(&mut place.backlog);
				let life = place.life;
				if self.rng.random() {
					waiting.insert(0, Input::Tick);
				} else {
					waiting.push(Input::Tick);
				}
				for input in waiting {
					self.later(self.time, node, Pending::Late { life, input });
				}
				Step::Nothing
			}
		}
	}

	fn arrive(&mut self, node: Node, life: Option<u32>, input: Input<P::Message>) -> Step {
		let place = &mut self.places[node];
		if place.process.is_none() || life.is_some_and(|life| life != place.life) {
			return Step::Nothing;
		}
		if let Input::Message { from, .. } = &input
			&& self.network.is_blocked(*from, node)
		{
			return Step::Nothing;
		}
		if matches!(input, Input::Written) {
			// The disk goes on while the process stands still.
			place.writes.finish(&mut place.disk);
		}
		if place.paused {
			place.backlog.push(input);
			return Step::Nothing;
		}
		self.handle(node, input);
		Step::Node(node)
	}

	fn handle(&mut self, node: Node, input: Input<P::Message>) {
		let place = &mut self.places[node];
		let Some(process) = &mut place.process else {
			return;
		};
		let now = place.clock.ticks(self.time);
		let (kind, what) = match &input {
			Input::Tick => (16, now),
			Input::Message { from, message } => (32 + *from as u64, message.fingerprint()),
			Input::Written => (17, 0),
			Input::Done(token) => (18, *token),
		};
		self.trace.numbers([self.time, node as u64, kind, what]);
		if self.trace.is_kept() {
			self.trace
				.text(self.time, format_args!("{node} < {input:?}"));
		}
		self.handled += 1;
		process.handle(now, input, &mut self.effects);
		self.settle(node);
	}

	/// Performs what a process wants and sets its alarm.
	fn settle(&mut self, node: Node) {
		let mut effects = std::mem::take(&mut self.effects);
		for effect in effects.drain(..) {
			match effect {
				Effect::Send { to, message, extra } => self.transmit(node, to, message, extra),
				Effect::Write(write) => {
					let micros = self.network.weather.write(&mut self.rng);
					let place = &mut self.places[node];
					let at = place.writes.begin(self.time, micros, write);
					let life = Some(place.life);
					let input = Input::Written;
					self.later(at, node, Pending::Input { life, input });
				}
				Effect::Work { token, micros } => {
					let life = Some(self.places[node].life);
					let input = Input::Done(token);
					self.later(self.time + micros, node, Pending::Input { life, input });
				}
			}
		}
		self.effects = effects;
		self.set_alarm(node);
	}

	fn set_alarm(&mut self, node: Node) {
		let place = &mut self.places[node];
		let Some(deadline) = place.process.as_ref().and_then(P::deadline) else {
			return;
		};
		let at = place.clock.time_of(deadline).max(self.time);
		if place.wake_at.is_none_or(|wake| at < wake) {
			place.wake_at = Some(at);
			self.later(at, node, Pending::Wake);
		}
	}

	fn transmit(&mut self, from: Node, to: Node, message: P::Message, extra: u64) {
		if self.trace.is_kept() {
			let line = format_args!("{from} > {to} {message:?}");
			self.trace.text(self.time, line);
		}
		if message.is_reliable() {
			let at = self.time + extra + self.network.weather.delay(&mut self.rng);
			if let Some(at) = self.network.in_order(from, to, at) {
				self.send_copy(from, to, message, at);
			}
			return;
		}
		let copies = self.network.copies(from, to, &mut self.rng);
		for copy in (0..copies).rev() {
			let at = self.time + extra + self.network.weather.delay(&mut self.rng);
			let message = if copy == 0 {
				return self.send_copy(from, to, message, at);
			} else {
				message.clone()
			};
			self.send_copy(from, to, message, at);
		}
	}

	fn send_copy(&mut self, from: Node, to: Node, message: P::Message, at: u64) {
		let input = Input::Message { from, message };
		self.later(at, to, Pending::Input { life: None, input });
	}

	fn later(&mut self, at: u64, node: Node, pending: Pending<P::Message>) {
		self.sequence += 1;
		self.queue.push(Scheduled {
			at,
			sequence: self.sequence,
			node,
			pending,
		});
	}

	/// A number of the world's dice, for whoever runs it.
	pub fn roll(&mut self) -> u64 {
		self.rng.next_u64()
	}

	fn note(&mut self, node: Node, kind: u64, what: u64) {
		self.trace.numbers([self.time, node as u64, kind, what]);
	}
}
