//! Runs a plan and checks what must hold.

mod ambush;
mod finale;
mod partial;

use {
	crate::{
		lossy::{Node, Step, World},
		replicas::{
			bonds::{Bonds, Noticed},
			clients::Clients,
			host::{Directory, Host, Make, Note, at, payload},
			invariants::{Agreement, Chains, Duplicates, Geneses, Identities, Leaders},
			plan::{Action, Plan},
			storage::Storage,
		},
	},
	ambush::Ambush,
	mosaik_proto::{
		PeerId, SecretKey,
		groups::{
			config::Config,
			engine::Engine,
			entry::{EntryKind, FormationEntry},
			formation::Bootstrap,
			replica::{CallId, Event, Input, Outcome, Replica, ReplicaSettings, Stored},
			types::FormationId,
		},
	},
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc},
};

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
	/// What did not hold.
	pub violation: Option<String>,
	/// The hash of all that happened.
	pub trace: u64,
	/// How many events the nodes handled.
	pub events: u64,
	/// Simulated time, in microseconds.
	pub micros: u64,
	/// Commands that were acknowledged.
	pub commands: u64,
	/// Strong reads that were answered.
	pub reads: u64,
	/// Elections that were won.
	pub elections: usize,
	/// Formations in which something was committed.
	pub formations: usize,
	/// Formations that dissolved into another.
	pub merges: usize,
	/// Processes that crashed.
	pub crashes: u64,
	/// All that happened, if asked for.
	pub lines: Vec<String>,
}

/// Runs a plan.
pub fn run(plan: &Plan, trace: bool) -> Report {
	let mut run = Run::new(plan, trace);
	let violation = run.all().err();
	Report {
		violation,
		trace: run.world.trace().hash(),
		events: run.world.handled(),
		micros: run.world.now(),
		commands: run.clients.acknowledged,
		reads: run.clients.read,
		elections: run.leaders.len(),
		formations: run.agreement.formations().count(),
		merges: run.chains.len(),
		crashes: run.crashes,
		lines: run.world.trace().take_lines(),
	}
}

struct Run<'a> {
	plan: &'a Plan,
	world: World<Host>,
	directory: Arc<Directory>,
	bonds: Bonds,
	blocked: BTreeSet<(Node, Node)>,
	ambush: Ambush,
	/// Whether nothing goes wrong but what stays cut off.
	is_torn: bool,
	rng: Xoshiro256PlusPlus,
	clients: Clients,
	/// The calls of each node's users that are not answered.
	calls: Vec<BTreeSet<CallId>>,
	/// The calls to leave that are not answered.
	leaving: BTreeSet<(Node, CallId)>,
	has_anybody_left: bool,
	agreement: Agreement,
	identities: Identities,
	leaders: Leaders,
	chains: Chains,
	duplicates: Duplicates,
	geneses: Geneses,
	/// Formations that have lost their quorum, by who was told.
	quorum_lost: BTreeSet<FormationId>,
	/// Formations of which a majority of the voters was destroyed.
	destroyed: BTreeSet<FormationId>,
	/// Formations without a quorum that a user gave up.
	given_up: BTreeSet<FormationId>,
	conflicts: BTreeSet<(FormationId, FormationId)>,
	crashes: u64,
}

impl<'a> Run<'a> {
	fn new(plan: &'a Plan, trace: bool) -> Self {
		let nodes = plan.nodes.len();
		let key = |node: usize| SecretKey::from_bytes(&[u8::try_from(node + 1).unwrap_or(255); 32]);
		let peers: Vec<PeerId> = (0..nodes).map(|node| key(node).public()).collect();
		let directory = Directory {
			nodes: peers.iter().copied().zip(0..).collect(),
			peers,
		};
		let mut world = World::new(plan.seed, plan.weather.clone(), nodes);
		if trace {
			world.trace().keep();
		}
		Self {
			plan,
			world,
			directory: Arc::new(directory),
			bonds: Bonds::default(),
			blocked: BTreeSet::new(),
			is_torn: false,
			ambush: Ambush::new(plan.seed, plan.ambush, nodes),
			rng: Xoshiro256PlusPlus::seed_from_u64(plan.seed ^ 0x7275_6e00),
			clients: Clients::default(),
			calls: vec![BTreeSet::new(); nodes],
			leaving: BTreeSet::new(),
			has_anybody_left: false,
			agreement: Agreement::default(),
			identities: Identities::default(),
			leaders: Leaders::default(),
			chains: Chains::default(),
			duplicates: Duplicates::default(),
			geneses: Geneses::default(),
			quorum_lost: BTreeSet::new(),
			destroyed: BTreeSet::new(),
			given_up: BTreeSet::new(),
			conflicts: BTreeSet::new(),
			crashes: 0,
		}
	}

	fn say(&mut self, line: std::fmt::Arguments<'_>) {
		let now = self.world.now();
		self.world.trace().line(now, line);
	}

	fn all(&mut self) -> Result<(), String> {
		self.play()?;
		self.ambush.disarm();
		if self.plan.torn > 0 {
			self.stay_torn(self.plan.torn)?;
		}
		self.calm_down()
	}

	/// Does what is planned.
	fn play(&mut self) -> Result<(), String> {
		for (millis, action) in &self.plan.actions {
			self.run_until(millis * 1000)?;
			self.act(action)?;
		}
		self.run_until(self.plan.end * 1000)
	}

	/// Lets the world run, and nodes notice their sessions.
	fn run_until(&mut self, until: u64) -> Result<(), String> {
		loop {
			let planned = [self.bonds.next(), self.ambush.next()]
				.into_iter()
				.flatten();
			let next = planned.fold(until, u64::min);
			match self.world.step(next) {
				Step::Node(node) => self.observe(node)?,
				Step::Nothing => {}
				Step::Idle => {
					while let Some(noticed) = self.bonds.take_due(self.world.now()) {
						self.notice(noticed)?;
					}
					while let Some(action) = self.ambush.take_due(self.world.now()) {
						self.act(&action)?;
					}
					if self.world.now() >= until {
						return Ok(());
					}
				}
			}
		}
	}

	fn is_connected(&self, a: Node, b: Node) -> bool {
		let is_running = |node| self.world.process(node).is_some();
		let is_free = |from, to| !self.blocked.contains(&(from, to));
		is_running(a) && is_running(b) && is_free(a, b) && is_free(b, a)
	}

	fn refresh(&mut self) {
		let mut bonds = std::mem::take(&mut self.bonds);
		let mut rng = self.rng.clone();
		let (now, nodes) = (self.world.now(), self.plan.nodes.len());
		bonds.refresh(now, nodes, |a, b| self.is_connected(a, b), &mut rng);
		self.rng = rng;
		self.bonds = bonds;
	}

	fn notice(&mut self, noticed: Noticed) -> Result<(), String> {
		let now = self.world.now();
		let (Noticed::Up(a, b) | Noticed::Down(a, b)) = noticed;
		if self.world.is_paused(a) || matches!(noticed, Noticed::Up(..)) && self.world.is_paused(b)
		{
			self.bonds.postpone(now, noticed);
			return Ok(());
		}
		match noticed {
			Noticed::Up(a, b) => {
				if self.bonds.on_up(a, b, self.is_connected(a, b)) {
					for (node, other) in [(a, b), (b, a)] {
						let peer = self.directory.peers[other];
						self.tell(node, Input::BondUp { peer })?;
					}
				}
			}
			Noticed::Down(from, to) => {
				self.bonds.on_down(from, to);
				let peer = self.directory.peers[to];
				self.tell(from, Input::BondDown { peer })?;
			}
		}
		self.refresh();
		Ok(())
	}

	fn tell(&mut self, node: Node, input: Input) -> Result<(), String> {
		self.say(format_args!("{node} < {input:?}"));
		self.world
			.with(node, |host, now, effects| host.tell(now, input, effects));
		self.observe(node)
	}

	fn act(&mut self, action: &Action) -> Result<(), String> {
		let now = self.world.now();
		match *action {
			Action::Start(node) => self.start(node)?,
			Action::Crash(node) => self.crash(node, false),
			Action::Pause(node, millis) => {
				self.say(format_args!("{node} pauses for {millis} ms"));
				self.world.pause(node, millis * 1000);
			}
			Action::Stall(node, millis) => {
				self.say(format_args!("the disk of {node} stalls for {millis} ms"));
				self.world.stall(node, millis * 1000);
			}
			Action::Rate(node, rate) => self.world.set_rate(node, rate),
			Action::Cut(a, b) => {
				self.block(a, b);
				self.block(b, a);
			}
			Action::CutOneWay(a, b) => self.block(a, b),
			Action::Island(mask) => {
				let nodes = self.plan.nodes.len();
				let side = |node: Node| mask & (1 << node) != 0;
				for a in 0..nodes {
					for b in (0..nodes).filter(|b| side(a) != side(*b)) {
						self.block(a, b);
					}
				}
			}
			Action::Heal => self.heal(),
			Action::Execute(node, count) => self.execute(node, count)?,
			Action::Read(node) => {
				if let Some(formation) = self.formation(node) {
					let call = self.clients.read(now, node, formation);
					self.calls[node].insert(call);
					self.tell(node, Input::Read { call })?;
				}
			}
			Action::Leave(node) => {
				// Who leaves with the last durable copy of a formation takes it along:
				// that is what its user wants, and no loss.
				let others = (0..self.plan.nodes.len()).filter(|other| *other != node);
				let formation = self.formation(node);
				let has_company = others
					.clone()
					.any(|other| formation.is_some() && self.formation(other) == formation);
				if has_company {
					let call = self.clients.call();
					self.leaving.insert((node, call));
					self.has_anybody_left = true;
					self.tell(node, Input::Leave { call })?;
				}
			}
		}
		self.refresh();
		Ok(())
	}

	fn block(&mut self, from: Node, to: Node) {
		if self.blocked.insert((from, to)) {
			self.say(format_args!("{from} no longer reaches {to}"));
			self.world.block(from, to);
		}
	}

	fn heal(&mut self) {
		self.say(format_args!("all ways are free"));
		self.blocked.clear();
		self.world.heal();
	}

	/// The formation that a node belongs to, if its process is awake.
	fn formation(&self, node: Node) -> Option<FormationId> {
		if self.world.is_paused(node) {
			return None;
		}
		let (identity, _) = self.world.process(node)?.replica.engine()?;
		Some(identity.formation)
	}

	fn execute(&mut self, node: Node, count: u64) -> Result<(), String> {
		let Some(formation) = self.formation(node) else {
			return Ok(());
		};
		let now = self.world.now();
		let (call, values) = self.clients.append(now, node, formation, count);
		self.calls[node].insert(call);
		let payloads = values.into_iter().map(payload).collect();
		self.tell(node, Input::Execute { call, payloads })
	}

	fn start(&mut self, node: Node) -> Result<(), String> {
		if self.world.process(node).is_some() {
			return Ok(());
		}
		let (preference, is_durable) = self.plan.nodes[node];
		let bootstrap = match NonZeroUsize::new(self.plan.expect) {
			Some(nodes) if nodes.get() > 1 => Bootstrap::Expect(nodes),
			_ => Bootstrap::Auto,
		};
		let mut settings = ReplicaSettings {
			bootstrap,
			preference,
			..ReplicaSettings::default()
		};
		settings.raft.max_append_bytes = 1 << self.rng.random_range(8..16);
		settings.raft.max_inflight = self.rng.random_range(1..64);
		if self.plan.torn > 0 {
			// It must be able to catch up while it is torn.
			settings.raft.max_append_bytes = settings.raft.max_append_bytes.max(1 << 11);
		}
		if self.plan.expect > 1 {
			settings.policy.min_voters = self.plan.expect / 2 + 1;
		}
		let make = Make {
			is_durable,
			apply_micros: if self.rng.random() {
				0
			} else {
				self.rng.random_range(0..30_000)
			},
			compact_every: self.rng.random_range(5..100),
		};
		if !is_durable {
			*self.world.disk_mut(node) = Storage::default();
		}
		let storage = self.world.disk(node).clone();
		let seed: [u8; 32] = self.rng.random();
		let peer = self.directory.peers[node];
		let stored = storage.stored.clone();
		let replica = Replica::new(peer, settings, stored, seed, at(0));
		let host = Host::new(Arc::clone(&self.directory), make, &storage, replica);
		self.say(format_args!("{node} starts"));
		let rate = self.rng.random_range(850..1_150);
		self.world.start(node, rate, host);
		self.observe(node)?;
		self.refresh();
		Ok(())
	}

	/// Whether a node can forget everything without harm (design, P3: one at a time,
	/// with time for the autopilot in between): of every configuration that it votes
	/// in, a majority without it is intact and within reach of whoever looks at it.
	fn can_forget(&self, node: Node) -> bool {
		let peer = self.directory.peers[node];
		let mut nodes = 0..self.plan.nodes.len();
		let is_harmless = |viewer: Node, config: &Config| {
			let voters = config
				.voters
				.iter()
				.filter_map(|voter| config.members.get(voter));
			if !voters.clone().any(|info| info.peer == peer) {
				return true;
			}
			let left = voters.filter(|info| {
				let other = self.directory.nodes.get(&info.peer).copied();
				other.is_some_and(|other| {
					let in_reach = other == viewer || self.is_connected(viewer, other);
					other != node
						&& !self.world.is_paused(other)
						&& in_reach && self.nonce_of(other) == Some(info.nonce)
				})
			});
			left.count() >= config.majority()
		};
		nodes.all(|viewer| {
			let engine = self
				.world
				.process(viewer)
				.and_then(|host| host.replica.engine());
			engine.is_none_or(|(_, raft)| {
				is_harmless(viewer, &raft.log_state().config)
					&& is_harmless(viewer, raft.committed_config())
			})
		}) && self.has_copy_elsewhere(node)
	}

	/// Whether the formation of a node lives on somewhere else.
	fn has_copy_elsewhere(&self, node: Node) -> bool {
		let formation = |node| {
			let (identity, _) = self.world.process(node)?.replica.engine()?;
			Some(identity.formation)
		};
		let own = formation(node);
		own.is_none()
			|| (0..self.plan.nodes.len()).any(|other| other != node && formation(other) == own)
	}

	/// The lifetime of a node's storage, running or on its disk.
	fn nonce_of(&self, node: Node) -> Option<mosaik_proto::groups::types::Nonce> {
		if let Some(host) = self.world.process(node) {
			return host.replica.engine().map(|(identity, _)| identity.nonce);
		}
		match &self.world.disk(node).stored {
			Stored::Member { identity, .. } if self.plan.nodes[node].1 => Some(identity.nonce),
			_ => None,
		}
	}

	fn crash(&mut self, node: Node, is_over: bool) {
		if self.world.process(node).is_none() {
			return;
		}
		let is_durable = self.plan.nodes[node].1;
		if !is_durable && !is_over && !self.can_forget(node) {
			if !self.plan.is_harsh {
				return;
			}
			if let Some(formation) = self
				.world
				.process(node)
				.and_then(|host| host.replica.engine())
			{
				self.destroyed.insert(formation.0.formation);
			}
		}
		self.say(format_args!("{node} crashes"));
		self.crashes += 1;
		self.world.crash(node);
		let calls = std::mem::take(&mut self.calls[node]);
		self.clients.crashed(calls.into_iter());
		self.leaving.retain(|(leaving, _)| *leaving != node);
		let now = self.world.now();
		self.bonds.crashed(now, node, &mut self.rng);
		self.refresh();
	}

	/// Looks at what a node did.
	fn observe(&mut self, node: Node) -> Result<(), String> {
		self.lie_in_wait(node);
		let Some(host) = self.world.process_mut(node) else {
			return Ok(());
		};
		let notes = std::mem::take(&mut host.notes);
		if let Some((identity, raft)) = host.replica.engine() {
			let status = (raft.leads(), raft.term());
			if status.0 {
				self.leaders
					.leads(identity.formation, status.1, identity.member)?;
			}
		}
		for note in notes {
			self.note(node, note)?;
		}
		Ok(())
	}

	fn note(&mut self, node: Node, note: Note) -> Result<(), String> {
		let now = self.world.now();
		match note {
			Note::Begun(formation, founders) => self.geneses.begun(formation, &founders)?,
			Note::Applied(of, entries) => {
				self.geneses.applied(of.formation)?;
				// A node that leaves is another participant when it comes back.
				if self.plan.is_durable() && !self.has_anybody_left {
					let (expected, nodes) = (self.plan.expect, self.plan.nodes.len());
					self.duplicates.committed(of.formation, expected, nodes)?;
				}
				for entry in &entries {
					self.agreement.applied(of.formation, entry)?;
					match &entry.kind {
						EntryKind::Config(config) => {
							self.identities.config(of.formation, config)?;
						}
						EntryKind::Formation(FormationEntry::Dissolve { into, .. }) => {
							self.chains.dissolved(of.formation, *into)?;
						}
						EntryKind::Formation(FormationEntry::Close) => {
							// Its last user took it along.
							self.destroyed.insert(of.formation);
						}
						_ => {}
					}
				}
			}
			Note::Restored(of, base, shows) => {
				self.identities.config(of.formation, &base.state.config)?;
				self.agreement.restored(of.formation, shows)?;
			}
			Note::Done(call, outcome, machine) => {
				self.calls[node].remove(&call);
				self.clients.done(now, call, &outcome, machine)?;
				let is_leaving = self.leaving.remove(&(node, call));
				if is_leaving && outcome == Outcome::Left {
					self.say(format_args!("{node} has left"));
					self.crash(node, true);
				}
				if let Outcome::CannotLeave(why) = outcome {
					self.say(format_args!("{node} cannot leave"));
					self.cannot_leave(node, why)?;
				}
			}
			Note::Event(event) => {
				self.say(format_args!("{node} says {event:?}"));
				match event {
					Event::Member { identity } => {
						let peer = self.directory.peers[node];
						let (formation, member) = (identity.formation, identity.member);
						self.identities
							.member(formation, member, peer, identity.nonce)?;
					}
					Event::Superseded {
						formation,
						into,
						discarded,
					} => {
						if !self.chains.has_dissolved(formation) {
							// One member gave it up for itself: it may live on without it.
							self.given_up.insert(formation);
						} else {
							self.clients.superseded(formation, into, discarded);
						}
					}
					Event::QuorumLost { formation, .. } => {
						self.quorum_lost.insert(formation);
						self.clients.quorum_lost(formation);
					}
					Event::QuorumRestored { formation } => {
						self.quorum_lost.remove(&formation);
					}
					Event::Conflict { own, other } => {
						self.conflicts.insert((own.min(other), own.max(other)));
					}
					Event::StorageLost { identity, error } => {
						return Err(format!("{node} lost what {identity:?} had: {error:?}"));
					}
					Event::Poisoned(poison) => return Err(format!("{node} is halted: {poison}")),
					Event::Online(_)
					| Event::Leader { .. }
					| Event::Closed { .. }
					| Event::FounderLost { .. } => {}
				}
			}
			Note::Reset => {}
		}
		Ok(())
	}
}
