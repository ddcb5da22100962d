//! Leader election: §3.4, and who may win: §3.6.1.

use {
	super::*,
	crate::groups::engine::{CoreEvent, RoleKind},
	std::collections::BTreeSet,
};

fn role(raft: &Raft) -> RoleKind {
	raft.status().role
}

/// A member that stands in the term after that of its log.
fn candidate(n: u64, terms: &[Term]) -> Raft {
	let mut raft = alone(1, n, terms);
	time_out(&mut raft);
	for voter in 2..=n {
		let term = raft.term + 1;
		let granted = true;
		let _ = raft.step(m(voter), Msg::PreVoteReply(VoteReply { term, granted }));
	}
	drain(&mut raft);
	assert_eq!(role(&raft), RoleKind::Candidate);
	raft
}

fn grant(raft: &mut Raft, from: u64, term: Term) -> Vec<(MemberId, Msg)> {
	let granted = true;
	tell(raft, from, Msg::VoteReply(VoteReply { term, granted }))
}

/// §3.4: "When servers start up, they begin as followers."
#[test]
fn a_member_begins_as_a_follower() {
	let raft = alone(1, 3, &[1, 2]);
	assert_eq!(role(&raft), RoleKind::Follower);
	assert_eq!((raft.term, raft.leader), (2, None));
}

/// §3.4: "If a follower receives no communication over a period of time called
/// the election timeout, then it assumes there is no viable leader."
#[test]
fn a_follower_that_hears_nothing_for_an_election_timeout_stands() {
	let mut raft = alone(1, 3, &[]);
	raft.tick(settings().election_timeout - 1);
	assert_eq!(role(&raft), RoleKind::Follower);
	time_out(&mut raft);
	assert_eq!(role(&raft), RoleKind::PreCandidate);
}

/// §3.4: "A server remains in follower state as long as it receives valid RPCs
/// from a leader or candidate."
#[test]
fn heartbeats_prevent_elections() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	let term = cluster.raft(1).term;
	cluster.run(20_000);
	assert_eq!(cluster.leader(), Some(1));
	assert_eq!(cluster.raft(2).term, term);
}

/// §3.4: "To begin an election, a follower increments its current term and
/// transitions to candidate state. It then votes for itself and issues RequestVote
/// RPCs in parallel to each of the other servers in the cluster."
#[test]
fn a_candidate_increments_its_term_votes_for_itself_and_asks_all_others() {
	let mut raft = alone(1, 5, &[2, 3]);
	time_out(&mut raft);
	let granted = true;
	tell(
		&mut raft,
		2,
		Msg::PreVoteReply(VoteReply { term: 4, granted }),
	);
	let sent = tell(
		&mut raft,
		3,
		Msg::PreVoteReply(VoteReply { term: 4, granted }),
	);
	assert_eq!((raft.term, raft.vote), (4, Some(m(1))));
	let asked: Vec<_> = (2..=5).map(|id| (m(id), vote(4, at(3, 7)))).collect();
	assert_eq!(sent, asked);
}

/// §3.4: "A candidate wins an election if it receives votes from a majority of the
/// servers in the full cluster for the same term."
#[test]
fn a_candidate_wins_with_the_votes_of_a_majority() {
	for n in 2..=7 {
		let mut raft = candidate(n, &[]);
		for votes in 2..=n {
			let is_won = votes > n / 2;
			grant(&mut raft, votes, 1);
			let expected = if is_won {
				RoleKind::Leader
			} else {
				RoleKind::Candidate
			};
			assert_eq!(role(&raft), expected, "{votes} votes of {n}");
		}
	}
}

#[test]
fn a_lone_voter_leads_at_once_and_a_repeated_vote_counts_once() {
	let mut raft = alone(1, 1, &[]);
	assert_eq!(raft.next_wakeup(), Some(0));
	time_out(&mut raft);
	assert_eq!(role(&raft), RoleKind::Leader);

	let mut raft = candidate(5, &[]);
	for _ in 0..3 {
		grant(&mut raft, 2, 1);
	}
	assert_eq!(role(&raft), RoleKind::Candidate);
}

/// §3.4: votes count "for the same term".
#[test]
fn votes_for_an_earlier_term_do_not_count() {
	let mut raft = candidate(3, &[4]);
	grant(&mut raft, 2, 4);
	assert_eq!(role(&raft), RoleKind::Candidate);
	grant(&mut raft, 2, 5);
	assert_eq!(role(&raft), RoleKind::Leader);
}

/// §4.1: a candidate counts those who vote in its own configuration.
#[test]
fn the_votes_of_others_than_voters_do_not_count() {
	let mut raft = candidate(3, &[]);
	grant(&mut raft, 9, 1);
	grant(&mut raft, 10, 1);
	assert_eq!(role(&raft), RoleKind::Candidate);
}

/// §3.4: "Each server will vote for at most one candidate in a given term, on a
/// first-come-first-served basis."
#[test]
fn a_member_votes_for_one_candidate_per_term() {
	let mut raft = alone(1, 3, &[]);
	assert_eq!(
		votes(&tell(&mut raft, 2, vote(1, at(0, 3)))),
		[(2, 1, true)]
	);
	assert_eq!(
		votes(&tell(&mut raft, 3, vote(1, at(0, 3)))),
		[(3, 1, false)]
	);
	// The answer may have been lost.
	assert_eq!(
		votes(&tell(&mut raft, 2, vote(1, at(0, 3)))),
		[(2, 1, true)]
	);
	assert_eq!(
		votes(&tell(&mut raft, 3, vote(2, at(0, 3)))),
		[(3, 2, true)]
	);
}

/// A leader is evidence that the election of its term is over.
#[test]
fn nobody_votes_in_a_term_that_has_a_leader() {
	let mut raft = alone(1, 3, &[]);
	tell(&mut raft, 2, append(1, at(0, 3), &[1], 3));
	assert_eq!(
		votes(&tell(&mut raft, 3, vote(1, at(9, 9)))),
		[(3, 1, false)]
	);
}

/// §3.4: "If the leader's term is at least as large as the candidate's current
/// term, then the candidate recognizes the leader as legitimate and returns to
/// follower state."
#[test]
fn a_candidate_recognises_a_leader_of_its_term_or_a_later_one() {
	for term in [1, 2] {
		let mut raft = candidate(3, &[]);
		tell(&mut raft, 2, append(term, at(0, 3), &[term], 3));
		assert_eq!(role(&raft), RoleKind::Follower);
		assert_eq!((raft.term, raft.leader), (term, Some(m(2))));
	}
}

/// §3.4: "If the term in the RPC is smaller than the candidate's current term,
/// then the candidate rejects the RPC and continues in candidate state."
#[test]
fn a_candidate_rejects_a_leader_of_an_earlier_term() {
	let mut raft = candidate(3, &[1]);
	let sent = tell(&mut raft, 2, append(1, at(1, 4), &[1], 4));
	assert_eq!(outcomes(&sent), [AppendOutcome::Stale]);
	assert_eq!((role(&raft), raft.term), (RoleKind::Candidate, 2));
	assert_eq!(raft.log.last(), at(1, 4));
}

/// §3.3: "If a server receives a request with a stale term number, it rejects the
/// request", and says what the term is.
#[test]
fn a_request_of_an_earlier_term_is_refused_with_the_term() {
	let mut raft = alone(1, 3, &[5]);
	assert_eq!(
		votes(&tell(&mut raft, 2, vote(4, at(9, 9)))),
		[(2, 5, false)]
	);
	assert_eq!(
		votes(&tell(&mut raft, 2, pre_vote(4, at(9, 9)))),
		[(2, 5, false)]
	);
	let sent = tell(&mut raft, 2, append(4, at(5, 4), &[], 4));
	assert_eq!(outcomes(&sent), [AppendOutcome::Stale]);
	assert_eq!(raft.leader, None);
}

/// §3.3: "If a candidate or leader discovers that its term is out of date, it
/// immediately reverts to follower state."
#[test]
fn whoever_sees_a_later_term_follows_in_it() {
	let mut leads = alone(1, 3, &[]);
	make_leader(&mut leads);
	for mut raft in [candidate(3, &[]), leads] {
		let reply = AppendReply {
			term: 7,
			round: 0,
			outcome: AppendOutcome::Stale,
		};
		tell(&mut raft, 3, Msg::AppendReply(reply));
		assert_eq!(role(&raft), RoleKind::Follower);
		assert_eq!((raft.term, raft.vote, raft.leader), (7, None, None));
	}
}

/// §3.4: "Many followers could become candidates at the same time, votes could be
/// split so that no candidate obtains a majority. When this happens, each candidate
/// will time out and start a new election."
#[test]
fn a_split_vote_is_followed_by_an_election_in_a_later_term() {
	let mut raft = candidate(3, &[]);
	for from in [2, 3] {
		let granted = false;
		tell(
			&mut raft,
			from,
			Msg::VoteReply(VoteReply { term: 1, granted }),
		);
	}
	assert_eq!(role(&raft), RoleKind::Follower);
	time_out(&mut raft);
	let granted = true;
	tell(
		&mut raft,
		2,
		Msg::PreVoteReply(VoteReply { term: 2, granted }),
	);
	assert_eq!((role(&raft), raft.term), (RoleKind::Candidate, 2));
}

/// §3.4: "election timeouts are chosen randomly from a fixed interval".
#[test]
fn election_timeouts_are_spread_over_the_interval() {
	let mut seen = BTreeSet::new();
	for seed in 0..200 {
		let settings = Settings::default();
		let (least, jitter) = (settings.election_timeout, settings.election_jitter);
		let raft = Raft::new(m(1), settings, disk(3, &[]), seed).unwrap();
		let timeout = raft.next_wakeup().unwrap();
		assert!((least..least + jitter).contains(&timeout));
		seen.insert((timeout - least) * 10 / jitter);
	}
	assert_eq!(seen.len(), 10, "every tenth of the interval is used");
}

/// §3.6.1: "the voter denies its vote if its own log is more up-to-date than that
/// of the candidate": the later term of the last entry wins, then the longer log.
#[test]
fn a_vote_is_denied_to_whom_the_own_log_is_more_up_to_date_than() {
	let mine: [&[Term]; 4] = [&[1], &[1, 1], &[2], &[1, 2]];
	for terms in mine {
		let last = at(*terms.last().unwrap(), 3 + terms.len() as u64);
		for theirs in [
			at(0, 3),
			at(1, 4),
			at(1, 5),
			at(1, 9),
			at(2, 4),
			at(2, 5),
			at(3, 4),
		] {
			let mut raft = alone(1, 3, terms);
			let granted =
				theirs.term > last.term || theirs.term == last.term && theirs.index >= last.index;
			let answer = votes(&tell(&mut raft, 2, vote(4, theirs)));
			assert_eq!(answer, [(2, 4, granted)], "{theirs:?} against {last:?}");
			// The term is taken over in any case, and the vote stays free.
			assert_eq!(raft.vote, granted.then_some(m(2)));
			assert_eq!(raft.term, 4);
		}
	}
}

/// §3.6.1, Raft paper figure 7: who may be elected depends on the last entries.
#[test]
fn the_leader_has_all_committed_entries_whoever_is_elected() {
	let logs: [&[Term]; 3] = [&[1, 1, 2], &[1, 1], &[1, 1, 2]];
	let mut cluster = Cluster::with_logs(settings(), &logs);
	cluster.time_out(2);
	cluster.settle();
	assert_eq!(cluster.leader(), None);
	cluster.run(5_000);
	assert!(matches!(cluster.leader(), Some(1 | 3)));
	assert_eq!(terms(cluster.raft(2))[..3], [1, 1, 2]);
}

/// §4.2.3: "if a server receives a RequestVote request within the minimum election
/// timeout of hearing from a current leader, it does not update its term or grant
/// its vote."
#[test]
fn who_hears_a_leader_neither_updates_its_term_nor_votes() {
	let mut raft = alone(1, 3, &[]);
	tell(&mut raft, 2, append(1, at(0, 3), &[1], 3));
	raft.tick(settings().election_timeout - 1);
	assert_eq!(tell(&mut raft, 3, vote(5, at(9, 9))), []);
	assert_eq!(raft.term, 1);
	raft.now = settings().election_timeout;
	assert_eq!(
		votes(&tell(&mut raft, 3, vote(5, at(9, 9)))),
		[(3, 5, true)]
	);
}

/// §3.4: once it wins, it "sends heartbeat messages to all of the other servers to
/// establish its authority and prevent new elections"; §6.4: with an entry of its
/// term.
#[test]
fn a_new_leader_sends_an_entry_of_its_term_to_all_at_once() {
	let mut raft = candidate(3, &[2]);
	let sent = grant(&mut raft, 2, 3);
	let entry = append(3, at(2, 4), &[3], 3);
	assert_eq!(sent, [(m(2), entry.clone()), (m(3), entry)]);
}

/// §4.1: servers "process incoming RPC requests without consulting their current
/// configurations": one that is not yet in it may be needed for a majority.
#[test]
fn a_member_that_is_not_a_voter_votes_when_asked_and_does_not_stand() {
	let mut raft = Raft::new(m(9), settings(), disk(3, &[]), 0).unwrap();
	assert_eq!(
		votes(&tell(&mut raft, 2, vote(1, at(0, 3)))),
		[(2, 1, true)]
	);
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	let learner = cluster.add_learner(1, 4);
	for id in 1..=3 {
		cluster.crash(id);
	}
	cluster.run(10_000);
	assert_eq!(role(cluster.raft(learner)), RoleKind::Follower);
	assert_eq!(cluster.raft(learner).term, 1);
}

#[test]
fn the_driver_is_told_of_every_change_of_leader() {
	let mut cluster = Cluster::of(3);
	cluster.elect(1);
	cluster.elect(2);
	let events = cluster.node(3).events.clone();
	let leaders = events.into_iter().filter_map(|event| match event {
		CoreEvent::Leader { term, leader } => Some((term, leader)),
		_ => None,
	});
	let leaders: Vec<_> = leaders.collect();
	assert_eq!(leaders, [(1, Some(m(1))), (2, None), (2, Some(m(2)))]);
}
