//! What neighbours say to each other.

use {
	super::{Error, Key, PeerEntryVersion, SignedPeerEntry},
	crate::{PeerId, SecretKey, Signature, id::NetworkId, wire},
	serde::{Deserialize, Serialize},
};

/// One message of a discovery link, at most [`wire::MAX_DISCOVERY`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
	/// The first message of each side, and again when the sender's start
	/// changed.
	Hello(Hello),
	/// "Are you there?", answered by a [`Pong`](Self::Pong) with the same nonce.
	Ping(Beat),
	/// The answer to a [`Ping`](Self::Ping).
	Pong(Beat),
	/// What changed.
	News(News),
	/// "Send me your entries of these peers", answered by [`News`](Self::News).
	Pull(Vec<Key>),
	/// Opens a sync: a summary of the sender's catalog.
	Digest(Digest),
	/// What the answerer holds where the summaries differ.
	Lists(Lists),
	/// What the opener wants of it, after it sent what the answerer lacks.
	Want(Want),
	/// The answerer sent all that was wanted: both sides have merged.
	Done {
		/// The token of the [`Digest`](Self::Digest) that this ends.
		token: u32,
	},
}

impl Message {
	/// The length of the encoding in bytes.
	pub fn encoded_len(&self) -> usize {
		postcard::experimental::serialized_size(self).unwrap_or(usize::MAX)
	}

	/// Decodes a message, whatever the bytes are.
	///
	/// # Errors
	/// When the bytes are no message or more than a message may have.
	pub fn decode(bytes: &[u8]) -> Result<Self, wire::DecodeError> {
		if bytes.len() > wire::MAX_DISCOVERY {
			return Err(wire::DecodeError::DeserializeBadEncoding);
		}
		wire::deserialize(bytes)
	}
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
	/// The sender's network.
	pub network: NetworkId,
	/// The version of the sender's own entry; its start is the incarnation that
	/// this link leads to.
	pub version: PeerEntryVersion,
	/// The sum of the sender's catalog.
	#[serde(with = "postcard::fixint::le")]
	pub fingerprint: u64,
	/// The sender's entry, if it thinks that the receiver does not know it.
	pub entry: Option<SignedPeerEntry>,
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
	/// Ties a pong to its ping.
	pub nonce: u32,
	/// The sum of the sender's catalog.
	#[serde(with = "postcard::fixint::le")]
	pub fingerprint: u64,
}

/// A batch of what changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
	/// Entries in full.
	pub entries: Vec<SignedPeerEntry>,
	/// Entries that the sender has and sends when they are pulled.
	pub adverts: Vec<Mention>,
	/// Peers that somebody could not reach: gone unless they refute it.
	pub suspects: Vec<Mention>,
	/// Peers that left, by their own word.
	pub departed: Vec<Departure>,
}

impl News {
	pub(super) const fn is_empty(&self) -> bool {
		self.entries.is_empty()
			&& self.adverts.is_empty()
			&& self.suspects.is_empty()
			&& self.departed.is_empty()
	}
}

/// A version of a peer's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
	/// The peer.
	pub peer: Key,
	/// The version.
	pub version: PeerEntryVersion,
}

/// A summary of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
	/// Ties the answers to this summary.
	pub token: u32,
	/// The sum of each bucket, [`BUCKETS`](super::BUCKETS) of them.
	pub buckets: Vec<u64>,
	/// Whether the sender is new or slept long: it wants to know of all the
	/// dead, also where the living are the same.
	pub fresh: bool,
}

/// The contents of some buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
	/// The token of the [`Digest`] this answers.
	pub token: u32,
	/// The buckets that are listed in full, bit by bit.
	#[serde(with = "postcard::fixint::le")]
	pub buckets: u64,
	/// All that the answerer knows of these buckets.
	pub held: Vec<Held>,
	/// Whether these are the last of the buckets that differ.
	pub last: bool,
}

/// What a catalog knows of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
	/// The peer.
	pub peer: Key,
	/// The version of its entry.
	pub version: PeerEntryVersion,
	/// `false` for a peer that died or left with this version, or is about to be
	/// thought dead.
	pub alive: bool,
}

/// The entries that the opener of a sync lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
	/// The token of the [`Digest`] that began the sync.
	pub token: u32,
	/// The peers whose entries are wanted.
	pub peers: Vec<Key>,
	/// Whether this answers the last [`Lists`].
	pub last: bool,
}

/// Separates departures from anything else a node's key signs.
const DEPARTURE_CONTEXT: &str = "mosaik 2026-11 departure v1";

/// A peer's word that it leaves. Signed, as it takes effect at once: nobody can
/// make others leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
	peer: PeerId,
	version: PeerEntryVersion,
	signature: Signature,
}

impl Departure {
	/// The departure of the owner of `key`; entries up to `version` are void.
	pub fn sign(key: &SecretKey, network: &NetworkId, version: PeerEntryVersion) -> Self {
		let peer = key.public();
		let signature = key.sign(&Self::statement(network, version));
		Self {
			peer,
			version,
			signature,
		}
	}

	/// Checks the signature.
	///
	/// # Errors
	/// When the peer did not sign this for this network.
	pub fn verify(&self, network: &NetworkId) -> Result<(), Error> {
		let statement = Self::statement(network, self.version);
		let result = self.peer.verify(&statement, &self.signature);
		result.map_err(|_| Error::InvalidSignature)
	}

	/// Who leaves.
	pub const fn peer(&self) -> &PeerId {
		&self.peer
	}

	/// The last version of the peer's entry.
	pub const fn version(&self) -> PeerEntryVersion {
		self.version
	}

	fn statement(network: &NetworkId, version: PeerEntryVersion) -> [u8; 32] {
		let mut hasher = blake3::Hasher::new_derive_key(DEPARTURE_CONTEXT);
		hasher.update(network.as_bytes());
		hasher.update(&version.0.to_le_bytes());
		hasher.update(&version.1.to_le_bytes());
		*hasher.finalize().as_bytes()
	}
}

#[cfg(test)]
mod tests {
	use {super::*, proptest::prelude::*};

	#[test]
	fn a_departure_holds_for_its_peer_version_and_network_only() {
		let key = SecretKey::from_bytes(&[1; 32]);
		let network = NetworkId::from("net");
		let departure = Departure::sign(&key, &network, PeerEntryVersion(1, 2));
		departure.verify(&network).unwrap();
		assert!(departure.verify(&"other".into()).is_err());
		let mut later = departure.clone();
		later.version = PeerEntryVersion(1, 3);
		assert!(later.verify(&network).is_err());
		let mut other = departure;
		other.peer = SecretKey::from_bytes(&[2; 32]).public();
		assert!(other.verify(&network).is_err());
	}

	proptest! {
		#[test]
		fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
			if let Ok(message) = Message::decode(&bytes) {
				prop_assert!(message.encoded_len() <= 2 * bytes.len() + 64);
			}
		}
	}
}
