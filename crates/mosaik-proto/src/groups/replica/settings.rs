//! Tuning of a replica.

use crate::groups::{
	formation::{Bootstrap, merge::Patience},
	membership::autopilot::Policy,
	settings::Settings,
	types::{LeadershipPreference, Ticks},
};

/// See the module. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
	/// Tuning of the engine.
	pub raft: Settings,
	/// Who votes and who is removed.
	pub policy: Policy,
	/// Who may found the group.
	pub bootstrap: Bootstrap,
	/// How much this node wants to lead.
	pub preference: LeadershipPreference,
	/// How long to look for a formation before founding one. Default: 1,000.
	pub bootstrap_delay: Ticks,
	/// How long there may be no leader and no majority in reach before the quorum
	/// counts as lost. Default: 30,000.
	pub quorum_lost_after: Ticks,
	/// After how long without an answer commands and reads are sent again.
	/// Default: 1,000.
	pub forward_timeout: Ticks,
	/// How long a member that cannot leave tries to. Longer than it takes to remove
	/// who is dead. Default: 15,000.
	pub leave_patience: Ticks,
	/// The most commands of this node that wait to be committed, and the most calls to
	/// leave. Default: 4,096.
	pub max_pending: usize,
	/// The most bytes of them. Default: 8 MiB.
	pub max_pending_bytes: usize,
	/// The most strong reads of this node that wait. Default: 4,096.
	pub max_reads: usize,
}

impl Default for ReplicaSettings {
	fn default() -> Self {
		Self {
			raft: Settings::default(),
			policy: Policy::default(),
			bootstrap: Bootstrap::default(),
			preference: LeadershipPreference::default(),
			bootstrap_delay: 1_000,
			quorum_lost_after: 30_000,
			forward_timeout: 1_000,
			leave_patience: 15_000,
			max_pending: 4_096,
			max_pending_bytes: 8 << 20,
			max_reads: 4_096,
		}
	}
}

impl ReplicaSettings {
	/// How patient a merge of formations is.
	pub const fn patience(&self) -> Patience {
		Patience {
			ask_every: self.raft.election_timeout,
			attempt: self.raft.election_timeout * 10,
			pause_max: self.raft.election_timeout * 10,
		}
	}
}
