//! Nodes that talk over the loopback interface.

use {
	super::{
		ALPN, Protocol,
		endpoint::{EndpointConfig, bind, loopback_addr},
		error::OpenError,
		frame::{FrameReader, ReadError, WriteError, close_code, write_frame, write_frames},
		hello::{Control, Hello, Incarnation, Welcome},
		link::Lane,
		peer::{Identity, Incoming, Limits, PeerEvent, Peers},
	},
	crate::runtime::tasks::Tasks,
	bytes::Bytes,
	futures::future::join_all,
	iroh::{
		Endpoint, SecretKey,
		address_lookup::MemoryLookup,
		endpoint::{Connection, ConnectionError, presets},
	},
	mosaik_proto::{
		EndpointAddr,
		id::NetworkId,
		wire::{CloseCode, MAX_DATUM},
	},
	std::time::Duration,
	tokio::{
		sync::broadcast,
		time::{Instant, timeout},
	},
};

/// Longer than anything here may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
	peers: Peers,
	tasks: Tasks,
	addr: EndpointAddr,
}

#[derive(Clone)]
struct Setup {
	key: SecretKey,
	network: &'static str,
	nonce: u64,
	limits: Limits,
}

impl Setup {
	fn new() -> Self {
		Self {
			key: SecretKey::generate(),
			network: "test",
			nonce: 1,
			limits: Limits::default(),
		}
	}

	/// Two setups of which the first has the smaller id.
	fn ordered() -> (Self, Self) {
		let (a, b) = (Self::new(), Self::new());
		if a.key.public() < b.key.public() {
			(a, b)
		} else {
			(b, a)
		}
	}

	async fn start(&self) -> Node {
		let mut config = EndpointConfig::new(self.key.clone());
		config.bind = vec!["127.0.0.1:0".parse().unwrap()];
		let memory = MemoryLookup::new();
		let endpoint = bind(config, memory.clone()).await.unwrap();
		let addr = loopback_addr(&endpoint);
		let tasks = Tasks::new();
		let identity = Identity {
			network: self.network.into(),
			started_ms: 1_000 + self.nonce,
			nonce: self.nonce,
		};
		let peers = Peers::new(endpoint, memory, identity, tasks.clone(), self.limits);
		Node { peers, tasks, addr }
	}
}

/// A node on a runtime of its own, which can be killed.
struct Mortal {
	node: Node,
	runtime: tokio::runtime::Runtime,
}

impl Setup {
	/// Starts a node that echoes and can be killed.
	async fn start_mortal(&self) -> Mortal {
		let runtime = tokio::runtime::Builder::new_multi_thread()
			.worker_threads(1)
			.enable_all()
			.build()
			.unwrap();
		let setup = self.clone();
		let start = async move {
			let node = setup.start().await;
			node.echo();
			node
		};
		let node = runtime.spawn(start).await.unwrap();
		Mortal { node, runtime }
	}
}

impl Mortal {
	/// Ends the node as a crash would: no task says goodbye.
	fn vanish(self) {
		self.runtime.shutdown_background();
	}
}

impl Node {
	async fn new() -> Self {
		Setup::new().start().await
	}

	/// Sends every frame of every lane back.
	fn echo(&self) {
		let mut lanes = self.peers.accept(Protocol::Streams);
		let tasks = self.tasks.clone();
		self.tasks.spawn("echo", async move {
			while let Some(Incoming { lane, .. }) = lanes.recv().await {
				tasks.spawn("echo lane", async move {
					let Lane {
						mut send,
						mut recv,
						guard: _guard,
					} = lane;
					while let Ok(Some(frame)) = recv.next(MAX_DATUM).await {
						if write_frame(&mut send, frame).await.is_err() {
							break;
						}
					}
				});
			}
		});
	}

	async fn open(&self, to: &Self) -> Result<Lane, OpenError> {
		let open = self.peers.open(to.addr.clone(), Protocol::Streams);
		timeout(PATIENCE, open).await.expect("open returns")
	}

	async fn stop(self) {
		let stop = async {
			self.peers.shutdown(CloseCode::GracefulShutdown).await;
			self.tasks.shutdown().await;
		};
		timeout(PATIENCE, stop).await.expect("the node stops");
		assert_eq!(self.tasks.len(), 0);
	}
}

async fn ping(lane: &mut Lane, payload: &[u8]) -> Result<(), ReadError> {
	// A failure shows when reading.
	let _ = write_frame(&mut lane.send, Bytes::copy_from_slice(payload)).await;
	let answer = timeout(PATIENCE, lane.recv.next(MAX_DATUM))
		.await
		.unwrap()?;
	assert_eq!(answer.as_deref(), Some(payload));
	Ok(())
}

async fn event(events: &mut broadcast::Receiver<PeerEvent>) -> PeerEvent {
	timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

/// Waits until something that another task brings about is so.
async fn until(mut so: impl FnMut() -> bool) {
	let deadline = Instant::now() + PATIENCE;
	while !so() {
		assert!(Instant::now() < deadline, "it never came about");
		tokio::task::yield_now().await;
	}
}

/// An endpoint that speaks the ALPN and nothing else.
async fn stranger() -> Endpoint {
	Endpoint::builder(presets::Minimal)
		.alpns(vec![ALPN.to_vec()])
		.clear_ip_transports()
		.bind_addr("127.0.0.1:0")
		.unwrap()
		.bind()
		.await
		.unwrap()
}

async fn close_of(conn: &Connection) -> (CloseCode, String) {
	match timeout(PATIENCE, conn.closed()).await.unwrap() {
		ConnectionError::ApplicationClosed(close) => (
			close_code(close.error_code),
			String::from_utf8_lossy(&close.reason).into_owned(),
		),
		other => panic!("closed by {other}"),
	}
}

#[tokio::test]
async fn a_lane_carries_frames_both_ways() {
	let (a, b) = (Node::new().await, Node::new().await);
	b.echo();
	let mut lane = a.open(&b).await.unwrap();
	for size in [0, 1, 100, 1_000_000] {
		ping(&mut lane, &vec![7; size]).await.unwrap();
	}
	// Both ends know a secret, and each whom it talks to.
	assert_eq!(lane.peer(), b.peers.id());
	assert!(lane.guard.export_keying_material(b"l", b"c").is_some());
	assert_eq!(b.peers.connected(), [a.peers.id()]);
	let path = a.peers.path(&b.peers.id()).unwrap();
	assert!(!path.relay && path.rtt < Duration::from_secs(1), "{path:?}");
	let address = b.addr.ip_addrs().next().unwrap().to_string();
	assert!(path.remote.ends_with(&address), "{path:?}");

	// The end is clean, also when it is looked at again.
	lane.send.finish().unwrap();
	assert!(lane.recv.next(10).await.unwrap().is_none());
	assert!(lane.recv.next(10).await.unwrap().is_none());
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn what_has_arrived_is_read_without_waiting() {
	let (a, b) = (Node::new().await, Node::new().await);
	let mut lanes = b.peers.accept(Protocol::Streams);
	let mut lane = a.open(&b).await.unwrap();
	let mut batch = vec![Bytes::from_static(b"\x03\0\0\0abc"); 1_000];
	write_frames(&mut lane.send, &mut batch).await.unwrap();
	lane.send.finish().unwrap();
	let mut theirs = lanes.recv().await.unwrap().lane;
	let mut seen = 0;
	while let Some(frame) = theirs.recv.next(3).await.unwrap() {
		assert_eq!(&frame[..], b"abc");
		seen += 1;
		while theirs.recv.try_buffered(3).unwrap().is_some() {
			seen += 1;
		}
	}
	assert_eq!(seen, 1_000);
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn networks_do_not_mix_and_say_so() {
	let (a, mut other) = (Node::new().await, Setup::new());
	other.network = "other";
	let b = other.start().await;
	for (from, to, ours, theirs) in [(&a, &b, "test", "other"), (&b, &a, "other", "test")] {
		match from.open(to).await {
			Err(OpenError::DifferentNetwork { ours: o, theirs: t }) => {
				assert_eq!((o, t), (ours.into(), Some(theirs.into())));
			}
			other => panic!("{other:?}"),
		}
	}
	assert!(a.peers.connected().is_empty() && b.peers.connected().is_empty());
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn a_bad_hello_is_refused_with_its_code() {
	let node = Node::new().await;
	node.echo();
	let hello = Hello {
		versions: 1..=1,
		network: "test".into(),
		incarnation: Incarnation {
			started_ms: 0,
			nonce: 0,
		},
		insist: false,
	};
	let framed = |bytes: &[u8]| {
		let mut frame = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
		frame.extend_from_slice(bytes);
		frame
	};
	let mut wrong_magic = hello.encode().to_vec();
	wrong_magic[0] = b'M';
	let future = Hello {
		versions: 7..=9,
		..hello.clone()
	};
	let elsewhere = Hello {
		network: NetworkId::zero(),
		..hello
	};
	let cases = [
		(
			b"GET / HTTP/1.1\r\n\r\n".to_vec(),
			CloseCode::ProtocolViolation,
		),
		(vec![0xff; 100], CloseCode::ProtocolViolation),
		(vec![0, 0, 0, 0], CloseCode::ProtocolViolation),
		(framed(&wrong_magic), CloseCode::ProtocolViolation),
		(framed(&future.encode()), CloseCode::UnsupportedVersion),
		(framed(&elsewhere.encode()), CloseCode::DifferentNetwork),
	];
	for (bytes, code) in cases {
		let stranger = stranger().await;
		let conn = stranger.connect(node.addr.clone(), ALPN).await.unwrap();
		let (mut send, mut recv) = conn.open_bi().await.unwrap();
		send.write_all(&bytes).await.unwrap();
		assert_eq!(close_of(&conn).await.0, code, "{bytes:?}");
		assert!(recv.read_to_end(100).await.is_err(), "nothing was answered");
		stranger.close().await;
	}

	// An empty stream and one that is never opened.
	let stranger = stranger().await;
	let conn = stranger.connect(node.addr.clone(), ALPN).await.unwrap();
	conn.open_bi().await.unwrap().0.finish().unwrap();
	assert_eq!(close_of(&conn).await.0, CloseCode::ProtocolViolation);
	stranger.close().await;

	let friend = Node::new().await;
	ping(&mut friend.open(&node).await.unwrap(), b"still here")
		.await
		.unwrap();
	assert_eq!(node.tasks.panicked(), 0);
	friend.stop().await;
	node.stop().await;
}

#[tokio::test]
async fn a_silent_caller_is_dropped() {
	let mut setup = Setup::new();
	setup.limits.hello_timeout = Duration::from_millis(50);
	let node = setup.start().await;
	let stranger = stranger().await;
	let conn = stranger.connect(node.addr.clone(), ALPN).await.unwrap();
	assert_eq!(close_of(&conn).await.0, CloseCode::Cancelled);
	stranger.close().await;
	node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_dials_end_with_one_connection() {
	for _ in 0..5 {
		let (a, b) = (Node::new().await, Node::new().await);
		a.echo();
		b.echo();
		let mut events = a.peers.events();
		let talk = async |from: &Node, to: &Node| {
			let mut lane = from.open(to).await.unwrap();
			ping(&mut lane, b"hello").await.unwrap();
			lane
		};
		let there = join_all((0..50).map(|_| talk(&a, &b)));
		let back = join_all((0..50).map(|_| talk(&b, &a)));
		let started = Instant::now();
		let lanes = futures::join!(there, back);
		assert!(
			started.elapsed() < Duration::from_secs(5),
			"nobody waited long"
		);
		assert!(matches!(
			event(&mut events).await,
			PeerEvent::Connected { .. }
		));
		assert!(events.try_recv().is_err(), "one connection, and it stayed");
		drop(lanes);
		a.stop().await;
		b.stop().await;
	}
}

#[tokio::test]
async fn the_larger_id_gets_through_when_the_smaller_one_dials_in_vain() {
	let (mut small, mut large) = Setup::ordered();
	small.limits.race_window = Duration::from_millis(200);
	large.limits.race_window = Duration::from_millis(200);
	let (small, large) = (small.start().await, large.start().await);
	small.echo();
	let nowhere = stranger().await;
	let dead = loopback_addr(&nowhere);
	nowhere.close().await;
	let dead = EndpointAddr::from_parts(large.peers.id(), dead.addrs);
	let vain = small.peers.open(dead, Protocol::Streams);
	let through = async {
		until(|| !small.peers.is_unknown(&large.peers.id())).await;
		let mut lane = large.open(&small).await.unwrap();
		ping(&mut lane, b"through").await.unwrap();
		lane
	};
	let started = Instant::now();
	let (vain, lane) = futures::join!(vain, through);
	// The dial in vain was given the connection that came in.
	assert_eq!(vain.unwrap().peer(), large.peers.id());
	assert!(started.elapsed() < Duration::from_secs(3));
	drop(lane);
	small.stop().await;
	large.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_opened_again() {
	let mut setup = Setup::new();
	setup.limits.idle_after = Duration::from_millis(50);
	let a = setup.start().await;
	let b = Node::new().await;
	b.echo();
	let mut events = a.peers.events();
	ping(&mut a.open(&b).await.unwrap(), b"one").await.unwrap();
	assert!(matches!(
		event(&mut events).await,
		PeerEvent::Connected { .. }
	));
	assert_eq!(
		event(&mut events).await,
		PeerEvent::Disconnected {
			peer: b.peers.id(),
			code: Some(CloseCode::Idle),
		}
	);
	// By its id alone: the address was remembered.
	let mut lane = a.peers.open(b.peers.id(), Protocol::Streams).await.unwrap();
	ping(&mut lane, b"two").await.unwrap();
	// As long as a lane is open, the connection is: others come and go meanwhile.
	let c = Node::new().await;
	c.echo();
	for _ in 0..3 {
		drop(a.open(&c).await.unwrap());
		let gone = PeerEvent::Disconnected {
			peer: c.peers.id(),
			code: Some(CloseCode::Idle),
		};
		loop {
			match event(&mut events).await {
				PeerEvent::Connected { .. } => {}
				disconnected => {
					assert_eq!(disconnected, gone);
					break;
				}
			}
		}
	}
	ping(&mut lane, b"three").await.unwrap();
	a.stop().await;
	b.stop().await;
	c.stop().await;
}

/// The connection is as short-lived as can be, and no lane ever notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lane_is_lost_to_an_idle_close() {
	let (mut a, mut b) = Setup::ordered();
	a.limits.idle_after = Duration::from_millis(3);
	b.limits.idle_after = Duration::from_millis(3);
	let (a, b) = (a.start().await, b.start().await);
	a.echo();
	b.echo();
	let mut events = a.peers.events();
	let talk = async |from: &Node, to: &Node| {
		let mut lane = from.open(to).await.unwrap();
		ping(&mut lane, b"hello").await.unwrap();
	};
	for round in 0..80 {
		match round % 4 {
			0 => talk(&a, &b).await,
			1 => talk(&b, &a).await,
			_ => drop(futures::join!(talk(&a, &b), talk(&b, &a))),
		}
		// In between nobody has a lane. The next ones are opened when one of the
		// two has just asked to close, when the connection has just gone, or so
		// that they may meet the question on its way.
		let (node, peer) = if round % 8 < 4 { (&a, &b) } else { (&b, &a) };
		if let Some(link) = node.peers.current(&peer.peers.id()) {
			match round % 3 {
				0 => timeout(PATIENCE, link.is_waning()).await.unwrap(),
				1 => drop(timeout(PATIENCE, link.conn.closed()).await.unwrap()),
				_ => {}
			}
		}
	}
	let mut closes = 0;
	while let Ok(event) = events.try_recv() {
		if let PeerEvent::Disconnected { code, .. } = event {
			assert!(
				matches!(code, Some(CloseCode::Idle | CloseCode::Superseded)),
				"{code:?}"
			);
			closes += 1;
		}
	}
	assert!(closes >= 20, "only {closes} connections were closed");
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn a_restarted_peer_is_reached_at_once_after_a_disconnect() {
	let (a, mut setup) = (Node::new().await, Setup::new());
	let b = setup.start_mortal().await;
	ping(&mut a.open(&b.node).await.unwrap(), b"one")
		.await
		.unwrap();
	// It vanishes without a word, and comes back on another port.
	b.vanish();
	setup.nonce = 2;
	let b = setup.start().await;
	b.echo();
	a.peers.disconnect(&b.peers.id(), CloseCode::Superseded);
	assert!(a.peers.connected().is_empty());
	let started = Instant::now();
	let mut lane = a.open(&b).await.unwrap();
	ping(&mut lane, b"two").await.unwrap();
	assert!(
		started.elapsed() < Duration::from_secs(1),
		"{:?}",
		started.elapsed()
	);
	assert_eq!(lane.guard.started_ms(), 1_002);
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn a_newer_incarnation_takes_the_place_of_the_old_one() {
	let (small, large) = Setup::ordered();
	// Whether the restarted node is the one that decides or the other one.
	for (stays, mut restarts) in [(small.clone(), large.clone()), (large, small)] {
		let node = stays.start().await;
		node.echo();
		let old = restarts.start().await;
		let mut events = node.peers.events();
		let mut lane = old.open(&node).await.unwrap();
		ping(&mut lane, b"one").await.unwrap();
		let peer = old.peers.id();
		let connected = |started_ms| PeerEvent::Connected { peer, started_ms };
		assert_eq!(event(&mut events).await, connected(1_001));

		restarts.nonce = 2;
		let new = restarts.start().await;
		ping(&mut new.open(&node).await.unwrap(), b"two")
			.await
			.unwrap();
		let code = Some(CloseCode::Superseded);
		assert_eq!(
			event(&mut events).await,
			PeerEvent::Disconnected { peer, code }
		);
		assert_eq!(event(&mut events).await, connected(1_002));
		assert_eq!(ping(&mut lane, b"?").await.unwrap_err().code(), code);
		for node in [node, old, new] {
			node.stop().await;
		}
	}
}

#[tokio::test]
async fn an_oversize_frame_stops_the_lane_and_nothing_else() {
	let (a, b) = (Node::new().await, Node::new().await);
	let mut lanes = b.peers.accept(Protocol::Streams);
	let mut lane = a.open(&b).await.unwrap();
	let header = Bytes::from_static(&[0xff; 4]);
	write_frames(&mut lane.send, &mut [header]).await.unwrap();
	let mut theirs = lanes.recv().await.unwrap().lane;
	for _ in 0..2 {
		let read = theirs.recv.next(100).await;
		assert!(matches!(read, Err(ReadError::TooLong(_))), "{read:?}");
	}
	let written = async {
		loop {
			if let Err(error) = write_frame(&mut lane.send, Bytes::from_static(&[0; 100])).await {
				break error;
			}
			tokio::task::yield_now().await;
		}
	};
	let error = timeout(PATIENCE, written).await.unwrap();
	assert!(
		matches!(error, WriteError::Stopped(CloseCode::ProtocolViolation)),
		"{error}"
	);

	// A frame that is cut off is told apart from one that is whole.
	let mut lane = a.open(&b).await.unwrap();
	write_frames(&mut lane.send, &mut [Bytes::from_static(b"\x05\0\0\0ab")])
		.await
		.unwrap();
	drop(lane);
	let mut theirs = lanes.recv().await.unwrap().lane;
	assert!(matches!(
		theirs.recv.next(5).await,
		Err(ReadError::Truncated)
	));
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn lanes_that_nobody_wants_are_refused_with_the_reason() {
	let (a, mut setup) = (Node::new().await, Setup::new());
	setup.limits.lane_queue = 1;
	let b = setup.start().await;
	let refusal = async |mut lane: Lane| match timeout(PATIENCE, lane.recv.next(10)).await {
		Ok(Err(ReadError::Reset(code))) => code,
		other => panic!("{other:?}"),
	};
	// Nobody has asked for them yet, and one may wait.
	let _first = a.open(&b).await.unwrap();
	let second = a.open(&b).await.unwrap();
	assert_eq!(refusal(second).await, CloseCode::Overloaded);
	let mut lanes = b.peers.accept(Protocol::Streams);
	assert_eq!(lanes.recv().await.unwrap().peer, a.peers.id());
	drop(lanes);
	let third = a.open(&b).await.unwrap();
	assert_eq!(refusal(third).await, CloseCode::UnknownProtocol);

	// A byte that names no protocol, over the same connection.
	let link = a.peers.current(&b.peers.id()).unwrap();
	let (mut send, recv) = link.conn.open_bi().await.unwrap();
	send.write_all(&[99]).await.unwrap();
	let read = FrameReader::new(recv).next(10).await;
	assert_eq!(read.unwrap_err().code(), Some(CloseCode::UnknownProtocol));
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn a_full_node_refuses_peers_and_keeps_those_it_has() {
	let mut setup = Setup::new();
	setup.limits.max_connections = 1;
	let full = setup.start().await;
	full.echo();
	let (a, b) = (Node::new().await, Node::new().await);
	let mut lane = a.open(&full).await.unwrap();
	ping(&mut lane, b"one").await.unwrap();
	assert!(matches!(b.open(&full).await, Err(OpenError::Overloaded)));
	assert!(matches!(full.open(&b).await, Err(OpenError::Overloaded)));
	ping(&mut lane, b"two").await.unwrap();
	for node in [full, a, b] {
		node.stop().await;
	}
}

#[tokio::test]
async fn who_cannot_be_dialled_fails_with_the_reason() {
	let mut setup = Setup::new();
	setup.limits.connect_timeout = Duration::from_millis(200);
	let a = setup.start().await;
	let unknown = SecretKey::generate().public();
	let open = a.peers.open(unknown, Protocol::Streams).await;
	assert!(matches!(open, Err(OpenError::Dial(_))), "{open:?}");
	let open = a.peers.open(a.peers.id(), Protocol::Streams).await;
	assert!(matches!(open, Err(OpenError::Dial(_))), "{open:?}");

	let nowhere = stranger().await;
	let dead = loopback_addr(&nowhere);
	nowhere.close().await;
	let open = a.peers.open(dead.clone(), Protocol::Streams).await;
	assert!(matches!(open, Err(OpenError::Timeout)), "{open:?}");

	// Who joins that dial with a better address is not failed by it.
	let b = Node::new().await;
	b.echo();
	let dead = EndpointAddr::from_parts(b.peers.id(), dead.addrs);
	let (vain, lane) = futures::join!(a.peers.open(dead, Protocol::Streams), a.open(&b));
	assert!(matches!(vain, Err(OpenError::Timeout)), "{vain:?}");
	ping(&mut lane.unwrap(), b"hello").await.unwrap();
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn a_protocol_that_panics_leaves_the_node_alive() {
	let (a, b) = (Node::new().await, Node::new().await);
	let mut lanes = b.peers.accept(Protocol::Discovery);
	let tasks = b.tasks.clone();
	b.tasks.spawn("careless", async move {
		while let Some(incoming) = lanes.recv().await {
			tasks.spawn("careless lane", async move {
				let _lane = incoming.lane;
				panic!("on purpose");
			});
		}
	});
	b.echo();
	let mut lane = a
		.peers
		.open(b.addr.clone(), Protocol::Discovery)
		.await
		.unwrap();
	let end = timeout(PATIENCE, lane.recv.next(10)).await.unwrap();
	assert!(
		matches!(end, Ok(None) | Err(ReadError::Reset(_))),
		"{end:?}"
	);
	ping(&mut a.open(&b).await.unwrap(), b"alive")
		.await
		.unwrap();
	assert_eq!(b.tasks.panicked(), 1);
	a.stop().await;
	b.stop().await;
}

#[tokio::test]
async fn a_node_that_leaves_says_so_and_leaves_nothing() {
	for by_cancel in [false, true] {
		let (a, b) = (Node::new().await, Node::new().await);
		b.echo();
		let mut lane = a.open(&b).await.unwrap();
		ping(&mut lane, b"one").await.unwrap();
		let mut events = a.peers.events();
		let (peers, addr) = (b.peers.clone(), b.addr.clone());
		if by_cancel {
			// As when the last handle is dropped.
			b.tasks.cancel();
			timeout(PATIENCE, b.tasks.shutdown()).await.unwrap();
			assert_eq!(b.tasks.len(), 0);
		} else {
			b.stop().await;
		}
		let code = Some(CloseCode::GracefulShutdown);
		let peer = peers.id();
		assert_eq!(
			event(&mut events).await,
			PeerEvent::Disconnected { peer, code }
		);
		assert_eq!(ping(&mut lane, b"?").await.unwrap_err().code(), code);
		assert_eq!(lane.guard.closed().await, code);
		let open = peers.open(a.addr.clone(), Protocol::Streams).await;
		assert!(matches!(open, Err(OpenError::ShuttingDown)), "{open:?}");
		drop(lane);

		// A dial under way does not hold up the shutdown.
		let addr = EndpointAddr::from_parts(addr.id, addr.addrs);
		let (open, ()) = futures::join!(a.peers.open(addr, Protocol::Streams), async {
			until(|| !a.peers.is_unknown(&peer)).await;
			a.peers.shutdown(CloseCode::Success).await;
		});
		assert!(matches!(open, Err(OpenError::ShuttingDown)), "{open:?}");
		a.stop().await;
	}
}

/// What a peer can do wrong once it was let in.
#[tokio::test]
async fn an_abused_control_stream_ends_the_connection() {
	let node = Node::new().await;
	node.echo();
	let mut events = node.peers.events();
	let abuses: [&[u8]; 4] = [b"\x01\0\0\0\x09", b"\xff\xff\xff\xff", b"\0\0\0\0", b""];
	for abuse in abuses {
		let stranger = stranger().await;
		let conn = stranger.connect(node.addr.clone(), ALPN).await.unwrap();
		let (mut send, recv) = conn.open_bi().await.unwrap();
		let hello = Hello {
			versions: 1..=1,
			network: "test".into(),
			incarnation: Incarnation {
				started_ms: 1,
				nonce: 1,
			},
			insist: false,
		};
		write_frame(&mut send, hello.encode()).await.unwrap();
		let mut recv = FrameReader::new(recv);
		let welcome = recv.next(100).await.unwrap().unwrap();
		assert_eq!(Welcome::decode(&welcome).unwrap().version, 1);
		write_frame(&mut send, Control::Ready.encode())
			.await
			.unwrap();
		let peer = stranger.id();
		assert!(matches!(
			event(&mut events).await,
			PeerEvent::Connected { .. }
		));
		// It asks for a close that is refused, and then goes wrong.
		let idle = Control::Idle {
			opened: 1,
			accepted: 0,
		};
		write_frame(&mut send, idle.encode()).await.unwrap();
		let answer = recv.next(100).await.unwrap().unwrap();
		assert_eq!(Control::decode(&answer), Some(Control::Keep));
		send.write_all(abuse).await.unwrap();
		send.finish().unwrap();
		let code = CloseCode::ProtocolViolation;
		assert_eq!(close_of(&conn).await.0, code);
		let code = Some(code);
		assert_eq!(
			event(&mut events).await,
			PeerEvent::Disconnected { peer, code }
		);
		stranger.close().await;
	}
	assert_eq!(node.tasks.panicked(), 0);
	node.stop().await;
}

/// A socket that takes everything and answers nothing, as an address of a peer.
async fn black_hole() -> (tokio::net::UdpSocket, EndpointAddr) {
	let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
	let nobody = EndpointAddr::new(SecretKey::generate().public());
	let addr = nobody.with_ip_addr(socket.local_addr().unwrap());
	(socket, addr)
}

#[tokio::test]
async fn those_who_do_not_answer_hold_up_no_shutdown() {
	let node = Node::new().await;
	let (socket, addr) = black_hole().await;
	let open = node.peers.open(addr, Protocol::Streams);
	let shutdown = async {
		socket.readable().await.unwrap();
		let started = Instant::now();
		node.peers.shutdown(CloseCode::GracefulShutdown).await;
		started.elapsed()
	};
	let (open, took) = futures::join!(open, shutdown);
	assert!(matches!(open, Err(OpenError::ShuttingDown)), "{open:?}");
	// By then QUIC has not yet given up: three times 300 ms.
	assert!(took < Duration::from_millis(800), "{took:?}");
	node.stop().await;
}
