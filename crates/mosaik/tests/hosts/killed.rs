//! Processes that die, come back or stand still.

use {
	crate::process::{Fleet, PATIENCE, Process, Spec, here},
	mosaik::{NetworkId, Tag},
	std::{
		thread,
		time::{Duration, Instant},
	},
};

/// How long nobody may take to notice that a node was killed.
const DETECTION: Duration = Duration::from_secs(10);

/// How long a node may take to be reached again after a restart.
const RESTART: Duration = Duration::from_secs(2);

/// How many processes are started at once.
const WAVE: usize = 10;

/// All but the last.
fn others(processes: &[Process]) -> &[Process] {
	processes.split_last().unwrap().1
}

/// So many nodes that know each other; the first consumes, the last produces.
fn fleet(size: usize) -> (Fleet, Vec<Process>, Spec) {
	let fleet = Fleet::default();
	let network = NetworkId::random();
	let spec = |at: usize| Spec {
		consume: at == 0,
		produce: (at == size - 1).then_some(0),
		..Spec::on_host(network)
	};
	let start = Instant::now();
	let specs: Vec<_> = (0..size).map(spec).collect();
	let last = specs.last().unwrap().clone();
	let mut processes = Vec::new();
	// A wave at a time: a thousand handshakes at once would be a test of the
	// machine.
	for wave in specs.chunks(WAVE) {
		processes.extend(wave.iter().map(|spec| fleet.node(None, spec.clone())));
		let all: Vec<_> = processes.iter().collect();
		fleet.complete("all know each other", PATIENCE, &all);
	}
	println!(
		"{size} processes know each other after {:?}",
		start.elapsed()
	);
	fleet.each(&processes[..1], "the stream flows", PATIENCE, |view| {
		view.received.contains_key(&0)
	});
	(fleet, processes, last)
}

/// Starts the last one anew; it must be known to all and its stream must flow.
fn restart(fleet: &Fleet, processes: &mut Vec<Process>, spec: &Spec, mark: u64) {
	let dead = processes.pop().unwrap();
	let (_, old) = fleet.ready(&dead);
	let spec = Spec {
		produce: Some(mark),
		..spec.clone()
	};
	processes.push(fleet.node(None, spec));
	let new = processes.last().unwrap();
	let (up, addr) = fleet.ready(new);
	assert_ne!(addr, old, "it shall have another port");
	// The builder has returned already, and all of it counts from there.
	fleet.each(others(processes), "all know it", RESTART, |view| {
		view.known.get(&addr.id) == Some(&addr)
	});
	let known = up.elapsed();
	let all: Vec<_> = processes.iter().collect();
	fleet.complete("it knows all", RESTART, &all);
	let knows = up.elapsed();
	fleet.each(&processes[..1], "its stream flows", RESTART, |view| {
		view.received.contains_key(&mark)
	});
	let flows = up.elapsed();
	println!("restarted: known to all {known:?}, knows all {knows:?}, streams {flows:?}");
	assert!(known.max(knows).max(flows) < here(RESTART));
}

#[test]
fn of_fifty_processes_a_killed_one_is_noticed_by_all_and_back_at_once_when_restarted() {
	let (fleet, mut processes, spec) = fleet(50);

	let dead = processes.last_mut().unwrap();
	let killed = Instant::now();
	dead.kill();
	let id = dead.id;
	fleet.until("somebody notices", DETECTION, |views| {
		views
			.iter()
			.any(|view| view.departed.iter().any(|(gone, _)| *gone == id))
			.then_some(())
	});
	let first = killed.elapsed();
	fleet.each(others(&processes), "all notice", DETECTION, |view| {
		!view.known.contains_key(&id)
	});
	let last = killed.elapsed();
	println!("killed: noticed by the first after {first:?}, by all after {last:?}");
	assert!(last < here(DETECTION));
	restart(&fleet, &mut processes, &spec, 1);

	// Now before anybody has noticed that it is gone.
	processes.last_mut().unwrap().kill();
	restart(&fleet, &mut processes, &spec, 2);

	// Nobody else was thought gone.
	for process in &processes {
		let departed = fleet.see(process, |view| view.departed.clone());
		if let Some((gone, at)) = departed.iter().find(|(gone, _)| *gone != id) {
			panic!(
				"process {} missed {} {:?} before the kill, {:?} after",
				process.index(),
				gone.fmt_short(),
				killed.saturating_duration_since(*at),
				at.saturating_duration_since(killed),
			);
		}
	}
}

#[test]
fn a_process_that_stands_still_for_five_seconds_is_not_thought_gone() {
	let (fleet, mut processes, _) = fleet(10);
	let still = processes.last_mut().unwrap();
	still.stop();
	// Not a wait for something: this is what happens to it.
	thread::sleep(Duration::from_secs(5));
	still.go_on();
	still.add_tag("awake");
	let id = still.id;
	let awake = |view: &crate::process::View| {
		let tags = view.tags.get(&id);
		tags.is_some_and(|tags| tags.contains(&Tag::from("awake")))
	};
	let start = Instant::now();
	fleet.each(others(&processes), "it is heard again", PATIENCE, awake);
	println!("stood still: heard by all {:?} after", start.elapsed());
	processes[0].add_tag("seen");
	let first = processes[0].id;
	fleet.each(&processes[9..], "it hears again", PATIENCE, |view| {
		view.tags.get(&first).is_some_and(|tags| !tags.is_empty())
	});
	// Its own suspicions would come true by now.
	thread::sleep(Duration::from_secs(5));
	for process in &processes {
		let departed = fleet.see(process, |view| view.departed.clone());
		assert!(departed.is_empty(), "{departed:?}");
	}
}
