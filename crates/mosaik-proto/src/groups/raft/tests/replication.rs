//! Log replication: §3.5.

use {
	super::*,
	crate::groups::engine::{Rejected, RoleKind},
};

/// A leader of three in term 1 at whose log the others match.
fn leader() -> Raft {
	let mut raft = alone(1, 3, &[]);
	make_leader(&mut raft);
	for from in [2, 3] {
		tell(&mut raft, from, matched(1, 4));
	}
	raft
}

fn appends(sent: &[(MemberId, Msg)]) -> Vec<(u64, LogPos, Vec<Term>, LogIndex)> {
	let appends = sent.iter().filter_map(|(to, msg)| match msg {
		Msg::Append(append) => {
			let terms = append.entries.iter().map(|entry| entry.pos.term).collect();
			Some((to.get(), append.prev, terms, append.commit))
		}
		_ => None,
	});
	appends.collect()
}

/// §3.5: "The leader appends the command to its log as a new entry, then issues
/// AppendEntries RPCs in parallel to each of the other servers."
#[test]
fn a_command_is_appended_and_sent_to_all_others() {
	let mut raft = leader();
	let proposed = raft.propose(vec![command(1, 1), command(1, 2)]).unwrap();
	assert_eq!(proposed.pos, Some(at(1, 5)));
	assert_eq!(
		(proposed.seq_end, proposed.appended, proposed.duplicates),
		(2, 2, 0)
	);
	let sent = drain(&mut raft).send;
	let expected = [(2, at(1, 4), vec![1], 4), (3, at(1, 4), vec![1], 4)];
	assert_eq!(appends(&sent), expected);
}

/// §3.5: each entry has the term in which the leader received it, and an index.
#[test]
fn an_entry_has_the_term_of_its_leader_and_the_next_index() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	assert_eq!(cluster.propose(1), at(1, 5));
	cluster.settle();
	cluster.elect(2);
	assert_eq!(cluster.propose(2), at(2, 7));
	assert_eq!(cluster.propose(2), at(2, 8));
}

/// §6.2: a server that does not lead rejects, and says who does.
#[test]
fn a_follower_rejects_commands_and_names_the_leader() {
	let mut cluster = Cluster::of(3);
	let refused = cluster.try_propose(2).unwrap_err();
	assert_eq!(refused.reason, Rejected::NotLeader { leader: None });
	assert_eq!(refused.given.len(), 1, "what was handed in comes back");
	cluster.elect(1);
	let refused = cluster.try_propose(2).unwrap_err();
	assert_eq!(refused.reason, Rejected::NotLeader { leader: Some(m(1)) });
}

/// §3.5: "the leader includes the index and term of the entry in its log that
/// immediately precedes the new entries. If the follower does not find an entry in
/// its log with the same index and term, then it refuses the new entries."
#[test]
fn a_follower_refuses_entries_that_do_not_follow_its_log() {
	let mut raft = alone(1, 3, &[1, 1, 2]);
	for prev in [at(3, 6), at(2, 7), at(1, 6)] {
		let sent = tell(&mut raft, 2, append(3, prev, &[3], 3));
		let [AppendOutcome::Conflict { prev: refused, .. }] = outcomes(&sent)[..] else {
			panic!("{prev:?}: {sent:?}");
		};
		assert_eq!(refused, prev.index);
		assert_eq!(terms(&raft), [1, 1, 2]);
	}
	let sent = tell(&mut raft, 2, append(3, at(2, 6), &[3], 3));
	assert_eq!(outcomes(&sent), [AppendOutcome::Matched(7)]);
	assert_eq!(terms(&raft), [1, 1, 2, 3]);
}

/// §3.5, figure 3.1: "If an existing entry conflicts with a new one (same index but
/// different terms), delete the existing entry and all that follow it; append any
/// new entries not already in the log."
#[test]
fn conflicting_entries_are_deleted_and_others_kept() {
	let cases: [(LogPos, &[Term], &[Term]); 5] = [
		(at(1, 5), &[3], &[1, 1, 3]),
		(at(1, 4), &[1, 3], &[1, 1, 3]),
		(at(0, 3), &[1, 1, 2, 2], &[1, 1, 2, 2]),
		// Nothing that was sent conflicts: a message that was overtaken.
		(at(1, 4), &[1], &[1, 1, 2]),
		(at(2, 6), &[], &[1, 1, 2]),
	];
	for (prev, sent, expected) in cases {
		let mut raft = alone(1, 3, &[1, 1, 2]);
		tell(&mut raft, 2, append(3, prev, sent, 3));
		assert_eq!(terms(&raft), expected, "{sent:?} after {prev:?}");
	}
}

/// §3.5: acknowledged is up to where the logs are known to be equal, not further.
#[test]
fn only_what_was_compared_is_acknowledged() {
	let mut raft = alone(1, 3, &[1, 1, 1]);
	let sent = tell(&mut raft, 2, append(2, at(1, 4), &[1], 3));
	assert_eq!(outcomes(&sent), [AppendOutcome::Matched(5)]);
}

/// §3.5: "The consistency check acts as an induction step." A message that comes
/// twice or late changes nothing.
#[test]
fn repeated_and_overtaken_appends_change_nothing() {
	let mut raft = alone(1, 3, &[]);
	let first = append(1, at(0, 3), &[1, 1], 4);
	let second = append(1, at(1, 5), &[1], 6);
	tell(&mut raft, 2, first.clone());
	tell(&mut raft, 2, second.clone());
	let log = raft.log.clone();
	for msg in [first.clone(), second, first] {
		tell(&mut raft, 2, msg);
		assert_eq!(raft.log, log);
		assert_eq!(raft.commit, 6);
	}
}

/// §3.5: "The leader maintains a nextIndex for each follower. When a leader first
/// comes to power, it initializes all nextIndex values to the index just after the
/// last one in its log. If a follower's log is inconsistent with the leader's, the
/// leader decrements nextIndex and retries."
#[test]
fn the_leader_retries_further_back_until_the_logs_match() {
	let mut raft = alone(1, 3, &[1, 1, 1, 4]);
	make_leader(&mut raft);
	assert_eq!(raft.term, 5);
	let conflict = |prev, hint| {
		Msg::AppendReply(AppendReply {
			term: 5,
			round: 0,
			outcome: AppendOutcome::Conflict { prev, hint },
		})
	};
	let sent = tell(&mut raft, 2, conflict(7, at(1, 6)));
	assert_eq!(appends(&sent), [(2, at(1, 6), vec![4, 5], 3)]);
	let sent = tell(&mut raft, 2, conflict(6, at(1, 4)));
	assert_eq!(appends(&sent), [(2, at(1, 4), vec![1, 1, 4, 5], 3)]);
	let sent = tell(&mut raft, 2, conflict(4, at(0, 3)));
	assert_eq!(appends(&sent), [(2, at(0, 3), vec![1, 1, 1, 4, 5], 3)]);
	tell(&mut raft, 2, matched(5, 8));
	assert_eq!(raft.commit, 8);
}

/// §3.5: "the leader can decrement nextIndex to bypass all of the conflicting
/// entries in that term; one AppendEntries RPC will be required for each term".
#[test]
fn one_message_per_term_finds_where_the_logs_agree() {
	let leader: Vec<Term> = [[1; 5], [4; 5], [5; 5], [6; 5]].concat();
	let follower: Vec<Term> = [[1; 5], [2; 5], [3; 5], [3; 5]].concat();
	let mut cluster = Cluster::with_logs(settings(), &[&leader, &follower, &leader]);
	cluster.isolate(3);
	cluster.time_out(1);
	let mut appends = 0;
	for _ in 0..100 {
		let sent = cluster.deliver(1, 2);
		appends += usize::from(matches!(sent, Some(Msg::Append(_))));
		cluster.deliver(2, 1);
	}
	assert_eq!(terms(cluster.raft(1)), terms(cluster.raft(2)));
	assert!(appends <= 6, "{appends} appends for four terms");
}

/// §3.5, figure 3.6 (paper figure 7): whatever the followers' logs look like, the
/// leader brings them to its own.
#[test]
fn every_log_of_figure_3_6_becomes_that_of_the_leader() {
	let leader: &[Term] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
	let followers: [&[Term]; 6] = [
		&[1, 1, 1, 4, 4, 5, 5, 6, 6],
		&[1, 1, 1, 4],
		&[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
		&[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
		&[1, 1, 1, 4, 4, 4, 4],
		&[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
	];
	for follower in followers {
		let mut cluster = Cluster::with_logs(settings(), &[leader, follower, &[]]);
		// The leader is that of term 8; the third has no log and votes for it.
		let mut disk = cluster.node(1).disk.clone();
		disk.hard_state.term = 7;
		cluster.start(1, disk);
		cluster.partition(&[1], &[2]);
		cluster.time_out(1);
		cluster.settle();
		assert_eq!(cluster.leader(), Some(1));
		cluster.heal();
		cluster.run(3_000);
		cluster.assert_equal();
		assert_eq!(terms(cluster.raft(1))[..10], *leader);
	}
}

/// §3.5: "A leader never overwrites or deletes entries in its log."
#[test]
fn a_leader_only_appends() {
	let mut cluster = Cluster::with_logs(settings(), &[&[1, 2], &[1, 1, 1], &[1]]);
	cluster.time_out(1);
	cluster.settle();
	cluster.propose(1);
	cluster.run(1_000);
	assert_eq!(terms(cluster.raft(1)), [1, 2, 3, 3]);
	cluster.assert_equal();
}

/// §3.5: "If followers crash or run slowly, or if network packets are lost, the
/// leader retries AppendEntries RPCs indefinitely."
#[test]
fn lost_appends_are_sent_again_until_they_arrive() {
	for lost in 1..=4 {
		let mut cluster = Cluster::of(3);
		cluster.elect(1);
		for _ in 0..lost {
			cluster.lose(|_, _, msg| matches!(msg, Msg::Append(_)));
			cluster.propose(1);
			cluster.settle();
		}
		cluster.run(2_000);
		cluster.heal();
		cluster.run(1_000);
		cluster.assert_equal();
	}
}

#[test]
fn a_single_lost_append_is_sent_again_though_heartbeats_arrive() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.lose(|_, _, msg| matches!(msg, Msg::Append(_)));
	cluster.propose(1);
	cluster.settle();
	cluster.heal();
	cluster.run(1_000);
	cluster.assert_equal();
}

#[test]
fn lost_acknowledgments_are_made_up_for() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.lose(|_, _, msg| matches!(msg, Msg::AppendReply(_)));
	let pos = cluster.propose(1);
	cluster.run(600);
	assert!(cluster.raft(1).commit < pos.index);
	cluster.heal();
	cluster.run(1_000);
	cluster.assert_equal();
}

/// §3.5: a follower that was away gets everything when it is back.
#[test]
fn a_follower_that_was_away_catches_up() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.crash(3);
	for _ in 0..100 {
		cluster.propose(1);
		cluster.settle();
	}
	cluster.restart(3);
	cluster.run(1_000);
	cluster.assert_equal();
	assert_eq!(cluster.node(3).commands.len(), 100);
}

/// §3.4: a leader that is cut off goes on in vain; when it is back, it follows.
#[test]
fn a_leader_that_was_replaced_follows_and_gives_up_its_entries() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.isolate(1);
	for _ in 0..3 {
		cluster.propose(1);
	}
	cluster.elect_among(2, &[2, 3]);
	cluster.propose(2);
	cluster.heal();
	cluster.run(1_000);
	assert_eq!(cluster.raft(1).status().role, RoleKind::Follower);
	cluster.assert_equal();
}
