//! `mosaik dht`: what the DHT knows of a network.

use {
	crate::{
		Cli, Result,
		node::NodeOptions,
		output::{Output, timestamp},
		text,
	},
	clap::{Args, CommandFactory, error::ErrorKind},
	futures::future::join_all,
	mosaik::{
		Network,
		discovery::{DhtRecord, DhtSlot, dht_slots},
		primitives::ShortFmtExt,
	},
	serde::Serialize,
	std::time::{Duration, SystemTime},
	tokio::time::timeout,
};

/// Show what the DHT knows of a network
///
/// Reads the slots of the network in the DHT, in which some of its nodes leave
/// their addresses, and asks each of those nodes whether it is there. Writes
/// nothing into the DHT.
#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(crate) struct Options {
	/// How long a node may take to answer, such as 500ms or 10s
	#[arg(long, value_name = "DURATION", default_value = "5s", value_parser = text::parse_duration)]
	timeout: Duration,

	#[command(flatten)]
	node: NodeOptions,
}

const KEYS: &str = "\
Anyone who knows the network can write into its slots: an entry that does not answer may be
old or made up, and does no harm.

JSON lines, one for each slot:
  {\"event\":\"slot\", slot, key, id, addresses, relays, written_at, age_s, answers, error}
`key` is that of the mutable item in the DHT. All behind it is null if the slot is empty;
`error` says why a node does not answer.";

#[derive(Serialize)]
struct Slot {
	event: &'static str,
	slot: usize,
	key: String,
	id: Option<String>,
	addresses: Option<Vec<String>>,
	relays: Option<Vec<String>>,
	written_at: Option<String>,
	age_s: Option<u64>,
	answers: Option<bool>,
	error: Option<String>,
}

pub(crate) async fn run(options: Options, output: &Output) -> Result {
	if options.node.no_dht {
		let conflict = "`mosaik dht` reads the DHT: it cannot do without, leave out --no-dht";
		Cli::command()
			.error(ErrorKind::ArgumentConflict, conflict)
			.exit();
	}
	let config = options.node.discovery().build()?;
	let slots = dht_slots(options.node.network_id(), &config)
		.await
		.map_err(|error| {
			let error = text::chain(&error);
			format!("{error}; is there internet? --dht-node names a DHT node of your own")
		})?;
	// The peers are to answer at the addresses that the DHT has: this node must
	// not find them in another way, nor leave its own address in the DHT.
	let quiet = options
		.node
		.discovery()
		.no_dht_bootstrap()
		.with_mdns(false)
		.with_same_host(false);
	let network = options.node.builder(quiet)?.build().await?;
	let asked = slots.into_iter().enumerate();
	let asked = asked.map(|(index, slot)| ask(&network, index, slot, options.timeout));
	let slots = join_all(asked).await;
	let result = show(&slots, &options, *output);
	network.shutdown().await;
	result
}

/// Looks whether the node in a slot is there.
async fn ask(network: &Network, index: usize, slot: DhtSlot, limit: Duration) -> Slot {
	let DhtSlot { key, record, .. } = slot;
	let empty = Slot {
		event: "slot",
		slot: index,
		key: key.to_string(),
		id: None,
		addresses: None,
		relays: None,
		written_at: None,
		age_s: None,
		answers: None,
		error: None,
	};
	let Some(DhtRecord {
		peer, written_at, ..
	}) = record
	else {
		return empty;
	};
	let age = SystemTime::now().duration_since(written_at);
	let error = match timeout(limit, network.discovery().sync_with(peer.clone())).await {
		Ok(Ok(())) => None,
		Ok(Err(error)) => Some(text::chain(&error)),
		Err(_) => Some(format!("no answer within {limit:?}")),
	};
	Slot {
		id: Some(peer.id.to_string()),
		addresses: Some(peer.ip_addrs().map(ToString::to_string).collect()),
		relays: Some(peer.relay_urls().map(ToString::to_string).collect()),
		written_at: Some(timestamp(written_at)),
		// A writer whose clock is ahead has written just now.
		age_s: Some(age.unwrap_or_default().as_secs()),
		answers: Some(error.is_none()),
		error,
		..empty
	}
}

fn show(slots: &[Slot], options: &Options, output: Output) -> Result {
	for slot in slots {
		output.object(slot)?;
	}
	let written: Vec<&Slot> = slots.iter().filter(|slot| slot.id.is_some()).collect();
	let name = &options.node.network;
	output.say(format_args!(
		"{} of the {} DHT slots of network `{name}` ({}) are in use",
		written.len(),
		slots.len(),
		options.node.network_id().short()
	))?;
	if written.is_empty() {
		return Ok(());
	}
	let rows: Vec<[String; 5]> = written.into_iter().map(row).collect();
	let head = ["SLOT", "PEER", "WRITTEN", "ANSWERS", "ADDRESSES"];
	output.say(text::table(head, &rows))
}

fn row(slot: &Slot) -> [String; 5] {
	let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
	let id = slot.id.clone().unwrap_or_default();
	[
		slot.slot.to_string(),
		id.chars().take(10).collect(),
		slot.age_s
			.map(|age| format!("{} ago", text::age(Duration::from_secs(age))))
			.unwrap_or_default(),
		match &slot.error {
			None => "yes".to_owned(),
			Some(error) => format!("no: {error}"),
		},
		[words(&slot.addresses), words(&slot.relays)]
			.concat()
			.join(" "),
	]
}
