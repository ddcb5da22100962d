//! What every test needs: nodes that find each other without the internet, and
//! patience with a limit.

use {
	futures::future::join_all,
	mosaik::{
		Network, NetworkId, UniqueId, discovery,
		iroh::RelayMode,
		network::NetworkBuilder,
		tickets::{Expiration, InvalidTicket, Ticket, TicketClass, TicketValidator},
	},
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
		.with_relay_mode(RelayMode::Disabled)
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

/// Nodes of a network of their own that know each other.
pub(crate) async fn nodes<const N: usize>() -> [Network; N] {
	let id = unique();
	let nodes = join_all((0..N).map(|_| node(id))).await;
	acquainted(&nodes).await;
	nodes.try_into().unwrap_or_else(|_| unreachable!())
}

/// Waits until each of the nodes knows all the others.
pub(crate) async fn acquainted(nodes: &[Network]) {
	for node in nodes {
		until(node, "the others", |catalog| {
			nodes
				.iter()
				.filter(|other| other.local().id() != node.local().id())
				.all(|other| catalog.get_signed(&other.local().id()).is_some())
		})
		.await;
	}
}

/// A node that finds nobody by itself.
pub(crate) fn hermit(id: NetworkId) -> NetworkBuilder {
	local_with(id, hermit_config())
}

pub(crate) fn hermit_config() -> discovery::ConfigBuilder {
	discovery::Config::builder()
		.with_same_host(false)
		.with_mdns(false)
}

/// Waits for a condition that nothing announces.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
	soon(what, async {
		let mut interval = tokio::time::interval(Duration::from_millis(5));
		while !condition() {
			interval.tick().await;
		}
	})
	.await;
}

/// Nothing may come of `future` for a while: long enough to be caught often,
/// should it be wrong, and no reason to fail if it is right.
pub(crate) async fn never<T>(what: &str, future: impl Future<Output = T>) {
	let result = tokio::time::timeout(Duration::from_millis(300), future).await;
	assert!(result.is_err(), "must not happen: {what}");
}

/// A ticket that says when it ends: `name` until `expiration`.
pub(crate) fn pass(name: &str, expiration: Expiration) -> Ticket {
	let until = match expiration {
		Expiration::Never => i64::MAX,
		Expiration::At(at) => at.timestamp_millis(),
	};
	Ticket::new(PASS, format!("{until} {name}").into())
}

pub(crate) const PASS: TicketClass = mosaik::unique_id!("test.pass");

/// Lets holders of a [`pass`] with this name in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard(pub(crate) &'static str);

impl TicketValidator for Guard {
	fn class(&self) -> TicketClass {
		PASS
	}

	fn signature(&self) -> UniqueId {
		PASS.derive(self.0)
	}

	fn validate(
		&self,
		ticket: &[u8],
		_: &discovery::PeerEntry,
	) -> Result<Expiration, InvalidTicket> {
		let ticket = std::str::from_utf8(ticket).map_err(|_| InvalidTicket)?;
		let (until, name) = ticket.split_once(' ').ok_or(InvalidTicket)?;
		let until: i64 = until.parse().map_err(|_| InvalidTicket)?;
		if name != self.0 {
			return Err(InvalidTicket);
		}
		let until = match chrono::DateTime::from_timestamp_millis(until) {
			Some(at) => Expiration::At(at),
			None => Expiration::Never,
		};
		if until.is_expired() {
			Err(InvalidTicket)
		} else {
			Ok(until)
		}
	}
}
