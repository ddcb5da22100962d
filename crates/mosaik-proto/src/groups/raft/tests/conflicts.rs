//! Logs that differ, and how they become equal: §3.5, §5.3 of the paper.

use {super::*, crate::groups::engine::CoreEvent};

fn dropped(cluster: &mut Cluster, id: u64) -> Vec<(LogPos, LogPos)> {
	let events = std::mem::take(&mut cluster.node(id).events);
	let dropped = events.into_iter().filter_map(|event| match event {
		CoreEvent::Dropped { from, to } => Some((from, to)),
		_ => None,
	});
	dropped.collect()
}

/// Two leaders in turn wrote to themselves; the third has neither's entries.
#[test]
fn tails_of_many_entries_are_replaced() {
	for (a, b) in [(1, 5), (5, 1), (7, 7), (40, 3)] {
		let mut cluster = Cluster::of(3);
		cluster.elect(1);
		cluster.isolate(1);
		for _ in 0..a {
			cluster.propose(1);
		}
		cluster.elect_among(2, &[2, 3]);
		for _ in 0..b {
			cluster.propose(2);
		}
		cluster.settle();
		cluster.heal();
		cluster.run(2_000);
		cluster.assert_equal();
		assert_eq!(cluster.node(1).commands.len(), b);
	}
}

/// The driver is told exactly what did not happen, so that each command's fate is
/// known.
#[test]
fn what_is_dropped_is_told_with_its_place() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	let kept = cluster.propose(1);
	cluster.settle();
	cluster.isolate(1);
	let lost: Vec<LogPos> = (0..3).map(|_| cluster.propose(1)).collect();
	cluster.elect_among(2, &[2, 3]);
	cluster.heal();
	dropped(&mut cluster, 1);
	cluster.run(2_000);
	assert_eq!(dropped(&mut cluster, 1), [(lost[0], lost[2])]);
	assert!(cluster.raft(1).log.contains(kept));
	assert_eq!(dropped(&mut cluster, 2), []);
}

/// Every pair of short logs that two elections can leave, by brute force: the
/// leader's wins, and what both have in front stays.
#[test]
fn any_two_logs_become_the_leaders() {
	let mut logs: Vec<Vec<Term>> = vec![Vec::new()];
	for length in 0..5 {
		let longer: Vec<Vec<Term>> = logs
			.iter()
			.filter(|log| log.len() == length)
			.flat_map(|log| {
				let least = log.last().copied().unwrap_or(1);
				(least..=3).map(|term| [log.as_slice(), &[term]].concat())
			})
			.collect();
		logs.extend(longer);
	}
	for leader in logs.iter().filter(|log| log.len() == 4) {
		for follower in &logs {
			// In one term there was one leader, with one log.
			let agree = leader.iter().zip(follower).rposition(|(a, b)| a == b);
			if agree.is_some_and(|last| leader[..=last] != follower[..=last]) {
				continue;
			}
			let mut raft = alone(1, 2, follower);
			let all = append(9, at(0, 2), &[leader.as_slice(), &[9]].concat(), 2);
			let mut sent = tell(&mut raft, 2, append(9, at(leader[3], 6), &[9], 2));
			let mut leads = alone(2, 2, leader);
			for _ in 0..6 {
				let [AppendOutcome::Conflict { prev, hint }] = outcomes(&sent)[..] else {
					break;
				};
				let agreed = leads.log.last_before(hint.index, hint.term);
				let prev = at(
					leads.log.term_at(agreed.index.min(prev - 1)).unwrap(),
					agreed.index.min(prev - 1),
				);
				let rest = [&leader[usize::try_from(prev.index - 2).unwrap()..], &[9]].concat();
				sent = tell(&mut raft, 2, append(9, prev, &rest, 2));
			}
			assert_eq!(
				outcomes(&sent),
				[AppendOutcome::Matched(7)],
				"{leader:?} {follower:?}"
			);
			tell(&mut leads, 1, all);
			assert!(raft.entries(0..=99).eq(leads.entries(0..=99)));
			assert_eq!(raft.log_state(), leads.log_state());
		}
	}
}

/// What a log says of the formation goes with its entries.
#[test]
fn sessions_and_numbers_are_those_of_the_log_that_is_left() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.propose(1);
	cluster.settle();
	cluster.isolate(1);
	cluster.propose(1);
	cluster.propose(1);
	assert_eq!(cluster.raft(1).log_state().seq, 3);
	cluster.elect_among(2, &[2, 3]);
	cluster.heal();
	cluster.run(1_000);
	let state = cluster.raft(1).log_state();
	assert_eq!((state.seq, state.sessions[&m(1)].last), (1, 1));
	cluster.assert_equal();
}

/// §3.6: a follower's log that is longer is cut only where it differs.
#[test]
fn a_longer_log_that_agrees_is_not_cut_by_a_message_that_was_overtaken() {
	let mut raft = alone(1, 3, &[1, 1, 1, 1]);
	tell(&mut raft, 2, append(1, at(1, 4), &[1], 3));
	assert_eq!(terms(&raft), [1, 1, 1, 1]);
}
