//! Stories that worlds of members are put through.

use {
	super::{Bytes, Sim, Violation},
	crate::world::{Node, Weather},
	mosaik_proto::discovery::{Input, MembershipConfig, PeerEntry},
	rand::RngExt,
	std::time::Duration,
};

/// A second of the world.
pub const SECOND: Duration = Duration::from_secs(1);

/// What came of a run.
#[derive(Debug)]
pub struct Report {
	/// Findings, one a line.
	pub lines: Vec<String>,
	/// Broken invariants.
	pub violations: Vec<Violation>,
	/// The hash of the trace.
	pub trace: u64,
}

/// A world of `nodes` nodes that were started within a second, knowing of a few
/// of them, and know each other.
pub fn assembled(seed: u64, nodes: usize, weather: Weather) -> (Sim, Option<Duration>) {
	let mut sim = Sim::new(
		seed,
		nodes + nodes / 2,
		weather,
		MembershipConfig::default(),
	);
	let joined = assemble(&mut sim, nodes);
	(sim, joined)
}

/// Starts nodes and waits until they know each other.
pub fn assemble(sim: &mut Sim, nodes: usize) -> Option<Duration> {
	let start = sim.now();
	let known = (nodes / 100).clamp(3, 8).min(nodes);
	for node in 0..nodes {
		let bootstrap: Vec<Node> = (0..known).filter(|&known| known != node).collect();
		sim.add(&bootstrap);
		sim.run_for(SECOND / u32::try_from(nodes).unwrap_or(u32::MAX));
	}
	sim.run_until_converged(SECOND * 60)?;
	Some(sim.now().since(start))
}

/// A node changes its entry.
pub fn change(sim: &mut Sim, node: Node, tag: u64) {
	let entry = sim
		.world()
		.process(node)
		.map(|member| PeerEntry::from(member.core.local()));
	if let Some(entry) = entry {
		let tag = format!("tag {tag}");
		let tags: Vec<_> = entry.tags().iter().copied().collect();
		let changed = entry.remove_tags(tags).add_tags(tag.as_str());
		sim.give(node, Input::UpdateLocal(changed));
	}
}

/// A node says goodbye, and ends when it was heard.
fn leave(sim: &mut Sim, node: Node) {
	sim.leave(node);
	sim.run_for(SECOND / 5);
	sim.crash(node);
}

/// A node starts that knows of a peer: a new one, or one of the dead where there is
/// no room for new ones.
fn come(sim: &mut Sim, peer: Node, dead: &mut Vec<Node>) {
	if sim.has_room() {
		sim.add(&[0, peer]);
	} else if let Some(node) = dead.pop() {
		sim.restart(node);
	}
}

/// How often what changes in [`churn`].
#[derive(Debug, Clone, Copy)]
pub struct Pace {
	/// The time from one changed entry to the next.
	pub change: Duration,
	/// The time from one node that comes or goes to the next.
	pub turnover: Duration,
}

impl Pace {
	/// What a node may send on average, in bytes per second: something when all is
	/// quiet, and for each change, however many nodes there are.
	pub fn budget(&self) -> f64 {
		const QUIET: f64 = 200.0;
		// An entry of 200 bytes, in full a few times, the rest adverts.
		const CHANGE: f64 = 1_250.0;
		const TURNOVER: f64 = 1_500.0;
		QUIET + CHANGE / self.change.as_secs_f64() + TURNOVER / self.turnover.as_secs_f64()
	}
}

/// A network that is never quiet: somewhere an entry changes, a node starts, says
/// goodbye or is killed, at an even pace. What that costs, over `time`.
pub fn churn(sim: &mut Sim, pace: Pace, time: Duration) -> Bytes {
	let sent = |sim: &mut Sim| -> Vec<(u64, u64)> {
		(0..sim.world().len())
			.map(|node| sim.world().sent(node))
			.collect()
	};
	let mut before = sent(sim);
	let end = sim.now() + time;
	let (mut changed, mut turned) = (sim.now(), sim.now());
	let (mut changes, mut turns) = (0, 0);
	let mut dead = Vec::new();
	while sim.now() < end {
		let node = sim.random_running();
		if sim.now() >= changed + pace.change {
			changed = changed + pace.change;
			changes += 1;
			change(sim, node, changes);
		} else if sim.now() >= turned + pace.turnover && node != 0 {
			turned = turned + pace.turnover;
			turns += 1;
			match turns % 4 {
				1 => {
					leave(sim, node);
					dead.push(node);
				}
				3 => {
					sim.crash(node);
					dead.push(node);
				}
				_ => come(sim, node, &mut dead),
			}
		} else {
			let next = (changed + pace.change).min(turned + pace.turnover).min(end);
			let pause = next.since(sim.now()).max(Duration::from_millis(1));
			sim.run_for(pause);
		}
	}
	let after = sent(sim);
	before.resize(after.len(), (0, 0));
	Bytes::between(before, after, time)
}

/// Everything at once: starts, changes, kills, restarts, pauses, goodbyes, lost
/// dials, islands; then peace, in which all must come to agree.
pub fn turmoil(seed: u64, nodes: usize, time: Duration, echo: bool) -> Report {
	let weather = Weather {
		dial_loss: 0.1,
		..Weather::default()
	};
	turmoil_in(weather, seed, nodes, time, echo)
}

/// As [`turmoil`], in any weather.
pub fn turmoil_in(weather: Weather, seed: u64, nodes: usize, time: Duration, echo: bool) -> Report {
	let config = MembershipConfig::default();
	let mut sim = Sim::new(seed, nodes * 2, weather, config);
	if echo {
		sim.echo();
	}
	let mut lines = Vec::new();
	let joined = assemble(&mut sim, nodes);
	lines.push(format!("{nodes} nodes know each other after {joined:.1?}"));
	let mut dead: Vec<Node> = Vec::new();
	let mut asleep: Vec<(Node, Duration)> = Vec::new();
	let mut cut = Duration::ZERO;
	let step = SECOND;
	let mut elapsed = Duration::ZERO;
	while elapsed < time {
		fault(&mut sim, nodes, &mut dead, &mut asleep, &mut cut);
		sim.run_for(step);
		elapsed += step;
		for (node, left) in &mut asleep {
			*left = left.saturating_sub(step);
			if left.is_zero() {
				sim.resume(*node);
			}
		}
		asleep.retain(|(_, left)| !left.is_zero());
		if !cut.is_zero() {
			cut = cut.saturating_sub(step);
			if cut.is_zero() {
				sim.mend();
			}
		}
	}
	for (node, _) in asleep {
		sim.resume(node);
	}
	sim.mend();
	sim.world().weather().dial_loss = 0.0;
	let agreed = sim.run_until_converged(SECOND * 90);
	let left = sim.world().running().count();
	lines.push(format!(
		"{left} nodes agree {agreed:.1?} after the last fault"
	));
	sim.run_for(SECOND * 30);
	sim.violations.extend(sim.converged().err());
	let quiet = sim.measure(SECOND * 20);
	lines.push(format!("quiescent: {quiet}"));
	lines.push(format!("told: {:?}", sim.told));
	finish(sim, lines)
}

/// One thing goes wrong, or right.
fn fault(
	sim: &mut Sim,
	nodes: usize,
	dead: &mut Vec<Node>,
	asleep: &mut Vec<(Node, Duration)>,
	cut: &mut Duration,
) {
	let node = sim.random_running();
	// The first is spared: somebody has to live where it always did.
	let sleeping = node == 0 || asleep.iter().any(|&(asleep, _)| asleep == node);
	let running = sim.world().running().count();
	let tag = sim.world().rng().random();
	match sim.world().rng().random_range(0..12) {
		0 | 1 if !sleeping && running > nodes / 2 => {
			sim.crash(node);
			dead.push(node);
		}
		2 if !dead.is_empty() => {
			let chosen = sim.world().rng().random_range(0..dead.len());
			sim.restart(dead.swap_remove(chosen));
		}
		3 if sim.world().len() < nodes * 2 => {
			sim.add(&[0, node]);
		}
		4 if !sleeping && cut.is_zero() => {
			let time = SECOND * sim.world().rng().random_range(1..=5);
			sim.pause(node, time);
			asleep.push((node, time));
		}
		5 if !sleeping => {
			let time = SECOND * sim.world().rng().random_range(6..=40);
			sim.pause(node, time);
			asleep.push((node, time));
		}
		6 if !sleeping && running > nodes / 2 => {
			leave(sim, node);
			dead.push(node);
		}
		7 if cut.is_zero() => {
			let share = sim.world().rng().random_range(0.02..0.5);
			let all = 0..sim.world().len();
			let island: Vec<Node> = all
				.filter(|_| sim.world().rng().random_bool(share))
				.collect();
			sim.cut(island, 1);
			*cut = SECOND * sim.world().rng().random_range(3..=60);
		}
		_ if !sleeping => change(sim, node, tag),
		_ => {}
	}
}

fn finish(mut sim: Sim, lines: Vec<String>) -> Report {
	Report {
		lines,
		violations: std::mem::take(&mut sim.violations),
		trace: sim.trace().hash(),
	}
}
