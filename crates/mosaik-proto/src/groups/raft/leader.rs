//! What a leader does with the answers of its followers, and with silence.

use {
	super::{
		Raft, Role,
		progress::{Mode, Progress},
		quorum,
		reads::Reads,
		replicate::is_settled,
	},
	crate::groups::{
		config::Config,
		engine::{MemberProgress, Rejected, StepError},
		message::{AppendOutcome, AppendReply, Beat, BeatReply, Msg},
		mutants::mutant,
		settings::Settings,
		types::{LogIndex, LogPos, MemberId, Term, Ticks},
	},
	std::collections::BTreeMap,
};

/// What only a leader has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leader {
	/// The other members.
	pub(super) progress: BTreeMap<MemberId, Progress>,
	pub(super) reads: Reads,
	/// The round from which on an answer is a sign of life that was asked for.
	fresh_round: u64,
	/// The size of the entries that are not committed.
	pub(super) uncommitted_bytes: usize,
	/// To whom leadership is handed, and until when that is tried.
	transfer: Option<(MemberId, Ticks)>,
	/// Who is told that it was removed, once the index is committed.
	departing: Vec<(MemberId, LogIndex)>,
	beat_at: Ticks,
	quorum_at: Ticks,
	/// How many heartbeats there were since something happened.
	pub(super) idle_beats: u8,
}

impl Leader {
	pub(super) fn new(
		id: MemberId,
		members: impl Iterator<Item = MemberId>,
		next: LogIndex,
		uncommitted_bytes: usize,
		now: Ticks,
		settings: &Settings,
	) -> Self {
		let others = members.filter(|member| *member != id);
		Self {
			progress: others.map(|id| (id, Progress::new(next, now))).collect(),
			reads: Reads::default(),
			fresh_round: 0,
			uncommitted_bytes,
			transfer: None,
			departing: Vec::new(),
			beat_at: now.saturating_add(settings.heartbeat),
			quorum_at: now.saturating_add(settings.election_timeout),
			idle_beats: 0,
		}
	}

	/// The configuration became another one at `index`.
	pub(super) fn set_members(
		&mut self,
		id: MemberId,
		config: &Config,
		index: LogIndex,
		now: Ticks,
	) {
		for &member in config.members.keys().filter(|member| **member != id) {
			let progress = self.progress.entry(member);
			progress.or_insert_with(|| Progress::new(index, now));
		}
		let departing = &mut self.departing;
		self.progress.retain(|member, _| {
			let stays = config.contains(*member);
			if !stays {
				departing.push((*member, index));
			}
			stays
		});
	}

	pub(super) fn wake(&mut self, now: Ticks, settings: &Settings) {
		self.idle_beats = 0;
		self.beat_at = now;
		self.quorum_at = now.saturating_add(settings.election_timeout);
		self.progress
			.values_mut()
			.for_each(|progress| progress.last_ack = now);
	}

	pub(super) const fn stay_awake(&mut self) {
		self.idle_beats = 0;
	}

	/// Wants to hear everybody, now.
	pub(super) const fn ask(&mut self) {
		self.idle_beats = 0;
		self.fresh_round = self.reads.want_round();
	}

	pub(super) fn next_wakeup(&self) -> Ticks {
		let transfer = self.transfer.map_or(Ticks::MAX, |(_, until)| until);
		self.beat_at.min(self.quorum_at).min(transfer)
	}

	pub(super) const fn expire_heartbeat(&mut self, now: Ticks) {
		self.beat_at = now;
	}

	/// Beyond `quiesce_after` further idle heartbeats make no difference.
	pub(super) fn limit_idle_beats(&mut self, quiesce_after: u8) {
		self.idle_beats = self.idle_beats.min(quiesce_after);
	}

	pub(super) fn transferring(&self) -> Option<MemberId> {
		self.transfer.map(|(to, _)| to)
	}

	pub(super) fn member_progress(&self) -> impl Iterator<Item = (MemberId, MemberProgress)> {
		self.progress.iter().map(|(&id, progress)| {
			let progress = MemberProgress {
				matched: progress.matched,
				last_ack: progress.last_ack,
				fresh: progress.round >= self.fresh_round,
				snapshot: matches!(progress.mode, Mode::Snapshot { .. }),
			};
			(id, progress)
		})
	}

	/// The voter whose log is longest.
	fn most_caught_up(&self, config: &Config) -> Option<MemberId> {
		let voters = self.progress.iter().filter(|(id, _)| config.is_voter(**id));
		voters
			.max_by_key(|(id, progress)| (progress.matched, std::cmp::Reverse(**id)))
			.map(|(id, _)| *id)
	}
}

impl Raft {
	pub(super) fn tick_leader(&mut self) {
		let (now, timeout) = (self.now, self.settings.election_timeout);
		let Role::Leader(leader) = &mut self.role else {
			return;
		};
		if self.quiesced {
			return;
		}
		if leader.transfer.is_some_and(|(_, until)| until <= now) {
			leader.transfer = None;
		}
		if leader.quorum_at <= now {
			leader.quorum_at = now.saturating_add(timeout);
			if !self.is_heard() {
				return self.follow(self.term, None);
			}
		}
		self.beat_if_due();
	}

	/// Whether so many voters answered within the election timeout that this
	/// member can commit, or could once it has removed one that did not.
	fn is_heard(&self) -> bool {
		let Role::Leader(leader) = &self.role else {
			return false;
		};
		let since = self.now.saturating_sub(self.settings.election_timeout);
		let config = &self.log.state().config;
		let answered = |voter: &&MemberId| {
			let progress = leader.progress.get(voter);
			**voter == self.id || progress.is_some_and(|progress| progress.last_ack >= since)
		};
		let voters = config.voters.len();
		let heard = config.voters.iter().filter(answered).count();
		// Only what could really be removed now counts: rules (ii) and (iii), and that
		// the formation goes on.
		let state = self.log.state();
		let can_change =
			state.is_open() && state.config_index <= self.commit && self.has_own_commit();
		let can_shed = can_change && heard < voters && voters > self.settings.min_voters.max(1);
		heard >= config.majority() || can_shed && heard >= quorum::majority(voters - 1)
	}

	pub(super) fn beat_if_due(&mut self) {
		let (now, commit, last) = (self.now, self.commit, self.log.last());
		let Role::Leader(leader) = &mut self.role else {
			return;
		};
		if leader.beat_at > now {
			return;
		}
		leader.beat_at = now.saturating_add(self.settings.heartbeat);
		let is_idle = commit == last.index
			&& leader.reads.is_empty()
			&& leader.transfer.is_none()
			&& leader.progress.values().all(|progress| {
				progress.matched == last.index && progress.acked && progress.sent_commit == commit
			});
		leader.idle_beats = if is_idle {
			leader.idle_beats.saturating_add(1)
		} else {
			0
		};
		let after = self.settings.quiesce_after;
		let quiesce = (after > 0 && leader.idle_beats > after).then_some(last);
		self.quiesced = quiesce.is_some();
		let members: Vec<MemberId> = leader.progress.keys().copied().collect();
		for member in members {
			self.beat(member, quiesce);
		}
	}

	/// Lets a member know that its leader lives.
	pub(super) fn beat_member(&mut self, member: MemberId) {
		self.beat(member, None);
	}

	fn beat(&mut self, member: MemberId, quiesce: Option<LogPos>) {
		let (term, commit, now) = (self.term, self.commit, self.now);
		let Role::Leader(leader) = &mut self.role else {
			return;
		};
		let round = leader.reads.round();
		let Some(progress) = leader.progress.get_mut(&member) else {
			return;
		};
		if !is_settled(member, commit, &self.log.state().config) {
			return;
		}
		progress.beat();
		if let Mode::Snapshot { offered_at, .. } = progress.mode
			&& now.saturating_sub(offered_at) >= self.settings.election_timeout
		{
			progress.probe();
		}
		progress.sent_round = round;
		let beat = Beat {
			term,
			commit: if mutant!(BeatUnmatched) {
				commit
			} else {
				commit.min(progress.matched)
			},
			round,
			quiesce,
		};
		self.send(member, Msg::Beat(beat));
	}

	pub(super) fn on_append_reply(
		&mut self,
		from: MemberId,
		reply: AppendReply,
	) -> Result<(), StepError> {
		let last = self.log.last().index;
		if let AppendOutcome::Matched(index) = reply.outcome
			&& reply.term == self.term
			&& index > last
			&& matches!(self.role, Role::Leader(_))
		{
			return Err(StepError::FalseMatch { index, last });
		}
		let Some(progress) = self.heard_from(from, reply.term, reply.round) else {
			return Ok(());
		};
		match reply.outcome {
			AppendOutcome::Matched(index) => {
				if progress.match_up_to(index) {
					self.advance_commit();
				}
				self.finish_transfer(from);
			}
			AppendOutcome::Conflict { prev, hint } => {
				let agreed = self.log.last_before(hint.index, hint.term).index;
				if let Role::Leader(leader) = &mut self.role
					&& let Some(progress) = leader.progress.get_mut(&from)
					&& progress.conflict(prev, agreed)
				{
					self.wake();
				}
			}
			AppendOutcome::Stale => {}
		}
		self.confirm_reads();
		Ok(())
	}

	pub(super) fn on_beat_reply(&mut self, from: MemberId, reply: &BeatReply) {
		if self.heard_from(from, reply.term, reply.round).is_some() {
			self.confirm_reads();
		}
	}

	/// A member answered in `term`: its progress, if this member leads that term.
	fn heard_from(&mut self, from: MemberId, term: Term, round: u64) -> Option<&mut Progress> {
		if term > self.term {
			self.follow(term, None);
			return None;
		}
		if term < self.term {
			return None;
		}
		let now = self.now;
		let Role::Leader(leader) = &mut self.role else {
			return None;
		};
		let round = round.min(leader.reads.round());
		let progress = leader.progress.get_mut(&from)?;
		progress.ack(now, round);
		Some(progress)
	}

	pub(super) fn on_snapshot_failed(&mut self, from: MemberId, term: Term, pos: LogPos) {
		if let Some(progress) = self.heard_from(from, term, 0)
			&& let Mode::Snapshot { index, .. } = progress.mode
			&& index == pos.index
		{
			// At the next heartbeat, not at once: what failed may fail again.
			progress.probe();
			progress.mode = Mode::Probe { waiting: true };
		}
	}

	/// This member's own log was written further.
	pub(super) fn on_own_match(&mut self) {
		if matches!(self.role, Role::Leader(_)) {
			self.advance_commit();
			self.confirm_reads();
		}
	}

	/// Commits what a majority has written, if the last of it is of this term
	/// (Raft §5.4.2).
	fn advance_commit(&mut self) {
		let Role::Leader(leader) = &self.role else {
			return;
		};
		let config = &self.log.state().config;
		let matched = |member: &MemberId| {
			let progress = leader.progress.get(member);
			let own = if *member == self.id {
				self.log.persisted()
			} else {
				0
			};
			progress.map_or(own, |progress| progress.matched)
		};
		let index = if mutant!(CountLearners) {
			let mut all: Vec<LogIndex> = config.members.keys().map(matched).collect();
			all.sort_unstable_by(|a, b| b.cmp(a));
			quorum::reached(all.into_iter().take(config.voters.len()))
		} else {
			quorum::reached(config.voters.iter().map(matched))
		};
		let is_own = self.log.term_at(index) == Some(self.term) || mutant!(CommitOldTerm);
		if index <= self.commit || !is_own {
			return;
		}
		let before = self.unapplied_bytes;
		self.commit_up_to(index);
		self.after_commit(self.unapplied_bytes - before);
	}

	fn after_commit(&mut self, bytes: usize) {
		let (term, commit) = (self.term, self.commit);
		let Role::Leader(leader) = &mut self.role else {
			return;
		};
		leader.uncommitted_bytes = leader.uncommitted_bytes.saturating_sub(bytes);
		leader.reads.own_commit(commit);
		let is_done = |(_, index): &mut (MemberId, LogIndex)| *index <= commit;
		let departed: Vec<_> = leader.departing.extract_if(.., is_done).collect();
		for (member, config_index) in departed {
			self.send(member, Msg::NotMember { config_index });
		}
		if !self.removed {
			return;
		}
		// The configuration without this member is committed: another one leads.
		let Role::Leader(leader) = &self.role else {
			return;
		};
		if let Some(best) = leader.most_caught_up(&self.log.state().config) {
			self.send(best, Msg::TimeoutNow { term });
		}
		self.follow(term, None);
	}

	pub(super) fn begin_transfer(&mut self, to: MemberId) -> Result<(), Rejected> {
		self.check_leads()?;
		let until = self.now.saturating_add(self.settings.election_timeout);
		let is_voter = self.log.state().config.is_voter(to);
		let Role::Leader(leader) = &mut self.role else {
			return Err(Rejected::NotPermitted);
		};
		if !is_voter || !leader.progress.contains_key(&to) {
			return Err(Rejected::NotPermitted);
		}
		leader.transfer = Some((to, until));
		self.wake();
		self.finish_transfer(to);
		Ok(())
	}

	/// Lets the member that takes over stand, once it has the whole log.
	fn finish_transfer(&mut self, member: MemberId) {
		let (term, last) = (self.term, self.log.last().index);
		let Role::Leader(leader) = &self.role else {
			return;
		};
		let progress = leader.progress.get(&member);
		if leader.transferring() == Some(member)
			&& progress.is_some_and(|progress| progress.matched == last)
		{
			self.send(member, Msg::TimeoutNow { term });
		}
	}

	pub(super) fn on_peer_up(&mut self, member: MemberId) {
		self.wake();
		if let Role::Leader(leader) = &mut self.role
			&& let Some(progress) = leader.progress.get_mut(&member)
		{
			progress.probe();
		}
	}

	pub(super) fn on_peer_down(&mut self, member: MemberId) {
		if let Role::Leader(leader) = &mut self.role
			&& let Some(progress) = leader.progress.get_mut(&member)
		{
			progress.probe();
			progress.mode = Mode::Probe { waiting: true };
			self.wake();
		}
	}
}
