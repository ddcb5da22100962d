//! What a follower does with the entries, heartbeats and snapshots of a leader
//! (Raft §5.3).

use {
	super::{Raft, Role},
	crate::groups::{
		engine::{CoreEvent, Install, Poison, SnapshotFetch, StepError},
		entry::Entry,
		message::{Append, AppendOutcome, AppendReply, Beat, BeatReply, Msg, SnapshotOffer},
		mutants::mutant,
		state::Base,
		types::{LogIndex, LogPos, MemberId, Term},
	},
};

impl Raft {
	/// Follows who says that it leads in `term`; `false` if that term is over.
	fn accept_leader(&mut self, from: MemberId, term: Term) -> Result<bool, StepError> {
		if term < self.term {
			return Ok(mutant!(AppendFromNonLeader));
		}
		let other = self.leader.filter(|leader| *leader != from);
		if term == self.term
			&& let Some(first) = other
		{
			let second = from;
			return Err(self.poison(Poison::TwoLeaders {
				term,
				first,
				second,
			}));
		}
		if term > self.term || !matches!(self.role, Role::Follower) || self.leader != Some(from) {
			self.follow(term, Some(from));
		} else {
			self.quiesced = false;
			self.reset_election_timer();
		}
		self.heard_at = Some(self.now);
		Ok(true)
	}

	fn reply_stale(&mut self, to: MemberId, round: u64) {
		let reply = AppendReply {
			term: self.term,
			round,
			outcome: AppendOutcome::Stale,
		};
		self.send(to, Msg::AppendReply(reply));
	}

	pub(super) fn on_append(&mut self, from: MemberId, append: Append) -> Result<(), StepError> {
		check_entries(&append)?;
		let round = append.round;
		if !self.accept_leader(from, append.term)? {
			self.reply_stale(from, round);
			return Ok(());
		}
		if !append.entries.is_empty() && self.unapplied_bytes > self.settings.max_unapplied_bytes {
			// As if it were lost, because the machine is too slow: any answer would only
			// make the leader send it again at once, and not at the next heartbeats.
			return Ok(());
		}
		let outcome = self.take_entries(from, append)?;
		let term = self.term;
		let reply = Msg::AppendReply(AppendReply {
			term,
			round,
			outcome,
		});
		if mutant!(ReplyBeforePersist) {
			self.send(from, reply);
		} else {
			self.send_when_written(from, reply);
		}
		Ok(())
	}

	fn take_entries(&mut self, from: MemberId, append: Append) -> Result<AppendOutcome, StepError> {
		let prev = append.prev;
		let sent = append.entries.iter().map(|entry| entry.pos);
		let contradicts = |pos: &LogPos| {
			let known = self.log.term_at(pos.index);
			pos.index <= self.commit && known.is_some_and(|term| term != pos.term)
		};
		if let Some(pos) = std::iter::once(prev).chain(sent).find(contradicts)
			&& !mutant!(TruncateCommitted)
		{
			let index = pos.index;
			return Err(self.poison(Poison::CommittedConflict { from, index }));
		}
		if prev.index < self.commit && !mutant!(TruncateCommitted) {
			// What is committed here is in the leader's log, whatever it sent.
			return Ok(AppendOutcome::Matched(self.commit));
		}
		let is_unchecked = mutant!(NoPrevCheck) && prev.index <= self.log.last().index;
		if !self.log.contains(prev) && !is_unchecked {
			return Ok(AppendOutcome::Conflict {
				prev: prev.index,
				hint: self.log.last_before(prev.index, prev.term),
			});
		}
		let matched = prev.index + append.entries.len() as LogIndex;
		self.take_new(append.entries);
		let commit = if mutant!(CommitUnmatched) {
			append.commit.min(self.log.last().index)
		} else {
			append.commit.min(matched)
		};
		self.commit_up_to(commit);
		Ok(AppendOutcome::Matched(matched))
	}

	/// Appends those entries that the log does not have, in place of others.
	fn take_new(&mut self, entries: Vec<Entry>) {
		let known = |entry: &Entry| self.log.contains(entry.pos) && !mutant!(TruncateCommitted);
		let skip = entries.iter().take_while(|entry| known(entry)).count();
		let Some(first) = entries.get(skip).map(|entry| entry.pos.index) else {
			return;
		};
		let last = self.log.last();
		if first <= last.index {
			let term = self.log.term_at(first).unwrap_or(last.term);
			let dropped = LogPos { term, index: first };
			self.log.truncate(first);
			self.out.events.push(CoreEvent::Dropped {
				from: dropped,
				to: last,
			});
		}
		for entry in entries.into_iter().skip(skip) {
			self.log.push(entry);
		}
		self.writes.append_from(first);
	}

	pub(super) fn on_beat(&mut self, from: MemberId, beat: &Beat) -> Result<(), StepError> {
		if !self.accept_leader(from, beat.term)? {
			self.reply_stale(from, beat.round);
			return Ok(());
		}
		let last = self.log.last();
		if beat.commit > last.index {
			// The leader says what this member acknowledged; it is not there.
			let commit = beat.commit;
			let last = last.index;
			return Err(self.poison(Poison::LostEntries { commit, last }));
		}
		self.commit_up_to(beat.commit);
		if beat.quiesce == Some(last) && self.commit == last.index {
			self.quiesced = true;
			return Ok(());
		}
		let term = self.term;
		let round = beat.round;
		// It says who leads in this term, which must not be forgotten.
		self.send_when_term_written(from, Msg::BeatReply(BeatReply { term, round }));
		Ok(())
	}

	pub(super) fn on_snapshot_offer(
		&mut self,
		from: MemberId,
		offer: &SnapshotOffer,
	) -> Result<(), StepError> {
		if !self.accept_leader(from, offer.term)? {
			self.reply_stale(from, offer.round);
			return Ok(());
		}
		if offer.pos.index <= self.commit {
			let reply = AppendReply {
				term: self.term,
				round: offer.round,
				outcome: AppendOutcome::Matched(self.commit),
			};
			self.send_when_written(from, Msg::AppendReply(reply));
			return Ok(());
		}
		let (term, round) = (self.term, offer.round);
		self.send_when_term_written(from, Msg::BeatReply(BeatReply { term, round }));
		if self.fetching.is_none_or(|pos| pos < offer.pos) {
			self.fetching = Some(offer.pos);
			self.out.fetch = Some(SnapshotFetch {
				from,
				pos: offer.pos,
			});
		}
		Ok(())
	}

	/// A snapshot was fetched: it takes the place of the log up to it.
	pub(super) fn install(&mut self, base: Base) {
		if self.fetching == Some(base.pos) {
			self.fetching = None;
		}
		let pos = base.pos;
		let is_foreign = if pos.index <= self.commit {
			let known = self.log.term_at(pos.index);
			known.is_some_and(|term| term != pos.term)
		} else {
			// Terms only grow along a log.
			self.log.term_at(self.commit) > Some(pos.term)
		};
		if is_foreign || !base.is_plausible() {
			let index = pos.index;
			self.poison(Poison::ForeignSnapshot { index });
			return;
		}
		if pos.index <= self.commit || pos.term > self.term || matches!(self.role, Role::Leader(_))
		{
			return;
		}
		let last = self.log.last();
		let dropped = self.log.term_at(pos.index.saturating_add(1));
		let reset = self.log.install(base.clone());
		if reset && let Some(term) = dropped {
			let index = pos.index + 1;
			let from = LogPos { term, index };
			self.out.events.push(CoreEvent::Dropped { from, to: last });
		}
		self.writes.install(Install { base, reset });
		self.handed = self.handed.max(pos.index);
		self.applied = self.applied.max(pos.index);
		self.commit_up_to(pos.index);
		self.unapplied_bytes = 0;
		if let Some(leader) = self.leader {
			let reply = AppendReply {
				term: self.term,
				round: 0,
				outcome: AppendOutcome::Matched(pos.index),
			};
			self.send_when_written(leader, Msg::AppendReply(reply));
		}
	}

	pub(super) fn on_fetch_failed(&mut self, pos: LogPos) {
		if self.fetching != Some(pos) {
			return;
		}
		self.fetching = None;
		if let Some(leader) = self.leader.filter(|leader| *leader != self.id) {
			let term = self.term;
			self.send(leader, Msg::SnapshotFailed { term, pos });
		}
	}
}

/// Whether the entries follow one another and belong to terms that could be.
fn check_entries(append: &Append) -> Result<(), StepError> {
	let mut prev = append.prev;
	let mut seq_end = None;
	for entry in &append.entries {
		let commands = entry.commands() as u64;
		let follows = entry.pos.index == prev.index + 1
			&& entry.pos.term >= prev.term
			&& entry.pos.term <= append.term
			&& entry.seq_end >= commands
			&& seq_end.is_none_or(|before: u64| entry.seq_end - commands == before);
		if !follows {
			return Err(StepError::BrokenEntries);
		}
		prev = entry.pos;
		seq_end = Some(entry.seq_end);
	}
	Ok(())
}
