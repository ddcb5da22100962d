//! Linearizable reads without writing: §6.4.

use {
	super::*,
	crate::groups::engine::{ReadDone, ReadToken, Rejected},
};

fn done(token: u64, index: Option<LogIndex>) -> ReadDone {
	let token = ReadToken(token);
	ReadDone { token, index }
}

fn reads(cluster: &mut Cluster, id: u64) -> Vec<ReadDone> {
	std::mem::take(&mut cluster.node(id).reads)
}

/// §6.4, steps 2 and 3: the read index is the commit index when it was asked; a
/// majority must answer a round of heartbeats.
#[test]
fn a_read_is_answered_with_the_commit_index_when_a_majority_has_answered() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.read(1, 7), []);
	cluster.settle();
	assert_eq!(reads(&mut cluster, 1), [done(7, Some(pos.index))]);
}

/// §6.4, step 1: "If the leader has not yet marked an entry from its current term
/// committed, it waits until it has done so."
#[test]
fn a_read_waits_until_an_entry_of_the_term_is_committed() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	let acknowledged = cluster.propose(1);
	cluster.settle();
	cluster.isolate(1);
	cluster.hold(|from, _, msg| from == 2 && matches!(msg, Msg::Append(_)));
	cluster.elect_among(2, &[2, 3]);
	cluster.read(2, 1);
	cluster.run(500);
	assert_eq!(reads(&mut cluster, 2), [], "rounds alone do not answer it");
	cluster.hold(|_, _, _| false);
	cluster.run(500);
	let answered = reads(&mut cluster, 2);
	assert_eq!(answered, [done(1, Some(acknowledged.index + 1))]);
}

/// §6.4, step 3: the heartbeats must be sent after the read came, or a newer leader
/// could have been elected in between.
#[test]
fn an_answer_to_an_earlier_heartbeat_does_not_confirm_a_read() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.hold(|_, to, _| to == 1);
	cluster.run(500);
	assert!(!cluster.link(2, 1).is_empty());
	let early: Vec<Msg> = cluster.link(2, 1);
	cluster.read(1, 1);
	for _ in early {
		cluster.deliver(2, 1);
	}
	assert_eq!(reads(&mut cluster, 1), []);
	cluster.hold(|_, _, _| false);
	cluster.settle();
	assert_eq!(reads(&mut cluster, 1).len(), 1);
}

#[test]
fn a_minority_does_not_confirm_a_read() {
	let mut cluster = Cluster::of(5);
	cluster.elect(1);
	for id in [3, 4, 5] {
		cluster.crash(id);
	}
	cluster.read(1, 1);
	cluster.settle();
	assert_eq!(reads(&mut cluster, 1), []);
	cluster.restart(3);
	cluster.run(500);
	assert_eq!(reads(&mut cluster, 1).len(), 1);
}

/// A learner's answer says nothing of who leads.
#[test]
fn learners_do_not_confirm_reads() {
	let mut cluster = Cluster::of(2);
	cluster.elect(1);
	cluster.add_learner(1, 3);
	cluster.add_learner(1, 4);
	cluster.crash(2);
	cluster.read(1, 1);
	cluster.run(500);
	assert_eq!(reads(&mut cluster, 1), []);
}

#[test]
fn a_single_voter_answers_at_once() {
	let mut cluster = Cluster::of(1);
	let pos = cluster.propose(1);
	assert_eq!(cluster.read(1, 1), [done(1, Some(pos.index))]);
	let learner = cluster.add_learner(1, 2);
	cluster.crash(learner);
	let last = cluster.raft(1).commit;
	assert_eq!(cluster.read(1, 2), [done(2, Some(last))]);
}

/// A leader that was deposed, or steps down, does not answer; the read must be
/// asked elsewhere.
#[test]
fn the_reads_of_a_deposed_leader_are_given_back() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.isolate(1);
	cluster.read(1, 1);
	cluster.read(1, 2);
	cluster.elect_among(2, &[2, 3]);
	cluster.propose(2);
	cluster.settle();
	assert_eq!(reads(&mut cluster, 1), [], "it cannot know yet");
	cluster.heal();
	cluster.run(1_000);
	assert_eq!(reads(&mut cluster, 1), [done(1, None), done(2, None)]);
}

#[test]
fn reads_that_wait_for_the_first_commit_are_given_back_too() {
	let mut raft = alone(1, 3, &[]);
	make_leader(&mut raft);
	raft.read_index(ReadToken(1)).unwrap();
	raft.step(m(2), append(2, at(0, 3), &[2], 3)).unwrap();
	assert_eq!(drain(&mut raft).reads, [done(1, None)]);
}

#[test]
fn only_the_leader_takes_reads() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	let refused = cluster.node(2).raft.read_index(ReadToken(1));
	let leader = Some(m(1));
	assert_eq!(refused, Err(Rejected::NotLeader { leader }));
}

/// §6.4: "the leader can ... service any number of read-only queries" with one round.
#[test]
fn reads_between_two_rounds_share_one() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	for token in 0..100 {
		cluster.node(1).raft.read_index(ReadToken(token)).unwrap();
	}
	cluster.pump(1);
	assert_eq!((cluster.link(1, 2).len(), cluster.link(1, 3).len()), (1, 1));
	cluster.settle();
	assert_eq!(reads(&mut cluster, 1).len(), 100);
}

#[test]
fn so_many_reads_wait_and_no_more() {
	let mut settings = settings();
	settings.max_reads = 3;
	let mut cluster = Cluster::with(3, settings);
	cluster.elect(1);
	cluster.isolate(1);
	for token in 0..3 {
		cluster.read(1, token);
	}
	let refused = cluster.node(1).raft.read_index(ReadToken(3));
	assert_eq!(refused, Err(Rejected::Overloaded));
	cluster.heal();
	cluster.run(500);
	assert_eq!(reads(&mut cluster, 1).len(), 3);
	cluster.read(1, 4);
}

/// A round that was lost is made up for by the next heartbeat.
#[test]
fn a_lost_round_is_repeated_by_the_heartbeat() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.lose(|_, _, msg| matches!(msg, Msg::Beat(_)));
	cluster.read(1, 1);
	cluster.settle();
	cluster.heal();
	assert_eq!(reads(&mut cluster, 1), []);
	cluster.run(settings().heartbeat);
	assert_eq!(reads(&mut cluster, 1).len(), 1);
}

/// What was acknowledged before a read is below its index, whoever answers.
#[test]
fn a_read_after_a_change_of_leader_sees_everything_that_was_acknowledged() {
	let mut cluster = Cluster::of(5);
	let mut acknowledged = 5;
	for leader in [1, 2, 3, 4, 5, 1] {
		cluster.elect(leader);
		cluster.read(leader, 0);
		cluster.settle();
		let [
			ReadDone {
				index: Some(index), ..
			},
		] = reads(&mut cluster, leader)[..]
		else {
			panic!("it is answered");
		};
		assert!(index >= acknowledged);
		acknowledged = cluster.propose(leader).index;
		cluster.settle();
		assert!(cluster.raft(leader).commit >= acknowledged);
	}
}
