//! Runs worlds from the command line.
#![expect(clippy::print_stdout, reason = "this is a program")]

mod cli;

use {
	clap::{Parser, Subcommand},
	mosaik_sim::{
		check::cli::Check,
		discovery::scenarios::{SECOND, turmoil_in},
		replicas::cli::Replicas,
		world::Weather,
	},
	std::process::ExitCode,
};

/// The protocols of mosaik in simulated time.
#[derive(Parser)]
struct Arguments {
	#[command(subcommand)]
	world: World,
}

#[derive(Subcommand)]
enum World {
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
	match Arguments::parse().world {
		World::Discovery {
			seed,
			seeds,
			nodes,
			time,
			dial_loss,
			trace,
		} => discovery(seed, seeds, nodes, time, dial_loss, trace),
		World::Check(check) => exit(check.run()),
		World::Replicas(replicas) => exit(replicas.run()),
		World::Groups(arguments) => cli::groups::main(&arguments),
		#[cfg(mutants)]
		World::Mutants(arguments) => cli::mutants::main(&arguments),
	}
}

fn discovery(
	seed: u64,
	seeds: u64,
	nodes: usize,
	time: u32,
	dial_loss: f64,
	trace: bool,
) -> ExitCode {
	let mut failed = false;
	for seed in seed..seed.saturating_add(seeds) {
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
	exit(!failed)
}

const fn exit(is_well: bool) -> ExitCode {
	if is_well {
		ExitCode::SUCCESS
	} else {
		ExitCode::FAILURE
	}
}
