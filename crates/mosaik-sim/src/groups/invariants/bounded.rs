//! What waits in a core is bounded, whatever the network and the disk do (design
//! §2.10, group commit limits; §4.7).

use {
	super::{Check, broken},
	mosaik_proto::groups::raft::Load,
};

/// The most messages that wait for a write.
pub const MAX_HELD: usize = 1_024;
/// The most writes under way.
pub const MAX_WRITES: usize = 1_024;
/// The most appends under way to a member.
pub const MAX_INFLIGHT: usize = 64;
/// The most reads that wait.
pub const MAX_READS: usize = 4_096;

/// How much waits in a core.
///
/// # Errors
/// When it is too much.
pub fn check(load: Load) -> Check {
	let is_bounded = load.held <= MAX_HELD
		&& load.writes <= MAX_WRITES
		&& load.inflight <= MAX_INFLIGHT
		&& load.reads <= MAX_READS;
	if is_bounded {
		return Ok(());
	}
	broken("bounded", format!("{load:?}"))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_queue_that_grows_is_found_out() {
		let load = Load::default();
		assert!(check(load).is_ok());
		let held = MAX_HELD + 1;
		assert!(check(Load { held, ..load }).is_err());
		let inflight = MAX_INFLIGHT + 1;
		assert!(check(Load { inflight, ..load }).is_err());
	}
}
