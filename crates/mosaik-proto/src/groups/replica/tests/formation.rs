use {super::*, crate::groups::formation::Bootstrap};

#[test]
fn a_lone_node_is_online_within_a_second_and_a_half() {
	let mut world = World::with_nodes(1);
	world.run(1_500);
	assert!(world.is_online(0));
	assert_eq!(world.execute(0, "a"), Outcome::Committed(Some(1)));
	assert!(matches!(world.read(0), Outcome::Readable { .. }));
}

#[test]
fn nodes_that_start_together_are_one_formation_of_voters() {
	let mut world = World::with_nodes(3);
	world.wait("all are online", World::all_online_of_three);
	assert_eq!(world.formations().len(), 1);
	for (node, command) in [(0, "a"), (1, "b"), (2, "c")] {
		let seq = u64::from(node) + 1;
		assert_eq!(world.execute(node, command), Outcome::Committed(Some(seq)));
		assert!(matches!(world.read(node), Outcome::Readable { .. }));
	}
	world.run(1_000);
	for node in 0..3 {
		assert_eq!(world.applied(node), ["a", "b", "c"]);
	}
}

impl World {
	fn all_online_of_three(&mut self) -> bool {
		self.all_online() && self.voters(0) == 3 && self.leader().is_some()
	}
}

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

#[test]
fn the_first_of_three_can_die_as_soon_as_the_third_sees_a_leader() {
	let mut world = World::with_nodes(1);
	world.wait("the first is online", World::all_online_ref);
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

impl World {
	fn all_online_ref(&mut self) -> bool {
		self.all_online()
	}
}

#[test]
fn two_lone_formations_with_commands_merge_and_the_loss_is_surfaced() {
	let mut world = World::new();
	world.start(0, ReplicaSettings::default());
	world.cut.insert((0, 1));
	world.nodes.get_mut(&0).unwrap();
	world.wait("the first is online", World::all_online_ref);
	assert_eq!(world.execute(0, "a"), Outcome::Committed(Some(1)));
	assert_eq!(world.execute(0, "b"), Outcome::Committed(Some(2)));
	let first = world.nodes.remove(&0).unwrap();
	world.start(1, ReplicaSettings::default());
	world.wait("the second is online", World::all_online_ref);
	assert_eq!(world.execute(1, "x"), Outcome::Committed(Some(1)));
	world.nodes.insert(0, first);
	world.connect(0, 1);
	world.wait("one yields", |world| {
		world.all_online() && world.formations().len() == 1
	});
	world.run(2_000);
	assert_eq!(world.applied(0), ["a", "b"]);
	assert_eq!(world.applied(1), ["a", "b"]);
	let surfaced = world.nodes[&1].events.iter().find_map(|event| match event {
		Event::Superseded { discarded, .. } => discarded.clone(),
		_ => None,
	});
	assert_eq!(surfaced, Some(1..=1));
}

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

#[test]
fn a_minority_acknowledges_nothing_and_surfaces_the_loss_of_its_quorum() {
	let mut world = World::with_nodes(3);
	world.wait("all are online", World::all_online_of_three);
	let cut = world.leader().unwrap();
	for other in (0..3).filter(|other| *other != cut) {
		world.disconnect(cut, other);
	}
	let command = world.issue(cut, "lost");
	world.calls += 1;
	let read = CallId(world.calls);
	world.handle(cut, Input::Read { call: read });
	world.settle();
	let lost = |node: &Node| {
		node.events
			.iter()
			.any(|event| matches!(event, Event::QuorumLost { .. }))
	};
	world.wait("the loss is surfaced", |world| lost(&world.nodes[&cut]));
	assert_eq!(world.outcome(cut, read), Outcome::NoQuorum);
	assert_eq!(world.outcome(cut, command), Outcome::Unknown);
	assert_eq!(world.execute(cut, "refused"), Outcome::NoQuorum);
	let other = (0..3).find(|other| *other != cut).unwrap();
	assert!(matches!(world.execute(other, "a"), Outcome::Committed(_)));
	for other in (0..3).filter(|other| *other != cut) {
		world.connect(cut, other);
	}
	world.wait("it is back", World::all_online_ref);
	world.run(2_000);
	assert_eq!(world.formations().len(), 1);
}

#[test]
fn a_durable_member_goes_on_after_a_restart() {
	let mut world = World::new();
	world.start_with(0, ReplicaSettings::default(), Stored::Empty, true);
	world.wait("it is online", World::all_online_ref);
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

#[test]
fn where_three_are_expected_all_three_found_together() {
	let expect = || ReplicaSettings {
		bootstrap: Bootstrap::Expect(3.try_into().unwrap()),
		..ReplicaSettings::default()
	};
	let mut world = World::new();
	world.start(0, expect());
	world.start(1, expect());
	world.run(10_000);
	assert_eq!(world.formations().len(), 0);
	world.start(2, expect());
	world.start(3, expect());
	world.wait("all are online", World::all_online_ref);
	assert_eq!(world.formations().len(), 1);
	assert_eq!(world.voters(0), 3);
	assert_eq!(world.execute(3, "a"), Outcome::Committed(Some(1)));
}
