//! Commands take effect once: §6.3, "Implementing linearizable semantics".

use {
	super::*,
	crate::groups::{
		config::ConfigChange,
		engine::{Proposed, Rejected},
		entry::FormationEntry,
	},
};

fn propose(cluster: &mut Cluster, id: u64, commands: &[(u64, u64)]) -> Result<Proposed, Rejected> {
	let batch: Vec<Envelope> = commands.iter().map(|&(o, seq)| command(o, seq)).collect();
	let result = cluster.node(id).raft.propose(batch.clone());
	cluster.pump(id);
	cluster.settle();
	result.map_err(|refused| {
		assert_eq!(refused.given, batch, "what was handed in comes back");
		refused.reason
	})
}

fn elected() -> Cluster {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster
}

fn texts(cluster: &Cluster, id: u64) -> Vec<&str> {
	let commands = cluster.nodes[&id].commands.iter();
	commands
		.map(|text| std::str::from_utf8(text).unwrap())
		.collect()
}

/// §6.3: "If a server receives a command whose serial number has already been
/// executed, it responds immediately without re-executing the request."
#[test]
fn a_command_that_comes_again_is_not_appended_again() {
	let mut cluster = elected();
	propose(&mut cluster, 1, &[(2, 1), (2, 2)]).unwrap();
	let last = cluster.raft(1).log.last();
	let again = propose(&mut cluster, 1, &[(2, 1), (2, 2)]).unwrap();
	assert_eq!((again.pos, again.appended, again.duplicates), (None, 0, 2));
	assert_eq!(cluster.raft(1).log.last(), last);
	let more = propose(&mut cluster, 1, &[(2, 2), (2, 3), (2, 3)]).unwrap();
	assert_eq!((more.appended, more.duplicates, more.seq_end), (1, 2, 3));
	assert_eq!(texts(&cluster, 3), ["2.1", "2.2", "2.3"]);
}

/// Commands of one origin keep their order: nothing is taken before what precedes
/// it.
#[test]
fn a_command_before_which_others_are_missing_is_refused() {
	let mut cluster = elected();
	let (origin, expected) = (m(2), 1);
	let gap = Err(Rejected::Gap { origin, expected });
	assert_eq!(propose(&mut cluster, 1, &[(2, 2)]), gap);
	propose(&mut cluster, 1, &[(2, 1)]).unwrap();
	let expected = 3;
	let gap = Err(Rejected::Gap { origin, expected });
	assert_eq!(propose(&mut cluster, 1, &[(3, 1), (2, 2), (2, 4)]), gap);
	assert_eq!(texts(&cluster, 1), ["2.1"], "all of a batch or nothing");
}

#[test]
fn commands_of_several_origins_are_numbered_each_on_its_own() {
	let mut cluster = elected();
	let all = [(1, 1), (2, 1), (1, 2), (3, 1), (2, 2)];
	let proposed = propose(&mut cluster, 1, &all).unwrap();
	assert_eq!((proposed.appended, proposed.seq_end), (5, 5));
	let sessions = &cluster.raft(2).log_state().sessions;
	let seqs = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)];
	let found = seqs.map(|(origin, seq)| sessions[&m(origin)].seq_of(seq));
	assert_eq!(found, [Some(1), Some(3), Some(2), Some(5), Some(4), None]);
}

#[test]
fn commands_of_strangers_are_refused() {
	let mut cluster = elected();
	assert_eq!(
		propose(&mut cluster, 1, &[(9, 1)]),
		Err(Rejected::Stranger(m(9)))
	);
	cluster.change(1, ConfigChange::Remove(m(3)));
	assert_eq!(
		propose(&mut cluster, 1, &[(3, 1)]),
		Err(Rejected::Stranger(m(3)))
	);
	assert!(!cluster.raft(1).log_state().sessions.contains_key(&m(3)));
}

/// §6.3: the sessions are part of what is replicated, so a new leader knows them.
#[test]
fn sessions_survive_a_change_of_leader() {
	let mut cluster = elected();
	propose(&mut cluster, 1, &[(3, 1), (3, 2)]).unwrap();
	cluster.elect(2);
	let again = propose(&mut cluster, 2, &[(3, 1), (3, 2), (3, 3)]).unwrap();
	assert_eq!((again.appended, again.duplicates), (1, 2));
	assert_eq!(texts(&cluster, 1), ["3.1", "3.2", "3.3"]);
}

/// Whether the first time was lost with its leader or not, sending again is right.
#[test]
fn a_command_that_may_have_been_lost_takes_effect_once_when_it_is_sent_again() {
	for arrives in [false, true] {
		let mut cluster = elected();
		if !arrives {
			cluster.isolate(1);
		}
		let batch = vec![command(3, 1)];
		cluster.node(1).raft.propose(batch).unwrap();
		cluster.pump(1);
		cluster.deliver(1, 2);
		cluster.isolate(1);
		cluster.elect_among(2, &[2, 3]);
		let again = propose(&mut cluster, 2, &[(3, 1)]).unwrap();
		assert_eq!(again.duplicates, usize::from(arrives));
		cluster.heal();
		cluster.run(1_000);
		cluster.assert_equal();
		assert_eq!(texts(&cluster, 1), ["3.1"]);
	}
}

#[test]
fn sessions_survive_a_snapshot_and_a_restart() {
	let mut cluster = elected();
	propose(&mut cluster, 1, &[(2, 1), (2, 2)]).unwrap();
	for id in 1..=3 {
		let commit = cluster.raft(id).commit;
		cluster.node(id).raft.compact(commit);
		cluster.pump(id);
		cluster.crash(id);
	}
	for id in 1..=3 {
		cluster.restart(id);
	}
	cluster.run(5_000);
	let leader = cluster.leader().unwrap();
	let again = propose(&mut cluster, leader, &[(2, 2), (2, 3)]).unwrap();
	assert_eq!((again.appended, again.duplicates, again.seq_end), (1, 1, 3));
	cluster.assert_equal();
}

/// Entries that carry no commands have no number of their own.
#[test]
fn only_commands_are_numbered() {
	let mut cluster = elected();
	propose(&mut cluster, 1, &[(1, 1)]).unwrap();
	cluster.change(1, ConfigChange::AddLearner(info(9)));
	cluster.elect(2);
	let proposed = propose(&mut cluster, 2, &[(2, 1)]).unwrap();
	assert_eq!(proposed.seq_end, 2);
	let entry = cluster
		.raft(3)
		.log
		.get(proposed.pos.unwrap().index)
		.unwrap();
	assert_eq!(entry.seq_end, 2);
	assert_eq!(propose(&mut cluster, 2, &[]).unwrap().appended, 0);
}

#[test]
fn nothing_follows_the_end_of_a_formation() {
	let mut cluster = elected();
	cluster
		.node(1)
		.raft
		.propose_formation(FormationEntry::Close)
		.unwrap();
	cluster.pump(1);
	cluster.settle();
	let refused = propose(&mut cluster, 1, &[(1, 1)]);
	assert_eq!(refused, Err(Rejected::NotPermitted));
	let raft = &mut cluster.node(1).raft;
	let refused = raft.propose_config(ConfigChange::Remove(m(3)));
	assert_eq!(refused, Err(Rejected::NotPermitted.into()));
	let again = raft.propose_formation(FormationEntry::Close);
	assert_eq!(again, Err(Rejected::NotPermitted));
}
