//! A node with a stable key and port, for others to turn to first.
//!
//! ```sh
//! cargo run --example bootstrap -- --key-file bootstrap.key --port 4433
//! cargo run --example sensors -- --bootstrap <what it prints>
//! ```
//!
//! Only needed where nodes cannot find each other by themselves: on different
//! networks, without the DHT. Any node serves; this one does nothing else.
//! `mosaik beacon` of the `mosaik-cli` crate is the same, ready to use.

#[path = "shared/join.rs"]
mod join;

use {
	clap::Parser,
	join::Join,
	mosaik::{SecretKey, network::PeerAddr},
	std::{
		error::Error,
		fs::{self, OpenOptions},
		io::{self, ErrorKind, Write},
		net::{Ipv4Addr, SocketAddr},
		path::{Path, PathBuf},
	},
};

/// Runs a node with a stable key and port, for others to turn to first.
#[derive(Debug, Parser)]
struct Options {
	#[command(flatten)]
	join: Join,

	/// Where the node's key is kept; made on the first start
	#[arg(long, value_name = "FILE", default_value = "bootstrap.key")]
	key_file: PathBuf,

	/// The port to listen at; 0 takes a free one
	#[arg(long, default_value_t = 4433)]
	port: u16,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
	let options = Options::parse();
	let network = options
		.join
		.builder()
		.with_secret_key(key(&options.key_file)?)
		.with_addresses([SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.port))])
		.build()
		.await?;

	let mut out = io::stdout();
	writeln!(out, "bootstrap node of network `{}`", options.join.network)?;
	writeln!(out, "--bootstrap {}", PeerAddr(network.local().addr()))?;

	let mut catalog = network.discovery().catalog_watch();
	loop {
		let peers = catalog.borrow_and_update().peers_count();
		writeln!(out, "{peers} other nodes are in the network")?;
		tokio::select! {
			changed = catalog.changed() => changed?,
			_ = tokio::signal::ctrl_c() => break,
		}
	}
	network.shutdown().await;
	Ok(())
}

/// The key in the file; a new one if there is no file.
fn key(file: &Path) -> Result<SecretKey, Box<dyn Error>> {
	match fs::read_to_string(file) {
		Ok(text) => Ok(text.trim().parse()?),
		Err(error) if error.kind() == ErrorKind::NotFound => {
			let key = SecretKey::generate();
			let hex: String = key.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
			private(file)?.write_all(hex.as_bytes())?;
			Ok(key)
		}
		Err(error) => Err(format!("{}: {error}", file.display()).into()),
	}
}

/// A new file that only this user can read: whoever has the key is the node.
fn private(file: &Path) -> io::Result<fs::File> {
	let mut options = OpenOptions::new();
	options.write(true).create_new(true);
	#[cfg(unix)]
	std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
	options.open(file)
}
