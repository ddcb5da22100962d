//! What membership promises, in simulated time. The names are the promises.

use {
	mosaik_proto::{
		discovery::{Input, PeerEntry},
		tickets::Ticket,
	},
	mosaik_sim::{
		discovery::{
			Sim,
			scenarios::{Pace, Report, SECOND, assembled, change, churn, turmoil},
		},
		world::{Node, Weather},
	},
};

fn world(seed: u64, nodes: usize) -> Sim {
	let (sim, joined) = assembled(seed, nodes, Weather::default());
	assert!(
		joined.is_some(),
		"seed {seed}: {nodes} nodes do not assemble"
	);
	sim
}

fn assert_sound(sim: &Sim) {
	assert!(sim.violations.is_empty(), "{:?}", sim.violations);
}

/// Says how to see a failure again.
fn assert_report(report: &Report, seed: u64, nodes: usize, time: u32) {
	assert!(
		report.violations.is_empty(),
		"{:#?}\nagain: cargo run --release -p mosaik-sim -- discovery --seed {seed} --nodes {nodes} --time {time} --trace",
		report.violations
	);
}

#[test]
fn whatever_happens_in_the_end_all_agree() {
	for seed in 0..40 {
		let report = turmoil(seed, 20, SECOND * 90, false);
		assert_report(&report, seed, 20, 90);
	}
}

#[test]
fn whatever_happens_to_two_hundred_in_the_end_all_agree() {
	let report = turmoil(7, 200, SECOND * 60, false);
	assert_report(&report, 7, 200, 60);
}

/// Most of the two minutes that it takes go into a million meetings at the start.
#[test]
fn whatever_happens_to_a_thousand_in_the_end_all_agree() {
	let report = turmoil(1, 1000, SECOND * 20, false);
	assert_report(&report, 1, 1000, 20);
}

/// Seeds that once found something.
#[test]
fn what_was_wrong_once_is_right() {
	for seed in [3, 9, 18, 1035, 1168, 1223, 1288] {
		let report = turmoil(seed, 20, SECOND * 120, false);
		assert_report(&report, seed, 20, 120);
	}
	let report = turmoil(38, 60, SECOND * 120, false);
	assert_report(&report, 38, 60, 120);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_another() {
	let run = |seed| turmoil(seed, 15, SECOND * 60, false).trace;
	assert_eq!(run(5), run(5));
	assert_ne!(run(5), run(6));
}

#[test]
fn thirty_five_nodes_that_start_together_know_each_other_within_seconds() {
	let (_, joined) = assembled(1, 35, Weather::default());
	assert!(joined.unwrap() < SECOND * 4, "{joined:?}");
}

#[test]
fn a_killed_node_is_gone_from_fifty_within_ten_seconds() {
	for seed in 0..5 {
		let mut sim = world(seed, 50);
		sim.run_for(SECOND * 5);
		let killed = sim.now();
		sim.crash(17);
		sim.run_for(SECOND * 10);
		let gone = sim.departed_everywhere(17).expect("all 49 noticed");
		assert!(gone.since(killed) < SECOND * 10);
		sim.run_for(SECOND * 30);
		sim.converged().unwrap();
		assert_sound(&sim);
	}
}

#[test]
fn a_restart_with_the_same_key_is_seen_within_two_seconds() {
	for seed in 0..5 {
		let mut sim = world(seed, 50);
		sim.crash(17);
		sim.run_for(SECOND);
		sim.restart(17);
		let took = sim.run_until_converged(SECOND * 10);
		assert!(took.unwrap() < SECOND * 2, "{took:?}");
		sim.run_for(SECOND * 20);
		sim.converged().unwrap();
		assert_sound(&sim);
	}
}

#[test]
fn a_goodbye_is_heard_at_once() {
	let mut sim = world(1, 50);
	sim.leave(8);
	sim.run_for(SECOND);
	assert!(sim.departed_everywhere(8).is_some());
	assert_sound(&sim);
}

#[test]
fn a_pause_of_five_seconds_goes_unnoticed() {
	for seed in 0..10 {
		let mut sim = world(seed, 50);
		sim.run_for(SECOND * 5);
		sim.pause(23, SECOND * 5);
		sim.run_for(SECOND * 5);
		sim.resume(23);
		sim.run_for(SECOND * 30);
		sim.converged().unwrap();
		assert_eq!(sim.told.get("departed"), None);
		assert_sound(&sim);
	}
}

/// The one that slept is the only one to know the dead, the new ones the only
/// ones not to know that they are dead.
#[test]
fn who_slept_long_does_not_bring_back_the_dead() {
	for seed in 0..10 {
		let mut sim = world(seed, 30);
		sim.pause(5, SECOND * 40);
		sim.run_for(SECOND);
		for dead in 10..20 {
			sim.crash(dead);
		}
		sim.run_for(SECOND * 30);
		for _ in 0..10 {
			sim.add(&[0, 1]);
		}
		sim.run_for(SECOND * 9);
		sim.resume(5);
		sim.run_until_converged(SECOND * 20).unwrap();
		assert_sound(&sim);
	}
}

#[test]
fn islands_cut_for_a_minute_merge_by_themselves() {
	for (seed, island) in [(1, 25), (2, 1), (3, 5)] {
		let mut sim = world(seed, 50);
		sim.cut(10..10 + island, 1);
		sim.run_for(SECOND * 60);
		sim.mend();
		let took = sim.run_until_converged(SECOND * 60);
		assert!(took.unwrap() < SECOND * 30, "{took:?}");
		assert_sound(&sim);
	}
}

#[test]
fn tickets_of_eight_kilobytes_arrive() {
	let mut sim = world(1, 50);
	let local = sim.world().process(3).unwrap().core.local().clone();
	let ticket = Ticket::new("class".into(), vec![7; 8 * 1024].into());
	let entry = PeerEntry::from(local).add_ticket(ticket);
	sim.give(3, Input::UpdateLocal(entry));
	let took = sim.run_until_converged(SECOND * 10);
	assert!(took.unwrap() < SECOND * 2, "{took:?}");
	let id = sim.id(3);
	for (_, member) in sim.world().running() {
		let catalog = member.core.catalog();
		assert_eq!(catalog.get(&id).unwrap().tickets().len(), 1);
	}
}

#[test]
fn an_idle_network_costs_the_same_whatever_its_size() {
	let cost = |nodes| {
		let mut sim = world(1, nodes);
		sim.run_for(SECOND * 30);
		sim.measure(SECOND * 20)
	};
	let (small, large) = (cost(50), cost(300));
	assert!(large.mean < small.mean * 1.2, "{small}; {large}");
	small.check(300.0).unwrap();
	large.check(300.0).unwrap();
}

#[test]
fn changes_cost_what_they_carry() {
	let mut sim = world(1, 50);
	sim.run_for(SECOND * 20);
	let idle = sim.measure(SECOND * 10);
	let changes = 20;
	for n in 0..changes {
		change(&mut sim, n as Node, n);
		sim.run_for(SECOND / 2);
	}
	let before: u64 = (0..50).map(|node| sim.world().sent(node).0).sum();
	for n in 0..changes {
		change(&mut sim, n as Node, n + 1000);
		sim.run_for(SECOND / 2);
	}
	let after: u64 = (0..50).map(|node| sim.world().sent(node).0).sum();
	let quiet = idle.mean * 50.0 * changes as f64 / 2.0;
	let per_change = ((after - before) as f64 - quiet) / (changes as f64 * 50.0);
	// An entry of 200 bytes, in full a few times, the rest adverts.
	assert!(
		(200.0..2500.0).contains(&per_change),
		"{per_change} B per node"
	);
	sim.run_for(SECOND * 5);
	sim.converged().unwrap();
	assert_sound(&sim);
}

/// Nodes hear of every change, wherever it is; they do not pay for those who have
/// not changed.
#[test]
fn constant_churn_costs_by_the_change_and_not_by_the_node() {
	let cost = |nodes, changes_per_second| {
		let mut sim = world(1, nodes);
		sim.run_for(SECOND * 20);
		let pace = Pace {
			change: SECOND / changes_per_second,
			turnover: SECOND * 3,
		};
		let bytes = churn(&mut sim, pace, SECOND * 60);
		bytes.check(pace.budget()).unwrap();
		sim.run_until_converged(SECOND * 30).unwrap();
		assert_sound(&sim);
		bytes.mean
	};
	let (small, large, busy) = (cost(75, 1), cost(300, 1), cost(300, 4));
	assert!(large < small * 1.3, "{small} B/s; {large} B/s");
	assert!(busy > large * 2.0, "{large} B/s; {busy} B/s");
}
