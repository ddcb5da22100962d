//! Taking connections in.
//!
//! Not iroh's router: one handler that panics would take that down with the
//! endpoint. Here each connection has a task of its own.

use {
	super::{
		frame::{FrameReader, ReadError, write_frame},
		hello::{self, BadHello, Control, Hello, Welcome, network_reason},
		link::ControlStream,
		peer::Peers,
		untaken::Untaken,
	},
	iroh::endpoint::{Connection, Incoming},
	mosaik_proto::wire::{CloseCode, WIRE_VERSIONS},
	std::sync::Arc,
	tokio::{
		sync::{OwnedSemaphorePermit, Semaphore},
		time::timeout,
	},
	tracing::debug,
};

/// Accepts connections until the node leaves.
pub(super) async fn run(peers: Peers) {
	let max = peers.limits().max_half_open;
	let half_open = Arc::new(Semaphore::new(max));
	loop {
		let incoming = tokio::select! {
			biased;
			() = peers.closing().cancelled() => break,
			incoming = peers.endpoint().accept() => incoming,
		};
		let Some(incoming) = incoming else { break };
		let Ok(permit) = half_open.clone().try_acquire_owned() else {
			debug!("too many handshakes are under way");
			incoming.refuse();
			continue;
		};
		// When it gets crowded, a caller must first show that it is where it
		// says: that costs it a round trip and us nothing.
		if half_open.available_permits() < max / 2 && !incoming.remote_addr_validated() {
			// Fails for an address that is validated, which was just checked.
			let _ = incoming.retry();
			continue;
		}
		peers
			.tasks()
			.spawn("network::handshake", greet(peers.clone(), incoming, permit));
	}
}

/// Takes one connection through the handshake and the hello.
async fn greet(peers: Peers, incoming: Incoming, _permit: OwnedSemaphorePermit) {
	let patience = peers.limits().hello_timeout;
	let Ok(accepting) = incoming.accept() else {
		return;
	};
	let Ok(Ok(conn)) = timeout(patience, accepting).await else {
		return;
	};
	let untaken = Untaken::new(conn);
	match welcome(&peers, untaken.conn()).await {
		Ok(()) => untaken.taken(),
		Err(Refusal { code, reason }) => untaken.refuse(code, &reason),
	}
}

/// Why a connection is not taken.
struct Refusal {
	code: CloseCode,
	reason: String,
}

fn refusal(code: CloseCode, reason: impl Into<String>) -> Refusal {
	let reason = reason.into();
	Refusal { code, reason }
}

async fn welcome(peers: &Peers, conn: &Connection) -> Result<(), Refusal> {
	let peer = conn.remote_id();
	let patience = peers.limits().hello_timeout;
	let (mut control, message) = timeout(patience, first_message(conn))
		.await
		.unwrap_or_else(|_| Err(refusal(CloseCode::Cancelled, "no hello came in time")))?;
	let (hello, version) = Hello::decode(&message).map_err(|bad| match bad {
		BadHello::Malformed => violation("that is no hello"),
		BadHello::Versions(theirs) => refusal(
			CloseCode::UnsupportedVersion,
			format!("this node speaks {WIRE_VERSIONS:?}, not {theirs:?}"),
		),
	})?;
	if hello.network != *peers.network() {
		let reason = network_reason(peers.network());
		return Err(refusal(CloseCode::DifferentNetwork, reason));
	}

	let answer = Welcome {
		version,
		incarnation: peers.incarnation(),
	};
	let answer = answer.encode();
	let refused = |code| refusal(code, "no room, or another connection is used");
	if peers.decides(&peer) {
		return peers
			.take_inbound(conn, &hello, control, answer)
			.map_err(refused);
	}
	peers.admits(&peer).map_err(refused)?;
	let decided = async {
		// Fails when the connection is gone, and reading says so.
		let _ = write_frame(&mut control.send, answer).await;
		control.recv.next(hello::LIMIT).await
	};
	match timeout(patience, decided).await {
		Ok(Ok(Some(message))) if Control::decode(&message) == Some(Control::Ready) => peers
			.take_decided(conn, hello.incarnation, false, control)
			.map_err(refused),
		Ok(Ok(_)) => Err(violation("the welcome was not confirmed")),
		Ok(Err(_)) => Err(refusal(CloseCode::Cancelled, "the dialler gave up")),
		Err(_) => Err(refusal(
			CloseCode::Cancelled,
			"the welcome was not confirmed in time",
		)),
	}
}

/// The first frame of the first stream.
async fn first_message(conn: &Connection) -> Result<(ControlStream, bytes::Bytes), Refusal> {
	let gone = || refusal(CloseCode::Cancelled, "the dialler gave up");
	let (send, recv) = conn.accept_bi().await.map_err(|_| gone())?;
	let mut recv = FrameReader::new(recv);
	match recv.next(hello::LIMIT).await {
		Ok(Some(message)) => Ok((ControlStream { send, recv }, message)),
		Err(ReadError::Lost { .. }) => Err(gone()),
		Ok(None) | Err(_) => Err(violation("that is no hello")),
	}
}

fn violation(reason: &'static str) -> Refusal {
	refusal(CloseCode::ProtocolViolation, reason)
}
