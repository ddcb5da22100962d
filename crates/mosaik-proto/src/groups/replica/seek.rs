//! Finding a formation, or founding one.

use {
	super::{Event, Message, Phase, Replica, Waiting, WriteKind, io::Identity},
	crate::{
		PeerId,
		groups::{
			config::{Config, MemberInfo},
			engine::Recovered,
			formation::{
				info::{FormationInfo, Info, Standing},
				pledge::{Gathering, Pledge},
				seeker::{Decision, Seeker},
			},
			state::Base,
			types::{FormationId, LeadershipPreference, Nonce, Ticks},
		},
	},
	rand::RngExt,
	std::collections::BTreeMap,
};

/// After how many election timeouts without one a formation is taken to get no leader.
const ELECTIONS: Ticks = 5;

/// Of how much reluctance that takes account.
const MAX_FACTOR: u64 = 8;

/// A node that looks for a formation.
#[derive(Debug)]
pub(super) struct Seeking {
	seeker: Seeker,
	/// The founding that this node gathers pledges for.
	gathering: Option<Gathering>,
}

impl Replica {
	/// Begins to look for a formation.
	pub(super) fn seek(&mut self) {
		let seeker = Seeker::new(
			self.settings.bootstrap,
			self.me,
			self.settings.preference,
			self.settings.bootstrap_delay,
			self.now,
		);
		self.phase = Phase::Seeking(Seeking {
			seeker,
			gathering: None,
		});
	}

	pub(super) fn seeking_deadline(&self, seeking: &Seeking) -> Option<Ticks> {
		if self.best_formation().is_some() {
			return Some(self.now);
		}
		if let Some(gathering) = &seeking.gathering {
			return Some(gathering.until());
		}
		let next = match seeking.seeker.decide(self.now, self.seekers()) {
			Decision::Wait(until) => until,
			Decision::Found => Some(self.now),
			// Unless this node is promised to another founder: it waits for that one.
			Decision::Gather(_) => self.can_gather().then_some(self.now),
		};
		next.into_iter().chain(self.founder_deadline()).min()
	}

	fn can_gather(&self) -> bool {
		self.pledged
			.0
			.is_none_or(|pledge| pledge.founder == self.me)
	}

	/// The others who look for a formation.
	fn seekers(&self) -> impl Iterator<Item = (PeerId, LeadershipPreference)> + Clone {
		let seeking = self
			.bonds
			.infos()
			.filter(|(_, info)| info.standing == Standing::Seeking);
		seeking.map(|(peer, info)| (peer, info.preference))
	}

	/// The formation to join, of those that can be seen: the one that others will
	/// yield to, unless nobody has led it for so long that it must have lost its quorum
	/// and would let nobody in. An election is no reason to join a lesser one: that
	/// would make it one that need not yield.
	pub(super) fn best_formation(&self) -> Option<FormationId> {
		let may_be_led = |info: &FormationInfo| {
			let Some(since) = self.leaderless.get(&info.formation) else {
				return true;
			};
			let patience = self.patience_with(info.formation);
			self.now < since.saturating_add(patience)
		};
		let seen = self.bonds.formations().map(|(_, info)| info);
		let alive = seen.filter(|info| !self.has_ended(info.formation));
		alive
			.max_by_key(|info| (may_be_led(info), info.rank()))
			.map(|info| info.formation)
	}

	/// How long an election of a formation may take: reluctant members take longer.
	fn patience_with(&self, formation: FormationId) -> Ticks {
		let is_of = |info: &&Info| {
			let told = info.formation();
			told.is_some_and(|told| told.formation == formation)
		};
		let members = self.bonds.infos().map(|(_, info)| info).filter(is_of);
		let factors = members.map(|info| info.preference.factor());
		let factor = factors.max().unwrap_or(1).min(MAX_FACTOR);
		(ELECTIONS * factor).saturating_mul(self.settings.raft.election_timeout)
	}

	/// Notes since when nobody is seen to lead which formation.
	pub(super) fn watch_leaders(&mut self) {
		let mut is_led: BTreeMap<FormationId, bool> = BTreeMap::new();
		for (_, info) in self.bonds.formations() {
			*is_led.entry(info.formation).or_default() |= info.leader.is_some();
		}
		self.leaderless
			.retain(|formation, _| is_led.get(formation) == Some(&false));
		for (formation, _) in is_led.into_iter().filter(|(_, is_led)| !is_led) {
			self.leaderless.entry(formation).or_insert(self.now);
		}
	}

	pub(super) fn advance_seeking(&mut self) {
		self.watch_founder();
		self.watch_leaders();
		if let Some(formation) = self.best_formation() {
			self.give_up_gathering();
			return self.join(formation);
		}
		let Phase::Seeking(seeking) = &self.phase else {
			return;
		};
		match &seeking.gathering {
			Some(gathering) if gathering.until() <= self.now => {
				self.give_up_gathering();
				self.wait_anew();
			}
			Some(_) => {}
			None => match seeking.seeker.decide(self.now, self.seekers()) {
				Decision::Wait(_) => {}
				Decision::Found => self.found(),
				Decision::Gather(needed) if self.can_gather() => self.gather(needed),
				Decision::Gather(_) => {}
			},
		}
	}

	/// Waits anew before founding, for a time that differs from node to node: else
	/// the same nodes would be promised to one another again and again.
	fn wait_anew(&mut self) {
		let pause = self.rng.random_range(0..=4 * self.settings.bootstrap_delay);
		if let Phase::Seeking(seeking) = &mut self.phase {
			seeking.seeker.restart(self.now, pause);
		}
	}

	/// Founds a formation alone.
	fn found(&mut self) {
		let formation = FormationId(self.rng.random());
		let info = MemberInfo {
			peer: self.me,
			nonce: self.nonce,
			preference: self.settings.preference,
		};
		self.begin_founded(formation, Base::genesis(Config::founding([info])));
	}

	/// Begins as a founder, if this node is one.
	fn begin_founded(&mut self, formation: FormationId, base: Base) {
		let config = &base.state.config;
		let Some(member) = config.find(&self.me, &self.nonce) else {
			return;
		};
		let identity = Identity {
			formation,
			member,
			nonce: self.nonce,
			starts: 0,
		};
		self.begin(identity, Recovered::beginning(base), 0);
	}

	/// Asks everybody who seeks for a pledge, this node included.
	fn gather(&mut self, needed: usize) {
		// A founding that came to nothing, perhaps with an earlier life of this
		// process, is over: its id must not come back with other members.
		if let Some(earlier) = self.pledged.0 {
			self.on_release(self.me, earlier.formation);
		}
		let formation = FormationId(self.rng.random());
		let patience = self.settings.raft.election_timeout * 3;
		let jitter = self
			.rng
			.random_range(0..=self.settings.raft.election_timeout);
		let until = self.now.saturating_add(patience + jitter);
		let Phase::Seeking(seeking) = &mut self.phase else {
			return;
		};
		seeking.gathering = Some(Gathering::new(formation, needed, until));
		self.pledge(self.me, formation);
		let others: Vec<PeerId> = self.seekers().map(|(peer, _)| peer).collect();
		for peer in others {
			self.send(peer, Message::Pledge { formation });
		}
	}

	/// The founding comes to nothing: everybody who pledged is free again.
	pub(super) fn give_up_gathering(&mut self) {
		let Phase::Seeking(seeking) = &mut self.phase else {
			return;
		};
		let Some(gathering) = seeking.gathering.take() else {
			return;
		};
		let formation = gathering.formation;
		self.on_release(self.me, formation);
		for peer in self.bonds.peers() {
			self.send(peer, Message::Release { formation });
		}
	}

	/// Somebody asks for this node's pledge.
	pub(super) fn pledge(&mut self, founder: PeerId, formation: FormationId) {
		let pledge = Pledge { formation, founder };
		let is_free =
			matches!(self.phase, Phase::Seeking(_)) && self.settings.preference.may_vote();
		if is_free && self.pledged.give(pledge) {
			let nonce = self.nonce;
			let pledge_kind = WriteKind::Pledge {
				nonce,
				pledge: Some(pledge),
			};
			self.write(pledge_kind, Waiting::Pledge(pledge));
		} else if founder != self.me {
			let granted = false;
			self.send(founder, Message::Pledged { formation, granted });
			if let Some(pledge) = self.pledged.0 {
				// Perhaps that founding came to nothing, and the news was lost.
				self.repeat_pledge(pledge.founder);
			}
		}
	}

	pub(super) fn on_pledge_written(&mut self, pledge: Pledge) {
		if self.pledged.0 != Some(pledge) {
			return;
		}
		let Pledge { formation, founder } = pledge;
		if founder == self.me {
			let (nonce, preference) = (self.nonce, self.settings.preference);
			self.count_pledge(self.me, formation, nonce, preference);
		} else {
			self.pledged_at = Some(self.now);
			let granted = true;
			self.send(founder, Message::Pledged { formation, granted });
		}
	}

	/// Notices that a founder is gone for long: this node keeps its promise, because
	/// the others may have founded, but its user should know why nothing happens.
	fn watch_founder(&mut self) {
		if self.founder_deadline().is_some_and(|at| at <= self.now)
			&& let Some(Pledge { formation, founder }) = self.pledged.0
		{
			self.pledged_at = None;
			self.event(Event::FounderLost { formation, founder });
		}
	}

	fn founder_deadline(&self) -> Option<Ticks> {
		let since = self.pledged_at?;
		Some(since.saturating_add(self.settings.quorum_lost_after))
	}

	pub(super) fn on_pledged(&mut self, from: PeerId, formation: FormationId, granted: bool) {
		let Some(info) = self.bonds.info(&from) else {
			return;
		};
		if granted {
			let (nonce, preference) = (info.nonce, info.preference);
			self.count_pledge(from, formation, nonce, preference);
		}
	}

	fn count_pledge(
		&mut self,
		peer: PeerId,
		formation: FormationId,
		nonce: Nonce,
		preference: LeadershipPreference,
	) {
		let gathering = match &mut self.phase {
			Phase::Seeking(seeking) => seeking.gathering.as_mut(),
			_ => None,
		};
		let Some(gathering) = gathering.filter(|gathering| gathering.formation == formation) else {
			return self.answer_late_pledge(peer, formation, nonce);
		};
		if !gathering.pledged(&self.me, peer, nonce, preference) {
			return;
		}
		let base = gathering.genesis();
		let pledgers = self.bonds.peers().into_iter();
		let (founders, others): (Vec<PeerId>, Vec<PeerId>) =
			pledgers.partition(|peer| gathering.has(peer));
		for peer in others {
			self.send(peer, Message::Release { formation });
		}
		self.begin_founded(formation, base);
		if let Phase::Beginning(beginning) = &mut self.phase {
			// Nobody begins before the founder's own beginning is on its disk: it could
			// forget that it founded.
			beginning.announce = founders;
		}
	}

	/// The founding is on this node's disk: the others begin as well.
	pub(super) fn announce(&mut self, formation: FormationId, base: &Base, founders: Vec<PeerId>) {
		for peer in founders {
			let base = base.clone();
			self.send(peer, Message::Genesis { formation, base });
		}
	}

	/// Somebody holds a pledge for a founding that is over. It is free, unless it
	/// became a voter of what was founded.
	fn answer_late_pledge(&mut self, peer: PeerId, formation: FormationId, nonce: Nonce) {
		let founded = match &self.phase {
			Phase::Member(member) if member.identity.formation == formation => {
				Some(member.raft.base())
			}
			// Told when it is on the disk.
			Phase::Beginning(beginning) if beginning.identity.formation == formation => return,
			_ => None,
		};
		let config = founded.map(|base| &base.state.config);
		if config.is_none_or(|config| config.find(&peer, &nonce).is_none()) {
			return self.send(peer, Message::Release { formation });
		}
		if let Some(base) = founded.filter(|base| base.state.seq == 0).cloned() {
			// Otherwise it joins, and is told that it is a member.
			self.send(peer, Message::Genesis { formation, base });
		}
	}

	/// Reminds a founder of this node's pledge: its answer may have been lost.
	pub(super) fn repeat_pledge(&mut self, founder: PeerId) {
		if let Some(pledge) = self.pledged.0
			&& pledge.founder == founder
			&& matches!(self.phase, Phase::Seeking(_) | Phase::Joining(_))
		{
			let Pledge { formation, .. } = pledge;
			let granted = true;
			self.send(founder, Message::Pledged { formation, granted });
		}
	}

	pub(super) fn on_release(&mut self, founder: PeerId, formation: FormationId) {
		let pledge = Pledge { formation, founder };
		if matches!(self.phase, Phase::Seeking(_) | Phase::Joining(_))
			&& self.pledged.release(pledge)
		{
			self.pledged_at = None;
			let nonce = self.nonce;
			let pledge = None;
			self.write(WriteKind::Pledge { nonce, pledge }, Waiting::Nothing);
			if founder != self.me {
				self.wait_anew();
			}
		}
	}

	/// The founding that this node pledged for succeeded.
	pub(super) fn on_genesis(&mut self, from: PeerId, formation: FormationId, base: Base) {
		let pledge = Pledge {
			formation,
			founder: from,
		};
		let is_expected = self.pledged.0 == Some(pledge) && base.is_plausible();
		if is_expected && matches!(self.phase, Phase::Seeking(_) | Phase::Joining(_)) {
			self.begin_founded(formation, base);
		}
	}

	/// The formations other than `own` that can be seen, and have not ended.
	pub(super) fn other_formations(&self, own: FormationId) -> Vec<FormationInfo> {
		let seen = self.bonds.formations().map(|(_, info)| info);
		let others = seen.filter(|info| info.formation != own && !self.has_ended(info.formation));
		others.cloned().collect()
	}
}
