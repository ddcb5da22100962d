//! The end of a run: the world is put right, and judged.

use {
	super::Run,
	crate::{
		lossy::{Node, Weather},
		replicas::plan::Action,
	},
	mosaik_proto::groups::{
		engine::{Engine as _, RoleKind},
		replica::Input,
		types::FormationId,
	},
	std::collections::{BTreeMap, BTreeSet},
};

/// How long the world may take to come together once it is put right.
const CALM: u64 = 240_000_000;

impl Run<'_> {
	/// Puts the world right: it must come together.
	pub(super) fn calm_down(&mut self) -> Result<(), String> {
		self.say(format_args!("nothing goes wrong any more"));
		*self.world.weather() = Weather::default();
		self.heal();
		for node in 0..self.plan.nodes.len() {
			self.world.set_rate(node, 1000);
			self.start(node)?;
		}
		self.refresh();
		let begun = self.world.now();
		let end = begun + CALM;
		// What looks lost may only be slow, half of the time.
		while !self.is_settled() || self.is_lost() && self.world.now() < begun + CALM / 2 {
			if self.world.now() >= end {
				return Err(format!("convergence: {}", self.standing()));
			}
			self.resolve_conflicts()?;
			for node in 0..self.plan.nodes.len() {
				// Who left meanwhile comes back.
				self.start(node)?;
			}
			self.run_until(self.world.now() + 1_000_000)?;
		}
		// A fresh command and a read on every node (liveness, P5).
		for node in 0..self.plan.nodes.len() {
			self.execute(node, 1)?;
			self.act(&Action::Read(node))?;
		}
		self.run_until(self.world.now() + 20_000_000)?;
		// Every call ends somehow, also where nothing can be committed any more.
		let (open, leaving) = (self.clients.open(), &self.leaving);
		if open > 0 || !leaving.is_empty() {
			return Err(format!(
				"liveness: {open} calls are not answered, {leaving:?} are still leaving: {}",
				self.standing()
			));
		}
		self.judge()
	}

	/// Whether all that is left are formations without a quorum, which was surfaced.
	fn is_lost(&self) -> bool {
		let nodes = 0..self.plan.nodes.len();
		let hosts = nodes.filter_map(|node| self.world.process(node));
		let mut members = hosts
			.filter(|host| host.replica.engine().is_some())
			.peekable();
		members.peek().is_some() && members.all(|host| host.replica.has_lost_quorum())
	}

	fn is_settled(&self) -> bool {
		if self.is_lost() {
			return true;
		}
		// Also who sleeps must know all: nobody would tell it later.
		let mut ends = BTreeSet::new();
		for node in 0..self.plan.nodes.len() {
			let host = self.world.process(node);
			let Some((identity, raft)) = host.and_then(|host| host.replica.engine()) else {
				return false;
			};
			let last = raft.status().last;
			ends.insert((identity.formation, last));
			let is_level = raft.applied() == last.index;
			if !host.is_some_and(|host| host.replica.is_online()) || !is_level {
				return false;
			}
		}
		ends.len() == 1
	}

	/// The user decides where two formations cannot: the first yields. Who is left in
	/// one that lost its quorum gives it up for one that has not.
	fn resolve_conflicts(&mut self) -> Result<(), String> {
		let formations: BTreeMap<FormationId, Node> = (0..self.plan.nodes.len())
			.filter_map(|node| Some((self.formation(node)?, node)))
			.collect();
		let lost: BTreeSet<FormationId> = (0..self.plan.nodes.len())
			.filter(|node| {
				self.world
					.process(*node)
					.is_some_and(|host| host.replica.has_lost_quorum())
			})
			.filter_map(|node| self.formation(node))
			.collect();
		let is_lost = |formation: &FormationId| lost.contains(formation);
		let is_open = |(a, b): &&(FormationId, FormationId)| {
			formations.contains_key(a) && formations.contains_key(b)
		};
		let mut yields: Vec<_> = self.conflicts.iter().filter(is_open).copied().collect();
		if let Some(into) = formations.keys().find(|formation| !is_lost(formation)) {
			let lost = formations.keys().filter(|formation| is_lost(formation));
			yields.extend(lost.map(|lost| (*lost, *into)));
		}
		for (own, into) in yields {
			for node in 0..self.plan.nodes.len() {
				if self.formation(node) == Some(own) {
					self.tell(node, Input::Yield { into })?;
				}
			}
		}
		Ok(())
	}

	fn judge(&mut self) -> Result<(), String> {
		let formations: Vec<FormationId> = self.agreement.formations().collect();
		let living: BTreeSet<FormationId> = (0..self.plan.nodes.len())
			.filter_map(|node| self.formation(node))
			.collect();
		for formation in &formations {
			let is_alive = living.contains(formation) && !self.quorum_lost.contains(formation);
			let is_gone = self.destroyed.contains(formation) || self.given_up.contains(formation);
			if !living.contains(formation) && is_gone {
				// It went with the memory of those who had it, or by decision of those
				// who were told that it had no quorum.
				self.clients.quorum_lost(*formation);
			} else if is_alive || self.destroyed.contains(formation) {
				let values: Vec<u64> = self.agreement.values(*formation).collect();
				self.clients.survives(*formation, values.into_iter());
			}
		}
		let agreement = &self.agreement;
		let failures = self
			.clients
			.judge(|formation| agreement.values(formation).zip(1..).collect());
		failures.into_iter().next().map_or(Ok(()), Err)
	}

	/// Where everybody stands, for whoever reads a failure.
	pub(super) fn standing(&self) -> String {
		let stand = |node| {
			let Some(host) = self.world.process(node) else {
				return format!("{node} is down");
			};
			let Some((identity, raft)) = host.replica.engine() else {
				return format!("{node} {:?}", host.replica.info().standing);
			};
			let status = raft.status();
			let role = if status.role == RoleKind::Leader {
				" leads"
			} else {
				""
			};
			format!(
				"{node} is {} of {}{role}: term {} commit {} of {:?} applied {} voters {:?} leader \
				 {:?} {:?}{}{}",
				identity.member,
				identity.formation,
				status.term,
				status.commit,
				status.last,
				status.applied,
				status.config.voters,
				status.leader,
				status.life,
				if host.replica.is_online() {
					" online"
				} else {
					""
				},
				if status.quiesced { " asleep" } else { "" },
			)
		};
		let all: Vec<String> = (0..self.plan.nodes.len()).map(stand).collect();
		all.join("; ")
	}
}
