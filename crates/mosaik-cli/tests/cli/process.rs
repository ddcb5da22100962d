//! Processes of the command, and patience with a limit.

use {
	mosaik::{Network, NetworkId, discovery, iroh::RelayMode},
	serde_json::Value,
	std::{
		io::{BufRead, BufReader},
		process::{Child, Command, ExitStatus, Output, Stdio},
		sync::mpsc::{self, Receiver},
		thread,
		time::{Duration, Instant},
	},
};

/// Far too long for anything that is waited for here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A name that no other test uses.
pub(crate) fn unique() -> String {
	NetworkId::random().to_string()
}

/// The command, with these arguments.
pub(crate) fn mosaik(args: &[&str]) -> Command {
	let mut command = Command::new(env!("CARGO_BIN_EXE_mosaik"));
	command.args(args).env_remove("RUST_LOG");
	command
}

/// Runs the command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
	mosaik(args).output().expect("the binary runs")
}

/// What keeps a node of the command on this host.
pub(crate) const LOCAL: [&str; 3] = ["--relay=off", "--no-dht", "--json"];

/// A node of the test's own.
pub(crate) async fn node(network: &str) -> Network {
	Network::builder(network)
		.with_relay_mode(RelayMode::Disabled)
		.with_discovery(discovery::Config::builder().no_dht_bootstrap())
		.build()
		.await
		.expect("a node can be built")
}

/// A running command. Killed when dropped.
pub(crate) struct Process {
	child: Child,
	lines: Receiver<String>,
}

impl Process {
	pub(crate) fn start(args: &[&str]) -> Self {
		let mut child = mosaik(args)
			.stdout(Stdio::piped())
			.spawn()
			.expect("the binary starts");
		let stdout = child.stdout.take().expect("stdout is piped");
		let (sender, lines) = mpsc::channel();
		thread::spawn(move || {
			for line in BufReader::new(stdout).lines().map_while(Result::ok) {
				if sender.send(line).is_err() {
					return;
				}
			}
		});
		Self { child, lines }
	}

	/// Waits for a JSON line that satisfies the predicate.
	pub(crate) fn wait_for(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
		let deadline = Instant::now() + PATIENCE;
		let mut seen = Vec::new();
		loop {
			let left = deadline.saturating_duration_since(Instant::now());
			let Ok(line) = self.lines.recv_timeout(left) else {
				panic!("did not happen: {what}; it printed {seen:#?}");
			};
			let value = serde_json::from_str(&line).expect("every line is JSON");
			if is(&value) {
				return value;
			}
			seen.push(line);
		}
	}

	/// Waits for an event.
	pub(crate) fn event(&self, event: &str) -> Value {
		self.wait_for(event, |line| line["event"] == event)
	}

	/// Ends it as Ctrl-C does.
	#[cfg(unix)]
	pub(crate) fn interrupt(mut self) -> ExitStatus {
		let id = self.child.id().to_string();
		let kill = Command::new("kill").args(["-INT", &id]).status();
		assert!(kill.expect("`kill` runs").success());
		self.child.wait().expect("it ends")
	}
}

impl Drop for Process {
	fn drop(&mut self) {
		// Fails if it has ended.
		let _ = self.child.kill();
		let _ = self.child.wait();
	}
}

/// The JSON lines that were printed.
pub(crate) fn lines(output: &Output) -> Vec<Value> {
	let text = str::from_utf8(&output.stdout).expect("UTF-8");
	let lines = text.lines().map(serde_json::from_str);
	lines.collect::<Result<_, _>>().expect("every line is JSON")
}
