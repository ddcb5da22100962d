//! What a consensus group promises, in simulated time: all invariants hold after
//! every event, and when the faults stop the group agrees and serves its users.

use mosaik_sim::groups::{Mix, Options, Outcome, Storage, Wish, run, shrink::shrink};

fn options(seed: u64, events: u64, mix: Mix, storage: Option<Storage>) -> Options {
	Options {
		seed,
		events,
		wish: Wish {
			mix: Some(mix),
			nodes: None,
			storage,
		},
		..Options::default()
	}
}

/// Says how to see a failure again.
fn assert_sound(options: &Options, outcome: &Outcome) {
	let (seed, events) = (options.seed, options.events);
	let mix = options.wish.mix;
	let mix = mix.map_or_else(String::new, |mix| format!("--mix {}", mix.name()));
	if let Some(violation) = &outcome.violation {
		panic!(
			"{violation}\nagain: cargo run --release -p mosaik-sim -- groups --seed {seed} --events \
			 {events} {mix}"
		);
	}
}

fn sample(mix: Mix) {
	for seed in 0..24 {
		let options = options(seed, 4_000, mix, None);
		assert_sound(&options, &run(&options));
	}
}

#[test]
fn whatever_happens_the_group_stays_safe_and_recovers() {
	sample(Mix::Standard);
}

#[test]
fn elections_on_a_network_as_slow_as_the_timeouts_are_short() {
	sample(Mix::Elections);
}

#[test]
fn disks_that_are_slower_than_the_network() {
	sample(Mix::Disks);
}

#[test]
fn members_that_come_and_go_all_the_time() {
	sample(Mix::Members);
}

#[test]
fn logs_that_are_compacted_all_the_time() {
	sample(Mix::Snapshots);
}

#[test]
fn partitions_with_users_on_both_sides() {
	sample(Mix::Partitions);
}

#[test]
fn the_same_seed_is_the_same_run() {
	for mix in Mix::ALL {
		let once = run(&options(7, 5_000, mix, Some(Storage::Mixed)));
		let again = run(&options(7, 5_000, mix, Some(Storage::Mixed)));
		assert_eq!(once.hash, again.hash);
		assert_eq!(once.stats.events, again.stats.events);
		let other = run(&options(8, 5_000, mix, Some(Storage::Mixed)));
		assert_ne!(once.hash, other.hash);
	}
}

#[test]
fn looking_at_a_run_does_not_change_it() {
	let plain = options(3, 3_000, Mix::Standard, None);
	let traced = Options {
		trace: true,
		..plain.clone()
	};
	let outcome = run(&traced);
	assert_eq!(run(&plain).hash, outcome.hash);
	assert!(outcome.lines.len() > 3_000);
}

#[test]
fn a_run_without_a_violation_cannot_be_shrunk() {
	let options = options(1, 500, Mix::Standard, None);
	assert!(shrink(&options, &run(&options), 10).is_none());
}

/// Seeds that once found something, see `docs/simulation-findings.md`.
#[test]
fn seeds_that_found_bugs_find_none() {
	for seed in [2, 6, 8, 11, 33, 83, 162, 195, 210, 265, 278, 314, 548, 558] {
		let options = Options {
			seed,
			events: 20_000,
			..Options::default()
		};
		assert_sound(&options, &run(&options));
	}
}
