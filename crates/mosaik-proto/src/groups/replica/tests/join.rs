//! Being let in: ids, seats, and when a node is online.

use {
	super::{script::*, *},
	crate::groups::types::LeadershipPreference,
};

#[test]
fn the_first_of_three_can_die_as_soon_as_the_third_sees_a_leader() {
	let mut world = World::with_nodes(1);
	world.wait("the first is online", World::all_online);
	for node in 1..3 {
		world.start(node, ReplicaSettings::default());
		world.wait("it is online", |world| world.is_online(node));
	}
	world.kill(0);
	world.wait("the others elect one of them", |world| {
		world.leader().is_some()
	});
	let leader = world.leader().unwrap();
	assert_eq!(world.execute(3 - leader, "a"), Outcome::Committed(Some(1)));
}

#[test]
fn so_many_nodes_have_so_many_voters() {
	for (count, voters) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (6, 5)] {
		let mut world = World::with_nodes(count);
		world.wait("they have their seats", |world| {
			world.all_online() && (0..count).all(|node| world.voters(node) == voters)
		});
		world.run(30_000);
		assert_eq!(world.voters(0), voters);
		assert_eq!(world.config(0).members.len(), usize::from(count));
	}
}

#[test]
fn a_seat_beyond_the_third_is_given_after_a_while() {
	let mut world = World::formed(3);
	world.start(3, ReplicaSettings::default());
	world.start(4, ReplicaSettings::default());
	world.wait("they are online without a seat", World::all_online);
	world.run(8_000);
	assert_eq!(world.voters(0), 3);
	world.wait("all have seats", |world| world.voters(0) == 5);
}

#[test]
fn who_waits_for_a_seat_is_online_and_so_is_an_observer() {
	let mut world = World::formed(3);
	world.start(3, ReplicaSettings::default());
	world.start(4, observer());
	world.wait("all are online", World::all_online);
	assert_eq!(world.voters(3), 3);
	assert_eq!(world.execute(3, "a"), Outcome::Committed(Some(1)));
	assert_eq!(world.execute(4, "b"), Outcome::Committed(Some(2)));
	assert_eq!(world.applied(4), ["a", "b"]);
}

#[test]
fn a_reluctant_node_gets_a_seat_after_the_others() {
	let mut world = World::formed(2);
	world.start(2, preferring(LeadershipPreference::reluctant()));
	world.wait("three vote", |world| world.voters(0) == 3);
	world.start(3, preferring(LeadershipPreference::reluctant()));
	world.start(4, ReplicaSettings::default());
	world.wait("all vote", |world| world.voters(0) == 5);
	let config = world.config(0);
	let members: BTreeMap<_, _> = config
		.members
		.iter()
		.map(|(id, info)| (info.peer, id))
		.collect();
	assert_eq!(members.len(), 5);
}

#[test]
fn a_join_whose_answer_is_lost_is_repeated_and_adds_one_member() {
	let mut world = World::formed(1);
	world.lose(|_, _, message| matches!(message, Message::Joined { .. }));
	world.start(1, ReplicaSettings::default());
	world.run(5_000);
	assert!(world.lose_nothing().len() > 1, "it asked again");
	assert_eq!(world.identity(1), None);
	world.wait("it is let in", World::is_one);
	assert_eq!(world.config(0).members.len(), 2);
}

#[test]
fn who_is_revoked_is_not_let_in() {
	let mut world = World::formed(1);
	world.lose(|_, _, message| matches!(message, Message::Join { .. }));
	world.start(1, ReplicaSettings::default());
	world.handle(0, Input::Revoked { peer: peer(1) });
	world.settle();
	world.lose_nothing();
	world.run(5_000);
	assert_eq!(world.config(0).members.len(), 1);
	assert!(!world.is_online(1));
}

#[test]
fn a_node_is_online_when_it_has_what_was_committed_when_it_was_let_in() {
	let mut world = World::formed(1);
	(0..100).for_each(|_| assert!(matches!(world.execute(0, "a"), Outcome::Committed(_))));
	world.lose(|_, to, message| {
		let is_append = |message: &Message| {
			use crate::groups::message::Msg;
			matches!(message, Message::Engine(frame) if matches!(frame.msg, Msg::Append(_)))
		};
		to == 1 && is_append(message)
	});
	world.start(1, observer());
	world.run(3_000);
	assert!(world.identity(1).is_some() && !world.is_online(1));
	world.lose_nothing();
	world.wait("it is online", |world| world.is_online(1));
	assert_eq!(world.applied(1).len(), 100);
}

#[test]
fn a_node_that_joins_after_the_log_was_cut_gets_a_snapshot() {
	let mut world = World::formed(2);
	(0..10).for_each(|_| assert!(matches!(world.execute(0, "a"), Outcome::Committed(_))));
	world.compact(0);
	world.compact(1);
	world.start(2, ReplicaSettings::default());
	world.wait("all vote", World::all_online_of_three);
	assert_eq!(world.applied(2).len(), 10);
	assert_eq!(world.execute(2, "b"), Outcome::Committed(Some(11)));
	assert_eq!(world.applied(2).len(), 11);
}

#[test]
fn members_are_never_two_with_one_id() {
	let mut world = World::formed(3);
	let mut seen: Vec<_> = (0..3)
		.map(|node| world.identity(node).unwrap().member)
		.collect();
	for _ in 0..5 {
		let follower = world.others(&[world.leader().unwrap()])[0];
		world.kill(follower);
		world.start(follower, ReplicaSettings::default());
		world.wait("it is back", |world| {
			world.all_online_of_three() && world.config(0).members.len() == 3
		});
		let member = world.identity(follower).unwrap().member;
		assert!(!seen.contains(&member));
		seen.push(member);
	}
}

#[test]
fn who_waits_for_a_seat_stays_online_whoever_comes_or_goes() {
	let mut world = World::formed(4);
	world.start(4, ReplicaSettings::default());
	world.run(1_000);
	assert!(world.is_one(), "it is online before it has a seat");
	assert_eq!(world.voters(0), 3);
	let offline = |event: &Event| *event == Event::Online(false);
	assert!((0..5).all(|node| world.count(node, offline) == 0));
	world.wait("all vote", |world| world.voters(0) == 5);
	let follower = world.others(&[world.leader().unwrap()])[0];
	world.kill(follower);
	world.run(30_000);
	assert!(
		world
			.others(&[])
			.iter()
			.all(|node| world.count(*node, offline) == 0)
	);
}

#[test]
fn a_member_that_is_cut_off_from_the_leader_keeps_nobody_from_it() {
	for order in [[0, 1], [1, 0]] {
		let mut world = World::new();
		for node in order {
			world.start(node, ReplicaSettings::default());
		}
		world.wait("both vote", |world| {
			world.all_online() && world.voters(0) == 2 && world.leader().is_some()
		});
		let leader = world.leader().unwrap();
		// The cut-off one stays a member of the formation, as far as it knows.
		world.disconnect(leader, 1 - leader);
		world.run(20_000);
		world.start(2, ReplicaSettings::default());
		world.wait("it is let in", |world| world.is_online(2));
	}
}
