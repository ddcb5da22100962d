//! `mosaik-sim mutants`: each seeded bug must be found.

use {
	super::directed,
	clap::Args,
	mosaik_proto::groups::mutants::{Mutant, activate},
	mosaik_sim::{
		check::{plans::find, run::Limits},
		groups::{Mix, Options, Storage, Wish, run},
	},
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
	/// Only these.
	#[arg(long)]
	only: Vec<String>,
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

/// The configuration in which all that can happen is explored for a bug that the
/// simulation seldom comes upon, and what must be violated there.
const fn explored(mutant: Mutant) -> Option<(&'static str, &'static str)> {
	match mutant {
		// Leaders yield by rank, so these come to nothing unless they know old ranks
		// at the wrong moment.
		Mutant::AbsorbWhileYielding | Mutant::DissolveStaleAttempt => {
			Some(("merge-3", "every chain ends in a living formation"))
		}
		// The late answer must come between the end of a leadership and its news: one
		// seed in two hundred.
		Mutant::ReadStaleRound => Some(("reads-3", "strong reads")),
		_ => None,
	}
}

pub(crate) fn main(arguments: &Arguments) -> ExitCode {
	println!("{:<24} {:>6} {:>9}  found by", "bug", "seed", "events");
	let mut escaped = 0;
	for &mutant in Mutant::ALL {
		let name = mutant.name();
		if !arguments.only.is_empty() && !arguments.only.iter().any(|only| only == name) {
			continue;
		}
		activate(Some(mutant));
		if let Some((name_of_plan, property)) = explored(mutant) {
			let plan = find(name_of_plan);
			let report = plan.map(|plan| plan.judging_outcomes().run(Limits::default()));
			activate(None);
			let is_found = report.is_some_and(|report| report.violates(property));
			escaped += usize::from(!is_found);
			let found = if is_found { property } else { "NOT FOUND" };
			println!(
				"{name:<24} {:>6} {:>9}  {found} (check {name_of_plan})",
				"-", "-"
			);
			continue;
		}
		if mutant == Mutant::CommitUnmatched {
			let found = directed::commits_beyond_the_entries();
			activate(None);
			// And nothing is found where there is no bug.
			let found = found.filter(|_| directed::commits_beyond_the_entries().is_none());
			escaped += usize::from(found.is_none());
			let found = found.unwrap_or_else(|| "NOT FOUND".into());
			println!("{name:<24} {:>6} {:>9}  {found} (one message)", "-", "-");
			continue;
		}
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
