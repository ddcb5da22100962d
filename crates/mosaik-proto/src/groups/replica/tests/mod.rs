//! Replicas that talk over bonds without delay, in steps of a millisecond.

mod disk;
mod formation;
mod idle;
mod join;
mod leave;
mod membership;
mod merge;
mod quorum;
mod regressions;
mod requests;
mod restart;
mod robustness;
mod script;

use {
	super::{
		CallId, Event, Input, Message, Outcome, Output, Replica, ReplicaSettings, Stored, WriteKind,
	},
	crate::{
		PeerId, SecretKey,
		core::{Core, Instant, Now},
		groups::{engine::Recovered, entry::EntryKind, state::Base, types::FormationId},
	},
	bytes::Bytes,
	std::collections::{BTreeMap, BTreeSet, VecDeque},
};

/// The node that a number stands for.
fn peer(node: u8) -> PeerId {
	SecretKey::from_bytes(&[node + 1; 32]).public()
}

/// A process with its disk and its state machine, which keeps all commands.
struct Node {
	replica: Replica,
	formation: Option<FormationId>,
	applied: Vec<Bytes>,
	disk: Stored,
	durable: bool,
	events: Vec<Event>,
	done: BTreeMap<CallId, Outcome>,
}

/// Which messages are lost: by sender, receiver and content.
type Lose = Box<dyn Fn(u8, u8, &Message) -> bool>;
/// At which write the disk of a node hangs.
type Hang = Box<dyn Fn(u8, &WriteKind) -> bool>;

struct World {
	time: u64,
	nodes: BTreeMap<u8, Node>,
	cut: BTreeSet<(u8, u8)>,
	lose: Lose,
	/// What was lost so.
	lost: Vec<(u8, u8, Message)>,
	hang: Hang,
	/// Whose disk hangs, until the process is gone.
	hanging: BTreeSet<u8>,
	calls: u64,
	starts: u8,
	/// Snapshots, by formation and index.
	snapshots: BTreeMap<(FormationId, u64), (Base, Vec<Bytes>)>,
}

impl World {
	fn new() -> Self {
		Self {
			time: 0,
			nodes: BTreeMap::new(),
			cut: BTreeSet::new(),
			lose: Box::new(|_, _, _| false),
			lost: Vec::new(),
			hang: Box::new(|_, _| false),
			hanging: BTreeSet::new(),
			calls: 0,
			starts: 0,
			snapshots: BTreeMap::new(),
		}
	}

	/// As many nodes, which start now and see one another.
	fn with_nodes(count: u8) -> Self {
		let mut world = Self::new();
		for node in 0..count {
			world.start(node, ReplicaSettings::default());
		}
		world
	}

	fn now(&self) -> Now {
		Now {
			mono: Instant(self.time * 1000),
			wall_ms: 0,
		}
	}

	fn start(&mut self, node: u8, settings: ReplicaSettings) {
		self.start_with(node, settings, Stored::Empty, false);
	}

	fn start_with(&mut self, node: u8, settings: ReplicaSettings, disk: Stored, durable: bool) {
		let others: Vec<u8> = self.nodes.keys().copied().collect();
		self.start_apart(node, settings, disk, durable);
		for other in others {
			self.connect(node, other);
		}
	}

	/// Starts a node that sees nobody.
	fn start_apart(&mut self, node: u8, settings: ReplicaSettings, disk: Stored, durable: bool) {
		self.starts += 1;
		let seed = [self.starts; 32];
		let replica = Replica::new(peer(node), settings, disk.clone(), seed, self.now());
		let applied = match &disk {
			Stored::Member {
				identity,
				recovered,
			} => {
				let at = (identity.formation, recovered.base.pos.index);
				let snapshot = self.snapshots.get(&at);
				snapshot.map_or_else(Vec::new, |(_, applied)| applied.clone())
			}
			Stored::Empty | Stored::Pledged { .. } => Vec::new(),
		};
		let started = Node {
			replica,
			formation: None,
			applied,
			disk,
			durable,
			events: Vec::new(),
			done: BTreeMap::new(),
		};
		self.nodes.insert(node, started);
		self.settle();
	}

	fn connect(&mut self, a: u8, b: u8) {
		self.cut.remove(&(a.min(b), a.max(b)));
		self.handle(a, Input::BondUp { peer: peer(b) });
		self.handle(b, Input::BondUp { peer: peer(a) });
		self.settle();
	}

	fn disconnect(&mut self, a: u8, b: u8) {
		self.cut.insert((a.min(b), a.max(b)));
		self.handle(a, Input::BondDown { peer: peer(b) });
		self.handle(b, Input::BondDown { peer: peer(a) });
		self.settle();
	}

	/// The process is gone.
	fn kill(&mut self, node: u8) -> Stored {
		let killed = self.nodes.remove(&node).unwrap();
		self.hanging.remove(&node);
		let others: Vec<u8> = self.nodes.keys().copied().collect();
		for other in others {
			self.handle(other, Input::BondDown { peer: peer(node) });
		}
		self.settle();
		if killed.durable {
			killed.disk
		} else {
			Stored::Empty
		}
	}

	fn handle(&mut self, node: u8, input: Input) {
		let now = self.now();
		if let Some(node) = self.nodes.get_mut(&node) {
			node.replica.handle(now, input);
		}
	}

	/// Carries out everything, until nothing is left.
	fn settle(&mut self) {
		loop {
			let mut inputs: VecDeque<(u8, Input)> = VecDeque::new();
			let numbers: Vec<u8> = self.nodes.keys().copied().collect();
			for number in numbers {
				while let Some(output) = self.nodes.get_mut(&number).unwrap().replica.poll() {
					self.perform(number, output, &mut inputs);
				}
			}
			if inputs.is_empty() {
				return;
			}
			for (node, input) in inputs {
				self.handle(node, input);
			}
		}
	}

	fn perform(&mut self, number: u8, output: Output, inputs: &mut VecDeque<(u8, Input)>) {
		let node = self.nodes.get_mut(&number).unwrap();
		match output {
			Output::Send { to, message } => {
				let to = (0..u8::MAX).find(|n| peer(*n) == to).unwrap();
				if (self.lose)(number, to, &message) {
					self.lost.push((number, to, message));
				} else if !self.cut.contains(&(number.min(to), number.max(to))) {
					let from = peer(number);
					inputs.push_back((to, Input::Message { from, message }));
				}
			}
			Output::Write(write) => {
				// What follows a write that is not done is not done either.
				if self.hanging.contains(&number) || (self.hang)(number, &write.kind) {
					self.hanging.insert(number);
					return;
				}
				node.write(&write.kind, &mut self.snapshots);
				let token = write.token;
				inputs.push_back((number, Input::Written { token }));
			}
			Output::Apply { of, range } => {
				let index = *range.end();
				for entry in node.replica.entries(range) {
					if let EntryKind::Commands(batch) = &entry.kind {
						let payloads = batch.iter().map(|envelope| envelope.payload.clone());
						node.applied.extend(payloads);
						assert_eq!(node.applied.len() as u64, entry.seq_end);
					}
				}
				inputs.push_back((number, Input::Applied { of, index }));
			}
			Output::Fetch { of, pos, .. } => {
				let snapshot = self.snapshots.get(&(of.formation, pos.index));
				let base = snapshot.map(|(base, _)| base.clone());
				let failed = Input::FetchFailed { of, pos };
				let input = base.map_or(failed, |base| Input::Fetched { of, base });
				inputs.push_back((number, input));
			}
			Output::Reset { .. } => {
				node.applied.clear();
				node.formation = None;
			}
			Output::Done { call, outcome } => {
				assert!(node.done.insert(call, outcome).is_none(), "answered twice");
			}
			Output::Event(event) => {
				if let Event::Member { identity } = &event {
					node.formation = Some(identity.formation);
				}
				node.events.push(event);
			}
		}
	}

	/// Lets time pass.
	fn run(&mut self, millis: u64) {
		let end = self.time + millis;
		self.run_until(end, |_| false);
	}

	/// Lets time pass until something holds; fails after a minute.
	fn wait(&mut self, what: &str, holds: impl FnMut(&Self) -> bool) {
		let end = self.time + 60_000;
		let holds = self.run_until(end, holds);
		let infos = self.nodes.values().map(|node| node.replica.info());
		assert!(holds, "{what}: {:#?}", infos.collect::<Vec<_>>());
	}

	fn run_until(&mut self, end: u64, mut holds: impl FnMut(&Self) -> bool) -> bool {
		loop {
			if holds(self) {
				return true;
			}
			let due = |node: &Node| node.replica.deadline().map(|at| at.0 / 1000);
			let next = self
				.nodes
				.values()
				.filter_map(due)
				.min()
				.unwrap_or(u64::MAX);
			if next > end {
				self.time = end;
				return false;
			}
			self.time = self.time.max(next);
			let numbers: Vec<u8> = self.nodes.keys().copied().collect();
			for node in numbers {
				if due(&self.nodes[&node]).is_some_and(|at| at <= self.time) {
					self.handle(node, Input::Tick);
				}
			}
			self.settle();
		}
	}
}
