//! After the faults: the group must come to agree, and serve its users (design
//! §2.2, P5, and §4.7).

use {
	super::{
		invariants::{Check, broken},
		process::Member,
		sim::Sim,
	},
	crate::lossy::{Node, Step, Weather},
	mosaik_proto::groups::{Engine, engine::RoleKind},
};

/// How long it may take to agree, in microseconds.
const PATIENCE: u64 = 120_000_000;

impl Sim {
	/// Ends all faults, and sees whether the group recovers. A group that has lost
	/// a majority for good must only stay safe.
	pub(super) fn finale(&mut self) -> Check {
		self.end_all()?;
		self.world.heal();
		let heartbeat = self.scenario.settings.heartbeat * 1000;
		*self.world.weather() = Weather {
			delay: (heartbeat / 20).max(10),
			write: (heartbeat / 20).max(10),
			..Weather::default()
		};
		for node in 0..self.world.len() {
			if let Some(process) = self.world.process_mut(node) {
				process.set_slowness(0);
			}
		}
		// What was under way still happens in its own time.
		self.run_until(self.scenario.dead_after * 3_000, |_| false)?;
		if self.is_lost() {
			self.stats.lost += 1;
			return Ok(());
		}
		if !self.run_until(PATIENCE, Self::agrees)? {
			if self.is_lost() {
				self.stats.lost += 1;
				return Ok(());
			}
			return broken("convergence", self.picture());
		}
		self.serve()
	}

	/// A fresh command and a strong read come to an end, anywhere.
	fn serve(&mut self) -> Check {
		let members = (0..self.world.len()).filter(|&node| {
			let seat = self.world.process(node).and_then(Member::seat);
			seat.is_some()
		});
		let members: Vec<Node> = members.collect();
		let dice = usize::try_from(self.world.roll() % 1_000).unwrap_or_default();
		let (one, two) = (
			members[dice % members.len()],
			members[dice / 2 % members.len()],
		);
		let (commands, reads) = (self.stats.commands, self.stats.reads);
		self.append(one, u64::MAX)?;
		self.run_until(PATIENCE, |sim| {
			sim.stats.commands > commands && sim.agrees()
		})?;
		if self.stats.commands == commands {
			return broken(
				"liveness",
				format!("a command is not done\n{}", self.picture()),
			);
		}
		self.read(two)?;
		self.run_until(PATIENCE, |sim| sim.stats.reads > reads && sim.agrees())?;
		if self.stats.reads == reads {
			return broken(
				"liveness",
				format!("a read is not answered\n{}", self.picture()),
			);
		}
		if !self.agrees() {
			return broken("convergence", self.picture());
		}
		Ok(())
	}

	/// Runs until something is so; `false` if the time is up.
	fn run_until(
		&mut self,
		micros: u64,
		is_so: impl Fn(&Self) -> bool,
	) -> Result<bool, super::Violation> {
		let end = self.world.now() + micros;
		let mut looked = 0;
		loop {
			// It is not looked at after every event: that is dear.
			if self.world.now() >= looked {
				if is_so(self) {
					return Ok(true);
				}
				looked = self.world.now() + 100_000;
			}
			let later = self.later.first_key_value().map(|(&(at, _), _)| at);
			let until = later.into_iter().fold(looked.min(end), u64::min);
			match self.world.step(until) {
				Step::Node(node) => self.look(node)?,
				Step::Nothing => {}
				Step::Idle if later.is_some_and(|at| at <= self.world.now()) => {
					self.end_what_is_due()?;
				}
				Step::Idle if self.world.now() >= end => return Ok(is_so(self)),
				Step::Idle => {}
			}
		}
	}

	/// Whether there is one leader, everybody is a member and in the same state, and
	/// nobody is waiting for anything.
	fn agrees(&self) -> bool {
		let Some(leader) = self.leader() else {
			return false;
		};
		let seat = |node: Node| self.world.process(node).and_then(Member::seat);
		let Some(led) = seat(leader) else {
			return false;
		};
		let truth = led.raft.status();
		truth.commit == truth.last.index
			&& (0..self.world.len()).all(|node| {
				seat(node).is_some_and(|seat| {
					let status = seat.raft.status();
					let leads = status.role == RoleKind::Leader;
					status.term == truth.term
						&& status.leader == Some(truth.id)
						&& (!leads || node == leader)
						&& truth.config.contains(status.id)
						&& status.last == truth.last
						&& status.commit == truth.commit
						&& status.applied == truth.commit
						&& seat.machine.prefix == led.machine.prefix
						&& seat.client.waiting() == 0
				})
			})
	}

	/// How things stand, for people.
	pub(super) fn picture(&self) -> String {
		let mut picture = String::from("the members do not agree");
		for node in 0..self.world.len() {
			let seat = self.world.process(node).and_then(Member::seat);
			let line = match seat {
				Some(seat) => {
					let status = seat.raft.status();
					let voters = &status.config.voters;
					format!(
						"\n  {node}: {} {:?} term {} leader {:?} commit {} applied {} last {:?} base \
						 {:?} waits for {} wakes {:?} voters {voters:?} members {:?} {:?}",
						status.id,
						status.role,
						status.term,
						status.leader,
						status.commit,
						seat.machine.index,
						status.last,
						status.base,
						seat.client.waiting(),
						seat.raft.next_wakeup(),
						status.config.members.keys().collect::<Vec<_>>(),
						status.progress,
					)
				}
				None if self.world.process(node).is_none() => format!("\n  {node}: does not run"),
				None => format!("\n  {node}: nobody, {:?}", self.world.is_paused(node)),
			};
			picture.push_str(&line);
		}
		picture
	}
}
