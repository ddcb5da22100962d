//! What the consensus core costs by itself: messages are handed over in memory
//! and every write is done at once.
//!
//! `cargo bench -p mosaik-sim --bench groups [-- CASE…] [--check]` prints a table
//! and fails, with `--check`, where a budget is missed. Figures depend on the
//! machine; budgets are for one core of a small server.

#![allow(
	clippy::print_stdout,
	clippy::unwrap_used,
	missing_docs,
	reason = "a benchmark prints and stops at any error"
)]

use {
	bytes::Bytes,
	mosaik_proto::{
		SecretKey,
		groups::{
			Config, Engine, MemberInfo, Raft, Settings,
			engine::{HardState, Recovered, RoleKind},
			entry::Envelope,
			message::Msg,
			state::Base,
			types::{LeadershipPreference, LogIndex, MemberId, Nonce, Ticks},
		},
	},
	std::{
		cmp::Reverse,
		collections::{BinaryHeap, VecDeque},
		time::{Duration, Instant},
	},
};

const VOTERS: u64 = 3;

/// What a case must reach.
enum Budget {
	AtLeast(f64),
	Below(f64),
	None,
}

struct Row {
	case: &'static str,
	value: f64,
	unit: &'static str,
	budget: Budget,
}

impl Row {
	fn is_missed(&self) -> bool {
		match self.budget {
			Budget::AtLeast(least) => self.value < least,
			Budget::Below(most) => self.value >= most,
			Budget::None => false,
		}
	}

	fn print(&self) {
		let budget = match self.budget {
			Budget::AtLeast(least) => format!(">= {least}"),
			Budget::Below(most) => format!("< {most}"),
			Budget::None => String::new(),
		};
		let Self {
			case, value, unit, ..
		} = self;
		let missed = if self.is_missed() { "  MISSED" } else { "" };
		println!("{case:<40} {value:>12.3} {unit:<8} {budget:>12}{missed}");
	}
}

/// One group: all its members, and what is under way between them.
struct Group {
	members: Vec<Raft>,
	queue: VecDeque<(usize, MemberId, Msg)>,
	applied: LogIndex,
}

fn id(index: usize) -> MemberId {
	MemberId::new(index as u64 + 1).unwrap()
}

fn index(id: MemberId) -> usize {
	usize::try_from(id.get() - 1).unwrap()
}

fn founders() -> Config {
	Config::founding((1..=VOTERS).map(|n| MemberInfo {
		peer: SecretKey::from_bytes(&[u8::try_from(n).unwrap(); 32]).public(),
		nonce: Nonce::from(u128::from(n)),
		preference: LeadershipPreference::Normal,
	}))
}

impl Group {
	/// A group that has just elected its first member.
	fn new(config: &Config, settings: &Settings, seed: u64) -> Self {
		let member = |n: usize| {
			let recovered = Recovered {
				hard_state: HardState::default(),
				base: Base::genesis(config.clone()),
				entries: Vec::new(),
			};
			Raft::new(id(n), settings.clone(), recovered, seed + n as u64).unwrap()
		};
		let voters = usize::try_from(VOTERS).unwrap();
		let mut group = Self {
			members: (0..voters).map(member).collect(),
			queue: VecDeque::new(),
			applied: 0,
		};
		let timeout = group.members[0].next_wakeup().unwrap();
		group.tick(0, timeout);
		assert_eq!(group.members[0].status().role, RoleKind::Leader);
		group
	}

	fn tick(&mut self, member: usize, now: Ticks) {
		self.members[member].tick(now);
		self.settle(member);
	}

	/// Hands over until nothing is under way.
	fn settle(&mut self, first: usize) {
		self.pump(first);
		while let Some((to, from, msg)) = self.queue.pop_front() {
			self.members[to].step(from, msg).unwrap();
			self.pump(to);
		}
	}

	fn pump(&mut self, at: usize) {
		let raft = &mut self.members[at];
		while let Some(ready) = raft.ready() {
			let messages = ready.send.into_iter();
			self.queue
				.extend(messages.map(|(to, msg)| (index(to), id(at), msg)));
			if let Some(persist) = ready.persist {
				raft.on_persisted(persist.token);
			}
			if let Some(apply) = ready.apply {
				raft.on_applied(*apply.end());
				if at == 0 {
					self.applied = *apply.end();
				}
			}
		}
	}

	fn propose(&mut self, number: u64, payload: &Bytes) -> LogIndex {
		let command = Envelope {
			origin: id(0),
			origin_seq: number,
			payload: payload.clone(),
		};
		let proposed = self.members[0].propose(vec![command]).unwrap();
		proposed.pos.unwrap().index
	}
}

/// Proposals per second with so many under way at a time, each an entry.
fn throughput(in_flight: u64) -> f64 {
	let settings = Settings {
		quiesce_after: 0,
		..Settings::default()
	};
	let mut group = Group::new(&founders(), &settings, 1);
	let payload = Bytes::from_static(&[7; 32]);
	let mut number = 0;
	let mut best: f64 = 0.0;
	for _ in 0..5 {
		let begin = Instant::now();
		let first = number;
		while begin.elapsed() < Duration::from_millis(400) {
			for _ in 0..256 / in_flight {
				let mut last = 0;
				for _ in 0..in_flight {
					number += 1;
					last = group.propose(number, &payload);
				}
				group.settle(0);
				assert_eq!(group.applied, last);
			}
			// A snapshot now and then, as in life: the log does not grow.
			if group.applied % 8192 < 256 {
				let until = group.applied - 1000.min(group.applied);
				group
					.members
					.iter_mut()
					.for_each(|raft| raft.compact(until));
				group.settle(1);
				group.settle(2);
			}
		}
		best = best.max((number - first) as f64 / begin.elapsed().as_secs_f64());
	}
	best
}

/// The resident set of this process in bytes.
fn resident() -> f64 {
	let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
	let pages: f64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
	pages * 4096.0
}

/// Bytes per replica of groups that sleep after a few commands.
fn memory() -> f64 {
	const GROUPS: u64 = 3_334;
	let config = founders();
	let settings = Settings::default();
	let before = resident();
	let groups: Vec<Group> = (0..GROUPS)
		.map(|n| {
			let mut group = Group::new(&config, &settings, n * 7);
			for number in 1..=3 {
				group.propose(number, &Bytes::from(vec![7; 32]));
				group.settle(0);
			}
			sleep(&mut group);
			group.queue = VecDeque::new();
			group
		})
		.collect();
	let bytes = (resident() - before) / (GROUPS * VOTERS) as f64;
	drop(groups);
	bytes
}

/// Lets heartbeats pass until the group is quiet.
fn sleep(group: &mut Group) {
	while let Some(at) = group.members[0].next_wakeup() {
		group.tick(0, at);
	}
	assert!(
		group
			.members
			.iter()
			.all(|raft| raft.next_wakeup().is_none())
	);
}

/// Percent of a core that a thousand idle groups take, all three replicas of each:
/// a heap of wake-ups, as a driver's timer wheel would do it.
fn idle(quiesce_after: u8) -> f64 {
	const GROUPS: u64 = 1_000;
	const SECONDS: u64 = 60;
	let config = founders();
	let settings = Settings {
		quiesce_after,
		..Settings::default()
	};
	let mut groups: Vec<Group> = (0..GROUPS)
		.map(|n| Group::new(&config, &settings, n * 7))
		.collect();
	let mut timers: BinaryHeap<Reverse<(Ticks, usize, usize)>> = BinaryHeap::new();
	let voters = usize::try_from(VOTERS).unwrap();
	for (n, group) in groups.iter().enumerate() {
		for member in 0..voters {
			timers.push(Reverse((
				group.members[member].next_wakeup().unwrap(),
				n,
				member,
			)));
		}
	}
	// What it takes to fall asleep is not idleness.
	let begin = 10_000;
	let end = begin + SECONDS * 1_000;
	let mut clock = None;
	while let Some(Reverse((at, n, member))) = timers.pop() {
		if at >= begin && clock.is_none() {
			clock = Some(Instant::now());
		}
		if at >= end {
			break;
		}
		let group = &mut groups[n];
		// A timer that was moved meanwhile is only put back.
		if group.members[member]
			.next_wakeup()
			.is_some_and(|due| due <= at)
		{
			group.tick(member, at);
		}
		if let Some(next) = group.members[member].next_wakeup() {
			timers.push(Reverse((next.max(at + 1), n, member)));
		}
	}
	let busy = clock.map_or(Duration::ZERO, |clock| clock.elapsed());
	assert!(
		groups
			.iter()
			.all(|group| group.members[0].status().role == RoleKind::Leader)
	);
	busy.as_secs_f64() / SECONDS as f64 * 100.0
}

fn main() {
	let args: Vec<String> = std::env::args()
		.skip(1)
		.filter(|arg| arg != "--bench")
		.collect();
	let check = args.iter().any(|arg| arg == "--check");
	let cases: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
	let is_wanted = |case: &str| cases.is_empty() || cases.iter().any(|part| case.contains(*part));

	// Memory first: later cases leave pages behind.
	type Case = (&'static str, &'static str, Budget, fn() -> f64);
	let all: [Case; 6] = [
		(
			"memory per idle replica",
			"B",
			Budget::Below(4096.0),
			memory,
		),
		(
			"size of a replica without its parts",
			"B",
			Budget::None,
			|| size_of::<Raft>() as f64,
		),
		(
			"proposals, 1 under way",
			"k/s",
			Budget::AtLeast(300.0),
			|| throughput(1) / 1e3,
		),
		(
			"proposals, 64 under way",
			"k/s",
			Budget::AtLeast(600.0),
			|| throughput(64) / 1e3,
		),
		(
			"1,000 idle groups asleep",
			"% core",
			Budget::Below(0.2),
			|| idle(3),
		),
		("1,000 idle groups awake", "% core", Budget::None, || {
			idle(0)
		}),
	];
	println!(
		"{:<40} {:>12} {:<8} {:>12}",
		"case", "value", "unit", "budget"
	);
	let mut is_missed = false;
	for (case, unit, budget, run) in all {
		if is_wanted(case) {
			let value = run();
			let row = Row {
				case,
				value,
				unit,
				budget,
			};
			row.print();
			is_missed |= row.is_missed();
		}
	}
	if check && is_missed {
		std::process::exit(1);
	}
}
