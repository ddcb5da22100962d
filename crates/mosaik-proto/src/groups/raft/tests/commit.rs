//! What is committed, and when: §3.5, §3.6.2.

use super::*;

/// A leader of `n` in term 1 with this many own entries after that of its term.
fn leader(n: u64, commands: u64) -> Raft {
	let mut raft = alone(1, n, &[]);
	make_leader(&mut raft);
	for number in 1..=commands {
		raft.propose(vec![command(1, number)]).unwrap();
	}
	drain(&mut raft);
	raft
}

/// §3.5: "A log entry is committed once the leader that created the entry has
/// replicated it on a majority of the servers."
#[test]
fn an_entry_is_committed_once_a_majority_has_it() {
	for n in 1..=7 {
		let mut raft = leader(n, 1);
		let last = n + 2;
		for have in 2..=n {
			assert_eq!(raft.commit == last, have - 1 > n / 2, "{} of {n}", have - 1);
			tell(&mut raft, have, matched(1, last));
		}
		assert_eq!(raft.commit, last);
	}
}

/// §3.5: "This also commits all preceding entries in the leader's log, including
/// entries created by previous leaders."
#[test]
fn all_entries_before_a_committed_one_are_committed() {
	let mut raft = alone(1, 3, &[1, 2, 2]);
	make_leader(&mut raft);
	assert_eq!(raft.commit, 3);
	raft.step(m(2), matched(3, 7)).unwrap();
	assert_eq!(raft.commit, 7);
	assert_eq!(drain(&mut raft).apply, Some(4..=7));
}

/// §3.6.2: "Raft never commits log entries from previous terms by counting
/// replicas. Only log entries from the leader's current term are committed by
/// counting replicas."
#[test]
fn entries_of_previous_terms_are_not_committed_by_counting() {
	let mut raft = alone(1, 3, &[1, 2]);
	make_leader(&mut raft);
	for index in [3, 4, 5] {
		tell(&mut raft, 2, matched(3, index));
		tell(&mut raft, 3, matched(3, index));
		assert_eq!(raft.commit, 3, "all three have {index}");
	}
	tell(&mut raft, 3, matched(3, 6));
	assert_eq!(raft.commit, 6);
}

/// §3.5: the commit index is what a majority has reached, each on its own way.
#[test]
fn the_commit_index_is_what_a_majority_has_reached() {
	let mut raft = leader(5, 4);
	for (from, index, commit) in [
		(2, 8, 5),
		(3, 7, 7),
		(4, 10, 8),
		(5, 9, 9),
		(3, 6, 9),
		(2, 10, 10),
	] {
		tell(&mut raft, from, matched(1, index));
		assert_eq!(raft.commit, commit, "{from} has {index}");
	}
}

/// §3.5: "Once a follower learns that a log entry is committed, it applies the
/// entry to its local state machine (in log order)."
#[test]
fn a_follower_applies_what_it_learns_is_committed_in_order_and_once() {
	let mut raft = alone(1, 3, &[]);
	let mut applied = Vec::new();
	for (index, commit) in [(4, 3), (5, 5), (6, 5), (7, 7)] {
		raft.step(
			m(2),
			append(1, at(u64::from(index > 4), index - 1), &[1], commit),
		)
		.unwrap();
		applied.extend(drain(&mut raft).apply.into_iter().flatten());
	}
	assert_eq!(applied, [4, 5, 6, 7]);
}

/// Figure 3.1: "set commitIndex = min(leaderCommit, index of last new entry)":
/// what comes after it may be another leader's.
#[test]
fn a_follower_commits_no_further_than_the_logs_were_compared() {
	let mut raft = alone(1, 3, &[1, 1, 1]);
	tell(&mut raft, 2, append(2, at(1, 4), &[], 6));
	assert_eq!(raft.commit, 4);
	tell(&mut raft, 2, append(2, at(1, 4), &[1], 9));
	assert_eq!(raft.commit, 5);
	tell(&mut raft, 2, append(2, at(9, 9), &[], 9));
	assert_eq!(raft.commit, 5);
}

#[test]
fn the_commit_index_never_goes_back() {
	let mut raft = alone(1, 3, &[]);
	tell(&mut raft, 2, append(1, at(0, 3), &[1, 1], 5));
	tell(&mut raft, 2, append(1, at(1, 5), &[1], 4));
	assert_eq!(raft.commit, 5);
}

/// §10.2.1: the leader "may even commit an entry before it has been written to its
/// own disk, if a majority of followers have written it", and not otherwise.
#[test]
fn the_leader_counts_itself_once_its_own_write_is_done() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.node(1).by_hand = true;
	let pos = cluster.propose(1);
	cluster.deliver(1, 2);
	cluster.deliver(2, 1);
	assert_eq!(
		cluster.raft(1).commit,
		pos.index - 1,
		"one of three has written it"
	);
	cluster.deliver(1, 3);
	cluster.deliver(3, 1);
	assert_eq!(cluster.raft(1).commit, pos.index, "two others have");
	assert_eq!(
		cluster.raft(1).applied,
		pos.index - 1,
		"a restart would be behind"
	);
	cluster.persist(1);
	assert_eq!(cluster.raft(1).applied, pos.index);
}

#[test]
fn a_lone_voter_commits_when_its_write_is_done() {
	let mut cluster = Cluster::of(1);
	cluster.node(1).by_hand = true;
	let pos = cluster.propose(1);
	assert_eq!(cluster.raft(1).commit, pos.index - 1);
	cluster.persist(1);
	assert_eq!(cluster.raft(1).applied, pos.index);
}

/// A read on any replica right after a command should see it.
#[test]
fn followers_learn_of_a_commit_without_waiting_for_a_heartbeat() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.propose(1);
	cluster.settle();
	cluster.assert_equal();
}

/// §3.5: commands are answered when a majority has them; "slow or crashed
/// followers" need not.
#[test]
fn a_minority_of_crashed_followers_does_not_keep_from_committing() {
	let mut cluster = Cluster::of(5);
	cluster.elect(1);
	cluster.crash(4);
	cluster.crash(5);
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.raft(1).commit, pos.index);
	cluster.crash(3);
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.raft(1).commit, pos.index - 1);
}

/// Figure 3.7 (paper figure 8) up to (c): an entry of term 2 is on a majority, in
/// term 4. `S5` has another one of term 3 in its place.
pub(super) fn figure_8() -> Cluster {
	let mut settings = settings();
	settings.max_append_bytes = 1;
	let log: &[Term] = &[1];
	let mut cluster = Cluster::with_logs(settings, &[log; 5]);
	// (a) S1 leads in term 2 and gives its entry to S2 alone.
	cluster.lose(|_, to, msg| to > 2 && matches!(msg, Msg::Append(_)));
	cluster.elect(1);
	assert_eq!(terms(cluster.raft(2)), [1, 2]);
	cluster.crash(1);
	// (b) S5 leads in term 3 by the votes of S3 and S4 and keeps its entry to itself.
	cluster.crash(2);
	cluster.lose(|from, _, msg| from == 5 && matches!(msg, Msg::Append(_)));
	cluster.elect_among(5, &[3, 4, 5]);
	assert_eq!(terms(cluster.raft(5)), [1, 3]);
	cluster.crash(5);
	// (c) S1 leads in term 4 and goes on with its entry.
	cluster.heal();
	cluster.restart(1);
	cluster.restart(2);
	cluster.hold(|from, _, msg| from == 1 && matches!(msg, Msg::Append(_)));
	while cluster.leader() != Some(1) {
		cluster.time_out(1);
		cluster.settle();
	}
	assert_eq!(cluster.raft(1).term, 4);
	cluster.deliver(1, 2);
	cluster.deliver(2, 1);
	cluster.deliver(1, 3);
	cluster.deliver(3, 1);
	cluster.deliver(1, 3);
	cluster.deliver(3, 1);
	assert_eq!(terms(cluster.raft(1)), [1, 2, 4]);
	assert_eq!(terms(cluster.raft(3)), [1, 2]);
	cluster
}

/// Figure 3.7 (c), (d).
#[test]
fn an_old_entry_on_a_majority_is_not_committed_and_can_be_overwritten() {
	let mut cluster = figure_8();
	assert!(cluster.raft(1).commit < 7, "three of five have it");
	cluster.crash(1);
	cluster.restart(5);
	cluster.heal();
	for voter in [2, 3, 4] {
		let never = crate::groups::engine::ElectionPolicy::Never;
		cluster.node(voter).raft.set_election_policy(never);
	}
	cluster.run(10_000);
	assert_eq!(cluster.leader(), Some(5));
	cluster.restart(1);
	cluster.run(2_000);
	cluster.assert_equal();
	assert_eq!(terms(cluster.raft(1))[..2], [1, 3]);
}

/// Figure 3.7 (e): with an entry of its own term on a majority all is committed,
/// and S5 cannot win.
#[test]
fn an_entry_of_the_own_term_on_a_majority_commits_the_old_ones_for_ever() {
	let mut cluster = figure_8();
	cluster.deliver(1, 3);
	cluster.deliver(3, 1);
	assert_eq!(cluster.raft(1).commit, 8);
	cluster.heal();
	cluster.crash(1);
	cluster.restart(5);
	for voter in [2, 3, 4] {
		let never = crate::groups::engine::ElectionPolicy::Never;
		cluster.node(voter).raft.set_election_policy(never);
	}
	cluster.run(10_000);
	assert_eq!(cluster.leader(), None);
	let normal = crate::groups::engine::ElectionPolicy::Normal;
	cluster.node(3).raft.set_election_policy(normal);
	cluster.run(10_000);
	assert_eq!(cluster.leader(), Some(3));
	cluster.restart(1);
	cluster.run(2_000);
	cluster.assert_equal();
	assert_eq!(terms(cluster.raft(5))[..3], [1, 2, 4]);
}
