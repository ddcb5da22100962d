//! What a leader appends on request.
//!
//! A leader judges by the end of its log, which contains everything that could
//! ever be committed before the new entry: so a log never holds a command twice,
//! a change that does not follow from its configuration, or a step that its
//! formation does not permit.

use {
	super::{Raft, Role},
	crate::groups::{
		config::ConfigChange,
		engine::{ConfigError, Proposed, Refused, Rejected},
		entry::{Entry, EntryKind, Envelope, FormationEntry},
		mutants::mutant,
		state::Inadmissible,
		types::LogPos,
	},
	std::sync::Arc,
};

impl Raft {
	/// Appends an entry of this leader's term and returns where it is.
	pub(super) fn append(&mut self, kind: EntryKind) -> LogPos {
		let commands = match &kind {
			EntryKind::Commands(batch) => batch.len() as u64,
			_ => 0,
		};
		let pos = LogPos {
			term: self.term,
			index: self.log.last().index + 1,
		};
		let entry = Entry {
			pos,
			seq_end: self.log.state().seq + commands,
			kind,
		};
		let bytes = entry.size();
		self.log.push(entry);
		self.writes.append_from(pos.index);
		self.wake();
		let state = self.log.state();
		if let Role::Leader(leader) = &mut self.role {
			leader.uncommitted_bytes += bytes;
			if state.config_index == pos.index {
				leader.set_members(self.id, &state.config, pos.index, self.now);
			}
		}
		pos
	}

	/// Whether this member may append.
	pub(super) fn check_leads(&self) -> Result<(), Rejected> {
		if let Some(poison) = self.poisoned {
			return Err(poison.into());
		}
		let Role::Leader(leader) = &self.role else {
			let leader = self.leader;
			return Err(Rejected::NotLeader { leader });
		};
		match leader.transferring() {
			Some(to) => Err(Rejected::Transferring { to }),
			None => Ok(()),
		}
	}

	fn check_room(&self, bytes: usize) -> Result<(), Rejected> {
		let Role::Leader(leader) = &self.role else {
			return Ok(());
		};
		// A machine that is slow must not make the log grow either.
		let waiting = leader.uncommitted_bytes + self.unapplied_bytes;
		let is_full = waiting > 0 && waiting + bytes > self.settings.max_unapplied_bytes;
		if is_full {
			Err(Rejected::Overloaded)
		} else {
			Ok(())
		}
	}

	pub(super) fn propose_commands(
		&mut self,
		mut batch: Vec<Envelope>,
	) -> Result<Proposed, Refused<Vec<Envelope>>> {
		let admitted = self.check_leads().and_then(|()| {
			if !self.log.state().is_open() {
				return Err(Rejected::NotPermitted);
			}
			self.check_room(batch.iter().map(Envelope::size).sum())?;
			Ok(self.log.state().admit(&mut batch)?)
		});
		let duplicates = match admitted {
			Ok(duplicates) => duplicates,
			Err(reason) => {
				return Err(Refused {
					reason,
					given: batch,
				});
			}
		};
		let appended = batch.len();
		let pos = (appended > 0).then(|| self.append(EntryKind::Commands(batch.into())));
		Ok(Proposed {
			pos,
			seq_end: self.log.state().seq,
			appended,
			duplicates,
		})
	}

	/// Appends a change of one member. For a change of voters, rules (i) to (iii):
	/// one at a time, the previous change committed, an entry of this term
	/// committed. Changes of learners move no quorum and wait for no other change.
	pub(super) fn change_config(&mut self, change: &ConfigChange) -> Result<LogPos, ConfigError> {
		self.check_leads()?;
		let state = self.log.state();
		if !state.is_open() {
			return Err(Rejected::NotPermitted.into());
		}
		if !self.has_own_commit() && !mutant!(ConfigBeforeNoop) {
			return Err(ConfigError::NoOwnCommit);
		}
		let is_pending = state.config_index > self.commit;
		if is_pending && change.changes_voters(&state.config) && !mutant!(TwoPendingConfigs) {
			return Err(ConfigError::Pending(state.config_index));
		}
		let index = self.log.last().index + 1;
		let config = state.change(change, index)?;
		Ok(self.append(EntryKind::Config(Arc::new(config))))
	}

	pub(super) fn propose_step(&mut self, step: FormationEntry) -> Result<LogPos, Rejected> {
		self.check_leads()?;
		if !self.log.state().permits(step) {
			return Err(Rejected::NotPermitted);
		}
		Ok(self.append(EntryKind::Formation(step)))
	}
}

impl From<Inadmissible> for Rejected {
	fn from(reason: Inadmissible) -> Self {
		match reason {
			Inadmissible::Gap { origin, expected } => Self::Gap { origin, expected },
			Inadmissible::Stranger(origin) => Self::Stranger(origin),
		}
	}
}
