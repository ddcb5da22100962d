//! State machine safety: where two members applied an index, they applied the same
//! entry and are in the same state (Raft §5.4.3; dissertation §3.6.3).
//!
//! The state that is right is computed here from the committed entries.

use {
	super::{Check, broken, committed::Committed},
	crate::groups::{
		machine::{Prefix, after, value_of},
		note::Note,
	},
	mosaik_proto::groups::{
		entry::{Entry, EntryKind},
		types::{LogIndex, LogPos, MemberId},
	},
};

/// See the module.
#[derive(Debug, Default)]
pub struct StateMachine {
	first: LogIndex,
	/// By index, the state after the entry there.
	states: Vec<Prefix>,
	/// The commands, in order.
	values: Vec<u64>,
}

impl StateMachine {
	/// The formation begins after this index.
	pub fn found(&mut self, index: LogIndex) {
		self.first = index;
		self.states = vec![Prefix::EMPTY];
	}

	/// The next entry is committed.
	pub fn committed(&mut self, entry: &Entry) {
		let state = self.states.last().copied().unwrap_or(Prefix::EMPTY);
		self.states.push(after(state, entry));
		if let EntryKind::Commands(batch) = &entry.kind {
			let values = batch.iter().map(|envelope| value_of(&envelope.payload));
			self.values.extend(values);
		}
	}

	/// The state after an entry.
	pub fn state_at(&self, index: LogIndex) -> Option<Prefix> {
		let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
		self.states.get(at).copied()
	}

	/// The committed commands, in order.
	pub fn values(&self) -> &[u64] {
		&self.values
	}

	/// The `index`th committed command, from 1 on.
	pub fn value_at(&self, index: u64) -> Option<u64> {
		let at = usize::try_from(index.checked_sub(1)?).ok()?;
		self.values.get(at).copied()
	}

	/// The state of so many commands.
	pub fn state_of_length(&self, length: u64) -> Option<Prefix> {
		let at = self.states.partition_point(|state| state.length < length);
		self.states
			.get(at)
			.copied()
			.filter(|state| state.length == length)
	}

	/// Something happened at a member.
	///
	/// # Errors
	/// When its machine is in another state than it should be.
	pub fn note(&self, member: MemberId, committed: &Committed, note: &Note) -> Check {
		match *note {
			Note::Applied {
				pos,
				seq_end,
				prefix,
			} => {
				if seq_end != prefix.length {
					let length = prefix.length;
					let what = format!("{member}: {pos:?} ends at {seq_end}, not {length}");
					return broken("state machine safety", what);
				}
				self.is_right(member, committed, pos, prefix)
			}
			Note::Installed { pos, prefix } => self.is_right(member, committed, pos, prefix),
			_ => Ok(()),
		}
	}

	fn is_right(
		&self,
		member: MemberId,
		committed: &Committed,
		pos: LogPos,
		prefix: Prefix,
	) -> Check {
		let what = if committed.term_at(pos.index) != Some(pos.term) {
			format!("{member} applied {pos:?}, which is not committed")
		} else if self.state_at(pos.index) != Some(prefix) {
			let right = self.state_at(pos.index);
			format!("{member} is in state {prefix:?} after {pos:?}, not {right:?}")
		} else {
			return Ok(());
		};
		broken("state machine safety", what)
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::{
			log_matching::LogMatching,
			testing::{at, commands, genesis, id},
		},
	};

	#[test]
	fn what_is_applied_is_what_is_committed() {
		let mut logs = LogMatching::default();
		logs.found(&genesis(3));
		let entry = commands(4, 1, &[(1, 1)]);
		logs.entry(id(1), at(3, 0), &entry).unwrap();
		let mut committed = Committed::default();
		committed.found(at(3, 0));
		committed.commit(id(1), 1, at(4, 1), &logs).unwrap();
		let mut machine = StateMachine::default();
		machine.found(3);
		machine.committed(&entry);
		let right = after(Prefix::EMPTY, &entry);
		let applied = |pos, prefix: Prefix| Note::Applied {
			pos,
			seq_end: prefix.length,
			prefix,
		};
		let check = |note| machine.note(id(1), &committed, &note).is_ok();
		assert!(check(applied(at(4, 1), right)));
		assert!(!check(applied(at(4, 2), right)));
		assert!(!check(applied(at(5, 1), right)));
		assert!(!check(applied(at(4, 1), Prefix::EMPTY.with(9))));
		assert_eq!(machine.state_of_length(1), Some(right));
		assert_eq!(machine.state_of_length(2), None);
	}
}
