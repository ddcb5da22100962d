//! Sessions between nodes: when they come up, and when each side notices that one
//! is gone.

use {
	crate::lossy::Node,
	rand::{RngExt, rngs::Xoshiro256PlusPlus},
	std::collections::BTreeMap,
};

/// What one side notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noticed {
	/// There is a session, in both directions.
	Up(Node, Node),
	/// The first one's session with the second is gone.
	Down(Node, Node),
}

/// See the module. A session that is broken stays so: what was on its way
/// is lost, and another one takes its place.
#[derive(Debug, Default)]
pub(super) struct Bonds {
	/// The pairs with a session, the lower number first, and which sides still
	/// believe in it.
	up: BTreeMap<(Node, Node), [bool; 2]>,
	/// Sessions that are broken, until both sides know.
	broken: BTreeMap<(Node, Node), u64>,
	queue: BTreeMap<(u64, u64), Noticed>,
	sequence: u64,
	dialling: BTreeMap<(Node, Node), u64>,
}

impl Bonds {
	/// When something is noticed next, in microseconds.
	pub(super) fn next(&self) -> Option<u64> {
		self.queue.keys().next().map(|(at, _)| *at)
	}

	/// What is noticed at the latest by `now`.
	pub(super) fn take_due(&mut self, now: u64) -> Option<Noticed> {
		let (&key, _) = self
			.queue
			.first_key_value()
			.filter(|((at, _), _)| *at <= now)?;
		self.queue.remove(&key)
	}

	/// The ways between nodes changed: `connected` says who reaches whom, both ways.
	pub(super) fn refresh(
		&mut self,
		now: u64,
		nodes: usize,
		connected: impl Fn(Node, Node) -> bool,
		rng: &mut Xoshiro256PlusPlus,
	) {
		for a in 0..nodes {
			for b in a + 1..nodes {
				let pair = (a, b);
				let is_connected = connected(a, b);
				if self.up.contains_key(&pair) {
					if !is_connected && !self.broken.contains_key(&pair) {
						self.break_pair(now, pair, rng);
					}
				} else if is_connected && !self.dialling.contains_key(&pair) {
					let at = now + rng.random_range(20_000..3_000_000);
					self.dialling.insert(pair, at);
					self.later(at, Noticed::Up(a, b));
				}
			}
		}
	}

	/// A node's process is gone, and with it all its sessions.
	pub(super) fn crashed(&mut self, now: u64, node: Node, rng: &mut Xoshiro256PlusPlus) {
		let pairs: Vec<_> = self.up.keys().copied().collect();
		for pair in pairs.into_iter().filter(|(a, b)| *a == node || *b == node) {
			if !self.broken.contains_key(&pair) {
				self.break_pair(now, pair, rng);
			}
		}
	}

	fn break_pair(&mut self, now: u64, pair: (Node, Node), rng: &mut Xoshiro256PlusPlus) {
		self.broken.insert(pair, now);
		for (from, to) in [pair, (pair.1, pair.0)] {
			let at = now + rng.random_range(0..5_000_000);
			self.later(at, Noticed::Down(from, to));
		}
	}

	/// A dial came through, if the way is free; returns whether there is a session.
	pub(super) fn on_up(&mut self, a: Node, b: Node, is_connected: bool) -> bool {
		self.dialling.remove(&(a, b));
		if is_connected {
			self.up.insert((a, b), [true; 2]);
		}
		is_connected
	}

	/// One side noticed the end of its session.
	pub(super) fn on_down(&mut self, from: Node, to: Node) {
		let pair = (from.min(to), from.max(to));
		let side = usize::from(from > to);
		if let Some(sides) = self.up.get_mut(&pair) {
			sides[side] = false;
			if *sides == [false; 2] {
				self.up.remove(&pair);
				self.broken.remove(&pair);
			}
		}
	}

	/// Something could not be noticed yet: a process stands still.
	pub(super) fn postpone(&mut self, now: u64, noticed: Noticed) {
		self.later(now + 100_000, noticed);
	}

	fn later(&mut self, at: u64, noticed: Noticed) {
		self.sequence += 1;
		self.queue.insert((at, self.sequence), noticed);
	}
}
