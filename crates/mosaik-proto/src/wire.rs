//! What travels: datums, frames, limits, versions and close codes.
//!
//! A *datum* is a value that can be turned into bytes and back. A *frame* is a
//! length (a little-endian `u32`) followed by that many bytes. The length is
//! checked against a limit before anything is allocated for it.

use {
	crate::id::StreamId,
	bytes::{Bytes, BytesMut},
	serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned, ser},
	std::{
		error::Error,
		fmt, io,
		ops::{Deref, DerefMut},
	},
};

/// The wire versions this build speaks, oldest and newest.
pub const WIRE_VERSIONS: std::ops::RangeInclusive<u16> = 1..=1;

/// The length of a frame's header in bytes.
pub const FRAME_HEADER: usize = 4;

/// The largest datum of a stream, in bytes.
pub const MAX_DATUM: usize = 16 * 1024 * 1024;

/// The largest frame of a handshake, in bytes: tickets travel in the catalog.
pub const MAX_HANDSHAKE: usize = 16 * 1024;

/// The largest signed peer entry, in bytes.
pub const MAX_ENTRY: usize = 64 * 1024;

/// The largest discovery message, in bytes; longer lists are split.
pub const MAX_DISCOVERY: usize = 512 * 1024;

/// Encodings of at least this many bytes are passed on as they are; smaller ones
/// are copied into a batch.
const WORTH_SHARING: usize = 16 * 1024;

/// Why a value could not be encoded.
pub type EncodeError = postcard::Error;

/// Why bytes could not be decoded.
pub type DecodeError = postcard::Error;

/// A value that can travel.
///
/// Everything that is `Serialize + DeserializeOwned + Send + 'static` is a datum,
/// encoded with [postcard](https://postcard.jamesmunns.com/wire-format). A type
/// that is not may implement the trait by hand, with an encoding and errors of
/// its own.
pub trait Datum: Sized + Send + 'static {
	/// Why a value could not be encoded.
	type EncodeError: Error + Send + Sync + 'static;
	/// Why bytes could not be decoded.
	type DecodeError: Error + Send + Sync + 'static;

	/// Encodes the value.
	///
	/// # Errors
	/// When the value has no encoding, such as a sequence of unknown length.
	fn encode(&self) -> Result<Bytes, Self::EncodeError>;

	/// Decodes a value from all of `bytes`.
	///
	/// # Errors
	/// When the bytes are not the encoding of a value of this type.
	fn decode(bytes: &[u8]) -> Result<Self, Self::DecodeError>;

	/// Appends the encoding to `buffer`, or returns it where that saves a copy.
	///
	/// What is sent goes through here: an encoding that is written piece by piece
	/// is best written to the buffer. The buffer only grows; on an error it is cut
	/// back to what it was.
	///
	/// # Errors
	/// As [`encode`](Self::encode).
	fn encode_into(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Self::EncodeError> {
		let bytes = self.encode()?;
		if bytes.len() >= WORTH_SHARING {
			return Ok(Some(bytes));
		}
		buffer.extend_from_slice(&bytes);
		Ok(None)
	}

	/// As [`decode`](Self::decode), for types that can keep a part of the bytes
	/// without copying it.
	///
	/// # Errors
	/// As [`decode`](Self::decode).
	fn decode_from(bytes: Bytes) -> Result<Self, Self::DecodeError> {
		Self::decode(&bytes)
	}

	/// The stream id of this type where none is given: the hash of its Rust name.
	///
	/// The name changes when the type moves to another module. Programs that
	/// outlive a refactoring name their streams.
	fn derived_stream_id() -> StreamId {
		std::any::type_name::<Self>().into()
	}
}

impl<T> Datum for T
where
	T: Serialize + DeserializeOwned + Send + 'static,
{
	type DecodeError = DecodeError;
	type EncodeError = EncodeError;

	fn encode(&self) -> Result<Bytes, EncodeError> {
		try_serialize(self)
	}

	fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
		deserialize(bytes)
	}

	fn encode_into(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, EncodeError> {
		postcard::serialize_with_flavor(self, Append(buffer))?;
		Ok(None)
	}
}

/// Serializes a value with postcard.
///
/// # Errors
/// When the value has no encoding, such as a sequence of unknown length.
pub fn try_serialize<T: Serialize>(value: &T) -> Result<Bytes, EncodeError> {
	let mut buffer = BytesMut::new();
	postcard::serialize_with_flavor(value, Append(&mut buffer))?;
	Ok(buffer.freeze())
}

/// Serializes a value with postcard into a writer.
///
/// # Errors
/// When the value has no encoding or the writer fails.
pub fn try_serialize_to_writer<T: Serialize>(
	value: &T,
	writer: &mut impl io::Write,
) -> Result<(), EncodeError> {
	postcard::to_io(value, writer).map(drop)
}

/// Deserializes a value from all of `bytes` with postcard.
///
/// # Errors
/// When the bytes are not an encoding of such a value, or go on after it.
pub fn deserialize<T: DeserializeOwned>(bytes: impl AsRef<[u8]>) -> Result<T, DecodeError> {
	match postcard::take_from_bytes(bytes.as_ref())? {
		(value, []) => Ok(value),
		_ => Err(DecodeError::DeserializeBadEncoding),
	}
}

/// Lets postcard write at the end of a buffer.
struct Append<'a>(&'a mut BytesMut);

impl postcard::ser_flavors::Flavor for Append<'_> {
	type Output = ();

	fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
		self.0.extend_from_slice(data);
		Ok(())
	}

	fn try_push(&mut self, data: u8) -> postcard::Result<()> {
		self.0.extend_from_slice(&[data]);
		Ok(())
	}

	fn finalize(self) -> postcard::Result<()> {
		Ok(())
	}
}

/// Embeds a [`Datum`] in a serde type, as a byte string.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Encoded<T>(pub T);

impl<T> From<T> for Encoded<T> {
	fn from(value: T) -> Self {
		Self(value)
	}
}

impl<T> Deref for Encoded<T> {
	type Target = T;

	fn deref(&self) -> &T {
		&self.0
	}
}

impl<T> DerefMut for Encoded<T> {
	fn deref_mut(&mut self) -> &mut T {
		&mut self.0
	}
}

impl<T: Datum> Serialize for Encoded<T> {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		let bytes = self.0.encode().map_err(ser::Error::custom)?;
		bytes.serialize(serializer)
	}
}

impl<'de, T: Datum> Deserialize<'de> for Encoded<T> {
	fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		let bytes = Bytes::deserialize(deserializer)?;
		T::decode(&bytes).map(Self).map_err(de::Error::custom)
	}
}

/// What a frame's header announces is more than the limit of its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {announced} bytes exceeds the limit of {limit}; the sender must split it")]
pub struct FrameTooLong {
	/// The length in the header.
	pub announced: usize,
	/// The limit that applies.
	pub limit: usize,
}

/// Reads a frame's header.
///
/// # Errors
/// When the announced length exceeds `limit`. Nothing was allocated.
pub const fn frame_length(header: [u8; FRAME_HEADER], limit: usize) -> Result<usize, FrameTooLong> {
	let announced = u32::from_le_bytes(header) as usize;
	if announced > limit {
		return Err(FrameTooLong { announced, limit });
	}
	Ok(announced)
}

/// Why a datum did not become a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError<E: Error + 'static> {
	/// The value has no encoding.
	#[error("the value could not be encoded")]
	Encode(#[source] E),
	/// The encoding is larger than the limit.
	#[error(transparent)]
	TooLong(#[from] FrameTooLong),
}

/// Appends `value` as a frame to `buffer`, or the beginning of it and returns the
/// rest. On an error the buffer is left as it was.
///
/// # Errors
/// When the value cannot be encoded or its encoding exceeds `limit`.
pub fn begin_frame<D: Datum>(
	value: &D,
	buffer: &mut BytesMut,
	limit: usize,
) -> Result<Option<Bytes>, FrameError<D::EncodeError>> {
	let start = buffer.len();
	let payload = start + FRAME_HEADER;
	buffer.extend_from_slice(&[0; FRAME_HEADER]);
	let encoded = value.encode_into(buffer).map_err(FrameError::Encode);
	let framed = encoded.and_then(|rest| {
		let announced = buffer.len() - payload + rest.as_ref().map_or(0, Bytes::len);
		match u32::try_from(announced) {
			Ok(length) if announced <= limit => {
				buffer[start..payload].copy_from_slice(&length.to_le_bytes());
				Ok(rest)
			}
			_ => Err(FrameTooLong { announced, limit }.into()),
		}
	});
	if framed.is_err() {
		buffer.truncate(start);
	}
	framed
}

/// Appends `value` as a frame to `buffer`, which is left as it was on an error.
///
/// # Errors
/// When the value cannot be encoded or its encoding exceeds `limit`.
pub fn append_frame<D: Datum>(
	value: &D,
	buffer: &mut BytesMut,
	limit: usize,
) -> Result<(), FrameError<D::EncodeError>> {
	if let Some(rest) = begin_frame(value, buffer, limit)? {
		buffer.extend_from_slice(&rest);
	}
	Ok(())
}

/// Why a connection or a stream was closed: a code that both sides understand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u32);

macro_rules! close_codes {
	($($(#[doc = $doc:literal])* $name:ident = $code:literal),* $(,)?) => {
		#[expect(non_upper_case_globals, reason = "codes read like the variants of an enum")]
		impl CloseCode {
			$($(#[doc = $doc])* pub const $name: Self = Self($code);)*

			/// The name of the code, if it is one of ours.
			pub const fn name(self) -> Option<&'static str> {
				match self.0 {
					$($code => Some(stringify!($name)),)*
					_ => None,
				}
			}
		}
	};
}

close_codes! {
	/// The peer speaks another protocol.
	InvalidAlpn = 100,
	/// The peer belongs to another network.
	DifferentNetwork = 101,
	/// Whoever asked for it gave up.
	Cancelled = 102,
	/// The peer speaks no wire version that we do.
	UnsupportedVersion = 103,
	/// Another connection to the same peer took this one's place.
	Superseded = 104,
	/// Nobody used the connection.
	Idle = 105,
	/// All is done.
	Success = 200,
	/// The node leaves.
	GracefulShutdown = 204,
	/// The peer sent something that the protocol does not allow.
	ProtocolViolation = 400,
	/// The peer's entry is not in the catalog: sync and try again.
	UnknownPeer = 401,
	/// Nothing here speaks the protocol that the stream asks for.
	UnknownProtocol = 404,
	/// The node is at a limit; try again later.
	Overloaded = 429,
	/// The peer refuses this consumer.
	NotAllowed = 10_403,
	/// The stream has no producer on this node.
	StreamNotFound = 10_404,
	/// The consumer fell too far behind.
	TooSlow = 10_413,
	/// The producer has as many consumers as it takes.
	NoCapacity = 10_509,
}

impl fmt::Debug for CloseCode {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self.name() {
			Some(name) => write!(f, "{name}({})", self.0),
			None => write!(f, "{}", self.0),
		}
	}
}

impl fmt::Display for CloseCode {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		fmt::Debug::fmt(self, f)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	/// A datum with an encoding of its own, which refuses to encode 13.
	#[derive(Debug, PartialEq)]
	struct Custom(u8);

	#[derive(Debug, thiserror::Error)]
	#[error("unlucky")]
	struct Unlucky;

	impl Datum for Custom {
		type DecodeError = Unlucky;
		type EncodeError = Unlucky;

		fn encode(&self) -> Result<Bytes, Unlucky> {
			if self.0 == 13 {
				return Err(Unlucky);
			}
			Ok(Bytes::copy_from_slice(&[self.0]))
		}

		fn decode(bytes: &[u8]) -> Result<Self, Unlucky> {
			bytes.first().copied().map(Self).ok_or(Unlucky)
		}
	}

	#[test]
	fn a_frame_that_fails_leaves_the_buffer_as_it_was() {
		let mut buffer = BytesMut::from(&b"before"[..]);
		assert!(append_frame(&Custom(13), &mut buffer, 10).is_err());
		assert!(append_frame(&vec![0u8; 11], &mut buffer, 10).is_err());
		assert_eq!(&buffer[..], b"before");
		append_frame(&Custom(7), &mut buffer, 10).unwrap();
		assert_eq!(&buffer[..], b"before\x01\0\0\0\x07");
	}

	#[test]
	fn a_length_over_the_limit_is_refused() {
		assert_eq!(frame_length(10u32.to_le_bytes(), 10), Ok(10));
		let refused = frame_length(u32::MAX.to_le_bytes(), 10).unwrap_err();
		assert_eq!(refused.limit, 10);
	}

	#[test]
	fn trailing_bytes_are_no_datum() {
		let mut bytes = 7u32.encode().unwrap().to_vec();
		assert_eq!(u32::decode(&bytes).unwrap(), 7);
		bytes.push(0);
		assert!(u32::decode(&bytes).is_err());
	}

	#[test]
	fn an_embedded_datum_keeps_its_own_encoding() {
		let bytes = try_serialize(&Encoded(Custom(7))).unwrap();
		assert_eq!(&bytes[..], [1, 7]);
		assert_eq!(deserialize::<Encoded<Custom>>(&bytes).unwrap().0, Custom(7));
	}

	#[test]
	fn close_codes_print_their_names() {
		assert_eq!(CloseCode::TooSlow.to_string(), "TooSlow(10413)");
		assert_eq!(CloseCode(7).to_string(), "7");
	}
}
