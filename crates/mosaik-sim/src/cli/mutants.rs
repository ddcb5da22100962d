//! `mosaik-sim mutants`: each seeded bug must be found.

use {
	clap::Args,
	mosaik_proto::groups::mutants::{Mutant, activate},
	mosaik_sim::groups::{Mix, Options, Storage, Wish, run},
	std::process::ExitCode,
};

#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
	/// How many seeds are tried for each.
	#[arg(long, default_value_t = 300)]
	seeds: u64,
	/// How many events each has.
	#[arg(long, default_value_t = 20_000)]
	events: u64,
	/// Only this one.
	#[arg(long)]
	only: Option<String>,
}

/// The mixes, those first that find most.
const MIXES: [(Mix, Option<Storage>); 6] = [
	(Mix::Elections, Some(Storage::Durable)),
	(Mix::Members, None),
	(Mix::Snapshots, Some(Storage::Durable)),
	(Mix::Disks, Some(Storage::Durable)),
	(Mix::Partitions, None),
	(Mix::Elections, Some(Storage::Volatile)),
];

pub(crate) fn main(arguments: &Arguments) -> ExitCode {
	println!("{:<24} {:>6} {:>9}  found by", "bug", "seed", "events");
	let mut escaped = 0;
	for &mutant in Mutant::ALL {
		let name = mutant.name();
		if arguments.only.as_ref().is_some_and(|only| only != name) {
			continue;
		}
		activate(Some(mutant));
		let mut total = 0;
		let mut found = None;
		for seed in 1..=arguments.seeds {
			let (mix, storage) = MIXES[usize::try_from(seed).unwrap_or(0) % MIXES.len()];
			let options = Options {
				seed,
				events: arguments.events,
				wish: Wish {
					mix: Some(mix),
					nodes: None,
					storage,
				},
				..Options::default()
			};
			let outcome = run(&options);
			total += outcome.stats.events;
			if let Some(violation) = outcome.violation {
				found = Some((seed, violation));
				break;
			}
		}
		activate(None);
		match found {
			Some((seed, violation)) => {
				let line = violation.to_string();
				let line = line.lines().next().unwrap_or_default();
				let short: String = line.chars().take(110).collect();
				println!("{name:<24} {seed:>6} {total:>9}  {short}");
			}
			None => {
				escaped += 1;
				println!("{name:<24} {:>6} {total:>9}  NOT FOUND", "-");
			}
		}
	}
	if escaped == 0 {
		return ExitCode::SUCCESS;
	}
	println!("{escaped} were not found");
	ExitCode::FAILURE
}
