//! How a node becomes a member, and who of them votes.
//!
//! A stand-in for the state machines above the core: it makes proposals at moments
//! that need not be good ones.

use {
	super::{Effects, Member, Seat, Setup},
	crate::{
		groups::mail::Mail,
		lossy::{Effect, Node},
	},
	mosaik_proto::groups::{
		ConfigChange, Engine,
		engine::{ElectionPolicy, RoleKind, Status},
		message::{Frame, Msg},
		types::{LeadershipPreference, MemberId, Nonce, Ticks},
	},
};

/// How far behind a learner may be that is given a seat.
const LAG: u64 = 16;

/// How a member stands for election.
pub(super) const fn policy(preference: LeadershipPreference) -> ElectionPolicy {
	match preference {
		LeadershipPreference::Normal => ElectionPolicy::Normal,
		LeadershipPreference::Reluctant { .. } => ElectionPolicy::Reluctant(preference.factor()),
		LeadershipPreference::Observer => ElectionPolicy::Never,
	}
}

impl Member {
	/// Asks everybody, from time to time.
	pub(super) fn ask_to_join(&mut self, effects: &mut Effects) {
		if self.join_at > self.now {
			return;
		}
		self.join_at = self.now + self.setup.retry;
		for to in (0..self.setup.peers.len()).filter(|node| *node != self.node) {
			let nonce = self.nonce;
			effects.push(Effect::Send {
				to,
				message: Mail::Join { nonce },
				extra: 0,
			});
		}
	}
}

impl Seat {
	/// A node would like to be a member: it becomes one when the entry that says so
	/// is committed.
	pub(super) fn admit(&mut self, setup: &Setup, from: Node, nonce: Nonce, effects: &mut Effects) {
		let status = self.raft.status();
		if status.role != RoleKind::Leader {
			return;
		}
		let info = setup.info(from, nonce);
		let Some(member) = status.config.find(&info.peer, &nonce) else {
			let _ = self.raft.propose_config(ConfigChange::AddLearner(info));
			return;
		};
		if status.committed_config.contains(member) {
			effects.push(Effect::Send {
				to: from,
				message: Mail::Joined {
					formation: self.identity.formation,
					nonce,
					member,
				},
				extra: 0,
			});
		}
	}

	pub(super) fn hears_nobody(&self) -> bool {
		self.raft.status().leader.is_none()
	}

	/// A learner that was removed and did not hear of it would wait for ever: only
	/// voters ask others by standing for election.
	pub(super) fn ask_whether_member(&mut self, setup: &Setup, effects: &mut Effects) {
		self.ask_at = self.now + setup.dead_after;
		if !self.hears_nobody() {
			return;
		}
		let (formation, member) = (self.identity.formation, self.identity.member);
		for to in (0..setup.peers.len()).filter(|node| *node != self.node) {
			effects.push(Effect::Send {
				to,
				message: Mail::AmI { formation, member },
				extra: 0,
			});
		}
	}

	/// Whoever knows a committed configuration without a former member tells it.
	pub(super) fn tell_removed(&self, to: Node, member: MemberId, effects: &mut Effects) {
		let status = self.raft.status();
		let config = &status.committed_config;
		let was_removed =
			member.get() <= status.commit && !config.members.is_empty() && !config.contains(member);
		if was_removed {
			let frame = Frame {
				formation: self.identity.formation,
				from: self.identity.member,
				to: member,
				msg: Msg::NotMember {
					config_index: status.committed_config_index,
				},
			};
			effects.push(Effect::Send {
				to,
				message: Mail::Frame(frame),
				extra: 0,
			});
		}
	}

	/// Removes one of the dead, or gives one of the living a seat.
	pub(super) fn autopilot(&mut self, setup: &Setup) {
		let status = self.raft.status();
		if status.role != RoleKind::Leader || !status.own_commit || setup.seats == 0 {
			return;
		}
		if let Some(change) = self
			.removal(setup, &status)
			.or_else(|| promotion(setup, &status, self.now))
		{
			let _ = self.raft.propose_config(change);
		}
	}

	fn removal(&self, setup: &Setup, status: &Status) -> Option<ConfigChange> {
		if status.quiesced {
			// Nobody is asked to answer.
			return None;
		}
		let config = &status.config;
		let is_dead = |member: MemberId, last_ack: u64| {
			let came_back = config.members.get(&member).is_some_and(|info| {
				let mut newer = config.members.range(member..).skip(1);
				newer.any(|(_, other)| other.peer == info.peer)
			});
			came_back || self.now.saturating_sub(last_ack) > setup.dead_after
		};
		let dead = status
			.progress
			.iter()
			.find(|(id, progress)| is_dead(*id, progress.last_ack));
		let (dead, _) = *dead?;
		let answered = |member: &&MemberId| {
			let mut others = status.progress.iter();
			let since = self.now.saturating_sub(setup.settings.election_timeout);
			**member == status.id
				|| others.any(|(id, progress)| id == *member && progress.last_ack >= since)
		};
		let rest = config.voters.iter().filter(|voter| **voter != dead);
		let count = rest.clone().count();
		let can_commit = rest.filter(answered).count() * 2 > count;
		(!config.is_voter(dead) || can_commit).then_some(ConfigChange::Remove(dead))
	}
}

/// A learner that is given a seat.
///
/// It must have answered just now: should it be gone, {a} became {a, b} without a
/// way back, as the change cannot be undone before it is committed.
fn promotion(setup: &Setup, status: &Status, now: Ticks) -> Option<ConfigChange> {
	let config = &status.config;
	if config.voters.len() >= setup.seats {
		return None;
	}
	let ready = status.progress.iter().filter(|(id, progress)| {
		let is_learner = !config.is_voter(*id);
		let info = config.members.get(id);
		let wants = info.is_some_and(|info| info.preference.may_vote());
		let is_there = now.saturating_sub(progress.last_ack) <= setup.settings.heartbeat;
		is_learner
			&& is_there
			&& wants && progress.matched > 0
			&& progress.matched + LAG >= status.last.index
	});
	let best = ready.max_by_key(|(id, progress)| (progress.matched, std::cmp::Reverse(*id)));
	best.map(|(id, _)| ConfigChange::Promote(*id))
}
