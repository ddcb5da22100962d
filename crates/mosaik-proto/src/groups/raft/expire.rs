//! For models: timers that run out at will, and states that coincide.
//!
//! A model has no clock. It leaves the time at 0, sets the jitter to 0 and says
//! which timer runs out; and it recognizes states that it has been in, so what
//! only counts how often something happened is taken out of them.

use super::{Raft, Role};

impl Raft {
	/// The election timer ran out: no leader was heard for longer than the
	/// election timeout, so this member answers candidates, and stands if it may.
	/// Nothing happens where that timer does not run.
	pub fn expire_election(&mut self) {
		let runs = !matches!(self.role, Role::Leader(_)) && !self.quiesced;
		if runs && self.poisoned.is_none() {
			self.on_election_timeout();
		}
	}

	/// The heartbeat of a leader is due.
	pub fn expire_heartbeat(&mut self) {
		if self.quiesced || self.poisoned.is_some() {
			return;
		}
		if let Role::Leader(leader) = &mut self.role {
			leader.expire_heartbeat(self.now);
			self.beat_if_due();
		}
	}

	/// A leader finds that it was not heard by a majority for an election timeout.
	pub fn expire_quorum(&mut self) {
		let leads = matches!(self.role, Role::Leader(_));
		if leads && !self.quiesced && self.poisoned.is_none() {
			self.follow(self.term, None);
		}
	}

	/// Takes out what has no influence any more: the dice of a member without
	/// jitter, how many idle heartbeats there were beyond those that count, and
	/// how many writes were done. The oldest write under way becomes number 1.
	pub fn normalize(&mut self) {
		if self.settings.election_jitter == 0 {
			self.dice = 0;
		}
		if let Role::Leader(leader) = &mut self.role {
			leader.limit_idle_beats(self.settings.quiesce_after);
		}
		self.writes.renumber();
	}
}
