//! The calls and returns that are not placed yet, in the order of time.
//!
//! A doubly linked list in an array. A call that is placed is taken out with its
//! return, and put back when the search thinks better of it, in the opposite order:
//! then the neighbours that an entry remembers are the right ones.

/// An entry: the call or the return of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
	/// Which call.
	pub(super) call: usize,
	/// Whether this is its return.
	pub(super) returns: bool,
	/// When.
	pub(super) event: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Entries {
	/// In the order of time, after one that is both ends of the list.
	entries: Vec<Entry>,
	next: Vec<usize>,
	previous: Vec<usize>,
	/// Where each call has its entries.
	places: Vec<[usize; 2]>,
}

/// Both ends of the list.
const END: usize = 0;

impl Entries {
	/// From the events at which each call was made and returned.
	pub(super) fn new(calls: &[[u64; 2]]) -> Self {
		let mut entries = vec![Entry {
			call: usize::MAX,
			returns: true,
			event: 0,
		}];
		for (call, events) in calls.iter().enumerate() {
			for (event, returns) in events.iter().copied().zip([false, true]) {
				entries.push(Entry {
					call,
					returns,
					event,
				});
			}
		}
		entries[1..].sort_by_key(|entry| entry.event);
		let mut places = vec![[END; 2]; calls.len()];
		for (place, entry) in entries.iter().enumerate().skip(1) {
			places[entry.call][usize::from(entry.returns)] = place;
		}
		let count = entries.len();
		Self {
			entries,
			next: (0..count).map(|place| (place + 1) % count).collect(),
			previous: (0..count)
				.map(|place| (place + count - 1) % count)
				.collect(),
			places,
		}
	}

	/// The first return, and with it the call that must be placed before time may
	/// go on; `None` if all are placed.
	pub(super) fn first_return(&self) -> Option<Entry> {
		let mut place = self.next[END];
		while place != END {
			if self.entries[place].returns {
				return Some(self.entries[place]);
			}
			place = self.next[place];
		}
		None
	}

	/// The calls that may come next, by the time at which they were made: those
	/// that no return precedes.
	pub(super) fn candidates(&self) -> Candidates<'_> {
		self.candidates_from(self.next[END])
	}

	/// Those of them that were made after `call`, which is one of them.
	pub(super) fn candidates_after(&self, call: usize) -> Candidates<'_> {
		self.candidates_from(self.next[self.places[call][0]])
	}

	const fn candidates_from(&self, place: usize) -> Candidates<'_> {
		Candidates {
			entries: self,
			place,
		}
	}

	/// Takes a call out.
	pub(super) fn lift(&mut self, call: usize) {
		for place in self.places[call] {
			let (previous, next) = (self.previous[place], self.next[place]);
			self.next[previous] = next;
			self.previous[next] = previous;
		}
	}

	/// Puts the call back that was taken out last.
	pub(super) fn unlift(&mut self, call: usize) {
		for place in self.places[call].into_iter().rev() {
			let (previous, next) = (self.previous[place], self.next[place]);
			self.next[previous] = place;
			self.previous[next] = place;
		}
	}
}

/// See [`Entries::candidates`].
#[derive(Debug, Clone)]
pub(super) struct Candidates<'a> {
	entries: &'a Entries,
	place: usize,
}

impl Iterator for Candidates<'_> {
	type Item = usize;

	fn next(&mut self) -> Option<usize> {
		// The end of the list is marked as a return.
		let entry = self.entries.entries[self.place];
		(!entry.returns).then(|| {
			self.place = self.entries.next[self.place];
			entry.call
		})
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn candidates(entries: &Entries) -> Vec<usize> {
		entries.candidates().collect()
	}

	#[test]
	fn what_is_lifted_comes_back_to_its_place() {
		let mut entries = Entries::new(&[[1, 4], [2, 3], [5, 6]]);
		assert_eq!(candidates(&entries), [0, 1]);
		assert_eq!(entries.first_return().unwrap().call, 1);
		entries.lift(1);
		assert_eq!(candidates(&entries), [0]);
		entries.lift(0);
		assert_eq!(candidates(&entries), [2]);
		entries.lift(2);
		assert!(candidates(&entries).is_empty());
		assert_eq!(entries.first_return(), None);
		entries.unlift(2);
		entries.unlift(0);
		assert_eq!(candidates(&entries), [0]);
		entries.unlift(1);
		assert_eq!(candidates(&entries), [0, 1]);
		let after: Vec<_> = entries.candidates_after(0).collect();
		assert_eq!(after, [1]);
	}
}
