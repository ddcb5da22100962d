//! The handle of a node: its parts, and how it leaves.

use {
	super::{
		Error, LocalNode, NetworkBuilder,
		peer::{PathInfo, Peers},
	},
	crate::{discovery::Discovery, runtime::tasks::Tasks, streams::Streams},
	mosaik_proto::{
		PeerId,
		id::{NetworkId, ShortFmtExt},
		wire::CloseCode,
	},
	std::{fmt, sync::Arc},
};

/// The parts of a node. Tasks of the node hold parts of it, never all.
pub(super) struct Node {
	pub(super) local: LocalNode,
	pub(super) discovery: Discovery,
	pub(super) streams: Streams,
	pub(super) peers: Peers,
	pub(super) tasks: Tasks,
}

impl Node {
	/// Leaves: producers deliver what they hold, the departure is announced,
	/// sockets are closed, every task ends. A second or so at most.
	async fn shutdown(&self) {
		self.streams.close();
		// Its connections are closed with the rest: not before all has arrived.
		tokio::join!(self.streams.drained(), self.discovery.leave());
		self.tasks.cancel();
		// A producer may have been made meanwhile.
		self.streams.close();
		self.tasks.shutdown().await;
		self.peers.shutdown(CloseCode::GracefulShutdown).await;
	}
}

/// Runs the shutdown when the last handle is dropped.
struct Leave(Option<Node>);

impl Drop for Leave {
	fn drop(&mut self) {
		if let Some(node) = self.0.take() {
			let tasks = node.tasks.clone();
			tasks.run_shutdown(async move { node.shutdown().await });
		}
	}
}

/// A node of a network. Cheap to clone; when the last clone is dropped, it
/// leaves gracefully in the background.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mosaik::*;
///
/// let network = Network::new("my-app").await?;
/// println!("{} in {}", network.local().id(), network.network_id());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Network(Arc<Leave>);

impl Network {
	/// Joins the network of that name with the defaults.
	///
	/// Returns as soon as this node can be dialled, with or without internet;
	/// others are found in the background.
	///
	/// # Errors
	/// When no socket could be bound.
	pub async fn new(id: impl Into<NetworkId>) -> Result<Self, Error> {
		Self::builder(id).build().await
	}

	/// Configures a node of the network of that name.
	pub fn builder(id: impl Into<NetworkId>) -> NetworkBuilder {
		NetworkBuilder::default().with_network_id(id)
	}

	pub(super) fn from_node(node: Node) -> Self {
		Self(Arc::new(Leave(Some(node))))
	}

	fn node(&self) -> &Node {
		// Taken by `drop` only, when nobody can call this any more.
		self.0
			.0
			.as_ref()
			.expect("a network has its node until it is dropped")
	}

	/// The id of the network.
	pub fn network_id(&self) -> &NetworkId {
		self.local().network_id()
	}

	/// This node: its identity and addresses.
	pub fn local(&self) -> &LocalNode {
		&self.node().local
	}

	/// Who else is in the network.
	pub fn discovery(&self) -> &Discovery {
		&self.node().discovery
	}

	/// Typed publish and subscribe.
	pub fn streams(&self) -> &Streams {
		&self.node().streams
	}

	/// Resolves when this node can be dialled: at once.
	pub async fn online(&self) {
		self.local().online().await;
	}

	/// Leaves the network and waits until every task has ended and every
	/// connection is closed, about a second at most; the ports are free when the
	/// last handle is dropped. What is used afterwards fails with an
	/// error that says so. May be called more than once.
	pub async fn shutdown(&self) {
		self.node().shutdown().await;
	}

	/// The path to a peer that this node is connected to.
	pub fn path(&self, peer: &PeerId) -> Option<PathInfo> {
		self.node().peers.path(peer)
	}
}

impl fmt::Debug for Network {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Network")
			.field("id", &self.network_id().short())
			.field("local", &self.local().id().short())
			.finish_non_exhaustive()
	}
}
