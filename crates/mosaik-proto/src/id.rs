//! Identities: 32-byte BLAKE3 values derived from names.
//!
//! Every name of mosaik (a network, a stream, a tag, a group, …) is a
//! [`Digest`] by contract, so that a program can write the name, its hash or its
//! hex form wherever an id is wanted. Ids are only made here.

use {
	bytes::Bytes,
	serde::{Deserialize, Deserializer, Serialize, Serializer, de},
	std::{convert::Infallible, fmt, ops::Deref, str::FromStr},
};

/// A 32-byte identity: the BLAKE3 hash of a name, or a value given in hex.
///
/// `From<&str>` and `From<&[u8]>` decode exactly 64 hexadecimal characters and
/// hash anything else, so that a printed id can be pasted where a name is
/// expected.
///
/// Serialized as a hex string in human-readable formats and as 32 raw bytes in
/// binary ones.
///
/// ```
/// use mosaik_proto::id::Digest;
/// let id = Digest::from("my-app");
/// assert_eq!(Digest::from(id.to_string().as_str()), id);
/// assert_ne!(id.derive("a").derive("b"), id.derive("b").derive("a"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Identifies anything that has a name.
pub type UniqueId = Digest;
/// Identifies a network: nodes of different networks never exchange anything.
pub type NetworkId = Digest;
/// A label a peer carries, for others to select by.
pub type Tag = UniqueId;
/// Identifies a stream.
pub type StreamId = Digest;
/// Identifies a group.
pub type GroupId = Digest;
/// Identifies a replicated collection.
pub type StoreId = UniqueId;
/// Identifies a function.
pub type FunctionId = UniqueId;
/// Identifies a kind of ticket.
pub type TicketClass = UniqueId;

/// Separates derived ids from hashes of plain names.
const DERIVE_CONTEXT: &str = "mosaik 2026-11 digest derive v1";

impl Digest {
	/// The id with these bytes.
	pub const fn from_bytes(bytes: [u8; 32]) -> Self {
		Self(bytes)
	}

	/// The raw bytes.
	pub const fn as_bytes(&self) -> &[u8; 32] {
		&self.0
	}

	/// The length of an id in bytes, 32.
	#[expect(clippy::len_without_is_empty, reason = "an id is never empty")]
	pub const fn len(&self) -> usize {
		self.0.len()
	}

	/// The id of all zeros, which no name hashes to.
	pub const fn zero() -> Self {
		Self([0; 32])
	}

	/// A random id.
	pub fn random() -> Self {
		Self(rand::random())
	}

	/// The BLAKE3 hash of `bytes`, without looking for hex.
	pub fn hash(bytes: &[u8]) -> Self {
		Self(*blake3::hash(bytes).as_bytes())
	}

	/// The hash of this id's bytes.
	#[must_use]
	pub fn hashed(&self) -> Self {
		Self::hash(&self.0)
	}

	/// The output of a hasher.
	pub fn from_hasher(hasher: &blake3::Hasher) -> Self {
		hasher.finalize().into()
	}

	/// The hash of a list of parts.
	///
	/// Each part enters with its length, so that `["ab", "c"]` and `["a", "bc"]`
	/// differ.
	pub fn from_parts(parts: &[impl AsRef<[u8]>]) -> Self {
		let mut hasher = blake3::Hasher::new();
		for part in parts {
			let part = part.as_ref();
			hasher.update(&(part.len() as u64).to_le_bytes());
			hasher.update(part);
		}
		Self::from_hasher(&hasher)
	}

	/// A child id of this one.
	///
	/// Order-sensitive and collision-free: chains of different names or in
	/// different orders give different ids, and no child equals the hash of a
	/// plain name.
	#[must_use]
	pub fn derive(&self, name: impl AsRef<[u8]>) -> Self {
		let mut hasher = blake3::Hasher::new_derive_key(DERIVE_CONTEXT);
		hasher.update(&self.0);
		hasher.update(name.as_ref());
		Self::from_hasher(&hasher)
	}
}

macro_rules! from_integers {
	($($name:ident($int:ty)),* $(,)?) => {
		impl Digest {
			$(
				#[doc = concat!("The hash of the little-endian bytes of a `", stringify!($int), "`.")]
				pub fn $name(value: $int) -> Self {
					Self::hash(&value.to_le_bytes())
				}
			)*

			/// The hash of the value as a `u64`, the same on every platform.
			pub fn from_usize(value: usize) -> Self {
				Self::from_u64(value as u64)
			}

			/// The hash of the value as an `i64`, the same on every platform.
			pub fn from_isize(value: isize) -> Self {
				Self::from_i64(value as i64)
			}
		}
	};
}

from_integers!(
	from_u8(u8),
	from_u16(u16),
	from_u32(u32),
	from_u64(u64),
	from_u128(u128),
	from_i8(i8),
	from_i16(i16),
	from_i32(i32),
	from_i64(i64),
	from_i128(i128),
);

impl From<&[u8]> for Digest {
	fn from(name: &[u8]) -> Self {
		decode_hex(name).map_or_else(|| Self::hash(name), Self)
	}
}

impl From<&str> for Digest {
	fn from(name: &str) -> Self {
		name.as_bytes().into()
	}
}

impl From<&String> for Digest {
	fn from(name: &String) -> Self {
		name.as_str().into()
	}
}

impl From<String> for Digest {
	fn from(name: String) -> Self {
		name.as_str().into()
	}
}

impl From<&Self> for Digest {
	fn from(id: &Self) -> Self {
		*id
	}
}

impl From<blake3::Hash> for Digest {
	fn from(hash: blake3::Hash) -> Self {
		Self(hash.into())
	}
}

impl From<&blake3::Hash> for Digest {
	fn from(hash: &blake3::Hash) -> Self {
		Self(*hash.as_bytes())
	}
}

impl From<Digest> for [u8; 32] {
	fn from(id: Digest) -> Self {
		id.0
	}
}

impl From<&Digest> for [u8; 32] {
	fn from(id: &Digest) -> Self {
		id.0
	}
}

impl From<Digest> for Bytes {
	fn from(id: Digest) -> Self {
		Self::copy_from_slice(&id.0)
	}
}

/// The key whose secret is this id: only as secret as the id is.
impl From<Digest> for iroh_base::SecretKey {
	fn from(id: Digest) -> Self {
		Self::from_bytes(&id.0)
	}
}

impl FromStr for Digest {
	type Err = Infallible;

	fn from_str(name: &str) -> Result<Self, Self::Err> {
		Ok(name.into())
	}
}

impl AsRef<[u8]> for Digest {
	fn as_ref(&self) -> &[u8] {
		&self.0
	}
}

impl Deref for Digest {
	type Target = [u8];

	fn deref(&self) -> &[u8] {
		&self.0
	}
}

impl PartialEq<&Self> for Digest {
	fn eq(&self, other: &&Self) -> bool {
		self == *other
	}
}

impl PartialEq<Digest> for &Digest {
	fn eq(&self, other: &Digest) -> bool {
		*self == other
	}
}

impl fmt::Display for Digest {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
	}
}

impl fmt::Debug for Digest {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		fmt::Display::fmt(self, f)
	}
}

impl Serialize for Digest {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		if serializer.is_human_readable() {
			serializer.collect_str(self)
		} else {
			self.0.serialize(serializer)
		}
	}
}

impl<'de> Deserialize<'de> for Digest {
	fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		if deserializer.is_human_readable() {
			let text = String::deserialize(deserializer)?;
			decode_hex(text.as_bytes())
				.map(Self)
				.ok_or_else(|| de::Error::custom("expected 64 hexadecimal characters"))
		} else {
			<[u8; 32]>::deserialize(deserializer).map(Self)
		}
	}
}

/// Decodes exactly 64 hexadecimal characters of either case.
fn decode_hex(text: &[u8]) -> Option<[u8; 32]> {
	let mut bytes = [0; 32];
	if text.len() != 64 {
		return None;
	}
	for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
		let high = char::from(pair[0]).to_digit(16)?;
		let low = char::from(pair[1]).to_digit(16)?;
		*byte = u8::try_from(high << 4 | low).ok()?;
	}
	Some(bytes)
}

/// Prints the first bytes of an id, for logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Short<T>(pub T);

/// How many bytes [`Short`] prints.
const SHORT_BYTES: usize = 5;

impl<T: AsRef<[u8]>> fmt::Display for Short<T> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let bytes = self.0.as_ref();
		bytes
			.iter()
			.take(SHORT_BYTES)
			.try_for_each(|byte| write!(f, "{byte:02x}"))
	}
}

impl<T: AsRef<[u8]>> fmt::Debug for Short<T> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		fmt::Display::fmt(self, f)
	}
}

/// `x.short()` is [`Short`]`(&x)`.
pub trait ShortFmtExt {
	/// Prints the first bytes only.
	fn short(&self) -> Short<&Self>;
}

impl<T: AsRef<[u8]>> ShortFmtExt for T {
	fn short(&self) -> Short<&Self> {
		Short(self)
	}
}

/// Prints a placeholder instead of the value, for secrets in logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Display for Redacted<T> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("<redacted>")
	}
}

impl<T> fmt::Debug for Redacted<T> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		fmt::Display::fmt(self, f)
	}
}

/// `x.redacted()` is [`Redacted`]`(&x)`.
pub trait RedactedFmtExt {
	/// Hides the value.
	fn redacted(&self) -> Redacted<&Self>;
}

impl<T> RedactedFmtExt for T {
	fn redacted(&self) -> Redacted<&Self> {
		Redacted(self)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn hex_decodes_and_everything_else_is_hashed() {
		let id = Digest::from("my-app");
		let hex = id.to_string();
		assert_eq!(Digest::from(hex.as_str()), id);
		assert_eq!(Digest::from(hex.to_uppercase().as_str()), id);
		assert_eq!(Digest::from(hex.as_bytes()), id);
		assert_ne!(Digest::from(&hex[..63]), id);
		assert_eq!(Digest::from("my-app"), Digest::hash(b"my-app"));
		let not_hex = "g".repeat(64);
		assert_eq!(
			Digest::from(not_hex.as_str()),
			Digest::hash(not_hex.as_bytes())
		);
	}

	#[test]
	fn derivation_depends_on_order_and_is_no_plain_hash() {
		let id = Digest::from("a");
		assert_ne!(id.derive("x").derive("y"), id.derive("y").derive("x"));
		assert_ne!(id.derive("xy"), id.derive("x").derive("y"));
		assert_ne!(
			Digest::from_parts(&["ab", "c"]),
			Digest::from_parts(&["a", "bc"])
		);
	}

	#[test]
	fn serde_is_hex_for_people_and_raw_for_machines() {
		let id = Digest::from("a");
		assert_eq!(postcard::to_allocvec(&id).unwrap(), id.as_bytes());
		let json = serde_json::to_string(&id).unwrap();
		assert_eq!(json, format!("\"{id}\""));
		assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), id);
		assert!(serde_json::from_str::<Digest>("\"a\"").is_err());
	}

	#[test]
	fn short_and_redacted_show_what_they_promise() {
		let id = Digest::zero();
		assert_eq!(Short(id).to_string(), "0000000000");
		assert_eq!(id.short().to_string(), "0000000000");
		assert_eq!("secret".redacted().to_string(), "<redacted>");
	}
}
