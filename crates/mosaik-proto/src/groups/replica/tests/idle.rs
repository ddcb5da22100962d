//! What a group costs in which nothing happens, and what time it is does not matter.

use super::{script::*, *};

/// A group in which nothing happens, for so long that it sleeps if it can.
fn idle(count: u8, observers: u8) -> World {
	let mut world = World::formed(count);
	for node in count..count + observers {
		world.start(node, observer());
	}
	world.wait("all are online", World::is_one);
	assert!(matches!(world.execute(0, "a"), Outcome::Committed(_)));
	world.run(20_000);
	world
}

#[test]
fn a_group_that_sleeps_sends_nothing_and_waits_for_no_time() {
	for (count, observers) in [(1, 0), (2, 0), (3, 0), (5, 0), (3, 1)] {
		let mut world = idle(count, observers);
		world.lose(|_, _, _| true);
		world.run(60_000);
		let sent = world.lose_nothing();
		assert!(sent.is_empty(), "{count} and {observers}: {sent:#?}");
		for node in world.nodes.values() {
			assert_eq!(node.replica.deadline(), None, "{count} and {observers}");
		}
	}
}

#[test]
fn what_happens_to_a_group_does_not_depend_on_what_time_it_is() {
	// No clock of a process begins at zero: some after days, some after longer.
	for begin in [1, 1 << 32, 1 << 50] {
		let mut world = World::new();
		world.time = begin;
		for node in 0..3 {
			world.start_with(node, ReplicaSettings::default(), Stored::Empty, true);
		}
		world.run(2_000);
		assert!(
			world.all_online(),
			"the delay is counted from the beginning"
		);
		world.wait("all vote", World::all_online_of_three);
		let leader = world.leader().unwrap();
		let other = world.others(&[leader])[0];
		assert_eq!(world.execute(other, "a"), Outcome::Committed(Some(1)));
		assert!(matches!(world.read(other), Outcome::Readable { .. }));
		world.run(10_000);
		let asleep = |node: &Node| node.replica.deadline().is_none();
		assert!(world.nodes.values().all(asleep));
		let disk = world.kill(leader);
		world.wait("another one leads", |world| world.leader().is_some());
		world.start_with(leader, ReplicaSettings::default(), disk, true);
		world.wait("it is back", World::is_one);
		assert_eq!(world.execute(leader, "b"), Outcome::Committed(Some(2)));
		assert_eq!(world.leave(other), Outcome::Left);
	}
}
