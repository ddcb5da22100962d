//! Compaction and snapshots: chapter 5.

use {
	super::{cluster::write_to, *},
	crate::groups::engine::{CoreEvent, Poison, SnapshotFetch, SnapshotResult},
};

/// Three of which the third was away while the log it lacks was compacted.
fn behind() -> Cluster {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.crash(3);
	for _ in 0..10 {
		cluster.propose(1);
	}
	cluster.settle();
	compact(&mut cluster, 1, 10);
	cluster.restart(3);
	cluster
}

fn compact(cluster: &mut Cluster, id: u64, index: LogIndex) {
	cluster.node(id).raft.compact(index);
	cluster.pump(id);
}

fn offers(cluster: &Cluster, from: u64, to: u64) -> Vec<LogPos> {
	let queue = cluster.link(from, to).into_iter();
	let offers = queue.filter_map(|msg| match msg {
		Msg::SnapshotOffer(offer) => Some(offer.pos),
		_ => None,
	});
	offers.collect()
}

/// §5.1: the log is dropped up to what is applied, and what followed from it stays.
#[test]
fn compaction_keeps_the_state_and_the_rest_of_the_log() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	for _ in 0..10 {
		cluster.propose(1);
	}
	cluster.settle();
	let state = cluster.raft(1).log_state().clone();
	compact(&mut cluster, 1, 8);
	assert_eq!(cluster.raft(1).status().base, at(1, 8));
	assert_eq!(cluster.raft(1).entries(0..=99).count(), 6);
	assert_eq!(*cluster.raft(1).log_state(), state);
	assert_eq!(cluster.raft(1).log.term_at(8), Some(1));
	compact(&mut cluster, 1, 5);
	assert_eq!(cluster.raft(1).status().base.index, 8, "it never goes back");
	cluster.crash(1);
	cluster.restart(1);
	assert_eq!(*cluster.raft(1).log_state(), state);
	cluster.run(5_000);
	cluster.assert_equal();
}

#[test]
fn nothing_is_dropped_that_is_not_applied() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.isolate(1);
	cluster.propose(1);
	compact(&mut cluster, 1, 99);
	assert_eq!(cluster.raft(1).status().base.index, 4);
	assert_eq!(cluster.raft(1).log.last().index, 5);
}

/// §5.3: "The leader uses a new RPC called InstallSnapshot to send snapshots to
/// followers that are too far behind", and to nobody else.
#[test]
fn who_is_behind_the_beginning_of_the_log_is_offered_a_snapshot() {
	let mut cluster = behind();
	cluster.run(1_000);
	cluster.assert_equal();
	assert_eq!(cluster.raft(3).status().base, at(1, 10));
	assert_eq!(cluster.raft(2).status().base.index, 3);
	assert_eq!(cluster.node(3).commands.len(), 10);
}

#[test]
fn who_is_not_behind_is_sent_entries() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.propose(1);
	cluster.settle();
	cluster.crash(3);
	cluster.propose(1);
	cluster.propose(1);
	cluster.settle();
	compact(&mut cluster, 1, 5);
	cluster.restart(3);
	cluster.run(2_000);
	cluster.assert_equal();
	assert_eq!(cluster.raft(3).status().base.index, 3);
}

/// §5.3: where the snapshot is of an entry that the log has, "entries following the
/// snapshot are still valid and must be retained".
#[test]
fn a_log_that_follows_the_snapshot_is_kept() {
	let mut source = alone(2, 3, &[1, 1, 1]);
	tell(&mut source, 3, append(2, at(1, 6), &[], 6));
	source.compact(5);
	let base = source.log.base().clone();
	assert_eq!(base.pos, at(1, 5));

	let mut raft = alone(1, 3, &[1, 1, 1]);
	raft.on_snapshot(SnapshotResult::Fetched(base));
	let ready = drain(&mut raft);
	assert!(!ready.persist.unwrap().install.unwrap().reset);
	assert_eq!(raft.log.last(), at(1, 6));
	assert_eq!((raft.commit, raft.applied), (5, 5));
	assert_eq!(ready.apply, None);
}

/// §5.3: otherwise "the follower discards its entire log".
#[test]
fn a_log_that_conflicts_with_the_snapshot_goes() {
	let mut source = alone(2, 3, &[2, 2, 2]);
	tell(&mut source, 3, append(2, at(2, 6), &[], 6));
	source.compact(5);
	let mut raft = alone(1, 3, &[1, 1, 1, 1]);
	tell(&mut raft, 2, vote(2, at(2, 6)));
	raft.on_snapshot(SnapshotResult::Fetched(source.log.base().clone()));
	let ready = drain(&mut raft);
	assert!(ready.persist.unwrap().install.unwrap().reset);
	let (from, to) = (at(1, 6), at(1, 7));
	assert!(ready.events.contains(&CoreEvent::Dropped { from, to }));
	assert_eq!(raft.log.last(), at(2, 5));
}

/// A snapshot that is older than what is committed changes nothing.
#[test]
fn a_snapshot_of_what_is_committed_already_is_ignored() {
	let mut raft = alone(1, 3, &[]);
	tell(&mut raft, 2, append(1, at(0, 3), &[1, 1, 1], 6));
	let before = raft.clone();
	let mut older = alone(2, 3, &[1]).log.base().clone();
	older.pos = at(1, 5);
	raft.on_snapshot(SnapshotResult::Fetched(older));
	assert_eq!(raft, before);
}

/// The follower asks for it while it goes on answering heartbeats; the leader sends
/// it nothing else until it has it.
#[test]
fn while_a_snapshot_is_fetched_the_leader_is_followed_and_sends_no_entries() {
	let mut cluster = behind();
	cluster.node(3).fetch_by_hand = true;
	cluster.run(700);
	let fetch = cluster.node(3).fetches.clone();
	let from = m(1);
	assert_eq!(
		fetch,
		[SnapshotFetch {
			from,
			pos: at(1, 10)
		}]
	);
	cluster.propose(1);
	assert!(
		!cluster
			.link(1, 3)
			.iter()
			.any(|msg| matches!(msg, Msg::Append(_)))
	);
	cluster.run(700);
	assert_eq!(cluster.raft(3).leader, Some(m(1)));
	assert_eq!(cluster.node(3).fetches.len(), 1, "it is fetched once");
	cluster.fetch(3, fetch[0]);
	cluster.run(500);
	cluster.assert_equal();
}

/// A fetch that fails is offered again, with what there is then.
#[test]
fn a_failed_fetch_is_offered_again() {
	let mut cluster = behind();
	cluster.node(3).fetch_by_hand = true;
	cluster.run(700);
	cluster.propose(1);
	cluster.settle();
	compact(&mut cluster, 1, 14);
	let gone = cluster.node(3).fetches.remove(0);
	cluster.fetch(3, gone);
	assert!(
		offers(&cluster, 1, 3).is_empty(),
		"at the next heartbeat, not at once"
	);
	cluster.run(settings().heartbeat);
	assert_eq!(cluster.node(3).fetches[0].pos, at(1, 14));
	let fetch = cluster.node(3).fetches.remove(0);
	cluster.fetch(3, fetch);
	cluster.run(500);
	cluster.assert_equal();
}

/// An offer that nobody answers is made again after an election timeout; what is
/// newer takes the place of what is being fetched.
#[test]
fn a_newer_offer_supersedes_an_older_one() {
	let mut cluster = behind();
	cluster.node(3).fetch_by_hand = true;
	cluster.run(700);
	cluster.propose(1);
	cluster.settle();
	compact(&mut cluster, 1, 14);
	cluster.run(2_000);
	let fetches = cluster.node(3).fetches.clone();
	let positions: Vec<LogPos> = fetches.iter().map(|fetch| fetch.pos).collect();
	assert_eq!(positions, [at(1, 10), at(1, 14)]);
	// The end of the first is no news of the second.
	let pos = at(1, 10);
	cluster
		.node(3)
		.raft
		.on_snapshot(SnapshotResult::Failed { pos });
	cluster.pump(3);
	assert_eq!(cluster.link(3, 1), []);
	cluster.fetch(3, fetches[1]);
	cluster.run(500);
	cluster.assert_equal();
}

/// A member that crashed over a fetch is offered it anew.
#[test]
fn a_restart_during_a_fetch_begins_it_again() {
	let mut cluster = behind();
	cluster.node(3).fetch_by_hand = true;
	cluster.run(700);
	cluster.crash(3);
	cluster.restart(3);
	cluster.run(3_000);
	cluster.assert_equal();
}

/// An installed snapshot is acknowledged when it is on disk.
#[test]
fn a_snapshot_is_acknowledged_when_it_is_written() {
	let mut cluster = behind();
	cluster.node(3).fetch_by_hand = true;
	cluster.run(700);
	cluster.node(3).by_hand = true;
	let fetch = cluster.node(3).fetches.remove(0);
	cluster.fetch(3, fetch);
	assert_eq!(cluster.link(3, 1), []);
	cluster.persist(3);
	let matched = |msg: &Msg| match msg {
		Msg::AppendReply(reply) => reply.outcome == AppendOutcome::Matched(10),
		_ => false,
	};
	assert!(cluster.link(3, 1).iter().any(matched));
}

/// Two installations in one write: what the first dropped stays dropped.
#[test]
fn a_write_with_two_snapshots_resets_if_one_of_them_does() {
	let mut source = alone(2, 3, &[2, 2, 2]);
	tell(&mut source, 3, append(2, at(2, 6), &[], 6));
	let mut raft = alone(1, 3, &[1, 1, 1, 1, 1]);
	let before = disk(3, &[1, 1, 1, 1, 1]);
	tell(&mut raft, 2, vote(2, at(2, 6)));
	source.compact(4);
	raft.on_snapshot(SnapshotResult::Fetched(source.log.base().clone()));
	raft.step(m(2), append(2, at(2, 4), &[2], 4)).unwrap();
	source.compact(5);
	raft.on_snapshot(SnapshotResult::Fetched(source.log.base().clone()));
	let write = raft.ready().unwrap().persist.unwrap();
	let mut disk = before;
	write_to(&mut disk, write);
	assert_eq!((disk.base.pos, disk.entries), (at(2, 5), Vec::new()));
}

/// Snapshots are of committed prefixes: one that contradicts what is committed is
/// of another log.
#[test]
fn a_snapshot_of_another_log_halts_the_member() {
	let mut raft = alone(1, 3, &[]);
	tell(&mut raft, 2, append(5, at(0, 3), &[5, 5], 5));
	let mut base = raft.log.base().clone();
	base.pos = at(4, 9);
	raft.on_snapshot(SnapshotResult::Fetched(base));
	let index = 9;
	assert_eq!(
		raft.status().poisoned,
		Some(Poison::ForeignSnapshot { index })
	);
}

/// §5.1: "the state machine's ... client sessions" are part of a snapshot, as is the
/// latest configuration (§4.1).
#[test]
fn a_snapshot_carries_the_configuration_and_the_sessions() {
	let mut cluster = Cluster::of(1);
	cluster.propose(1);
	cluster.propose(1);
	let last = cluster.raft(1).commit;
	compact(&mut cluster, 1, last);
	let learner = cluster.add_learner(1, 2);
	let state = cluster.raft(learner).log_state();
	assert!(state.config.contains(m(learner)));
	assert_eq!(state.sessions[&m(1)].last, 2);
	assert_eq!(state.seq, 2);
	cluster.assert_equal();
}
