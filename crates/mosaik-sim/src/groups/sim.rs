//! A world of members, what befalls it, and the eyes on it.

use {
	super::{
		disk::{Identity, MemberDisk, Snapshot},
		history::Calls,
		invariants::{Check, Invariants, View, Violation},
		machine::Prefix,
		note::Note,
		plan::{Action, Plan},
		process::{Member, Setup},
		scenario::{Scenario, Wish},
	},
	crate::lossy::{Node, Step, World},
	mosaik_proto::{
		PeerId, SecretKey,
		groups::{
			Config, Engine,
			engine::RoleKind,
			state::Base,
			types::{FormationId, LeadershipPreference, LogPos, MemberId, Nonce},
		},
	},
	std::{collections::BTreeMap, rc::Rc, sync::LazyLock},
};

/// The peers of all worlds.
static PEERS: LazyLock<Vec<PeerId>> = LazyLock::new(|| {
	let seeds = 1..=16_u8;
	seeds
		.map(|seed| SecretKey::from_bytes(&[seed; 32]).public())
		.collect()
});

/// How a world is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
	/// What everything follows from.
	pub seed: u64,
	/// How many events there are before the faults stop.
	pub events: u64,
	/// What is fixed besides.
	pub wish: Wish,
	/// The actions of the plan that happen; all of them if not set.
	pub kept: Option<Vec<usize>>,
	/// Whether what happens is kept as text.
	pub trace: bool,
	/// Whether it ends when the faults do.
	pub stops_early: bool,
}

/// What happened in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
	/// Events that processes handled.
	pub events: u64,
	/// Simulated time, in microseconds.
	pub micros: u64,
	/// Terms that had a leader.
	pub elections: u64,
	/// Committed entries.
	pub commits: u64,
	/// Acknowledged commands.
	pub commands: u64,
	/// Strong reads that were answered.
	pub reads: u64,
	/// Lives after the first of each node.
	pub restarts: u64,
	/// Committed changes of members.
	pub changes: u64,
	/// Snapshots that were installed.
	pub installs: u64,
	/// Worlds in which a majority was lost for good.
	pub lost: u64,
}

/// What became of a world.
#[derive(Debug)]
pub struct Outcome {
	/// What was broken, if anything.
	pub violation: Option<Violation>,
	/// In numbers.
	pub stats: Stats,
	/// The hash of the trace.
	pub hash: u64,
	/// What happened, if it was to be kept.
	pub lines: Vec<String>,
	/// What was done to the world.
	pub actions: Vec<Action>,
}

/// See the module.
#[derive(Debug)]
pub struct Sim {
	pub(super) world: World<Member>,
	pub(super) setup: Rc<Setup>,
	pub(super) scenario: Scenario,
	pub(super) invariants: Invariants,
	/// What was begun and ends at a time.
	pub(super) later: BTreeMap<(u64, u64), super::actions::Later>,
	pub(super) next_later: u64,
	pub(super) next_read: u64,
	pub(super) cuts: BTreeMap<u64, Vec<(Node, Node)>>,
	pub(super) stats: Stats,
	pub(super) calls: Calls,
	actions: Vec<Action>,
	notes: Vec<Note>,
	looked_at: u64,
}

/// Runs a world to its end.
pub fn run(options: &Options) -> Outcome {
	let scenario = Scenario::of(options.seed, options.wish);
	let mut plan = Plan::new(options.seed, &scenario, options.kept.as_deref());
	let mut sim = Sim::new(options.seed, scenario);
	if options.trace {
		sim.world.trace().keep();
	}
	let mut violation = sim
		.begin()
		.and_then(|()| sim.turmoil(&mut plan, options.events))
		.err();
	if violation.is_none() && !options.stops_early {
		violation = sim.finale().err();
	}
	if violation.is_none() {
		violation = sim.look_back().err();
	}
	sim.end(violation)
}

impl Sim {
	/// A world before its beginning.
	pub fn new(seed: u64, scenario: Scenario) -> Self {
		let peers = PEERS[..scenario.nodes].to_vec();
		let preference = |observer: &bool| {
			if *observer {
				LeadershipPreference::Observer
			} else {
				LeadershipPreference::Normal
			}
		};
		let setup = Setup {
			formation: FormationId::from(u128::from(seed) << 64 | 7),
			settings: scenario.settings.clone(),
			preferences: scenario.observers.iter().map(preference).collect(),
			peers,
			seats: scenario.seats,
			dead_after: scenario.dead_after,
			snapshot_every: scenario.snapshot_every,
			retry: scenario.settings.election_timeout,
		};
		Self {
			world: World::new(seed, scenario.weather.clone(), scenario.nodes),
			setup: Rc::new(setup),
			scenario,
			invariants: Invariants::default(),
			later: BTreeMap::new(),
			next_later: 0,
			next_read: 0,
			cuts: BTreeMap::new(),
			stats: Stats::default(),
			calls: Calls::default(),
			actions: Vec::new(),
			notes: Vec::new(),
			looked_at: 0,
		}
	}

	/// The founders have the genesis on their disks, and everybody starts.
	pub fn begin(&mut self) -> Check {
		let nonce = |founder: Node| Nonce::from(founder as u128 + 1);
		let founders = 0..self.scenario.founders;
		let infos = founders
			.clone()
			.map(|node| self.setup.info(node, nonce(node)));
		let base = Base::genesis(Config::founding(infos));
		self.invariants.formation(self.setup.formation).found(&base);
		for node in founders {
			let Some(member) = MemberId::new(node as u64 + 1) else {
				continue;
			};
			*self.world.disk_mut(node) = MemberDisk {
				identity: Some(Identity {
					formation: self.setup.formation,
					member,
					nonce: nonce(node),
				}),
				snapshot: Snapshot {
					base: base.clone(),
					prefix: Prefix::EMPTY,
				},
				..MemberDisk::default()
			};
		}
		for node in 0..self.scenario.nodes {
			self.start(node)?;
		}
		Ok(())
	}

	/// A process begins, with a clock that is not quite right.
	pub(super) fn start(&mut self, node: Node) -> Check {
		let seed = self.world.roll();
		let rate = 700 + self.world.roll() % 601;
		let process = Member::start(&self.setup, node, self.world.disk(node), seed);
		self.world.start(node, rate, process);
		self.look(node)
	}

	fn turmoil(&mut self, plan: &mut Plan, events: u64) -> Check {
		let mut next = plan.next_action();
		while self.world.handled() < events {
			let action_at = next.as_ref().map(|action| action.at);
			let later_at = self.later.first_key_value().map(|(&(at, _), _)| at);
			let known = [action_at, later_at].into_iter().flatten().min();
			let until = known.unwrap_or(self.world.now() + 10_000_000);
			match self.world.step(until) {
				Step::Node(node) => self.look(node)?,
				Step::Nothing => {}
				Step::Idle => {
					if known.is_none() {
						// Nothing is left to happen.
						return Ok(());
					}
					self.end_what_is_due()?;
					if self.is_over() {
						return Ok(());
					}
					if action_at.is_some_and(|at| at <= self.world.now())
						&& let Some(action) = next.take()
					{
						self.actions.push(action.clone());
						self.perform(&action)?;
						next = plan.next_action();
					}
				}
			}
		}
		Ok(())
	}

	/// Whether nobody is left who could go on: looked at from time to time.
	fn is_over(&mut self) -> bool {
		if self.world.now() < self.looked_at {
			return false;
		}
		self.looked_at = self.world.now() + 1_000_000;
		let all_run = (0..self.world.len()).all(|node| self.world.process(node).is_some());
		let is_over = all_run && self.is_lost();
		if is_over && self.world.trace().is_kept() {
			let (now, picture) = (self.world.now(), self.picture());
			self.world.trace().text(now, format_args!("LOST {picture}"));
		}
		is_over
	}

	/// Checks all that the last event of a node could have broken.
	pub(super) fn look(&mut self, node: Node) -> Check {
		let Some(process) = self.world.process_mut(node) else {
			return Ok(());
		};
		self.notes.clear();
		std::mem::swap(&mut self.notes, &mut process.notes);
		let world = &self.world;
		if let Some(seat) = world.process(node).and_then(Member::seat) {
			let status = seat.raft.status();
			let identity = seat.identity;
			let formation = identity.formation;
			let holds = |member: MemberId, pos: LogPos| {
				let mut disks = (0..world.len()).map(|node| world.disk(node));
				let disk = disks.find(|disk| {
					let identity = disk.identity;
					identity.is_some_and(|identity| {
						identity.formation == formation && identity.member == member
					})
				})?;
				let is_covered = pos.index < disk.snapshot.base.pos.index;
				Some(is_covered || disk.term_at(pos.index) == Some(pos.term))
			};
			let view = View {
				formation,
				member: identity.member,
				nonce: identity.nonce,
				life: u64::from(world.life(node)),
				status: &status,
				engine: &seat.raft,
				disk: world.disk(node),
			};
			self.invariants.check(&view, &self.notes, &holds)?;
		}
		self.hear()
	}

	/// What users were told.
	fn hear(&mut self) -> Check {
		let formation = self.invariants.formation(self.setup.formation);
		let now = self.world.now();
		for note in &self.notes {
			match *note {
				Note::Done { value, index } => {
					self.stats.commands += 1;
					self.calls.done(now, value, index);
					if let Some(index) = index {
						let committed = formation.machine.value_at(index);
						formation.acknowledged.done(value, index, committed)?;
						formation.reads.done(value, index)?;
					}
				}
				Note::Read { read, prefix } => {
					self.stats.reads += 1;
					self.calls.answer(now, read, Some(prefix));
					let right = formation.machine.state_of_length(prefix.length);
					formation.reads.answer(read, prefix, right)?;
				}
				Note::ReadFailed { read } => {
					self.calls.answer(now, read, None);
					formation.reads.give_up(read);
				}
				Note::Installed { .. } => self.stats.installs += 1,
				_ => {}
			}
		}
		Ok(())
	}

	/// Whether all that users were told makes sense together.
	fn look_back(&mut self) -> Check {
		let formation = self.invariants.formation(self.setup.formation);
		self.calls.check(formation.machine.values())
	}

	/// Who leads in the latest term.
	pub(super) fn leader(&self) -> Option<Node> {
		let seats = (0..self.world.len())
			.filter_map(|node| Some((node, self.world.process(node)?.seat()?.raft.status())));
		let leaders = seats.filter(|(_, status)| status.role == RoleKind::Leader);
		leaders
			.max_by_key(|(_, status)| status.term)
			.map(|(node, _)| node)
	}

	fn end(mut self, violation: Option<Violation>) -> Outcome {
		let formation = self.invariants.formation(self.setup.formation);
		let stats = Stats {
			events: self.world.handled(),
			micros: self.world.now(),
			elections: formation.terms_led() as u64,
			commits: formation.committed.last(),
			changes: formation.changes(),
			..self.stats
		};
		if let Some(violation) = &violation {
			let now = self.world.now();
			self.world
				.trace()
				.text(now, format_args!("VIOLATED {violation}"));
		}
		Outcome {
			violation,
			stats,
			hash: self.world.trace().hash(),
			lines: self.world.trace().take_lines(),
			actions: self.actions,
		}
	}
}
