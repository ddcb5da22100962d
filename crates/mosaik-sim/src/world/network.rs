//! How links come up, carry messages and break.

use {
	super::{ANY_LIFE, Happening, Node, Pending, Process, World},
	rand::RngExt,
	std::{collections::VecDeque, time::Duration},
};

pub(super) type LinkId = u64;

/// How the network fares.
#[derive(Debug, Clone)]
pub struct Weather {
	/// The shortest latency of a pair of nodes, one way.
	pub latency_min: Duration,
	/// The longest latency of a pair, before jitter.
	pub latency_max: Duration,
	/// How much of the latency jitter adds at most.
	pub jitter: f64,
	/// How many of the dials fail for no reason.
	pub dial_loss: f64,
	/// After what silence a link is broken, and a dial has failed.
	pub idle_timeout: Duration,
}

impl Default for Weather {
	fn default() -> Self {
		Self {
			latency_min: Duration::from_micros(200),
			latency_max: Duration::from_millis(40),
			jitter: 0.2,
			dial_loss: 0.0,
			idle_timeout: Duration::from_secs(4),
		}
	}
}

/// A stream between two nodes.
#[derive(Debug)]
pub(super) struct Link<M> {
	/// The dialler first.
	ends: [Node; 2],
	generations: [u32; 2],
	/// What is on its way, by direction: from the dialler, to the dialler.
	queues: [VecDeque<M>; 2],
	/// When the last of each direction arrives: none overtakes another.
	last_arrival: [u64; 2],
	/// Arrivals that found the way blocked.
	held: [usize; 2],
	blocked_since: Option<u64>,
}

fn micros(time: Duration) -> u64 {
	u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl<P: Process> World<P> {
	/// The latency of a pair: the same at all times.
	fn latency(&self, a: Node, b: Node) -> u64 {
		let pair = (a.min(b) as u64) << 32 | a.max(b) as u64;
		let mut hash = (pair ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
		hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		let min = micros(self.weather.latency_min);
		let spread = micros(self.weather.latency_max).saturating_sub(min);
		min + (hash >> 16) % (spread + 1)
	}

	fn jittered_latency(&mut self, a: Node, b: Node) -> u64 {
		let latency = self.latency(a, b);
		let jitter = Duration::from_micros(latency).mul_f64(self.weather.jitter);
		latency + self.rng.random_range(0..=micros(jitter))
	}

	fn is_connected(&self, a: Node, b: Node) -> bool {
		self.sides.get(&a) == self.sides.get(&b)
	}

	fn is_awake(&self, node: Node, generation: u32) -> bool {
		let alive = |place: &super::Place<P>| {
			place.process.is_some() && place.generation == generation && !place.paused
		};
		self.places.get(node).is_some_and(alive)
	}

	pub(super) fn dial(&mut self, from: Node, to: Node, known: &[u32]) {
		self.note(format_args!("{from} dials {to}"));
		// Who does not exist yet may by the time that the dial gets there.
		let generation = |node: Node| self.places.get(node).map_or(0, |place| place.generation);
		let generations = [generation(from), generation(to)];
		let moved = !known.contains(&generations[1]) && !known.contains(&ANY_LIFE);
		let lost = moved || self.rng.random_bool(self.weather.dial_loss);
		let deadline = self.time + micros(self.weather.idle_timeout);
		let handshake = 3 * self.jittered_latency(from, to);
		let open = Pending::Open {
			from,
			to,
			generations,
			deadline,
			lost,
		};
		self.later(self.time + handshake, open);
	}

	pub(super) fn open(
		&mut self,
		from: Node,
		to: Node,
		generations: [u32; 2],
		deadline: u64,
		lost: bool,
	) {
		let dialler = &self.places[from];
		if dialler.generation != generations[0] || dialler.process.is_none() {
			return;
		}
		let awake = self.is_awake(from, generations[0]) && self.is_awake(to, generations[1]);
		if lost || !awake || !self.is_connected(from, to) {
			if self.time >= deadline {
				self.note(format_args!("{from} fails to reach {to}"));
				return self.happen(from, Happening::DialFailed { peer: to });
			}
			let again = Pending::Open {
				from,
				to,
				generations,
				deadline,
				lost,
			};
			let at = (self.time + 100_000).min(deadline);
			return self.later(at, again);
		}
		if let Some(&old) = self.places[from].links.get(&to)
			&& self.places[to].links.get(&from) == Some(&old)
		{
			if self.links[&old].ends[0] < from {
				// Both opened one: that of the smaller id stays.
				return;
			}
			self.links.remove(&old);
		}
		self.next_link += 1;
		let id = self.next_link;
		let link = Link {
			ends: [from, to],
			generations,
			queues: [VecDeque::new(), VecDeque::new()],
			last_arrival: [0; 2],
			held: [0; 2],
			blocked_since: None,
		};
		self.links.insert(id, link);
		self.note(format_args!("{from} is linked to {to}"));
		self.places[from].links.insert(to, id);
		self.places[to].links.insert(from, id);
		for (node, peer, opened_by_us) in [(to, from, false), (from, to, true)] {
			self.happen(node, Happening::LinkUp { peer, opened_by_us });
		}
	}

	pub(super) fn close(&mut self, node: Node, peer: Node) {
		let Some(id) = self.places[node].links.remove(&peer) else {
			return;
		};
		self.note(format_args!("{node} closes {peer}"));
		let latency = self.jittered_latency(node, peer);
		if self.links.remove(&id).is_some() && self.is_connected(node, peer) {
			self.tell_down(peer, node, id, self.time + latency);
		} else {
			let silence = micros(self.weather.idle_timeout);
			self.tell_down(peer, node, id, self.time + silence);
		}
	}

	pub(super) fn close_former(&mut self, node: Node, peer: Node) {
		let Some(id) = self.places[node].links.get(&peer) else {
			return;
		};
		let link = self.links.get(id);
		let leads_to = link.map(|link| link.generations[usize::from(link.ends[0] == node)]);
		if leads_to != Some(self.places[peer].generation) {
			self.close(node, peer);
			self.happen(node, Happening::LinkDown { peer });
		}
	}

	fn tell_down(&mut self, to: Node, peer: Node, link: LinkId, at: u64) {
		let generation = self.places[to].generation;
		let down = Pending::Down {
			to,
			generation,
			peer,
			link,
		};
		self.later(at, down);
	}

	pub(super) fn send(&mut self, from: Node, to: Node, message: P::Message) {
		let size = P::size(&message);
		let place = &mut self.places[from];
		place.sent_bytes += size as u64;
		place.sent_messages += 1;
		let Some(&id) = place.links.get(&to) else {
			return;
		};
		let latency = self.jittered_latency(from, to);
		self.trace
			.numbers([self.time, from as u64, to as u64, size as u64]);
		let Some(link) = self.links.get_mut(&id) else {
			return;
		};
		let direction = usize::from(link.ends[0] != from);
		let at = link.last_arrival[direction].max(self.time + latency);
		link.last_arrival[direction] = at;
		link.queues[direction].push_back(message);
		let arrive = Pending::Arrive {
			link: id,
			direction,
		};
		self.later(at, arrive);
	}

	pub(super) fn arrive(&mut self, id: LinkId, direction: usize) {
		let Some(link) = self.links.get_mut(&id) else {
			return;
		};
		if link.blocked_since.is_some() {
			link.held[direction] += 1;
			return;
		}
		let (from, to) = (link.ends[direction], link.ends[1 - direction]);
		if let Some(message) = link.queues[direction].pop_front() {
			self.happen(to, Happening::Message { from, message });
		}
	}

	/// Checks whether the way of a link is blocked, and starts its end if so.
	pub(super) fn block(&mut self, id: LinkId) {
		let Some(link) = self.links.get(&id) else {
			return;
		};
		let (ends, generations) = (link.ends, link.generations);
		let free = self.is_connected(ends[0], ends[1])
			&& (0..2).all(|n| self.is_awake(ends[n], generations[n]));
		if free || link.blocked_since.is_some() {
			return;
		}
		let blocked_since = self.time;
		if let Some(link) = self.links.get_mut(&id) {
			link.blocked_since = Some(blocked_since);
		}
		let timeout = micros(self.weather.idle_timeout);
		let at = self.time + timeout + self.rng.random_range(0..=timeout / 8);
		let idle = Pending::Idle {
			link: id,
			blocked_since,
		};
		self.later(at, idle);
	}

	/// Lets go on what is no longer blocked.
	pub(super) fn unblock(&mut self) {
		let blocked = |(&id, link): (&LinkId, &Link<P::Message>)| link.blocked_since.map(|_| id);
		let blocked: Vec<LinkId> = self.links.iter().filter_map(blocked).collect();
		for id in blocked {
			let Some(link) = self.links.get(&id) else {
				continue;
			};
			let (ends, generations) = (link.ends, link.generations);
			let free = self.is_connected(ends[0], ends[1])
				&& (0..2).all(|n| self.is_awake(ends[n], generations[n]));
			if !free {
				continue;
			}
			let mut arrivals = Vec::new();
			if let Some(link) = self.links.get_mut(&id) {
				link.blocked_since = None;
				for (direction, held) in link.held.iter_mut().enumerate() {
					arrivals.extend(std::iter::repeat_n(direction, std::mem::take(held)));
				}
			}
			for direction in arrivals {
				let arrive = Pending::Arrive {
					link: id,
					direction,
				};
				self.later(self.time, arrive);
			}
		}
	}

	/// A link that has been blocked for as long as links endure is broken.
	pub(super) fn idle(&mut self, id: LinkId, blocked_since: u64) {
		let still = |link: &Link<P::Message>| link.blocked_since == Some(blocked_since);
		if !self.links.get(&id).is_some_and(still) {
			return;
		}
		let Some(link) = self.links.remove(&id) else {
			return;
		};
		let [a, b] = link.ends;
		self.note(format_args!("the link of {a} and {b} breaks"));
		for (n, node, peer) in [(0, a, b), (1, b, a)] {
			if self.places[node].generation == link.generations[n] {
				self.tell_down(node, peer, id, self.time);
			}
		}
	}
}
