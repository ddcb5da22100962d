//! Streams against raw iroh, with the same payload in the same run.
//!
//! `cargo bench --bench streams [-- CASE…] [--rounds N] [--check]` prints a table
//! of medians over alternating rounds. With `--check` it fails where a budget is
//! missed. Absolute figures depend on the machine; the ratio is the claim.

#![allow(
	clippy::print_stdout,
	clippy::unwrap_used,
	clippy::disallowed_methods,
	missing_docs,
	reason = "a benchmark prints, stops at any error and owns its tasks"
)]

mod fanout;
mod latency;
mod memory;
mod one_to_one;
mod payload;
mod raw;
mod startup;
mod table;

use table::Table;

fn main() {
	let args: Vec<String> = std::env::args()
		.skip(1)
		.filter(|arg| arg != "--bench")
		.collect();
	let runtime = || {
		tokio::runtime::Builder::new_multi_thread()
			.worker_threads(2)
			.enable_all()
			.build()
			.unwrap()
	};
	if let [memory::ARGUMENT, what] = args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
		return runtime().block_on(memory::child(what));
	}
	let check = args.iter().any(|arg| arg == "--check");
	let rounds = args
		.iter()
		.position(|arg| arg == "--rounds")
		.and_then(|at| args.get(at + 1)?.parse().ok())
		.unwrap_or(5);
	let cases: Vec<&String> = args
		.iter()
		.filter(|arg| !arg.starts_with("--") && arg.parse::<u32>().is_err())
		.collect();
	let wanted = |case: &str| cases.is_empty() || cases.iter().any(|wanted| case.contains(*wanted));

	// Memory first: later cases leave pages behind.
	let mut table = Table::default();
	if wanted("memory") {
		runtime().block_on(memory::run(&mut table, rounds));
	}
	if wanted("startup") {
		runtime().block_on(startup::run(&mut table, rounds));
	}
	if wanted("latency") {
		runtime().block_on(latency::run(&mut table, rounds));
	}
	if wanted("one_to_one") {
		runtime().block_on(one_to_one::run(&mut table, rounds));
	}
	if wanted("fanout") {
		runtime().block_on(fanout::run(&mut table, rounds));
	}
	print!("{table}");
	if check && table.misses_a_budget() {
		std::process::exit(1);
	}
}
