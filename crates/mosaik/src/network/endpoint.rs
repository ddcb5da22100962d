//! The iroh endpoint: how a node binds, and where it can be dialled.
//!
//! Nothing here waits for the internet. The endpoint is up when its sockets are
//! bound; relays are contacted by iroh in the background, and
//! `Endpoint::online` is never awaited because it does not return offline.

use {
	super::ALPN,
	iroh::{
		Endpoint, EndpointAddr, RelayMode, SecretKey, TransportAddr,
		address_lookup::MemoryLookup,
		dns::DnsResolver,
		endpoint::{
			BindError, IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets,
		},
	},
	std::{
		net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
		time::Duration,
	},
};

/// After how long without a sign of life a connection is lost.
pub(crate) const QUIC_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a connection and each of its paths show a sign of life. Four may
/// be lost before [`QUIC_IDLE_TIMEOUT`].
pub(crate) const QUIC_KEEP_ALIVE: Duration = Duration::from_millis(2_500);

/// How many lanes a peer may have open to this node. Opening more waits.
pub(crate) const MAX_LANES_PER_PEER: u32 = 1_024;

/// How much a peer may send on one lane ahead of its reader, in bytes. At
/// 100 ms round trip this is 12.5 MB/s per lane.
///
/// Not more, because noq 1.4 ends the whole *connection* ("too many gaps in
/// stream buffer") when one stream holds more than 2,048 unread packets: its
/// buffer never merges packets that are mostly payload. Bulk data fills this
/// window with about 1,100 packets, and packets sent twice count twice. Small
/// messages, a packet each, reach the limit long before the window: a protocol
/// whose reader may pause counts its writes (`mosaik_proto::streams::Credit`).
pub(crate) const STREAM_WINDOW: u32 = 1_310_720;

/// How much a peer may send on all its lanes ahead of their readers, in bytes:
/// this bounds what one peer can make this node buffer. Lanes share it, so that
/// 32 lanes whose readers stand still would hold up the others.
pub(crate) const CONNECTION_WINDOW: u32 = 32 * STREAM_WINDOW;

/// How much may wait to be acknowledged by one peer, in bytes. Writing more
/// waits.
pub(crate) const SEND_WINDOW: u64 = 32 * 1024 * 1024;

/// What a round trip is taken for before one was measured. Decides when a lost
/// first packet is sent again; QUIC's own 333 ms costs a second there.
pub(crate) const INITIAL_RTT: Duration = Duration::from_millis(100);

/// How an endpoint is built.
#[derive(Debug, Clone)]
pub(crate) struct EndpointConfig {
	/// The identity of the node.
	pub secret_key: SecretKey,
	/// Which relays to use. Defaults to none: nothing leaves for the internet.
	pub relay_mode: RelayMode,
	/// Which addresses to bind. Empty, the default, is any free port on every
	/// interface, of IPv4 and, where the host has it, of IPv6.
	pub bind: Vec<SocketAddr>,
	/// Whether to ask the router for a port (UPnP, PCP, NAT-PMP). Has an effect
	/// where relays are used and iroh is built with its `portmapper` feature.
	pub map_ports: bool,
	/// Whether names may be resolved by public DNS servers when the system's do
	/// not answer, for nodes that are found through DNS. Relays imply it.
	pub public_dns: bool,
}

impl EndpointConfig {
	/// A node that talks to whom it is told about, and to nobody else.
	pub(crate) fn new(secret_key: SecretKey) -> Self {
		Self {
			secret_key,
			relay_mode: RelayMode::Disabled,
			bind: Vec::new(),
			map_ports: false,
			public_dns: false,
		}
	}
}

/// Why no endpoint could be made. Nothing was left bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
	/// An address of the configuration cannot be bound together with the others:
	/// it is listed twice or is a second default of its family.
	#[error("the address {address} cannot be bound with the others")]
	Address {
		/// The address.
		address: SocketAddr,
		/// What iroh says.
		#[source]
		source: iroh::endpoint::InvalidSocketAddr,
	},
	/// The sockets could not be opened; retry when the port is free.
	#[error("the endpoint could not be bound")]
	Bind(#[from] BindError),
}

/// Binds an endpoint. Takes milliseconds, with or without a network.
pub(crate) async fn bind(
	config: EndpointConfig,
	memory: MemoryLookup,
) -> Result<Endpoint, EndpointError> {
	let mut builder = Endpoint::builder(presets::Minimal)
		.secret_key(config.secret_key)
		.alpns(vec![ALPN.to_vec()])
		.relay_mode(config.relay_mode.clone())
		.portmapper_config(if config.map_ports {
			PortmapperConfig::default()
		} else {
			PortmapperConfig::Disabled
		})
		.transport_config(transport())
		.address_lookup(memory);
	if !config.public_dns && config.relay_mode == RelayMode::Disabled {
		let resolver = DnsResolver::builder()
			.with_system_defaults()
			.disable_fallback()
			.build();
		builder = builder.dns_resolver(resolver);
	}
	if !config.bind.is_empty() {
		// The builder starts with the default sockets, which would stay.
		builder = builder.clear_ip_transports();
	}
	for address in config.bind {
		builder = builder
			.bind_addr(address)
			.map_err(|source| EndpointError::Address { address, source })?;
	}
	Ok(builder.bind().await?)
}

/// The parameters of every connection.
fn transport() -> QuicTransportConfig {
	let idle_ms = u32::try_from(QUIC_IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
	QuicTransportConfig::builder()
		.max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
		.default_path_max_idle_timeout(QUIC_IDLE_TIMEOUT)
		.keep_alive_interval(QUIC_KEEP_ALIVE)
		.default_path_keep_alive_interval(QUIC_KEEP_ALIVE)
		.max_concurrent_bidi_streams(VarInt::from_u32(MAX_LANES_PER_PEER))
		// Lanes are bidirectional and nothing reads the rest: what nobody reads,
		// nobody may send.
		.max_concurrent_uni_streams(VarInt::from_u32(0))
		.datagram_receive_buffer_size(None)
		.stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
		.receive_window(VarInt::from_u32(CONNECTION_WINDOW))
		.send_window(SEND_WINDOW)
		.initial_rtt(INITIAL_RTT)
		.build()
}

/// Where this node can be dialled, as far as it is known now: its relay, the
/// addresses of its interfaces, and those that peers and relays have observed.
/// A host without any interface but the loopback can still be dialled there.
pub(crate) fn dialable_addr(endpoint: &Endpoint) -> EndpointAddr {
	let mut addr = endpoint.addr();
	if addr.ip_addrs().all(|ip| ip.ip().is_loopback()) {
		addr.addrs.extend(loopback_addr(endpoint).addrs);
	}
	addr
}

/// Where programs on the same host can dial this node.
pub(crate) fn loopback_addr(endpoint: &Endpoint) -> EndpointAddr {
	let sockets = endpoint.bound_sockets();
	let loopbacks = sockets
		.into_iter()
		.filter_map(|socket| loopback_of(socket.ip()).map(|ip| (ip, socket.port())));
	EndpointAddr::from_parts(
		endpoint.id(),
		loopbacks.map(|socket| TransportAddr::Ip(socket.into())),
	)
}

/// The loopback address at which a socket bound to `ip` is reached.
const fn loopback_of(ip: IpAddr) -> Option<IpAddr> {
	match ip {
		IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
		IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
		ip if ip.is_loopback() => Some(ip),
		_ => None,
	}
}

#[cfg(test)]
mod tests {
	use {super::*, std::time::Instant};

	#[tokio::test]
	async fn a_node_is_up_at_once_and_can_be_dialled_on_its_host() {
		let config = EndpointConfig::new(SecretKey::generate());
		let before = Instant::now();
		let endpoint = bind(config, MemoryLookup::new()).await.unwrap();
		let addr = dialable_addr(&endpoint);
		assert!(before.elapsed() < Duration::from_secs(1));
		assert!(addr.ip_addrs().next().is_some());
		let loopback = loopback_addr(&endpoint);
		assert!(loopback.ip_addrs().all(|ip| ip.ip().is_loopback()));
		assert!(loopback.ip_addrs().any(|ip| ip.is_ipv4()));
		endpoint.close().await;
	}

	#[tokio::test]
	async fn the_configured_addresses_are_bound_and_no_others() {
		let mut config = EndpointConfig::new(SecretKey::generate());
		config.bind = vec!["127.0.0.1:0".parse().unwrap()];
		let endpoint = bind(config.clone(), MemoryLookup::new()).await.unwrap();
		let sockets = endpoint.bound_sockets();
		assert!(matches!(sockets[..], [socket] if socket.ip().is_loopback()));
		let addr = dialable_addr(&endpoint);
		assert_eq!(addr.ip_addrs().collect::<Vec<_>>(), [&sockets[0]]);

		config.bind = sockets;
		let taken = bind(config, MemoryLookup::new()).await;
		assert!(matches!(taken, Err(EndpointError::Bind(_))));
		endpoint.close().await;
	}

	#[tokio::test]
	async fn an_unreachable_relay_does_not_delay_the_start() {
		let mut config = EndpointConfig::new(SecretKey::generate());
		config.relay_mode = RelayMode::Default;
		let before = Instant::now();
		let endpoint = bind(config, MemoryLookup::new()).await.unwrap();
		assert!(dialable_addr(&endpoint).ip_addrs().next().is_some());
		assert!(before.elapsed() < Duration::from_secs(1));
		endpoint.close().await;
	}
}
