//! The payloads, encoded by copying: the codec is not what is measured.

use {
	mosaik::{Bytes, BytesMut, Datum},
	std::convert::Infallible,
};

/// A datum of exactly `N` bytes.
#[derive(Clone, Copy)]
pub(crate) struct Fixed<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Datum for Fixed<N> {
	type DecodeError = std::array::TryFromSliceError;
	type EncodeError = Infallible;

	fn encode(&self) -> Result<Bytes, Infallible> {
		Ok(Bytes::copy_from_slice(&self.0))
	}

	fn decode(bytes: &[u8]) -> Result<Self, Self::DecodeError> {
		bytes.try_into().map(Self)
	}

	fn encode_into(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Infallible> {
		buffer.extend_from_slice(&self.0);
		Ok(None)
	}
}

/// A large datum.
#[derive(Clone)]
pub(crate) struct Blob(pub(crate) Bytes);

impl Datum for Blob {
	type DecodeError = Infallible;
	type EncodeError = Infallible;

	fn encode(&self) -> Result<Bytes, Infallible> {
		Ok(self.0.clone())
	}

	fn decode(bytes: &[u8]) -> Result<Self, Infallible> {
		Ok(Self(Bytes::copy_from_slice(bytes)))
	}

	fn decode_from(bytes: Bytes) -> Result<Self, Infallible> {
		Ok(Self(bytes))
	}
}
