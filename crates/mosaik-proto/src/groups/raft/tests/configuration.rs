//! Changes of members, one at a time: chapter 4 and the correction of 2015.

use {
	super::*,
	crate::groups::{
		config::{ConfigChange, InvalidChange},
		engine::{ConfigError, Rejected},
	},
};

fn voters(raft: &Raft) -> Vec<u64> {
	let config = &raft.log.state().config;
	config.voters.iter().map(|id| id.get()).collect()
}

fn refuse(cluster: &mut Cluster, id: u64, change: ConfigChange) -> ConfigError {
	cluster.node(id).raft.propose_config(change).unwrap_err()
}

fn elected(n: u64) -> Cluster {
	let mut cluster = Cluster::of(n);
	cluster.elect(1);
	cluster
}

#[test]
fn the_id_of_a_new_member_is_the_index_of_the_entry_that_adds_it() {
	let mut cluster = elected(3);
	let last = cluster.raft(1).log.last().index;
	let pos = cluster.change(1, ConfigChange::AddLearner(info(9)));
	assert_eq!(pos.index, last + 1);
	let config = &cluster.raft(2).log.state().config;
	assert_eq!(
		config.find(&info(9).peer, &info(9).nonce),
		Some(m(last + 1))
	);
	assert!(!config.is_voter(m(last + 1)));
	let again = refuse(&mut cluster, 1, ConfigChange::AddLearner(info(9)));
	assert_eq!(again, InvalidChange::IsMember(m(last + 1)).into());
}

/// An index that is not committed could yet be that of another member.
#[test]
fn a_new_member_is_sent_nothing_before_the_entry_that_adds_it_is_committed() {
	let mut raft = alone(1, 3, &[]);
	make_leader(&mut raft);
	tell(&mut raft, 2, matched(1, 4));
	let add = ConfigChange::AddLearner(info(9));
	assert_eq!(raft.propose_config(add), Ok(at(1, 5)));
	let sent = drain(&mut raft).send;
	assert!(sent.iter().all(|(to, _)| *to != m(5)));
	let next = raft.next_wakeup().unwrap();
	raft.tick(next);
	assert!(drain(&mut raft).send.iter().all(|(to, _)| *to != m(5)));
	let sent = tell(&mut raft, 2, matched(1, 5));
	assert!(sent.iter().any(|(to, _)| *to == m(5)));
}

/// §4.2.1: "a new server ... joins the cluster as a non-voting member. The leader
/// replicates log entries to it, but it is not counted towards majorities."
#[test]
fn a_learner_gets_everything_and_is_not_counted() {
	let mut cluster = elected(2);
	cluster.propose(1);
	let learner = cluster.add_learner(1, 3);
	cluster.propose(1);
	cluster.settle();
	cluster.assert_equal();
	assert_eq!(cluster.node(learner).commands.len(), 2);
	cluster.crash(2);
	let pos = cluster.propose(1);
	cluster.settle();
	assert_eq!(cluster.raft(learner).log.last(), pos);
	assert_eq!(
		cluster.raft(1).commit,
		pos.index - 1,
		"one voter of two has it"
	);
}

/// §4.1: "The new configuration takes effect on each server as soon as it is added
/// to that server's log: the Cnew entry is replicated to the Cnew servers, and a
/// majority of the new configuration is used to determine the Cnew entry's
/// commitment."
#[test]
fn a_configuration_counts_as_soon_as_it_is_in_the_log() {
	let mut cluster = elected(1);
	let learner = cluster.add_learner(1, 2);
	cluster.crash(learner);
	let pos = cluster.change(1, ConfigChange::Promote(m(learner)));
	assert_eq!(voters(cluster.raft(1)), [1, learner]);
	assert_eq!(cluster.raft(1).commit, pos.index - 1, "both are needed now");
	cluster.restart(learner);
	cluster.run(1_000);
	assert_eq!(cluster.raft(1).commit, pos.index);
	assert_eq!(voters(cluster.raft(learner)), [1, learner]);
}

/// §4.1: "if a server's log entry is removed ... it falls back to the previous
/// configuration in its log".
#[test]
fn a_configuration_that_is_truncated_no_longer_counts() {
	let mut cluster = elected(3);
	let learner = cluster.add_learner(1, 4);
	cluster.isolate(1);
	cluster.change(1, ConfigChange::Promote(m(learner)));
	assert_eq!(voters(cluster.raft(1)), [1, 2, 3, learner]);
	cluster.elect_among(2, &[2, 3]);
	cluster.heal();
	cluster.run(1_000);
	assert_eq!(voters(cluster.raft(1)), [1, 2, 3]);
	cluster.assert_equal();
}

/// Rule (i): one voter per entry; what makes no sense is refused.
#[test]
fn a_change_that_makes_no_sense_is_refused() {
	let mut cluster = elected(2);
	let mut observer = info(9);
	observer.preference = LeadershipPreference::Observer;
	let id = cluster.change(1, ConfigChange::AddLearner(observer)).index;
	let cases = [
		(ConfigChange::Promote(m(id)), InvalidChange::Observer(m(id))),
		(ConfigChange::Promote(m(2)), InvalidChange::IsVoter(m(2))),
		(
			ConfigChange::Promote(m(99)),
			InvalidChange::NotMember(m(99)),
		),
		(ConfigChange::Remove(m(99)), InvalidChange::NotMember(m(99))),
		(
			ConfigChange::Update(m(99), info(1)),
			InvalidChange::NotMember(m(99)),
		),
	];
	for (change, error) in cases {
		assert_eq!(refuse(&mut cluster, 1, change), error.into());
	}
	cluster.change(1, ConfigChange::Remove(m(2)));
	let last = refuse(&mut cluster, 1, ConfigChange::Remove(m(1)));
	assert_eq!(last, InvalidChange::LastVoter(m(1)).into());
	let not_leader = refuse(&mut cluster, 2, ConfigChange::Remove(m(1)));
	let leader = Some(m(1));
	assert_eq!(not_leader, Rejected::NotLeader { leader }.into());
}

/// Rule (ii), §4.1: "Each change must be committed before the next one begins."
#[test]
fn a_change_of_voters_waits_for_the_previous_change_to_be_committed() {
	let mut cluster = elected(3);
	let (a, b) = (cluster.add_learner(1, 4), cluster.add_learner(1, 5));
	cluster.crash(2);
	cluster.crash(3);
	let pos = cluster.change(1, ConfigChange::Promote(m(a)));
	for change in [ConfigChange::Promote(m(b)), ConfigChange::Remove(m(3))] {
		let refused = refuse(&mut cluster, 1, change);
		assert_eq!(refused, ConfigError::Pending(pos.index));
	}
	cluster.restart(2);
	cluster.run(1_000);
	cluster.change(1, ConfigChange::Promote(m(b)));
	assert_eq!(voters(cluster.raft(1)), [1, 2, 3, a, b]);
}

/// Changes of learners move no quorum, so they need not wait for one another.
#[test]
fn changes_of_learners_do_not_wait() {
	let mut cluster = elected(3);
	cluster.isolate(1);
	let added: Vec<u64> = (4..8)
		.map(|n| cluster.change(1, ConfigChange::AddLearner(info(n))).index)
		.collect();
	cluster.change(1, ConfigChange::Remove(m(added[0])));
	let refused = refuse(&mut cluster, 1, ConfigChange::Promote(m(added[1])));
	assert!(matches!(refused, ConfigError::Pending(_)));
	cluster.heal();
	cluster.run(1_000);
	assert_eq!(cluster.raft(2).log.state().config.learners().count(), 3);
}

/// Rule (iii), Ongaro 2015: "a leader may not append a new configuration entry
/// until it has committed an entry from its current term".
#[test]
fn a_leader_changes_nothing_before_an_entry_of_its_term_is_committed() {
	let mut raft = alone(1, 3, &[]);
	make_leader(&mut raft);
	for change in [
		ConfigChange::Remove(m(3)),
		ConfigChange::AddLearner(info(9)),
	] {
		assert_eq!(raft.propose_config(change), Err(ConfigError::NoOwnCommit));
	}
	tell(&mut raft, 2, matched(1, 4));
	assert_eq!(
		raft.propose_config(ConfigChange::Remove(m(3))),
		Ok(at(1, 5))
	);
}

/// The schedule of 2015: S1 of four promotes a fifth on its own log only; S2 is
/// elected by the other three and must not shrink to them before their majority
/// has an entry of its term, or S1 and the fifth could still win with one of them.
#[test]
fn two_leaders_cannot_change_the_configuration_to_majorities_that_do_not_meet() {
	let mut cluster = elected(4);
	let fifth = cluster.add_learner(1, 5);
	cluster.partition(&[1, fifth], &[2, 3, 4]);
	cluster.change(1, ConfigChange::Promote(m(fifth)));
	assert_eq!(
		cluster.raft(fifth).log.last().index,
		cluster.raft(1).log.last().index
	);
	cluster.hold(|from, _, msg| from == 2 && matches!(msg, Msg::Append(_)));
	cluster.elect_among(2, &[2, 3, 4]);
	let early = refuse(&mut cluster, 2, ConfigChange::Remove(m(1)));
	assert_eq!(early, ConfigError::NoOwnCommit);
	cluster.hold(|_, _, _| false);
	cluster.settle();
	cluster.change(2, ConfigChange::Remove(m(1)));
	assert_eq!(voters(cluster.raft(3)), [2, 3, 4]);
	cluster.heal();
	cluster.run(5_000);
	assert_eq!(cluster.leader(), Some(2));
	assert!(cluster.raft(1).removed);
	assert_eq!(voters(cluster.raft(fifth)), [2, 3, 4]);
}

/// A member's id is greater than what the others know to be committed right after
/// a restart, and it is needed for a majority all the same.
#[test]
fn a_group_whose_members_joined_one_by_one_survives_a_restart_of_all() {
	let mut cluster = elected(1);
	let (b, c) = (cluster.add_voter(1, 2), cluster.add_voter(1, 3));
	cluster.propose(1);
	cluster.run(1_000);
	cluster.assert_equal();
	for id in [1, b, c] {
		cluster.crash(id);
	}
	for id in [1, b, c] {
		cluster.restart(id);
	}
	cluster.run(10_000);
	let leader = cluster.leader().expect("there is a leader");
	let pos = cluster.propose(leader);
	cluster.run(1_000);
	assert_eq!(cluster.raft(leader).commit, pos.index);
	cluster.assert_equal();
}

#[test]
fn a_new_member_can_lead_and_bring_in_others() {
	let mut cluster = elected(1);
	let b = cluster.add_voter(1, 2);
	let c = cluster.add_voter(1, 3);
	cluster.elect(c);
	cluster.change(c, ConfigChange::Remove(m(1)));
	let d = cluster.add_voter(c, 4);
	assert_eq!(voters(cluster.raft(b)), [b, c, d]);
	cluster.crash(1);
	cluster.run(1_000);
	cluster.assert_equal();
}
