//! The `check` command.
#![expect(clippy::print_stdout, reason = "this is a part of a program")]

use {
	super::{
		plans::{self, Plan},
		run::Limits,
	},
	clap::Args,
};

/// Explores all that can happen within bounds.
#[derive(Args, Debug)]
pub struct Check {
	/// The configuration; all without it.
	#[arg(long)]
	config: Vec<String>,
	/// Name the configurations and their bounds.
	#[arg(long)]
	list: bool,
	/// On how many threads; with one, a trace is as short as can be.
	#[arg(long, default_value_t = 1)]
	threads: usize,
	/// Give up after so many transitions.
	#[arg(long, default_value_t = usize::MAX)]
	transitions: usize,
	/// Do not judge whether changes of configuration follow the rules, only what
	/// comes of them.
	#[arg(long)]
	outcomes: bool,
	/// Switch a bug on.
	#[cfg(mutants)]
	#[arg(long)]
	mutant: Option<String>,
}

impl Check {
	/// Runs the command; whether all is well.
	pub fn run(&self) -> bool {
		let plans = match self.chosen() {
			Ok(plans) if self.outcomes => plans.into_iter().map(Plan::judging_outcomes).collect(),
			Ok(plans) => plans,
			Err(name) => {
				println!("there is no configuration {name}, see --list");
				return false;
			}
		};
		if self.list {
			for plan in plans {
				println!("{}: {}\n  {:?}", plan.name, plan.about, plan.world);
			}
			return true;
		}
		#[cfg(mutants)]
		if let Some(name) = &self.mutant {
			use mosaik_proto::groups::mutants::{Mutant, activate};
			let mutant = Mutant::ALL.iter().find(|mutant| mutant.name() == name);
			activate(mutant.copied());
		}
		let limits = Limits {
			threads: self.threads,
			transitions: self.transitions,
		};
		let verdicts: Vec<bool> = plans.iter().map(|plan| report(plan, limits)).collect();
		verdicts.into_iter().all(|is_well| is_well)
	}

	fn chosen(&self) -> Result<Vec<Plan>, &String> {
		if self.config.is_empty() {
			return Ok(plans::all());
		}
		let found = self.config.iter().map(|name| plans::find(name).ok_or(name));
		found.collect()
	}
}

fn report(plan: &Plan, limits: Limits) -> bool {
	println!("{}: {}", plan.name, plan.about);
	println!("  bounds: {:?}", plan.world);
	let report = plan.run(limits);
	println!(
		"  {} states, {} transitions, depth {}, {:.1} s",
		report.states,
		report.transitions,
		report.depth,
		report.time.as_secs_f64()
	);
	for name in &report.missing {
		println!("  never: {name}");
	}
	for violation in &report.violations {
		println!("  VIOLATED: {}", violation.property);
		violation.trace.iter().for_each(|line| println!("  {line}"));
	}
	let verdict = if report.is_proven() {
		"holds, everything explored"
	} else if !report.violations.is_empty() {
		"violated"
	} else if report.is_complete {
		"holds, but something never happens"
	} else {
		"no violation, not everything explored"
	};
	println!("  verdict: {verdict}");
	report.is_proven()
}
