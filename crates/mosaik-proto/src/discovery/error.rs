//! What can go wrong with entries and exchanges of them.

use crate::{PeerId, id::NetworkId};

/// Why a discovery operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
	/// The node shut down meanwhile. Nothing was changed.
	#[error("the node is shutting down")]
	Cancelled,
	/// The other side belongs to another network; nothing was exchanged.
	#[error("the peer belongs to network {remote_network}, this node to {local_network}")]
	DifferentNetwork {
		/// This node's network.
		local_network: NetworkId,
		/// The peer's network.
		remote_network: NetworkId,
	},
	/// An entry was to be signed with the key of another peer: the entry's peer
	/// and the key's.
	#[error("the entry is of peer {0}, the secret key belongs to {1}")]
	InvalidSecretKey(PeerId, PeerId),
	/// The entry was not signed by the peer it describes.
	#[error("the entry was not signed by the peer it describes")]
	InvalidSignature,
	/// An address was to be replaced by the address of another peer.
	#[error("the entry is of peer {0}, the address belongs to {1}")]
	PeerIdChanged(PeerId, PeerId),
	/// The peer could not be reached or broke off; it is safe to try again.
	#[error("the exchange with the peer failed")]
	Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Box<dyn std::error::Error + Send + Sync>> for Error {
	fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
		Self::Other(error)
	}
}
