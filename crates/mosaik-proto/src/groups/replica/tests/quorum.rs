//! When nothing can be committed any more (2.8).

use super::*;

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
	world.wait("it is back", World::all_online);
	world.run(2_000);
	assert_eq!(world.formations().len(), 1);
}

#[test]
fn a_quorum_that_was_lost_is_restored_and_service_with_it() {
	let mut world = World::formed(3);
	let formation = world.identity(0).unwrap().formation;
	world.split(&[0], &[1, 2]);
	world.split(&[1], &[2]);
	world.run(29_000);
	assert!(
		(0..3).all(|node| !world.has_lost_quorum(node)),
		"not before its time"
	);
	world.run(5_000);
	for node in 0..3 {
		let own = world.identity(node).unwrap().member;
		let told = |event: &Event| match event {
			Event::QuorumLost {
				formation: of,
				config,
				reachable,
			} => *of == formation && config.voters.len() == 3 && *reachable == [own],
			_ => false,
		};
		assert_eq!(world.count(node, told), 1);
		assert_eq!(world.execute(node, "a"), Outcome::NoQuorum);
		assert_eq!(world.read(node), Outcome::NoQuorum);
	}
	world.join_up(&[0], &[1, 2]);
	world.wait("two elect one of them", |world| world.leader().is_some());
	world.join_up(&[1], &[2]);
	world.wait("all are online", World::is_one);
	for node in 0..3 {
		let restored = Event::QuorumRestored { formation };
		assert_eq!(world.count(node, |event| *event == restored), 1);
		assert!(!world.nodes[&node].replica.has_lost_quorum());
		assert!(matches!(world.execute(node, "a"), Outcome::Committed(_)));
	}
}

#[test]
fn a_member_of_a_formation_without_a_quorum_can_give_it_up_for_another_one() {
	let mut world = World::formed(2);
	let leader = world.leader().unwrap();
	let left = 1 - leader;
	assert_eq!(world.execute(left, "a"), Outcome::Committed(Some(1)));
	world.kill(leader);
	world.wait("it is surfaced", |world| world.has_lost_quorum(left));
	world.start_apart(2, ReplicaSettings::default(), Stored::Empty, false);
	world.wait("another one is founded", |world| world.is_online(2));
	let into = world.identity(2).unwrap().formation;
	world.connect(left, 2);
	world.handle(left, Input::Yield { into });
	world.settle();
	world.wait("it is let in there", World::is_one);
	let discarded = |event: &Event| matches!(event, Event::Superseded { discarded: Some(range), .. } if *range == (1..=1));
	assert_eq!(world.count(left, discarded), 1);
	assert!(world.applied(left).is_empty());
}

#[test]
fn who_looks_for_a_formation_finds_the_one_that_lives_beside_a_greater_one_without_a_quorum() {
	for waits in [0, 40_000] {
		let mut world = World::formed(2);
		let leader = world.leader().unwrap();
		let left = 1 - leader;
		(0..3).for_each(|_| assert!(matches!(world.execute(left, "a"), Outcome::Committed(_))));
		world.kill(leader);
		world.run(waits);
		world.start_apart(2, ReplicaSettings::default(), Stored::Empty, false);
		world.wait("another one is founded", |world| world.is_online(2));
		assert_eq!(world.execute(2, "x"), Outcome::Committed(Some(1)));
		let living = world.identity(2).unwrap().formation;
		world.start_apart(3, ReplicaSettings::default(), Stored::Empty, false);
		world.connect(3, left);
		world.connect(3, 2);
		world.wait("it is let in where there is a leader", |world| {
			world.is_online(3)
		});
		assert_eq!(world.identity(3).unwrap().formation, living);
		assert_eq!(world.applied(3), ["x"]);
	}
}

#[test]
fn an_election_is_no_reason_to_join_a_lesser_formation() {
	let mut world = World::formed(3);
	let leader = world.leader().unwrap();
	let left = world.others(&[leader]);
	let greater = world.identity(left[0]).unwrap().formation;
	assert_eq!(world.execute(left[0], "a"), Outcome::Committed(Some(1)));
	world.start_apart(3, ReplicaSettings::default(), Stored::Empty, false);
	world.wait("another one is founded", |world| world.is_online(3));
	assert_eq!(world.execute(3, "x"), Outcome::Committed(Some(1)));
	let lone = world.identity(3).unwrap().formation;
	// An election that takes its time.
	world.lose(|_, _, message| matches!(message, Message::Engine(_)));
	world.kill(leader);
	let is_led = |world: &World, node: u8| {
		let info = world.nodes[&node].replica.info();
		info.formation().is_some_and(|info| info.leader.is_some())
	};
	world.wait("nobody leads", |world| {
		!left.iter().any(|node| is_led(world, *node))
	});
	world.start_apart(4, ReplicaSettings::default(), Stored::Empty, false);
	world.join_up(&[4], &left);
	world.connect(4, 3);
	world.run(2_000);
	world.lose_nothing();
	world.wait("the newcomer is let in", |world| world.is_online(4));
	assert_eq!(world.identity(4).unwrap().formation, greater);
	world.join_up(&[3], &left);
	world.wait("the lone one yields", World::is_one);
	let is_conflict = |event: &Event| matches!(event, Event::Conflict { .. });
	let mut nodes = world.nodes.keys();
	assert!(nodes.all(|node| world.count(*node, is_conflict) == 0));
	let is_superseded =
		|event: &Event| matches!(event, Event::Superseded { formation, .. } if *formation == lone);
	assert_eq!(world.count(3, is_superseded), 1);
}
