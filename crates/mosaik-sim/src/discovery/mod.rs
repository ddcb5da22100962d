//! Membership in a world of its own.

pub mod invariants;
mod node;
pub mod scenarios;

pub use {
	invariants::{Bytes, Convergence, NoFlap, NoResurrection, Violation},
	node::{Directory, Member, Spec, Told},
};

use {
	crate::world::{Node, Trace, Weather, World},
	mosaik_proto::{
		PeerId, SecretKey,
		core::Instant,
		discovery::{Event, Input, MembershipConfig},
	},
	rand::RngExt,
	std::{collections::BTreeMap, rc::Rc, time::Duration},
};

/// How far the clocks of nodes are off at most, either way.
const SKEW_MS: i64 = 10 * 60 * 1000;

/// The longest pause that must go unnoticed.
const LIMIT: Duration = Duration::from_secs(5);

/// A world of members under the eyes of the invariants.
#[derive(Debug)]
pub struct Sim {
	world: World<Member>,
	directory: Rc<Directory>,
	seed: u64,
	config: MembershipConfig,
	no_flap: NoFlap,
	no_resurrection: NoResurrection,
	/// Broken invariants.
	pub violations: Vec<Violation>,
	/// Discoveries, updates and departures so far.
	pub told: BTreeMap<&'static str, u64>,
	/// When each node last said that a peer departed.
	departures: BTreeMap<(Node, Node), Instant>,
	/// When pauses of nodes ended.
	paused: BTreeMap<Node, Instant>,
	echo: bool,
}

impl Sim {
	/// A world of at most `nodes` nodes, none of them running.
	pub fn new(seed: u64, nodes: usize, weather: Weather, config: MembershipConfig) -> Self {
		let ids: Vec<PeerId> = (0..nodes).map(|n| key(seed, n).public()).collect();
		Self {
			world: World::new(seed, weather),
			directory: Rc::new(Directory {
				nodes: ids.iter().copied().zip(0..).collect(),
				ids,
			}),
			seed,
			config,
			no_flap: NoFlap::default(),
			no_resurrection: NoResurrection::default(),
			violations: Vec::new(),
			told: BTreeMap::new(),
			departures: BTreeMap::new(),
			paused: BTreeMap::new(),
			echo: false,
		}
	}

	/// Prints the trace from now on.
	pub fn echo(&mut self) {
		self.echo = true;
		self.world.trace().keep();
	}

	/// The record of the run.
	pub const fn trace(&mut self) -> &mut Trace {
		self.world.trace()
	}

	/// The world beneath.
	pub const fn world(&mut self) -> &mut World<Member> {
		&mut self.world
	}

	/// The time.
	pub const fn now(&self) -> Instant {
		self.world.now()
	}

	/// A node by chance.
	pub fn random_running(&mut self) -> Node {
		let running: Vec<Node> = self.world.running().map(|(node, _)| node).collect();
		running[self.world.rng().random_range(0..running.len())]
	}

	fn skew(&mut self) -> i64 {
		self.world.rng().random_range(-SKEW_MS..=SKEW_MS)
	}

	/// Whether another node can be started.
	pub fn has_room(&self) -> bool {
		self.world.len() < self.directory.ids.len()
	}

	/// Starts the next node, which knows of `bootstrap`.
	pub fn add(&mut self, bootstrap: &[Node]) -> Node {
		let skew = self.skew();
		let n = self.world.len();
		let spec = Spec {
			node: n,
			directory: self.directory.clone(),
			key: key(self.seed, n),
			bootstrap: bootstrap.to_vec(),
			config: self.config.clone(),
		};
		self.world.add(spec, skew)
	}

	/// Kills a node.
	pub fn crash(&mut self, node: Node) {
		let now = self.now();
		self.no_flap.excuse(node, now);
		self.no_resurrection.died(node, now);
		self.world.crash(node);
	}

	/// Starts a killed node again, with the same key and a new clock.
	pub fn restart(&mut self, node: Node) {
		self.no_resurrection.lives(node);
		self.no_flap.excuse(node, self.now());
		let skew = self.skew();
		self.world.restart(node, skew);
	}

	/// Lets a node say goodbye and end.
	pub fn leave(&mut self, node: Node) {
		let now = self.now();
		self.no_flap.excuse(node, now);
		self.no_resurrection.died(node, now);
		self.give(node, Input::Leave);
	}

	/// Stops a node without killing it. A pause of up to five seconds must go
	/// unnoticed.
	pub fn pause(&mut self, node: Node, time: Duration) {
		// Two short pauses in a row are a long one.
		let rested = self.paused.insert(node, self.now() + time);
		let tired = rested.is_some_and(|rested| self.now().since(rested) < LIMIT * 2);
		if time > LIMIT || tired {
			self.no_flap.excuse(node, self.now() + time);
		}
		self.world.pause(node);
	}

	/// Lets a stopped node go on.
	pub fn resume(&mut self, node: Node) {
		self.world.resume(node);
	}

	/// Cuts nodes off.
	pub fn cut(&mut self, island: impl IntoIterator<Item = Node>, side: u32) {
		self.no_flap.storm();
		self.no_resurrection.storm();
		self.world.cut(island, side);
	}

	/// Mends all cuts.
	pub fn mend(&mut self) {
		let now = self.now();
		self.world.mend();
		self.no_flap.calm(now);
		self.no_resurrection.calm(now);
	}

	/// Gives a node's core an input.
	pub fn give(&mut self, node: Node, input: Input) {
		self.world.with(node, |member, now| member.give(now, input));
	}

	/// Runs for a while, under the eyes of the invariants.
	pub fn run_for(&mut self, time: Duration) {
		let end = self.now() + time;
		while self.world.run_until_event(end) {
			for (at, node, told) in self.world.take_events() {
				self.observe(at, node, &told);
			}
			self.print();
		}
		self.print();
	}

	fn print(&mut self) {
		if self.echo {
			for line in self.world.trace().take_lines() {
				#[expect(clippy::print_stdout, reason = "the trace was asked for")]
				{
					println!("{line}");
				}
			}
		}
	}

	fn observe(&mut self, at: Instant, node: Node, told: &Told) {
		let (what, violation) = match &told.0 {
			Event::PeerDiscovered(entry) => {
				let peer = self.directory.nodes[entry.id()];
				let back = self.no_resurrection.discovered(at, node, peer);
				("discovered", back)
			}
			Event::PeerUpdated(_) => ("updated", None),
			Event::PeerDeparted(id) => {
				let peer = self.directory.nodes[id];
				self.departures.insert((node, peer), at);
				self.no_resurrection.departed(node, peer);
				("departed", self.no_flap.departed(at, node, peer))
			}
		};
		*self.told.entry(what).or_default() += 1;
		self.violations.extend(violation);
	}

	/// When the last of the running nodes said that a peer departed, if all did.
	pub fn departed_everywhere(&self, peer: Node) -> Option<Instant> {
		let others = self.world.running().filter(|&(node, _)| node != peer);
		others
			.map(|(node, _)| self.departures.get(&(node, peer)).copied())
			.collect::<Option<Vec<_>>>()?
			.into_iter()
			.max()
	}

	/// Whether all that run know exactly those that run, and their newest words.
	pub fn converged(&self) -> Result<(), Violation> {
		Convergence::check(
			self.world
				.running()
				.map(|(node, member)| (node, &member.core)),
		)
	}

	/// Runs until all agree; `None` if they do not within `limit`.
	pub fn run_until_converged(&mut self, limit: Duration) -> Option<Duration> {
		let start = self.now();
		let step = Duration::from_millis(100);
		while self.now().since(start) <= limit {
			if self.converged().is_ok() {
				return Some(self.now().since(start));
			}
			self.run_for(step);
		}
		self.violations.extend(self.converged().err());
		None
	}

	/// The bytes and messages that running nodes send per second, on average and
	/// at most, over `time`.
	pub fn measure(&mut self, time: Duration) -> Bytes {
		let nodes: Vec<Node> = self.world.running().map(|(node, _)| node).collect();
		let before: Vec<_> = nodes.iter().map(|&node| self.world.sent(node)).collect();
		self.run_for(time);
		let after = nodes.iter().map(|&node| self.world.sent(node));
		Bytes::between(before, after, time)
	}

	/// The id of a node.
	pub fn id(&self, node: Node) -> PeerId {
		self.directory.ids[node]
	}
}

fn key(seed: u64, node: Node) -> SecretKey {
	let mut bytes = [7; 32];
	bytes[..8].copy_from_slice(&seed.to_le_bytes());
	bytes[8..16].copy_from_slice(&(node as u64).to_le_bytes());
	SecretKey::from_bytes(&bytes)
}
