//! Commands and strong reads are linearizable (Herlihy and Wing 1990; dissertation
//! §6.4): a read sees everything that was acknowledged or read before it was
//! asked, and a command comes after everything that was.
//!
//! On an append-only log every call says where it is in the one order there is, so
//! that looking at each as it returns is a complete check.

use {
	super::{Check, broken},
	crate::groups::machine::Prefix,
	std::collections::BTreeMap,
};

/// See the module.
#[derive(Debug, Default)]
pub struct StrongReads {
	/// The longest log that anybody was told of.
	seen: u64,
	/// What had been seen when a read or command was begun.
	reads: BTreeMap<u64, u64>,
	commands: BTreeMap<u64, u64>,
}

impl StrongReads {
	/// A client issues a command.
	pub fn issue(&mut self, value: u64) {
		self.commands.insert(value, self.seen);
	}

	/// A client reads.
	pub fn ask(&mut self, read: u64) {
		self.reads.insert(read, self.seen);
	}

	/// A client gave up, or is gone.
	pub fn give_up(&mut self, read: u64) {
		self.reads.remove(&read);
	}

	/// A command was acknowledged to its client as the `index`th.
	///
	/// # Errors
	/// When something was seen at that index before the command was issued.
	pub fn done(&mut self, value: u64, index: u64) -> Check {
		let Some(seen) = self.commands.remove(&value) else {
			return Ok(());
		};
		self.seen = self.seen.max(index);
		if index > seen {
			return Ok(());
		}
		let what = format!("command {value} is at {index}, but {seen} were seen before it was");
		broken("linearizability", what)
	}

	/// A read was answered, where `right` is the committed state of that length.
	///
	/// # Errors
	/// When it lacks what was seen before it was asked, or saw what is not so.
	pub fn answer(&mut self, read: u64, prefix: Prefix, right: Option<Prefix>) -> Check {
		let Some(seen) = self.reads.remove(&read) else {
			return Ok(());
		};
		self.seen = self.seen.max(prefix.length);
		if prefix.length < seen {
			let length = prefix.length;
			let what = format!("read {read} saw {length} commands, {seen} were seen before it");
			return broken("linearizability", what);
		}
		if right != Some(prefix) {
			let what = format!("read {read} saw {prefix:?}, which never was so");
			return broken("linearizability", what);
		}
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_read_sees_what_was_acknowledged_before_it() {
		let mut reads = StrongReads::default();
		let one = Prefix::EMPTY.with(7);
		reads.ask(1);
		reads.issue(7);
		reads.issue(8);
		assert!(reads.done(7, 1).is_ok());
		reads.ask(2);
		reads.ask(3);
		assert!(reads.answer(1, Prefix::EMPTY, Some(Prefix::EMPTY)).is_ok());
		assert!(reads.answer(2, Prefix::EMPTY, Some(Prefix::EMPTY)).is_err());
		assert!(reads.answer(3, one.with(9), Some(one.with(8))).is_err());
		reads.issue(9);
		assert!(reads.done(8, 2).is_ok());
		// It was issued after somebody saw two.
		assert!(reads.done(9, 2).is_err());
	}
}
