//! How many members should vote.

use crate::groups::config::{Config, MAX_VOTERS};

/// The number of voters that a formation of so many eligible members aims at: the
/// largest odd one up to `max_voters`, but two where there are two. An even number
/// tolerates no more failures than the odd one below it; with two, the leader can
/// shed a dead follower by itself, and no single crash loses anything.
pub const fn target(eligible: usize, max_voters: usize) -> usize {
	let limit = if max_voters < MAX_VOTERS {
		max_voters
	} else {
		MAX_VOTERS
	};
	let voters = if eligible < limit { eligible } else { limit };
	match voters {
		0 => 1,
		2 => 2,
		odd if odd % 2 == 1 => odd,
		even => even - 1,
	}
}

/// Whether a member that does not vote has to wait for a seat, or will never take
/// one: then it is all that it can be for now.
pub fn is_settled(config: &Config, max_voters: usize) -> bool {
	let eligible = config
		.members
		.values()
		.filter(|info| info.preference.may_vote());
	config.voters.len() >= target(eligible.count(), max_voters)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn seats_are_odd_except_for_two() {
		let seats: Vec<usize> = (1..=8).map(|eligible| target(eligible, 5)).collect();
		assert_eq!(seats, [1, 2, 3, 3, 5, 5, 5, 5]);
		assert_eq!(target(9, 4), 3);
		assert_eq!(target(100, 99), MAX_VOTERS);
	}
}
