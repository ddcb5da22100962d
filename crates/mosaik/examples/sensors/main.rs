//! Streams this machine's load, memory and traffic, and shows everybody else's.
//!
//! ```sh
//! cargo run --example sensors
//! ```
//!
//! Start it in two terminals, or on two machines of one local network, and each
//! shows the readings of the other. There is no server and nothing to configure.

mod everyone;
#[path = "../shared/join.rs"]
mod join;
mod machine;
mod reading;
mod view;

use {
	clap::Parser,
	everyone::Everyone,
	join::Join,
	machine::Machine,
	mosaik::{Network, StreamConsumer, StreamProducer},
	reading::{Reading, Readings},
	std::{
		error::Error,
		io::{self, IsTerminal},
		process::ExitCode,
		time::Duration,
	},
	tokio::{signal::ctrl_c, sync::broadcast::error::RecvError, time},
	view::View,
};

/// Streams this machine's load, memory and network traffic to every other
/// instance, and shows theirs.
///
/// Instances find each other by themselves: start one more in another terminal
/// or on another machine. Ctrl-C leaves.
#[derive(Debug, Parser)]
struct Options {
	#[command(flatten)]
	join: Join,

	/// What this node calls itself; the host's name and a number by default
	#[arg(long)]
	name: Option<String>,

	/// The time between readings, in seconds
	#[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
	interval: Duration,

	/// Leave after so many readings of this machine
	#[arg(long, value_name = "N")]
	count: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
	log();
	let view = View::new();
	match run(Options::parse(), &view).await {
		Ok(()) => ExitCode::SUCCESS,
		Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
		Err(error) => {
			// Nothing can be done about a closed stderr.
			let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("error: {error}\n"));
			ExitCode::FAILURE
		}
	}
}

/// Nothing but what mosaik warns of, unless asked for as by RUST_LOG=mosaik=debug.
fn log() {
	let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "off,mosaik=warn".to_owned());
	tracing_subscriber::fmt()
		.with_env_filter(tracing_subscriber::EnvFilter::new(filter))
		.with_ansi(io::stderr().is_terminal())
		.with_writer(io::stderr)
		.init();
}

async fn run(options: Options, view: &View) -> Result<(), Box<dyn Error>> {
	let network = options.join.builder().build().await?;
	let name = options.name.clone().unwrap_or_else(default_name);
	view.note(format_args!(
		"{name} ({}) is in network `{}`",
		network.local().id().fmt_short(),
		options.join.network
	))?;
	view.note("start another one in a second terminal; Ctrl-C leaves\n")?;
	let result = take_part(&network, &options, &name, view).await;
	// Says goodbye, so that the others need not find out.
	network.shutdown().await;
	result
}

/// Sends and shows readings until Ctrl-C, or until there were enough.
async fn take_part(
	network: &Network,
	options: &Options,
	name: &str,
	view: &View,
) -> Result<(), Box<dyn Error>> {
	let producer = Readings::producer(network);
	let mut readings = Readings::consumer(network);
	let mut events = network.discovery().events();
	let mut everyone = Everyone::new(network);
	let mut machine = Machine::new();
	if !machine.is_readable() {
		view.note("this system has no /proc: there is nothing to read, others are shown")?;
	}
	let mut left = options.count;
	let mut ticks = time::interval(options.interval);
	let interrupted = ctrl_c();
	tokio::pin!(interrupted);
	while left != Some(0) {
		tokio::select! {
			_ = &mut interrupted => break,
			_ = ticks.tick() => {
				let reading = read(&mut machine, network, name, &options.join.tags);
				view.own(&reading)?;
				everyone.show_silent(view)?;
				// Fails while nobody listens: then there is nobody to miss it.
				let _ = producer.try_send(reading);
				left = left.map(|left| left - 1);
			}
			reading = readings.next() => match reading {
				Some(reading) => everyone.on_reading(&reading, view)?,
				None => break,
			},
			event = events.recv() => match event {
				Ok(event) => everyone.on_event(event, view)?,
				// Whoever is missed here is shown by its readings.
				Err(RecvError::Lagged(_)) => {}
				Err(RecvError::Closed) => break,
			},
		}
	}
	Ok(())
}

fn read(machine: &mut Machine, network: &Network, name: &str, tags: &[String]) -> Reading {
	Reading {
		from: network.local().id(),
		name: name.to_owned(),
		tags: tags.to_owned(),
		load: machine::load(),
		memory: machine::memory(),
		interfaces: machine.interfaces(),
	}
}

fn default_name() -> String {
	let host = Machine::name().unwrap_or_else(|| "node".to_owned());
	// The process id tells instances on one machine apart.
	format!("{host}-{}", std::process::id())
}

fn seconds(text: &str) -> Result<Duration, String> {
	let seconds: f64 = text
		.parse()
		.map_err(|_| "expected a number of seconds, such as 0.5".to_owned())?;
	match Duration::try_from_secs_f64(seconds) {
		Ok(interval) if interval >= Duration::from_millis(10) => Ok(interval),
		_ => Err("expected at least 0.01 seconds".to_owned()),
	}
}

/// Whether the reader of our output has gone, as in `sensors | head`.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
	error
		.downcast_ref::<io::Error>()
		.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
