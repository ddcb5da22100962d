use {
	crate::process::{LOCAL, Process, lines, run, unique},
	mosaik::Tag,
};

/// A running beacon with two tags, and its id.
fn beacon(name: &str, folder: &tempfile::TempDir) -> (Process, String) {
	let key = folder.path().join("key");
	let mut args = vec!["beacon", "-n", name, "--tag", "edge", "--tag", "eu"];
	args.extend(["--key-file", key.to_str().unwrap()]);
	args.extend(LOCAL);
	let beacon = Process::start(&args);
	let id = beacon.event("ready")["id"].as_str().unwrap().to_owned();
	(beacon, id)
}

#[test]
fn a_running_beacon_is_listed_with_its_tags() {
	let (name, folder) = (unique(), tempfile::tempdir().unwrap());
	let (_beacon, id) = beacon(&name, &folder);
	let mut args = vec!["peers", "-n", &name, "--for", "5s"];
	args.extend(LOCAL);
	let output = run(&args);
	assert!(output.status.success());
	let peers = lines(&output);
	let [peer] = &peers[..] else {
		panic!("expected the beacon: {peers:#?}");
	};
	assert_eq!(peer["event"], "peer");
	assert_eq!(peer["id"], id);
	let mut tags = ["edge", "eu"].map(|tag| Tag::from(tag).to_string());
	tags.sort();
	assert_eq!(peer["tags"], serde_json::json!(tags));
	assert_eq!(peer["path"], "direct");
	assert!(peer["rtt_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn nobody_is_no_failure() {
	let name = unique();
	let alone = [
		"peers",
		"-n",
		&name,
		"--for=100ms",
		"--relay=off",
		"--no-dht",
	];
	let output = run(&alone);
	assert!(output.status.success());
	let said = String::from_utf8_lossy(&output.stdout);
	assert!(said.contains("nobody else found"), "{said}");
}

#[cfg(unix)]
#[test]
fn watching_shows_who_comes_and_goes() {
	let (name, folder) = (unique(), tempfile::tempdir().unwrap());
	let mut args = vec!["peers", "-n", &name, "--watch"];
	args.extend(LOCAL);
	let watch = Process::start(&args);
	let (beacon, id) = beacon(&name, &folder);
	assert_eq!(watch.event("joined")["id"], id);
	assert!(beacon.interrupt().success());
	assert_eq!(watch.event("left")["id"], id);
	assert!(watch.interrupt().success());
}
