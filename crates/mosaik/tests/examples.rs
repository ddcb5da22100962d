//! The examples as users run them: as processes, by what they print.

use {
	mosaik::NetworkId,
	std::{
		env,
		io::{BufRead, BufReader},
		path::PathBuf,
		process::{Child, Command, Stdio},
		sync::mpsc::{self, Receiver},
		thread,
		time::{Duration, Instant},
	},
};

/// Far too long for anything that is waited for here.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary of an example, which `cargo test` builds with the tests.
fn example(name: &str) -> PathBuf {
	let test = env::current_exe().expect("a test has a path");
	let profile = test
		.parent()
		.and_then(|deps| deps.parent())
		.expect("a test lies in target/<profile>/deps");
	let binary = profile
		.join("examples")
		.join(format!("{name}{}", env::consts::EXE_SUFFIX));
	assert!(
		binary.exists(),
		"{} is missing: run `cargo build --examples` first, as `cargo test` does",
		binary.display()
	);
	binary
}

/// A running example. Killed when dropped.
struct Process {
	child: Child,
	lines: Receiver<String>,
}

impl Process {
	fn start(name: &str, args: &[&str]) -> Self {
		let mut child = Command::new(example(name))
			.args(args)
			.stdout(Stdio::piped())
			.spawn()
			.expect("the example starts");
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

	fn wait_for(&self, what: &str) -> String {
		let deadline = Instant::now() + PATIENCE;
		let mut seen = Vec::new();
		loop {
			let left = deadline.saturating_duration_since(Instant::now());
			let Ok(line) = self.lines.recv_timeout(left) else {
				panic!("`{what}` was not printed, but {seen:#?}");
			};
			if line.contains(what) {
				return line;
			}
			seen.push(line);
		}
	}
}

impl Drop for Process {
	fn drop(&mut self) {
		// Fails if it has ended.
		let _ = self.child.kill();
		let _ = self.child.wait();
	}
}

fn sensors(network: &str, name: &str, more: &[&str]) -> Process {
	let args = ["--network", network, "--name", name, "--interval", "0.1"];
	let local = ["--relay", "off", "--no-dht"];
	Process::start("sensors", &[&args[..], &local, more].concat())
}

#[test]
fn two_sensors_see_each_other_and_who_left() {
	let network = NetworkId::random().to_string();
	let stays = sensors(&network, "stays", &["--tag", "cellar"]);
	let goes = sensors(&network, "goes", &["--count", "50"]);
	let joined = goes.wait_for("+ stays");
	assert!(joined.contains("tags: cellar"), "{joined}");
	let reading = goes.wait_for("  stays");
	assert!(reading.contains("direct"), "{reading}");
	stays.wait_for("+ goes");
	stays.wait_for("  goes");
	stays.wait_for("- goes");
}

#[test]
fn sensors_meet_through_a_bootstrap_node() {
	let network = NetworkId::random().to_string();
	let folder = tempfile::tempdir().unwrap();
	let key = folder.path().join("key");
	let args = [
		"--network",
		&network,
		"--port",
		"0",
		"--relay",
		"off",
		"--no-dht",
	];
	let key = ["--key-file", key.to_str().unwrap()];
	let node = Process::start("bootstrap", &[&args[..], &key].concat());
	let line = node.wait_for("--bootstrap ");
	let peer = line.trim_start_matches("--bootstrap ");
	let id = peer.split('@').next().unwrap();
	let sensors = sensors(&network, "a", &["--bootstrap", peer]);
	sensors.wait_for(&format!("+ {}", &id[..10]));
}
