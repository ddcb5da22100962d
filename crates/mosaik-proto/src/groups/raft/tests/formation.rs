//! Steps of a formation as a whole: which may follow which. Two formations cannot
//! absorb one another because of what is refused here.

use {
	super::*,
	crate::groups::{
		engine::Rejected,
		entry::FormationEntry::{self, *},
		state::Life,
		types::FormationId,
	},
};

fn propose(cluster: &mut Cluster, step: FormationEntry) -> Result<LogPos, Rejected> {
	let result = cluster.node(1).raft.propose_formation(step);
	cluster.pump(1);
	cluster.settle();
	result
}

fn yielding(attempt: u64) -> FormationEntry {
	let into = FormationId::from(7);
	Yielding { into, attempt }
}

fn absorb(attempt: u64) -> FormationEntry {
	let from = FormationId::from(8);
	Absorb { from, attempt }
}

fn dissolve(into: u128, attempt: u64) -> FormationEntry {
	let into = FormationId::from(into);
	Dissolve { into, attempt }
}

/// Takes the first steps, all of which are permitted, and then each of the others,
/// none of which is.
fn refuses(first: &[FormationEntry], others: &[FormationEntry]) -> Cluster {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	for step in first {
		propose(&mut cluster, *step).unwrap();
	}
	let last = cluster.raft(1).log.last();
	for step in others {
		assert_eq!(
			propose(&mut cluster, *step),
			Err(Rejected::NotPermitted),
			"{step:?}"
		);
	}
	assert_eq!(cluster.raft(1).log.last(), last);
	cluster.assert_equal();
	cluster
}

#[test]
fn a_formation_dissolves_only_by_the_attempt_that_is_active_and_into_its_target() {
	let aborted = YieldAborted { attempt: 1 };
	refuses(&[], &[dissolve(7, 1), aborted, yielding(0), yielding(2)]);
	refuses(
		&[yielding(1)],
		&[dissolve(7, 2), dissolve(8, 1), yielding(1), yielding(2)],
	);
	refuses(
		&[yielding(1), aborted],
		&[dissolve(7, 1), aborted, yielding(1)],
	);
	let second = [yielding(1), aborted, yielding(2)];
	let mut cluster = refuses(&second, &[dissolve(7, 1), aborted]);
	propose(&mut cluster, dissolve(7, 2)).unwrap();
	let into = FormationId::from(7);
	assert_eq!(cluster.raft(3).log_state().life, Life::Dissolved { into });
}

#[test]
fn a_formation_that_yields_absorbs_nobody_and_is_not_closed() {
	let cluster = refuses(&[absorb(1), yielding(1)], &[absorb(1), absorb(2), Close]);
	assert!(
		cluster.raft(2).log_state().is_open(),
		"commands and members go on"
	);
	let aborted = YieldAborted { attempt: 1 };
	let mut cluster = refuses(&[yielding(1), aborted], &[]);
	propose(&mut cluster, absorb(1)).unwrap();
}

#[test]
fn nothing_follows_the_end() {
	let all = [
		yielding(1),
		yielding(2),
		absorb(1),
		dissolve(7, 1),
		dissolve(7, 2),
		Close,
	];
	for end in [&[Close][..], &[yielding(1), dissolve(7, 1)]] {
		let mut cluster = refuses(end, &all);
		let refused = cluster.try_propose(1).unwrap_err();
		assert_eq!(refused.reason, Rejected::NotPermitted);
	}
}

/// Steps survive a change of leader like anything else, and attempts go on counting.
#[test]
fn attempts_are_counted_over_changes_of_leader() {
	let mut cluster = refuses(&[yielding(1)], &[]);
	cluster.elect(2);
	let raft = &mut cluster.node(2).raft;
	assert_eq!(
		raft.propose_formation(yielding(2)),
		Err(Rejected::NotPermitted)
	);
	raft.propose_formation(YieldAborted { attempt: 1 }).unwrap();
	raft.propose_formation(yielding(2)).unwrap();
	cluster.pump(2);
	cluster.settle();
	assert_eq!(cluster.raft(3).log_state().attempts, 2);
	cluster.assert_equal();
}

/// No change of members can follow the end of a formation: a leader that cannot
/// commit it must not go on as if it could still remove who is silent.
#[test]
fn a_leader_that_cannot_commit_the_end_steps_down() {
	let mut cluster = Cluster::of(2);
	cluster.elect(1);
	propose(&mut cluster, yielding(1)).unwrap();
	cluster.crash(2);
	propose(&mut cluster, dissolve(7, 1)).unwrap();
	assert_eq!(cluster.leader(), Some(1));
	cluster.run(3 * settings().election_timeout);
	assert_eq!(cluster.leader(), None);
}
