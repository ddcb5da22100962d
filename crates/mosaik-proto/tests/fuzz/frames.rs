//! Frames survive any cutting of the stream, and no stream makes the reader
//! take more than the limit.

use {
	arbitrary::Arbitrary,
	bytes::{Buf, Bytes, BytesMut},
	mosaik_proto::wire::{self, Datum, FRAME_HEADER, FrameError, FrameTooLong},
	std::convert::Infallible,
};

#[derive(Debug, Arbitrary)]
pub(crate) struct Input {
	limit: u8,
	datums: Vec<Vec<u8>>,
	/// Where the stream is cut, over and over.
	cuts: Vec<u8>,
	/// What follows the frames.
	garbage: Vec<u8>,
}

/// Bytes as they are, in two parts where the second need not be copied.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

impl Datum for Raw {
	type DecodeError = Infallible;
	type EncodeError = Infallible;

	fn encode(&self) -> Result<Bytes, Infallible> {
		Ok(Bytes::copy_from_slice(&self.0))
	}

	fn decode(bytes: &[u8]) -> Result<Self, Infallible> {
		Ok(Self(bytes.to_vec()))
	}

	fn encode_into(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Infallible> {
		let (copied, shared) = self.0.split_at(self.0.len() / 2);
		buffer.extend_from_slice(copied);
		let shared = Bytes::copy_from_slice(shared);
		Ok((self.0.first() == Some(&0))
			.then_some(shared.clone())
			.or_else(|| {
				buffer.extend_from_slice(&shared);
				None
			}))
	}
}

/// Takes all frames that are complete.
fn drain(buffer: &mut BytesMut, limit: usize, out: &mut Vec<Raw>) -> Result<(), FrameTooLong> {
	while let Some(header) = buffer.first_chunk::<FRAME_HEADER>() {
		let length = wire::frame_length(*header, limit)?;
		assert!(length <= limit);
		if buffer.len() - FRAME_HEADER < length {
			break;
		}
		buffer.advance(FRAME_HEADER);
		out.push(Raw::decode(&buffer.split_to(length)).unwrap());
	}
	Ok(())
}

pub(crate) fn run(input: Input) {
	let limit = usize::from(input.limit);
	let mut stream = BytesMut::new();
	let mut written = Vec::new();
	for datum in input.datums.into_iter().map(Raw) {
		let before = stream.clone();
		let whole = wire::append_frame(&datum, &mut stream, limit);
		let mut parts = before.clone();
		if let Ok(Some(rest)) = wire::begin_frame(&datum, &mut parts, limit) {
			parts.extend_from_slice(&rest);
		}
		assert_eq!(parts, stream);
		match whole {
			Ok(()) => written.push(datum),
			Err(FrameError::TooLong(error)) => {
				assert!(datum.0.len() > limit && error.limit == limit);
				assert_eq!(stream, before);
			}
			Err(FrameError::Encode(never)) => match never {},
		}
	}
	let clean = input.garbage.is_empty();
	stream.extend_from_slice(&input.garbage);

	let mut cuts = input.cuts.into_iter().cycle();
	let mut buffer = BytesMut::new();
	let mut read = Vec::new();
	let mut result = Ok(());
	while !stream.is_empty() && result.is_ok() {
		let cut = cuts
			.next()
			.map_or(stream.len(), |cut| usize::from(cut).max(1));
		buffer.unsplit(stream.split_to(cut.min(stream.len())));
		result = drain(&mut buffer, limit, &mut read);
	}
	assert!(read.starts_with(&written));
	if clean {
		assert!(result.is_ok() && buffer.is_empty());
		assert_eq!(read.len(), written.len());
	}
}
