//! The producer's queue against the obvious model: a list of all datums, and the
//! place of each consumer in it.

use {
	arbitrary::Arbitrary,
	bytes::{Bytes, BytesMut},
	mosaik_proto::{
		core::Instant,
		streams::{ConsumerKey, Fanout, FanoutLimits, Lagging, PAUSE_MAX, PushError, STALL_GRACE},
	},
	std::{collections::BTreeMap, time::Duration},
};

#[derive(Debug, Arbitrary)]
pub(crate) struct Input {
	datums: u8,
	bytes: u16,
	wait: bool,
	ops: Vec<Op>,
}

#[derive(Debug, Arbitrary)]
pub(crate) enum Op {
	Subscribe,
	Unsubscribe(u8),
	/// A datum of so many bytes, a part of which is not copied.
	Push {
		len: u16,
		shared: u8,
	},
	/// An encoder that writes something and then gives up.
	PushFails,
	Take {
		who: u8,
		max_bytes: u16,
	},
	Cut,
	Pass {
		ms: u8,
	},
}

#[derive(Debug)]
struct Consumer {
	next: usize,
	idle: bool,
}

struct World {
	fanout: Fanout,
	limits: FanoutLimits,
	now: Instant,
	/// The length of each datum that was pushed; its bytes are its number.
	pushed: Vec<usize>,
	consumers: BTreeMap<ConsumerKey, Consumer>,
}

fn datum(number: usize, len: usize) -> Vec<u8> {
	let byte = u8::try_from(number % 251).unwrap();
	vec![byte; len]
}

impl World {
	fn nth(&self, n: u8) -> Option<ConsumerKey> {
		let count = self.consumers.len();
		let nth = usize::from(n).checked_rem(count)?;
		self.consumers.keys().nth(nth).copied()
	}

	fn lag(&self, consumer: &Consumer) -> usize {
		self.pushed.len() - consumer.next
	}

	fn push(&mut self, len: usize, shared: usize) {
		let number = self.pushed.len();
		let had_room = self.fanout.has_room();
		let mut woken = Vec::new();
		let write = |buffer: &mut BytesMut| {
			let mut bytes = Bytes::from(datum(number, len));
			let rest = bytes.split_off(len - shared.min(len));
			buffer.extend_from_slice(&bytes);
			Ok::<_, ()>((!rest.is_empty()).then_some(rest))
		};
		match self.fanout.push(write, |key| woken.push(key)) {
			Ok(_) => {
				assert!(had_room);
				self.pushed.push(len);
				let idle = self.consumers.iter_mut();
				let idle = idle.filter_map(|(key, consumer)| {
					std::mem::take(&mut consumer.idle).then_some(*key)
				});
				assert_eq!(woken, idle.collect::<Vec<_>>());
			}
			Err(PushError::Full) => assert!(!had_room),
			Err(PushError::Encode(())) => unreachable!("it never fails"),
		}
	}

	fn take(&mut self, key: ConsumerKey, max_bytes: usize) {
		let mut out = Vec::new();
		let count = self.fanout.take(self.now, key, max_bytes, &mut out);
		let count = usize::try_from(count).unwrap();
		let consumer = self.consumers.get_mut(&key).unwrap();
		let lag = self.pushed.len() - consumer.next;
		assert!(count <= lag);
		assert_eq!(count == 0, lag == 0);
		consumer.idle |= count == 0;
		let numbers = consumer.next..consumer.next + count;
		let expected = numbers.flat_map(|number| datum(number, self.pushed[number]));
		assert_eq!(out.concat(), expected.collect::<Vec<_>>());
		consumer.next += count;
	}

	fn cut(&mut self) {
		for (key, missed) in self.fanout.cut(self.now) {
			assert_eq!(self.limits.lagging, Lagging::Disconnect);
			let cut = self.consumers.remove(&key).unwrap();
			assert!(missed > 0);
			assert_eq!(usize::try_from(missed).unwrap(), self.lag(&cut));
		}
	}

	fn check(&self) {
		assert_eq!(self.fanout.consumers(), self.consumers.len());
		let lags = self.consumers.values().map(|consumer| self.lag(consumer));
		let slowest = lags.max().unwrap_or(0);
		assert_eq!(self.fanout.is_drained(), slowest == 0);
		if slowest == 0 {
			assert!(self.fanout.has_room());
		}
		if self.limits.lagging == Lagging::Wait {
			let limit = usize::try_from(self.limits.datums.max(1)).unwrap();
			assert!(slowest <= limit);
			assert!(slowest < limit || !self.fanout.has_room());
			assert_eq!(self.fanout.cut_deadline(), None);
		}
	}
}

pub(crate) fn run(input: Input) {
	let limits = FanoutLimits {
		datums: input.datums.into(),
		bytes: input.bytes.into(),
		lagging: if input.wait {
			Lagging::Wait
		} else {
			Lagging::Disconnect
		},
	};
	let mut world = World {
		fanout: Fanout::new(limits),
		limits,
		now: Instant(1),
		pushed: Vec::new(),
		consumers: BTreeMap::new(),
	};
	for op in input.ops {
		match op {
			Op::Subscribe => {
				let key = world.fanout.subscribe();
				let next = world.pushed.len();
				let consumer = Consumer { next, idle: false };
				assert!(world.consumers.insert(key, consumer).is_none());
			}
			Op::Unsubscribe(n) => {
				if let Some(key) = world.nth(n) {
					let consumer = world.consumers.remove(&key).unwrap();
					let left = world.fanout.unsubscribe(key);
					assert_eq!(usize::try_from(left).unwrap(), world.lag(&consumer));
				}
			}
			// At least a header, as every frame.
			Op::Push { len, shared } => world.push(usize::from(len) + 4, shared.into()),
			Op::PushFails => {
				let fails = |buffer: &mut BytesMut| {
					buffer.extend_from_slice(b"torn");
					Err(())
				};
				let pushed = world.fanout.push(fails, |_| panic!("nobody is woken"));
				assert!(pushed.is_err());
			}
			Op::Take { who, max_bytes } => {
				if let Some(key) = world.nth(who) {
					world.take(key, max_bytes.into());
				}
			}
			Op::Cut => world.cut(),
			Op::Pass { ms } => world.now = world.now + Duration::from_millis(ms.into()),
		}
		world.check();
	}
	if limits.lagging == Lagging::Disconnect {
		// Nobody holds up the producer for ever.
		world.cut();
		let (mut looks, until) = (0, world.now + STALL_GRACE + PAUSE_MAX);
		while let Some(deadline) = world.fanout.cut_deadline() {
			assert!(deadline > world.now && deadline <= until);
			world.now = deadline;
			world.cut();
			looks += 1;
		}
		assert!(looks < 1000, "looks {looks} times");
		assert!(world.fanout.has_room());
		world.check();
	}
}
