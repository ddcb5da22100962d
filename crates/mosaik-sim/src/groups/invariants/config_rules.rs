//! Rules (i) to (iii) of every change of voters: one voter in or out per entry,
//! after the previous configuration is committed, and after the leader has
//! committed an entry of its own term (dissertation §4.1 and §4.3; Ongaro's
//! correction of 2015; design §2.4).

use {
	super::{Check, broken, log_matching::LogMatching},
	mosaik_proto::groups::{
		engine::{RoleKind, Status},
		entry::{Entry, EntryKind},
		types::{LogPos, MemberId, Term},
	},
};

/// A configuration is in a log for the first time, after `prev`: that of the leader
/// that appended it. `commit_term` is the term of its last committed entry.
///
/// # Errors
/// When a rule is broken.
pub fn check(
	member: MemberId,
	status: &Status,
	commit_term: Option<Term>,
	logs: &LogMatching,
	prev: LogPos,
	entry: &Entry,
) -> Check {
	let EntryKind::Config(config) = &entry.kind else {
		return Ok(());
	};
	let Some((old, old_index)) = logs.config_at(prev) else {
		return Ok(());
	};
	let pos = entry.pos;
	let changed = old.voters.symmetric_difference(&config.voters).count();
	if changed == 0 {
		return Ok(());
	}
	let leads = status.role == RoleKind::Leader && status.term == pos.term;
	let broken_rule = if changed > 1 {
		"(i): more than one voter changed"
	} else if leads && old_index > status.commit {
		"(ii): the previous configuration is not committed"
	} else if leads && commit_term != Some(pos.term) {
		"(iii): no entry of the term is committed"
	} else {
		return Ok(());
	};
	broken(
		"config rules",
		format!("{member} appended {pos:?} against rule {broken_rule}"),
	)
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{at, config, genesis, id, noop, status},
	};

	#[test]
	fn voters_change_one_at_a_time_and_when_it_is_time() {
		let mut logs = LogMatching::default();
		logs.found(&genesis(3));
		logs.entry(id(1), at(3, 0), &noop(4, 2)).unwrap();
		let mut leader = status(2, 5);
		leader.role = RoleKind::Leader;
		leader.commit = 4;
		let two = config(5, 2, &[1, 2]);
		let check = |status: &Status, own: Option<Term>, entry: &Entry| {
			check(id(1), status, own, &logs, at(4, 2), entry).is_ok()
		};
		assert!(check(&leader, Some(2), &two));
		let other = config(5, 2, &[1]);
		assert!(!check(&leader, Some(2), &other));
		assert!(!check(&leader, Some(1), &two));
		leader.commit = 2;
		assert!(!check(&leader, Some(2), &two));
		// What leaves the voters as they are is free.
		assert!(check(&leader, Some(1), &config(5, 2, &[1, 2, 3])));
	}
}
