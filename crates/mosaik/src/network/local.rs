//! This node: its identity and where it can be reached.

use {
	super::endpoint::dialable_addr,
	iroh::Endpoint,
	mosaik_proto::{
		EndpointAddr, PeerId, SecretKey,
		id::{NetworkId, ShortFmtExt},
	},
	std::fmt,
};

/// This node's identity and addresses. Cheap to clone.
#[derive(Clone)]
pub struct LocalNode {
	network: NetworkId,
	endpoint: Endpoint,
}

impl LocalNode {
	pub(super) const fn new(network: NetworkId, endpoint: Endpoint) -> Self {
		Self { network, endpoint }
	}

	/// This node's id: the public half of its key.
	pub fn id(&self) -> PeerId {
		self.endpoint.id()
	}

	/// The network it belongs to.
	pub const fn network_id(&self) -> &NetworkId {
		&self.network
	}

	/// Where it can be dialled, as far as is known now. A relay and addresses
	/// seen from outside are added when they become known.
	pub fn addr(&self) -> EndpointAddr {
		dialable_addr(&self.endpoint)
	}

	/// Its key.
	pub fn secret_key(&self) -> &SecretKey {
		self.endpoint.secret_key()
	}

	/// The QUIC endpoint, for its metrics and for protocols of your own. Leave
	/// its ALPNs and closing it to mosaik.
	pub const fn endpoint(&self) -> &Endpoint {
		&self.endpoint
	}

	/// Resolves when the node can be dialled: at once, since it is bound.
	#[expect(clippy::unused_async, reason = "the contract has it async")]
	pub async fn online(&self) {}
}

impl fmt::Debug for LocalNode {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("LocalNode")
			.field("id", &self.id().short())
			.field("network", &self.network.short())
			.finish_non_exhaustive()
	}
}

impl fmt::Display for LocalNode {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{}", self.id())
	}
}
