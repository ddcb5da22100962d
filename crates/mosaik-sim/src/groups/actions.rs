//! Doing to a world what the plan says.

use {
	super::{
		disk::MemberDisk,
		invariants::Check,
		plan::{Action, Change, What, Who},
		process::Member,
		sim::Sim,
	},
	crate::lossy::{Node, Weather},
	mosaik_proto::groups::{
		Config, ConfigChange, Engine,
		engine::{Hint, RoleKind},
		types::MemberId,
	},
	std::{rc::Rc, sync::Arc},
};

/// What ends at a time.
#[derive(Clone, Debug)]
pub(super) enum Later {
	Restart(Node),
	Mend(u64),
	Calm(Weather),
}

impl Sim {
	fn then(&mut self, micros: u64, later: Later) {
		self.next_later += 1;
		let at = self.world.now() + micros;
		self.later.insert((at, self.next_later), later);
	}

	/// Ends everything whose time has come.
	pub(super) fn end_what_is_due(&mut self) -> Check {
		while let Some(first) = self.later.first_entry()
			&& first.key().0 <= self.world.now()
		{
			let later = first.remove();
			self.end_one(later)?;
		}
		Ok(())
	}

	/// Ends everything now.
	pub(super) fn end_all(&mut self) -> Check {
		while let Some((_, later)) = self.later.pop_first() {
			self.end_one(later)?;
		}
		Ok(())
	}

	fn end_one(&mut self, later: Later) -> Check {
		match later {
			Later::Restart(node) => {
				if self.world.process(node).is_none() {
					self.stats.restarts += 1;
					self.say(format_args!("{node} starts"));
					self.start(node)?;
				}
			}
			Later::Mend(cut) => {
				self.cuts.remove(&cut);
				self.world.heal();
				for (from, to) in self.cuts.values().flatten() {
					self.world.block(*from, *to);
				}
			}
			Later::Calm(weather) => *self.world.weather() = weather,
		}
		Ok(())
	}

	fn say(&mut self, line: std::fmt::Arguments<'_>) {
		let now = self.world.now();
		if self.world.trace().is_kept() {
			self.world.trace().text(now, line);
		}
	}

	fn find(&self, who: Who) -> Option<Node> {
		match who {
			Who::Node(node) => Some(node),
			Who::Leader => self.leader(),
			Who::Follower(dice) => {
				let running = (0..self.world.len()).filter(|&node| {
					let seat = self.world.process(node).and_then(Member::seat);
					seat.is_some_and(|seat| {
						let status = seat.raft.status();
						status.role != RoleKind::Leader && status.config.is_voter(status.id)
					})
				});
				let running: Vec<Node> = running.collect();
				let at = usize::try_from(dice % running.len().max(1) as u64).ok()?;
				running.get(at).copied()
			}
		}
	}

	pub(super) fn perform(&mut self, action: &Action) -> Check {
		self.say(format_args!("ACTION {} {:?}", action.number, action.what));
		match action.what.clone() {
			What::Append { node, count } => {
				let first = action.number as u64 * 8 + 1;
				for value in first..first + count {
					self.append(node, value)?;
				}
				Ok(())
			}
			What::Read { node } => self.read(node).map(drop),
			What::Crash {
				who,
				down,
				loses_disk,
				is_reckless,
			} => {
				if let Some(node) = self.find(who) {
					self.crash(node, down, loses_disk, is_reckless);
				}
				Ok(())
			}
			What::Pause { who, micros } => {
				if let Some(node) = self.find(who) {
					self.world.pause(node, micros);
				}
				Ok(())
			}
			What::Rate { node, rate } => {
				self.world.set_rate(node, rate);
				Ok(())
			}
			What::Cut {
				island,
				turns_leader,
				is_one_way,
				micros,
			} => {
				self.cut(island, turns_leader, is_one_way, micros);
				Ok(())
			}
			What::Storm { weather, micros } => {
				*self.world.weather() = weather;
				let usual = self.scenario.weather.clone();
				self.then(micros, Later::Calm(usual));
				Ok(())
			}
			What::Stall { who, micros } => {
				if let Some(node) = self.find(who) {
					self.world.stall(node, micros);
				}
				Ok(())
			}
			What::Slow { node, micros } => {
				if let Some(process) = self.world.process_mut(node) {
					process.set_slowness(micros);
				}
				Ok(())
			}
			What::Config { who, change, dice } => self.change(who, change, dice),
			What::Transfer { dice } => {
				let Some(node) = self.leader() else {
					return Ok(());
				};
				self.world.with(node, |member, now, effects| {
					member.act(now, effects, |seat, _, _| {
						let config = Arc::clone(&seat.raft.status().config);
						if let Some(to) = pick(config.voters.iter().copied(), dice) {
							let _ = seat.raft.transfer_leader(to);
						}
					})
				});
				self.look(node)
			}
			What::Hint { who, dice } => self.hint(who, dice),
			What::Compact { who } => {
				let Some(node) = self.find(who) else {
					return Ok(());
				};
				self.world.with(node, |member, now, effects| {
					member.act(now, effects, |seat, _, _| seat.compact(true))
				});
				self.look(node)
			}
		}
	}

	/// A user issues a command at a node, if that is a member.
	pub(super) fn append(&mut self, node: Node, value: u64) -> Check {
		let setup = Rc::clone(&self.setup);
		let reads = &mut self.invariants.formation(setup.formation).reads;
		self.world.with(node, |member, now, effects| {
			member.act(now, effects, |seat, effects, _| {
				if seat.append(&setup, value, effects) {
					reads.issue(value);
				}
			})
		});
		self.look(node)
	}

	/// A user reads at a node, if that is a member.
	pub(super) fn read(&mut self, node: Node) -> Result<u64, super::Violation> {
		self.next_read += 1;
		let read = self.next_read;
		let setup = Rc::clone(&self.setup);
		let reads = &mut self.invariants.formation(setup.formation).reads;
		self.world.with(node, |member, now, effects| {
			member.act(now, effects, |seat, effects, _| {
				if seat.read(&setup, read, effects) {
					reads.ask(read);
				}
			})
		});
		self.look(node)?;
		Ok(read)
	}

	fn crash(&mut self, node: Node, down: u64, loses_disk: bool, is_reckless: bool) {
		let loses = loses_disk || !self.scenario.durable[node];
		if self.world.process(node).is_none() || loses && !is_reckless && self.is_needed(node) {
			return;
		}
		self.world.crash(node);
		if loses {
			let disk = self.world.disk_mut(node);
			*disk = MemberDisk {
				identity: disk.identity.filter(|_| keeps_identity()),
				..MemberDisk::default()
			};
		}
		self.then(down, Later::Restart(node));
	}

	/// The configuration in force, as far as anybody knows, and whether a majority
	/// of its voters has its disk, apart from one of them.
	pub(super) fn is_intact(&self, config: &Config, without: Option<Node>) -> bool {
		let has_disk = |voter: &&MemberId| {
			(0..self.world.len()).any(|node| {
				let identity = match self.world.process(node) {
					Some(process) => process.seat().map(|seat| seat.identity),
					None => self.world.disk(node).identity,
				};
				Some(node) != without && identity.is_some_and(|known| known.member == **voter)
			})
		};
		config.voters.iter().filter(has_disk).count() * 2 > config.voters.len()
	}

	/// Whether a majority could be lost with this disk.
	fn is_needed(&self, node: Node) -> bool {
		self.configs()
			.iter()
			.any(|config| !self.is_intact(config, Some(node)))
	}

	/// Whether a majority of the voters has lost its storage: the formation can
	/// never commit anything again.
	pub(super) fn is_lost(&self) -> bool {
		let configs = self.configs();
		configs.is_empty() || configs.iter().any(|config| !self.is_intact(config, None))
	}

	/// The configurations that members go by that know the latest committed one.
	pub(super) fn configs(&self) -> Vec<Arc<Config>> {
		let statuses = (0..self.world.len())
			.filter_map(|node| Some(self.world.process(node)?.seat()?.raft.status()));
		let statuses: Vec<_> = statuses.collect();
		let committed = statuses.iter().map(|status| status.committed_config_index);
		let committed = committed.max().unwrap_or_default();
		let current = statuses
			.iter()
			.filter(|status| status.config_index >= committed);
		current.map(|status| Arc::clone(&status.config)).collect()
	}

	fn cut(&mut self, mut island: u64, turns_leader: bool, is_one_way: bool, micros: u64) {
		if turns_leader && let Some(leader) = self.leader() {
			island ^= 1 << leader;
		}
		let nodes = 0..self.world.len();
		let is_inside = |node: &Node| island & (1 << node) != 0;
		let mut ways = Vec::new();
		for inside in nodes.clone().filter(is_inside) {
			for outside in nodes.clone().filter(|node| !is_inside(node)) {
				ways.push((inside, outside));
				if !is_one_way {
					ways.push((outside, inside));
				}
			}
		}
		for (from, to) in &ways {
			self.world.block(*from, *to);
		}
		let cut = self.next_later;
		self.cuts.insert(cut, ways);
		self.then(micros, Later::Mend(cut));
	}

	fn change(&mut self, who: Who, change: Change, dice: u64) -> Check {
		let Some(node) = self.find(who) else {
			return Ok(());
		};
		self.world.with(node, |member, now, effects| {
			member.act(now, effects, |seat, _, _| {
				let status = seat.raft.status();
				let config = &status.config;
				let learners = config.learners().map(|(id, _)| id);
				let whom = match change {
					Change::Promote => pick(learners.collect::<Vec<_>>().into_iter(), dice),
					Change::RemoveLeader => Some(status.id),
					Change::Remove | Change::Update => pick(config.members.keys().copied(), dice),
				};
				let Some(whom) = whom else {
					return;
				};
				let change = match (change, config.members.get(&whom)) {
					(Change::Promote, _) => ConfigChange::Promote(whom),
					(Change::Update, Some(info)) => ConfigChange::Update(whom, info.clone()),
					_ => ConfigChange::Remove(whom),
				};
				let _ = seat.raft.propose_config(change);
			})
		});
		self.look(node)
	}

	fn hint(&mut self, who: Who, dice: u64) -> Check {
		let Some(node) = self.find(who) else {
			return Ok(());
		};
		self.world.with(node, |member, now, effects| {
			member.act(now, effects, |seat, _, _| {
				let config = Arc::clone(&seat.raft.status().config);
				let whom = pick(config.members.keys().copied(), dice >> 2);
				let hint = match (dice % 4, whom) {
					(0, Some(whom)) => Hint::PeerUp(whom),
					(1 | 2, Some(whom)) => Hint::PeerDown(whom),
					_ => Hint::LeaderDeparting,
				};
				seat.raft.hint(hint);
			})
		});
		self.look(node)
	}
}

/// One of them.
fn pick<T>(mut from: impl Iterator<Item = T> + Clone, dice: u64) -> Option<T> {
	let count = from.clone().count() as u64;
	from.nth(usize::try_from(dice % count.max(1)).ok()?)
}

/// Whether who loses its storage takes itself for who it was.
#[cfg(mutants)]
fn keeps_identity() -> bool {
	use mosaik_proto::groups::mutants::{Mutant, is_active};
	is_active(Mutant::KeepVolatileIdentity)
}

#[cfg(not(mutants))]
const fn keeps_identity() -> bool {
	false
}
