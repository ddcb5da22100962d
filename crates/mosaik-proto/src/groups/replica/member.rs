//! Life in a formation: carrying out what the engine wants, and what its user does.

use {
	super::{
		Beginning, Event, Message, Outcome, Output, Phase, Replica, ReplicaSettings, Waiting,
		WriteKind, io::Identity, reads::Reads, requests::Requests,
	},
	crate::{
		PeerId,
		groups::{
			engine::{CoreEvent, ElectionPolicy, Engine, Ready, RecoverError, SnapshotResult},
			entry::{Entry, EntryKind},
			formation::{info::FormationInfo, merge::Merge},
			membership::{Autopilot, autopilot::STABLE_VOTERS, seats},
			message::{Frame, Msg},
			raft::Raft,
			state::Life,
			types::{FormationId, LeadershipPreference, LogIndex, MemberId, Nonce, Ticks},
		},
	},
	std::{
		collections::{BTreeMap, BTreeSet},
		sync::Arc,
	},
};

/// A node that belongs to a formation.
#[derive(Debug)]
pub(super) struct Member {
	pub(super) identity: Identity,
	pub(super) raft: Raft,
	pub(super) requests: Requests,
	pub(super) reads: Reads,
	/// What was committed when this node was admitted.
	admitted_at: LogIndex,
	/// Who asked this leader to be admitted.
	pub(super) joins: BTreeMap<PeerId, (Nonce, LeadershipPreference)>,
	/// Who asked this leader to be let go.
	pub(super) leaving: BTreeSet<MemberId>,
	pub(super) autopilot: Autopilot,
	pub(super) merge: Merge,
	/// Something happened that a leader may have to act upon.
	pub(super) has_duties: bool,
	/// When a leader looks after its formation the next time.
	pub(super) duties_at: Ticks,
	/// When this node asked to be let go last.
	pub(super) asked_to_leave_at: Option<Ticks>,
	pub(super) leaderless_since: Option<Ticks>,
	/// When this node asks whether it still is a member.
	check_at: Ticks,
	pub(super) is_quorum_lost: bool,
	/// There was no leader for so long already, although a majority is in reach.
	is_quorum_doubted: bool,
	/// This node was once all that it can be: what comes later does not undo that.
	was_admitted: bool,
	is_online: bool,
	/// When this node saw that the formation it closed has ended.
	closed_at: Option<Ticks>,
	is_close_told: bool,
	conflict_told: Option<FormationId>,
	/// This node was removed.
	is_removed: bool,
	/// The voters beyond whom a seat is not given at once.
	seats_at_once: usize,
	max_voters: usize,
}

impl Member {
	pub(super) fn new(
		beginning: Beginning,
		settings: &ReplicaSettings,
		now: Ticks,
		seed: u64,
		last_read: u64,
	) -> Result<Self, RecoverError> {
		let identity = beginning.identity;
		let mut engine_settings = settings.raft.clone();
		engine_settings.min_voters = settings.policy.min_voters;
		let mut raft = Raft::new(identity.member, engine_settings, beginning.recovered, seed)?;
		raft.set_election_policy(match settings.preference {
			LeadershipPreference::Normal => ElectionPolicy::Normal,
			LeadershipPreference::Observer => ElectionPolicy::Never,
			reluctant => ElectionPolicy::Reluctant(reluctant.factor()),
		});
		raft.begin_at(now);
		Ok(Self {
			identity,
			raft,
			requests: Requests::new(identity.member, identity.starts),
			reads: Reads::new(last_read),
			admitted_at: beginning.commit,
			joins: BTreeMap::new(),
			leaving: BTreeSet::new(),
			autopilot: Autopilot::default(),
			merge: Merge::default(),
			has_duties: false,
			duties_at: now,
			asked_to_leave_at: None,
			leaderless_since: Some(now),
			check_at: now.saturating_add(settings.raft.election_timeout),
			is_quorum_lost: false,
			is_quorum_doubted: false,
			was_admitted: false,
			is_online: false,
			closed_at: None,
			is_close_told: false,
			conflict_told: None,
			is_removed: false,
			seats_at_once: match settings.policy.stabilization {
				0 => settings.policy.max_voters,
				_ => settings.policy.max_voters.min(STABLE_VOTERS),
			},
			max_voters: settings.policy.max_voters,
		})
	}

	/// The node that a member runs on.
	pub(super) fn peer_of(&self, member: MemberId) -> Option<PeerId> {
		let known = self.raft.log_state().config.members.get(&member);
		let known = known.or_else(|| self.raft.committed_config().members.get(&member));
		known.map(|info| info.peer)
	}

	/// Whether a member runs on this node.
	pub(super) fn has_member_on(&self, peer: PeerId) -> bool {
		let mut members = self.raft.log_state().config.members.values();
		members.any(|info| info.peer == peer)
	}

	pub(super) fn leader_peer(&self) -> Option<PeerId> {
		self.raft.leader().and_then(|leader| self.peer_of(leader))
	}

	pub(super) fn formation_info(&self) -> FormationInfo {
		let state = self.raft.log_state();
		FormationInfo {
			formation: self.identity.formation,
			member: self.identity.member,
			established: state.established,
			voters: u32::try_from(state.config.voters.len()).unwrap_or(u32::MAX),
			commands: state.seq,
			term: self.raft.term(),
			commit: self.raft.commit(),
			leader: self.leader_peer(),
		}
	}

	/// Voter, or all that it can be for now; and caught up with what was committed
	/// when it was admitted.
	fn is_admitted(&self) -> bool {
		let config = &self.raft.log_state().config;
		let me = self.identity.member;
		let preference = config.members.get(&me).map(|info| info.preference);
		let is_settled = config.is_voter(me)
			|| preference.is_some_and(|preference| {
				!preference.may_vote() || seats::is_settled(config, self.seats_at_once)
			});
		is_settled && self.raft.applied() >= self.admitted_at
	}

	/// Whether the formation was closed for good.
	pub(super) fn is_closed(&self) -> bool {
		let state = self.raft.log_state();
		state.life == Life::Closed && state.life_index <= self.raft.commit()
	}

	pub(super) fn is_online(&self) -> bool {
		let is_admitted = self.was_admitted || self.is_admitted();
		self.raft.leader().is_some() && is_admitted && self.raft.log_state().is_open()
	}
}

impl Replica {
	pub(super) fn member_deadline(&self, member: &Member) -> Option<Ticks> {
		let timeout = self.settings.forward_timeout;
		let lost = member.leaderless_since.filter(|_| !member.is_quorum_lost);
		let lost = lost.map(|since| since.saturating_add(self.settings.quorum_lost_after));
		let is_alone = member.leaderless_since.is_some() && !member.is_closed();
		let is_unsure = is_alone || self.is_left_behind(member);
		let config = &member.raft.log_state().config;
		let has_seats = !seats::is_settled(config, member.max_voters);
		let is_busy = !self.leaving.is_empty()
			|| member.raft.leads()
				&& (has_seats || member.merge.is_active() || member.autopilot.is_waiting());
		[
			member.raft.next_wakeup(),
			member.requests.deadline(timeout),
			member.reads.deadline(timeout),
			is_busy.then_some(member.duties_at),
			is_unsure.then_some(member.check_at),
			lost,
		]
		.into_iter()
		.flatten()
		.min()
	}

	pub(super) fn advance_member(&mut self) {
		loop {
			while let Phase::Member(member) = &mut self.phase
				&& let Some(ready) = member.raft.ready()
			{
				let of = member.identity;
				self.perform(of, ready);
			}
			if self.has_membership_ended() {
				return;
			}
			if !self.lead() && !self.send_requests() {
				break;
			}
		}
		self.answer_reads();
		self.watch_quorum();
		self.ask_to_leave();
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		member.was_admitted = member.was_admitted || member.is_admitted();
		let is_online = member.is_online();
		if std::mem::replace(&mut member.is_online, is_online) != is_online {
			self.event(Event::Online(is_online));
		}
	}

	/// Carries out what the engine wants.
	pub(super) fn perform(&mut self, of: Identity, ready: Ready) {
		if let Some(persist) = ready.persist {
			let restored = persist
				.install
				.as_ref()
				.map(|install| install.base.state.clone());
			let waiting = Waiting::Engine(of, persist.token);
			self.write(WriteKind::Engine(persist), waiting);
			if let Some(state) = restored
				&& let Phase::Member(member) = &mut self.phase
			{
				let done = member.requests.restored(&state);
				self.finish(done);
			}
		}
		for (to, msg) in ready.send {
			self.send_engine(to, msg);
		}
		if let Some(range) = ready.apply
			&& let Phase::Member(member) = &mut self.phase
		{
			let entries = member.raft.entries(range.clone());
			member.requests.landing(entries);
			let is_step = |entry: &Entry| {
				matches!(entry.kind, EntryKind::Config(_) | EntryKind::Formation(_))
			};
			member.has_duties |= member.raft.entries(range.clone()).any(is_step);
			self.out.push_back(Output::Apply { of, range });
		}
		for done in ready.reads {
			self.on_read_done(done);
		}
		if let Some(fetch) = ready.fetch
			&& let Phase::Member(member) = &mut self.phase
		{
			let told = || self.bonds.peer_of(of.formation, fetch.from);
			let pos = fetch.pos;
			match member.peer_of(fetch.from).or_else(told) {
				Some(from) => self.out.push_back(Output::Fetch { of, from, pos }),
				None => member.raft.on_snapshot(SnapshotResult::Failed { pos }),
			}
		}
		for event in ready.events {
			self.on_engine_event(event);
		}
	}

	fn send_engine(&mut self, to: MemberId, msg: Msg) {
		let Phase::Member(member) = &self.phase else {
			return;
		};
		let Identity {
			formation,
			member: from,
			..
		} = member.identity;
		// Who was removed, or is not known here yet, is found by what it told.
		let told = || self.bonds.peer_of(formation, to);
		if let Some(peer) = member.peer_of(to).or_else(told) {
			let frame = Frame {
				formation,
				from,
				to,
				msg,
			};
			self.send(peer, Message::Engine(frame));
		}
	}

	fn on_engine_event(&mut self, event: CoreEvent) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		match event {
			CoreEvent::Leader { term, leader } => {
				let target = leader.map(|leader| (term, leader));
				member.requests.set_target(target);
				member.reads.set_target(target);
				member.joins.clear();
				member.leaving.clear();
				member.autopilot = Autopilot::default();
				member.merge = Merge::default();
				member.has_duties = true;
				member.asked_to_leave_at = None;
				member.leaderless_since = leader.is_none().then_some(self.now);
				member.check_at = self.now.saturating_add(self.settings.raft.election_timeout);
				let peer = leader.and_then(|leader| member.peer_of(leader));
				member.is_quorum_doubted &= leader.is_none();
				let is_restored = leader.is_some() && std::mem::take(&mut member.is_quorum_lost);
				let formation = member.identity.formation;
				self.event(Event::Leader { term, leader: peer });
				if is_restored {
					self.event(Event::QuorumRestored { formation });
				}
			}
			CoreEvent::Removed { .. } => member.is_removed = true,
			// Commands are known by their numbers, wherever they come to lie.
			CoreEvent::Dropped { .. } => {}
			CoreEvent::Poisoned(poison) => {
				self.fail_requests();
				self.event(Event::Poisoned(poison));
			}
		}
	}

	/// Leaves a formation that is over, or that this node was removed from.
	fn has_membership_ended(&mut self) -> bool {
		let Phase::Member(member) = &mut self.phase else {
			return true;
		};
		let of = member.identity;
		let formation = of.formation;
		let state = member.raft.log_state();
		let is_applied =
			state.life_index <= member.raft.commit() && state.life_index <= member.raft.applied();
		match state.life {
			Life::Dissolved { into } if is_applied => {
				self.remember_end(formation, Some(into));
				// What is not in the log never will be.
				self.supersede(of, Some(into), Outcome::Superseded);
				return true;
			}
			Life::Closed if is_applied => return self.on_closed(),
			_ => {}
		}
		if member.is_removed {
			self.start_over(of);
			return true;
		}
		let ended = self
			.ended
			.iter()
			.find(|(known, _)| *known == formation)
			.copied();
		if let Some((_, into)) = ended {
			self.supersede(of, into, Outcome::Unknown);
			return true;
		}
		false
	}

	/// The formation was closed: who leaves is done; who does not can still read,
	/// until it sees another formation.
	fn on_closed(&mut self) -> bool {
		let Phase::Member(member) = &mut self.phase else {
			return true;
		};
		let of = member.identity;
		let formation = of.formation;
		let is_voter = member.raft.log_state().config.is_voter(of.member);
		if !self.leaving.is_empty() {
			if self.must_still_tell() {
				return false;
			}
			self.start_over(of);
			return true;
		}
		if is_voter {
			// It closed the formation to leave it, and was stopped before it was gone.
			self.supersede(of, None, Outcome::Superseded);
			return true;
		}
		if !std::mem::replace(&mut member.is_close_told, true) {
			self.event(Event::Closed { formation });
			self.fail_requests();
		}
		let next = self
			.other_formations(formation)
			.first()
			.map(|info| info.formation);
		if next.is_some() {
			self.supersede(of, next, Outcome::Superseded);
		}
		next.is_some()
	}

	/// Whether members in reach do not know yet that the formation is closed: when
	/// who closed it is gone, nobody else can tell them that it is committed.
	fn must_still_tell(&mut self) -> bool {
		let Phase::Member(member) = &mut self.phase else {
			return false;
		};
		let closed_at = *member.closed_at.get_or_insert(self.now);
		let until = closed_at.saturating_add(self.settings.raft.election_timeout);
		let status = member.raft.status();
		let life_index = member.raft.log_state().life_index;
		let lacks_it = |id: &MemberId| {
			let peer = member.peer_of(*id);
			peer.is_some_and(|peer| self.bonds.contains(&peer))
		};
		let behind = status.progress.iter();
		let mut behind = behind.filter(|(_, progress)| progress.matched < life_index);
		self.now < until && behind.any(|(id, _)| lacks_it(id))
	}

	/// The formation is over, and with it the commands that only it had. Requests
	/// that did not begin to take effect end with `outcome`.
	pub(super) fn supersede(&mut self, of: Identity, into: Option<FormationId>, outcome: Outcome) {
		let formation = of.formation;
		self.end_requests(outcome);
		let Phase::Member(member) = &self.phase else {
			return;
		};
		let commands = member.raft.log_state().seq;
		let discarded = (commands > 0).then_some(1..=commands);
		self.event(Event::Superseded {
			formation,
			into,
			discarded,
		});
		// Those that have not heard are told by what this node says of itself.
		self.start_over(of);
	}

	/// Whether this node sleeps under a leader that has gone on without it. A member
	/// is about to be woken; but it may have been removed, and the news lost.
	fn is_left_behind(&self, member: &Member) -> bool {
		if !member.raft.is_quiesced() {
			return false;
		}
		let leader = member.leader_peer();
		let told = leader.and_then(|leader| self.bonds.info(&leader)?.formation());
		told.is_some_and(|told| {
			told.formation == member.identity.formation && told.commit > member.raft.commit()
		})
	}

	/// Asks whether this node still is a member, where it hears no leader: who was
	/// removed while nobody could tell it would wait for ever.
	pub(super) fn check_membership(&mut self) {
		let (now, every) = (self.now, self.settings.raft.election_timeout);
		let Phase::Member(member) = &self.phase else {
			return;
		};
		let is_alone = member.leaderless_since.is_some() && !member.is_closed();
		if member.check_at > now || !is_alone && !self.is_left_behind(member) {
			return;
		}
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let Identity {
			formation,
			member: id,
			..
		} = member.identity;
		member.check_at = now.saturating_add(every);
		let members = self.bonds.formations();
		let members = members.filter(|(_, info)| info.formation == formation);
		let members: Vec<PeerId> = members.map(|(peer, _)| peer).collect();
		for peer in members {
			let member = id;
			self.send(peer, Message::Check { formation, member });
		}
	}

	/// Notices that nothing can be committed any more.
	fn watch_quorum(&mut self) {
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		let Some(since) = member.leaderless_since else {
			return;
		};
		let config = &member.raft.log_state().config;
		let is_early = self.now < since.saturating_add(self.settings.quorum_lost_after);
		if is_early || member.is_quorum_lost {
			return;
		}
		let in_reach = |id: &MemberId| {
			let Some(info) = config.members.get(id) else {
				return false;
			};
			let told = self.bonds.info(&info.peer);
			*id == member.identity.member || told.is_some_and(|told| told.nonce == info.nonce)
		};
		let reachable: Vec<MemberId> = config.voters.iter().copied().filter(in_reach).collect();
		let is_in_reach = !config.voters.is_empty() && reachable.len() >= config.majority();
		if is_in_reach && !std::mem::replace(&mut member.is_quorum_doubted, true) {
			// They will elect somebody. If they do not, they cannot: one may have a
			// configuration that the others have not.
			member.leaderless_since = Some(self.now);
			return;
		}
		if config.voters.is_empty() {
			// It never heard anything of the formation, so nothing goes with it.
			let of = member.identity;
			return self.start_over(of);
		}
		let formation = member.identity.formation;
		let config = Arc::clone(config);
		member.is_quorum_lost = true;
		for call in member.reads.take_calls() {
			let outcome = Outcome::NoQuorum;
			self.out.push_back(Output::Done { call, outcome });
		}
		// They are still sent, in their order, should a quorum come back.
		for call in member.requests.detach_calls() {
			let outcome = Outcome::Unknown;
			self.out.push_back(Output::Done { call, outcome });
		}
		self.event(Event::QuorumLost {
			formation,
			config,
			reachable,
		});
	}

	/// Whether both formations have to be told which of them yields.
	pub(super) fn tell_conflict(&mut self, own: &FormationInfo, others: &[FormationInfo]) {
		let other = others.iter().find(|other| own.conflicts_with(other));
		let other = other.map(|other| other.formation);
		let Phase::Member(member) = &mut self.phase else {
			return;
		};
		if member.conflict_told == other {
			return;
		}
		member.conflict_told = other;
		if let Some(other) = other {
			let own = own.formation;
			self.event(Event::Conflict { own, other });
		}
	}
}
