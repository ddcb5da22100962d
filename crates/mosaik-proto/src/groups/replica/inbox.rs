//! Bonds that come and go, what they bring, and what was done meanwhile.

use {
	super::{Message, Phase, Replica, io::Identity},
	crate::{
		PeerId,
		groups::{
			engine::{Engine, Hint, SnapshotResult},
			formation::info::{Info, MAX_ENDED},
			message::Frame,
			state::Base,
			types::{FormationId, LogIndex, LogPos, MemberId},
		},
	},
};

impl Replica {
	pub(super) fn on_bond_up(&mut self, peer: PeerId) {
		self.bonds.up(peer);
		let info = self.info();
		self.send(peer, Message::Info(info));
		if let Phase::Member(member) = &mut self.phase {
			member.has_duties = true;
		}
	}

	pub(super) fn on_bond_down(&mut self, peer: PeerId) {
		let info = self.bonds.down(peer);
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		member.reads.forget(peer);
		let of_ours = |info: &Info| {
			let formation = info.formation()?;
			(formation.formation == member.identity.formation).then_some(formation.member)
		};
		let config = &member.raft.log_state().config;
		let in_config = || {
			let mut members = config.members.iter();
			members
				.find(|(_, info)| info.peer == peer)
				.map(|(id, _)| *id)
		};
		if let Some(id) = info.as_ref().and_then(of_ours).or_else(in_config) {
			member.leaving.remove(&id);
			member.raft.hint(Hint::PeerDown(id));
		}
	}

	pub(super) fn on_revoked(&mut self, peer: PeerId) {
		self.bonds.revoke(peer);
		if let Phase::Member(member) = &mut self.phase {
			member.has_duties = true;
		}
	}

	fn on_info(&mut self, from: PeerId, mut info: Info) {
		info.ended.truncate(MAX_ENDED);
		for (ended, into) in &info.ended {
			// A member of the formation says so, which it only does once that is
			// committed.
			self.remember_end(*ended, *into);
		}
		let was_known = self.bonds.info(&from).is_some();
		let member_id = info.formation().map(|info| (info.formation, info.member));
		let leads = info
			.formation()
			.is_some_and(|info| info.leader == Some(from));
		self.bonds.told(from, info);
		self.repeat_pledge(from);
		if let Phase::Member(member) = &mut self.phase {
			member.has_duties = true;
			if let Some((formation, id)) = member_id
				&& formation == member.identity.formation
				&& !was_known
			{
				member.raft.hint(Hint::PeerUp(id));
			}
			if let Some(leader) = member.raft.leader()
				&& member.raft.is_quiesced()
				&& leader != member.identity.member
				&& member.peer_of(leader) == Some(from)
				&& (!leads || member_id != Some((member.identity.formation, leader)))
			{
				// Whom this node sleeps under is not what it was.
				member.raft.hint(Hint::PeerDown(leader));
			}
		}
	}

	pub(super) fn on_message(&mut self, from: PeerId, message: Message) {
		if !self.bonds.contains(&from) {
			return;
		}
		match message {
			Message::Info(info) => self.on_info(from, info),
			Message::Pledge { formation } => self.pledge(from, formation),
			Message::Pledged { formation, granted } => self.on_pledged(from, formation, granted),
			Message::Release { formation } => self.on_release(from, formation),
			Message::Genesis { formation, base } => self.on_genesis(from, formation, base),
			Message::Join {
				formation,
				nonce,
				preference,
			} => self.on_join(from, formation, nonce, preference),
			Message::Joined {
				formation,
				nonce,
				member,
				base,
				commit,
			} => self.on_joined(from, (formation, member, nonce), base, commit),
			Message::Engine(frame) => self.on_frame(from, frame),
			Message::Forward { formation, batch } => self.on_forward(from, formation, batch),
			Message::Forwarded {
				formation,
				last,
				has_gap,
			} => self.on_forwarded(formation, last, has_gap),
			Message::Read { formation, id } => self.on_read_asked(from, formation, id),
			Message::ReadIndex {
				formation,
				id,
				index,
			} => self.on_read_index(formation, id, index),
			Message::Check { formation, member } => self.on_check(formation, member),
			Message::Leave { formation, member } => self.on_leave_asked(from, formation, member),
			Message::Absorb {
				from: other,
				into,
				attempt,
			} => self.on_absorb(from, other, into, attempt),
			Message::Absorbed {
				from: own,
				into,
				attempt,
			} => self.on_absorbed(own, into, attempt),
			Message::Yield { formation, into } => self.on_yield_asked(from, formation, into),
		}
	}

	/// A message of another member's engine. What is meant for another formation, or
	/// for who this node was before, never reaches the engine.
	fn on_frame(&mut self, from: PeerId, frame: Frame) {
		let told = self.bonds.info(&from).and_then(|info| info.formation());
		let told = told.map(|info| (info.formation, info.member));
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let is_ours =
			frame.formation == member.identity.formation && frame.to == member.identity.member;
		let known = member.raft.log_state().config.members.get(&frame.from);
		let is_sender = match known {
			Some(info) => info.peer == from,
			None => told == Some((frame.formation, frame.from)),
		};
		if is_ours && is_sender {
			// What makes no sense has no effect.
			let _ = member.raft.step(frame.from, frame.msg);
			member.has_duties |= member.autopilot.is_waiting();
		}
	}

	/// A member that hears no leader asks whether it still is one.
	fn on_check(&mut self, formation: FormationId, id: MemberId) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity.formation == formation
		{
			member.raft.check_member(id);
		}
	}

	// Completions.

	pub(super) fn on_applied(&mut self, of: Identity, index: LogIndex) {
		let now = self.now;
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		if member.identity == of {
			member.raft.on_applied(index);
			let done = member.requests.applied(index, now);
			self.finish(done);
		}
	}

	pub(super) fn on_snapshotted(&mut self, of: Identity, index: LogIndex) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity == of
		{
			member.raft.compact(index);
		}
	}

	pub(super) fn on_fetched(&mut self, of: Identity, base: Base) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity == of
		{
			member.raft.on_snapshot(SnapshotResult::Fetched(base));
		}
	}

	pub(super) fn on_fetch_failed(&mut self, of: Identity, pos: LogPos) {
		if let Phase::Member(member) = &mut self.phase
			&& member.identity == of
		{
			member.raft.on_snapshot(SnapshotResult::Failed { pos });
		}
	}
}
