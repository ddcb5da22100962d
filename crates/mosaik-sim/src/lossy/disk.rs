//! Disks that take time, keep writes in order and lose what was under way.

use std::{collections::VecDeque, fmt};

/// What is on a disk.
pub trait Disk: fmt::Debug {
	/// What is written at once, or not at all.
	type Write: fmt::Debug;

	/// A write is done.
	fn write(&mut self, write: Self::Write);
}

/// Writes that are under way, oldest first.
#[derive(Debug)]
pub(super) struct Writes<W> {
	queue: VecDeque<W>,
	/// When the last of them will be done.
	busy_until: u64,
}

impl<W> Default for Writes<W> {
	fn default() -> Self {
		Self {
			queue: VecDeque::new(),
			busy_until: 0,
		}
	}
}

impl<W> Writes<W> {
	/// Begins a write and says when it is done.
	pub(super) fn begin(&mut self, now: u64, micros: u64, write: W) -> u64 {
		self.queue.push_back(write);
		// Writes that wait for the same one are done together.
		self.busy_until = self.busy_until.max(now + micros);
		self.busy_until
	}

	/// The oldest write is done.
	pub(super) fn finish<D: Disk<Write = W>>(&mut self, disk: &mut D) {
		if let Some(write) = self.queue.pop_front() {
			disk.write(write);
		}
	}

	/// Nothing that is begun from now on is done before `until`.
	pub(super) fn stall(&mut self, until: u64) {
		self.busy_until = self.busy_until.max(until);
	}

	pub(super) fn len(&self) -> usize {
		self.queue.len()
	}

	/// Only the oldest `survive` of the writes under way are done.
	pub(super) fn crash<D: Disk<Write = W>>(&mut self, survive: usize, disk: &mut D) {
		for write in self.queue.drain(..).take(survive) {
			disk.write(write);
		}
		self.queue.clear();
		self.busy_until = 0;
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[derive(Debug, Default)]
	struct Letters(String);

	impl Disk for Letters {
		type Write = char;

		fn write(&mut self, write: char) {
			self.0.push(write);
		}
	}

	#[test]
	fn no_write_is_done_before_an_earlier_one() {
		let mut writes = Writes::default();
		assert_eq!(writes.begin(10, 5, 'a'), 15);
		assert_eq!(writes.begin(11, 2, 'b'), 15);
		writes.stall(100);
		assert_eq!(writes.begin(12, 5, 'c'), 100);
	}

	#[test]
	fn of_the_writes_under_way_a_prefix_survives() {
		let (mut writes, mut disk) = (Writes::default(), Letters::default());
		for letter in "abcd".chars() {
			writes.begin(0, 1, letter);
		}
		writes.finish(&mut disk);
		assert_eq!(disk.0, "a");
		writes.crash(2, &mut disk);
		assert_eq!(disk.0, "abc");
		assert_eq!(writes.len(), 0);
	}
}
