//! How patient a member is and how much it may have under way.

use super::types::Ticks;

/// Tuning of the core. Safety holds for any values, of any mixture of members;
/// times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
	/// How often a leader shows that it lives. Default: 250.
	pub heartbeat: Ticks,
	/// The shortest silence after which a member stands for election; several
	/// heartbeats. Default: 1,000.
	pub election_timeout: Ticks,
	/// How much is added to it at random, so that members do not stand at the
	/// same time. Default: 500.
	pub election_jitter: Ticks,
	/// After how many idle heartbeats a group falls silent, with all members
	/// matched; 0: never. Default: 3.
	pub quiesce_after: u8,
	/// The fewest voters that removals may leave. Default: 1.
	pub min_voters: usize,
	/// The most bytes of entries in one message; one entry may exceed it.
	/// Default: 1 MiB.
	pub max_append_bytes: usize,
	/// The most unacknowledged appends per member. Default: 64.
	pub max_inflight: usize,
	/// The most unacknowledged bytes per member. Default: 4 MiB.
	pub max_inflight_bytes: usize,
	/// The most bytes that are appended and not applied: a leader's proposals beyond
	/// are `Overloaded`, and a follower that has so much to apply takes nothing new.
	/// Default: 64 MiB.
	pub max_unapplied_bytes: usize,
	/// The most strong reads that wait; further ones are `Overloaded`.
	/// Default: 4,096.
	pub max_reads: usize,
}

impl Default for Settings {
	fn default() -> Self {
		Self {
			heartbeat: 250,
			election_timeout: 1_000,
			election_jitter: 500,
			quiesce_after: 3,
			min_voters: 1,
			max_append_bytes: 1 << 20,
			max_inflight: 64,
			max_inflight_bytes: 4 << 20,
			max_unapplied_bytes: 64 << 20,
			max_reads: 4_096,
		}
	}
}
