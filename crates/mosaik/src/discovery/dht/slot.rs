//! The slots of a network and what is written in them.
//!
//! A slot is a key pair that everyone who knows the network's id can derive, and
//! with it a place in the DHT that all of them can read and write. It holds the
//! address of one node as a pkarr packet, that is, DNS records in a BEP 44
//! mutable item:
//!
//! ```text
//! _mosaik TXT "id=<node id in hex>"
//! _mosaik TXT "at=<seconds since 1970>"
//! _mosaik TXT "relay=<url>"
//! _mosaik TXT "addr=<ip>:<port>"        any number
//! ```

use {
	crate::discovery::addr,
	iroh_dns::pkarr::{SignedPacket, Timestamp},
	mosaik_proto::{EndpointAddr, PublicKey, SecretKey, TransportAddr, id::NetworkId},
	n0_mainline::{MutableItem, SigningKey},
};

/// How many slots a network has. The more, the longer a read takes; the fewer,
/// the likelier that all writers are gone.
pub(crate) const SLOTS: usize = 8;

/// Of an item in the DHT, in bytes, by BEP 44.
const MAX_VALUE: usize = 1000;
/// How many addresses are written and believed.
const MAX_ADDRS: usize = 16;
/// The name of the records.
const NAME: &str = "_mosaik";
/// Caches of DNS do not see the records, but they must have a time to live.
const TTL: u32 = 300;

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlotRecord {
	/// Which slot, from zero.
	pub(crate) slot: usize,
	/// The node that wrote it, or so it says: dialling tells.
	pub(crate) peer: EndpointAddr,
	/// When it was written, in seconds since 1970 by the writer's clock.
	pub(crate) written_at: u64,
	/// The version of the item, which the next must exceed.
	pub(crate) seq: i64,
}

/// The keys of a network's slots, by which they are found in the DHT.
pub(crate) fn slots(network: &NetworkId) -> Vec<PublicKey> {
	(0..SLOTS)
		.map(|slot| secret(network, slot).public())
		.collect()
}

/// The key of one slot. No secret among those who know the network.
pub(super) fn secret(network: &NetworkId, slot: usize) -> SecretKey {
	network.derive(format!("dht slot {slot}")).into()
}

/// The item that puts `own` into a slot, `None` if it has no address.
///
/// As many addresses as fit, the relay first: it is reachable from everywhere.
pub(super) fn encode(
	network: &NetworkId,
	slot: usize,
	own: &EndpointAddr,
	now: u64,
	replaces: Option<&SlotRecord>,
) -> Option<MutableItem> {
	let secret = secret(network, slot);
	let own = addr::elsewhere(own);
	let id = [format!("id={}", own.id), format!("at={now}")];
	let relays = own.relay_urls().take(1).map(|url| format!("relay={url}"));
	let ips = own
		.ip_addrs()
		.take(MAX_ADDRS)
		.map(|ip| format!("addr={ip}"));
	let mut addrs: Vec<String> = relays.chain(ips).collect();
	while !addrs.is_empty() {
		if let Ok(packet) =
			SignedPacket::from_txt_strings(&secret, NAME, id.iter().chain(&addrs), TTL)
			&& packet.encoded_packet().len() <= MAX_VALUE
		{
			let seq = sequence(now, replaces);
			let key = SigningKey::from_bytes(&secret.to_bytes());
			return Some(MutableItem::new(&key, packet.encoded_packet(), seq, None));
		}
		addrs.pop();
	}
	None
}

/// Above that of the record replaced, whose writer's clock may be ahead of ours.
fn sequence(now: u64, replaces: Option<&SlotRecord>) -> i64 {
	// Microseconds, as in every pkarr packet.
	let micros = i64::try_from(now.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
	replaces.map_or(micros, |old| micros.max(old.seq.saturating_add(1)))
}

/// Reads an item of the slot; nonsense is as good as nothing.
pub(super) fn decode(slot: usize, item: &MutableItem) -> Option<SlotRecord> {
	let timestamp = Timestamp::from_micros(u64::try_from(item.seq()).ok()?);
	let packet =
		SignedPacket::from_parts_unchecked(item.key(), item.signature(), timestamp, item.value())
			.ok()?;
	let texts = packet.txt_records(NAME);
	let values = |key: &'static str| {
		let strip =
			move |text: &String| Some(text.strip_prefix(key)?.strip_prefix('=')?.to_owned());
		texts.iter().filter_map(strip)
	};
	let relays = values("relay").filter_map(|url| url.parse().ok());
	let ips = values("addr").filter_map(|ip| ip.parse().ok());
	let addrs = relays.map(TransportAddr::Relay).take(1);
	let addrs = addrs.chain(ips.map(TransportAddr::Ip).take(MAX_ADDRS));
	Some(SlotRecord {
		slot,
		peer: EndpointAddr::from_parts(values("id").next()?.parse().ok()?, addrs),
		written_at: values("at").next()?.parse().ok()?,
		seq: item.seq(),
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	fn network() -> NetworkId {
		"net".into()
	}

	fn node() -> EndpointAddr {
		EndpointAddr::new(SecretKey::from_bytes(&[3; 32]).public())
	}

	#[test]
	fn slots_depend_on_the_network_and_differ() {
		let all = [slots(&network()), slots(&"other".into())].concat();
		let distinct: std::collections::BTreeSet<_> = all.iter().collect();
		assert_eq!(distinct.len(), 2 * SLOTS);
		assert_eq!(slots(&network()), all[..SLOTS]);
	}

	#[test]
	fn what_is_written_is_read() {
		let own = node()
			.with_relay_url("https://relay.example/".parse().unwrap())
			.with_ip_addr("192.0.2.1:7".parse().unwrap())
			.with_ip_addr("[2001:db8::1]:8".parse().unwrap());
		let item = encode(&network(), 5, &own, 1000, None).unwrap();
		assert_eq!(item.key(), slots(&network())[5].as_bytes());
		let record = decode(5, &item).unwrap();
		let expected = SlotRecord {
			slot: 5,
			peer: own,
			written_at: 1000,
			seq: 1_000_000_000,
		};
		assert_eq!(record, expected);
	}

	#[test]
	fn a_record_fits_and_keeps_the_relay() {
		let many = (0..200u16).map(|n| format!("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:{n:x}]:50000"));
		let own = node()
			.with_relay_url(
				format!("https://{}.example/", "r".repeat(60))
					.parse()
					.unwrap(),
			)
			.with_addrs(many.map(|ip| TransportAddr::Ip(ip.parse().unwrap())));
		let item = encode(&network(), 0, &own, 1, None).unwrap();
		assert!(item.value().len() <= MAX_VALUE);
		let peer = decode(0, &item).unwrap().peer;
		assert!(peer.relay_urls().eq(own.relay_urls()));
		assert!(peer.ip_addrs().count() >= 8);
	}

	#[test]
	fn a_newer_record_wins_over_a_clock_that_is_ahead() {
		let own = node().with_ip_addr("192.0.2.1:7".parse().unwrap());
		let ahead = decode(0, &encode(&network(), 0, &own, 9000, None).unwrap()).unwrap();
		let item = encode(&network(), 0, &own, 1000, Some(&ahead)).unwrap();
		assert!(item.seq() > ahead.seq);
		assert_eq!(decode(0, &item).unwrap().written_at, 1000);
	}

	#[test]
	fn nonsense_is_nothing_and_a_node_without_address_is_not_written() {
		assert_eq!(encode(&network(), 0, &node(), 1, None), None);
		let key = SigningKey::from_bytes(&secret(&network(), 0).to_bytes());
		for value in [&b""[..], b"hello", &[0xff; 999]] {
			for seq in [i64::MIN, 0, i64::MAX] {
				assert_eq!(decode(0, &MutableItem::new(&key, value, seq, None)), None);
			}
		}
		let texts = [["id=zz", "at=1"], ["id=", "at=x"], ["id", "at"]];
		for texts in texts {
			let secret = secret(&network(), 0);
			let packet = SignedPacket::from_txt_strings(&secret, NAME, texts, TTL).unwrap();
			let item = MutableItem::new(&key, packet.encoded_packet(), 1, None);
			assert_eq!(decode(0, &item), None);
		}
	}
}
