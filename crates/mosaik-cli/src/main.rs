//! The `mosaik` command: looks at a network, and gives it a bootstrap node.
//!
//! A thin layer over the public API of the `mosaik` crate; whatever it does, a
//! program can do as well.
//!
//! | module     | does |
//! |------------|------|
//! | [`beacon`], [`peers`], [`tail`], [`dht`] | one command each |
//! | [`node`]   | the options that all of them share |
//! | [`key`]    | files with a node's key |
//! | [`output`] | lines for people or for programs |
//! | [`text`]   | times, sizes and tables in words |

mod beacon;
mod dht;
mod key;
mod node;
mod output;
mod peers;
mod tail;
mod text;

use {
	clap::{Parser, Subcommand},
	output::Output,
	std::{
		error::Error,
		io::{self, IsTerminal, Write},
		process::ExitCode,
	},
	tracing_subscriber::EnvFilter,
};

/// Look at a mosaik network, and give it a bootstrap node.
#[derive(Debug, Parser)]
#[command(name = "mosaik", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
	#[command(subcommand)]
	command: Command,

	/// Print one JSON object per line; `--help` of each command lists its keys
	#[arg(long, global = true)]
	json: bool,
}

const AFTER_HELP: &str = "\
Exit code: 0 if it went well, 1 if not (the reason is on stderr), 2 if the command line is wrong.
Logs go to stderr; RUST_LOG=mosaik=debug shows more of them.";

#[derive(Debug, Subcommand)]
enum Command {
	Beacon(beacon::Options),
	Peers(peers::Options),
	Tail(tail::Options),
	Dht(dht::Options),
}

/// What a command returns. Its errors are for people.
type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
	let cli = Cli::parse();
	log();
	let output = Output::new(cli.json);
	let result = match cli.command {
		Command::Beacon(options) => beacon::run(options, &output).await,
		Command::Peers(options) => peers::run(options, &output).await,
		Command::Tail(options) => tail::run(options, &output).await,
		Command::Dht(options) => dht::run(options, &output).await,
	};
	match result {
		Err(error) if !output::is_broken_pipe(&*error) => {
			// There is nobody to tell when stderr is closed.
			let _ = writeln!(io::stderr(), "error: {}", text::chain(&*error));
			ExitCode::FAILURE
		}
		_ => ExitCode::SUCCESS,
	}
}

fn log() {
	let filter = if std::env::var_os("RUST_LOG").is_some() {
		EnvFilter::from_default_env()
	} else {
		EnvFilter::new("off,mosaik=warn")
	};
	tracing_subscriber::fmt()
		.with_env_filter(filter)
		.with_ansi(io::stderr().is_terminal())
		.with_writer(io::stderr)
		.init();
}
