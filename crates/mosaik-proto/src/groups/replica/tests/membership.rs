//! Who is removed, when, and what the others can still do (2.5).

use super::{script::*, *};

#[test]
fn the_group_sleeps_when_nothing_happens_and_wakes_when_its_leader_is_gone() {
	let mut world = World::with_nodes(3);
	world.wait("all are online", World::all_online_of_three);
	world.execute(1, "a");
	world.run(5_000);
	let asleep = |node: &Node| node.replica.deadline().is_none();
	assert!(world.nodes.values().all(asleep));
	let leader = world.leader().unwrap();
	world.kill(leader);
	world.wait("another one leads", |world| world.leader().is_some());
	let next = world.leader().unwrap();
	assert_eq!(world.execute(next, "b"), Outcome::Committed(Some(2)));
}

#[test]
fn of_two_members_the_leader_sheds_a_dead_follower() {
	let mut world = World::with_nodes(2);
	world.wait("both vote", |world| {
		world.all_online() && world.voters(0) == 2
	});
	let leader = world.leader().unwrap();
	world.kill(1 - leader);
	let call = world.issue(leader, "a");
	assert_eq!(world.outcome(leader, call), Outcome::Committed(Some(1)));
	assert_eq!(world.voters(leader), 1);
}

/// Nodes that vote with as many as this in the end, and their leader.
fn voters(count: u8) -> (World, u8, Vec<u8>) {
	let world = World::formed(count);
	let leader = world.leader().unwrap();
	let followers = world.others(&[leader]);
	(world, leader, followers)
}

#[test]
fn of_two_members_the_follower_without_its_leader_is_blocked_and_says_so() {
	let (mut world, leader, followers) = voters(2);
	let left = followers[0];
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
	world.kill(leader);
	let call = world.issue(left, "b");
	world.wait("it is surfaced", |world| world.has_lost_quorum(left));
	assert_eq!(world.outcome(left, call), Outcome::Unknown);
	assert!(!world.is_online(left));
	assert_eq!(world.execute(left, "c"), Outcome::NoQuorum);
	assert_eq!(world.applied(left), ["a"], "what is here can be read");
}

#[test]
fn of_three_a_dead_follower_is_removed_after_its_silence_and_not_before() {
	let (mut world, leader, followers) = voters(3);
	world.kill(followers[0]);
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
	world.run(9_000);
	assert_eq!(world.voters(leader), 3);
	world.wait("it is removed", |world| world.voters(leader) == 2);
	assert_eq!(world.config(leader).members.len(), 2);
	assert_eq!(
		world.execute(followers[1], "b"),
		Outcome::Committed(Some(2))
	);
}

#[test]
fn of_three_a_dead_leader_is_replaced_and_removed() {
	let (mut world, leader, followers) = voters(3);
	world.kill(leader);
	world.wait("another one leads and removes it", |world| {
		world.leader().is_some() && world.voters(followers[0]) == 2
	});
	assert_eq!(
		world.execute(followers[0], "a"),
		Outcome::Committed(Some(1))
	);
}

#[test]
fn the_seat_of_a_dead_voter_goes_to_who_waited_for_one() {
	let (mut world, leader, _) = voters(4);
	let config = world.config(leader);
	let (_, standby) = config.learners().next().unwrap();
	let voter = world.others(&[leader]);
	let voter = voter
		.into_iter()
		.find(|node| peer(*node) != standby.peer)
		.unwrap();
	world.kill(voter);
	world.wait("there are three voters again", |world| {
		let config = world.config(leader);
		config.members.len() == 3 && config.voters.len() == 3
	});
}

#[test]
fn of_three_one_without_the_others_is_blocked_and_removes_nobody() {
	let (mut world, leader, followers) = voters(3);
	followers.iter().for_each(|node| drop(world.kill(*node)));
	world.wait("it is surfaced", |world| world.has_lost_quorum(leader));
	assert_eq!(world.voters(leader), 3);
	assert_eq!(world.execute(leader, "a"), Outcome::NoQuorum);
}

#[test]
fn of_four_voters_two_can_die_if_the_leader_lives() {
	let (mut world, leader, followers) = voters(5);
	assert_eq!(world.leave(followers[0]), Outcome::Left);
	world.kill(followers[0]);
	assert_eq!(world.voters(leader), 4);
	world.kill(followers[1]);
	world.wait("the first is removed", |world| world.voters(leader) == 3);
	world.kill(followers[2]);
	world.wait("the second is removed", |world| world.voters(leader) == 2);
	assert_eq!(
		world.execute(followers[3], "a"),
		Outcome::Committed(Some(1))
	);
}

#[test]
fn of_four_voters_two_that_die_at_once_are_shed_one_after_the_other() {
	let (mut world, leader, followers) = voters(5);
	assert_eq!(world.leave(followers[0]), Outcome::Left);
	world.kill(followers[0]);
	world.kill(followers[1]);
	world.kill(followers[2]);
	world.wait("both are removed", |world| world.voters(leader) == 2);
	assert_eq!(
		world.execute(followers[3], "a"),
		Outcome::Committed(Some(1))
	);
}

#[test]
fn of_five_voters_two_can_die_at_once() {
	let (mut world, leader, followers) = voters(5);
	world.kill(followers[0]);
	world.kill(followers[1]);
	world.wait("both are removed", |world| world.voters(leader) == 3);
	assert_eq!(
		world.execute(followers[2], "a"),
		Outcome::Committed(Some(1))
	);
}

#[test]
fn a_voter_whose_node_is_back_without_its_storage_is_removed_at_once() {
	for count in [2, 3] {
		let (mut world, leader, followers) = voters(count);
		let old = world.identity(followers[0]).unwrap().member;
		world.kill(followers[0]);
		world.start(followers[0], ReplicaSettings::default());
		world.run(2_000);
		assert!(!world.is_member(leader, old));
		assert_eq!(world.voters(leader), usize::from(count));
		assert!(world.is_one());
	}
}

#[test]
fn who_is_revoked_is_removed_at_once() {
	let (mut world, leader, followers) = voters(3);
	let revoked = world.identity(followers[0]).unwrap().member;
	world.handle(
		leader,
		Input::Revoked {
			peer: peer(followers[0]),
		},
	);
	world.settle();
	world.run(1_000);
	assert!(!world.is_member(leader, revoked));
	world.run(20_000);
	assert_eq!(world.config(leader).members.len(), 2, "it stays outside");
}

#[test]
fn a_dead_observer_is_removed_without_conditions() {
	let (mut world, leader, _) = voters(1);
	world.start(1, observer());
	world.wait("it is online", |world| world.is_online(1));
	world.kill(1);
	world.wait("it is removed", |world| {
		world.config(leader).members.len() == 1
	});
}

#[test]
fn removals_leave_as_many_voters_as_the_policy_wants() {
	let mut settings = ReplicaSettings::default();
	settings.policy.min_voters = 2;
	let mut world = World::new();
	world.start(0, settings.clone());
	world.start(1, settings);
	world.wait("both vote", |world| {
		world.all_online() && world.voters(0) == 2
	});
	let leader = world.leader().unwrap();
	world.kill(1 - leader);
	world.wait("it is surfaced", |world| world.has_lost_quorum(leader));
	assert_eq!(world.voters(leader), 2);
}

#[test]
fn where_so_many_are_expected_removals_leave_more_than_half_of_them() {
	let mut world = World::new();
	(0..3).for_each(|node| world.start(node, expect(3)));
	world.wait("all vote", World::all_online_of_three);
	let leader = world.leader().unwrap();
	let followers = world.others(&[leader]);
	world.kill(followers[0]);
	world.wait("one is removed", |world| world.voters(leader) == 2);
	world.kill(followers[1]);
	world.wait("it is surfaced", |world| world.has_lost_quorum(leader));
	assert_eq!(world.voters(leader), 2);
}

#[test]
fn a_member_that_was_removed_while_it_was_away_learns_it_and_comes_back_as_another() {
	let (mut world, leader, followers) = voters(3);
	let away = followers[0];
	let old = world.identity(away).unwrap();
	let nonce = world.nodes[&away].replica.nonce();
	world.split(&[away], &[leader, followers[1]]);
	world.wait("it is removed", |world| {
		!world.is_member(leader, old.member)
	});
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
	world.join_up(&[away], &[leader, followers[1]]);
	world.wait("it is back", |world| {
		world.is_one() && world.voters(leader) == 3
	});
	let new = world.identity(away).unwrap();
	assert_eq!(new.formation, old.formation);
	assert!(new.member > old.member);
	assert_ne!(world.nodes[&away].replica.nonce(), nonce);
	assert_eq!(world.applied(away), ["a"]);
}

#[test]
fn a_member_that_was_removed_in_its_sleep_learns_it_and_comes_back_as_another() {
	let (mut world, leader, followers) = voters(3);
	let asleep = followers[0];
	let old = world.identity(asleep).unwrap();
	world.run(20_000);
	world.lose(move |_, to, message| to == asleep && matches!(message, Message::Engine(_)));
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
	world.wait("it is removed", |world| {
		!world.is_member(leader, old.member)
	});
	world.run(20_000);
	assert_eq!(world.identity(asleep), Some(old), "and does not know");
	world.lose_nothing();
	world.wait("it is back", |world| {
		world.is_one() && world.voters(leader) == 3
	});
	assert_eq!(world.applied(asleep), ["a"]);
}

#[test]
fn a_leader_that_hears_no_majority_steps_down_and_serves_no_strong_read() {
	let (mut world, leader, followers) = voters(3);
	world.split(&[leader], &followers);
	let read = world.call(leader, |call| Input::Read { call });
	world.run(2_500);
	assert_ne!(world.leader(), Some(leader));
	assert!(!world.is_online(leader) && !world.is_done(leader, read));
}

#[test]
fn members_of_a_group_that_slept_are_not_taken_for_dead() {
	let (mut world, leader, followers) = voters(2);
	world.start(2, observer());
	world.wait("all are online", World::all_online);
	let ids = [0, 1, 2].map(|node| world.identity(node).unwrap());
	world.run(60_000);
	world.connect(followers[0], leader);
	world.start(3, observer());
	world.wait("it is online", |world| world.is_online(3));
	world.run(20_000);
	assert_eq!([0, 1, 2].map(|node| world.identity(node).unwrap()), ids);
}

#[test]
fn nodes_with_nothing_to_do_say_nothing() {
	let mut world = World::formed(4);
	assert_eq!(world.execute(0, "a"), Outcome::Committed(Some(1)));
	world.run(30_000);
	world.lose(|_, _, _| true);
	world.run(600_000);
	let said = world.lose_nothing();
	assert!(said.is_empty(), "{said:?}");
	for node in world.nodes.values() {
		assert_eq!(node.replica.deadline(), None, "and wait for nothing");
	}
}
