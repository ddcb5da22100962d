//! Replicas that talk over bonds without delay, in steps of a millisecond.

mod formation;

use {
	super::{CallId, Event, Input, Outcome, Output, Replica, ReplicaSettings, Stored, WriteKind},
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

struct World {
	time: u64,
	nodes: BTreeMap<u8, Node>,
	cut: BTreeSet<(u8, u8)>,
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
		self.starts += 1;
		let seed = [self.starts; 32];
		let replica = Replica::new(peer(node), settings, disk.clone(), seed, self.now());
		let started = Node {
			replica,
			formation: None,
			applied: Vec::new(),
			disk,
			durable,
			events: Vec::new(),
			done: BTreeMap::new(),
		};
		let others: Vec<u8> = self.nodes.keys().copied().collect();
		self.nodes.insert(node, started);
		self.settle();
		for other in others {
			self.connect(node, other);
		}
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
				if !self.cut.contains(&(number.min(to), number.max(to))) {
					let from = peer(number);
					inputs.push_back((to, Input::Message { from, message }));
				}
			}
			Output::Write(write) => {
				node.write(&write.kind, &self.snapshots);
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
				let input = snapshot.map_or(Input::FetchFailed { of, pos }, |(base, _)| {
					let base = base.clone();
					Input::Fetched { of, base }
				});
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
	fn wait(&mut self, what: &str, holds: impl FnMut(&mut Self) -> bool) {
		let end = self.time + 60_000;
		assert!(self.run_until(end, holds), "{what}");
	}

	fn run_until(&mut self, end: u64, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
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

	fn leader(&self) -> Option<u8> {
		let mut nodes = self.nodes.iter();
		nodes
			.find(|(_, node)| node.replica.engine().is_some_and(|(_, raft)| raft.leads()))
			.map(|(number, _)| *number)
	}

	fn is_online(&self, node: u8) -> bool {
		self.nodes[&node].replica.is_online()
	}

	fn all_online(&self) -> bool {
		self.nodes.values().all(|node| node.replica.is_online())
	}

	fn voters(&self, node: u8) -> usize {
		use crate::groups::engine::Engine;
		let (_, raft) = self.nodes[&node].replica.engine().unwrap();
		raft.log_state().config.voters.len()
	}

	fn formations(&self) -> BTreeSet<FormationId> {
		self.nodes
			.values()
			.filter_map(|node| node.formation)
			.collect()
	}

	/// Issues a command on a node and waits for its outcome.
	fn execute(&mut self, node: u8, command: &'static str) -> Outcome {
		let call = self.issue(node, command);
		self.outcome(node, call)
	}

	fn issue(&mut self, node: u8, command: &'static str) -> CallId {
		self.calls += 1;
		let call = CallId(self.calls);
		let payloads = vec![Bytes::from_static(command.as_bytes())];
		self.handle(node, Input::Execute { call, payloads });
		self.settle();
		call
	}

	fn outcome(&mut self, node: u8, call: CallId) -> Outcome {
		self.wait("the command has an outcome", |world| {
			world.nodes[&node].done.contains_key(&call)
		});
		self.nodes[&node].done[&call].clone()
	}

	fn read(&mut self, node: u8) -> Outcome {
		self.calls += 1;
		let call = CallId(self.calls);
		self.handle(node, Input::Read { call });
		self.settle();
		self.outcome(node, call)
	}

	fn leave(&mut self, node: u8) -> Outcome {
		self.calls += 1;
		let call = CallId(self.calls);
		self.handle(node, Input::Leave { call });
		self.settle();
		self.outcome(node, call)
	}

	fn applied(&self, node: u8) -> Vec<&str> {
		let applied = self.nodes[&node].applied.iter();
		applied
			.map(|bytes| std::str::from_utf8(bytes).unwrap())
			.collect()
	}
}

impl Node {
	fn write(
		&mut self,
		kind: &WriteKind,
		snapshots: &BTreeMap<(FormationId, u64), (Base, Vec<Bytes>)>,
	) {
		match kind {
			WriteKind::Pledge { nonce, pledge } => {
				self.disk = pledge.map_or(Stored::Empty, |pledge| Stored::Pledged {
					nonce: *nonce,
					pledge,
				});
			}
			WriteKind::Begin {
				identity,
				hard_state,
				base,
			} => match &mut self.disk {
				Stored::Member {
					identity: known, ..
				} if known.member == identity.member && known.formation == identity.formation => {
					*known = *identity;
				}
				disk => {
					*disk = Stored::Member {
						identity: *identity,
						recovered: Recovered {
							hard_state: *hard_state,
							base: base.clone(),
							entries: Vec::new(),
						},
					};
				}
			},
			WriteKind::Engine(persist) => {
				let Stored::Member {
					recovered,
					identity,
				} = &mut self.disk
				else {
					panic!("the engine writes before the member began");
				};
				if let Some(hard_state) = persist.hard_state {
					recovered.hard_state = hard_state;
				}
				if let Some(install) = &persist.install {
					let index = install.base.pos.index;
					recovered.base = install.base.clone();
					let keep = |entry: &crate::groups::entry::Entry| {
						!install.reset && entry.pos.index > index
					};
					recovered.entries.retain(keep);
					self.applied = snapshots[&(identity.formation, index)].1.clone();
				}
				if let Some(base) = &persist.compact {
					recovered
						.entries
						.retain(|entry| entry.pos.index > base.pos.index);
					recovered.base = base.clone();
				}
				if let Some(first) = persist.append.first() {
					recovered
						.entries
						.retain(|entry| entry.pos.index < first.pos.index);
					recovered.entries.extend(persist.append.iter().cloned());
				}
			}
			WriteKind::Wipe => self.disk = Stored::Empty,
		}
	}
}
