//! Going on purpose (2.6).

use {
	super::{script::*, *},
	crate::groups::{formation::Bootstrap, replica::Obstacle},
};

#[test]
fn a_member_that_leaves_is_removed_and_the_others_go_on() {
	let mut world = World::with_nodes(3);
	world.wait("all are online", World::all_online_of_three);
	let leader = world.leader().unwrap();
	assert_eq!(world.leave(leader), Outcome::Left);
	world.kill(leader);
	world.wait("another one leads", |world| world.leader().is_some());
	let next = world.leader().unwrap();
	assert_eq!(world.voters(next), 2);
	let other = (0..3).find(|n| ![leader, next].contains(n)).unwrap();
	assert_eq!(world.leave(other), Outcome::Left);
	world.kill(other);
	assert_eq!(world.voters(next), 1);
	assert_eq!(world.execute(next, "a"), Outcome::Committed(Some(1)));
	assert_eq!(world.leave(next), Outcome::Left);
}

/// A formation of so many and one of them that leads, or follows.
fn left(count: u8, leads: bool) -> (World, u8) {
	let mut world = World::formed(count);
	let leader = world.leader().unwrap();
	let node = if leads {
		leader
	} else {
		world.others(&[leader])[0]
	};
	assert_eq!(world.leave(node), Outcome::Left);
	assert!(matches!(world.nodes[&node].disk, Stored::Empty));
	assert_eq!(world.execute(node, "late"), Outcome::Offline);
	assert_eq!(world.read(node), Outcome::Offline);
	(world, node)
}

#[test]
fn a_follower_that_leaves_is_removed_before_it_is_told_so() {
	let (mut world, gone) = left(3, false);
	let leader = world.leader().unwrap();
	assert_eq!(world.config(leader).members.len(), 2);
	world.kill(gone);
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
}

#[test]
fn a_leader_that_leaves_is_replaced_without_a_whole_time_out() {
	let (mut world, gone) = left(3, true);
	world.kill(gone);
	world.run(500);
	let leader = world.leader().unwrap();
	assert_eq!(world.voters(leader), 2);
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
}

#[test]
fn the_leader_of_two_that_leaves_leaves_the_other_one_alone_and_able() {
	let (mut world, gone) = left(2, true);
	world.kill(gone);
	let left = 1 - gone;
	assert_eq!(world.execute(left, "a"), Outcome::Committed(Some(1)));
	assert_eq!(world.voters(left), 1);
}

#[test]
fn the_follower_of_two_that_leaves_leaves_the_other_one_alone_and_able() {
	let (mut world, gone) = left(2, false);
	assert_eq!(world.execute(1 - gone, "a"), Outcome::Committed(Some(1)));
}

#[test]
fn the_leader_of_two_may_die_as_soon_as_the_other_one_has_its_removal() {
	use crate::groups::message::Msg;
	let mut world = World::formed(2);
	let leader = world.leader().unwrap();
	world.lose(move |_, to, message| {
		let reply =
			|frame: &crate::groups::message::Frame| matches!(frame.msg, Msg::AppendReply(_));
		to == leader && matches!(message, Message::Engine(frame) if reply(frame))
	});
	world.call(leader, |call| Input::Leave { call });
	assert_eq!(world.voters(1 - leader), 1, "it has the entry");
	world.kill(leader);
	world.lose_nothing();
	assert_eq!(world.execute(1 - leader, "a"), Outcome::Committed(Some(1)));
}

#[test]
fn an_observer_that_leaves_is_removed() {
	let mut world = World::formed(1);
	world.start(1, observer());
	world.wait("it is online", |world| world.is_online(1));
	assert_eq!(world.leave(1), Outcome::Left);
	assert_eq!(world.config(0).members.len(), 1);
}

#[test]
fn the_last_member_that_leaves_closes_the_formation() {
	left(1, true);
}

#[test]
fn the_last_voter_that_leaves_closes_the_formation_to_its_observers_which_can_still_read() {
	let mut world = World::formed(1);
	world.start(1, observer());
	world.wait("it is online", |world| world.is_online(1));
	assert_eq!(world.execute(0, "a"), Outcome::Committed(Some(1)));
	let formation = world.identity(0).unwrap().formation;
	assert_eq!(world.leave(0), Outcome::Left);
	world.kill(0);
	assert_eq!(
		world.count(1, |event| *event == Event::Closed { formation }),
		1
	);
	assert_eq!(world.execute(1, "b"), Outcome::Superseded);
	assert_eq!(world.applied(1), ["a"]);
	let outcome = world.read(1);
	assert!(
		matches!(outcome, Outcome::NoQuorum | Outcome::Offline),
		"{outcome:?}"
	);
	assert!(!world.is_online(1));
	world.start(2, ReplicaSettings::default());
	world.wait("it follows the next formation", World::is_one);
	assert!(world.applied(1).is_empty());
}

#[test]
fn a_voter_that_leaves_gives_its_seat_to_who_waits_for_one() {
	let mut world = World::formed(4);
	let leader = world.leader().unwrap();
	assert_eq!(world.leave(leader), Outcome::Left);
	world.kill(leader);
	world.wait("three vote", World::all_online_of_three);
}

#[test]
fn who_is_no_member_leaves_at_once() {
	let mut world = World::new();
	world.start(0, observer());
	let call = world.call(0, |call| Input::Leave { call });
	assert!(world.is_done(0, call));
	world.run(60_000);
	assert!(world.formations().is_empty());
}

#[test]
fn a_member_that_is_alone_on_its_side_cannot_leave_and_does_not_claim_to_have() {
	let mut world = World::formed(3);
	let node = world.others(&[world.leader().unwrap()])[0];
	let others = world.others(&[node]);
	world.split(&[node], &others);
	let call = world.call(node, |call| Input::Leave { call });
	world.run(10_000);
	assert!(!world.is_done(node, call));
	world.run(10_000);
	let refused = Outcome::CannotLeave(Obstacle::NoLeader);
	assert_eq!(world.outcome(node, call), refused);
	assert!(world.identity(node).is_some(), "it is still a member");
	world.join_up(&[node], &others);
	world.wait("it is back", |world| world.is_online(node));
	assert_eq!(world.leave(node), Outcome::Left);
}

/// A follower of a group that sleeps wants to leave, and is removed; nothing of what
/// the engines say reaches it meanwhile.
fn removed_asleep(call: impl Fn(CallId) -> Input) -> (World, u8, CallId) {
	use crate::groups::message::Msg;
	let mut world = World::formed(3);
	world.run(20_000);
	let leader = world.leader().unwrap();
	let gone = world.others(&[leader])[0];
	world.lose(move |_, to, message| to == gone && matches!(message, Message::Engine(_)));
	let member = world.identity(gone).unwrap().member;
	let leave = world.call(gone, call);
	world.run(3_000);
	assert!(!world.is_member(leader, member), "it is removed");
	assert!(!world.is_done(gone, leave), "and does not know");
	let lost = world.lose_nothing();
	let is_news = |message: &Message| matches!(message, Message::Engine(frame) if matches!(frame.msg, Msg::NotMember { .. }));
	assert!(lost.iter().any(|(_, _, message)| is_news(message)));
	(world, gone, leave)
}

#[test]
fn one_that_was_removed_in_its_sleep_and_not_told_so_has_left_all_the_same() {
	let (mut world, gone, leave) = removed_asleep(|call| Input::Leave { call });
	world.run(3_000);
	assert!(world.is_done(gone, leave));
	assert_eq!(world.outcome(gone, leave), Outcome::Left);
}

#[test]
fn the_only_one_that_may_vote_gives_its_seat_to_who_waits_for_it() {
	let mut world = World::new();
	let single = || {
		let mut settings = ReplicaSettings::default();
		settings.policy.max_voters = 1;
		settings
	};
	for node in 0..3 {
		world.start(node, single());
	}
	world.wait("all are online", |world| {
		(0..3).all(|node| world.is_online(node))
	});
	world.wait("one leads", |world| world.leader().is_some());
	let leader = world.leader().unwrap();
	assert_eq!(world.voters(leader), 1);
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
	assert_eq!(world.leave(leader), Outcome::Left);
	world.kill(leader);
	world.wait("another one leads", |world| world.leader().is_some());
	let next = world.leader().unwrap();
	assert_eq!(world.execute(next, "b"), Outcome::Committed(Some(2)));
	assert_eq!(world.applied(next), ["a", "b"]);
	assert_eq!(world.voters(next), 1);
}

#[test]
fn the_fewest_voters_keep_nobody_who_wants_to_go() {
	let mut world = World::new();
	let three = std::num::NonZeroUsize::new(3).unwrap();
	for node in 0..3 {
		let bootstrap = Bootstrap::Expect(three);
		world.start(
			node,
			ReplicaSettings {
				bootstrap,
				..ReplicaSettings::default()
			},
		);
	}
	world.wait("all are online", World::all_online_of_three);
	let leader = world.leader().unwrap();
	for node in world.others(&[leader]) {
		assert_eq!(world.leave(node), Outcome::Left);
		world.kill(node);
	}
	assert_eq!(world.voters(leader), 1);
	assert_eq!(world.leave(leader), Outcome::Left);
}

#[test]
fn one_that_the_rest_cannot_do_without_is_told_so_and_stays() {
	let mut world = World::new();
	let three = || {
		let mut settings = ReplicaSettings::default();
		settings.policy.min_voters = 3;
		settings
	};
	for node in 0..3 {
		world.start(node, three());
	}
	world.wait("all are online", World::all_online_of_three);
	let leader = world.leader().unwrap();
	let others = world.others(&[leader]);
	world.kill(others[0]);
	for node in [others[1], leader] {
		let call = world.call(node, |call| Input::Leave { call });
		world.run(20_000);
		let refused = Outcome::CannotLeave(Obstacle::NoQuorum);
		assert_eq!(world.outcome(node, call), refused);
	}
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
}

#[test]
fn all_members_that_leave_at_once_are_gone() {
	let mut world = World::formed(3);
	let calls = [0, 1, 2].map(|node| (node, world.call(node, |call| Input::Leave { call })));
	for (node, call) in calls {
		assert_eq!(world.outcome(node, call), Outcome::Left);
	}
}

#[test]
fn each_call_has_its_own_time_to_leave_in() {
	let mut world = World::formed(3);
	let node = world.others(&[world.leader().unwrap()])[0];
	let others = world.others(&[node]);
	world.split(&[node], &others);
	let first = world.call(node, |call| Input::Leave { call });
	world.run(10_000);
	let second = world.call(node, |call| Input::Leave { call });
	let refused = Outcome::CannotLeave(Obstacle::NoLeader);
	assert_eq!(world.outcome(node, first), refused);
	assert!(!world.is_done(node, second));
	world.join_up(&[node], &others);
	assert_eq!(world.outcome(node, second), Outcome::Left);
}

#[test]
fn so_many_calls_to_leave_wait_and_no_more() {
	let mut world = World::new();
	let limited = ReplicaSettings {
		max_pending: 1,
		..ReplicaSettings::default()
	};
	world.start(0, limited);
	world.wait("it is online", |world| world.is_online(0));
	world.hang(|_, kind| matches!(kind, WriteKind::Engine(_)));
	world.call(0, |call| Input::Leave { call });
	assert_eq!(world.leave(0), Outcome::Overloaded);
}

#[test]
fn who_has_closed_the_formation_is_not_told_that_it_cannot_leave() {
	let mut world = World::formed(1);
	world.hang(|_, kind| matches!(kind, WriteKind::Engine(_)));
	let call = world.call(0, |call| Input::Leave { call });
	world.run(60_000);
	assert!(!world.is_done(0, call), "only its disk can be waited for");
	assert_eq!(world.state(0).life, crate::groups::state::Life::Closed);
}
