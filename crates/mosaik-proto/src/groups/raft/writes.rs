//! What must be on disk before what may leave.
//!
//! A message that promises something (a vote, an acknowledgment, a candidacy)
//! waits here for every write that was begun before it. Writes are numbered and
//! finish in order; several may be under way.

use {
	super::Raft,
	crate::groups::{
		engine::{HardState, Install, Persist, PersistToken},
		message::{AppendOutcome, Msg},
		mutants::mutant,
		state::Base,
		types::{LogIndex, MemberId},
	},
	std::{collections::VecDeque, ops::RangeInclusive},
};

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Writes {
	/// The last write that was begun.
	pub(super) begun: PersistToken,
	/// The last write that is done.
	done: PersistToken,
	/// What the next write will contain.
	hard_state: bool,
	install: Option<Install>,
	compact: Option<Base>,
	append_from: Option<LogIndex>,
	/// The last write that had a term and vote.
	hard_state_in: PersistToken,
	/// Where the log ends in each write under way.
	under_way: VecDeque<(PersistToken, LogIndex)>,
	/// What leaves when a write is done. A follower's acknowledgments replace one
	/// another, and what is there already is not there twice: a message that is
	/// repeated while the disk stalls takes no further room.
	held: VecDeque<(PersistToken, MemberId, Msg)>,
}

impl Writes {
	pub(super) const fn hard_state_changed(&mut self) {
		self.hard_state = true;
	}

	/// The log was appended to, or replaced, from `index` on.
	pub(super) fn append_from(&mut self, index: LogIndex) {
		self.append_from = Some(self.append_from.map_or(index, |from| from.min(index)));
		for (_, last) in &mut self.under_way {
			*last = (*last).min(index - 1);
		}
	}

	pub(super) fn compact(&mut self, base: Base) {
		self.compact = Some(base);
	}

	pub(super) fn install(&mut self, mut install: Install) {
		if install.reset {
			self.append_from = None;
			self.under_way.iter_mut().for_each(|(_, last)| *last = 0);
		}
		if !install.reset
			&& let Some(from) = self.append_from
			&& from <= install.base.pos.index
		{
			// What is to be replaced up to there goes with all that followed it; what
			// follows now is appended.
			install.reset = true;
			self.append_from = Some(install.base.pos.index + 1);
		}
		// What an earlier one in the same write resets stays reset: all that came
		// since is appended.
		install.reset |= self.install.as_ref().is_some_and(|earlier| earlier.reset);
		self.compact = None;
		self.install = Some(install);
	}

	/// How many messages wait, and how many writes are under way.
	pub(super) fn load(&self) -> (usize, usize) {
		(self.held.len(), self.under_way.len())
	}

	/// Forgets what was not begun, and what was to be sent.
	pub(super) fn discard(&mut self) {
		self.held.clear();
		self.hard_state = false;
		self.install = None;
		self.compact = None;
		self.append_from = None;
	}

	/// Counts writes from the last that is done.
	pub(super) fn renumber(&mut self) {
		let done = std::mem::take(&mut self.done).0;
		let since = |token: &mut PersistToken| token.0 = token.0.saturating_sub(done);
		since(&mut self.begun);
		since(&mut self.hard_state_in);
		self.under_way
			.iter_mut()
			.for_each(|(token, _)| since(token));
		self.held.iter_mut().for_each(|(token, ..)| since(token));
	}

	const fn is_dirty(&self) -> bool {
		self.hard_state
			|| self.install.is_some()
			|| self.compact.is_some()
			|| self.append_from.is_some()
	}

	/// The write that everything up to now will be on disk with, unless it is.
	fn pending(&self) -> Option<PersistToken> {
		if self.is_dirty() {
			return Some(PersistToken(self.begun.0 + 1));
		}
		(self.done < self.begun).then_some(self.begun)
	}

	/// The write that the term and vote will be on disk with, unless they are.
	fn pending_hard_state(&self) -> Option<PersistToken> {
		if self.hard_state {
			return Some(PersistToken(self.begun.0 + 1));
		}
		(self.done < self.hard_state_in).then_some(self.hard_state_in)
	}

	fn hold(&mut self, token: PersistToken, to: MemberId, mut msg: Msg) {
		if let Msg::AppendReply(reply) = &mut msg
			&& let AppendOutcome::Matched(index) = &mut reply.outcome
		{
			self.held.retain(|(held, member, msg)| {
				let Msg::AppendReply(old) = msg else {
					return true;
				};
				let AppendOutcome::Matched(earlier) = old.outcome else {
					return true;
				};
				let replaced = *held == token && *member == to && old.term == reply.term;
				if replaced {
					// One of them may be the answer to a message that was overtaken.
					*index = earlier.max(*index);
					reply.round = old.round.max(reply.round);
				}
				!replaced
			});
		}
		if let Msg::BeatReply(reply) = &mut msg {
			self.held.retain(|(held, member, msg)| {
				let Msg::BeatReply(old) = msg else {
					return true;
				};
				let replaced = *held == token && *member == to && old.term == reply.term;
				if replaced {
					reply.round = old.round.max(reply.round);
				}
				!replaced
			});
		}
		let held = (token, to, msg);
		if !self.held.contains(&held) {
			self.held.push_back(held);
		}
	}
}

impl Raft {
	/// Sends what promises that everything so far is on disk, when it is. To this
	/// member itself, too: it counts its own vote like any other.
	pub(super) fn send_when_written(&mut self, to: MemberId, msg: Msg) {
		match self.writes.pending() {
			Some(token) => self.writes.hold(token, to, msg),
			None => self.release(to, msg),
		}
	}

	/// Sends what promises only that the term and vote are on disk.
	pub(super) fn send_when_term_written(&mut self, to: MemberId, msg: Msg) {
		match self.writes.pending_hard_state() {
			Some(token) => self.writes.hold(token, to, msg),
			None => self.send(to, msg),
		}
	}

	fn release(&mut self, to: MemberId, msg: Msg) {
		match msg {
			Msg::VoteReply(reply) if to == self.id => self.on_vote_reply(to, &reply),
			msg => self.send(to, msg),
		}
	}

	/// The next write, if there is anything to write.
	pub(super) fn take_writes(&mut self) -> Option<Persist> {
		if !self.writes.is_dirty() {
			return None;
		}
		self.writes.begun.0 += 1;
		let token = self.writes.begun;
		let last = self.log.last().index;
		self.writes.under_way.push_back((token, last));
		let append = self.writes.append_from.take();
		let hard_state = std::mem::take(&mut self.writes.hard_state).then_some(HardState {
			term: self.term,
			vote: self.vote,
		});
		if hard_state.is_some() {
			self.writes.hard_state_in = token;
		}
		Some(Persist {
			token,
			hard_state: hard_state.filter(|_| !mutant!(SkipVotePersist)),
			install: self.writes.install.take(),
			compact: self.writes.compact.take(),
			append: append.map_or_else(Vec::new, |from| {
				self.log.range(from..=last).cloned().collect()
			}),
		})
	}

	/// All writes up to `token` are done.
	pub(super) fn finish_writes(&mut self, token: PersistToken) {
		if self.poisoned.is_some() {
			return;
		}
		while let Some(&(first, last)) = self.writes.under_way.front()
			&& first <= token
		{
			self.writes.under_way.pop_front();
			self.writes.done = first;
			self.log.persist(last);
		}
		let done = self.writes.done;
		let (released, held) = std::mem::take(&mut self.writes.held)
			.into_iter()
			.partition(|(held, ..)| *held <= done);
		self.writes.held = held;
		let released: VecDeque<_> = released;
		for (_, to, msg) in released {
			self.release(to, msg);
		}
		self.on_own_match();
	}

	/// What the state machine is to apply next: committed, and written here, so
	/// that a restart does not begin behind it.
	pub(super) fn take_apply(&mut self) -> Option<RangeInclusive<LogIndex>> {
		let until = self.commit.min(self.log.persisted());
		// What a poisoned member holds to be committed may be what is wrong.
		if until <= self.handed || self.poisoned.is_some() {
			return None;
		}
		let range = self.handed + 1..=until;
		self.handed = until;
		Some(range)
	}
}
