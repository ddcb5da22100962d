//! Two formations of one group that meet (2.9).

use {
	super::*,
	crate::groups::{entry::FormationEntry, message::Msg, state::Life},
};

#[test]
fn two_lone_formations_with_commands_merge_and_the_loss_is_surfaced() {
	let mut world = World::new();
	world.start(0, ReplicaSettings::default());
	world.cut.insert((0, 1));
	world.nodes.get_mut(&0).unwrap();
	world.wait("the first is online", World::all_online);
	assert_eq!(world.execute(0, "a"), Outcome::Committed(Some(1)));
	assert_eq!(world.execute(0, "b"), Outcome::Committed(Some(2)));
	let first = world.nodes.remove(&0).unwrap();
	world.start(1, ReplicaSettings::default());
	world.wait("the second is online", World::all_online);
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

/// Two formations, of as many nodes each, that do not see one another yet, with so
/// many commands each. The nodes of the second follow those of the first.
fn two(counts: [u8; 2], commands: [usize; 2]) -> (World, [Vec<u8>; 2]) {
	let mut world = World::new();
	let total = counts[0] + counts[1];
	let sides = [(0..counts[0]).collect(), (counts[0]..total).collect()];
	for side in &sides {
		let side: &Vec<u8> = side;
		for node in side {
			world.start_apart(*node, ReplicaSettings::default(), Stored::Empty, false);
			for other in side.iter().take_while(|other| *other != node) {
				world.connect(*node, *other);
			}
		}
	}
	world.wait("both are formed", |world| {
		let is_formed = |side: &Vec<u8>| {
			side.iter()
				.all(|node| world.is_online(*node) && world.voters(*node) == side.len())
		};
		sides.iter().all(is_formed)
	});
	assert_eq!(world.formations().len(), 2);
	for (side, count) in sides.iter().zip(commands) {
		for _ in 0..count {
			assert!(matches!(world.execute(side[0], "a"), Outcome::Committed(_)));
		}
	}
	(world, sides)
}

fn superseded(world: &World, node: u8) -> Vec<Option<std::ops::RangeInclusive<u64>>> {
	let events = world.nodes[&node].events.iter();
	let discarded = events.filter_map(|event| match event {
		Event::Superseded { discarded, .. } => Some(discarded.clone()),
		_ => None,
	});
	discarded.collect()
}

fn meet(world: &mut World, sides: &[Vec<u8>; 2]) {
	for a in &sides[0] {
		for b in &sides[1] {
			world.connect(*a, *b);
		}
	}
}

fn life(world: &World, node: u8) -> Life {
	world.state(node).life
}

fn leader(world: &World, side: &[u8]) -> u8 {
	let formation = world.identity(side[0]).unwrap().formation;
	world.leader_of(formation).unwrap()
}

#[test]
fn a_formation_without_commands_yields_and_nothing_is_lost() {
	for (counts, commands) in [
		([1, 1], [0, 0]),
		([3, 1], [0, 1]),
		([2, 2], [0, 3]),
		([1, 3], [0, 0]),
	] {
		let (mut world, sides) = two(counts, commands);
		let winner = world.identity(sides[1][0]).unwrap().formation;
		meet(&mut world, &sides);
		world.wait("they are one", World::is_one);
		if commands[1] > 0 || counts[1] > counts[0] {
			assert_eq!(world.identity(0).unwrap().formation, winner);
		}
		for node in world.others(&[]) {
			assert_eq!(world.applied(node).len(), commands[1]);
			assert!(superseded(&world, node).iter().all(Option::is_none));
			assert_eq!(
				world.count(node, |event| matches!(event, Event::Conflict { .. })),
				0
			);
		}
	}
}

#[test]
fn a_formation_that_was_never_shared_yields_and_its_commands_are_surfaced() {
	let (mut world, sides) = two([1, 2], [5, 1]);
	meet(&mut world, &sides);
	world.wait("they are one", World::is_one);
	assert_eq!(superseded(&world, 0), [Some(1..=5)]);
	assert!((0..3).all(|node| world.applied(node).len() == 1));
}

#[test]
fn two_that_were_shared_and_have_commands_wait_for_a_decision() {
	let (mut world, sides) = two([2, 2], [2, 1]);
	let [x, y] = [0, 2].map(|node| world.identity(node).unwrap().formation);
	meet(&mut world, &sides);
	world.run(30_000);
	for (node, own, other) in [(0, x, y), (1, x, y), (2, y, x), (3, y, x)] {
		let conflict = Event::Conflict { own, other };
		assert_eq!(world.count(node, |event| *event == conflict), 1, "{node}");
		assert_eq!(world.identity(node).unwrap().formation, own);
	}
	assert_eq!(
		world.execute(1, "b"),
		Outcome::Committed(Some(3)),
		"each serves its own"
	);
	assert_eq!(world.execute(3, "b"), Outcome::Committed(Some(2)));
	let leader = leader(&world, &[0]);
	world.handle(leader, Input::Yield { into: y });
	world.settle();
	world.wait("they are one", World::is_one);
	assert_eq!(world.identity(0).unwrap().formation, y);
	assert_eq!(superseded(&world, 0), [Some(1..=3)]);
	assert_eq!(superseded(&world, 1), [Some(1..=3)]);
	assert!((0..4).all(|node| world.applied(node).len() == 2));
}

#[test]
fn a_decision_is_made_on_any_member() {
	let (mut world, sides) = two([2, 2], [2, 1]);
	let y = world.identity(2).unwrap().formation;
	meet(&mut world, &sides);
	world.run(2_000);
	let follower = 1 - leader(&world, &[0]);
	world.handle(follower, Input::Yield { into: y });
	world.settle();
	world.wait("they are one", World::is_one);
	assert_eq!(world.identity(0).unwrap().formation, y);
}

#[test]
fn a_yield_outlives_the_leader_that_began_it() {
	let (mut world, sides) = two([3, 1], [0, 1]);
	world.lose(|_, _, message| matches!(message, Message::Absorb { .. }));
	meet(&mut world, &sides);
	world.wait("it yields", |world| {
		sides[0]
			.iter()
			.all(|node| matches!(life(world, *node), Life::Yielding { .. }))
	});
	let gone = leader(&world, &sides[0]);
	world.kill(gone);
	world.lose_nothing();
	world.wait("they are one", World::is_one);
	assert!(
		world
			.others(&[])
			.iter()
			.all(|node| world.applied(*node).len() == 1)
	);
}

/// Whether a message has the beginning of a yield.
fn has_yield(message: &Message) -> bool {
	let Message::Engine(frame) = message else {
		return false;
	};
	let Msg::Append(append) = &frame.msg else {
		return false;
	};
	let begins =
		|kind: &EntryKind| matches!(kind, EntryKind::Formation(FormationEntry::Yielding { .. }));
	append.entries.iter().any(|entry| begins(&entry.kind))
}

#[test]
fn a_yield_that_one_follower_alone_heard_of_is_begun_anew_or_goes_on_after_the_leader() {
	for is_in_reach in [true, false] {
		let (mut world, sides) = two([5, 1], [0, 1]);
		let into = world.identity(5).unwrap().formation;
		let first = leader(&world, &sides[0]);
		let told = (first + 1) % 5;
		world.lose(move |from, to, message| from == first && to != told && has_yield(message));
		meet(&mut world, &sides);
		let yielding = |world: &World, node| matches!(life(world, node), Life::Yielding { .. });
		world.wait("one hears of it", |world| {
			yielding(world, first) && yielding(world, told)
		});
		let others = world.others(&[first, told, 5]);
		assert!(others.iter().all(|node| !yielding(&world, *node)));
		world.kill(first);
		if !is_in_reach {
			// Those who never heard of it elect one of them.
			let rest = world.others(&[told]);
			world.split(&[told], &rest);
			world.lose_nothing();
			world.run(5_000);
			world.join_up(&[told], &rest);
		}
		world.lose_nothing();
		world.wait("they are one", World::is_one);
		for node in world.others(&[]) {
			assert_eq!(world.identity(node).unwrap().formation, into);
			assert_eq!(world.applied(node).len(), 1);
		}
	}
}

#[test]
fn a_yield_outlives_the_leader_that_was_asked() {
	let (mut world, sides) = two([1, 3], [0, 1]);
	world.lose(|_, _, message| matches!(message, Message::Absorbed { .. }));
	meet(&mut world, &sides);
	world.run(3_000);
	let gone = leader(&world, &sides[1]);
	assert!(matches!(life(&world, 0), Life::Yielding { .. }));
	assert!(!world.lose_nothing().is_empty(), "it agreed");
	world.kill(gone);
	world.wait("they are one", World::is_one);
	assert!(
		world
			.others(&[])
			.iter()
			.all(|node| world.applied(*node).len() == 1)
	);
}

#[test]
fn an_attempt_without_an_answer_is_given_up_and_tried_again() {
	let (mut world, sides) = two([2, 1], [0, 1]);
	world.lose(|_, _, message| matches!(message, Message::Absorb { .. }));
	meet(&mut world, &sides);
	world.wait("it yields", |world| {
		matches!(life(world, 0), Life::Yielding { attempt: 1, .. })
	});
	world.wait("it gives up", |world| life(world, 0) == Life::Normal);
	world.wait("it tries again", |world| {
		matches!(life(world, 0), Life::Yielding { attempt: 2, .. })
	});
	let lost = world.lose_nothing();
	world.wait("they are one", World::is_one);
	world.deliver(lost);
	world.run(1_000);
	assert!(world.is_one());
	assert!((0..3).all(|node| world.applied(node).len() == 1));
}

#[test]
fn an_answer_to_an_attempt_that_was_given_up_is_worth_nothing() {
	let (mut world, sides) = two([1, 1], [0, 1]);
	world.lose(|_, _, message| matches!(message, Message::Absorbed { .. }));
	meet(&mut world, &sides);
	world.wait("it yields", |world| {
		matches!(life(world, 0), Life::Yielding { attempt: 1, .. })
	});
	world.wait("it gives up", |world| life(world, 0) == Life::Normal);
	let lost = std::mem::take(&mut world.lost);
	assert!(!lost.is_empty());
	world.deliver(lost);
	assert!(matches!(
		life(&world, 0),
		Life::Normal | Life::Yielding { attempt: 2, .. }
	));
	world.lose_nothing();
	world.wait("they are one", World::is_one);
}

#[test]
fn commands_are_served_until_the_formation_ends_and_refused_after() {
	let (mut world, sides) = two([1, 2], [1, 1]);
	world.lose(|_, _, message| matches!(message, Message::Absorb { .. }));
	meet(&mut world, &sides);
	world.wait("it yields", |world| {
		matches!(life(world, 0), Life::Yielding { .. })
	});
	assert_eq!(world.execute(0, "b"), Outcome::Committed(Some(2)));
	world.lose_nothing();
	world.wait("they are one", World::is_one);
	assert_eq!(superseded(&world, 0), [Some(1..=2)]);
}

#[test]
fn three_that_meet_become_one() {
	let mut world = World::new();
	for node in 0..3 {
		world.start_apart(node, ReplicaSettings::default(), Stored::Empty, false);
	}
	world.wait("each is on its own", World::all_online);
	assert_eq!(world.formations().len(), 3);
	assert_eq!(world.execute(1, "a"), Outcome::Committed(Some(1)));
	world.join_up(&[0], &[1, 2]);
	world.join_up(&[1], &[2]);
	world.wait("they are one", World::is_one);
	assert!((0..3).all(|node| world.applied(node) == ["a"]));
}
