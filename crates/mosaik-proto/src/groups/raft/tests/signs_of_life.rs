//! Asking everybody whether they live, before a change of voters that needs them.

use super::*;

fn fresh(raft: &Raft) -> Vec<u64> {
	let members = raft.status().progress;
	let fresh = members.into_iter().filter(|(_, progress)| progress.fresh);
	fresh.map(|(id, _)| id.get()).collect()
}

#[test]
fn an_answer_that_was_under_way_before_the_question_is_no_sign_of_life() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.hold(|_, to, _| to == 1);
	cluster.run(500);
	cluster.crash(3);
	let early = cluster.link(2, 1);
	assert!(!early.is_empty());
	cluster.node(1).raft.ask_all();
	cluster.pump(1);
	for _ in early {
		cluster.deliver(2, 1);
	}
	assert!(fresh(cluster.raft(1)).is_empty());
	cluster.hold(|_, _, _| false);
	cluster.settle();
	assert_eq!(fresh(cluster.raft(1)), [2], "the dead one never answers");
}

#[test]
fn a_question_that_was_lost_is_repeated_by_the_heartbeat() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.lose(|_, _, _| true);
	cluster.node(1).raft.ask_all();
	cluster.settle();
	cluster.heal();
	cluster.settle();
	assert!(fresh(cluster.raft(1)).is_empty());
	cluster.run(settings().heartbeat);
	assert_eq!(fresh(cluster.raft(1)), [2, 3]);
}

#[test]
fn a_question_does_not_send_again_what_is_under_way() {
	let mut raft = alone(1, 2, &[]);
	make_leader(&mut raft);
	tell(&mut raft, 2, matched(1, 3));
	raft.propose(vec![command(1, 1)]).unwrap();
	drain(&mut raft);
	raft.tick(raft.next_wakeup().unwrap());
	drain(&mut raft);
	raft.ask_all();
	let sent = drain(&mut raft).send;
	assert!(
		matches!(&sent[..], [(_, Msg::Beat(beat))] if beat.round > 0),
		"{sent:?}"
	);
}
