//! Nothing that is said makes a replica panic, spin or talk without end.

use {
	super::{script::*, *},
	crate::{groups::formation::info::MAX_ENDED, wire::Datum},
	proptest::{collection::vec, prelude::*, sample::Index},
	std::{cell::RefCell, rc::Rc, sync::OnceLock},
};

/// What is done to a replica.
#[derive(Clone, Debug)]
enum Op {
	/// A message of somebody, with some bytes changed.
	Forge(u8, Index, Vec<(Index, u8)>),
	/// Any bytes.
	Bytes(u8, Vec<u8>),
	Up(u8),
	Down(u8),
	Revoked(u8),
	Pass(u64),
	Execute(usize),
	Read,
	Yield(u128),
	Leave,
	Written(u64),
}

fn op() -> impl Strategy<Value = Op> {
	let changes = || vec((any::<Index>(), any::<u8>()), 0..4);
	prop_oneof![
		20 => (0..5u8, any::<Index>(), changes()).prop_map(|(n, at, to)| Op::Forge(n, at, to)),
		2 => (0..5u8, vec(any::<u8>(), 0..80)).prop_map(|(n, bytes)| Op::Bytes(n, bytes)),
		3 => (0..5u8).prop_map(Op::Up),
		1 => (0..5u8).prop_map(Op::Down),
		1 => (0..5u8).prop_map(Op::Revoked),
		6 => (0..5_000u64).prop_map(Op::Pass),
		2 => (0..5usize).prop_map(Op::Execute),
		2 => Just(Op::Read),
		1 => any::<u128>().prop_map(Op::Yield),
		1 => Just(Op::Leave),
		1 => any::<u64>().prop_map(Op::Written),
	]
}

/// Where a replica stands when it begins, and a world like its own.
fn world(phase: u8) -> World {
	let mut world = World::new();
	match phase {
		0 => world.start(0, ReplicaSettings::default()),
		1 => {
			world.lose(|_, _, message| matches!(message, Message::Genesis { .. }));
			(0..3).for_each(|node| world.start(node, expect(3)));
			world.run(1_100);
		}
		2 => {
			world.lose(|_, to, message| to == 0 && matches!(message, Message::Joined { .. }));
			world.start(1, ReplicaSettings::default());
			world.wait("there is a formation", |world| world.is_online(1));
			world.start(0, ReplicaSettings::default());
		}
		3 => {
			world = World::formed(1);
			world.start(1, observer());
			world.run(1_000);
		}
		_ => world = World::formed(3),
	}
	world
}

/// Messages as they are sent in the life of some formations.
fn corpus() -> &'static [Vec<u8>] {
	static CORPUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
	CORPUS.get_or_init(|| {
		let sent = Rc::new(RefCell::new(Vec::new()));
		for phase in 1..=4 {
			let mut world = world(phase);
			let log = Rc::clone(&sent);
			world.lose(move |_, _, message| {
				log.borrow_mut().push(message.encode().unwrap().to_vec());
				false
			});
			world.start(5, expect(2));
			world.run(3_000);
			for node in world.others(&[]) {
				world.call(node, |call| Input::Read { call });
				world.issue(node, "a");
			}
			world.run(2_000);
			for node in world.others(&[]) {
				world.call(node, |call| Input::Leave { call });
			}
			world.run(2_000);
		}
		sent.take()
	})
}

/// Does everything that the replica wants, at once; it must come to an end.
fn settle(replica: &mut Replica, now: Now) {
	for _ in 0..10_000 {
		let Some(output) = replica.poll() else {
			return;
		};
		let input = match output {
			Output::Write(write) => Input::Written { token: write.token },
			Output::Apply { of, range } => {
				let index = *range.end();
				assert!(replica.entries(range).count() < 100_000);
				Input::Applied { of, index }
			}
			Output::Fetch { of, pos, .. } => Input::FetchFailed { of, pos },
			Output::Send { .. } | Output::Reset { .. } | Output::Done { .. } | Output::Event(_) => {
				continue;
			}
		};
		replica.handle(now, input);
	}
	panic!("it goes on and on");
}

fn at(time: u64) -> Now {
	Now {
		mono: Instant(time * 1000),
		wall_ms: 0,
	}
}

/// Lets time pass: the replica is woken a bounded number of times.
fn pass(replica: &mut Replica, time: &mut u64, until: u64) {
	for _ in 0..2_000 {
		let due = replica.deadline().map_or(u64::MAX, |at| at.0 / 1000);
		if due > until {
			*time = until;
			return;
		}
		*time = due.max(*time);
		replica.handle(at(*time), Input::Tick);
		settle(replica, at(*time));
	}
	panic!("it never sleeps: {:?} at {time}", replica.deadline());
}

fn perform(replica: &mut Replica, time: &mut u64, op: Op) {
	let call = CallId(u64::MAX);
	let from = |n: u8| peer(n + 1);
	let message = |n, bytes: &[u8]| {
		let message = Message::decode(bytes).ok()?;
		let from = from(n);
		Some(Input::Message { from, message })
	};
	let input = match op {
		Op::Forge(n, which, changes) => {
			let mut bytes = which.get(corpus()).clone();
			for (at, to) in changes {
				*at.get_mut(&mut bytes) = to;
			}
			message(n, &bytes)
		}
		Op::Bytes(n, bytes) => message(n, &bytes),
		Op::Up(n) => Some(Input::BondUp { peer: from(n) }),
		Op::Down(n) => Some(Input::BondDown { peer: from(n) }),
		Op::Revoked(n) => Some(Input::Revoked { peer: from(n) }),
		Op::Pass(millis) => {
			let until = *time + millis;
			return pass(replica, time, until);
		}
		Op::Execute(count) => {
			let payloads = vec![Bytes::from_static(b"a"); count];
			Some(Input::Execute { call, payloads })
		}
		Op::Read => Some(Input::Read { call }),
		Op::Yield(into) => Some(Input::Yield { into: into.into() }),
		Op::Leave => Some(Input::Leave { call }),
		Op::Written(token) => Some(Input::Written { token }),
	};
	if let Some(input) = input {
		replica.handle(at(*time), input);
		settle(replica, at(*time));
	}
}

proptest! {
	#![proptest_config(ProptestConfig {
		cases: 200,
		failure_persistence: None,
		..ProptestConfig::default()
	})]

	#[test]
	fn r17_whatever_is_said_in_whatever_phase_a_replica_goes_on(
		phase in 0..6u8,
		ops in vec(op(), 1..120),
	) {
		let mut world = world(phase);
		let mut time = world.time;
		let node = world.nodes.remove(&0).unwrap();
		let mut replica = node.replica;
		for op in ops {
			perform(&mut replica, &mut time, op);
			prop_assert!(replica.info().ended.len() <= MAX_ENDED);
		}
	}

	#[test]
	fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
		if let Ok(message) = Message::decode(&bytes) {
			let encoded = message.encode().unwrap();
			prop_assert_eq!(Message::decode(&encoded).unwrap(), message);
		}
	}
}

#[test]
fn a_list_that_claims_to_be_endless_takes_no_room() {
	// An Info: its nonce, preference and standing, and so many formations.
	let mut bytes = vec![0; 1 + 16 + 1 + 1];
	bytes.extend([0xff; 9]);
	bytes.push(1);
	assert!(Message::decode(&bytes).is_err());
}

#[test]
fn of_what_a_node_says_of_formations_that_ended_so_much_is_kept() {
	let mut world = World::formed(2);
	let mut info = world.nodes[&1].replica.info();
	info.ended = (0..1_000).map(|n| (FormationId::from(n), None)).collect();
	world.deliver(vec![(1, 0, Message::Info(info))]);
	assert_eq!(world.nodes[&0].replica.info().ended.len(), MAX_ENDED);
	assert!(world.is_one());
}
