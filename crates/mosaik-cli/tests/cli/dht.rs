use {
	crate::process::{PATIENCE, Process, lines, mosaik, run, unique},
	n0_mainline::Testnet,
	std::{net::UdpSocket, time::Instant},
};

/// A DHT of its own on this host, with the options to use it.
async fn testnet() -> (Testnet, Vec<String>) {
	let testnet = Testnet::new(10).await.unwrap();
	let nodes = testnet.bootstrap.iter();
	let options = nodes.map(|node| format!("--dht-node={node}")).collect();
	(testnet, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_is_found_in_its_slot_and_answers() {
	let (_testnet, nodes) = testnet().await;
	let (name, folder) = (unique(), tempfile::tempdir().unwrap());
	let key = folder.path().join("key");
	let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
	let mut args = vec!["beacon", "-n", &name, "--relay=off", "--json"];
	args.extend(["--key-file", key.to_str().unwrap()]);
	args.extend(&nodes);
	let beacon = Process::start(&args);
	let id = beacon.event("ready")["id"].clone();

	let mut args = vec!["dht", "-n", &name, "--relay=off", "--json"];
	args.extend(&nodes);
	let deadline = Instant::now() + PATIENCE;
	// It is written when the beacon has looked whether another one is there.
	let written = loop {
		let output = tokio::task::block_in_place(|| run(&args));
		assert!(output.status.success(), "{output:?}");
		let slots = lines(&output);
		assert_eq!(slots.len(), 8);
		if let Some(slot) = slots.into_iter().find(|slot| slot["id"] == id) {
			break slot;
		}
		assert!(Instant::now() < deadline, "the beacon is in no slot");
	};
	assert_eq!(written["answers"], true, "{written}");
	assert!(written["age_s"].as_u64().unwrap() < 60);
}

#[test]
fn without_a_dht_it_fails_and_says_so() {
	// Takes packets and answers none.
	let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
	let node = format!("--dht-node={}", silent.local_addr().unwrap());
	let output = mosaik(&["dht", "-n", &unique(), &node]).output().unwrap();
	assert_eq!(output.status.code(), Some(1));
	let said = String::from_utf8_lossy(&output.stderr);
	assert!(said.contains("DHT cannot be reached"), "{said}");
}
