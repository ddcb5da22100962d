//! The `replicas` command.
#![expect(clippy::print_stdout, reason = "this is a part of a program")]

use {
	super::{Disks, Mix, Plan, Report, run, shrink},
	clap::Args,
	std::{
		sync::{
			Mutex,
			atomic::{AtomicU64, Ordering},
		},
		time::Instant,
	},
};

/// Nodes that find, join, merge and leave formations, with faults.
#[derive(Args, Debug)]
pub struct Replicas {
	/// What everything follows from.
	#[arg(long, default_value_t = 1)]
	seed: u64,
	/// How many seeds to run, from `seed` on.
	#[arg(long, default_value_t = 1)]
	seeds: u64,
	/// Begin no new seed after so many minutes.
	#[arg(long)]
	minutes: Option<u64>,
	/// How many nodes; by the seed without it.
	#[arg(long)]
	nodes: Option<usize>,
	/// Whether disks survive: durable, volatile or mixed; by the seed without it.
	#[arg(long)]
	disks: Option<Disks>,
	/// What faults are aimed at: random, ambush or torn; by the seed without it.
	#[arg(long)]
	mix: Option<Mix>,
	/// For how many simulated seconds things go wrong.
	#[arg(long, default_value_t = 60)]
	time: u64,
	/// Leave out the planned actions with these numbers, `3,5-9`.
	#[arg(long, default_value = "")]
	without: String,
	/// Find the part of the plan that makes it fail.
	#[arg(long)]
	shrink: bool,
	/// Print all that happens.
	#[arg(long)]
	trace: bool,
	/// On how many threads.
	#[arg(long, default_value_t = 2)]
	threads: usize,
}

/// The sum of many runs.
#[derive(Debug, Default)]
struct Sum {
	runs: u64,
	events: u64,
	micros: u64,
	commands: u64,
	reads: u64,
	elections: u64,
	formations: u64,
	merges: u64,
	crashes: u64,
	failed: Vec<(u64, String)>,
}

impl Sum {
	fn add(&mut self, seed: u64, report: Report) {
		self.runs += 1;
		self.events += report.events;
		self.micros += report.micros;
		self.commands += report.commands;
		self.reads += report.reads;
		self.elections += report.elections as u64;
		self.formations += report.formations as u64;
		self.merges += report.merges as u64;
		self.crashes += report.crashes;
		self.failed
			.extend(report.violation.map(|violation| (seed, violation)));
	}
}

impl Replicas {
	/// Runs the command; whether all is well.
	pub fn run(&self) -> bool {
		if self.seeds == 1 {
			return self.one();
		}
		let begun = Instant::now();
		let next = AtomicU64::new(self.seed);
		let end = self.seed.saturating_add(self.seeds);
		let sum = Mutex::new(Sum::default());
		std::thread::scope(|scope| {
			for _ in 0..self.threads.max(1) {
				scope.spawn(|| {
					loop {
						let is_over = |minutes| begun.elapsed().as_secs() >= minutes * 60;
						let seed = next.fetch_add(1, Ordering::Relaxed);
						if seed >= end || self.minutes.is_some_and(is_over) {
							return;
						}
						let report = run(&self.plan(seed), false);
						if let Some(violation) = &report.violation {
							println!("seed {seed} VIOLATED {violation}");
							println!("  again: {}", self.command(seed));
						}
						if let Ok(mut sum) = sum.lock() {
							sum.add(seed, report);
						}
					}
				});
			}
		});
		let Ok(sum) = sum.into_inner() else {
			return false;
		};
		let seconds = begun.elapsed().as_secs_f64();
		let hours = sum.micros as f64 / 3.6e9;
		println!(
			"{} seeds, {} events in {seconds:.1} s ({:.0} per second), {hours:.1} simulated \
			 hours: {} commands, {} reads, {} elections, {} crashes, {} formations, {} merges; \
			 {} violations",
			sum.runs,
			sum.events,
			sum.events as f64 / seconds,
			sum.commands,
			sum.reads,
			sum.elections,
			sum.crashes,
			sum.formations,
			sum.merges,
			sum.failed.len(),
		);
		sum.failed.is_empty()
	}

	fn one(&self) -> bool {
		let mut plan = self.plan(self.seed);
		if self.shrink && run(&plan, false).violation.is_some() {
			plan = shrink(plan);
			println!("what remains of the plan:");
			for (at, action) in &plan.actions {
				println!("  {at:>7} ms {action:?}");
			}
		}
		let report = run(&plan, self.trace);
		for line in &report.lines {
			println!("{line}");
		}
		println!(
			"seed {}: trace {:016x}, {} events, {:.1} s, {} commands, {} reads, {} elections, {} \
			 crashes, {} formations, {} merges",
			self.seed,
			report.trace,
			report.events,
			report.micros as f64 / 1e6,
			report.commands,
			report.reads,
			report.elections,
			report.crashes,
			report.formations,
			report.merges,
		);
		if let Some(violation) = &report.violation {
			println!("VIOLATED {violation}");
			println!("  again: {} --trace", self.command(self.seed));
			println!("  smaller: {} --shrink", self.command(self.seed));
		}
		report.violation.is_none()
	}

	fn plan(&self, seed: u64) -> Plan {
		let nodes = self.nodes.unwrap_or(2 + (seed % 5) as usize).clamp(1, 60);
		let disks = self.disks.unwrap_or(match seed / 5 % 3 {
			0 => Disks::Durable,
			1 => Disks::Volatile,
			_ => Disks::Mixed,
		});
		let mix = self.mix.unwrap_or(match seed / 15 % 3 {
			0 => Mix::Random,
			1 => Mix::Ambush,
			_ => Mix::Torn,
		});
		let mut plan = Plan::new(seed, nodes, disks, self.time * 1000).with_mix(mix);
		let mut number = 0;
		plan.actions.retain(|_| {
			number += 1;
			!self.is_without(number)
		});
		plan
	}

	fn is_without(&self, number: usize) -> bool {
		self.without.split(',').any(|part| {
			let (first, last) = part.split_once('-').unwrap_or((part, part));
			let parse = |text: &str| text.trim().parse::<usize>();
			matches!((parse(first), parse(last)), (Ok(first), Ok(last)) if (first..=last).contains(&number))
		})
	}

	fn command(&self, seed: u64) -> String {
		let plan = self.plan(seed);
		let disks = self
			.disks
			.map_or(String::new(), |disks| format!(" --disks {disks}"));
		let mix = self
			.mix
			.map_or(String::new(), |mix| format!(" --mix {mix}"));
		format!(
			"cargo run --release -p mosaik-sim -- replicas --seed {seed} --nodes {} --time \
			 {}{disks}{mix}",
			plan.nodes.len(),
			self.time,
		)
	}
}
