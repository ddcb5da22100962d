//! Being admitted to a formation, and admitting others.

use {
	super::{Message, Phase, Replica, founding_base, io::Identity},
	crate::{
		PeerId,
		groups::{
			config::{ConfigChange, MAX_MEMBERS, MemberInfo},
			engine::{Engine, Recovered},
			state::Base,
			types::{
				FormationId, LeadershipPreference, LogIndex, MAX_NUMBER, MemberId, Nonce, Ticks,
			},
		},
	},
};

/// A node that wants to be let into a formation.
#[derive(Debug)]
pub(super) struct Joining {
	pub(super) formation: FormationId,
	ask_at: Ticks,
}

impl Joining {
	pub(super) const fn deadline(&self) -> Ticks {
		self.ask_at
	}
}

impl Replica {
	/// Asks to be let into a formation.
	pub(super) fn join(&mut self, formation: FormationId) {
		self.phase = Phase::Joining(Joining {
			formation,
			ask_at: self.now,
		});
		self.advance_joining();
	}

	pub(super) fn advance_joining(&mut self) {
		self.watch_leaders();
		let Phase::Joining(joining) = &mut self.phase else {
			return;
		};
		let formation = joining.formation;
		let Some(contact) = self.bonds.contact(formation) else {
			// Nobody of it is in reach: look again.
			return self.seek();
		};
		if self.ended.iter().any(|(ended, _)| *ended == formation) {
			return self.seek();
		}
		if joining.ask_at > self.now {
			return;
		}
		if let Some(best) = self.best_formation()
			&& best != formation
		{
			return self.join(best);
		}
		let Phase::Joining(joining) = &mut self.phase else {
			return;
		};
		joining.ask_at = self.now.saturating_add(self.settings.raft.heartbeat * 2);
		let (nonce, preference) = (self.nonce, self.settings.preference);
		let join = Message::Join {
			formation,
			nonce,
			preference,
		};
		self.send(contact, join);
	}

	/// Somebody wants to become a member. Any member can tell one that it is; only
	/// the leader makes it one.
	pub(super) fn on_join(
		&mut self,
		from: PeerId,
		formation: FormationId,
		nonce: Nonce,
		preference: LeadershipPreference,
	) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		if member.identity.formation != formation {
			return;
		}
		if member.raft.leads() && member.joins.len() < MAX_MEMBERS {
			member.joins.insert(from, (nonce, preference));
			member.has_duties = true;
		}
		self.answer_join(from, nonce);
	}

	/// Tells somebody that it is a member, if that is committed.
	fn answer_join(&mut self, peer: PeerId, nonce: Nonce) -> bool {
		let Phase::Member(member) = &mut self.phase else {
			return false;
		};
		let Some(id) = member.raft.committed_config().find(&peer, &nonce) else {
			return false;
		};
		member.joins.remove(&peer);
		let joined = Message::Joined {
			formation: member.identity.formation,
			nonce,
			member: id,
			base: founding_base(&member.raft),
			commit: member.raft.commit(),
		};
		self.send(peer, joined);
		true
	}

	/// Admits those who asked, as far as that is committed, and proposes the others.
	/// Returns whether something was proposed.
	pub(super) fn admit(&mut self) -> bool {
		let Phase::Member(member) = &self.phase else {
			return false;
		};
		let waiting: Vec<_> = member
			.joins
			.iter()
			.map(|(peer, join)| (*peer, *join))
			.collect();
		let mut has_proposed = false;
		for (peer, (nonce, preference)) in waiting {
			if self.answer_join(peer, nonce) {
				continue;
			}
			let is_revoked = self.bonds.is_revoked(&peer);
			let Phase::Member(member) = &mut self.phase else {
				return has_proposed;
			};
			if is_revoked {
				member.joins.remove(&peer);
			} else if member.raft.log_state().config.find(&peer, &nonce).is_none() {
				let info = MemberInfo {
					peer,
					nonce,
					preference,
				};
				// Where it is refused, the node asks again.
				let added = member.raft.propose_config(ConfigChange::AddLearner(info));
				has_proposed |= added.is_ok();
			}
		}
		has_proposed
	}

	/// This node was admitted, says a member of the formation.
	pub(super) fn on_joined(
		&mut self,
		from: PeerId,
		(formation, member, nonce): (FormationId, MemberId, Nonce),
		base: Base,
		commit: LogIndex,
	) {
		let is_expected =
			matches!(&self.phase, Phase::Joining(joining) if joining.formation == formation);
		let told = self.bonds.info(&from).and_then(|info| info.formation());
		let is_member = told.is_some_and(|told| told.formation == formation);
		let is_plausible = base == Base::blank() || base.is_plausible();
		if !is_expected
			|| !is_member
			|| nonce != self.nonce
			|| !is_plausible
			|| commit > MAX_NUMBER
			|| member.get() > MAX_NUMBER
		{
			return;
		}
		let identity = Identity {
			formation,
			member,
			nonce,
			starts: 0,
		};
		self.begin(identity, Recovered::beginning(base), commit);
	}
}
