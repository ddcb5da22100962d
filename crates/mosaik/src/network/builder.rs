//! Puts a node together.

use {
	super::{
		LocalNode, Network,
		endpoint::{self, EndpointConfig, EndpointError},
		lookup::Lookup,
		node::Node,
		peer::{Identity, Limits, Peers},
	},
	crate::{
		discovery,
		runtime::{config::ConfigBuilderError, tasks::Tasks},
		streams,
	},
	chrono::Utc,
	iroh::{
		RelayMode,
		address_lookup::{AddressLookupBuilder, AddressLookupBuilderError, MemoryLookup},
		endpoint::{BindError, InvalidSocketAddr},
	},
	mosaik_proto::{
		SecretKey,
		id::{NetworkId, ShortFmtExt},
	},
	std::{collections::BTreeSet, net::SocketAddr},
};

/// Why a node was not built. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
	/// No socket could be bound: is an address in use, or not ours?
	#[error("no socket could be bound")]
	Bind(#[from] BindError),
	/// An address cannot be bound to.
	#[error("an address cannot be bound to")]
	InvalidAddress(#[from] InvalidSocketAddr),
	/// A lookup for addresses could not be started.
	#[error("a lookup for addresses could not be started")]
	AddressLookup(#[from] AddressLookupBuilderError),
	/// The builder was given no network id.
	#[error("the network id is missing: call `with_network_id`")]
	MissingNetworkId,
	/// The metrics cannot be served.
	#[error("the metrics cannot be served: {0}")]
	Prometheus(String),
	/// The settings of a subsystem were refused.
	#[error(transparent)]
	Config(#[from] ConfigBuilderError),
}

/// The error of [`Network::new`].
pub type Error = NetworkError;

impl From<EndpointError> for NetworkError {
	fn from(error: EndpointError) -> Self {
		match error {
			EndpointError::Bind(error) => Self::Bind(error),
			EndpointError::Address { source, .. } => Self::InvalidAddress(source),
		}
	}
}

/// The settings of a node.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
	/// The network to join.
	pub network_id: NetworkId,
	/// The node's identity; random by default.
	pub secret_key: SecretKey,
	/// The addresses to listen at; a free port on every interface by default.
	pub addresses: BTreeSet<SocketAddr>,
	/// Which relays to use when no direct path is known. The public ones by
	/// default, as far as they can be reached.
	pub relay_mode: RelayMode,
	/// Further ways to learn the addresses of a peer by its id; none by default.
	pub address_lookups: Vec<Lookup>,
	/// Where to serve metrics as Prometheus text; nowhere by default.
	pub prometheus_addr: Option<SocketAddr>,
	/// The settings of discovery.
	pub discovery: discovery::ConfigBuilder,
	/// The settings of streams.
	pub streams: streams::ConfigBuilder,
}

/// Configures a node, see [`NetworkConfig`].
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `build` is awaited"]
pub struct NetworkBuilder {
	network_id: Option<NetworkId>,
	secret_key: Option<SecretKey>,
	addresses: BTreeSet<SocketAddr>,
	relay_mode: Option<RelayMode>,
	address_lookups: Vec<Lookup>,
	prometheus_addr: Option<SocketAddr>,
	discovery: discovery::ConfigBuilder,
	streams: streams::ConfigBuilder,
}

impl NetworkBuilder {
	/// Sets the network to join.
	pub fn with_network_id<VALUE: Into<NetworkId>>(mut self, value: VALUE) -> Self {
		self.network_id = Some(value.into());
		self
	}

	/// Pins the node's identity; random by default.
	pub fn with_secret_key<VALUE: Into<SecretKey>>(mut self, value: VALUE) -> Self {
		self.secret_key = Some(value.into());
		self
	}

	/// Sets the addresses to listen at; a free port on every interface by
	/// default.
	pub fn with_addresses<VALUE: Into<BTreeSet<SocketAddr>>>(mut self, value: VALUE) -> Self {
		self.addresses = value.into();
		self
	}

	/// Sets which relays to use; the public ones by default.
	pub fn with_relay_mode(mut self, mode: RelayMode) -> Self {
		self.relay_mode = Some(mode);
		self
	}

	/// Adds a way to learn the addresses of a peer by its id and to make those of
	/// this node known: pkarr, DNS, the mainline DHT, one of your own. There is
	/// none by default; the node itself knows the addresses in its catalog.
	///
	/// With it [`dial`], [`sync_with`] and bootstrap peers take bare ids. It can
	/// be started only once: of clones of this builder the first that builds a
	/// node has it, the others fail.
	///
	/// ```
	/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
	/// use mosaik::{Network, NetworkId, iroh::address_lookup::MemoryLookup};
	///
	/// let known = MemoryLookup::new();
	/// let n0 = Network::new(NetworkId::random()).await?;
	/// let n1 = Network::builder(*n0.network_id())
	///     .with_address_lookup(known.clone())
	///     .build()
	///     .await?;
	/// known.add_endpoint_info(n0.local().addr());
	/// n1.discovery().sync_with(n0.local().id()).await?;
	/// # Ok(()) }
	/// ```
	///
	/// [`dial`]: discovery::Discovery::dial
	/// [`sync_with`]: discovery::Discovery::sync_with
	pub fn with_address_lookup(mut self, lookup: impl AddressLookupBuilder) -> Self {
		self.address_lookups.push(Lookup::new(lookup));
		self
	}

	/// Serves the process's metrics as Prometheus text at this address.
	///
	/// Needs the feature `prometheus`.
	pub fn with_prometheus_addr<VALUE: Into<Option<SocketAddr>>>(mut self, value: VALUE) -> Self {
		self.prometheus_addr = value.into();
		self
	}

	/// Sets the settings of discovery.
	pub fn with_discovery(mut self, config: discovery::ConfigBuilder) -> Self {
		self.discovery = config;
		self
	}

	/// Sets the settings of streams.
	pub fn with_streams(mut self, config: streams::ConfigBuilder) -> Self {
		self.streams = config;
		self
	}

	/// Builds the node. Returns when it can be dialled, whether there is
	/// internet or not.
	///
	/// # Errors
	/// When the network id is missing, a socket cannot be bound, a lookup cannot
	/// be started or the settings of a subsystem are refused.
	pub async fn build(self) -> Result<Network, NetworkError> {
		let config = NetworkConfig {
			network_id: self.network_id.ok_or(NetworkError::MissingNetworkId)?,
			secret_key: self.secret_key.unwrap_or_else(SecretKey::generate),
			addresses: self.addresses,
			relay_mode: self.relay_mode.unwrap_or(RelayMode::Default),
			address_lookups: self.address_lookups,
			prometheus_addr: self.prometheus_addr,
			discovery: self.discovery,
			streams: self.streams,
		};
		build(config).await
	}
}

async fn build(config: NetworkConfig) -> Result<Network, NetworkError> {
	let network = config.network_id;
	let discovery_config = config.discovery.build()?;
	let streams_config = config.streams.build()?;
	let tasks = Tasks::new();
	// Whatever was started ends if the rest fails.
	let guard = tasks.token().clone().drop_guard();
	serve_metrics(config.prometheus_addr, &tasks).await?;

	let memory = MemoryLookup::new();
	let endpoint = endpoint::bind(
		EndpointConfig {
			// Relays are named by host; nothing else here needs names.
			public_dns: !matches!(config.relay_mode, RelayMode::Disabled),
			relay_mode: config.relay_mode,
			bind: config.addresses.into_iter().collect(),
			..EndpointConfig::new(config.secret_key)
		},
		memory.clone(),
	)
	.await?;
	for lookup in config.address_lookups {
		if let Err(error) = lookup.add_to(&endpoint) {
			endpoint.close().await;
			return Err(error.into());
		}
	}
	let started_ms = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
	let identity = Identity {
		network,
		started_ms,
		nonce: rand::random(),
	};
	let local = LocalNode::new(network, endpoint.clone());
	let peers = Peers::new(
		endpoint,
		memory.clone(),
		identity,
		tasks.clone(),
		Limits::default(),
	);
	tasks.spawn(
		"network.metrics",
		super::metrics::count(network, peers.clone(), tasks.clone()),
	);
	let discovery = discovery::Discovery::start(
		local.clone(),
		started_ms,
		discovery_config,
		peers.clone(),
		memory,
		&tasks,
	);
	let streams = streams::Streams::new(
		network,
		streams_config,
		peers.clone(),
		discovery.clone(),
		tasks.clone(),
	);
	tracing::debug!(network = %network.short(), id = %local.id().short(), "node is up");
	guard.disarm();
	Ok(Network::from_node(Node {
		local,
		discovery,
		streams,
		peers,
		tasks,
	}))
}

#[cfg(feature = "prometheus")]
async fn serve_metrics(addr: Option<SocketAddr>, tasks: &Tasks) -> Result<(), NetworkError> {
	let Some(addr) = addr else { return Ok(()) };
	// Before any metric is made: handles made earlier count nowhere.
	let handle = super::prometheus::install().map_err(NetworkError::Prometheus)?;
	super::prometheus::serve(addr, handle, tasks)
		.await
		.map_err(NetworkError::Prometheus)
}

#[cfg(not(feature = "prometheus"))]
#[expect(clippy::unused_async, reason = "the same shape as with the feature")]
async fn serve_metrics(addr: Option<SocketAddr>, _: &Tasks) -> Result<(), NetworkError> {
	match addr {
		None => Ok(()),
		Some(_) => Err(NetworkError::Prometheus(
			"the feature `prometheus` is off".to_owned(),
		)),
	}
}
