//! Deadlines with names.

use {
	crate::core::Instant,
	std::collections::{BTreeMap, BTreeSet},
};

/// A table of deadlines: setting one again moves it, so a stale one cannot
/// exist. All operations take logarithmic time.
#[derive(Debug)]
pub(super) struct Timers<K> {
	at: BTreeMap<K, Instant>,
	queue: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Copy> Timers<K> {
	pub(super) const fn new() -> Self {
		Self {
			at: BTreeMap::new(),
			queue: BTreeSet::new(),
		}
	}

	pub(super) fn set(&mut self, name: K, at: Instant) {
		if let Some(old) = self.at.insert(name, at) {
			self.queue.remove(&(old, name));
		}
		self.queue.insert((at, name));
	}

	pub(super) fn cancel(&mut self, name: K) {
		if let Some(old) = self.at.remove(&name) {
			self.queue.remove(&(old, name));
		}
	}

	pub(super) fn is_set(&self, name: K) -> bool {
		self.at.contains_key(&name)
	}

	pub(super) fn next(&self) -> Option<Instant> {
		self.queue.first().map(|&(at, _)| at)
	}

	/// Takes the earliest deadline that has passed.
	pub(super) fn take_due(&mut self, now: Instant) -> Option<K> {
		let &(at, name) = self.queue.first()?;
		if at > now {
			return None;
		}
		self.cancel(name);
		Some(name)
	}

	pub(super) fn clear(&mut self) {
		self.at.clear();
		self.queue.clear();
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn setting_again_moves_and_cancelling_removes() {
		let mut timers = Timers::new();
		timers.set('a', Instant(1));
		timers.set('b', Instant(2));
		timers.set('a', Instant(3));
		assert_eq!(timers.next(), Some(Instant(2)));
		assert_eq!(timers.take_due(Instant(1)), None);
		assert_eq!(timers.take_due(Instant(9)), Some('b'));
		timers.cancel('a');
		assert!(!timers.is_set('a'));
		assert_eq!(timers.take_due(Instant(9)), None);
	}
}
