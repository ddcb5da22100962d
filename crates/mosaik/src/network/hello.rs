//! The first words on a connection, and the few that follow on the same stream.
//!
//! ```text
//!   dialler                                  acceptor
//!      | -- Hello: magic, versions, network, ... --> |   checks in this order
//!      | <-- Welcome: version, incarnation --------- |   or closes with a code
//!      | -- Ready ---------------------------------> |   if the dialler has the smaller id:
//!      |                                             |   it has taken the connection
//!      |                                             |
//!      | -- Idle { opened, accepted } -------------> |   either side, later
//!      | <-- Keep, or the connection is closed ----- |
//! ```
//!
//! Messages are frames of at most [`LIMIT`] bytes with a fixed layout, integers
//! little-endian. The hello is what peers of different versions must both
//! understand, so its layout is for ever; what a later version adds behind it is
//! ignored.

use {
	bytes::{Buf, BufMut, Bytes, BytesMut},
	mosaik_proto::{id::NetworkId, wire::WIRE_VERSIONS},
	std::ops::RangeInclusive,
};

/// The longest message of this stream, in bytes.
pub(crate) const LIMIT: usize = 256;

/// How every hello begins.
const MAGIC: &[u8; 6] = b"mosaik";

/// The length of a hello of version 1.
const HELLO_LEN: usize = MAGIC.len() + 2 + 2 + 32 + 8 + 8 + 1;

/// One run of a node: a node that restarts with the same key is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incarnation {
	/// When the node started, in milliseconds since the Unix epoch by its clock.
	pub started_ms: u64,
	/// Tells apart two starts in the same millisecond or by a clock set back.
	pub nonce: u64,
}

/// What the dialler says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
	/// The wire versions the dialler speaks.
	pub versions: RangeInclusive<u16>,
	/// The network the dialler belongs to.
	pub network: NetworkId,
	/// The run of the dialler.
	pub incarnation: Incarnation,
	/// The dialler was refused in favour of a connection that never came: this
	/// one is to be taken.
	pub insist: bool,
}

/// Why the first frame is no hello that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadHello {
	/// Not a hello of mosaik at all.
	Malformed,
	/// The versions it offers do not overlap with ours.
	Versions(RangeInclusive<u16>),
}

/// What the acceptor answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Welcome {
	/// The version that both will speak, the newest they share.
	pub version: u16,
	/// The run of the acceptor.
	pub incarnation: Incarnation,
}

/// What is said after the welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
	/// The dialler has taken the connection.
	Ready,
	/// The sender has no lanes and will open none until it is answered.
	Idle {
		/// How many lanes the sender has opened on this connection.
		opened: u64,
		/// How many lanes of the receiver the sender has seen.
		accepted: u64,
	},
	/// The answer to `Idle` of a peer that still uses the connection. One that
	/// does not closes it.
	Keep,
}

impl Hello {
	/// The bytes of the message.
	pub(crate) fn encode(&self) -> Bytes {
		let mut out = BytesMut::with_capacity(HELLO_LEN);
		out.put_slice(MAGIC);
		out.put_u16_le(*self.versions.start());
		out.put_u16_le(*self.versions.end());
		out.put_slice(self.network.as_bytes());
		self.incarnation.put(&mut out);
		out.put_u8(u8::from(self.insist));
		out.freeze()
	}

	/// Reads a message and finds the version to speak.
	///
	/// The versions are judged before anything that a later one might move.
	pub(crate) fn decode(mut bytes: &[u8]) -> Result<(Self, u16), BadHello> {
		if !bytes.starts_with(MAGIC) {
			return Err(BadHello::Malformed);
		}
		bytes.advance(MAGIC.len());
		if bytes.len() < 4 {
			return Err(BadHello::Malformed);
		}
		let versions = bytes.get_u16_le()..=bytes.get_u16_le();
		let version = *versions.end().min(WIRE_VERSIONS.end());
		if !versions.contains(&version) || !WIRE_VERSIONS.contains(&version) {
			return Err(BadHello::Versions(versions));
		}
		if bytes.len() < HELLO_LEN - MAGIC.len() - 4 {
			return Err(BadHello::Malformed);
		}
		let mut network = [0; 32];
		bytes.copy_to_slice(&mut network);
		let hello = Self {
			versions,
			network: NetworkId::from_bytes(network),
			incarnation: Incarnation::get(&mut bytes),
			insist: bytes.get_u8() != 0,
		};
		Ok((hello, version))
	}
}

impl Welcome {
	const LEN: usize = 2 + 8 + 8;

	/// The bytes of the message.
	pub(crate) fn encode(&self) -> Bytes {
		let mut out = BytesMut::with_capacity(Self::LEN);
		out.put_u16_le(self.version);
		self.incarnation.put(&mut out);
		out.freeze()
	}

	/// Reads a message; `None` if it is none.
	pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
		if bytes.len() < Self::LEN {
			return None;
		}
		let version = bytes.get_u16_le();
		WIRE_VERSIONS.contains(&version).then(|| Self {
			version,
			incarnation: Incarnation::get(&mut bytes),
		})
	}
}

impl Control {
	/// The bytes of the message.
	pub(crate) fn encode(self) -> Bytes {
		let mut out = BytesMut::with_capacity(17);
		match self {
			Self::Ready => out.put_u8(0),
			Self::Idle { opened, accepted } => {
				out.put_u8(1);
				out.put_u64_le(opened);
				out.put_u64_le(accepted);
			}
			Self::Keep => out.put_u8(2),
		}
		out.freeze()
	}

	/// Reads a message; `None` if it is none.
	pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
		match bytes {
			[0] => Some(Self::Ready),
			[1, counts @ ..] if counts.len() == 16 => {
				let mut counts = counts;
				Some(Self::Idle {
					opened: counts.get_u64_le(),
					accepted: counts.get_u64_le(),
				})
			}
			[2] => Some(Self::Keep),
			_ => None,
		}
	}
}

impl Incarnation {
	fn put(self, out: &mut BytesMut) {
		out.put_u64_le(self.started_ms);
		out.put_u64_le(self.nonce);
	}

	/// Reads 16 bytes; the caller has checked that they are there.
	fn get(bytes: &mut &[u8]) -> Self {
		Self {
			started_ms: bytes.get_u64_le(),
			nonce: bytes.get_u64_le(),
		}
	}
}

/// The reason text of a refusal for [`DifferentNetwork`]: it names the network
/// of the refusing node.
///
/// [`DifferentNetwork`]: mosaik_proto::wire::CloseCode::DifferentNetwork
pub(crate) fn network_reason(network: &NetworkId) -> String {
	format!("{NETWORK_REASON}{network}")
}

/// The network that a [`network_reason`] names.
pub(crate) fn network_of_reason(reason: &str) -> Option<NetworkId> {
	let hex = reason.strip_prefix(NETWORK_REASON)?;
	let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
	is_hex.then(|| hex.into())
}

const NETWORK_REASON: &str = "this node belongs to network ";

#[cfg(test)]
mod tests {
	use {super::*, proptest::prelude::*};

	fn hello(versions: RangeInclusive<u16>) -> Hello {
		Hello {
			versions,
			network: NetworkId::from_bytes([7; 32]),
			incarnation: Incarnation {
				started_ms: 1,
				nonce: 2,
			},
			insist: true,
		}
	}

	#[test]
	fn the_layout_is_for_ever() {
		let mut expected = b"mosaik\x01\0\x01\0".to_vec();
		expected.extend_from_slice(&[7; 32]);
		expected.extend_from_slice(b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01");
		assert_eq!(hello(1..=1).encode(), expected);
		assert_eq!(expected.len(), HELLO_LEN);
		assert_eq!(Hello::decode(&expected), Ok((hello(1..=1), 1)));

		let welcome = Welcome {
			version: 1,
			incarnation: hello(1..=1).incarnation,
		};
		let bytes = b"\x01\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0";
		assert_eq!(&welcome.encode()[..], bytes);
		assert_eq!(Welcome::decode(bytes), Some(welcome));

		let idle = Control::Idle {
			opened: 3,
			accepted: 4,
		};
		let bytes = b"\x01\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0";
		assert_eq!(&idle.encode()[..], bytes);
		assert_eq!(&Control::Ready.encode()[..], b"\0");
		assert_eq!(&Control::Keep.encode()[..], b"\x02");
		for control in [Control::Ready, Control::Keep, idle] {
			assert_eq!(Control::decode(&control.encode()), Some(control));
		}
	}

	#[test]
	fn versions_are_judged_first_and_additions_ignored() {
		// A later version whose hello is laid out in a way we cannot know.
		let strange = b"mosaik\x09\0\x0a\0?";
		assert_eq!(Hello::decode(strange), Err(BadHello::Versions(9..=10)));
		assert_eq!(
			Hello::decode(&hello(0..=0).encode()),
			Err(BadHello::Versions(0..=0))
		);
		#[expect(clippy::reversed_empty_ranges, reason = "what a liar may send")]
		let reversed = 5..=1;
		assert!(Hello::decode(&hello(reversed).encode()).is_err());

		let mut longer = hello(1..=9).encode().to_vec();
		longer.extend_from_slice(b"new in version 9");
		assert_eq!(Hello::decode(&longer).unwrap().1, 1);
		assert_eq!(
			Hello::decode(&longer[..HELLO_LEN - 1]),
			Err(BadHello::Malformed)
		);
		assert_eq!(Hello::decode(b"GET / HTTP/1.1"), Err(BadHello::Malformed));
	}

	#[test]
	fn the_reason_names_the_network() {
		let network = NetworkId::from("a");
		assert_eq!(network_of_reason(&network_reason(&network)), Some(network));
		assert_eq!(network_of_reason("this node belongs to network a"), None);
	}

	proptest! {
		#[test]
		fn decoding_is_total(bytes in prop::collection::vec(any::<u8>(), 0..LIMIT)) {
			let _ = Hello::decode(&bytes);
			let _ = Welcome::decode(&bytes);
			let _ = Control::decode(&bytes);
			let mut magic = MAGIC.to_vec();
			magic.extend_from_slice(&bytes);
			let _ = Hello::decode(&magic);
		}
	}
}
