//! A node in a process of its own.
//!
//! The child is this test binary, told by an environment variable what to be.
//! It tells what it sees in lines of JSON and does what it reads from its
//! standard input; when that ends it ends, so that no child outlives its test.

use {
	iroh::{EndpointAddr, RelayMap, RelayMode, RelayUrl},
	mosaik::{
		Network, NetworkId, PeerId, SecretKey, Tag,
		discovery::{self, Event, PeerEntry},
	},
	serde::{Deserialize, Serialize},
	std::{
		collections::{BTreeMap, BTreeSet},
		fmt,
		io::{self, BufRead, BufReader, Read, Write},
		net::{Ipv4Addr, SocketAddr},
		process::{Child, ChildStdin, Command, Stdio},
		sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
		thread,
		time::{Duration, Instant},
	},
	tokio::{
		io::AsyncBufReadExt,
		time::{MissedTickBehavior, interval},
	},
};

/// Holds a [`Role`] in a child.
const ROLE: &str = "MOSAIK_TEST_ROLE";

/// Comes before what a child tells: the test harness prints, too.
const MARK: &str = "@@";

/// How long anything may take that no test measures.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a child is.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Role {
	Node(Spec),
	/// A relay server.
	Relay,
}

/// How a node is configured and what it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
	pub(crate) network: NetworkId,
	pub(crate) key: [u8; 32],
	pub(crate) same_host: bool,
	pub(crate) mdns: bool,
	/// The DHT and the relays of the public.
	pub(crate) internet: bool,
	pub(crate) relay: Option<RelayUrl>,
	pub(crate) bootstrap: Vec<EndpointAddr>,
	pub(crate) purge_after: Option<Duration>,
	/// Publishes numbers, marked with this one.
	pub(crate) produce: Option<u64>,
	pub(crate) consume: bool,
	/// Tells by which paths peers are reached.
	pub(crate) paths: bool,
}

impl Spec {
	/// A node that finds nobody by itself.
	pub(crate) fn lonely(network: NetworkId) -> Self {
		Self {
			network,
			key: SecretKey::generate().to_bytes(),
			same_host: false,
			mdns: false,
			internet: false,
			relay: None,
			bootstrap: Vec::new(),
			purge_after: None,
			produce: None,
			consume: false,
			paths: false,
		}
	}

	/// A node that finds others on its host.
	pub(crate) fn on_host(network: NetworkId) -> Self {
		Self {
			same_host: true,
			..Self::lonely(network)
		}
	}

	pub(crate) fn id(&self) -> PeerId {
		SecretKey::from_bytes(&self.key).public()
	}
}

/// What a child tells.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
	/// The builder has returned.
	Ready {
		addr: EndpointAddr,
		took: Duration,
	},
	/// An entry that is new, with its address.
	Known(EndpointAddr, BTreeSet<Tag>),
	Departed(PeerId),
	/// A number of the producer with this mark.
	Received(u64),
	Path(PeerId, Path),
	/// A relay listens here.
	Listens(SocketAddr),
}

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Path {
	pub(crate) relay: bool,
	pub(crate) remote: String,
}

/// What a child has told so far.
#[derive(Debug, Default)]
pub(crate) struct View {
	/// When the builder returned, how long that took, and the address.
	pub(crate) ready: Option<(Instant, Duration, EndpointAddr)>,
	/// Who is in the catalog, and where.
	pub(crate) known: BTreeMap<PeerId, EndpointAddr>,
	/// Who has departed, ever, and when.
	pub(crate) departed: Vec<(PeerId, Instant)>,
	pub(crate) tags: BTreeMap<PeerId, BTreeSet<Tag>>,
	/// How many data came, by the mark of the producer.
	pub(crate) received: BTreeMap<u64, u64>,
	pub(crate) paths: BTreeMap<PeerId, Path>,
	/// What it logged: warnings and errors.
	pub(crate) log: Vec<String>,
	listens: Option<SocketAddr>,
}

impl View {
	fn take(&mut self, said: Said) {
		match said {
			Said::Ready { addr, took } => self.ready = Some((Instant::now(), took, addr)),
			Said::Known(addr, tags) => {
				self.tags.insert(addr.id, tags);
				self.known.insert(addr.id, addr);
			}
			Said::Departed(peer) => {
				self.known.remove(&peer);
				self.departed.push((peer, Instant::now()));
			}
			Said::Received(mark) => *self.received.entry(mark).or_default() += 1,
			Said::Path(peer, path) => drop(self.paths.insert(peer, path)),
			Said::Listens(addr) => self.listens = Some(addr),
		}
	}
}

/// The processes of one test.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fleet(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
	views: Mutex<Vec<View>>,
	changed: Condvar,
}

impl Fleet {
	/// Starts a node in a namespace, or here.
	pub(crate) fn node(&self, namespace: Option<&str>, spec: Spec) -> Process {
		let id = spec.id();
		self.start(namespace, &Role::Node(spec), id)
	}

	/// Starts a relay server; tells its port.
	pub(crate) fn relay(&self, namespace: Option<&str>) -> (Process, u16) {
		let process = self.start(namespace, &Role::Relay, SecretKey::generate().public());
		let port = self.until("the relay listens", PATIENCE, |views| {
			views[process.index].listens.map(|addr| addr.port())
		});
		(process, port)
	}

	fn start(&self, namespace: Option<&str>, role: &Role, id: PeerId) -> Process {
		let exe = std::env::current_exe().unwrap();
		let mut command = match namespace {
			None => Command::new(exe),
			Some(name) => {
				let mut command = Command::new("ip");
				command.args(["netns", "exec", name]).arg(exe);
				command
			}
		};
		let mut child = command
			.args(["--exact", "node", "--nocapture", "--test-threads=1"])
			.env(ROLE, serde_json::to_string(role).unwrap())
			.stdin(Stdio::piped())
			.stdout(Stdio::piped())
			.stderr(Stdio::piped())
			.spawn()
			.unwrap();
		let stdin = child.stdin.take().unwrap();
		let stdout = child.stdout.take().unwrap();
		let stderr = child.stderr.take().unwrap();
		let mut views = self.views();
		let index = views.len();
		views.push(View::default());
		drop(views);
		self.read(stdout, index, |view, line| {
			if let Some((_, said)) = line.split_once(MARK) {
				view.take(serde_json::from_str(said).unwrap());
			}
		});
		self.read(stderr, index, |view, line| view.log.push(line));
		Process {
			index,
			id,
			child,
			stdin,
		}
	}

	fn read(
		&self,
		from: impl Read + Send + 'static,
		index: usize,
		take: impl Fn(&mut View, String) + Send + 'static,
	) {
		let fleet = self.clone();
		thread::spawn(move || {
			for line in BufReader::new(from).lines().map_while(Result::ok) {
				take(&mut fleet.views()[index], line);
				fleet.0.changed.notify_all();
			}
		});
	}

	fn views(&self) -> MutexGuard<'_, Vec<View>> {
		self.0.views.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// What a process has told so far.
	pub(crate) fn see<T>(&self, process: &Process, look: impl FnOnce(&View) -> T) -> T {
		look(&self.views()[process.index])
	}

	/// Waits until all that the processes have told satisfies the condition.
	#[track_caller]
	pub(crate) fn until<T>(
		&self,
		what: &str,
		limit: Duration,
		mut condition: impl FnMut(&[View]) -> Option<T>,
	) -> T {
		let deadline = Instant::now() + here(limit);
		let mut views = self.views();
		loop {
			if let Some(result) = condition(&views) {
				return result;
			}
			let left = deadline.saturating_duration_since(Instant::now());
			if left.is_zero() {
				let report = Report(&views).to_string();
				drop(views);
				panic!("did not happen within {limit:?}: {what}\n{report}");
			}
			let waited = self.0.changed.wait_timeout(views, left);
			views = waited.unwrap_or_else(PoisonError::into_inner).0;
		}
	}

	/// Waits until each of these processes satisfies the condition.
	#[track_caller]
	pub(crate) fn each<'a>(
		&self,
		processes: impl IntoIterator<Item = &'a Process>,
		what: &str,
		limit: Duration,
		condition: impl Fn(&View) -> bool,
	) {
		let indices: Vec<_> = processes.into_iter().map(|process| process.index).collect();
		self.until(what, limit, |views| {
			let all = indices.iter().all(|index| condition(&views[*index]));
			all.then_some(())
		});
	}

	/// Waits until a builder has returned; tells when, and the address.
	#[track_caller]
	pub(crate) fn ready(&self, process: &Process) -> (Instant, EndpointAddr) {
		self.until("a node is up", PATIENCE, |views| {
			let ready = views[process.index].ready.as_ref();
			ready.map(|(at, _, addr)| (*at, addr.clone()))
		})
	}

	/// Waits until each of these processes knows all others of them.
	#[track_caller]
	pub(crate) fn complete(&self, what: &str, limit: Duration, processes: &[&Process]) {
		let ids: BTreeSet<_> = processes.iter().map(|process| process.id).collect();
		self.until(what, limit, |views| {
			let all = processes.iter().all(|process| {
				let view = &views[process.index];
				view.known.len() + 1 >= ids.len()
					&& ids
						.iter()
						.all(|id| *id == process.id || view.known.contains_key(id))
			});
			all.then_some(())
		});
	}
}

/// How long a time that counts on a free machine may be on this one.
pub(crate) fn here(limit: Duration) -> Duration {
	let factor = std::env::var("TIME_FACTOR").ok();
	let factor = factor.and_then(|factor| factor.parse().ok());
	limit.mul_f64(factor.unwrap_or(1.0))
}

/// What a failed test shows.
struct Report<'a>(&'a [View]);

impl fmt::Display for Report<'_> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let lines = match std::env::var("TEST_TRACE") {
			Ok(_) => usize::MAX,
			Err(_) => 10,
		};
		for (index, view) in self.0.iter().enumerate() {
			writeln!(
				f,
				"{index}: ready {} knows {} departed {} received {:?} paths {:?}",
				view.ready.is_some(),
				view.known.len(),
				view.departed.len(),
				view.received,
				view.paths.values(),
			)?;
			for line in view.log.iter().take(lines) {
				writeln!(f, "   {line}")?;
			}
		}
		Ok(())
	}
}

/// A running child; killed on drop.
#[derive(Debug)]
pub(crate) struct Process {
	index: usize,
	pub(crate) id: PeerId,
	child: Child,
	stdin: ChildStdin,
}

impl Process {
	/// Which process of the fleet it is, in the order of their start.
	pub(crate) const fn index(&self) -> usize {
		self.index
	}

	/// Ends it as the kernel does when memory is short: without a word.
	pub(crate) fn kill(&mut self) {
		self.child.kill().unwrap();
		self.child.wait().unwrap();
	}

	/// Lets it stand still.
	pub(crate) fn stop(&self) {
		self.signal("-STOP");
	}

	/// Lets it go on.
	pub(crate) fn go_on(&self) {
		self.signal("-CONT");
	}

	fn signal(&self, signal: &str) {
		let pid = self.child.id().to_string();
		let status = Command::new("kill").args([signal, &pid]).status();
		assert!(status.unwrap().success());
	}

	/// Adds a tag to the node.
	pub(crate) fn add_tag(&mut self, tag: &str) {
		writeln!(self.stdin, "{tag}").unwrap();
	}
}

impl Drop for Process {
	fn drop(&mut self) {
		// Fails when it has ended already.
		let _ = self.child.kill();
		let _ = self.child.wait();
	}
}

/// In a child, does what it is told and never returns.
pub(crate) fn run_if_child() {
	let Ok(role) = std::env::var(ROLE) else {
		return;
	};
	let role = serde_json::from_str(&role).unwrap();
	let level = tracing::Level::WARN;
	let filter = std::env::var("TEST_TRACE").unwrap_or_else(|_| level.to_string());
	tracing_subscriber::fmt()
		.with_env_filter(filter)
		.with_ansi(false)
		.with_writer(io::stderr)
		.init();
	let runtime = tokio::runtime::Builder::new_current_thread()
		.enable_all()
		.build();
	runtime.unwrap().block_on(async {
		match role {
			Role::Node(spec) => run_node(spec).await,
			Role::Relay => run_relay().await,
		}
	});
	std::process::exit(0);
}

fn say(said: &Said) {
	let line = serde_json::to_string(said).unwrap();
	// Fails when the test has ended.
	let _ = writeln!(io::stdout().lock(), "{MARK}{line}");
}

fn say_known(peer: &PeerEntry) {
	let tags = peer.tags().iter().copied().collect();
	say(&Said::Known(peer.address().clone(), tags));
}

async fn run_relay() {
	let mut config = iroh_relay::server::ServerConfig::default();
	let at = (Ipv4Addr::UNSPECIFIED, 0);
	config.relay = Some(iroh_relay::server::RelayConfig::new(at));
	let server = iroh_relay::server::Server::spawn(config).await.unwrap();
	say(&Said::Listens(server.http_addr().unwrap()));
	let mut input = tokio::io::BufReader::new(stdin()).lines();
	while let Ok(Some(_)) = input.next_line().await {}
}

async fn run_node(spec: Spec) {
	let start = Instant::now();
	let network = build(&spec).await;
	say(&Said::Ready {
		addr: network.local().addr(),
		took: start.elapsed(),
	});
	let mut events = network.discovery().events();
	for peer in network.discovery().catalog().peers() {
		say_known(peer);
	}
	let producer = spec.produce.map(|_| network.streams().produce::<u64>());
	let mut consumer = spec.consume.then(|| network.streams().consume::<u64>());
	let mut paths = BTreeMap::new();
	let mut input = tokio::io::BufReader::new(stdin()).lines();
	let mut tick = interval(Duration::from_millis(20));
	tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
	loop {
		tokio::select! {
			event = events.recv() => match event.unwrap() {
				Event::PeerDiscovered(entry) | Event::PeerUpdated(entry) => say_known(&entry),
				Event::PeerDeparted(peer) => say(&Said::Departed(peer)),
			},
			line = input.next_line() => match line {
				Ok(Some(tag)) => network.discovery().add_tags(tag.as_str()),
				_ => return,
			},
			value = async {
				match &mut consumer {
					Some(consumer) => consumer.next().await,
					None => std::future::pending().await,
				}
			} => say(&Said::Received(value.unwrap())),
			_ = tick.tick() => {
				if let Some((producer, mark)) = producer.as_ref().zip(spec.produce) {
					// Fails while nobody listens.
					let _ = producer.try_send(mark);
				}
				if spec.paths {
					tell_paths(&network, &mut paths);
				}
			}
		}
	}
}

async fn build(spec: &Spec) -> Network {
	let mut discovery = discovery::Config::builder()
		.with_same_host(spec.same_host)
		.with_mdns(spec.mdns)
		.with_bootstrap(spec.bootstrap.clone());
	if !spec.internet {
		discovery = discovery.no_dht_bootstrap();
	}
	if let Some(purge_after) = spec.purge_after {
		discovery = discovery.with_purge_after(purge_after);
	}
	let relay = match &spec.relay {
		Some(url) => {
			let config = iroh_relay::RelayConfig::new(url.clone(), None);
			RelayMode::Custom(RelayMap::from_iter([config]))
		}
		None if spec.internet => RelayMode::Default,
		None => RelayMode::Disabled,
	};
	Network::builder(spec.network)
		.with_secret_key(SecretKey::from_bytes(&spec.key))
		.with_relay_mode(relay)
		.with_discovery(discovery)
		.build()
		.await
		.unwrap()
}

fn tell_paths(network: &Network, told: &mut BTreeMap<PeerId, Path>) {
	for peer in network.discovery().catalog().peers() {
		let Some(path) = network.path(peer.id()) else {
			continue;
		};
		let path = Path {
			relay: path.relay,
			remote: path.remote,
		};
		if told.get(peer.id()) != Some(&path) {
			say(&Said::Path(*peer.id(), path.clone()));
			told.insert(*peer.id(), path);
		}
	}
}

/// Standard input, without tokio's feature for it: a thread copies it.
fn stdin() -> impl tokio::io::AsyncRead + Unpin {
	let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
	thread::spawn(move || {
		let mut theirs = theirs;
		// Ends with the parent, and then `theirs` does.
		let _ = io::copy(&mut io::stdin().lock(), &mut theirs);
	});
	ours.set_nonblocking(true).unwrap();
	tokio::net::UnixStream::from_std(ours).unwrap()
}
