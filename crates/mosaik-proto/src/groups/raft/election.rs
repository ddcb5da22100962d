//! Elections: pre-vote (dissertation §9.6), vote (§3.4, §3.6.1) and the hand-over
//! of leadership (§3.10).
//!
//! A member that has heard its leader within the election timeout answers no
//! candidate (§4.2.3): a node that returns, or that was removed, cannot depose a
//! leader that a majority hears. Requests are judged without a look at one's own
//! configuration, which may be older than the candidate's; a candidate counts
//! only those who vote in its own.

use {
	super::{Raft, Role, leader::Leader},
	crate::groups::{
		engine::ElectionPolicy,
		entry::EntryKind,
		message::{Msg, VoteReply, VoteRequest},
		mutants::mutant,
		types::{LogIndex, MemberId, Term},
	},
	std::collections::BTreeSet,
};

/// Who answered a candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Votes {
	granted: BTreeSet<MemberId>,
	refused: BTreeSet<MemberId>,
}

/// How an election stands.
enum Tally {
	Won,
	Lost,
	Open,
}

impl Votes {
	fn count(&mut self, from: MemberId, granted: bool) {
		if granted {
			self.granted.insert(from);
		} else {
			self.refused.insert(from);
		}
	}

	fn tally(&self, voters: &BTreeSet<MemberId>, majority: usize) -> Tally {
		let among = |votes: &BTreeSet<MemberId>| votes.intersection(voters).count();
		if among(&self.granted) >= majority {
			Tally::Won
		} else if among(&self.refused) + majority > voters.len() {
			Tally::Lost
		} else {
			Tally::Open
		}
	}
}

impl Raft {
	pub(super) fn reset_election_timer(&mut self) {
		let factor = match self.policy {
			ElectionPolicy::Normal | ElectionPolicy::Never => 1,
			ElectionPolicy::Reluctant(factor) => factor.max(1),
		};
		let jitter = self.roll(self.settings.election_jitter);
		let timeout = self.settings.election_timeout.saturating_mul(factor);
		self.election_at = Some(self.now.saturating_add(timeout).saturating_add(jitter));
	}

	/// Whether a leader was heard so recently that nobody should stand.
	pub(super) fn hears_leader(&self) -> bool {
		if matches!(self.role, Role::Leader(_)) {
			return true;
		}
		let is_recent = |at| self.now.saturating_sub(at) < self.settings.election_timeout;
		self.leader.is_some() && (self.quiesced || self.heard_at.is_some_and(is_recent))
	}

	/// The leader has been silent for too long.
	pub(super) fn on_election_timeout(&mut self) {
		self.heard_at = None;
		if !self.may_stand() || self.policy == ElectionPolicy::Never {
			self.set_leader(None);
			self.reset_election_timer();
			return self.ask_for_leader();
		}
		self.stand_for_pre_vote();
	}

	/// Asks the voters whether anybody leads, where this member cannot stand: a
	/// leader that sleeps wakes and shows itself, and whoever knows that this member
	/// was removed says so. A pre-vote promises nothing, and nobody counts these.
	fn ask_for_leader(&mut self) {
		let request = VoteRequest {
			term: self.term + 1,
			last: self.log.last(),
			transfer: false,
		};
		self.ask_voters(&Msg::PreVote(request));
	}

	/// Whether this member may stand for election: a voter, also one whose removal is
	/// in its log and not known to be committed. Without it the entry may have no
	/// majority (dissertation §4.2.2 and figure 4.6). It does not count itself. So does
	/// a learner whose vote a voter needs and cannot have, see `needed`.
	fn may_stand(&self) -> bool {
		let mut configs = self.log.configs_from(self.commit);
		!self.removed && (self.needed || configs.any(|config| config.is_voter(self.id)))
	}

	/// The leader is said to be gone: stand soon, but not all at once.
	pub(super) fn on_leader_gone(&mut self) {
		if matches!(self.role, Role::Leader(_)) {
			return;
		}
		self.wake();
		self.heard_at = None;
		let jitter = self.roll(self.settings.election_jitter / 2);
		let soon = self.now.saturating_add(jitter);
		self.election_at = Some(self.election_at.map_or(soon, |at| at.min(soon)));
	}

	fn stand_for_pre_vote(&mut self) {
		self.set_leader(None);
		self.reset_election_timer();
		self.role = Role::PreCandidate(Votes::default());
		let request = VoteRequest {
			term: self.term + 1,
			last: self.log.last(),
			transfer: false,
		};
		self.ask_voters(&Msg::PreVote(request));
		self.count_pre_vote(self.id, true);
	}

	fn stand_for_election(&mut self, transfer: bool) {
		self.set_vote(self.term + 1, Some(self.id));
		self.set_leader(None);
		self.reset_election_timer();
		self.role = Role::Candidate(Votes::default());
		let request = VoteRequest {
			term: self.term,
			last: self.log.last(),
			transfer,
		};
		self.ask_voters(&Msg::Vote(request));
		let own = VoteReply {
			term: self.term,
			granted: true,
		};
		self.send_when_written(self.id, Msg::VoteReply(own));
	}

	fn ask_voters(&mut self, msg: &Msg) {
		let mut others = self.log.state().config.voters.clone();
		others.remove(&self.id);
		for voter in others {
			self.send_when_written(voter, msg.clone());
		}
	}

	pub(super) fn on_pre_vote(&mut self, from: MemberId, request: &VoteRequest) {
		if self.tell_removed(from) {
			return;
		}
		let refused = self.hears_leader();
		self.wake();
		if matches!(self.role, Role::Leader(_)) {
			// It does not hear this member: a heartbeat may reach it.
			self.beat_member(from);
		}
		let granted = !refused && request.term > self.term && request.last >= self.log.last();
		let term = if granted { request.term } else { self.term };
		if !refused && request.last < self.log.last() {
			// Who asks counts this member among the voters and cannot win its vote.
			self.needed = true;
		}
		// It promises nothing, so it need not wait for the disk.
		self.send(from, Msg::PreVoteReply(VoteReply { term, granted }));
	}

	pub(super) fn on_pre_vote_reply(&mut self, from: MemberId, reply: &VoteReply) {
		if !reply.granted && reply.term > self.term {
			return self.follow(reply.term, None);
		}
		if !reply.granted || reply.term == self.term + 1 {
			self.count_pre_vote(from, reply.granted);
		}
	}

	fn count_pre_vote(&mut self, from: MemberId, granted: bool) {
		let Role::PreCandidate(votes) = &mut self.role else {
			return;
		};
		votes.count(from, granted);
		let config = &self.log.state().config;
		match votes.tally(&config.voters, config.majority()) {
			Tally::Won => self.stand_for_election(false),
			Tally::Lost => self.role = Role::Follower,
			Tally::Open => {}
		}
	}

	pub(super) fn on_vote(&mut self, from: MemberId, request: &VoteRequest) {
		if self.tell_removed(from) {
			return;
		}
		if request.term > self.term {
			if self.hears_leader() && !request.transfer {
				return;
			}
			self.follow(request.term, None);
		}
		let is_current = request.term == self.term;
		let is_free = match self.vote {
			Some(vote) => vote == from || mutant!(VoteTwice),
			None => self.leader.is_none(),
		};
		let is_up_to_date = request.last >= self.log.last() || mutant!(VoteForStaleLog);
		let granted = is_current && is_free && is_up_to_date;
		if granted {
			if self.vote != Some(from) {
				self.set_vote(self.term, Some(from));
			}
			self.reset_election_timer();
		}
		let term = self.term;
		self.send_when_written(from, Msg::VoteReply(VoteReply { term, granted }));
	}

	pub(super) fn on_vote_reply(&mut self, from: MemberId, reply: &VoteReply) {
		if reply.term > self.term {
			return self.follow(reply.term, None);
		}
		let Role::Candidate(votes) = &mut self.role else {
			return;
		};
		if reply.term < self.term {
			return;
		}
		votes.count(from, reply.granted);
		let config = &self.log.state().config;
		match votes.tally(&config.voters, config.majority()) {
			Tally::Won => self.lead(),
			Tally::Lost => self.role = Role::Follower,
			Tally::Open => {}
		}
	}

	/// Begins to lead: the first entry of the term commits all before it.
	fn lead(&mut self) {
		let members = self.log.state().config.members.keys().copied();
		let uncommitted = self.log.bytes(self.commit + 1..=self.log.last().index);
		let leader = Leader::new(
			self.id,
			members,
			self.log.last().index + 1,
			uncommitted,
			self.now,
			&self.settings,
		);
		self.role = Role::Leader(Box::new(leader));
		self.election_at = None;
		self.set_leader(Some(self.id));
		self.append(EntryKind::Noop);
		self.on_own_match();
	}

	/// The leader asks this member to stand now.
	pub(super) fn on_timeout_now(&mut self, from: MemberId, term: Term) {
		if term < self.term {
			return;
		}
		if term > self.term {
			self.follow(term, Some(from));
		}
		if self.may_stand() && !matches!(self.role, Role::Leader(_)) {
			self.quiesced = false;
			self.stand_for_election(true);
		}
	}

	/// Tells somebody who was removed that it was. An id that is committed and not
	/// in the committed configuration was a member once.
	pub(super) fn tell_removed(&mut self, from: MemberId) -> bool {
		let (config_index, config) = self.log.config_at(self.commit);
		let was_removed =
			from.get() <= self.commit && !config.contains(from) && !config.members.is_empty();
		if was_removed {
			self.send(from, Msg::NotMember { config_index });
		}
		was_removed
	}

	/// Tells a member that it was removed, if it was and this is known here.
	pub fn check_member(&mut self, member: MemberId) {
		self.tell_removed(member);
	}

	pub(super) fn on_not_member(&mut self, config_index: LogIndex) {
		let (known, _) = self.log.config_at(self.commit);
		if !self.removed && config_index > known && config_index > self.id.get() {
			self.removed = true;
			self.out
				.events
				.push(super::CoreEvent::Removed { config_index });
		}
	}
}
