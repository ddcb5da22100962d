//! `mosaik-sim groups`: one seed or many.

use {
	clap::Args,
	mosaik_sim::groups::{Mix, Options, Outcome, Stats, Storage, Wish, run, shrink::shrink},
	std::{
		fmt::Write as _,
		process::ExitCode,
		sync::{
			Mutex,
			atomic::{AtomicU64, Ordering},
		},
		time::Instant,
	},
};

/// How many runs are spent to make a failure small.
const SHRINK_RUNS: usize = 600;
/// How many failures of many seeds are told.
const FAILURES: usize = 5;

#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
	/// What everything follows from.
	#[arg(long, default_value_t = 1)]
	seed: u64,
	/// How many seeds to run, from `seed` on.
	#[arg(long, default_value_t = 1)]
	seeds: u64,
	/// Begin no new seed after so many minutes.
	#[arg(long)]
	minutes: Option<u64>,
	/// How many events there are before the faults stop.
	#[arg(long, default_value_t = 50_000)]
	events: u64,
	/// How many nodes there are; the seed decides if not given.
	#[arg(long)]
	nodes: Option<usize>,
	/// What is tried most; the seed decides if not given.
	#[arg(long)]
	mix: Option<Mix>,
	/// All disks keep what was written.
	#[arg(long, conflicts_with_all = ["volatile", "mixed"])]
	durable: bool,
	/// No disk does.
	#[arg(long, conflicts_with = "mixed")]
	volatile: bool,
	/// Some disks do.
	#[arg(long)]
	mixed: bool,
	/// Only these actions of the plan happen, as a failure prints them.
	#[arg(long, value_delimiter = ',')]
	keep: Option<Vec<usize>>,
	/// Print all that happens.
	#[arg(long)]
	trace: bool,
	/// How many threads; all cores if not given.
	#[arg(long)]
	threads: Option<usize>,
	/// Leave failures as they are.
	#[arg(long)]
	no_shrink: bool,
}

impl Arguments {
	fn options(&self, seed: u64) -> Options {
		let storage = match (self.durable, self.volatile, self.mixed) {
			(true, ..) => Some(Storage::Durable),
			(_, true, _) => Some(Storage::Volatile),
			(.., true) => Some(Storage::Mixed),
			_ => None,
		};
		Options {
			seed,
			events: self.events,
			wish: Wish {
				mix: self.mix,
				nodes: self.nodes,
				storage,
			},
			kept: self.keep.clone(),
			trace: self.trace,
			stops_early: false,
		}
	}
}

/// The command that runs this again.
pub(crate) fn command(options: &Options) -> String {
	let Options {
		seed, events, wish, ..
	} = options;
	let mut command = format!(
		"cargo run --release -p mosaik-sim -- groups --seed {seed} --events {events} --trace"
	);
	// Text takes any text.
	if let Some(mix) = wish.mix {
		let _ = write!(command, " --mix {}", mix.name());
	}
	if let Some(nodes) = wish.nodes {
		let _ = write!(command, " --nodes {nodes}");
	}
	match wish.storage {
		Some(Storage::Durable) => command.push_str(" --durable"),
		Some(Storage::Volatile) => command.push_str(" --volatile"),
		Some(Storage::Mixed) => command.push_str(" --mixed"),
		None => {}
	}
	if let Some(kept) = &options.kept {
		let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
		let _ = write!(command, " --keep {}", kept.join(","));
	}
	command
}

pub(crate) fn main(arguments: &Arguments) -> ExitCode {
	if arguments.seeds > 1 {
		return many(arguments);
	}
	let options = arguments.options(arguments.seed);
	let outcome = run(&options);
	print(&options, &outcome);
	if outcome.violation.is_none() {
		return ExitCode::SUCCESS;
	}
	if !arguments.no_shrink && arguments.keep.is_none() {
		explain(&options, &outcome);
	}
	ExitCode::FAILURE
}

fn print(options: &Options, outcome: &Outcome) {
	for line in &outcome.lines {
		println!("{line}");
	}
	let Stats {
		events,
		micros,
		elections,
		commits,
		commands,
		reads,
		restarts,
		changes,
		installs,
		lost,
	} = outcome.stats;
	let seconds = micros as f64 / 1e6;
	println!(
		"seed {}: {events} events in {seconds:.1} s, {elections} elections, {commits} entries, \
		 {commands} commands, {reads} reads, {restarts} restarts, {changes} changes of members, \
		 {installs} snapshots{}; trace {:016x}",
		options.seed,
		if lost > 0 {
			", a majority lost for good"
		} else {
			""
		},
		outcome.hash
	);
	if let Some(violation) = &outcome.violation {
		println!("  VIOLATED {violation}");
		println!("  again: {}", command(options));
	}
}

fn explain(options: &Options, outcome: &Outcome) {
	println!("  shrinking");
	let Some(shrunk) = shrink(options, outcome, SHRINK_RUNS) else {
		return;
	};
	println!("after {} runs what is left is:", shrunk.runs);
	for action in &shrunk.outcome.actions {
		println!("  {:>10.3} ms  {:?}", action.at as f64 / 1e3, action.what);
	}
	println!("its trace:");
	print(&shrunk.options, &shrunk.outcome);
}

/// Runs many seeds on all cores.
fn many(arguments: &Arguments) -> ExitCode {
	let threads = arguments
		.threads
		.or_else(|| std::thread::available_parallelism().ok().map(usize::from))
		.unwrap_or(1);
	let next = AtomicU64::new(arguments.seed);
	let end = arguments.seed.saturating_add(arguments.seeds);
	let runs = AtomicU64::new(0);
	let total = Mutex::new(Stats::default());
	let failures = Mutex::new(Vec::new());
	let began = Instant::now();
	std::thread::scope(|scope| {
		for _ in 0..threads {
			scope.spawn(|| {
				loop {
					let is_over = |minutes| began.elapsed().as_secs() >= minutes * 60;
					let seed = next.fetch_add(1, Ordering::Relaxed);
					if seed >= end || arguments.minutes.is_some_and(is_over) {
						return;
					}
					let options = arguments.options(seed);
					let outcome = run(&options);
					runs.fetch_add(1, Ordering::Relaxed);
					let mut total = total.lock().expect("no thread panics while it adds");
					add(&mut total, outcome.stats);
					drop(total);
					if let Some(violation) = &outcome.violation {
						// At once: what follows may take hours.
						println!("seed {seed} VIOLATED {violation}");
						let mut failures = failures.lock().expect("no thread panics while it adds");
						failures.push((options, outcome));
					}
				}
			});
		}
	});
	let took = began.elapsed().as_secs_f64();
	let runs = runs.into_inner();
	let total = total.into_inner().expect("no thread panicked");
	let mut failures = failures.into_inner().expect("no thread panicked");
	failures.sort_by_key(|(options, _)| options.seed);
	let hours = total.micros as f64 / 3.6e9;
	println!(
		"{runs} seeds: {} events, {:.1} cluster-hours, {} elections, {} entries, {} commands, {} reads, \
		 {} restarts, {} changes of members, {} snapshots, {} lost a majority for good",
		total.events,
		hours,
		total.elections,
		total.commits,
		total.commands,
		total.reads,
		total.restarts,
		total.changes,
		total.installs,
		total.lost
	);
	println!(
		"{took:.1} s on {threads} threads: {:.0} events/s, {:.1} cluster-hours per CPU-minute",
		total.events as f64 / took,
		hours / (took * threads as f64 / 60.0)
	);
	for (options, outcome) in failures.iter().take(FAILURES) {
		print(options, outcome);
	}
	if failures.is_empty() {
		return ExitCode::SUCCESS;
	}
	println!("{} of {runs} seeds failed", failures.len());
	ExitCode::FAILURE
}

fn add(total: &mut Stats, one: Stats) {
	total.events += one.events;
	total.micros += one.micros;
	total.elections += one.elections;
	total.commits += one.commits;
	total.commands += one.commands;
	total.reads += one.reads;
	total.restarts += one.restarts;
	total.changes += one.changes;
	total.installs += one.installs;
	total.lost += one.lost;
}
