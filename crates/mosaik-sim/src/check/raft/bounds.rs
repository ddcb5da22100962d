//! What of a formation is explored.

use mosaik_proto::groups::types::{LogIndex, Term};

/// How members reach one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
	/// What was sent once can arrive at any later time, any number of times, in any
	/// order, or never.
	Repeating,
	/// The same, but at most once.
	Once,
	/// Elections and the copying of a whole log are one step each, with whoever can
	/// be reached; see `calls`.
	Calls,
}

/// What is explored. Whatever is not bounded here is unbounded.
#[derive(Clone, Debug)]
pub struct Bounds {
	/// How many founders vote; they have the ids from 1.
	pub voters: u64,
	/// How many founders do not vote; they have the ids after those.
	pub learners: u64,
	/// How members reach one another.
	pub network: Network,
	/// Whether the first member leads in term 1, with everything committed, at
	/// first. As the voters are alike, nothing is lost by it.
	pub is_led: bool,
	/// Members that ended before everything else; counted by id.
	pub dead: &'static [u64],
	/// Nobody stands in a later term.
	pub terms: Term,
	/// Nobody proposes where the log after the genesis is this long.
	pub log: LogIndex,
	/// Whether clients hand in commands.
	pub commands: bool,
	/// Whether a client hands one and the same command to any leader, again and
	/// again.
	pub resends: bool,
	/// Whether leadership is handed over.
	pub transfers: bool,
	/// How many members there can be, if learners join.
	pub joins_up_to: usize,
	/// Whether learners are promoted.
	pub promotes: bool,
	/// Down to how many voters members are removed, the leader included; 0: not.
	pub removes_down_to: usize,
	/// How often a process ends and starts again with its disk.
	pub restarts: u8,
	/// How often a process ends for ever.
	pub losses: u8,
	/// How many strong reads are asked.
	pub reads: u64,
	/// Whether heartbeats are due.
	pub beats: bool,
	/// Whether a pre-vote comes before a vote; otherwise every pre-vote is won.
	pub pre_votes: bool,
	/// Whether leaders step down for silence.
	pub steps_down: bool,
	/// How many writes of a member are under way at most; 0: each is done as it
	/// is begun.
	pub writes: usize,
	/// Whether a message, or a call, carries one entry at most.
	pub single_entries: bool,
	/// Whether the rules of configuration changes are judged, or only what comes
	/// of breaking them.
	pub judges_changes: bool,
}

impl Default for Bounds {
	fn default() -> Self {
		Self {
			voters: 3,
			learners: 0,
			network: Network::Repeating,
			is_led: false,
			dead: &[],
			terms: 2,
			log: 3,
			commands: false,
			resends: false,
			transfers: false,
			joins_up_to: 0,
			promotes: false,
			removes_down_to: 0,
			restarts: 0,
			losses: 0,
			reads: 0,
			beats: false,
			pre_votes: false,
			steps_down: false,
			writes: 0,
			single_entries: false,
			judges_changes: true,
		}
	}
}
