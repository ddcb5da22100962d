//! Faults at the worst moment: whenever a node passes a turning point (it begins to
//! lead, its configuration changes, a merge goes a step further), something may
//! happen to it, or to one that it depends on. Plans that strike at random hardly
//! ever hit such a window.

use {
	super::Run,
	crate::{lossy::Node, replicas::plan::Action},
	mosaik_proto::groups::{
		engine::Engine,
		state::Life,
		types::{FormationId, LogIndex},
	},
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	std::collections::BTreeMap,
};

/// What counts as a turning point when it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
	formation: Option<FormationId>,
	leads: bool,
	config_index: LogIndex,
	life: Life,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ambush {
	/// How many of a thousand turning points are met with a fault.
	per_mille: u32,
	rng: Xoshiro256PlusPlus,
	seen: Vec<Standing>,
	/// What is going to be done, by when and in which order.
	queue: BTreeMap<(u64, u64), Action>,
	sequence: u64,
}

impl Ambush {
	/// One that strikes at so many of a thousand turning points.
	pub(super) fn new(seed: u64, per_mille: u32, nodes: usize) -> Self {
		Self {
			per_mille,
			rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x616d_6275_7368),
			seen: vec![Standing::default(); nodes],
			queue: BTreeMap::new(),
			sequence: 0,
		}
	}

	/// When something is done next, in microseconds.
	pub(super) fn next(&self) -> Option<u64> {
		self.queue.keys().next().map(|(at, _)| *at)
	}

	/// What is to be done by `now`.
	pub(super) fn take_due(&mut self, now: u64) -> Option<Action> {
		let entry = self.queue.first_entry()?;
		(entry.key().0 <= now).then(|| entry.remove())
	}

	/// It is over.
	pub(super) fn disarm(&mut self) {
		self.per_mille = 0;
		self.queue.clear();
	}

	fn later(&mut self, at: u64, action: Action) {
		self.sequence += 1;
		self.queue.insert((at, self.sequence), action);
	}

	/// `node` passed a turning point at `now`; `others` are those it depends on.
	fn strike(&mut self, now: u64, node: Node, others: &[Node]) {
		if self.rng.random_range(0..1000) >= self.per_mille {
			return;
		}
		let at = now
			+ if self.rng.random() {
				self.rng.random_range(0..300)
			} else {
				self.rng.random_range(0..60_000)
			};
		let other = match others.len() {
			0 => node,
			some => others[self.rng.random_range(0..some)],
		};
		let victim = if self.rng.random() { node } else { other };
		let action = match self.rng.random_range(0..10) {
			0..5 => {
				let back = at + self.rng.random_range(10_000..20_000_000);
				self.later(back, Action::Start(victim));
				Action::Crash(victim)
			}
			5..8 if node != other => Action::Cut(node, other),
			8 => Action::Stall(victim, self.rng.random_range(100..8_000)),
			_ => Action::Pause(victim, self.rng.random_range(100..15_000)),
		};
		self.later(at, action);
	}
}

impl Run<'_> {
	/// Looks whether a node passed a turning point.
	pub(super) fn lie_in_wait(&mut self, node: Node) {
		if self.ambush.per_mille == 0 {
			return;
		}
		let engine = self
			.world
			.process(node)
			.and_then(|host| host.replica.engine());
		let mut others = Vec::new();
		let standing = engine.map_or_else(Standing::default, |(identity, raft)| {
			let state = raft.log_state();
			let peers = state.config.voters.iter().filter_map(|voter| {
				let info = state.config.members.get(voter)?;
				self.directory.nodes.get(&info.peer).copied()
			});
			others.extend(peers.filter(|other| *other != node));
			Standing {
				formation: Some(identity.formation),
				leads: raft.leads(),
				config_index: state.config_index,
				life: state.life,
			}
		});
		if std::mem::replace(&mut self.ambush.seen[node], standing) != standing {
			let now = self.world.now();
			self.ambush.strike(now, node, &others);
		}
	}
}
