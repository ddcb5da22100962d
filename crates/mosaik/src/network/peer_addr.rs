//! A peer's address as one word, for command lines and configuration files.

use {
	iroh::RelayUrl,
	mosaik_proto::{EndpointAddr, PeerId, TransportAddr},
	std::{fmt, net::SocketAddr, str::FromStr},
};

/// A peer's id and, as far as they are known, its addresses, as one word:
///
/// ```text
/// <id>
/// <id>@<ip>:<port>,<ip>:<port>,<relay url>,…
/// ```
///
/// ```
/// use mosaik::{Network, discovery, network::PeerAddr};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let word = "ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6@192.0.2.1:4433";
/// let beacon: PeerAddr = word.parse()?;
/// assert_eq!(beacon.to_string(), word);
/// let discovery = discovery::Config::builder().with_bootstrap(beacon);
/// let builder = Network::builder("my-app").with_discovery(discovery);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub EndpointAddr);

/// Why a text is no peer's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerAddrError {
	/// What is before the `@` is not the id of a peer.
	#[error("`{0}` is no peer id: expected 64 hexadecimal characters")]
	Id(String),
	/// Something behind the `@` is not an address.
	#[error("`{0}` is no address: expected `ip:port` or the `https://` URL of a relay")]
	Address(String),
}

impl FromStr for PeerAddr {
	type Err = PeerAddrError;

	fn from_str(text: &str) -> Result<Self, Self::Err> {
		let (id, addrs) = match text.split_once('@') {
			Some((id, addrs)) => (id, Some(addrs)),
			None => (text, None),
		};
		let id: PeerId = id.parse().map_err(|_| PeerAddrError::Id(id.to_owned()))?;
		let addrs = addrs
			.into_iter()
			.flat_map(|addrs| addrs.split(','))
			.map(address)
			.collect::<Result<Vec<_>, _>>()?;
		Ok(Self(EndpointAddr::from_parts(id, addrs)))
	}
}

fn address(text: &str) -> Result<TransportAddr, PeerAddrError> {
	if let Ok(ip) = text.parse::<SocketAddr>() {
		return Ok(TransportAddr::Ip(ip));
	}
	// A URL parser takes `localhost:80` for the scheme `localhost`.
	let is_web = text.starts_with("https://") || text.starts_with("http://");
	match text.parse::<RelayUrl>() {
		Ok(url) if is_web => Ok(TransportAddr::Relay(url)),
		_ => Err(PeerAddrError::Address(text.to_owned())),
	}
}

impl fmt::Display for PeerAddr {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let Self(addr) = self;
		write!(f, "{}", addr.id)?;
		let ips = addr.ip_addrs().map(ToString::to_string);
		let relays = addr.relay_urls().map(ToString::to_string);
		for (index, addr) in ips.chain(relays).enumerate() {
			write!(f, "{}{addr}", if index == 0 { '@' } else { ',' })?;
		}
		Ok(())
	}
}

impl From<PeerAddr> for EndpointAddr {
	fn from(addr: PeerAddr) -> Self {
		addr.0
	}
}

impl From<EndpointAddr> for PeerAddr {
	fn from(addr: EndpointAddr) -> Self {
		Self(addr)
	}
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::SecretKey};

	fn id() -> PeerId {
		SecretKey::from_bytes(&[1; 32]).public()
	}

	#[test]
	fn what_is_printed_is_read() {
		let full = EndpointAddr::new(id())
			.with_ip_addr("192.0.2.1:7".parse().unwrap())
			.with_ip_addr("[2001:db8::1]:8".parse().unwrap())
			.with_relay_url("https://relay.example/".parse().unwrap());
		for addr in [EndpointAddr::new(id()), full] {
			let text = PeerAddr(addr.clone()).to_string();
			assert_eq!(text.parse(), Ok(PeerAddr(addr)), "{text}");
		}
	}

	#[test]
	fn mistakes_are_told_by_the_part_that_is_wrong() {
		let id = id();
		assert!(matches!("x".parse::<PeerAddr>(), Err(PeerAddrError::Id(_))));
		for wrong in ["", "192.0.2.1", "localhost:80", "192.0.2.1:7,"] {
			let parsed = format!("{id}@{wrong}").parse::<PeerAddr>();
			assert!(matches!(parsed, Err(PeerAddrError::Address(_))), "{wrong}");
		}
	}
}
