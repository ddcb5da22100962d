//! Processes that come back, with and without their storage (2.7).

use {super::*, crate::groups::entry::Entry};

#[test]
fn a_durable_member_goes_on_after_a_restart() {
	let mut world = World::new();
	world.start_with(0, ReplicaSettings::default(), Stored::Empty, true);
	world.wait("it is online", World::all_online);
	assert_eq!(world.execute(0, "a"), Outcome::Committed(Some(1)));
	let formations = world.formations();
	let disk = world.kill(0);
	world.start_with(0, ReplicaSettings::default(), disk, true);
	world.run(100);
	assert!(world.is_online(0), "nobody could object");
	assert_eq!(world.execute(0, "b"), Outcome::Committed(Some(2)));
	assert_eq!(world.formations(), formations);
	assert_eq!(world.applied(0), ["a", "b"]);
}

/// As many nodes with disks that outlive them.
fn durable(count: u8) -> World {
	let mut world = World::new();
	for node in 0..count {
		world.start_with(node, ReplicaSettings::default(), Stored::Empty, true);
	}
	world.wait("all vote", |world| {
		world.all_online() && world.voters(0) == usize::from(count)
	});
	world
}

fn restart(world: &mut World, node: u8) {
	let disk = world.kill(node);
	world.start_with(node, ReplicaSettings::default(), disk, true);
}

#[test]
fn durable_members_that_restart_one_by_one_stay_who_they_are() {
	let mut world = durable(3);
	for node in 0..3 {
		let before = world.identity(node).unwrap();
		assert!(matches!(world.execute(node, "a"), Outcome::Committed(_)));
		restart(&mut world, node);
		world.wait("it is back", World::is_one);
		let after = world.identity(node).unwrap();
		assert_eq!((after.member, after.nonce), (before.member, before.nonce));
		assert_eq!(after.starts, before.starts + 1);
	}
	world.run(1_000);
	assert!((0..3).all(|node| world.applied(node) == ["a", "a", "a"]));
	assert_eq!(world.config(0).members.len(), 3);
}

#[test]
fn durable_members_that_all_restart_lose_nothing() {
	let mut world = durable(3);
	assert_eq!(world.execute(1, "a"), Outcome::Committed(Some(1)));
	let formations = world.formations();
	let disks = [0, 1, 2].map(|node| world.kill(node));
	for (node, disk) in (0..).zip(disks) {
		world.start_with(node, ReplicaSettings::default(), disk, true);
	}
	world.wait("all are back", World::is_one);
	assert_eq!(world.formations(), formations);
	assert_eq!(world.execute(2, "b"), Outcome::Committed(Some(2)));
	assert_eq!(world.applied(2), ["a", "b"]);
}

#[test]
fn a_command_of_an_earlier_life_does_not_take_the_place_of_a_new_one() {
	for is_late in [true, false] {
		let mut world = durable(3);
		let leader = world.leader().unwrap();
		let node = world.others(&[leader])[0];
		assert_eq!(world.execute(node, "first"), Outcome::Committed(Some(1)));
		world.lose(|_, _, message| matches!(message, Message::Forward { .. }));
		world.issue(node, "old");
		let lost = world.lose_nothing();
		assert_eq!(lost.len(), 1);
		restart(&mut world, node);
		world.wait("it is back", World::is_one);
		let mut expected = vec!["first", "old", "new"];
		if is_late {
			expected.remove(1);
			assert_eq!(world.execute(node, "new"), Outcome::Committed(Some(2)));
			world.deliver(lost);
		} else {
			world.deliver(lost);
			assert_eq!(world.execute(node, "new"), Outcome::Committed(Some(3)));
		}
		world.run(1_000);
		assert!((0..3).all(|node| world.applied(node) == expected));
	}
}

#[test]
fn a_member_with_a_compacted_log_goes_on_from_its_snapshot() {
	let mut world = durable(2);
	(0..5).for_each(|_| assert!(matches!(world.execute(1, "a"), Outcome::Committed(_))));
	world.compact(0);
	world.compact(1);
	assert_eq!(world.execute(0, "b"), Outcome::Committed(Some(6)));
	for node in 0..2 {
		restart(&mut world, node);
		world.wait("it is back", World::is_one);
		assert_eq!(world.applied(node).len(), 6);
	}
	assert_eq!(world.execute(0, "c"), Outcome::Committed(Some(7)));
}

#[test]
fn a_durable_node_that_joined_from_a_snapshot_is_the_same_member_with_the_same_state() {
	for is_used_before in [false, true] {
		let mut world = durable(2);
		(0..10).for_each(|_| assert!(matches!(world.execute(0, "a"), Outcome::Committed(_))));
		world.compact(0);
		world.compact(1);
		world.start_with(2, ReplicaSettings::default(), Stored::Empty, true);
		world.wait("all vote", World::all_online_of_three);
		let mut commands = 10;
		if is_used_before {
			assert_eq!(world.execute(2, "b"), Outcome::Committed(Some(11)));
			commands += 1;
		}
		let before = world.identity(2).unwrap();
		restart(&mut world, 2);
		world.wait("it is back", World::is_one);
		let after = world.identity(2).unwrap();
		assert_eq!(
			(after.formation, after.member, after.nonce),
			(before.formation, before.member, before.nonce)
		);
		assert_eq!(after.starts, before.starts + 1);
		assert_eq!(world.applied(2).len(), commands);
		assert_eq!(world.config(2).members.len(), 3);
		let next = Some(commands as u64 + 1);
		assert_eq!(world.execute(2, "c"), Outcome::Committed(next));
	}
}

#[test]
fn a_node_whose_log_is_broken_comes_back_as_another_member() {
	let breaks: [fn(&mut Recovered); 2] = [
		|recovered| recovered.hard_state.term = 0,
		|recovered| {
			let at = recovered.entries.len() / 2;
			let _: Entry = recovered.entries.remove(at);
		},
	];
	for break_it in breaks {
		let mut world = durable(2);
		(0..4).for_each(|_| assert!(matches!(world.execute(1, "a"), Outcome::Committed(_))));
		let node = 1 - world.leader().unwrap();
		let old = world.identity(node).unwrap();
		let mut disk = world.kill(node);
		let Stored::Member { recovered, .. } = &mut disk else {
			panic!("it was a member");
		};
		break_it(recovered);
		world.start_with(node, ReplicaSettings::default(), disk, true);
		world.wait("it is back", |world| {
			world.is_one() && world.voters(node) == 2
		});
		let new = world.identity(node).unwrap();
		assert_ne!((new.member, new.nonce), (old.member, old.nonce));
		assert_eq!(world.applied(node).len(), 4);
	}
}

#[test]
fn a_volatile_member_that_restarts_is_another_one() {
	let mut world = World::formed(3);
	let old = world.identity(0).unwrap();
	world.kill(0);
	world.start(0, ReplicaSettings::default());
	world.wait("it is back", World::is_one);
	let new = world.identity(0).unwrap();
	assert!(new.member > old.member && new.nonce != old.nonce);
	assert_eq!(new.starts, 0);
}

#[test]
fn a_durable_member_that_restarts_where_nobody_is_waits_for_the_others() {
	let mut world = durable(2);
	let formations = world.formations();
	let disks = [0, 1].map(|node| world.kill(node));
	let [first, second] = disks;
	world.start_with(0, ReplicaSettings::default(), first, true);
	world.run(10_000);
	assert!(!world.is_online(0));
	world.start_with(1, ReplicaSettings::default(), second, true);
	world.wait("both are back", World::is_one);
	assert_eq!(world.formations(), formations);
}

#[test]
fn what_was_read_before_a_restart_is_not_answered_after_it() {
	use crate::groups::message::Msg;
	let mut world = World::new();
	for node in 0..2 {
		world.start_with(node, ReplicaSettings::default(), Stored::Empty, true);
	}
	world.wait("both are online", |world| {
		(0..2).all(|node| world.is_online(node))
	});
	let leader = world.leader().unwrap();
	let follower = 1 - leader;
	world.lose(move |_, to, message| {
		let is_reply = |msg: &Msg| matches!(msg, Msg::BeatReply(_) | Msg::AppendReply(_));
		to == leader && matches!(message, Message::Engine(frame) if is_reply(&frame.msg))
	});
	let call = world.call(follower, |call| Input::Read { call });
	assert!(
		!world.is_done(follower, call),
		"the leader does not hear that it leads"
	);
	let disk = world.kill(follower);
	world.lose(|_, _, message| matches!(message, Message::ReadIndex { .. }));
	world.start_with(follower, ReplicaSettings::default(), disk, true);
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
	world.run(2_000);
	// It would be taken for the answer to a read with the same number.
	assert_eq!(world.lose_nothing().len(), 0);
	assert!(matches!(world.read(follower), Outcome::Readable { .. }));
}
