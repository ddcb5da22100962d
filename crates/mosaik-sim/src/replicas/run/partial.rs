//! A network that stays torn: some pairs of nodes never reach one another, and some
//! messages are lost, but nobody crashes any more. Who can work has to (liveness,
//! P5): nothing of what is looked at here may stay as it is for minutes.
//!
//! Partial cuts are what stops Raft without pre-vote and check-quorum (Jensen,
//! Howard and Mortier, Examining Raft's behaviour during partial network failures,
//! 2021).

use {
	super::Run,
	crate::{
		lossy::{Node, Weather},
		replicas::plan::Action,
	},
	mosaik_proto::groups::{
		config::Config,
		engine::Engine as _,
		formation::info::Standing,
		replica::{CallId, Obstacle},
		state::Life,
		types::{FormationId, LogIndex},
	},
	rand::RngExt,
	std::collections::{BTreeMap, BTreeSet},
};

/// How long it stays torn, in microseconds.
const TORN: u64 = 360_000_000;

/// How often it is looked at.
const LOOK: u64 = 10_000_000;

/// In how many looks one after the other the same may be found.
const LOOKS: u32 = 12;

/// What must not last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Complaint {
	/// The formation could have a leader that commits, and has none.
	NoLeader(FormationId),
	/// The leader of it commits nothing of what it is given.
	Stuck(FormationId),
	/// The formation asks in vain to be taken in, and does not give up.
	Yielding(FormationId, u64),
	/// The formation has ended, and is still there.
	Ended(FormationId),
	/// The node reaches somebody who could let it in, and belongs to nobody.
	Outside(Node),
	/// Both go on, though their leaders reach one another, and neither asks a third.
	Apart(FormationId, FormationId),
	/// A call without an answer.
	Open(CallId),
	/// A call to leave without an answer.
	Leaving(Node, CallId),
}

impl Run<'_> {
	/// Tears the network and demands what is possible in it.
	pub(super) fn stay_torn(&mut self, per_mille: u32) -> Result<(), String> {
		self.say(format_args!("the network stays torn"));
		// Bad enough to lose what is said only once, good enough to catch up in time.
		*self.world.weather() = Weather {
			loss: self.rng.random_range(0..200),
			duplicates: self.rng.random_range(0..50),
			spikes: self.rng.random_range(0..10),
			spike: 300_000,
			..Weather::default()
		};
		self.heal();
		let nodes = self.plan.nodes.len();
		for a in 0..nodes {
			for b in a + 1..nodes {
				if self.rng.random_range(0..1000) < per_mille {
					self.act(&Action::Cut(a, b))?;
				}
			}
			self.world.set_rate(a, 1000);
		}
		self.refresh();
		let begun = self.world.now();
		let mut lasting: BTreeMap<Complaint, u32> = BTreeMap::new();
		let mut commits = BTreeMap::new();
		while self.world.now() < begun + TORN {
			for node in 0..nodes {
				self.start(node)?;
			}
			self.is_torn = self.world.now() >= begun + TORN / 4;
			let complaints = self.complaints(&commits);
			lasting.retain(|complaint, _| complaints.contains(complaint));
			for complaint in complaints {
				let looks = lasting.entry(complaint).or_default();
				*looks += 1;
				if *looks > LOOKS {
					return Err(format!(
						"partial cut: {complaint:?} for minutes, with {:?} cut: {}",
						self.blocked,
						self.standing()
					));
				}
			}
			commits = self.ask_leaders()?;
			let node = self.rng.random_range(0..nodes);
			match self.rng.random_range(0..6) {
				0..2 => self.act(&Action::Leave(node))?,
				2..4 => self.execute(node, 1)?,
				_ => {}
			}
			self.run_until(self.world.now() + LOOK)?;
		}
		self.is_torn = false;
		Ok(())
	}

	/// A node was told that it cannot leave: wrongly, if all members reach one another
	/// and one of the others may vote. Where many are expected the dead keep their
	/// seats, so that they may be what is in the way.
	pub(super) fn cannot_leave(&self, node: Node, why: Obstacle) -> Result<(), String> {
		let is_judged = self.is_torn && self.plan.expect == 1;
		let Some(formation) = self.formation(node).filter(|_| is_judged) else {
			return Ok(());
		};
		let members: Vec<Node> = (0..self.plan.nodes.len())
			.filter(|other| self.formation(*other) == Some(formation))
			.collect();
		let is_able = |member: &Node| {
			let reaches = |other: &Node| member == other || self.is_connected(*member, *other);
			members.iter().all(reaches) && self.is_majority(*member, &members)
		};
		let mut others = members.iter().filter(|other| **other != node);
		if members.iter().all(is_able) && others.any(|other| self.plan.nodes[*other].0.may_vote()) {
			return Err(format!("leaving: {node} {why:?}: {}", self.standing()));
		}
		Ok(())
	}

	/// Gives each leader a command; returns what it had committed.
	fn ask_leaders(&mut self) -> Result<BTreeMap<FormationId, LogIndex>, String> {
		let mut commits = BTreeMap::new();
		for node in 0..self.plan.nodes.len() {
			if let Some((formation, commit)) = self.led_by(node) {
				commits.insert(formation, commit);
				self.execute(node, 1)?;
			}
		}
		Ok(commits)
	}

	/// The formation that a node leads, and what is committed there.
	fn led_by(&self, node: Node) -> Option<(FormationId, LogIndex)> {
		let (identity, raft) = self.world.process(node)?.replica.engine()?;
		raft.leads()
			.then(|| (identity.formation, raft.status().commit))
	}

	fn is_led(&self, formation: FormationId) -> bool {
		let mut nodes = 0..self.plan.nodes.len();
		nodes.any(|node| self.led_by(node).is_some_and(|(led, _)| led == formation))
	}

	fn life(&self, node: Node) -> Option<Life> {
		let (_, raft) = self.world.process(node)?.replica.engine()?;
		Some(raft.log_state().life)
	}

	/// The formation that a node waits to be let into.
	fn joining(&self, node: Node) -> Option<FormationId> {
		match self.world.process(node)?.replica.info().standing {
			Standing::Joining(formation) => Some(formation),
			_ => None,
		}
	}

	fn complaints(&self, before: &BTreeMap<FormationId, LogIndex>) -> BTreeSet<Complaint> {
		let nodes = 0..self.plan.nodes.len();
		let mut complaints = BTreeSet::new();
		complaints.extend(self.clients.open_calls().map(Complaint::Open));
		let leaving = self.leaving.iter();
		complaints.extend(leaving.map(|(node, call)| Complaint::Leaving(*node, *call)));
		let able: BTreeSet<FormationId> = nodes
			.clone()
			.filter_map(|node| self.formation(node))
			.filter(|formation| self.is_able(*formation))
			.collect();
		let leaders: BTreeMap<FormationId, (Node, LogIndex)> = nodes
			.clone()
			.filter_map(|node| {
				let (formation, commit) = self.led_by(node)?;
				able.contains(&formation)
					.then_some((formation, (node, commit)))
			})
			.collect();
		for formation in &able {
			let Some((leader, commit)) = leaders.get(formation) else {
				complaints.insert(Complaint::NoLeader(*formation));
				continue;
			};
			match self.life(*leader) {
				Some(Life::Yielding { attempt, .. }) => {
					complaints.insert(Complaint::Yielding(*formation, attempt));
				}
				Some(Life::Dissolved { .. } | Life::Closed) => {
					complaints.insert(Complaint::Ended(*formation));
				}
				_ => {}
			}
			if before.get(formation).is_some_and(|before| before >= commit) {
				complaints.insert(Complaint::Stuck(*formation));
			}
		}
		let outside = nodes.filter(|node| {
			let reaches = |leader: Node| self.is_connected(*node, leader);
			match self.joining(*node) {
				// It waits for the greatest that it sees, also where that one's leader is
				// out of reach: in a lesser one it would only be in the way of a merge.
				Some(formation) if self.is_led(formation) => leaders
					.get(&formation)
					.is_some_and(|(leader, _)| reaches(*leader)),
				_ => {
					let mut leaders = leaders.values();
					self.formation(*node).is_none() && leaders.any(|(leader, _)| reaches(*leader))
				}
			}
		});
		complaints.extend(outside.map(Complaint::Outside));
		for (one, (leader, _)) in &leaders {
			for (other, (another, _)) in leaders.range(one..).skip(1) {
				// Of several conflicts one is told at a time.
				let mut told = self.conflicts.iter();
				let is_told = told.any(|(a, b)| [a, b].iter().any(|f| [one, other].contains(f)));
				let goes_on = |leader| !matches!(self.life(leader), Some(Life::Yielding { .. }));
				let is_due = goes_on(*leader) && goes_on(*another);
				if !is_told && is_due && self.is_connected(*leader, *another) {
					complaints.insert(Complaint::Apart(*one, *other));
				}
			}
		}
		complaints
	}

	/// Whether some members all reach one another, and are a majority of the voters
	/// by the configuration of each of them, the last and the committed one.
	fn is_able(&self, formation: FormationId) -> bool {
		let members: Vec<Node> = (0..self.plan.nodes.len())
			.filter(|node| self.formation(*node) == Some(formation))
			.collect();
		(1..1_u64 << members.len()).any(|mask| {
			let chosen = members.iter().enumerate();
			let chosen: Vec<Node> = chosen
				.filter(|(bit, _)| mask & 1 << bit != 0)
				.map(|(_, node)| *node)
				.collect();
			let is_able = |node: &Node| {
				let reaches = |other: &Node| other == node || self.is_connected(*node, *other);
				chosen.iter().all(reaches) && self.is_majority(*node, &chosen)
			};
			chosen.iter().all(is_able)
		})
	}

	/// Whether `chosen` are a majority of the voters that `node` knows of.
	fn is_majority(&self, node: Node, chosen: &[Node]) -> bool {
		let engine = self
			.world
			.process(node)
			.and_then(|host| host.replica.engine());
		engine.is_some_and(|(_, raft)| {
			let has = |config: &Config| {
				let voters = config
					.voters
					.iter()
					.filter_map(|voter| config.members.get(voter));
				let here = voters.filter(|info| {
					let mut chosen = chosen.iter();
					chosen.any(|node| {
						self.directory.peers[*node] == info.peer
							&& self.nonce_of(*node) == Some(info.nonce)
					})
				});
				here.count() >= config.majority()
			};
			has(&raft.log_state().config) && has(raft.committed_config())
		})
	}
}
