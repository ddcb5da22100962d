//! Promotes those who caught up, removes those who are gone.
//!
//! A voter is removed only if the configuration without it has a majority that
//! answered within the last election timeout: as a configuration counts from the
//! moment it is in the log, the removal then commits without the dead, also from
//! two voters to one. A learner is promoted when it keeps up: when it received all
//! there was at the beginning of a round within less than an election timeout
//! (dissertation §4.2.1).

use {
	super::seats,
	crate::{
		PeerId,
		groups::{
			config::ConfigChange,
			engine::{MemberProgress, Status},
			raft::quorum,
			types::{LogIndex, MemberId, Ticks},
		},
	},
	std::collections::{BTreeMap, BTreeSet},
};

/// Voters up to here are promoted at once; further ones when they have stayed for a
/// while.
pub const STABLE_VOTERS: usize = 3;

/// Tuning of the autopilot, times in ticks.
#[derive(Clone, Debug)]
pub struct Policy {
	/// The most voters. Default: 5.
	pub max_voters: usize,
	/// The fewest voters that are left by removals of those who do not want to go.
	/// Default: 1.
	pub min_voters: usize,
	/// After what silence a member counts as dead. Default: 10,000.
	pub dead_after: Ticks,
	/// How long a member must have been there before it gets a seat beyond the
	/// third. Default: 10,000.
	pub stabilization: Ticks,
	/// How many entries a member may lack that is promoted. Default: 1,024.
	pub lag_limit: u64,
	/// The election timeout of the members.
	pub election_timeout: Ticks,
}

impl Default for Policy {
	fn default() -> Self {
		Self {
			max_voters: 5,
			min_voters: 1,
			dead_after: 10_000,
			stabilization: 10_000,
			lag_limit: 1_024,
			election_timeout: 1_000,
		}
	}
}

/// What is known of members besides their answers.
#[derive(Clone, Debug, Default)]
pub struct Facts {
	/// Members whose storage is gone: their node is back with another nonce.
	pub reborn: BTreeSet<MemberId>,
	/// Members that no longer satisfy the group's rules.
	pub revoked: BTreeSet<MemberId>,
	/// Members that asked to leave.
	pub leaving: BTreeSet<MemberId>,
}

/// See the [module](self). Lost with leadership.
#[derive(Clone, Debug, Default)]
pub struct Autopilot {
	learners: BTreeMap<MemberId, Round>,
	/// The change that waits for signs of life.
	asked: Option<ConfigChange>,
}

/// What a leader should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
	/// Ask all members for a sign of life, and look again when they answer.
	Ask,
	/// Wait for more of their answers.
	Wait,
	/// Propose this.
	Propose(ConfigChange),
}

/// How quickly a learner catches up.
#[derive(Clone, Copy, Debug)]
struct Round {
	since: Ticks,
	target: LogIndex,
	begun: Ticks,
	/// The last round took less than an election timeout.
	keeps_up: bool,
}

impl Autopilot {
	/// The next change to propose, if any. Called while this member leads.
	pub fn decide(
		&mut self,
		now: Ticks,
		status: &Status,
		policy: &Policy,
		facts: &Facts,
	) -> Option<Advice> {
		self.observe(now, status, policy);
		if !status.own_commit || status.config_index > status.commit {
			return None;
		}
		let view = View::new(now, status, policy, facts);
		let change = view.removal().or_else(|| self.promotion(&view));
		change.map(|change| self.confirm(status, change))
	}

	/// How this member, which leads and wants to leave, can go now.
	pub fn leave(&mut self, now: Ticks, status: &Status, policy: &Policy) -> Option<Advice> {
		if !status.own_commit || status.config_index > status.commit {
			return None;
		}
		let facts = Facts::default();
		let view = View::new(now, status, policy, &facts);
		let change = if status.config.voters.len() > 1 {
			let can_leave = view.has_quorum_without(status.id);
			can_leave.then_some(ConfigChange::Remove(status.id))?
		} else {
			// Somebody gets a seat first, also where there is but one.
			ConfigChange::Promote(self.candidates(&view).next()?)
		};
		Some(self.confirm(status, change))
	}

	/// Whether answers of members may allow what is waited for.
	pub const fn is_waiting(&self) -> bool {
		self.asked.is_some()
	}

	/// There is nothing to do.
	pub fn forget(&mut self) {
		self.asked = None;
	}

	/// Whether those who have to commit a change have given a sign of life since it
	/// was thought of. A configuration counts from the moment it is in the log: if
	/// one of two has just died, a change that needs both can neither be committed
	/// nor taken back.
	fn confirm(&mut self, status: &Status, change: ConfigChange) -> Advice {
		let voters = &status.config.voters;
		let is_fresh = |member: &MemberId| {
			*member == status.id || progress(status, *member).is_some_and(|progress| progress.fresh)
		};
		let (count, fresh) = match &change {
			ConfigChange::Promote(member) if !is_fresh(member) => (voters.len() + 1, 0),
			ConfigChange::Promote(_) => {
				let fresh = voters.iter().filter(|voter| is_fresh(voter)).count();
				(voters.len() + 1, fresh + 1)
			}
			ConfigChange::Remove(member) if voters.contains(member) => {
				let others = voters.iter().filter(|voter| *voter != member);
				(
					voters.len() - 1,
					others.filter(|voter| is_fresh(voter)).count(),
				)
			}
			// Others make no difference to what can be committed.
			_ => return Advice::Propose(change),
		};
		let leaving = ConfigChange::Remove(status.id);
		let decides_alone = quorum::majority(count) == 1 && change != leaving;
		if !decides_alone && self.asked.as_ref() != Some(&change) {
			self.asked = Some(change);
			return Advice::Ask;
		}
		if fresh < quorum::majority(count) {
			return Advice::Wait;
		}
		self.asked = None;
		Advice::Propose(change)
	}

	fn observe(&mut self, now: Ticks, status: &Status, policy: &Policy) {
		let learners: BTreeSet<MemberId> = status.config.learners().map(|(id, _)| id).collect();
		self.learners.retain(|id, _| learners.contains(id));
		for (id, progress) in &status.progress {
			if !learners.contains(id) {
				continue;
			}
			let round = self.learners.entry(*id).or_insert(Round {
				since: now,
				target: status.last.index,
				begun: now,
				keeps_up: false,
			});
			if progress.matched >= round.target {
				round.keeps_up = now.saturating_sub(round.begun) < policy.election_timeout;
				round.target = status.last.index;
				round.begun = now;
			}
		}
	}

	fn promotion(&self, view: &View<'_>) -> Option<ConfigChange> {
		let config = &view.status.config;
		let alive = config.members.iter().filter(|(id, info)| {
			info.preference.may_vote() && (config.is_voter(**id) || view.is_alive(**id))
		});
		let target = seats::target(alive.count(), view.policy.max_voters);
		if config.voters.len() >= target {
			return None;
		}
		let is_early = config.voters.len() >= STABLE_VOTERS;
		let has_stayed = |id: &MemberId| {
			let since = self.learners.get(id).map_or(view.now, |round| round.since);
			!is_early || view.now.saturating_sub(since) >= view.policy.stabilization
		};
		let was_asked = |id: &MemberId| self.asked == Some(ConfigChange::Promote(*id));
		let mut candidates = self.candidates(view).filter(has_stayed);
		let first = candidates.next()?;
		// Who was asked stays the one, whoever is ahead meanwhile.
		let asked = candidates.find(was_asked).filter(|_| !was_asked(&first));
		Some(ConfigChange::Promote(asked.unwrap_or(first)))
	}

	/// The learners that could be promoted, best first: by preference, then by how
	/// much they have.
	fn candidates(&self, view: &View<'_>) -> impl Iterator<Item = MemberId> {
		let status = view.status;
		let mut ready: Vec<(u8, std::cmp::Reverse<LogIndex>, MemberId)> = Vec::new();
		for (id, progress) in &status.progress {
			let Some(info) = status.config.members.get(id) else {
				continue;
			};
			let keeps_up = self.learners.get(id).is_some_and(|round| round.keeps_up);
			let lag = status.last.index.saturating_sub(progress.matched);
			let is_ready = !status.config.is_voter(*id)
				&& info.preference.may_vote()
				&& !view.is_unwanted(*id)
				&& view.answered(*id)
				&& keeps_up && lag <= view.policy.lag_limit;
			if is_ready {
				let class = info.preference.class();
				ready.push((class, std::cmp::Reverse(progress.matched), *id));
			}
		}
		ready.sort_unstable();
		ready.into_iter().map(|(.., id)| id)
	}
}

/// What a decision is made of.
struct View<'a> {
	now: Ticks,
	status: &'a Status,
	policy: &'a Policy,
	facts: &'a Facts,
	/// The latest member on each node.
	latest: BTreeMap<PeerId, MemberId>,
}

/// What is known of a member besides this one, which leads.
fn progress(status: &Status, member: MemberId) -> Option<&MemberProgress> {
	// In the order of their ids.
	let at = status.progress.binary_search_by_key(&member, |(id, _)| *id);
	at.ok().map(|at| &status.progress[at].1)
}

impl<'a> View<'a> {
	fn new(now: Ticks, status: &'a Status, policy: &'a Policy, facts: &'a Facts) -> Self {
		let members = status.config.members.iter();
		Self {
			now,
			status,
			policy,
			facts,
			latest: members.map(|(id, info)| (info.peer, *id)).collect(),
		}
	}

	fn silence(&self, member: MemberId) -> Ticks {
		// Nobody is asked anything while the group sleeps.
		if member == self.status.id || self.status.quiesced {
			return 0;
		}
		progress(self.status, member).map_or(Ticks::MAX, |progress| {
			self.now.saturating_sub(progress.last_ack)
		})
	}

	/// Whether it answered within the last election timeout.
	fn answered(&self, member: MemberId) -> bool {
		self.silence(member) <= self.policy.election_timeout
	}

	fn is_alive(&self, member: MemberId) -> bool {
		self.silence(member) < self.policy.dead_after
	}

	/// Whether it is to go whether or not it answers.
	fn is_unwanted(&self, member: MemberId) -> bool {
		let facts = self.facts;
		facts.reborn.contains(&member)
			|| facts.revoked.contains(&member)
			|| facts.leaving.contains(&member)
			|| self.is_replaced(member)
	}

	/// Whether its node came back as a later member.
	fn is_replaced(&self, member: MemberId) -> bool {
		let info = self.status.config.members.get(&member);
		info.is_some_and(|info| self.latest.get(&info.peer) != Some(&member))
	}

	/// The member to remove: learners without conditions, voters one by one as the
	/// rest stays able to commit.
	fn removal(&self) -> Option<ConfigChange> {
		let config = &self.status.config;
		let is_gone = |id: &MemberId| self.is_unwanted(*id) || !self.is_alive(*id);
		let mut gone = config.members.keys().copied().filter(is_gone);
		let member = gone.find(|member| {
			*member != self.status.id && (!config.is_voter(*member) || self.can_remove(*member))
		})?;
		Some(ConfigChange::Remove(member))
	}

	fn can_remove(&self, voter: MemberId) -> bool {
		let left = self.status.config.voters.len() - 1;
		let fewest = if self.facts.leaving.contains(&voter) {
			1
		} else {
			self.policy.min_voters.max(1)
		};
		left >= fewest && self.has_quorum_without(voter)
	}

	/// Whether those who vote besides `voter` have a majority that answers.
	fn has_quorum_without(&self, voter: MemberId) -> bool {
		let others = self
			.status
			.config
			.voters
			.iter()
			.filter(|other| **other != voter);
		let count = others.clone().count();
		let answered = others.filter(|other| self.answered(**other)).count();
		count > 0 && answered >= quorum::majority(count)
	}
}
