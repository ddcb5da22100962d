//! Members that leave or are removed, and groups that shrink: §4.2.2, §4.2.3.

use {super::*, crate::groups::config::ConfigChange};

fn elected(n: u64) -> Cluster {
	let mut cluster = Cluster::of(n);
	cluster.elect(1);
	cluster
}

fn voters(raft: &Raft) -> Vec<u64> {
	let config = &raft.log.state().config;
	config.voters.iter().map(|id| id.get()).collect()
}

#[test]
fn a_leader_of_two_sheds_its_dead_follower_and_goes_on_alone() {
	let mut cluster = elected(2);
	cluster.crash(2);
	let pending = cluster.propose(1);
	cluster.run(10_000);
	assert!(cluster.raft(1).commit < pending.index);
	cluster.change(1, ConfigChange::Remove(m(2)));
	assert!(cluster.raft(1).commit > pending.index);
	assert_eq!(voters(cluster.raft(1)), [1]);
	let pos = cluster.propose(1);
	cluster.run(10_000);
	assert_eq!(
		(cluster.raft(1).commit, cluster.leader()),
		(pos.index, Some(1))
	);
}

#[test]
fn a_group_of_three_shrinks_to_one_by_one() {
	let mut cluster = elected(3);
	cluster.crash(3);
	cluster.change(1, ConfigChange::Remove(m(3)));
	cluster.crash(2);
	cluster.change(1, ConfigChange::Remove(m(2)));
	let pos = cluster.propose(1);
	cluster.run(3_000);
	assert_eq!(cluster.raft(1).commit, pos.index);
	// It comes back as what it is now: the only one.
	cluster.crash(1);
	cluster.restart(1);
	cluster.run(10);
	assert_eq!(cluster.leader(), Some(1));
}

#[test]
fn a_leader_of_four_sheds_two_dead_voters() {
	let mut cluster = elected(4);
	cluster.crash(3);
	cluster.crash(4);
	cluster.run(5_000);
	cluster.change(1, ConfigChange::Remove(m(3)));
	cluster.change(1, ConfigChange::Remove(m(4)));
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.raft(1).commit, pos.index);
}

/// §4.2.2: a leader that is removed "manages a cluster that does not include itself;
/// it replicates log entries but does not count itself in majorities", until the
/// entry is committed.
#[test]
fn a_leader_that_removes_itself_does_not_count_itself_and_hands_over() {
	let mut cluster = elected(3);
	cluster.isolate(1);
	let pos = cluster.change(1, ConfigChange::Remove(m(1)));
	cluster.heal();
	cluster.hold(|from, _, msg| from == 3 && matches!(msg, Msg::AppendReply(_)));
	cluster.run(500);
	assert!(
		cluster.raft(1).commit < pos.index,
		"one of two others has it"
	);
	assert_eq!(cluster.leader(), Some(1));
	cluster.hold(|_, _, _| false);
	cluster.settle();
	// TimeoutNow: nobody waits for an election timeout.
	assert!(matches!(cluster.leader(), Some(2 | 3)));
	assert!(cluster.raft(1).removed);
	cluster.crash(1);
	cluster.run(1_000);
	cluster.assert_equal();
}

/// As soon as the other one has the entry it is the only voter, whatever becomes
/// of the old leader.
#[test]
fn a_leader_of_two_that_removes_itself_can_die_once_the_other_has_the_entry() {
	let mut cluster = elected(2);
	cluster
		.node(1)
		.raft
		.propose_config(ConfigChange::Remove(m(1)))
		.unwrap();
	cluster.pump(1);
	cluster.deliver(1, 2);
	cluster.crash(1);
	cluster.run(3_000);
	assert_eq!(cluster.leader(), Some(2));
	let pos = cluster.propose(2);
	cluster.settle();
	assert_eq!(cluster.raft(2).commit, pos.index);
}

/// §4.2.2, figure 4.6: "a server that is not part of its own latest configuration
/// should still start new elections, as it might still be needed until the Cnew entry
/// is committed". "It does not count its own vote in elections unless it is part of
/// its latest configuration."
#[test]
fn a_member_whose_removal_only_itself_knows_of_stands_without_its_own_vote() {
	for n in [2, 4] {
		let mut cluster = elected(n);
		cluster
			.node(1)
			.raft
			.propose_config(ConfigChange::Remove(m(1)))
			.unwrap();
		cluster.pump(1);
		cluster.crash(1);
		// Of two the other one cannot win without it; of four two others must do.
		let dead: Vec<u64> = (4..=n).collect();
		dead.iter().for_each(|&id| cluster.crash(id));
		cluster.restart(1);
		cluster.run(20_000);
		let leader = cluster.leader().expect("there is a leader");
		assert_ne!(leader, 1);
		assert!(cluster.raft(1).removed);
		let pos = cluster.propose(leader);
		cluster.settle();
		assert_eq!(cluster.raft(leader).commit, pos.index);
	}
	let mut disk = disk(2, &[]);
	let mut config = (*disk.base.state.config).clone();
	config.voters.remove(&m(1));
	let kind = EntryKind::Config(config.into());
	disk.entries.push(Entry { kind, ..noop(0, 3) });
	let mut raft = Raft::new(m(1), settings(), disk, 0).unwrap();
	assert_eq!(time_out(&mut raft), [(m(2), pre_vote(1, at(0, 3)))]);
	assert_eq!(raft.term, 0, "its own vote is none");
}

/// §4.2.3: servers that are not in Cnew "would time out and start new elections";
/// they are told, and depose nobody.
#[test]
fn a_member_that_was_removed_while_away_is_told_and_stops() {
	let mut cluster = elected(3);
	cluster.crash(3);
	cluster.change(1, ConfigChange::Remove(m(3)));
	cluster.propose(1);
	cluster.settle();
	let term = cluster.raft(1).term;
	cluster.restart(3);
	cluster.run(10_000);
	assert!(cluster.raft(3).removed);
	assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), term));
}

#[test]
fn a_member_that_is_removed_while_present_is_told() {
	let mut cluster = elected(3);
	cluster.change(1, ConfigChange::Remove(m(3)));
	assert!(cluster.raft(3).removed);
	cluster.run(10_000);
	assert_eq!(cluster.leader(), Some(1));
}
