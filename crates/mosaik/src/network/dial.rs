//! Dialling a peer, once for everybody who wants it.

use {
	super::{
		ALPN,
		error::OpenError,
		frame::{FrameReader, ReadError, write_frame},
		hello::{self, Control, Welcome},
		link::{ControlStream, Link},
		peer::Peers,
		untaken::Untaken,
	},
	iroh::endpoint::{ConnectError, ConnectingError, Connection, ConnectionError},
	mosaik_proto::{EndpointAddr, wire::CloseCode},
	std::{fmt, sync::Arc},
	tokio::{
		sync::watch,
		time::{Instant, timeout},
	},
	tracing::debug,
};

/// A dial under way.
pub(super) struct Dial {
	pub(super) addr: EndpointAddr,
	pub(super) started: Instant,
	outcome: watch::Sender<Outcome>,
}

/// What became of a dial.
#[derive(Clone)]
pub(super) enum Outcome {
	Pending,
	/// There is a connection, of this dial or of the peer's.
	Up(Arc<Link>),
	Failed(OpenError),
	/// Somebody knows that this dial leads nowhere: start another one.
	Abandoned,
}

impl Dial {
	pub(super) fn new(addr: EndpointAddr) -> Self {
		Self {
			addr,
			started: Instant::now(),
			outcome: watch::Sender::new(Outcome::Pending),
		}
	}

	/// Sets the outcome; the first one counts.
	pub(super) fn resolve(&self, outcome: Outcome) {
		self.outcome.send_if_modified(|current| {
			let pending = matches!(current, Outcome::Pending);
			if pending {
				*current = outcome;
			}
			pending
		});
	}

	/// Waits for the outcome.
	pub(super) async fn resolved(&self) -> Outcome {
		let mut outcome = self.outcome.subscribe();
		let resolved = outcome.wait_for(|outcome| !matches!(outcome, Outcome::Pending));
		// Fails when the sender is gone, but `self` holds it.
		resolved
			.await
			.map_or(Outcome::Abandoned, |outcome| outcome.clone())
	}

	/// Dials until there is an outcome.
	pub(super) async fn run(self: Arc<Self>, peers: Peers) {
		// However this task ends, nobody waits for ever.
		let _unblock = Unblock {
			dial: &self,
			peers: &peers,
		};
		tokio::select! {
			biased;
			// Dropping the attempt closes its connection.
			_ = self.resolved() => {}
			() = self.attempts(&peers) => {}
		}
	}

	async fn attempts(self: &Arc<Self>, peers: &Peers) {
		let mut result = self.attempt(peers, false).await;
		if let Err(OpenError::Refused {
			code: CloseCode::Superseded,
			..
		}) = result
		{
			// The peer is dialling us: its connection resolves this dial. If it
			// does not come, insist.
			tokio::time::sleep(peers.limits().race_window).await;
			result = self.attempt(peers, true).await;
		}
		match result {
			Ok(()) => peers.remember(&self.addr),
			Err(error) => {
				debug!(peer = %self.addr.id.fmt_short(), %error, "a dial failed");
				peers.dial_failed(self, error);
			}
		}
	}

	async fn attempt(self: &Arc<Self>, peers: &Peers, insist: bool) -> Result<(), OpenError> {
		let limits = peers.limits();
		let connect = peers.endpoint().connect(self.addr.clone(), ALPN);
		let conn = timeout(limits.connect_timeout, connect)
			.await
			.map_err(|_| OpenError::Timeout)?
			.map_err(|error| connect_error(error, peers))?;
		let untaken = Untaken::new(conn);
		let greeted = timeout(limits.hello_timeout, greet(untaken.conn(), peers, insist)).await;
		let (welcome, control) = match greeted {
			Ok(Ok(greeted)) => greeted,
			Ok(Err(error)) => {
				let (code, reason) = match &error {
					OpenError::Refused { code, reason } => (*code, reason.as_str()),
					_ => (CloseCode::Cancelled, "the connection was not welcomed"),
				};
				untaken.refuse(code, reason);
				return Err(error);
			}
			Err(_) => {
				untaken.refuse(CloseCode::Cancelled, "no welcome came in time");
				return Err(OpenError::Timeout);
			}
		};
		let conn = untaken.conn();
		let taken = if peers.decides(&self.addr.id) {
			let ready = Control::Ready.encode();
			peers.take_outbound(self, conn, welcome.incarnation, control, ready)
		} else {
			peers.take_decided(conn, welcome.incarnation, true, control)
		};
		match taken {
			Ok(()) => {
				untaken.taken();
				Ok(())
			}
			Err(code) => {
				untaken.refuse(code, "not taken");
				Err(match code {
					CloseCode::Overloaded => OpenError::Overloaded,
					CloseCode::Superseded => OpenError::Lost,
					_ => OpenError::ShuttingDown,
				})
			}
		}
	}
}

impl fmt::Debug for Dial {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Dial")
			.field("addr", &self.addr)
			.field("started", &self.started)
			.finish_non_exhaustive()
	}
}

/// Fails a dial whose task is dropped, because the node stops or by a panic.
struct Unblock<'a> {
	dial: &'a Arc<Dial>,
	peers: &'a Peers,
}

impl Drop for Unblock<'_> {
	fn drop(&mut self) {
		// No effect where there is an outcome.
		let error = if self.peers.tasks().token().is_cancelled() {
			OpenError::ShuttingDown
		} else {
			OpenError::Lost
		};
		self.peers.dial_failed(self.dial, error);
	}
}

/// Says hello and waits for the welcome.
async fn greet(
	conn: &Connection,
	peers: &Peers,
	insist: bool,
) -> Result<(Welcome, ControlStream), OpenError> {
	let lost = |error: &ConnectionError| {
		OpenError::from_close(error, *peers.network()).unwrap_or(OpenError::Lost)
	};
	let (mut send, recv) = conn.open_bi().await.map_err(|error| lost(&error))?;
	let mut recv = FrameReader::new(recv);
	// If the peer has closed the connection already, reading tells why.
	let _ = write_frame(&mut send, peers.hello(insist).encode()).await;
	let answer = match recv.next(hello::LIMIT).await {
		Ok(Some(answer)) => Welcome::decode(&answer),
		Err(ReadError::Lost { source, .. }) => return Err(lost(&source)),
		Err(ReadError::TooLong(_)) => None,
		// A peer that refuses lets go of the stream just before it says why.
		Ok(None) | Err(_) => return Err(lost(&conn.closed().await)),
	};
	let welcome = answer.ok_or_else(|| OpenError::Refused {
		code: CloseCode::ProtocolViolation,
		reason: "the answer to the hello is no welcome".to_owned(),
	})?;
	Ok((welcome, ControlStream { send, recv }))
}

fn connect_error(error: ConnectError, peers: &Peers) -> OpenError {
	let closed = match &error {
		ConnectError::Connection { source, .. }
		| ConnectError::Connecting {
			source: ConnectingError::ConnectionError { source, .. },
			..
		} => OpenError::from_close(source, *peers.network()),
		_ if peers.endpoint().is_closed() => Some(OpenError::ShuttingDown),
		_ => None,
	};
	closed.unwrap_or_else(|| OpenError::Dial(Arc::new(error)))
}
