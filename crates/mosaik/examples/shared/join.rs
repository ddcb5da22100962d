//! The options of a program that joins a network. A program of yours would have
//! most of this in its configuration.

use {
	clap::Args,
	mosaik::{
		Network, discovery,
		iroh::{RelayMode, RelayUrl},
		network::{NetworkBuilder, PeerAddr},
	},
};

/// Which network to join, and how to find it.
#[derive(Debug, Args)]
pub(crate) struct Join {
	/// The network to join; nodes that name the same one find each other
	#[arg(short, long, value_name = "NAME", default_value = "sensors")]
	pub(crate) network: String,

	/// A node to turn to first: ID or ID@IP:PORT,… (may be repeated)
	///
	/// Not needed on one host or one local network. `bootstrap` and `mosaik
	/// beacon` print what to write here.
	#[arg(long, value_name = "PEER")]
	pub(crate) bootstrap: Vec<PeerAddr>,

	/// A label of this node, for others to select by (may be repeated)
	#[arg(long = "tag", value_name = "TAG")]
	pub(crate) tags: Vec<String>,

	/// Which relay helps when there is no direct path: default, off or its URL
	#[arg(long, value_name = "RELAY", default_value = "default", value_parser = relay)]
	pub(crate) relay: RelayMode,

	/// Do not look for peers in the public DHT
	#[arg(long)]
	pub(crate) no_dht: bool,
}

impl Join {
	/// A node with these options.
	pub(crate) fn builder(&self) -> NetworkBuilder {
		let mut discovery = discovery::Config::builder()
			.with_bootstrap(self.bootstrap.iter().cloned())
			.with_tags(self.tags.iter().map(String::as_str));
		if self.no_dht {
			discovery = discovery.no_dht_bootstrap();
		}
		Network::builder(&self.network)
			.with_relay_mode(self.relay.clone())
			.with_discovery(discovery)
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
