//! Commands exactly once, in order, with an exact outcome; strong reads (2.10).

use super::{script::*, *};

#[test]
fn an_outcome_says_where_exactly_a_command_is() {
	let mut world = World::formed(3);
	let commands = [
		(0, "a"),
		(1, "b"),
		(2, "c"),
		(1, "d"),
		(0, "e"),
		(2, "f"),
		(1, "g"),
	];
	let calls = commands.map(|(node, command)| (node, command, world.issue(node, command)));
	for (node, command, call) in calls {
		let Outcome::Committed(Some(seq)) = world.outcome(node, call) else {
			panic!("it was not committed");
		};
		let index = usize::try_from(seq).unwrap() - 1;
		assert_eq!(world.applied(node)[index], command);
	}
	world.run(1_000);
	assert_eq!(world.applied(0), world.applied(1));
	assert_eq!(world.applied(0), world.applied(2));
}

#[test]
fn a_request_of_many_commands_ends_with_the_index_of_the_last() {
	let mut world = World::formed(2);
	let payloads = vec![Bytes::from_static(b"a"); 3000];
	let call = world.call(1, |call| Input::Execute { call, payloads });
	assert_eq!(world.outcome(1, call), Outcome::Committed(Some(3000)));
	let payloads = Vec::new();
	let call = world.call(1, |call| Input::Execute { call, payloads });
	assert_eq!(world.outcome(1, call), Outcome::Committed(None));
}

#[test]
fn commands_that_are_sent_again_take_effect_once() {
	let mut world = World::formed(3);
	let leader = world.leader().unwrap();
	let follower = world.others(&[leader])[0];
	world.lose(move |from, to, message| {
		let is_answer = matches!(message, Message::Forwarded { .. });
		let is_log = matches!(message, Message::Engine(_)) && to == follower;
		from == leader && (is_answer || is_log)
	});
	let calls = ["a", "b", "c"].map(|command| world.issue(follower, command));
	world.run(900);
	world.lose_nothing();
	for (seq, call) in (1..).zip(calls) {
		assert_eq!(world.outcome(follower, call), Outcome::Committed(Some(seq)));
	}
	world.run(3_000);
	assert_eq!(world.applied(leader), ["a", "b", "c"]);
}

#[test]
fn a_message_that_comes_twice_and_late_has_no_effect() {
	let mut world = World::formed(3);
	let leader = world.leader().unwrap();
	let follower = world.others(&[leader])[0];
	world.lose(|_, _, message| matches!(message, Message::Forward { .. }));
	let calls = ["a", "b"].map(|command| world.issue(follower, command));
	world.run(1_500);
	let lost = world.lose_nothing();
	assert!(lost.len() > 2);
	let reversed = lost.iter().rev().cloned().collect();
	world.deliver(reversed);
	world.deliver(lost);
	for (seq, call) in (1..).zip(calls) {
		assert_eq!(world.outcome(follower, call), Outcome::Committed(Some(seq)));
	}
	assert_eq!(world.applied(leader), ["a", "b"]);
}

#[test]
fn commands_outlive_the_leader_that_was_sent_them() {
	let mut world = World::formed(3);
	let leader = world.leader().unwrap();
	let followers = world.others(&[leader]);
	world.lose(move |from, _, message| from == leader && matches!(message, Message::Engine(_)));
	let mut calls = Vec::new();
	for command in ["a", "b", "c"] {
		calls.push((followers[0], command, world.issue(followers[0], command)));
		calls.push((followers[1], command, world.issue(followers[1], command)));
	}
	world.kill(leader);
	world.lose_nothing();
	for (node, command, call) in calls {
		let Outcome::Committed(Some(seq)) = world.outcome(node, call) else {
			panic!("it was not committed");
		};
		assert_eq!(
			world.applied(node)[usize::try_from(seq).unwrap() - 1],
			command
		);
	}
	assert_eq!(world.applied(followers[0]).len(), 6);
}

#[test]
fn commands_of_a_deposed_leader_are_committed_once_by_the_next() {
	let mut world = World::formed(3);
	let old = world.leader().unwrap();
	let others = world.others(&[old]);
	world.split(&[old], &others);
	let calls = ["a", "b"].map(|command| world.issue(old, command));
	world.wait("another one leads", |world| {
		others.iter().any(|node| world.is_online(*node)) && world.leader() != Some(old)
	});
	assert_eq!(world.execute(others[0], "x"), Outcome::Committed(Some(1)));
	world.join_up(&[old], &others);
	for (seq, call) in (2..).zip(calls) {
		assert_eq!(world.outcome(old, call), Outcome::Committed(Some(seq)));
	}
	world.run(1_000);
	assert!((0..3).all(|node| world.applied(node) == ["x", "a", "b"]));
}

#[test]
fn what_does_not_fit_is_refused_and_what_waits_is_committed() {
	let mut world = World::new();
	let limited = || ReplicaSettings {
		max_pending: 2,
		max_pending_bytes: 10,
		max_reads: 1,
		..ReplicaSettings::default()
	};
	(0..3).for_each(|node| world.start(node, limited()));
	world.wait("all vote", World::all_online_of_three);
	let leader = world.leader().unwrap();
	let node = world.others(&[leader])[0];
	let others = world.others(&[node]);
	world.split(&[node], &others);
	let calls = ["a", "b"].map(|command| world.issue(node, command));
	assert_eq!(world.execute(node, "c"), Outcome::Overloaded);
	let read = world.call(node, |call| Input::Read { call });
	assert_eq!(world.read(node), Outcome::Overloaded);
	world.join_up(&[node], &others);
	for (seq, call) in (1..).zip(calls) {
		assert_eq!(world.outcome(node, call), Outcome::Committed(Some(seq)));
	}
	assert!(matches!(
		world.outcome(node, read),
		Outcome::Readable { .. }
	));
	assert_eq!(world.execute(node, "eleven byte"), Outcome::Overloaded);
	assert_eq!(
		world.execute(node, "ten bytes."),
		Outcome::Committed(Some(3))
	);
}

#[test]
fn reads_whose_asker_is_gone_keep_their_places_until_the_engine_is_done_with_them() {
	let mut world = World::new();
	for node in 0..3 {
		let mut settings = ReplicaSettings::default();
		settings.raft.max_reads = 4;
		world.start(node, settings);
	}
	world.wait("all vote", World::all_online_of_three);
	let leader = world.leader().unwrap();
	let node = world.others(&[leader])[0];
	// Nothing confirms the reads.
	world.lose(move |_, to, message| to == leader && matches!(message, Message::Engine(_)));
	let ask = |world: &mut World| world.call(node, |call| Input::Read { call });
	for _ in 0..2 {
		ask(&mut world);
	}
	world.disconnect(node, leader);
	world.connect(node, leader);
	for _ in 0..2 {
		ask(&mut world);
	}
	let reads = |world: &World| {
		let (_, raft) = world.nodes[&leader].replica.engine().unwrap();
		raft.load().reads
	};
	assert_eq!(reads(&world), 2, "half of the places are the leader's own");
	let own = [0, 1].map(|_| world.call(leader, |call| Input::Read { call }));
	assert_eq!(reads(&world), 4);
	world.lose_nothing();
	for call in own {
		assert!(matches!(
			world.outcome(leader, call),
			Outcome::Readable { .. }
		));
	}
}

#[test]
fn a_strong_read_anywhere_shows_all_that_was_acknowledged() {
	let mut world = World::formed(3);
	world.start(3, observer());
	world.wait("all are online", World::all_online);
	for (n, node) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
		assert_eq!(world.execute(node, "a"), Outcome::Committed(Some(n)));
		for reader in 0..4 {
			assert!(matches!(world.read(reader), Outcome::Readable { .. }));
			assert!(world.applied(reader).len() as u64 >= n);
		}
	}
}

#[test]
fn a_strong_read_whose_question_or_answer_is_lost_is_asked_again() {
	let mut world = World::formed(3);
	let leader = world.leader().unwrap();
	let follower = world.others(&[leader])[0];
	for losing in [true, false] {
		world.lose(move |_, _, message| match message {
			Message::Read { .. } => losing,
			Message::ReadIndex { .. } => !losing,
			_ => false,
		});
		let read = world.call(follower, |call| Input::Read { call });
		world.run(500);
		assert!(!world.is_done(follower, read));
		assert_eq!(world.lose_nothing().len(), 1);
		assert!(matches!(
			world.outcome(follower, read),
			Outcome::Readable { .. }
		));
	}
}

#[test]
fn a_strong_read_outlives_the_leader_that_was_asked() {
	let mut world = World::formed(3);
	let leader = world.leader().unwrap();
	let follower = world.others(&[leader])[0];
	assert_eq!(world.execute(leader, "a"), Outcome::Committed(Some(1)));
	world.lose(|_, _, message| matches!(message, Message::Read { .. }));
	let read = world.call(follower, |call| Input::Read { call });
	world.kill(leader);
	world.lose_nothing();
	assert!(matches!(
		world.outcome(follower, read),
		Outcome::Readable { .. }
	));
	assert_eq!(world.applied(follower), ["a"]);
}

#[test]
fn commands_of_a_member_that_is_removed_have_an_unknown_outcome() {
	let mut world = World::formed(3);
	let leader = world.leader().unwrap();
	let node = world.others(&[leader])[0];
	let others = world.others(&[node]);
	world.split(&[node], &others);
	let call = world.issue(node, "a");
	let member = world.identity(node).unwrap().member;
	world.wait("it is removed", |world| !world.is_member(leader, member));
	world.join_up(&[node], &others);
	assert_eq!(world.outcome(node, call), Outcome::Unknown);
	world.wait("it is back", World::is_one);
	let n = world.applied(leader).len() as u64;
	assert_eq!(world.execute(node, "b"), Outcome::Committed(Some(n + 1)));
}

#[test]
fn what_only_a_superseded_formation_was_asked_is_superseded() {
	let mut world = World::new();
	for node in 0..2 {
		world.start_apart(node, ReplicaSettings::default(), Stored::Empty, false);
	}
	world.wait("each is on its own", World::all_online);
	assert_eq!(world.execute(1, "a"), Outcome::Committed(Some(1)));
	let mut refused = None;
	world.join_up(&[0], &[1]);
	for _ in 0..200 {
		let call = world.issue(0, "b");
		world.run(10);
		match world.nodes[&0].done.get(&call) {
			Some(Outcome::Committed(_)) | None => {}
			Some(other) => refused = refused.or(Some(other.clone())),
		}
	}
	world.wait("they are one", World::is_one);
	let refused = refused.unwrap_or(Outcome::Superseded);
	assert!(
		matches!(refused, Outcome::Superseded | Outcome::Offline),
		"{refused:?}"
	);
	assert!((1..=world.calls).all(|n| {
		world
			.nodes
			.values()
			.any(|node| node.done.contains_key(&CallId(n)))
	}));
}
