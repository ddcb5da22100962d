//! The named regressions of the design that need no network, by their numbers; the
//! others are those of the engine.

use super::{script::*, *};

#[test]
fn r01_a_minority_acknowledges_and_reads_nothing_and_nothing_acknowledged_is_lost() {
	let mut world = World::formed(5);
	let a = world.leader().unwrap();
	let others = world.others(&[a]);
	let (b, majority) = (others[0], &others[1..]);
	assert_eq!(world.execute(b, "before"), Outcome::Committed(Some(1)));
	world.split(&[a, b], majority);
	let minority = [a, b].map(|node| {
		let command = world.issue(node, "minority");
		let read = world.call(node, |call| Input::Read { call });
		(node, command, read)
	});
	world.wait("the others elect one of them", |world| {
		majority.iter().any(|node| world.leader() == Some(*node))
	});
	for (node, seq) in majority.iter().zip(2..) {
		assert_eq!(
			world.execute(*node, "majority"),
			Outcome::Committed(Some(seq))
		);
	}
	for (node, command, read) in minority {
		assert!(!world.is_done(node, command));
		assert!(!world.is_done(node, read));
	}
	world.join_up(&[a, b], majority);
	world.wait("all are back", World::is_one);
	for (node, command, read) in minority {
		assert!(matches!(
			world.outcome(node, command),
			Outcome::Committed(_) | Outcome::Unknown
		));
		let outcome = world.outcome(node, read);
		assert!(
			matches!(outcome, Outcome::Readable { .. } | Outcome::Offline),
			"{outcome:?}"
		);
	}
	world.run(2_000);
	let applied = world.applied(a);
	assert_eq!(applied[..4], ["before", "majority", "majority", "majority"]);
	assert!((0..5).all(|node| world.applied(node) == applied));
}

#[test]
fn r03_two_lone_formations_with_different_commands_end_equal_and_the_loss_has_its_exact_range() {
	let mut world = World::new();
	for node in 0..2 {
		world.start_apart(node, ReplicaSettings::default(), Stored::Empty, false);
	}
	world.wait("each is on its own", World::all_online);
	let formations = [0, 1].map(|node| world.identity(node).unwrap().formation);
	for command in ["a", "b", "c"] {
		assert!(matches!(world.execute(0, command), Outcome::Committed(_)));
	}
	for command in ["x", "y"] {
		assert!(matches!(world.execute(1, command), Outcome::Committed(_)));
	}
	world.connect(0, 1);
	world.wait("they are one", World::is_one);
	world.run(1_000);
	let superseded = Event::Superseded {
		formation: formations[1],
		into: Some(formations[0]),
		discarded: Some(1..=2),
	};
	assert_eq!(world.count(1, |event| *event == superseded), 1);
	assert_eq!(world.applied(0), ["a", "b", "c"]);
	assert_eq!(world.applied(1), ["a", "b", "c"]);
	assert_eq!(world.state(0), world.state(1));
}

#[test]
fn r05_of_two_members_either_can_die_and_only_the_leader_goes_on() {
	for dies_first in [true, false] {
		let mut world = World::formed(2);
		let leader = world.leader().unwrap();
		let client = if dies_first { 1 - leader } else { leader };
		for seq in 1..=5 {
			assert_eq!(world.execute(client, "a"), Outcome::Committed(Some(seq)));
		}
		world.run(100);
		assert!((0..2).all(|node| world.applied(node).len() == 5));
		let (dead, left) = if dies_first {
			(leader, 1 - leader)
		} else {
			(1 - leader, leader)
		};
		world.kill(dead);
		if dies_first {
			world.wait("it is surfaced", |world| world.has_lost_quorum(left));
			assert_eq!(world.execute(left, "b"), Outcome::NoQuorum);
			assert_eq!(world.applied(left).len(), 5);
		} else {
			assert_eq!(world.execute(left, "b"), Outcome::Committed(Some(6)));
		}
	}
}

#[test]
fn r06_the_first_command_after_members_joined_is_on_a_majority_before_it_is_acknowledged() {
	let mut world = World::formed(1);
	world.start(1, ReplicaSettings::default());
	world.start(2, ReplicaSettings::default());
	world.wait("all vote", World::all_online_of_three);
	let leader = world.leader().unwrap();
	let others = world.others(&[leader]);
	world.split(&[leader], &others);
	let call = world.issue(leader, "a");
	world.run(500);
	assert!(!world.is_done(leader, call));
	world.join_up(&[leader], &others);
	assert_eq!(world.outcome(leader, call), Outcome::Committed(Some(1)));
	world.kill(leader);
	world.wait("another one leads", |world| world.leader().is_some());
	assert!(matches!(world.read(others[0]), Outcome::Readable { .. }));
	assert_eq!(world.applied(others[0]), ["a"]);
}

#[test]
fn r15_a_lost_writer_is_surfaced_to_its_readers_whether_or_not_it_comes_back() {
	for comes_back in [true, false] {
		let mut world = World::formed(1);
		world.start(1, observer());
		world.start(2, observer());
		world.wait("all are online", World::all_online);
		assert_eq!(world.execute(1, "a"), Outcome::Committed(Some(1)));
		world.kill(0);
		if comes_back {
			world.start(0, ReplicaSettings::default());
		}
		let calls = [1, 2].map(|node| {
			let command = world.issue(node, "b");
			(node, command, world.call(node, |call| Input::Read { call }))
		});
		world.run(35_000);
		for (node, command, read) in calls {
			let is_told = |event: &Event| {
				matches!(event, Event::QuorumLost { .. } | Event::Superseded { .. })
			};
			assert!(world.count(node, is_told) > 0, "{node}, {comes_back}");
			assert!(world.is_done(node, read));
			let outcome = world.execute(node, "c");
			assert!(
				matches!(outcome, Outcome::NoQuorum | Outcome::Committed(_)),
				"{outcome:?}"
			);
			let _ = command;
		}
	}
}
