//! The membership core, alone and in pairs: the clock and the wire by hand.

use {
	super::*,
	crate::{EndpointAddr, core::Core, discovery::Message, wire::CloseCode},
	proptest::prelude::*,
};

const SECOND: Duration = Duration::from_secs(1);

fn key(n: u8) -> SecretKey {
	SecretKey::from_bytes(&[n; 32])
}

fn id(n: u8) -> PeerId {
	key(n).public()
}

fn entry(n: u8) -> PeerEntry {
	PeerEntry::new("net".into(), id(n))
}

fn at(time: Duration) -> Now {
	Now {
		mono: Instant::default() + time,
		wall_ms: 1_000_000 + u64::try_from(time.as_millis()).unwrap(),
	}
}

fn node(n: u8, wall_ms: u64) -> Membership {
	let now = Now {
		mono: Instant::default(),
		wall_ms,
	};
	let config = MembershipConfig::default();
	Membership::new(config, key(n), entry(n), now, u64::from(n)).unwrap()
}

/// Some nodes, linked as they ask for, over a network without delay.
struct Nodes {
	nodes: Vec<Membership>,
	time: Duration,
	queue: VecDeque<(PeerId, Input)>,
	dead: BTreeSet<PeerId>,
	events: Vec<(PeerId, Event)>,
	outputs: Vec<(PeerId, Output)>,
}

impl Nodes {
	fn new(count: u8) -> Self {
		let mut nodes: Vec<_> = (1..=count).map(|n| node(n, 1_000_000)).collect();
		nodes.sort_by_key(|node| node.me);
		Self {
			nodes,
			time: Duration::ZERO,
			queue: VecDeque::new(),
			dead: BTreeSet::new(),
			events: Vec::new(),
			outputs: Vec::new(),
		}
	}

	/// All nodes know of one and have had time to meet.
	fn joined(count: u8) -> Self {
		let mut this = Self::new(count);
		for n in 2..=count {
			this.give(id(n), Input::Candidate(id(1).into()));
		}
		this.run(SECOND * 3);
		for node in &this.nodes {
			assert_eq!(node.catalog().peers_count(), usize::from(count) - 1);
		}
		this
	}

	fn get(&mut self, peer: PeerId) -> &mut Membership {
		self.nodes.iter_mut().find(|node| node.me == peer).unwrap()
	}

	fn give(&mut self, peer: PeerId, input: Input) {
		self.queue.push_back((peer, input));
		self.deliver();
	}

	fn deliver(&mut self) {
		while let Some((peer, input)) = self.queue.pop_front() {
			if self.dead.contains(&peer) {
				continue;
			}
			let now = at(self.time);
			self.get(peer).handle(now, input);
			while let Some(output) = self.get(peer).poll() {
				self.perform(peer, output);
			}
		}
	}

	fn perform(&mut self, me: PeerId, output: Output) {
		match output {
			Output::Dial(EndpointAddr { id: peer, .. }) => {
				let exists = self.nodes.iter().any(|node| node.me == peer);
				if self.dead.contains(&peer) || !exists {
					self.queue.push_back((
						me,
						Input::DialFailed {
							peer,
							answered: false,
						},
					));
					return;
				}
				for (to, peer, opened_by_us) in [(me, peer, true), (peer, me, false)] {
					let up = Input::LinkUp { peer, opened_by_us };
					self.queue.push_back((to, up));
				}
			}
			Output::Send { peer, message } => {
				let from = me;
				let message = Input::Message { from, message };
				self.queue.push_back((peer, message));
			}
			Output::Close { peer, .. } => {
				self.queue.push_back((peer, Input::LinkDown { peer: me }));
			}
			Output::Event(event) => self.events.push((me, event)),
			output => self.outputs.push((me, output)),
		}
	}

	fn run(&mut self, time: Duration) {
		self.deliver();
		let end = self.time + time;
		while self.time < end {
			self.time += Duration::from_millis(10);
			let now = at(self.time).mono;
			let due = |node: &&Membership| node.deadline().is_some_and(|due| due <= now);
			let due: Vec<_> = self.nodes.iter().filter(due).map(|node| node.me).collect();
			for peer in due {
				self.give(peer, Input::Tick);
			}
		}
	}

	fn departures(&self, of: PeerId) -> usize {
		let departed = |(_, event): &&(_, Event)| *event == Event::PeerDeparted(of);
		self.events.iter().filter(departed).count()
	}
}

#[test]
fn nodes_that_know_one_come_to_know_all() {
	Nodes::joined(12);
}

#[test]
fn a_change_reaches_everybody_at_once() {
	let mut nodes = Nodes::joined(8);
	let changed = entry(3).add_tags("tag");
	nodes.give(id(3), Input::UpdateLocal(changed));
	nodes.run(SECOND / 2);
	for node in &nodes.nodes {
		assert_eq!(node.catalog().get(&id(3)).unwrap().tags().len(), 1);
	}
}

#[test]
fn who_says_goodbye_is_gone_at_once() {
	let mut nodes = Nodes::joined(6);
	nodes.give(id(2), Input::Leave);
	nodes.dead.insert(id(2));
	nodes.run(SECOND / 10);
	assert_eq!(nodes.departures(id(2)), 5);
	nodes.run(SECOND * 30);
	assert_eq!(nodes.departures(id(2)), 5);
	let rediscovered = |(_, event): &(_, Event)| matches!(event, Event::PeerDiscovered(entry) if *entry.id() == id(2));
	assert_eq!(
		nodes
			.events
			.iter()
			.filter(|event| rediscovered(event))
			.count(),
		5
	);
}

#[test]
fn who_is_killed_is_gone_within_ten_seconds() {
	let mut nodes = Nodes::joined(9);
	nodes.dead.insert(id(4));
	nodes.run(SECOND * 2);
	assert_eq!(nodes.departures(id(4)), 0);
	nodes.run(SECOND * 8);
	assert_eq!(nodes.departures(id(4)), 8);
}

#[test]
fn who_sleeps_for_five_seconds_is_not() {
	let mut nodes = Nodes::joined(6);
	nodes.dead.insert(id(4));
	nodes.run(SECOND * 5);
	nodes.dead.remove(&id(4));
	nodes.run(SECOND * 20);
	for n in 1..=6 {
		assert_eq!(nodes.departures(id(n)), 0, "peer {n}");
	}
}

#[test]
fn a_suspect_refutes_and_a_suspicion_of_the_past_is_void() {
	let mut one = node(1, 50);
	let now = at(SECOND);
	let peer = id(2);
	one.handle(
		now,
		Input::LinkUp {
			peer,
			opened_by_us: false,
		},
	);
	let suspect = |version| Input::Message {
		from: peer,
		message: Message::News(crate::discovery::message::News {
			suspects: vec![crate::discovery::message::Mention {
				peer: *id(1),
				version,
			}],
			..Default::default()
		}),
	};
	let before = one.local().update_version();
	one.handle(now, suspect(PeerEntryVersion(50, 49)));
	assert_eq!(one.local().update_version(), before);
	one.handle(now, suspect(before));
	let refuted = one.local().update_version();
	assert!(refuted > before);
	assert_eq!(refuted.started_ms(), before.started_ms());
	// A former life with a faster clock: step over it.
	one.handle(at(SECOND * 2), suspect(PeerEntryVersion(70, 3)));
	assert!(one.local().update_version() > PeerEntryVersion(70, 3));
	// A lie leaves no room above it.
	let now = one.local().update_version();
	one.handle(
		at(SECOND * 3),
		suspect(PeerEntryVersion(u64::MAX, u64::MAX)),
	);
	assert_eq!(one.local().update_version(), now);
}

#[test]
fn two_processes_with_one_key_do_not_storm() {
	let mut one = node(1, 1000);
	let mut two = node(1, 2000);
	let mut versions = 0;
	let mut duplicates = 0;
	for step in 0..6000 {
		let now = at(Duration::from_millis(step * 100));
		let (a, b) = (one.local().clone(), two.local().clone());
		for (node, other) in [(&mut one, b), (&mut two, a)] {
			let before = node.local().update_version();
			node.handle(now, Input::Feed(other));
			versions += u32::from(node.local().update_version() != before);
			while let Some(output) = node.poll() {
				duplicates += u32::from(matches!(output, Output::DuplicateIdentity { .. }));
			}
		}
	}
	assert!(duplicates > 0);
	// Ten minutes: some quick steps, then one a minute.
	assert!((10..60).contains(&versions), "{versions}");
}

#[test]
fn a_restart_with_a_slower_clock_steps_over_the_former_life() {
	let mut nodes = Nodes::joined(5);
	nodes.dead.insert(id(3));
	nodes.run(SECOND);
	let old = nodes.get(id(3)).local().update_version();
	*nodes.get(id(3)) = node(3, 400);
	nodes.dead.remove(&id(3));
	nodes.give(id(3), Input::Candidate(id(1).into()));
	nodes.run(SECOND * 2);
	assert!(nodes.get(id(3)).local().update_version() > old);
	for node in &nodes.nodes {
		assert_eq!(node.catalog().peers_count(), 4);
	}
	nodes.run(SECOND * 30);
	for n in 1..=5 {
		assert_eq!(nodes.departures(id(n)), 0, "peer {n}");
	}
}

#[test]
fn a_sync_survives_that_both_sides_dialled() {
	let mut nodes = Nodes::new(2);
	let address = id(2).into();
	let sync = Input::SyncWith { address, token: 7 };
	nodes.queue.push_back((id(1), sync));
	for (me, peer, opened_by_us) in [(1, 2, false), (2, 1, true)] {
		let peer = id(peer);
		nodes
			.queue
			.push_back((id(me), Input::LinkUp { peer, opened_by_us }));
	}
	nodes.run(SECOND);
	let done: Vec<_> = nodes
		.outputs
		.iter()
		.filter(|(_, output)| matches!(output, Output::SyncDone { .. }))
		.collect();
	assert!(
		matches!(
			done[..],
			[(
				_,
				Output::SyncDone {
					token: 7,
					result: Ok(())
				}
			)]
		),
		"{done:?}"
	);
}

#[test]
fn the_ways_in_are_tried_again_and_again() {
	let mut one = node(1, 0);
	let mut dialled = BTreeMap::new();
	for n in 2..5 {
		one.handle(at(SECOND), Input::Candidate(id(n).into()));
	}
	one.handle(
		at(SECOND),
		Input::LinkUp {
			peer: id(2),
			opened_by_us: true,
		},
	);
	one.handle(at(SECOND), Input::LinkDown { peer: id(2) });
	for second in 2..400 {
		let now = at(SECOND * second);
		one.handle(now, Input::Tick);
		while let Some(output) = one.poll() {
			if let Output::Dial(address) = output {
				*dialled.entry(address.id).or_insert(0) += 1;
				one.handle(
					now,
					Input::DialFailed {
						peer: address.id,
						answered: false,
					},
				);
			}
		}
	}
	assert!(dialled.values().all(|&times| times > 5), "{dialled:?}");
	assert_eq!(dialled.len(), 3);
}

#[test]
fn a_forged_entry_costs_the_link() {
	let mut one = node(1, 0);
	let peer = id(2);
	one.handle(
		at(SECOND),
		Input::LinkUp {
			peer,
			opened_by_us: false,
		},
	);
	let (genuine, signature) = entry(3).sign(&key(3)).unwrap().into();
	let forged = crate::wire::try_serialize(&(genuine.add_tags("x"), signature)).unwrap();
	let news = crate::discovery::message::News {
		entries: vec![crate::wire::deserialize(&forged).unwrap()],
		..Default::default()
	};
	let message = Message::News(news);
	one.handle(
		at(SECOND),
		Input::Message {
			from: peer,
			message,
		},
	);
	let closed = std::iter::from_fn(|| one.poll()).any(|output| {
		matches!(
			output,
			Output::Close {
				reason: CloseCode::ProtocolViolation,
				..
			}
		)
	});
	assert!(closed);
	assert_eq!(one.stats().forged, 1);
	assert_eq!(one.catalog().peers_count(), 0);
}

#[test]
fn entries_of_other_networks_and_of_the_dead_are_dropped() {
	let mut one = node(1, 0);
	let now = at(SECOND);
	let foreign = PeerEntry::new("other".into(), id(2)).sign(&key(2)).unwrap();
	assert!(one.feed(now, foreign).is_err());
	let two = entry(2)
		.with_version(PeerEntryVersion(1, 1))
		.sign(&key(2))
		.unwrap();
	assert!(one.feed(now, two.clone()).unwrap());
	assert!(!one.feed(now, two.clone()).unwrap());
	assert!(one.remove(now, &id(2)));
	assert!(!one.feed(now, two).unwrap());
	let newer = entry(2)
		.with_version(PeerEntryVersion(1, 2))
		.sign(&key(2))
		.unwrap();
	assert!(one.feed(now, newer).unwrap());
}

#[test]
fn unsigned_entries_are_local_upgraded_and_purged() {
	let mut one = node(1, 0);
	let now = at(SECOND);
	assert!(one.insert(now, entry(2)));
	assert!(one.insert(now, entry(3)));
	assert!(!one.insert(now, entry(1)));
	assert_eq!(one.catalog().unsigned_peers().count(), 2);
	assert!(one.feed(now, entry(2).sign(&key(2)).unwrap()).unwrap());
	assert!(!one.insert(now, entry(2)));
	assert_eq!(one.catalog().signed_peers_count(), 1);
	let later = one.config.purge_after + SECOND * 2;
	one.handle(at(later), Input::Tick);
	assert_eq!(one.catalog().peers_count(), 0);
	assert!(
		one.feed(at(later), entry(2).sign(&key(2)).unwrap())
			.unwrap()
	);
	assert!(one.insert(at(later), entry(3)));
	assert!(one.clear_unsigned(at(later)));
	assert!(!one.clear_unsigned(at(later)));
	assert_eq!(one.catalog().peers_count(), 1);
}

#[test]
fn a_new_life_of_a_peer_is_told_to_the_driver() {
	let mut nodes = Nodes::joined(3);
	let newer = entry(2)
		.with_version(PeerEntryVersion(2_000_000, 0))
		.sign(&key(2))
		.unwrap();
	nodes.give(id(1), Input::Feed(newer));
	let told = |(me, output): &(PeerId, Output)| {
		*me == id(1)
			&& matches!(output, Output::Incarnation { peer, started_ms: 2_000_000 } if *peer == id(2))
	};
	assert!(nodes.outputs.iter().any(told));
}

#[test]
fn a_new_life_of_a_peer_that_was_thought_dead_is_told_to_the_driver() {
	let mut nodes = Nodes::joined(3);
	nodes.give(id(2), Input::Leave);
	nodes.run(SECOND);
	assert!(nodes.departures(id(2)) > 0);
	let newer = entry(2)
		.with_version(PeerEntryVersion(2_000_000, 0))
		.sign(&key(2))
		.unwrap();
	nodes.give(id(1), Input::Feed(newer));
	let told = |(me, output): &(PeerId, Output)| {
		*me == id(1)
			&& matches!(output, Output::Incarnation { peer, started_ms: 2_000_000 } if *peer == id(2))
	};
	assert!(nodes.outputs.iter().any(told));
}

/// A link opens at once over a connection that has outlived the peer.
#[test]
fn a_new_life_is_told_also_where_a_link_is_up_that_nobody_has_spoken_on() {
	let mut nodes = Nodes::joined(3);
	nodes.give(id(2), Input::Leave);
	nodes.run(SECOND);
	let up = Input::LinkUp {
		peer: id(2),
		opened_by_us: true,
	};
	nodes.give(id(1), up);
	let newer = entry(2)
		.with_version(PeerEntryVersion(2_000_000, 0))
		.sign(&key(2))
		.unwrap();
	nodes.give(id(1), Input::Feed(newer));
	let told = |(me, output): &(PeerId, Output)| {
		*me == id(1)
			&& matches!(output, Output::Incarnation { peer, started_ms: 2_000_000 } if *peer == id(2))
	};
	assert!(nodes.outputs.iter().any(told));
}

#[test]
fn a_sync_ends_when_both_have_merged() {
	let mut nodes = Nodes::new(2);
	for n in 3..200 {
		let to = id(if n % 2 == 0 { 1 } else { 2 });
		nodes.give(to, Input::Feed(entry(n).sign(&key(n)).unwrap()));
	}
	let address = id(2).into();
	nodes.give(id(1), Input::SyncWith { address, token: 7 });
	nodes.run(SECOND / 10);
	let done = |(_, output): &(_, Output)| {
		matches!(
			output,
			Output::SyncDone {
				token: 7,
				result: Ok(())
			}
		)
	};
	assert!(nodes.outputs.iter().any(done));
	for node in &nodes.nodes {
		assert_eq!(node.catalog().size(), 199);
	}
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(64))]

	/// Whatever a neighbour says, nothing panics and no deadline is stuck.
	#[test]
	fn any_message_is_handled(messages in proptest::collection::vec(any_message(), 1..12)) {
		let mut one = node(1, 0);
		one.handle(at(SECOND), Input::LinkUp { peer: id(2), opened_by_us: true });
		one.handle(at(SECOND), Input::LinkUp { peer: id(3), opened_by_us: false });
		for (n, message) in (1..).zip(messages) {
			let now = at(SECOND * n);
			one.handle(now, Input::Message { from: id(2 + u8::try_from(n % 2).unwrap()), message });
			while one.poll().is_some() {}
			prop_assert!(one.deadline().is_none_or(|due| due > now.mono));
			prop_assert!(one.local().verify().is_ok());
		}
	}
}

fn any_version() -> impl Strategy<Value = PeerEntryVersion> + Clone {
	let number = prop_oneof![0..3u64, Just(u64::MAX), any::<u64>()];
	(number.clone(), number).prop_map(|(a, b)| PeerEntryVersion(a, b))
}

fn any_key() -> impl Strategy<Value = Key> + Clone {
	prop_oneof![(1..6u8).prop_map(|n| *id(n)), any::<Key>()]
}

fn any_message() -> impl Strategy<Value = Message> {
	use crate::discovery::message::*;
	let mention = (any_key(), any_version()).prop_map(|(peer, version)| Mention { peer, version });
	let mentions = proptest::collection::vec(mention, 0..4);
	let signed = (1..6u8, any_version(), any::<bool>()).prop_map(|(n, version, honest)| {
		let signed = entry(n).with_version(version).sign(&key(n)).unwrap();
		let (entry, signature) = signed.into();
		let entry = if honest {
			entry
		} else {
			entry.add_tags("forged")
		};
		let bytes = crate::wire::try_serialize(&(entry, signature)).unwrap();
		crate::wire::deserialize::<SignedPeerEntry>(&bytes).unwrap()
	});
	let departure = (1..6u8, any_version())
		.prop_map(|(n, version)| Departure::sign(&key(n), &"net".into(), version));
	let news = (
		proptest::collection::vec(signed.clone(), 0..4),
		mentions.clone(),
		mentions,
		proptest::collection::vec(departure, 0..2),
	);
	let held = (any_key(), any_version(), any::<bool>()).prop_map(|(peer, version, alive)| Held {
		peer,
		version,
		alive,
	});
	let keys = proptest::collection::vec(any_key(), 0..4);
	prop_oneof![
		(any_version(), any::<u64>(), proptest::option::of(signed)).prop_map(
			|(version, fingerprint, entry)| {
				Message::Hello(Hello {
					network: "net".into(),
					version,
					fingerprint,
					entry,
				})
			}
		),
		(any::<u32>(), any::<u64>())
			.prop_map(|(nonce, fingerprint)| Message::Ping(Beat { nonce, fingerprint })),
		(0..4u32, any::<u64>())
			.prop_map(|(nonce, fingerprint)| Message::Pong(Beat { nonce, fingerprint })),
		news.prop_map(|(entries, adverts, suspects, departed)| {
			Message::News(News {
				entries,
				adverts,
				suspects,
				departed,
			})
		}),
		keys.clone().prop_map(Message::Pull),
		(
			any::<u32>(),
			proptest::collection::vec(any::<u64>(), 60..66),
			any::<bool>()
		)
			.prop_map(|(token, buckets, fresh)| Message::Digest(Digest {
				token,
				buckets,
				fresh
			})),
		(
			0..3u32,
			any::<u64>(),
			proptest::collection::vec(held, 0..6),
			any::<bool>()
		)
			.prop_map(|(token, buckets, held, last)| Message::Lists(Lists {
				token,
				buckets,
				held,
				last
			})),
		(0..3u32, keys, any::<bool>()).prop_map(|(token, peers, last)| Message::Want(Want {
			token,
			peers,
			last
		})),
		(0..3u32).prop_map(|token| Message::Done { token }),
	]
}

#[test]
fn a_sync_outlives_the_links_of_a_meeting_but_not_those_of_later() {
	let mut node = node(1, 1_000_000);
	let outputs =
		|node: &mut Membership| -> Vec<Output> { std::iter::from_fn(|| node.poll()).collect() };
	let up = Input::LinkUp {
		peer: id(2),
		opened_by_us: true,
	};
	let down = Input::LinkDown { peer: id(2) };
	let start = at(SECOND);
	node.handle(
		start,
		Input::SyncWith {
			address: id(2).into(),
			token: 7,
		},
	);
	node.handle(start, up.clone());
	outputs(&mut node);

	// The other side opened one at the same time, and its link stays.
	node.handle(
		start,
		Input::LinkUp {
			peer: id(2),
			opened_by_us: false,
		},
	);
	let again = outputs(&mut node);
	assert!(
		!again
			.iter()
			.any(|output| matches!(output, Output::SyncDone { .. }))
	);
	let digest = |output: &Output| {
		matches!(
			output,
			Output::Send {
				message: Message::Digest(_),
				..
			}
		)
	};
	assert!(again.iter().any(digest));

	// That one is lost: another is asked for.
	node.handle(start, down.clone());
	let again = outputs(&mut node);
	assert!(
		!again
			.iter()
			.any(|output| matches!(output, Output::SyncDone { .. }))
	);
	node.handle(start, up);
	node.handle(at(SECOND * 7), down);
	let lost = |output: &Output| {
		matches!(
			output,
			Output::SyncDone {
				token: 7,
				result: Err(SyncError::LinkLost)
			}
		)
	};
	assert!(outputs(&mut node).iter().any(lost));
}

#[test]
fn a_node_that_does_not_keep_up_is_slow_to_judge() {
	let silence_until_suspicion = |late: Duration| {
		let mut nodes = Nodes::joined(2);
		let [me, peer] = [nodes.nodes[0].me, nodes.nodes[1].me];
		let node = nodes.get(me);
		let start = node.now.mono;
		loop {
			let now = node.deadline().unwrap() + late;
			let wall_ms = 2_000_000;
			node.handle(Now { mono: now, wall_ms }, Input::Tick);
			if node.suspicions.contains_key(&peer) {
				return now.since(start);
			}
		}
	};
	let prompt = silence_until_suspicion(Duration::ZERO);
	assert!(prompt < SECOND * 4, "{prompt:?}");
	let late = silence_until_suspicion(Duration::from_millis(500));
	assert!(late > prompt + SECOND * 3, "{late:?}");
}
