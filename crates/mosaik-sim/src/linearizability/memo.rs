//! What the search has seen: configurations, each a set of placed calls and the
//! state they led to.

use std::{
	collections::HashMap,
	hash::{BuildHasherDefault, Hash, Hasher},
};

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
	/// Room for the numbers below `count`.
	pub(super) fn new(count: usize) -> Self {
		Self(vec![0; count.div_ceil(64)].into())
	}

	pub(super) fn insert(&mut self, number: usize) {
		self.0[number / 64] |= 1 << (number % 64);
	}

	pub(super) fn remove(&mut self, number: usize) {
		self.0[number / 64] &= !(1 << (number % 64));
	}

	pub(super) fn contains(&self, number: usize) -> bool {
		self.0[number / 64] & (1 << (number % 64)) != 0
	}

	fn is_subset(&self, other: &Self) -> bool {
		let mut words = self.0.iter().zip(&other.0);
		words.all(|(one, two)| one & !two == 0)
	}

	/// How many full words it begins with, and the words after them up to the
	/// last that is not empty: calls are placed about in order, so that this is
	/// all that tells one set from another.
	fn window(&self) -> (usize, &[u64]) {
		let full = self.0.iter().take_while(|word| **word == u64::MAX).count();
		let rest = &self.0[full..];
		let last = rest.iter().rposition(|word| *word != 0);
		(full, &rest[..last.map_or(0, |last| last + 1)])
	}
}

/// The calls placed that returned, and the state.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Configuration<S> {
	full: usize,
	window: Box<[u64]>,
	state: S,
}

/// The configurations seen, each with the sets of calls of unknown outcome that
/// were used up to get there.
#[derive(Debug)]
pub(super) struct Memo<S> {
	seen: HashMap<Configuration<S>, Vec<Bits>, BuildHasherDefault<Mixer>>,
	/// Whether what can be reached with fewer calls of unknown outcome is enough.
	frugal: bool,
}

impl<S: Clone + Eq + Hash> Memo<S> {
	pub(super) fn new(frugal: bool) -> Self {
		Self {
			seen: HashMap::default(),
			frugal,
		}
	}

	/// Whether there is anything to be found from here that is not looked for
	/// already, and how many sets were compared to know.
	///
	/// Calls of unknown outcome never return, so that nothing waits for them:
	/// what can come next depends on the calls placed that returned, and on the
	/// state. With the same of these, whoever used up fewer calls of unknown
	/// outcome can do all that the other can. So of the sets only the least are
	/// kept, and whatever contains one of them is no news.
	pub(super) fn is_new(&mut self, placed: &Bits, used: &Bits, state: &S) -> (bool, u64) {
		let (full, window) = placed.window();
		let configuration = Configuration {
			full,
			window: window.into(),
			state: state.clone(),
		};
		let sets = self.seen.entry(configuration).or_default();
		let compared = sets.len() as u64;
		let known = |set: &Bits| match self.frugal {
			true => set.is_subset(used),
			false => set == used,
		};
		if sets.iter().any(known) {
			return (false, compared);
		}
		if self.frugal {
			sets.retain(|set| !used.is_subset(set));
		}
		sets.push(used.clone());
		(true, compared)
	}
}

/// A quick hash with no secret: the same in every run.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
	fn finish(&self) -> u64 {
		let mix = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
		mix ^ (mix >> 32)
	}

	fn write(&mut self, bytes: &[u8]) {
		let (words, rest) = bytes.as_chunks();
		for word in words {
			self.write_u64(u64::from_le_bytes(*word));
		}
		for byte in rest {
			self.write_u64(u64::from(*byte));
		}
	}

	fn write_u64(&mut self, word: u64) {
		self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
	}

	fn write_usize(&mut self, word: usize) {
		self.write_u64(word as u64);
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn bits(numbers: &[usize]) -> Bits {
		let mut bits = Bits::new(200);
		for number in numbers {
			bits.insert(*number);
		}
		bits
	}

	#[test]
	fn a_window_says_all_of_a_set() {
		let mut set = bits(&(0..70).collect::<Vec<_>>());
		assert_eq!(set.window(), (1, &[63][..]));
		set.insert(199);
		assert_eq!(set.window(), (1, &[63, 0, 128][..]));
		set.remove(0);
		assert_eq!(set.window(), (0, &[u64::MAX - 1, 63, 0, 128][..]));
		assert_eq!(bits(&[]).window(), (0, &[][..]));
	}

	#[test]
	fn what_used_up_more_is_no_news() {
		let mut memo = Memo::new(true);
		let placed = bits(&[1]);
		assert!(memo.is_new(&placed, &bits(&[3, 4]), &'a').0);
		assert!(!memo.is_new(&placed, &bits(&[3, 4]), &'a').0);
		assert!(!memo.is_new(&placed, &bits(&[3, 4, 5]), &'a').0);
		assert!(memo.is_new(&placed, &bits(&[5]), &'a').0);
		assert!(memo.is_new(&placed, &bits(&[3]), &'a').0);
		// That one contains the last; two incomparable sets are left.
		assert_eq!(memo.is_new(&placed, &bits(&[3, 4]), &'a'), (false, 2));
		assert!(memo.is_new(&placed, &bits(&[3]), &'b').0);
		assert!(memo.is_new(&bits(&[2]), &bits(&[3]), &'a').0);
	}
}
