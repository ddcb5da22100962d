//! From `Network::new` to the first datum between two new nodes on one host.

use {
	crate::table::{Budget, Table},
	mosaik::{Network, NetworkId},
	std::time::Instant,
};

pub(crate) async fn run(table: &mut Table, rounds: usize) {
	let mut build = Vec::new();
	let mut found = Vec::new();
	let mut subscribed = Vec::new();
	let mut datum = Vec::new();
	for _ in 0..rounds {
		let id = NetworkId::random();
		let start = Instant::now();
		let ms = || start.elapsed().as_secs_f64() * 1e3;
		let n0 = Network::new(id).await.unwrap();
		let producer = n0.streams().produce::<u64>();
		let n1 = Network::new(id).await.unwrap();
		let mut consumer = n1.streams().consume::<u64>();
		build.push(ms());
		let mut catalog = n1.discovery().catalog_watch();
		catalog
			.wait_for(|catalog| catalog.get(&n0.local().id()).is_some())
			.await
			.unwrap();
		found.push(ms());
		producer.when().subscribed().await;
		subscribed.push(ms());
		producer.send(7).await.unwrap();
		consumer.next().await.unwrap();
		datum.push(ms());
	}
	table.alone("start-up: both nodes built", "ms", &build, Budget::None);
	table.alone("  … and discovered", "ms", &found, Budget::None);
	table.alone("  … and subscribed", "ms", &subscribed, Budget::None);
	table.alone(
		"  … and the first datum received",
		"ms",
		&datum,
		Budget::Below(300.0),
	);
}
