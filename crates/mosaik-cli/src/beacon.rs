//! `mosaik beacon`: a bootstrap node with a stable key.

use {
	crate::{
		Result, key,
		node::NodeOptions,
		output::{Output, clock, now, stopped},
	},
	clap::Args,
	futures::StreamExt,
	mosaik::{
		Network, discovery::Event, iroh::Watcher, network::PeerAddr, primitives::ShortFmtExt,
	},
	serde::Serialize,
	std::{collections::BTreeSet, net::SocketAddr, path::Path},
	tokio::sync::broadcast::error::RecvError,
};

/// Run a node that others can turn to first
///
/// Its id stays the same over restarts: the key is kept in a file that only you
/// can read. Give it a fixed port by --listen to have the addresses stay, too.
/// Needed only where nodes do not find each other by themselves; ends on Ctrl-C.
#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(crate) struct Options {
	/// An address to listen at, IP:PORT (may be repeated); a free port of every
	/// interface by default
	#[arg(long, value_name = "ADDR")]
	listen: Vec<SocketAddr>,

	/// A label of this node, for others to select by (may be repeated)
	#[arg(long = "tag", value_name = "TAG")]
	tags: Vec<String>,

	#[command(flatten)]
	node: NodeOptions,
}

const KEYS: &str = "\
The key is kept in $XDG_STATE_HOME/mosaik (~/.local/state/mosaik), one per network, if no
--key-file is given.

JSON lines:
  {\"event\":\"ready\",   at, network, id, bootstrap, addresses, key_file}
  {\"event\":\"address\", at, bootstrap, addresses}   the addresses have changed
  {\"event\":\"joined\",  at, id, peers}              a peer came; peers is how many there are now
  {\"event\":\"left\",    at, id, peers}              a peer went
`bootstrap` is what others pass as --bootstrap.";

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
	Ready {
		at: String,
		network: String,
		id: String,
		bootstrap: String,
		addresses: Vec<String>,
		key_file: String,
	},
	Address {
		at: String,
		bootstrap: String,
		addresses: Vec<String>,
	},
	Joined {
		at: String,
		id: String,
		peers: usize,
	},
	Left {
		at: String,
		id: String,
		peers: usize,
	},
}

pub(crate) async fn run(mut options: Options, output: &Output) -> Result {
	let key_file = match options.node.secret_key_file.clone() {
		Some(file) => file,
		None => key::default_file(&format!("beacon-{}", options.node.network_id().short()))?,
	};
	options.node.secret_key_file = Some(key_file.clone());
	let tags = options.tags.iter().map(String::as_str);
	let discovery = options.node.discovery().with_tags(tags);
	let mut builder = options.node.builder(discovery)?;
	if !options.listen.is_empty() {
		builder = builder.with_addresses(options.listen.iter().copied().collect::<BTreeSet<_>>());
	}
	let network = builder.build().await?;
	// Before anybody is told that it is ready to be stopped.
	let stopped = stopped();
	announce(&network, &options.node.network, &key_file, *output)?;
	let result = serve(&network, stopped, *output).await;
	network.shutdown().await;
	result
}

fn announce(network: &Network, name: &str, key_file: &Path, output: Output) -> Result {
	let bootstrap = PeerAddr(network.local().addr());
	output.say(format_args!("beacon of network `{name}`"))?;
	output.say(format_args!("  id   {}", network.local().id()))?;
	output.say(format_args!("  key  {}", key_file.display()))?;
	output.say("others pass")?;
	output.say(format_args!("  --bootstrap {bootstrap}"))?;
	output.object(&Line::Ready {
		at: now(),
		network: name.to_owned(),
		id: network.local().id().to_string(),
		addresses: addresses(&bootstrap),
		bootstrap: bootstrap.to_string(),
		key_file: key_file.display().to_string(),
	})
}

/// Tells who comes and goes, until it is stopped.
async fn serve(network: &Network, stopped: impl Future<Output = ()>, output: Output) -> Result {
	let mut events = network.discovery().events();
	let mut moves = network.local().endpoint().watch_addr().stream();
	let mut told = network.local().addr();
	tokio::pin!(stopped);
	loop {
		tokio::select! {
			() = &mut stopped => return Ok(()),
			Some(_) = moves.next() => {
				let addr = network.local().addr();
				if addr != told {
					moved(&PeerAddr(addr.clone()), output)?;
					told = addr;
				}
			}
			event = events.recv() => match event {
				Ok(event) => changed(network, &event, output)?,
				// Only the count matters, and the next event tells it.
				Err(RecvError::Lagged(_)) => {}
				Err(RecvError::Closed) => return Ok(()),
			},
		}
	}
}

fn moved(bootstrap: &PeerAddr, output: Output) -> Result {
	output.say(format_args!("{} new address, others pass", clock()))?;
	output.say(format_args!("  --bootstrap {bootstrap}"))?;
	output.object(&Line::Address {
		at: now(),
		bootstrap: bootstrap.to_string(),
		addresses: addresses(bootstrap),
	})
}

fn changed(network: &Network, event: &Event, output: Output) -> Result {
	let peers = network.discovery().catalog().peers_count();
	let at = now();
	match event {
		Event::PeerDiscovered(entry) => {
			let id = entry.id();
			output.say(format_args!(
				"{} + {} (peers: {peers})",
				clock(),
				id.short()
			))?;
			let id = id.to_string();
			output.object(&Line::Joined { at, id, peers })
		}
		Event::PeerDeparted(id) => {
			output.say(format_args!(
				"{} - {} (peers: {peers})",
				clock(),
				id.short()
			))?;
			let id = id.to_string();
			output.object(&Line::Left { at, id, peers })
		}
		Event::PeerUpdated(_) => Ok(()),
	}
}

fn addresses(PeerAddr(addr): &PeerAddr) -> Vec<String> {
	let ips = addr.ip_addrs().map(ToString::to_string);
	ips.chain(addr.relay_urls().map(ToString::to_string))
		.collect()
}
