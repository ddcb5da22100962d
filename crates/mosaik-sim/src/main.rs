//! Runs worlds from the command line.
#![expect(clippy::print_stdout, reason = "this is a program")]

mod cli;

use {
	clap::{Parser, Subcommand},
	mosaik_sim::{
		check::cli::Check,
		discovery::scenarios::{Pace, SECOND, assembled, churn, turmoil_in},
		replicas::cli::Replicas,
		world::Weather,
	},
	std::{ops::Range, process::ExitCode, time::Duration},
};

/// The protocols of mosaik in simulated time.
#[derive(Parser)]
struct Arguments {
	#[command(subcommand)]
	world: World,
}

#[derive(Subcommand)]
enum World {
	/// What members send while entries change and nodes come and go all the time.
	Churn {
		/// What everything follows from.
		#[arg(long, default_value_t = 1)]
		seed: u64,
		/// How many nodes there are.
		#[arg(long, default_value_t = 300)]
		nodes: usize,
		/// For how many simulated seconds.
		#[arg(long, default_value_t = 60)]
		time: u32,
		/// Milliseconds from one changed entry to the next.
		#[arg(long, default_value_t = 1000)]
		change: u64,
		/// Milliseconds from one node that comes or goes to the next.
		#[arg(long, default_value_t = 3000)]
		turnover: u64,
	},
	/// Members that start, change, crash, sleep, leave and are cut off.
	Discovery {
		/// What everything follows from.
		#[arg(long, default_value_t = 1)]
		seed: u64,
		/// How many seeds to run, from `seed` on.
		#[arg(long, default_value_t = 1)]
		seeds: u64,
		/// How many nodes there are at first.
		#[arg(long, default_value_t = 50)]
		nodes: usize,
		/// For how many simulated seconds things go wrong.
		#[arg(long, default_value_t = 120)]
		time: u32,
		/// How many of the dials fail for no reason, until the faults are over.
		#[arg(long, default_value_t = 0.1)]
		dial_loss: f64,
		/// Print all that happens.
		#[arg(long)]
		trace: bool,
	},
	/// Nodes that find, join, merge and leave formations of a group.
	Replicas(Replicas),
	/// Explores everything that can happen to a few members.
	Check(Check),
	/// Members of a consensus group, on bad networks and disks.
	Groups(cli::groups::Arguments),
	/// The same with seeded bugs, each of which must be found.
	#[cfg(mutants)]
	Mutants(cli::mutants::Arguments),
}

fn main() -> ExitCode {
	let done = match Arguments::parse().world {
		World::Churn {
			seed,
			nodes,
			time,
			change,
			turnover,
		} => {
			let pace = Pace {
				change: Duration::from_millis(change.max(1)),
				turnover: Duration::from_millis(turnover.max(1)),
			};
			run_churn(seed, nodes, SECOND * time, pace)
		}
		World::Discovery {
			seed,
			seeds,
			nodes,
			time,
			dial_loss,
			trace,
		} => run_turmoil(
			seed..seed.saturating_add(seeds),
			nodes,
			time,
			dial_loss,
			trace,
		),
		World::Check(check) => check.run(),
		World::Replicas(replicas) => replicas.run(),
		World::Groups(arguments) => return cli::groups::main(&arguments),
		#[cfg(mutants)]
		World::Mutants(arguments) => return cli::mutants::main(&arguments),
	};
	if done {
		ExitCode::SUCCESS
	} else {
		ExitCode::FAILURE
	}
}

/// Whether it went well.
fn run_churn(seed: u64, nodes: usize, time: Duration, pace: Pace) -> bool {
	let (mut sim, joined) = assembled(seed, nodes, Weather::default());
	println!("{nodes} nodes know each other after {joined:.1?}");
	sim.run_for(SECOND * 20);
	let bytes = churn(&mut sim, pace, time);
	println!("{bytes}");
	sim.violations.extend(bytes.check(pace.budget()).err());
	let agreed = sim.run_until_converged(SECOND * 30);
	println!("all agree {agreed:.1?} after the last change");
	for violation in &sim.violations {
		println!("VIOLATED {violation}");
	}
	sim.violations.is_empty()
}

/// Whether all went well.
fn run_turmoil(seeds: Range<u64>, nodes: usize, time: u32, dial_loss: f64, trace: bool) -> bool {
	let mut failed = false;
	for seed in seeds {
		let weather = Weather {
			dial_loss,
			..Weather::default()
		};
		let report = turmoil_in(weather, seed, nodes, SECOND * time, trace);
		println!("seed {seed}: trace {:016x}", report.trace);
		for line in &report.lines {
			println!("  {line}");
		}
		for violation in report.violations.iter().take(10) {
			println!("  VIOLATED {violation}");
		}
		if !report.violations.is_empty() {
			failed = true;
			println!(
				"  again: cargo run --release -p mosaik-sim -- discovery --seed {seed} --nodes {nodes} --time {time} --dial-loss {dial_loss} --trace"
			);
		}
	}
	!failed
}
