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
	/// A node notices that another one can be reached, or no longer can.
	Notice(Node, Node, bool),
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
		for later in std::mem::take(&mut self.later).into_values() {
			self.end_one(later)?;
		}
		// The last word is that everybody can be reached.
		for node in 0..self.world.len() {
			self.let_notice(node, true);
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
					self.let_notice(node, true);
				}
			}
			Later::Notice(at, other, is_up) => self.notice(at, other, is_up)?,
			Later::Mend(cut) => {
				let ways = self.cuts.remove(&cut).unwrap_or_default();
				self.world.heal();
				for (from, to) in ways {
					let soon = self.world.roll() % (self.scenario.settings.heartbeat * 1_000);
					self.then(soon, Later::Notice(to, from, true));
				}
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
		let (at, calls) = (self.world.now(), &mut self.calls);
		let reads = &mut self.invariants.formation(setup.formation).reads;
		self.world.with(node, |member, now, effects| {
			member.act(now, effects, |seat, effects, _| {
				if seat.append(&setup, value, effects) {
					reads.issue(value);
					calls.issue(at, node, value);
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
		let (at, calls) = (self.world.now(), &mut self.calls);
		let reads = &mut self.invariants.formation(setup.formation).reads;
		self.world.with(node, |member, now, effects| {
			member.act(now, effects, |seat, effects, _| {
				if seat.read(&setup, read, effects) {
					reads.ask(read);
					calls.ask(at, node, read);
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
		self.let_notice(node, false);
		self.then(down, Later::Restart(node));
	}

	/// The configuration in force, as far as anybody knows, and whether a majority
	/// of its voters has its disk, apart from one of them.
	pub(super) fn is_intact(&self, config: &Config, without: Option<Node>) -> bool {
		let has_disk = |voter: &&MemberId| {
			let Some(info) = config.members.get(voter) else {
				return false;
			};
			let Some(node) = self.setup.node_of(&info.peer) else {
				return false;
			};
			// A node may have the same storage as another member: one that was added
			// twice, or whose wiping was not on disk yet.
			let identity = match self.world.process(node) {
				Some(process) => process.seat().map(|seat| seat.identity),
				None => self.world.disk(node).identity,
			};
			let is_it = identity
				.is_some_and(|identity| identity.member == **voter && identity.nonce == info.nonce);
			Some(node) != without && is_it
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
		// Some of the drivers notice, and soon: then there are two who lead.
		let is_noticed = self.world.roll().is_multiple_of(2);
		for &(from, to) in &ways {
			self.world.block(from, to);
			if is_noticed {
				let soon = self.world.roll() % (self.scenario.settings.heartbeat * 1_000);
				self.then(soon, Later::Notice(to, from, false));
			}
		}
		let cut = self.next_later;
		self.cuts.insert(cut, ways);
		self.then(micros, Later::Mend(cut));
	}

	fn change(&mut self, who: Who, change: Change, dice: u64) -> Check {
		let Some(node) = self.find(who) else {
			return Ok(());
		};
		let seat = self.world.process(node).and_then(Member::seat);
		let Some(status) = seat.map(|seat| seat.raft.status()) else {
			return Ok(());
		};
		let config = &status.config;
		let learners: Vec<MemberId> = config.learners().map(|(id, _)| id).collect();
		let whom = match change {
			Change::Promote => pick(learners.into_iter(), dice),
			Change::RemoveLeader => Some(status.id),
			Change::Remove | Change::Update => pick(config.members.keys().copied(), dice),
		};
		let Some(whom) = whom else {
			return Ok(());
		};
		let change = match (change, config.members.get(&whom)) {
			(Change::Promote, _) => ConfigChange::Promote(whom),
			(Change::Update, Some(info)) => ConfigChange::Update(whom, info.clone()),
			_ => ConfigChange::Remove(whom),
		};
		// What would leave too few of those that have their storage ends the story:
		// once in a while it may.
		let next = change.apply(config, status.last.index + 1);
		let is_safe = next.is_ok_and(|next| {
			let mut members = status.progress.iter();
			let joined = members.any(|(id, progress)| *id == whom && progress.matched > 0);
			let is_there = !matches!(change, ConfigChange::Promote(_)) || joined;
			is_there && self.is_intact(&next, None)
		});
		if !is_safe && dice >> 32 & 0xff != 0 {
			return Ok(());
		}
		self.world.with(node, |member, now, effects| {
			member.act(now, effects, |seat, _, _| {
				let _ = seat.raft.propose_config(change);
			})
		});
		self.look(node)
	}

	/// The driver of a node notices that it can reach another one, or no longer can.
	fn notice(&mut self, at: Node, other: Node, is_up: bool) -> Check {
		if self.world.is_paused(at) {
			self.then(100_000, Later::Notice(at, other, is_up));
			return Ok(());
		}
		let peer = self.setup.peers[other];
		self.world.with(at, |member, now, effects| {
			member.act(now, effects, |seat, _, _| {
				let config = Arc::clone(&seat.raft.status().config);
				let members = config.members.iter().filter(|(_, info)| info.peer == peer);
				for (&member, _) in members {
					let hint = if is_up {
						Hint::PeerUp(member)
					} else {
						Hint::PeerDown(member)
					};
					seat.raft.hint(hint);
				}
			})
		});
		self.look(at)
	}

	/// All drivers will notice, each in its time.
	pub(super) fn let_notice(&mut self, other: Node, is_up: bool) {
		let most = self.scenario.settings.election_timeout * 2_000;
		for at in (0..self.world.len()).filter(|at| *at != other) {
			let micros = self.world.roll() % most;
			self.then(micros, Later::Notice(at, other, is_up));
			if is_up {
				let micros = self.world.roll() % most;
				self.then(micros, Later::Notice(other, at, is_up));
			}
		}
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
