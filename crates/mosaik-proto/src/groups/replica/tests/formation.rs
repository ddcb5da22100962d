//! From nobody to a formation: who founds, who waits, and what a pledge is.

use {
	super::{script::*, *},
	crate::groups::{
		formation::{Bootstrap, pledge::Pledge},
		types::{LeadershipPreference, MemberId, Nonce},
	},
};

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
	world.wait("all are online", World::all_online);
	assert_eq!(world.formations().len(), 1);
	assert_eq!(world.voters(0), 3);
	assert_eq!(world.execute(3, "a"), Outcome::Committed(Some(1)));
}

/// The node that founded the formation of this one.
fn founder(world: &World, node: u8) -> PeerId {
	let first = MemberId::new(1).unwrap();
	world.config(node).members[&first].peer
}

#[test]
fn there_is_no_formation_before_the_delay_has_passed() {
	let mut world = World::with_nodes(1);
	world.run(900);
	assert!(world.formations().is_empty());
	assert_eq!(world.execute(0, "a"), Outcome::Offline);
	assert_eq!(world.read(0), Outcome::Offline);
}

#[test]
fn of_nodes_that_see_one_another_the_smallest_founds_and_alone() {
	let world = World::formed(3);
	assert_eq!(founder(&world, 0), peer(World::smallest(0..3)));
	let superseded = |event: &Event| matches!(event, Event::Superseded { .. });
	assert!((0..3).all(|node| world.count(node, superseded) == 0));
}

#[test]
fn observers_never_found_and_follow_who_does() {
	let mut world = World::new();
	world.start(0, observer());
	world.start(1, observer());
	world.run(60_000);
	assert!(world.formations().is_empty());
	world.start(2, ReplicaSettings::default());
	world.wait("all are online", World::all_online);
	assert_eq!(world.voters(0), 1);
	assert_eq!(world.execute(1, "a"), Outcome::Committed(Some(1)));
}

#[test]
fn a_reluctant_node_founds_later() {
	let mut world = World::new();
	world.start(0, preferring(LeadershipPreference::Reluctant { factor: 4 }));
	world.run(3_900);
	assert!(world.formations().is_empty());
	world.run(1_000);
	assert!(world.is_online(0));
}

#[test]
fn a_reluctant_node_does_not_found_where_another_one_does() {
	let reluctant = World::smallest(0..2);
	let mut world = World::new();
	world.start(reluctant, preferring(LeadershipPreference::reluctant()));
	world.start(1 - reluctant, ReplicaSettings::default());
	world.wait("both vote", |world| {
		world.all_online() && world.voters(0) == 2
	});
	assert_eq!(founder(&world, 0), peer(1 - reluctant));
}

#[test]
fn only_the_founder_by_decree_founds() {
	let settings = || with_bootstrap(Bootstrap::Founder(peer(2)));
	let mut world = World::new();
	world.start(0, settings());
	world.start(1, settings());
	world.run(60_000);
	assert!(world.formations().is_empty());
	world.start(2, settings());
	world.wait("all are online", World::all_online);
	assert_eq!(founder(&world, 0), peer(2));
}

#[test]
fn who_may_only_join_never_founds() {
	let mut world = World::new();
	world.start(0, with_bootstrap(Bootstrap::JoinOnly));
	world.start(1, with_bootstrap(Bootstrap::JoinOnly));
	world.run(60_000);
	assert!(world.formations().is_empty());
	world.start(2, ReplicaSettings::default());
	world.wait("all vote", World::all_online_of_three);
	assert_eq!(founder(&world, 0), peer(2));
}

#[test]
fn observers_are_none_of_those_who_are_expected() {
	let mut world = World::new();
	world.start(0, expect(3));
	world.start(1, expect(3));
	world.start(
		2,
		ReplicaSettings {
			bootstrap: expect(3).bootstrap,
			..observer()
		},
	);
	world.run(60_000);
	assert!(world.formations().is_empty());
}

#[test]
fn expected_nodes_that_start_at_any_time_found_one_formation_of_exactly_so_many_voters() {
	for first in 0..3 {
		let mut world = World::new();
		for node in 0..5 {
			world.start((node + first) % 5, expect(3));
			world.run(700);
		}
		world.wait("all are online", World::is_one);
		let founders = world
			.config(0)
			.members
			.keys()
			.filter(|id| id.get() <= 3)
			.count();
		assert_eq!(founders, 3);
		let member = |event: &Event| matches!(event, Event::Member { .. });
		assert!((0..5).all(|node| world.count(node, member) == 1));
	}
}

#[test]
fn a_founding_of_which_an_answer_is_lost_succeeds_after_all() {
	let founder = World::smallest(0..3);
	let mut world = World::new();
	world.lose(move |_, to, message| to == founder && matches!(message, Message::Pledged { .. }));
	(0..3).for_each(|node| world.start(node, expect(3)));
	world.run(2_000);
	assert!(!world.lose_nothing().is_empty(), "they pledged");
	assert!(world.formations().is_empty());
	world.wait("all vote", World::all_online_of_three);
	assert_eq!(world.formations().len(), 1);
}

#[test]
fn who_does_not_hear_that_its_founding_succeeded_is_told_again() {
	let founder = World::smallest(0..3);
	let mut world = World::new();
	world.lose(move |from, to, message| {
		from == founder && to == (founder + 1) % 3 && matches!(message, Message::Genesis { .. })
	});
	(0..3).for_each(|node| world.start(node, expect(3)));
	world.run(1_100);
	assert!(!world.lose_nothing().is_empty());
	world.wait("all vote", World::all_online_of_three);
	assert_eq!(world.config(0).members.len(), 3, "it is the founder it was");
}

#[test]
fn a_founder_that_gives_up_gives_the_pledges_back() {
	let founder = World::smallest(0..4);
	let deaf = (founder + 1) % 4;
	let mut world = World::new();
	world.lose(move |from, _, message| from == deaf && matches!(message, Message::Pledged { .. }));
	(0..4).for_each(|node| world.start(node, expect(4)));
	let pledged = |node: &Node| matches!(node.disk, Stored::Pledged { .. });
	world.wait("they pledge", |world| world.nodes.values().all(pledged));
	world.wait("they are free again", |world| {
		!world.nodes.values().any(pledged)
	});
	assert!(world.formations().is_empty());
	world.lose_nothing();
	world.wait("all are online", World::is_one);
}

/// Three durable nodes found together, and the disk of one hangs when it is to
/// write that it is a member: it crashes, and comes back.
fn crash_before_the_beginning_is_written(node: u8) -> World {
	let mut world = World::new();
	world.hang(move |at, kind| at == node && matches!(kind, WriteKind::Begin { .. }));
	for node in 0..3 {
		world.start_with(node, expect(3), Stored::Empty, true);
	}
	world.wait("it is to begin", |world| world.hanging.contains(&node));
	let disk = world.kill(node);
	assert!(
		matches!(disk, Stored::Pledged { .. }),
		"it promised, and does not know what came of it"
	);
	world.hang_no_more();
	world.start_with(node, expect(3), disk, true);
	world.wait("all vote", World::all_online_of_three);
	assert_eq!(world.formations().len(), 1);
	let members: Vec<u64> = world.config(0).members.keys().map(|id| id.get()).collect();
	assert_eq!(members, [1, 2, 3], "each is the founder it was");
	for node in 0..3 {
		assert!(matches!(world.execute(node, "a"), Outcome::Committed(_)));
	}
	world
}

#[test]
fn a_founder_that_crashes_before_its_founding_is_written_founds_with_the_same_nodes() {
	let node = World::smallest(0..3);
	let world = crash_before_the_beginning_is_written(node);
	let member = |event: &Event| matches!(event, Event::Member { .. });
	for other in world.others(&[node]) {
		assert_eq!(world.count(other, member), 1, "it had told nobody");
	}
}

#[test]
fn one_that_crashes_before_it_wrote_what_it_founded_is_told_again() {
	let founder = World::smallest(0..3);
	for step in 1..3 {
		crash_before_the_beginning_is_written((founder + step) % 3);
	}
}

/// A replica of its own: what it sends to whom.
struct Single {
	replica: Replica,
	unwritten: Vec<u64>,
}

impl Single {
	fn new(settings: ReplicaSettings, disk: Stored, bonds: &[u8]) -> Self {
		let replica = Replica::new(peer(9), settings, disk, [9; 32], World::new().now());
		let unwritten = Vec::new();
		let mut single = Self { replica, unwritten };
		for node in bonds {
			let peer = peer(*node);
			single
				.replica
				.handle(World::new().now(), Input::BondUp { peer });
		}
		single.sent();
		single
	}

	/// What it says now about pledges.
	fn sent(&mut self) -> Vec<(PeerId, Message)> {
		let mut sent = Vec::new();
		while let Some(output) = self.replica.poll() {
			match output {
				Output::Send { to, message } if !matches!(message, Message::Info(_)) => {
					sent.push((to, message));
				}
				Output::Write(write) => self.unwritten.push(write.token),
				_ => {}
			}
		}
		sent
	}

	fn tell(&mut self, from: u8, message: Message) -> Vec<(PeerId, Message)> {
		let from = peer(from);
		self.replica
			.handle(World::new().now(), Input::Message { from, message });
		self.sent()
	}

	fn written(&mut self) -> Vec<(PeerId, Message)> {
		for token in std::mem::take(&mut self.unwritten) {
			self.replica
				.handle(World::new().now(), Input::Written { token });
		}
		self.sent()
	}
}

fn pledged(node: u8, formation: FormationId, granted: bool) -> (PeerId, Message) {
	(peer(node), Message::Pledged { formation, granted })
}

#[test]
fn a_pledge_is_given_once_after_it_is_written_and_given_back_by_its_founder_only() {
	let [a, b] = [1, 2].map(FormationId::from);
	let mut single = Single::new(expect(3), Stored::Empty, &[1, 2]);
	let ask = |formation| Message::Pledge { formation };
	let release = |formation| Message::Release { formation };
	assert_eq!(single.tell(1, ask(a)), []);
	let refused = single.tell(2, ask(b));
	assert!(
		refused.contains(&pledged(2, b, false)),
		"it is promised already"
	);
	assert_eq!(single.written(), [pledged(1, a, true)]);
	for wrong in [(1, b), (2, a), (2, b)] {
		single.tell(wrong.0, release(wrong.1));
		assert!(single.tell(2, ask(b)).contains(&pledged(2, b, false)));
	}
	single.tell(1, ask(a));
	assert_eq!(
		single.written(),
		[pledged(1, a, true)],
		"the answer may have been lost"
	);
	assert_eq!(single.tell(1, release(a)), []);
	single.tell(2, ask(b));
	assert_eq!(single.written(), [pledged(2, b, true)]);
}

#[test]
fn a_pledge_on_a_disk_outlives_the_process() {
	let [a, b] = [1, 2].map(FormationId::from);
	let nonce = Nonce::from(7);
	let (formation, founder) = (a, peer(1));
	let pledge = Pledge { formation, founder };
	let disk = Stored::Pledged { nonce, pledge };
	let mut single = Single::new(expect(3), disk, &[1, 2]);
	assert_eq!(single.replica.nonce(), nonce);
	let formation = b;
	let refused = single.tell(2, Message::Pledge { formation });
	assert!(refused.contains(&pledged(2, b, false)));
}

#[test]
fn an_observer_pledges_nothing() {
	let formation = FormationId::from(1);
	let mut single = Single::new(observer(), Stored::Empty, &[1]);
	let refused = single.tell(1, Message::Pledge { formation });
	assert_eq!(refused, [pledged(1, formation, false)]);
	assert_eq!(single.written(), []);
}

#[test]
fn who_waits_for_a_founder_that_is_gone_says_so_once_and_keeps_its_promise() {
	let expect = || ReplicaSettings {
		bootstrap: Bootstrap::Expect(3.try_into().unwrap()),
		..ReplicaSettings::default()
	};
	let mut world = World::new();
	for node in 0..3 {
		world.start(node, expect());
	}
	// The pledges are given, and the founder is gone before it knows.
	world.lose(|_, _, message| matches!(message, Message::Pledged { .. }));
	world.wait("somebody gathers pledges", |world| !world.lost.is_empty());
	let (_, founder, _) = world.lose_nothing()[0].clone();
	world.kill(founder);
	let others = world.others(&[founder]);
	let is_told = |event: &Event| matches!(event, Event::FounderLost { .. });
	world.run(25_000);
	assert!(others.iter().all(|node| world.count(*node, is_told) == 0));
	world.run(60_000);
	for node in others {
		assert_eq!(world.count(node, is_told), 1);
	}
	assert!(world.formations().is_empty());
}
