use crate::process::{run, unique};

#[test]
fn every_command_has_help_and_documents_its_json() {
	let general = run(&["--help"]);
	assert!(general.status.success());
	for command in ["beacon", "peers", "tail", "dht"] {
		assert!(String::from_utf8_lossy(&general.stdout).contains(command));
		let help = run(&[command, "--help"]);
		assert!(help.status.success());
		let help = String::from_utf8_lossy(&help.stdout).into_owned();
		for part in [
			"--network",
			"--bootstrap",
			"--json",
			"JSON lines",
			"\"event\"",
		] {
			assert!(help.contains(part), "{command} --help lacks {part}");
		}
	}
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_why() {
	let wrong: [(&[&str], &str); 7] = [
		(&[], "Usage"),
		(&["dance"], "dance"),
		(&["peers"], "--network"),
		(&["tail", "-n", "x"], "<STREAM>"),
		(&["peers", "-n", "x", "--bootstrap", "nobody"], "peer id"),
		(&["peers", "-n", "x", "--for", "soon"], "duration"),
		(&["dht", "-n", "x", "--no-dht"], "--no-dht"),
	];
	for (args, reason) in wrong {
		let output = run(args);
		assert_eq!(output.status.code(), Some(2), "{args:?}");
		let said = String::from_utf8_lossy(&output.stderr);
		assert!(said.contains(reason), "{args:?} said {said}");
	}
}

#[test]
fn a_failure_exits_with_1_and_says_what_to_do() {
	let folder = tempfile::tempdir().unwrap();
	let file = folder.path().join("key");
	std::fs::write(&file, "not a key").unwrap();
	#[cfg(unix)]
	restrict(&file);
	let name = unique();
	let output = run(&["beacon", "-n", &name, "--key-file", file.to_str().unwrap()]);
	assert_eq!(output.status.code(), Some(1));
	let said = String::from_utf8_lossy(&output.stderr);
	assert!(said.contains("move it away"), "{said}");
}

#[cfg(unix)]
fn restrict(file: &std::path::Path) {
	use std::{fs, os::unix::fs::PermissionsExt};
	fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
