//! A group in which nothing happens falls silent, and wakes when something does.
//! Elections stay what they are: sleep concerns only when they are held.

use {
	super::*,
	crate::groups::{
		config::ConfigChange,
		engine::{Hint, ReadToken, RoleKind},
	},
};

fn drowsy(n: u64) -> Cluster {
	let settings = Settings {
		quiesce_after: 3,
		election_jitter: 500,
		..settings()
	};
	let mut cluster = Cluster::with(n, settings);
	cluster.elect(1);
	cluster
}

/// A group of `n` that sleeps.
fn asleep(n: u64) -> Cluster {
	let mut cluster = drowsy(n);
	cluster.run(3_000);
	assert_asleep(&cluster);
	cluster
}

fn assert_asleep(cluster: &Cluster) {
	for id in cluster.up() {
		assert_eq!(cluster.raft(id).next_wakeup(), None, "{id} sleeps");
		assert!(cluster.raft(id).status().quiesced);
	}
	assert!(cluster.links.values().all(|queue| queue.is_empty()));
}

#[test]
fn a_group_sleeps_after_three_idle_heartbeats() {
	for n in [1, 2, 3, 5] {
		let mut cluster = drowsy(n);
		// It was elected a heartbeat ago.
		cluster.run(2 * settings().heartbeat);
		assert!(cluster.raft(1).next_wakeup().is_some(), "not before");
		cluster.run(3 * settings().heartbeat);
		assert_asleep(&cluster);
		// For ever, and without a message.
		let term = cluster.raft(1).term;
		cluster.run(1_000_000);
		assert_asleep(&cluster);
		assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), term));
	}
}

#[test]
fn a_group_that_may_not_sleep_does_not() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.run(60_000);
	assert!(cluster.raft(1).next_wakeup().is_some());
}

/// A command between two heartbeats is not idleness, however fast it is committed.
#[test]
fn a_group_with_something_to_do_between_heartbeats_stays_awake() {
	let mut cluster = drowsy(3);
	for _ in 0..20 {
		cluster.run(settings().heartbeat);
		assert!(!cluster.raft(1).status().quiesced);
		cluster.propose(1);
		cluster.settle();
	}
	for token in 0..20 {
		cluster.run(settings().heartbeat);
		assert!(!cluster.raft(1).status().quiesced);
		cluster.read(1, token);
		cluster.settle();
	}
}

#[test]
fn nobody_sleeps_while_somebody_lacks_something() {
	let mut cluster = drowsy(3);
	cluster.crash(3);
	cluster.propose(1);
	cluster.run(10_000);
	assert!(!cluster.raft(1).status().quiesced);
	cluster.restart(3);
	cluster.run(10_000);
	assert_asleep(&cluster);
	cluster.assert_equal();
}

#[test]
fn a_proposal_wakes_the_group_and_it_sleeps_again() {
	let mut cluster = asleep(3);
	cluster.propose(1);
	assert!(cluster.raft(1).next_wakeup().is_some());
	cluster.settle();
	cluster.assert_equal();
	assert!(
		cluster
			.up()
			.iter()
			.all(|&id| cluster.raft(id).next_wakeup().is_some())
	);
	cluster.run(3_000);
	assert_asleep(&cluster);
}

#[test]
fn a_read_wakes_the_group() {
	let mut cluster = asleep(3);
	cluster.node(1).raft.read_index(ReadToken(1)).unwrap();
	cluster.pump(1);
	cluster.settle();
	assert_eq!(cluster.node(1).reads.len(), 1);
}

#[test]
fn a_change_and_a_transfer_wake_the_group() {
	let mut cluster = asleep(3);
	cluster.change(1, ConfigChange::Remove(m(3)));
	assert_eq!(cluster.raft(2).log.state().config.voters.len(), 2);
	cluster.run(5_000);
	cluster.node(1).raft.transfer_leader(m(2)).unwrap();
	cluster.pump(1);
	cluster.settle();
	assert_eq!(cluster.leader(), Some(2));
}

/// While it sleeps, the connections stand in for heartbeats.
#[test]
fn a_hint_that_the_leader_is_down_leads_to_an_election() {
	let mut cluster = asleep(3);
	cluster.crash(1);
	cluster.run(60_000);
	assert_eq!(cluster.leader(), None);
	for id in [2, 3] {
		cluster.node(id).raft.hint(Hint::PeerDown(m(1)));
		cluster.pump(id);
	}
	cluster.run(2_000);
	assert!(matches!(cluster.leader(), Some(2 | 3)));
}

/// One member's hint is enough: its question wakes the others.
#[test]
fn the_hint_of_one_member_leads_to_an_election() {
	let mut cluster = asleep(3);
	cluster.crash(1);
	cluster.node(2).raft.hint(Hint::PeerDown(m(1)));
	cluster.pump(2);
	cluster.run(5_000);
	assert!(matches!(cluster.leader(), Some(2 | 3)));
}

/// The hint was wrong: the leader answers, and nobody deposes it.
#[test]
fn a_member_that_wakes_alone_is_brought_back() {
	let mut cluster = asleep(3);
	cluster.node(2).raft.hint(Hint::PeerDown(m(1)));
	cluster.pump(2);
	cluster.run(10_000);
	assert_eq!((cluster.leader(), cluster.raft(1).term), (Some(1), 1));
	assert_asleep(&cluster);
}

#[test]
fn a_hint_about_somebody_else_does_not_make_a_follower_stand() {
	let mut cluster = asleep(3);
	cluster.node(2).raft.hint(Hint::PeerDown(m(3)));
	cluster.pump(2);
	assert_asleep(&cluster);
	cluster.node(1).raft.hint(Hint::PeerDown(m(3)));
	cluster.pump(1);
	assert!(
		!cluster.raft(1).status().quiesced,
		"the leader looks after it"
	);
	cluster.run(10_000);
	assert_asleep(&cluster);
	assert_eq!(cluster.raft(1).term, 1);
}

/// The last heartbeat before the silence is lost: who did not get it asks.
#[test]
fn a_member_that_missed_the_beginning_of_the_silence_joins_it_later() {
	let mut cluster = drowsy(3);
	cluster.lose(|_, to, msg| to == 3 && matches!(msg, Msg::Beat(beat) if beat.quiesce.is_some()));
	cluster.run(1_250);
	assert!(cluster.raft(1).status().quiesced && !cluster.raft(3).status().quiesced);
	cluster.heal();
	cluster.run(10_000);
	assert_asleep(&cluster);
	assert_eq!(cluster.raft(1).term, 1);
}

/// A member that restarts while the others sleep gets the leader back.
#[test]
fn a_member_that_restarts_among_sleepers_follows_again() {
	let mut cluster = asleep(3);
	cluster.crash(2);
	cluster.restart(2);
	cluster.run(10_000);
	assert_eq!(cluster.raft(2).leader, Some(m(1)));
	assert_eq!(cluster.raft(1).term, 1);
	cluster.assert_equal();
	assert_asleep(&cluster);
}

/// The leader restarts: it does not know that it led, and somebody is elected.
#[test]
fn a_leader_that_restarts_among_sleepers_does_not_leave_them_without_one() {
	let mut cluster = asleep(3);
	cluster.crash(1);
	cluster.restart(1);
	cluster.run(20_000);
	let leader = cluster.leader().expect("there is a leader");
	cluster.propose(leader);
	cluster.settle();
	cluster.assert_equal();
}

/// Sleeping is not having been heard: a candidate of a later term wins if the
/// leader is gone, and a leader that sleeps cannot believe that it still leads once
/// somebody proposes.
#[test]
fn a_leader_that_sleeps_cut_off_finds_out_when_it_is_used() {
	let mut cluster = asleep(3);
	cluster.isolate(1);
	for id in [2, 3] {
		cluster.node(id).raft.hint(Hint::PeerDown(m(1)));
		cluster.pump(id);
	}
	cluster.run(3_000);
	assert_eq!(cluster.raft(1).status().role, RoleKind::Leader);
	assert!(cluster.leader().is_some_and(|leader| leader != 1));
	cluster.node(1).raft.read_index(ReadToken(1)).unwrap();
	cluster.pump(1);
	cluster.run(3_000);
	assert_eq!(cluster.raft(1).status().role, RoleKind::Follower);
	assert_eq!(cluster.node(1).reads[0].index, None);
}
