//! What a leader does besides the engine: admits, promotes, removes, merges; and
//! how a member leaves.

use {
	super::{
		Message, Outcome, Output, Phase, Replica,
		io::{CallId, Obstacle},
	},
	crate::{
		PeerId,
		groups::{
			engine::{Engine, Status},
			entry::FormationEntry,
			formation::merge::{Scene, Step},
			membership::{Advice, Facts, seats},
			state::Life,
			types::{FormationId, MemberId},
		},
	},
	rand::RngExt,
};

impl Replica {
	/// Looks after the formation, if this node leads it and that is due. Returns
	/// whether something was proposed.
	pub(super) fn lead(&mut self) -> bool {
		let Phase::Member(member) = &mut self.phase else {
			return false;
		};
		let is_due = member.has_duties || member.duties_at <= self.now;
		if !is_due || !member.raft.leads() {
			if is_due {
				member.has_duties = false;
				member.duties_at = self.now.saturating_add(self.settings.raft.heartbeat);
				self.watch_others();
			}
			return false;
		}
		if !seats::is_settled(
			&member.raft.log_state().config,
			self.settings.policy.max_voters,
		) {
			// Who is promoted must answer.
			member.raft.stay_awake();
		}
		let joined = self.admit();
		let changed = self.change_members();
		let merged = self.merge();
		let Phase::Member(member) = &mut self.phase else {
			return true;
		};
		let has_proposed = joined || changed || merged;
		// What is proposed may allow the next step once it is committed.
		member.has_duties = has_proposed;
		member.duties_at = self.now.saturating_add(self.settings.raft.heartbeat);
		self.watch_others();
		has_proposed
	}

	/// Notices a formation that neither may yield to nor absorb by itself.
	fn watch_others(&mut self) {
		let Phase::Member(member) = &self.phase else {
			return;
		};
		let own = member.formation_info();
		let others = self.other_formations(own.formation);
		self.tell_conflict(&own, &others);
	}

	fn facts(&self, status: &Status) -> Facts {
		let Phase::Member(member) = &self.phase else {
			return Facts::default();
		};
		let mut facts = Facts {
			leaving: member.leaving.clone(),
			..Facts::default()
		};
		for (id, info) in &status.config.members {
			if self.bonds.is_revoked(&info.peer) {
				facts.revoked.insert(*id);
			}
			let told = self.bonds.info(&info.peer);
			if told.is_some_and(|told| told.nonce != info.nonce) {
				facts.reborn.insert(*id);
			}
		}
		facts
	}

	fn change_members(&mut self) -> bool {
		let Phase::Member(member) = &self.phase else {
			return false;
		};
		let status = member.raft.status();
		let facts = self.facts(&status);
		let (now, policy) = (self.now, &self.settings.policy);
		let is_leaving = !self.leaving.is_empty();
		let Phase::Member(member) = &mut self.phase else {
			return false;
		};
		let advice = match member.autopilot.decide(now, &status, policy, &facts) {
			None if is_leaving && is_last(&status) => {
				return member.raft.propose_formation(FormationEntry::Close).is_ok();
			}
			None if is_leaving => member.autopilot.leave(now, &status, policy),
			advice => advice,
		};
		match advice {
			Some(Advice::Propose(change)) => member.raft.propose_config(change).is_ok(),
			Some(Advice::Ask) => {
				member.raft.ask_all();
				false
			}
			Some(Advice::Wait) => {
				// The answer may have been lost: only heartbeats ask again.
				member.raft.stay_awake();
				false
			}
			None => {
				member.autopilot.forget();
				false
			}
		}
	}

	fn merge(&mut self) -> bool {
		let Phase::Member(member) = &self.phase else {
			return false;
		};
		let own = member.formation_info();
		let others = self.other_formations(own.formation);
		let patience = self.settings.patience();
		let dice = self.rng.random();
		let Phase::Member(member) = &mut self.phase else {
			return false;
		};
		let status = member.raft.status();
		let scene = Scene {
			now: self.now,
			status: &status,
			state: member.raft.log_state(),
			own: &own,
			others: &others,
			patience,
			dice,
		};
		match member.merge.step(&scene) {
			None => false,
			Some(Step::Propose(entry)) => {
				let appended = member.raft.propose_formation(entry);
				member.merge.appended(appended.ok());
				appended.is_ok()
			}
			Some(Step::Ask {
				leader,
				into,
				attempt,
			}) => {
				let from = own.formation;
				let absorb = Message::Absorb {
					from,
					into,
					attempt,
				};
				self.send(leader, absorb);
				false
			}
			Some(Step::Agree { to, from, attempt }) => {
				let into = own.formation;
				let absorbed = Message::Absorbed {
					from,
					into,
					attempt,
				};
				self.send(to, absorbed);
				false
			}
		}
	}

	pub(super) fn on_absorb(
		&mut self,
		peer: PeerId,
		from: FormationId,
		into: FormationId,
		attempt: u64,
	) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity.formation == into
			&& member.raft.leads()
		{
			member.merge.on_ask(peer, from, attempt);
			member.has_duties = true;
		}
	}

	pub(super) fn on_absorbed(&mut self, from: FormationId, into: FormationId, attempt: u64) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity.formation == from
		{
			member.merge.on_agreed(into, attempt);
			member.has_duties = true;
		}
	}

	/// The user decided that this formation yields. Where it has lost its quorum
	/// nothing can be decided in it any more: then this node gives it up for itself.
	pub(super) fn on_yield(&mut self, into: FormationId) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		if member.is_quorum_lost {
			let of = member.identity;
			return self.supersede(of, Some(into), Outcome::Unknown);
		}
		let formation = member.identity.formation;
		if member.raft.leads() {
			member.merge.resolve(into);
			member.has_duties = true;
		} else if let Some(leader) = member.leader_peer() {
			self.send(leader, Message::Yield { formation, into });
		}
	}

	/// Another member's user decided a conflict.
	pub(super) fn on_yield_asked(
		&mut self,
		from: PeerId,
		formation: FormationId,
		into: FormationId,
	) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity.formation == formation
			&& member.raft.leads()
			&& member.has_member_on(from)
		{
			member.merge.resolve(into);
			member.has_duties = true;
		}
	}

	// Leaving.

	pub(super) fn on_leave(&mut self, call: CallId) {
		if self.leaving.len() >= self.settings.max_pending {
			let outcome = Outcome::Overloaded;
			self.out.push_back(Output::Done { call, outcome });
			return;
		}
		let until = self.now.saturating_add(self.settings.leave_patience);
		self.leaving.push_back((call, until));
		// Nobody stays promised to a founder that goes.
		self.give_up_gathering();
		let is_over = match &mut self.phase {
			Phase::Member(member) => {
				member.has_duties = true;
				member.raft.is_poisoned()
			}
			Phase::Seeking(_) | Phase::Joining(_) | Phase::Left => true,
			// As soon as it is a member.
			Phase::Beginning(_) => false,
		};
		if is_over {
			self.phase = Phase::Left;
			for (call, _) in std::mem::take(&mut self.leaving) {
				let outcome = Outcome::Left;
				self.out.push_back(Output::Done { call, outcome });
			}
		}
	}

	/// Gives up leaving, if that is not possible for too long.
	pub(super) fn watch_leave(&mut self) {
		let (now, patience) = (self.now, self.settings.leave_patience);
		if self.leaving.front().is_none_or(|(_, until)| *until > now) {
			return;
		}
		let obstacle = match &self.phase {
			// It is the last, and has closed the formation: only its own disk can be
			// waited for, and there is no way back.
			Phase::Member(member)
				if member.raft.leads() && member.raft.log_state().life == Life::Closed =>
			{
				let until = now.saturating_add(patience);
				self.leaving.iter_mut().for_each(|(_, at)| *at = until);
				return;
			}
			Phase::Member(member) if member.raft.leader().is_some() => {
				let status = member.raft.status();
				let voters = &status.config.voters;
				if voters.len() == 1 && voters.contains(&status.id) {
					Obstacle::LastVoter
				} else {
					Obstacle::NoQuorum
				}
			}
			_ => Obstacle::NoLeader,
		};
		while let Some(&(call, until)) = self.leaving.front()
			&& until <= now
		{
			self.leaving.pop_front();
			let outcome = Outcome::CannotLeave(obstacle);
			self.out.push_back(Output::Done { call, outcome });
		}
	}

	/// Asks the leader to be removed, if this node wants to leave.
	pub(super) fn ask_to_leave(&mut self) {
		let now = self.now;
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		if self.leaving.is_empty() || member.raft.leads() {
			return;
		}
		let every = self.settings.raft.heartbeat * 2;
		let is_due = member
			.asked_to_leave_at
			.is_none_or(|at| now >= at.saturating_add(every));
		member.duties_at = now.saturating_add(every);
		let leader = member
			.raft
			.leader()
			.and_then(|leader| member.peer_of(leader));
		if let Some(leader) = leader
			&& is_due
		{
			member.asked_to_leave_at = Some(now);
			let leave = Message::Leave {
				formation: member.identity.formation,
				member: member.identity.member,
			};
			self.send(leader, leave);
		}
	}

	pub(super) fn on_leave_asked(&mut self, from: PeerId, formation: FormationId, id: MemberId) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let is_own = member.peer_of(id) == Some(from);
		if member.identity.formation == formation && member.raft.leads() && is_own {
			member.leaving.insert(id);
			member.has_duties = true;
		}
	}
}

/// Whether nobody could lead in place of this member, and nothing is under way: then
/// it closes the formation when it leaves.
fn is_last(status: &Status) -> bool {
	let is_settled = status.own_commit && status.config_index <= status.commit;
	let mut others = status.config.members.iter();
	is_settled && !others.any(|(id, info)| *id != status.id && info.preference.may_vote())
}
