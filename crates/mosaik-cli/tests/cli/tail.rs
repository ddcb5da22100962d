use {
	crate::process::{LOCAL, PATIENCE, Process, node, unique},
	mosaik::{Network, streams::Producer},
	std::time::Duration,
	tokio::time::{interval, timeout},
};

const STREAM: &str = "acme.ticks";

/// Sends `[1, 2, n]` until it is dropped.
async fn tick(producer: Producer<(u8, u8, u8)>) {
	let mut ticks = interval(Duration::from_millis(5));
	for n in 0u8.. {
		ticks.tick().await;
		producer
			.send((1, 2, n % 100))
			.await
			.expect("the network is up");
	}
}

fn producer(network: &Network) -> Producer<(u8, u8, u8)> {
	let builder = network.streams().producer();
	builder.with_stream_id(STREAM).build().unwrap()
}

/// Runs `tail` while the stream flows, until it says the totals.
async fn total(network: &Network, args: &[&str]) -> (Process, serde_json::Value) {
	let tail = Process::start(args);
	let total = tokio::task::spawn_blocking(move || {
		let total = tail.event("total");
		(tail, total)
	});
	let flow = tick(producer(network));
	tokio::select! {
		total = timeout(PATIENCE, total) => total.unwrap().unwrap(),
		() = flow => unreachable!("it flows for ever"),
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_datums_and_bytes_of_a_stream_are_counted() {
	let name = unique();
	let network = node(&name).await;
	let mut args = vec!["tail", "-n", &name, STREAM, "--count", "250"];
	args.extend(LOCAL);
	let (_tail, total) = total(&network, &args).await;
	assert_eq!(total["datums"], 250);
	assert_eq!(total["bytes"], 750);
	let producer = &total["producers"][0];
	assert_eq!(producer["id"], network.local().id().to_string());
	assert_eq!(producer["state"], "connected");
	assert!(producer["datums"].as_u64().unwrap() >= 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_datums_are_the_bytes_that_were_sent() {
	let name = unique();
	let network = node(&name).await;
	let mut args = vec!["tail", "-n", &name, STREAM, "--raw"];
	args.extend(LOCAL);
	let tail = Process::start(&args);
	let datum = tokio::task::spawn_blocking(move || tail.event("datum"));
	let flow = tick(producer(&network));
	let datum = tokio::select! {
		datum = timeout(PATIENCE, datum) => datum.unwrap().unwrap(),
		() = flow => unreachable!("it flows for ever"),
	};
	assert_eq!(datum["bytes"], 3);
	assert!(datum["hex"].as_str().unwrap().starts_with("0102"));
}
