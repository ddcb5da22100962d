//! Why a peer cannot be talked to.

use {
	super::{frame::close_code, hello::network_of_reason},
	iroh::endpoint::{ConnectError, ConnectionError, TransportErrorCode},
	mosaik_proto::{id::NetworkId, wire::CloseCode},
	std::sync::Arc,
};

/// Why no lane could be opened. Nothing was sent to the peer's protocol.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
	/// The peer cannot be dialled: no address is known, or none answers as this
	/// peer. Retry when there are others.
	#[error("the peer cannot be dialled")]
	Dial(#[source] Arc<ConnectError>),
	/// The peer did not answer in time. Retry later; if it may have restarted,
	/// after [`Peers::disconnect`](super::peer::Peers::disconnect).
	#[error("the peer did not answer in time")]
	Timeout,
	/// The peer belongs to another network. Retrying is of no use.
	#[error("the peer belongs to another network ({theirs:?}) than this node ({ours})")]
	DifferentNetwork {
		/// The network of this node.
		ours: NetworkId,
		/// The network of the peer, if it said.
		theirs: Option<NetworkId>,
	},
	/// The peer speaks no wire version that this node does. Retrying is of no
	/// use until one of them is updated.
	#[error("the peer speaks no version of the protocol that this node does: {reason}")]
	UnsupportedVersion {
		/// What the peer said.
		reason: String,
	},
	/// The peer closed the connection instead of taking it, or its hello was
	/// nonsense. Whether to retry depends on the code.
	#[error("the peer refused the connection: {code}, {reason}")]
	Refused {
		/// The code the peer closed with.
		code: CloseCode,
		/// What the peer said.
		reason: String,
	},
	/// The connection ended again and again before the lane was open. Retry
	/// later.
	#[error("the connection was lost while the lane was opened")]
	Lost,
	/// This node or the peer is at a limit of connections or lanes. Retry later.
	#[error("too many connections or lanes")]
	Overloaded,
	/// This node leaves. Do not retry.
	#[error("the node is shutting down")]
	ShuttingDown,
}

impl OpenError {
	/// What the end of a connection means to the one who dialled it.
	pub(super) fn from_close(error: &ConnectionError, ours: NetworkId) -> Option<Self> {
		match error {
			ConnectionError::ApplicationClosed(close) => {
				let code = close_code(close.error_code);
				let reason = String::from_utf8_lossy(&close.reason).into_owned();
				Some(match code {
					CloseCode::DifferentNetwork => Self::DifferentNetwork {
						ours,
						theirs: network_of_reason(&reason),
					},
					CloseCode::UnsupportedVersion => Self::UnsupportedVersion { reason },
					CloseCode::Overloaded => Self::Overloaded,
					code => Self::Refused { code, reason },
				})
			}
			ConnectionError::ConnectionClosed(close)
				if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
			{
				Some(Self::Overloaded)
			}
			ConnectionError::TimedOut => Some(Self::Timeout),
			_ => None,
		}
	}
}

impl OpenError {
	/// What the peer, or this side, would give as the reason.
	pub(crate) const fn code(&self) -> Option<CloseCode> {
		match self {
			Self::DifferentNetwork { .. } => Some(CloseCode::DifferentNetwork),
			Self::UnsupportedVersion { .. } => Some(CloseCode::UnsupportedVersion),
			Self::Refused { code, .. } => Some(*code),
			Self::Overloaded => Some(CloseCode::Overloaded),
			Self::ShuttingDown => Some(CloseCode::GracefulShutdown),
			Self::Dial(_) | Self::Timeout | Self::Lost => None,
		}
	}
}
