//! The options that all commands share: which network, and how to join it.

use {
	crate::{Result, key},
	clap::Args,
	mosaik::{
		NetworkId,
		discovery::{self, ConfigBuilder},
		iroh::{RelayMode, RelayUrl},
		network::{NetworkBuilder, PeerAddr},
	},
	std::path::PathBuf,
};

/// Flattened last: the heading would also be that of what follows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NodeOptions {
	/// The network: a name, or its id in 64 hexadecimal characters
	#[arg(short, long, value_name = "NET")]
	pub(crate) network: String,

	/// A node to turn to first: ID or ID@IP:PORT,RELAY_URL,… (may be repeated)
	#[arg(long, value_name = "PEER")]
	pub(crate) bootstrap: Vec<PeerAddr>,

	/// Which relay helps when there is no direct path: default, off or its URL
	#[arg(long, value_name = "RELAY", default_value = "default", value_parser = relay)]
	pub(crate) relay: RelayMode,

	/// Do not look for peers in the DHT
	#[arg(long)]
	pub(crate) no_dht: bool,

	/// A node of the DHT to start from, HOST:PORT, instead of the public ones
	/// (may be repeated)
	#[arg(long = "dht-node", value_name = "NODE")]
	pub(crate) dht_nodes: Vec<String>,

	/// The file with this node's key, made if there is none; a new key each time
	/// by default
	#[arg(long, visible_alias = "key-file", value_name = "FILE")]
	pub(crate) secret_key_file: Option<PathBuf>,
}

impl NodeOptions {
	pub(crate) fn network_id(&self) -> NetworkId {
		NetworkId::from(&self.network)
	}

	/// The settings of discovery that these options ask for.
	pub(crate) fn discovery(&self) -> ConfigBuilder {
		let config = discovery::Config::builder()
			.with_bootstrap(self.bootstrap.iter().cloned())
			.with_dht_bootstrap(self.dht_nodes.clone());
		if self.no_dht {
			config.no_dht_bootstrap()
		} else {
			config
		}
	}

	/// A node with these options.
	pub(crate) fn builder(&self, discovery: ConfigBuilder) -> Result<NetworkBuilder> {
		let builder = NetworkBuilder::default()
			.with_network_id(self.network_id())
			.with_relay_mode(self.relay.clone())
			.with_discovery(discovery);
		Ok(match &self.secret_key_file {
			Some(file) => builder.with_secret_key(key::load_or_create(file)?),
			None => builder,
		})
	}
}

fn relay(text: &str) -> Result<RelayMode, String> {
	match text {
		"default" => Ok(RelayMode::Default),
		"off" => Ok(RelayMode::Disabled),
		url => match url.parse::<RelayUrl>() {
			Ok(url) => Ok(RelayMode::custom([url])),
			Err(_) => Err("expected `default`, `off` or the URL of a relay".to_owned()),
		},
	}
}
