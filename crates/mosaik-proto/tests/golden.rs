//! The wire format of discovery is a set of files under review.
//!
//! `BLESS=1 cargo test -p mosaik-proto --test golden` writes them anew; the diff
//! is the change of the format.

#![expect(clippy::unwrap_used, reason = "this is a test")]

use {
	mosaik_proto::{
		EndpointAddr, SecretKey,
		discovery::{
			Message, PeerEntry, PeerEntryVersion, SignedPeerEntry,
			message::{Beat, Departure, Digest, Held, Hello, Lists, Mention, News, Want},
		},
		tickets::Ticket,
		wire,
	},
	std::{fmt::Write, fs, path::PathBuf},
};

fn key(n: u8) -> SecretKey {
	SecretKey::from_bytes(&[n; 32])
}

fn version(n: u64) -> PeerEntryVersion {
	PeerEntryVersion::from_millis(1_800_000_000_000, 1_800_000_000_000 + n)
}

fn signed() -> SignedPeerEntry {
	let address = EndpointAddr::new(key(1).public())
		.with_ip_addr(([192, 0, 2, 1], 4433).into())
		.with_ip_addr(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 4433).into());
	PeerEntry::new("net".into(), address)
		.with_version(version(0))
		.add_tags(["a", "b"])
		.add_streams("stream")
		.add_functions("function")
		.add_groups("group")
		.add_ticket(Ticket::new("class".into(), (&b"ticket"[..]).into()))
		.sign(&key(1))
		.unwrap()
}

fn mention(n: u8) -> Mention {
	Mention {
		peer: *key(n).public(),
		version: version(n.into()),
	}
}

fn held(n: u8, alive: bool) -> Held {
	Held {
		peer: *key(n).public(),
		version: version(n.into()),
		alive,
	}
}

fn messages() -> Vec<(&'static str, Message)> {
	let network = "net".into();
	let beat = Beat {
		nonce: 7,
		fingerprint: 0x0102_0304_0506_0708,
	};
	let hello = Hello {
		network,
		version: version(0),
		fingerprint: 0x0102_0304_0506_0708,
		entry: Some(signed()),
	};
	let news = News {
		entries: vec![signed()],
		adverts: vec![mention(2)],
		suspects: vec![mention(3), mention(4)],
		departed: vec![Departure::sign(&key(5), &network, version(5))],
	};
	let digest = Digest {
		token: 1,
		buckets: (0..64).map(|n| n << n.min(58)).collect(),
		fresh: true,
	};
	let lists = Lists {
		token: 1,
		buckets: 1 << 63 | 1,
		held: vec![held(2, true), held(3, false)],
		last: true,
	};
	let want = Want {
		token: 1,
		peers: vec![*key(2).public()],
		last: true,
	};
	vec![
		("hello", Message::Hello(hello)),
		("ping", Message::Ping(beat)),
		("pong", Message::Pong(beat)),
		("news", Message::News(news)),
		("pull", Message::Pull(vec![*key(2).public()])),
		("digest", Message::Digest(digest)),
		("lists", Message::Lists(lists)),
		("want", Message::Want(want)),
		("done", Message::Done { token: 300 }),
	]
}

/// The bytes as lines of hexadecimal digits.
fn to_hex(bytes: &[u8]) -> String {
	let mut text = String::new();
	for line in bytes.chunks(32) {
		for byte in line {
			write!(text, "{byte:02x}").unwrap();
		}
		text.push('\n');
	}
	text
}

fn from_hex(text: &str) -> Vec<u8> {
	let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
	let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap();
	digits.chunks_exact(2).map(byte).collect()
}

#[test]
fn discovery_messages_are_what_they_were() {
	let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/discovery");
	for (name, message) in messages() {
		let file = folder.join(format!("{name}.hex"));
		let bytes = wire::try_serialize(&message).unwrap();
		assert_eq!(bytes.len(), message.encoded_len(), "{name}");
		if std::env::var_os("BLESS").is_some() {
			fs::create_dir_all(&folder).unwrap();
			fs::write(&file, to_hex(&bytes)).unwrap();
		}
		let golden = fs::read_to_string(&file).unwrap();
		assert_eq!(to_hex(&bytes), golden, "{name}");
		assert_eq!(
			Message::decode(&from_hex(&golden)).unwrap(),
			message,
			"{name}"
		);
	}
}
