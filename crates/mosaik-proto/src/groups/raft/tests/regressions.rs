//! The named regressions of the design that the core alone can show. The number is
//! that of the list; those that are missing need a network, or what is above.

use {
	super::*,
	crate::groups::{
		config::ConfigChange,
		engine::{CoreEvent, ElectionPolicy, Hint, Rejected},
	},
};

fn elected(n: u64) -> Cluster {
	let mut cluster = Cluster::of(n);
	cluster.elect(1);
	cluster
}

/// The leader of five is gone, and the others are split two and two.
#[test]
fn r02_no_side_of_a_split_into_equal_halves_elects_and_afterwards_all_are_equal() {
	let mut settings = settings();
	settings.election_jitter = 500;
	let mut cluster = Cluster::with(5, settings);
	cluster.elect(1);
	cluster.propose(1);
	cluster.settle();
	cluster.propose(1);
	cluster.deliver(1, 2);
	cluster.crash(1);
	cluster.partition(&[2, 3], &[4, 5]);
	cluster.run(60_000);
	assert_eq!(cluster.leader(), None);
	let terms: Vec<Term> = (2..=5).map(|id| cluster.raft(id).term).collect();
	assert_eq!(terms, [1; 4], "nobody could have won, so nobody stood");
	cluster.heal();
	cluster.run(10_000);
	let leader = cluster.leader().expect("four of five are together");
	cluster.propose(leader);
	cluster.settle();
	cluster.assert_equal();
}

/// Messages of the same term that come late, doubled and in any order.
#[test]
fn r04_a_committed_prefix_is_never_cut_by_messages_that_come_late() {
	let mut raft = alone(1, 3, &[]);
	let all: Vec<Msg> = (3..9)
		.flat_map(|prev| {
			let prev = at(u64::from(prev > 3), prev);
			[
				append(1, prev, &[1], prev.index),
				append(1, prev, &[], prev.index),
			]
		})
		.collect();
	for msg in &all {
		tell(&mut raft, 2, msg.clone());
	}
	assert_eq!((raft.commit, raft.log.last()), (8, at(1, 9)));
	let log = raft.log.clone();
	for first in &all {
		for second in all.iter().rev() {
			tell(&mut raft, 2, first.clone());
			tell(&mut raft, 2, second.clone());
			assert_eq!((&raft.log, raft.commit, raft.applied), (&log, 8, 8));
		}
	}
	// A leader that would cut it is believed nothing.
	assert!(raft.step(m(3), append(2, at(1, 4), &[2], 4)).is_err());
	assert_eq!(raft.log, log);
}

/// Either of two dies. The follower: service goes on. The leader: nothing is
/// written any more, and nothing is lost.
#[test]
fn r05_of_two_members_the_leader_goes_on_alone_and_the_follower_does_not() {
	for dies in [1, 2] {
		let mut cluster = elected(2);
		for _ in 0..5 {
			cluster.propose(1);
			cluster.settle();
			cluster.assert_equal();
		}
		cluster.crash(dies);
		cluster.run(12_000);
		if dies == 2 {
			cluster.change(1, ConfigChange::Remove(m(2)));
			let pos = cluster.propose(1);
			assert_eq!(cluster.raft(1).applied, pos.index);
		} else {
			let refused = cluster.try_propose(2).unwrap_err();
			assert_eq!(refused.reason, Rejected::NotLeader { leader: None });
			assert_eq!(cluster.node(2).commands.len(), 5);
			cluster.restart(1);
			cluster.run(5_000);
			cluster.assert_equal();
		}
	}
}

#[test]
fn r07_there_are_never_two_leaders_in_a_term_though_two_do_not_hear_each_other() {
	let mut settings = settings();
	settings.election_jitter = 500;
	let mut cluster = Cluster::with(3, settings);
	cluster.partition(&[1], &[2]);
	// The claim is checked after every step.
	for _ in 0..20 {
		cluster.run(1_500);
		for id in [1, 2] {
			cluster.node(id).raft.hint(Hint::LeaderDeparting);
			cluster.pump(id);
		}
	}
	cluster.run(10_000);
	let leader = cluster.leader().expect("a majority hears one of them");
	let pos = cluster.propose(leader);
	cluster.settle();
	assert_eq!(cluster.raft(leader).commit, pos.index);
	assert_eq!(cluster.raft(3).commit, pos.index);
}

#[test]
fn r08_a_read_right_after_a_fail_over_sees_all_that_was_acknowledged_without_a_write() {
	for heir in [2, 3] {
		let mut cluster = elected(3);
		// The heir has the command and does not know that it is committed.
		cluster.lose(|_, _, msg| matches!(msg, Msg::Beat(_)));
		let acknowledged = cluster.propose(1);
		cluster.settle();
		assert_eq!(cluster.raft(1).applied, acknowledged.index);
		assert!(cluster.raft(heir).commit < acknowledged.index);
		cluster.crash(1);
		cluster.heal();
		cluster.elect(heir);
		cluster.read(heir, 1);
		cluster.settle();
		let [read] = cluster.node(heir).reads[..] else {
			panic!("it is answered");
		};
		assert!(read.index.unwrap() >= acknowledged.index);
		assert!(cluster.raft(heir).applied >= acknowledged.index);
		assert_eq!(cluster.node(heir).commands.len(), 1);
	}
}

/// Raft paper figure 8; `commit` has the other ending.
#[test]
fn r09_an_old_term_entry_on_a_majority_can_be_overwritten_and_is_not_committed() {
	let mut cluster = commit::figure_8();
	let old = at(2, 7);
	let have = (1..=3).filter(|&id| cluster.raft(id).log.contains(old));
	assert_eq!(have.count(), 3);
	assert!((1..=3).all(|id| cluster.raft(id).commit < old.index));
	cluster.crash(1);
	cluster.restart(5);
	cluster.heal();
	for voter in [2, 3, 4] {
		cluster
			.node(voter)
			.raft
			.set_election_policy(ElectionPolicy::Never);
	}
	cluster.run(10_000);
	cluster.restart(1);
	cluster.run(2_000);
	cluster.assert_equal();
	assert!((1..=5).all(|id| !cluster.raft(id).log.contains(old)));
}

/// It crashes before the write, after it and before the answer, and after both.
#[test]
fn r10_a_crash_around_a_vote_leaves_one_vote_per_term() {
	for written in [false, true] {
		let mut cluster = Cluster::of(3);
		cluster.node(1).by_hand = true;
		cluster.node(1).raft.step(m(2), vote(1, at(0, 3))).unwrap();
		cluster.pump(1);
		assert_eq!(cluster.link(1, 2), [], "it is not on disk");
		if written {
			cluster.write_one(1);
		}
		cluster.crash(1);
		cluster.restart(1);
		let answer = votes(&tell(&mut cluster.node(1).raft, 3, vote(1, at(0, 3))));
		// What did not leave and was not written never was.
		assert_eq!(answer, [(3, 1, !written)]);
	}
}

/// A volatile member comes back as another one, a learner: its old vote and its old
/// acknowledgments count for nobody.
#[test]
fn r10_a_member_without_its_storage_is_another_member() {
	let mut cluster = elected(3);
	cluster.propose(1);
	cluster.settle();
	cluster.crash(3);
	let reborn = cluster.add_learner(1, 33);
	assert!(reborn > 3);
	cluster.crash(2);
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.raft(reborn).log.last(), pos);
	assert!(
		cluster.raft(1).commit < pos.index,
		"the learner does not count"
	);
	cluster.restart(2);
	cluster.run(1_000);
	cluster.change(1, ConfigChange::Remove(m(3)));
	cluster.change(1, ConfigChange::Promote(m(reborn)));
	cluster.run(1_000);
	cluster.assert_equal();
}

#[test]
fn r11_a_restart_with_a_compacted_log_has_the_state_from_before_and_goes_on_counting() {
	for compacted in [4, 7, 9, 14] {
		let mut cluster = elected(3);
		for _ in 0..10 {
			cluster.propose(1);
		}
		cluster.run(500);
		let state = cluster.raft(2).log_state().clone();
		let commands = cluster.node(2).commands.clone();
		for id in 1..=3 {
			cluster.node(id).raft.compact(compacted);
			cluster.pump(id);
			cluster.crash(id);
		}
		for id in 1..=3 {
			cluster.restart(id);
			assert_eq!(cluster.raft(id).log.base().pos, at(1, compacted));
			assert_eq!(*cluster.raft(id).log_state(), state);
		}
		cluster.run(5_000);
		assert_eq!(cluster.node(2).commands, commands);
		let leader = cluster.leader().unwrap();
		let pos = cluster.propose(leader);
		assert_eq!(
			pos.index, 16,
			"ten commands and two that begin a term precede it"
		);
		cluster.settle();
		assert_eq!(cluster.raft(leader).log_state().seq, 11);
		cluster.assert_equal();
	}
}

/// The driver waits for a command by term and index; what takes its index is of
/// another term, and the loss is told.
#[test]
fn r12_every_command_of_a_deposed_leader_is_either_applied_where_it_was_or_dropped() {
	let mut cluster = elected(3);
	let mut waiting: Vec<LogPos> = Vec::new();
	waiting.push(cluster.propose(1));
	cluster.settle();
	// These two reach the heir, unacknowledged; the rest nobody.
	cluster.hold(|_, to, _| to == 1);
	waiting.extend([cluster.propose(1), cluster.propose(1)]);
	cluster.settle();
	cluster.isolate(1);
	waiting.extend([cluster.propose(1), cluster.propose(1), cluster.propose(1)]);
	cluster.elect_among(2, &[2, 3]);
	for _ in 0..9 {
		cluster.propose(2);
	}
	cluster.settle();
	cluster.heal();
	cluster.run(2_000);
	cluster.assert_equal();
	let raft = cluster.raft(1);
	let is_applied = |pos: &LogPos| raft.applied >= pos.index && raft.log.contains(*pos);
	let events = &cluster.nodes[&1].events;
	let is_dropped = |pos: &LogPos| {
		events.iter().any(|event| match event {
			CoreEvent::Dropped { from, to } => from <= pos && pos <= to,
			_ => false,
		})
	};
	let fates: Vec<_> = waiting
		.iter()
		.map(|pos| (is_applied(pos), is_dropped(pos)))
		.collect();
	let (happened, did_not) = ((true, false), (false, true));
	assert_eq!(
		fates,
		[happened, happened, happened, did_not, did_not, did_not]
	);
}

#[test]
fn r13_conflicting_tails_deeper_than_one_entry_are_repaired() {
	let leader: &[Term] = &[1, 1, 4, 4, 4];
	let followers: [&[Term]; 3] = [&[1, 2, 2, 2, 2, 2], &[1, 1, 3, 3], &[1, 2, 3]];
	for follower in followers {
		for limit in [1, 1 << 20] {
			let mut settings = settings();
			settings.max_append_bytes = limit;
			let mut cluster = Cluster::with_logs(settings, &[leader, follower, &[1]]);
			cluster.time_out(1);
			cluster.settle();
			assert_eq!(cluster.leader(), Some(1));
			cluster.run(1_000);
			cluster.assert_equal();
			assert_eq!(terms(cluster.raft(2)), [leader, &[5]].concat());
		}
	}
}

/// The half of the core: what is not taken is given back, what waits is bounded.
#[test]
fn r14_a_leader_without_a_majority_refuses_when_it_is_full_and_keeps_within_its_limits() {
	let mut settings = settings();
	settings.max_unapplied_bytes = 10_000;
	settings.max_reads = 50;
	settings.min_voters = 1;
	let mut cluster = Cluster::with(2, settings);
	cluster.elect(1);
	cluster.crash(2);
	let mut number = 0;
	let mut refused = 0;
	for _ in 0..10_000 {
		let batch = vec![command(1, number + 1)];
		match cluster.node(1).raft.propose(batch.clone()) {
			Ok(_) => number += 1,
			Err(error) => {
				assert_eq!((error.reason, error.given), (Rejected::Overloaded, batch));
				refused += 1;
			}
		}
		let read = crate::groups::engine::ReadToken(number);
		let _ = cluster.node(1).raft.read_index(read);
		cluster.pump(1);
	}
	assert!(refused > 9_000 && number > 0);
	let bytes: usize = cluster.raft(1).entries(4..=u64::MAX).map(Entry::size).sum();
	assert!(bytes <= 10_000);
	cluster.restart(2);
	cluster.run(2_000);
	assert_eq!(cluster.node(1).reads.len(), 50);
	cluster
		.node(1)
		.raft
		.propose(vec![command(1, number + 1)])
		.unwrap();
	cluster.pump(1);
	cluster.settle();
	cluster.assert_equal();
}

#[test]
fn r16_a_returning_member_does_not_depose_a_healthy_leader() {
	for away in [2_000, 20_000, 200_000] {
		let mut cluster = elected(3);
		cluster.isolate(3);
		for _ in 0..10 {
			cluster.propose(1);
		}
		cluster.run(away);
		cluster.heal();
		for _ in 0..20 {
			cluster.run(300);
			assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), 1));
		}
		cluster.assert_equal();
	}
}

/// The leader died, and all that is left of it is what it was sending.
#[test]
fn r16_what_a_dead_leader_was_sending_does_not_suppress_an_election() {
	let mut cluster = elected(3);
	cluster.node(3).fetch_by_hand = true;
	cluster.crash(3);
	for _ in 0..5 {
		cluster.propose(1);
	}
	cluster.settle();
	cluster.node(1).raft.compact(8);
	cluster.restart(3);
	cluster.node(3).fetch_by_hand = true;
	cluster.run(1_000);
	assert_eq!(cluster.node(3).fetches.len(), 1, "a snapshot is under way");
	cluster.crash(1);
	cluster.run(5_000);
	assert_eq!(cluster.leader(), Some(2), "it has what the other one lacks");
	cluster.run(3_000);
	cluster.assert_equal();
}
