//! `mosaik peers`: who is in a network.

use {
	crate::{
		Result,
		node::NodeOptions,
		output::{Output, clock, now, stopped},
		text,
	},
	clap::Args,
	mosaik::{
		Digest, Network, PeerId,
		discovery::{Event, PeerEntry},
		primitives::ShortFmtExt,
	},
	serde::Serialize,
	std::{collections::BTreeMap, time::Duration},
	tokio::{sync::broadcast::error::RecvError, time::timeout},
};

/// Show who is in a network
///
/// Joins the network, looks around for a moment and prints a table; with --watch
/// prints who comes, changes and goes until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(crate) struct Options {
	/// Print who comes, changes and goes, as it happens
	#[arg(long)]
	watch: bool,

	/// How long to look, such as 500ms, 10s or 2m; 3s by default, endless with
	/// --watch
	#[arg(long = "for", value_name = "DURATION", value_parser = text::parse_duration)]
	time: Option<Duration>,

	/// The name of a tag or stream, to be shown by it: the network knows hashes
	/// only (may be repeated)
	#[arg(long, value_name = "NAME")]
	known: Vec<String>,

	#[command(flatten)]
	node: NodeOptions,
}

const KEYS: &str = "\
The age of a peer is for how long it has been running, by its own clock. A path is known only
of peers that this node has a connection to: `direct` or `relay`.

JSON lines:
  {\"event\":\"peer\",    ...}       one for each peer, without --watch
  {\"event\":\"joined\",  ...}       with --watch
  {\"event\":\"updated\", ...}
  {\"event\":\"left\", at, id}
where ... is at, id, tags, streams, functions, groups (ids in hex), age_s, rtt_ms, path
(\"direct\", \"relay\"), remote (all three null if unknown), addresses, relays, protocol.";

/// The time a look around takes, unless told otherwise. The local network
/// answers in a second; a table without the DHT's peers is no table, and they
/// take a little longer.
const LOOK: Duration = Duration::from_secs(3);

/// A look around has little time to measure.
const RTT_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct Peer {
	event: &'static str,
	at: String,
	id: String,
	tags: Vec<Digest>,
	streams: Vec<Digest>,
	functions: Vec<Digest>,
	groups: Vec<Digest>,
	age_s: u64,
	rtt_ms: Option<f64>,
	path: Option<&'static str>,
	remote: Option<String>,
	addresses: Vec<String>,
	relays: Vec<String>,
	protocol: String,
}

#[derive(Serialize)]
struct Left {
	event: &'static str,
	at: String,
	id: String,
}

impl Peer {
	fn new(network: &Network, event: &'static str, entry: &PeerEntry) -> Self {
		let path = network.path(entry.id());
		let measured = network.discovery().catalog().rtt(entry.id());
		let rtt = measured.or_else(|| path.as_ref().map(|path| path.rtt));
		Self {
			event,
			at: now(),
			id: entry.id().to_string(),
			tags: entry.tags().iter().copied().collect(),
			streams: entry.streams().iter().copied().collect(),
			functions: entry.functions().iter().copied().collect(),
			groups: entry.groups().iter().copied().collect(),
			age_s: entry.uptime().as_secs(),
			rtt_ms: rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
			path: path
				.as_ref()
				.map(|path| if path.relay { "relay" } else { "direct" }),
			remote: path.map(|path| path.remote),
			addresses: entry
				.address()
				.ip_addrs()
				.map(ToString::to_string)
				.collect(),
			relays: entry
				.address()
				.relay_urls()
				.map(ToString::to_string)
				.collect(),
			protocol: entry.protocol_version().to_string(),
		}
	}
}

/// The names that the user knows, by what the network knows.
struct Names(BTreeMap<Digest, String>);

impl Names {
	fn new(known: &[String]) -> Self {
		Self(
			known
				.iter()
				.map(|name| (name.into(), name.clone()))
				.collect(),
		)
	}

	fn of(&self, ids: &[Digest]) -> String {
		let names = ids.iter().map(|id| match self.0.get(id) {
			Some(name) => name.clone(),
			None => id.short().to_string(),
		});
		names.collect::<Vec<_>>().join(" ")
	}
}

pub(crate) async fn run(options: Options, output: &Output) -> Result {
	let discovery = options
		.node
		.discovery()
		.with_rtt_probe_interval(RTT_INTERVAL);
	let network = options.node.builder(discovery)?.build().await?;
	let names = Names::new(&options.known);
	let result = if options.watch {
		let watch = watch(&network, &names, *output);
		match options.time {
			// In the end there is nothing left to print.
			Some(time) => timeout(time, watch).await.unwrap_or(Ok(())),
			None => watch.await,
		}
	} else {
		let time = options.time.unwrap_or(LOOK);
		// Interrupted, it shows what it has.
		let _ = timeout(time, stopped()).await;
		table(&network, &options, &names, time, *output)
	};
	network.shutdown().await;
	result
}

fn table(
	network: &Network,
	options: &Options,
	names: &Names,
	looked: Duration,
	output: Output,
) -> Result {
	let catalog = network.discovery().catalog();
	let peers: Vec<Peer> = catalog
		.peers()
		.map(|entry| Peer::new(network, "peer", entry))
		.collect();
	for peer in &peers {
		output.object(peer)?;
	}
	if peers.is_empty() {
		return output.say(format_args!(
			"nobody else found in network `{}` within {looked:?}; \
			 look longer by --for 30s, or name a node by --bootstrap",
			options.node.network
		));
	}
	let rows: Vec<[String; 6]> = peers.iter().map(|peer| row(peer, names)).collect();
	let head = ["PEER", "AGE", "RTT", "PATH", "TAGS", "STREAMS"];
	output.say(text::table(head, &rows))
}

fn row(peer: &Peer, names: &Names) -> [String; 6] {
	let unless_empty = |text: String| {
		if text.is_empty() {
			"-".to_owned()
		} else {
			text
		}
	};
	[
		short(&peer.id),
		text::age(Duration::from_secs(peer.age_s)),
		rtt(peer),
		peer.path.unwrap_or("-").to_owned(),
		unless_empty(names.of(&peer.tags)),
		unless_empty(names.of(&peer.streams)),
	]
}

fn rtt(peer: &Peer) -> String {
	peer.rtt_ms
		.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1} ms"))
}

/// As ids are shortened everywhere.
fn short(id: &str) -> String {
	id.chars().take(10).collect()
}

async fn watch(network: &Network, names: &Names, output: Output) -> Result {
	let mut events = network.discovery().events();
	// Events tell of changes: those who are known already are shown first.
	let mut shown: BTreeMap<PeerId, PeerEntry> = BTreeMap::new();
	let catalog = network.discovery().catalog();
	for entry in catalog.peers() {
		present(network, "joined", entry, names, output)?;
		shown.insert(*entry.id(), entry.clone());
	}
	let stopped = stopped();
	tokio::pin!(stopped);
	loop {
		let event = tokio::select! {
			() = &mut stopped => return Ok(()),
			event = events.recv() => event,
		};
		match event {
			Ok(Event::PeerDiscovered(entry) | Event::PeerUpdated(entry)) => {
				let event = match shown.get(entry.id()) {
					// Seen in the catalog, before its event.
					Some(old) if !entry.is_newer_than(old) => continue,
					Some(_) => "updated",
					None => "joined",
				};
				present(network, event, &entry, names, output)?;
				shown.insert(*entry.id(), entry);
			}
			Ok(Event::PeerDeparted(id)) => {
				shown.remove(&id);
				output.say(format_args!("{} - {} left", clock(), id.short()))?;
				let (event, at, id) = ("left", now(), id.to_string());
				output.object(&Left { event, at, id })?;
			}
			Err(RecvError::Lagged(missed)) => {
				output.say(format_args!("{} ({missed} events missed)", clock()))?;
			}
			Err(RecvError::Closed) => return Ok(()),
		}
	}
}

fn present(
	network: &Network,
	event: &'static str,
	entry: &PeerEntry,
	names: &Names,
	output: Output,
) -> Result {
	let peer = Peer::new(network, event, entry);
	output.object(&peer)?;
	let sign = if event == "joined" { '+' } else { ' ' };
	let mut line = format!("{} {sign} {} {event}", clock(), short(&peer.id));
	for (what, ids) in [("tags", &peer.tags), ("streams", &peer.streams)] {
		if !ids.is_empty() {
			line += &format!(", {what}: {}", names.of(ids));
		}
	}
	if let Some(path) = peer.path {
		line += &format!(", {path} {}", rtt(&peer));
	}
	output.say(line)
}
