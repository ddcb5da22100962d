//! What every test needs: nodes that find each other without the internet, and
//! patience with a limit.

use {
	mosaik::{Network, NetworkId, discovery, network::NetworkBuilder},
	std::{future::Future, sync::Once, time::Duration},
};

/// A name that no other test uses.
pub(crate) fn unique() -> NetworkId {
	NetworkId::random()
}

/// A node without relay and DHT: nothing of it leaves the host.
pub(crate) fn local(id: NetworkId) -> NetworkBuilder {
	local_with(id, discovery::Config::builder())
}

pub(crate) fn local_with(id: NetworkId, config: discovery::ConfigBuilder) -> NetworkBuilder {
	trace();
	Network::builder(id)
		.with_relay_mode(mosaik::iroh::RelayMode::Disabled)
		.with_discovery(config.no_dht_bootstrap())
}

pub(crate) async fn node(id: NetworkId) -> Network {
	local(id).build().await.unwrap()
}

/// Waits for something that must happen, for a time that is far too long for it.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
	within(Duration::from_secs(15), what, future).await
}

pub(crate) async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
	let factor = std::env::var("TIME_FACTOR")
		.ok()
		.and_then(|factor| factor.parse().ok());
	let limit = limit.mul_f64(factor.unwrap_or(1.0));
	match tokio::time::timeout(limit, future).await {
		Ok(value) => value,
		Err(_) => panic!("did not happen within {limit:?}: {what}"),
	}
}

/// Resolves when the catalog of `network` satisfies the predicate.
pub(crate) async fn until(
	network: &Network,
	what: &str,
	mut predicate: impl FnMut(&discovery::Catalog) -> bool,
) {
	let mut catalog = network.discovery().catalog_watch();
	soon(what, async {
		catalog
			.wait_for(|catalog| predicate(catalog))
			.await
			.map(drop)
	})
	.await
	.unwrap();
}

/// `TEST_TRACE=on` or a filter such as `mosaik=trace` shows what happens.
fn trace() {
	static ONCE: Once = Once::new();
	ONCE.call_once(|| {
		let Ok(filter) = std::env::var("TEST_TRACE") else {
			return;
		};
		let filter = match filter.as_str() {
			"on" => "mosaik=debug",
			"trace" => "mosaik=trace",
			other => other,
		};
		tracing_subscriber::fmt()
			.with_env_filter(filter)
			.with_test_writer()
			.init();
	});
}
