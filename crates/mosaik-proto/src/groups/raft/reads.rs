//! Linearizable reads without writing (ReadIndex, dissertation §6.4).
//!
//! A read sees everything that was committed when it was asked: its index is the
//! commit index then, known only once an entry of the leader's own term is
//! committed. Before it is answered, a majority must confirm by an answer to a
//! heartbeat sent *after* the read that the leader still led. Heartbeats are
//! numbered in rounds; all reads between two rounds share one.

use {
	super::{Raft, Role, quorum},
	crate::groups::{
		engine::{ReadDone, ReadToken, Rejected},
		mutants::mutant,
		types::LogIndex,
	},
	std::collections::VecDeque,
};

/// Reads that are not answered. Bounded by `Settings::max_reads`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reads {
	/// Until an entry of the term is committed.
	waiting: Vec<ReadToken>,
	/// With the index of the read and the round that confirms it.
	asked: VecDeque<(ReadToken, LogIndex, u64)>,
	round: u64,
	/// A read waits for a round that has not begun.
	is_round_wanted: bool,
}

impl Reads {
	pub(super) fn is_empty(&self) -> bool {
		self.waiting.is_empty() && self.asked.is_empty()
	}

	pub(super) fn len(&self) -> usize {
		self.waiting.len() + self.asked.len()
	}

	/// The latest round.
	pub(super) const fn round(&self) -> u64 {
		self.round
	}

	/// Wants a round, and returns its number: who answers it lives after this.
	pub(super) const fn want_round(&mut self) -> u64 {
		self.is_round_wanted = true;
		self.round + 1
	}

	/// Begins the round that was asked for; whether there is one.
	pub(super) const fn begin_round(&mut self) -> bool {
		let wanted = self.is_round_wanted;
		self.is_round_wanted = false;
		self.round += wanted as u64;
		wanted
	}

	/// An entry of the term is committed, up to `commit`.
	pub(super) fn own_commit(&mut self, commit: LogIndex) {
		for token in std::mem::take(&mut self.waiting) {
			self.ask(token, commit);
		}
	}

	fn ask(&mut self, token: ReadToken, commit: LogIndex) {
		let stale = mutant!(ReadStaleRound);
		let round = if stale { self.round } else { self.round + 1 };
		self.asked.push_back((token, commit, round));
		self.is_round_wanted |= !stale;
	}

	/// All that wait, when leadership ends.
	pub(super) fn into_tokens(self) -> impl Iterator<Item = ReadToken> {
		let asked = self.asked.into_iter().map(|(token, ..)| token);
		self.waiting.into_iter().chain(asked)
	}
}

impl Raft {
	pub(super) fn begin_read(&mut self, token: ReadToken) -> Result<(), Rejected> {
		let has_own_commit = self.has_own_commit() || mutant!(ReadWithoutOwnTerm);
		let leader = self.leader;
		if let Some(poison) = self.poisoned {
			return Err(poison.into());
		}
		let Role::Leader(leads) = &mut self.role else {
			return Err(Rejected::NotLeader { leader });
		};
		let reads = &mut leads.reads;
		if reads.waiting.len() + reads.asked.len() >= self.settings.max_reads {
			return Err(Rejected::Overloaded);
		}
		if has_own_commit {
			reads.ask(token, self.commit);
		} else {
			reads.waiting.push(token);
		}
		self.wake();
		Ok(())
	}

	/// Answers the reads whose round a majority has confirmed.
	pub(super) fn confirm_reads(&mut self) {
		let Role::Leader(leader) = &mut self.role else {
			return;
		};
		let round = leader.reads.round;
		let Some(&(.., oldest)) = leader.reads.asked.front() else {
			return;
		};
		if oldest > round {
			return;
		}
		let config = &self.log.state().config;
		let rounds = config.voters.iter().map(|voter| {
			let own = if *voter == self.id { round } else { 0 };
			leader
				.progress
				.get(voter)
				.map_or(own, |progress| progress.round)
		});
		let confirmed = quorum::reached(rounds);
		while let Some(&(token, index, round)) = leader.reads.asked.front()
			&& round <= confirmed
		{
			leader.reads.asked.pop_front();
			let index = Some(index);
			self.out.reads.push(ReadDone { token, index });
		}
	}
}
