//! Facts that calls need, and that must not end before those are placed.

use std::collections::BTreeMap;

/// The facts that a call needs and brings about, by number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
	needs: Option<usize>,
	brings: Option<usize>,
}

/// Which facts are needed and can be brought about by calls that are not placed.
#[derive(Debug)]
pub(super) struct Facts<F> {
	numbers: BTreeMap<F, usize>,
	/// By the number of a fact.
	counts: Vec<Count>,
}

#[derive(Debug, Default)]
struct Count {
	needed: usize,
	brought: usize,
}

impl<F: Ord> Facts<F> {
	pub(super) const fn new() -> Self {
		Self {
			numbers: BTreeMap::new(),
			counts: Vec::new(),
		}
	}

	/// Adds a call that is not placed.
	pub(super) fn add(&mut self, needs: Option<F>, brings: Option<F>) -> Links {
		let links = Links {
			needs: needs.map(|fact| self.number(fact)),
			brings: brings.map(|fact| self.number(fact)),
		};
		self.take_back(links);
		links
	}

	/// The call is placed.
	pub(super) fn place(&mut self, links: Links) {
		if let Some(fact) = links.needs {
			self.counts[fact].needed -= 1;
		}
		if let Some(fact) = links.brings {
			self.counts[fact].brought -= 1;
		}
	}

	/// The call is not placed any more.
	pub(super) fn take_back(&mut self, links: Links) {
		if let Some(fact) = links.needs {
			self.counts[fact].needed += 1;
		}
		if let Some(fact) = links.brings {
			self.counts[fact].brought += 1;
		}
	}

	/// Whether somebody needs this fact, and nobody will bring it about.
	pub(super) fn is_missed(&self, fact: &F) -> bool {
		self.numbers.get(fact).is_some_and(|&number| {
			let count = &self.counts[number];
			count.needed > 0 && count.brought == 0
		})
	}

	/// All of which [that](Self::is_missed) is so.
	pub(super) fn missed(&self) -> impl Iterator<Item = &F> {
		self.numbers.keys().filter(|fact| self.is_missed(fact))
	}

	fn number(&mut self, fact: F) -> usize {
		*self.numbers.entry(fact).or_insert_with(|| {
			self.counts.push(Count::default());
			self.counts.len() - 1
		})
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_fact_is_missed_if_it_is_needed_and_does_not_come_again() {
		let mut facts = Facts::new();
		let write = facts.add(None, Some('x'));
		let read = facts.add(Some('x'), None);
		assert!(!facts.is_missed(&'x'));
		assert!(!facts.is_missed(&'y'));
		facts.place(write);
		assert!(facts.is_missed(&'x'));
		assert!(facts.missed().eq(&['x']));
		facts.place(read);
		assert!(!facts.is_missed(&'x'));
		facts.take_back(read);
		assert!(facts.is_missed(&'x'));
		facts.take_back(write);
		assert!(!facts.is_missed(&'x'));
	}
}
