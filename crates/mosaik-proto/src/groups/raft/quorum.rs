//! What a majority is and what it agrees on.

use crate::groups::{config::MAX_VOTERS, mutants::mutant};

/// How many of `voters` are more than half.
pub fn majority(voters: usize) -> usize {
	let more = usize::from(!mutant!(QuorumOffByOne) || voters < 2);
	voters / 2 + more
}

/// The largest value that a majority has reached: the commit index of match
/// indices, the confirmed round of acknowledged rounds.
///
/// Takes one value per voter, at most [`MAX_VOTERS`]; without any it is 0.
pub fn reached(values: impl Iterator<Item = u64>) -> u64 {
	let mut sorted = [0; MAX_VOTERS];
	let mut voters = 0;
	for (slot, value) in sorted.iter_mut().zip(values) {
		*slot = value;
		voters += 1;
	}
	let sorted = &mut sorted[..voters];
	if !mutant!(CommitUnsortedMatches) {
		sorted.sort_unstable_by(|a, b| b.cmp(a));
	}
	let nth = majority(voters).saturating_sub(1);
	sorted.get(nth).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
	use {super::*, proptest::prelude::*};

	#[test]
	fn a_majority_is_more_than_half() {
		let majorities: Vec<usize> = (1..=7).map(majority).collect();
		assert_eq!(majorities, [1, 2, 2, 3, 3, 4, 4]);
	}

	proptest! {
		/// By definition: the largest of the values such that more than half of
		/// the voters are at least there.
		#[test]
		fn reached_is_what_counting_says(values in prop::collection::vec(0..20u64, 1..=MAX_VOTERS)) {
			let counted = |value: u64| values.iter().filter(|&&other| other >= value).count();
			let brute = values.iter().copied().filter(|&value| counted(value) * 2 > values.len()).max();
			prop_assert_eq!(reached(values.iter().copied()), brute.unwrap());
		}

		/// Any two majorities of voter sets that differ by one voter meet.
		#[test]
		fn majorities_of_neighbouring_configurations_overlap(n in 1..MAX_VOTERS) {
			prop_assert!(majority(n) + majority(n + 1) > n + 1);
			prop_assert!(majority(n) * 2 > n);
		}
	}
}
