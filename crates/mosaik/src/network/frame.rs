//! Frames on a QUIC stream: a little-endian `u32` length, then that many bytes.
//!
//! ```text
//!   chunks as QUIC delivers them   |..........|.....|...............|
//!   frames                         [h pay][h pay][h  payload   ][h p
//!                                   slice  slice  assembled      waits
//! ```
//!
//! A frame that lies inside one chunk is a slice of it and is never copied; one
//! that crosses chunks is assembled in a buffer that grows with what was
//! received, never with what was announced. A length over the limit is an error
//! before anything is allocated for it.
//!
//! Whoever pauses between frames must have its peer pause as well, see
//! [`STREAM_WINDOW`](super::endpoint::STREAM_WINDOW).
//!
//! [`FrameBuffer`] is the part without IO. A small frame keeps the chunk that it
//! is a slice of alive (a packet, about 1.4 kB): copy what is kept for long.

use {
	bytes::{Buf, Bytes, BytesMut},
	futures::FutureExt,
	iroh::endpoint::{
		ConnectionError, ReadError as QuicReadError, RecvStream, SendStream, VarInt,
		WriteError as QuicWriteError,
	},
	mosaik_proto::wire::{CloseCode, FRAME_HEADER, FrameTooLong, frame_length},
	std::{mem, slice},
};

/// Why no frame could be read. The error stays: reading again returns it again.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ReadError {
	/// The next frame is longer than the limit. The stream was stopped with
	/// [`CloseCode::ProtocolViolation`]; nothing more can be read from it.
	#[error(transparent)]
	TooLong(#[from] FrameTooLong),
	/// The peer abandoned the stream with this code. Its other streams live on.
	#[error("the peer reset the stream: {0}")]
	Reset(CloseCode),
	/// The connection ended, with a code if either side closed it on purpose.
	/// Open a new lane.
	#[error("the connection was lost")]
	Lost {
		/// The code the peer closed with, `None` if it vanished or if this node
		/// closed the connection itself.
		code: Option<CloseCode>,
		/// What QUIC says.
		#[source]
		source: ConnectionError,
	},
	/// The peer finished the stream in the middle of a frame: it gave up while
	/// writing.
	#[error("the stream ended in the middle of a frame")]
	Truncated,
	/// This node stopped the stream itself.
	#[error("the stream was stopped by this node")]
	Stopped,
}

/// Why nothing could be written.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum WriteError {
	/// The peer wants no more data, for this reason. Its other streams live on.
	#[error("the peer stopped the stream: {0}")]
	Stopped(CloseCode),
	/// The connection ended, with a code if the peer closed it on purpose.
	/// Open a new lane.
	#[error("the connection was lost")]
	Lost {
		/// The code the peer closed with, `None` if it vanished or if this node
		/// closed the connection itself.
		code: Option<CloseCode>,
		/// What QUIC says.
		#[source]
		source: ConnectionError,
	},
	/// This node finished or reset the stream before.
	#[error("the stream was finished by this node")]
	Finished,
	/// The frame is longer than a length field can say. Nothing was written.
	#[error(transparent)]
	TooLong(#[from] FrameTooLong),
}

impl ReadError {
	/// The code the peer ended the stream or the connection with.
	pub(crate) const fn code(&self) -> Option<CloseCode> {
		match self {
			Self::Reset(code) => Some(*code),
			Self::Lost { code, .. } => *code,
			Self::TooLong(_) | Self::Truncated | Self::Stopped => None,
		}
	}
}

impl WriteError {
	/// The code the peer stopped the stream or closed the connection with.
	pub(crate) const fn code(&self) -> Option<CloseCode> {
		match self {
			Self::Stopped(code) => Some(*code),
			Self::Lost { code, .. } => *code,
			Self::Finished | Self::TooLong(_) => None,
		}
	}
}

impl From<QuicReadError> for ReadError {
	fn from(error: QuicReadError) -> Self {
		match error {
			QuicReadError::Reset(code) => Self::Reset(close_code(code)),
			QuicReadError::ConnectionLost(source) => Self::Lost {
				code: application_code(&source),
				source,
			},
			// Early data is never sent, so that it cannot be rejected.
			QuicReadError::ClosedStream | QuicReadError::ZeroRttRejected => Self::Stopped,
		}
	}
}

impl From<QuicWriteError> for WriteError {
	fn from(error: QuicWriteError) -> Self {
		match error {
			QuicWriteError::Stopped(code) => Self::Stopped(close_code(code)),
			QuicWriteError::ConnectionLost(source) => Self::Lost {
				code: application_code(&source),
				source,
			},
			// Early data is never sent, so that it cannot be rejected.
			QuicWriteError::ClosedStream | QuicWriteError::ZeroRttRejected => Self::Finished,
		}
	}
}

/// A code as it came over the wire. Ours fit in 32 bits; what does not is
/// nobody's code and stays recognisable as such.
pub(crate) fn close_code(code: VarInt) -> CloseCode {
	CloseCode(u32::try_from(code.into_inner()).unwrap_or(u32::MAX))
}

/// A code as it goes over the wire.
pub(crate) const fn var_int(code: CloseCode) -> VarInt {
	VarInt::from_u32(code.0)
}

/// The code the peer's application closed the connection with.
pub(crate) fn application_code(error: &ConnectionError) -> Option<CloseCode> {
	match error {
		ConnectionError::ApplicationClosed(close) => Some(close_code(close.error_code)),
		_ => None,
	}
}

/// The room that a frame that crosses chunks is given first, in bytes; then it is
/// doubled by what has come.
const ASSEMBLY_STEP: usize = 16 * 1024;

/// Takes frames out of chunks, without IO.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
	/// What is left of the chunk that is being read.
	chunk: Bytes,
	/// What was received after it, copied together so that it costs what it is
	/// long and not the packets it came in.
	ahead: BytesMut,
	/// The header of the next frame, as far as it was received.
	header: [u8; FRAME_HEADER],
	/// How many bytes of the header were received.
	header_len: usize,
	/// The payload of the next frame, as far as it lies in earlier chunks.
	partial: BytesMut,
}

impl FrameBuffer {
	/// Adds the next chunk of the stream. It is not copied if everything before
	/// it was taken.
	pub(crate) fn push(&mut self, chunk: Bytes) {
		if self.chunk.is_empty() && self.ahead.is_empty() {
			self.chunk = chunk;
		} else {
			self.ahead.extend_from_slice(&chunk);
		}
	}

	/// Takes the next frame if all of it is here.
	///
	/// # Errors
	/// When the announced length exceeds `limit`; again on every further call.
	pub(crate) fn pop(&mut self, limit: usize) -> Result<Option<Bytes>, FrameTooLong> {
		loop {
			let frame = self.pop_chunk(limit)?;
			if frame.is_some() || self.ahead.is_empty() {
				return Ok(frame);
			}
			// The chunk is used up, or there would be a frame.
			self.chunk = mem::take(&mut self.ahead).freeze();
		}
	}

	/// Takes the next frame if it ends in this chunk, and else all of the chunk.
	fn pop_chunk(&mut self, limit: usize) -> Result<Option<Bytes>, FrameTooLong> {
		let missing = FRAME_HEADER - self.header_len;
		let take = missing.min(self.chunk.len());
		self.header[self.header_len..self.header_len + take].copy_from_slice(&self.chunk[..take]);
		self.chunk.advance(take);
		self.header_len += take;
		if self.header_len < FRAME_HEADER {
			return Ok(None);
		}

		let length = frame_length(self.header, limit)?;
		let missing = length.saturating_sub(self.partial.len());
		if self.chunk.len() < missing {
			// In steps, so that a peer that announces much and sends little gets
			// little of our memory.
			if self.partial.capacity() - self.partial.len() < self.chunk.len() {
				let step = ASSEMBLY_STEP.max(self.partial.len());
				self.partial.reserve(missing.min(step));
			}
			self.partial.extend_from_slice(&self.chunk);
			self.chunk.clear();
			return Ok(None);
		}
		let rest = self.chunk.split_to(missing);
		self.header_len = 0;
		if self.partial.is_empty() {
			return Ok(Some(rest));
		}
		self.partial.extend_from_slice(&rest);
		Ok(Some(mem::take(&mut self.partial).freeze()))
	}

	/// How many bytes are waiting to be taken.
	pub(crate) fn len(&self) -> usize {
		self.header_len + self.partial.len() + self.chunk.len() + self.ahead.len()
	}

	/// Takes a byte that precedes the frames.
	pub(crate) fn pop_byte(&mut self) -> Option<u8> {
		(!self.chunk.is_empty()).then(|| self.chunk.get_u8())
	}

	/// Whether the stream may end here: no part of a frame is waiting.
	pub(crate) fn is_empty(&self) -> bool {
		self.len() == 0
	}
}

/// How a stream ended.
#[derive(Debug, Clone)]
enum End {
	Clean,
	Failed(ReadError),
}

/// Reads frames from a QUIC stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
	stream: RecvStream,
	buffer: FrameBuffer,
	/// Kept because QUIC tells a reset once and calls the stream finished after.
	end: Option<End>,
}

impl FrameReader {
	/// Reads frames from here on.
	pub(crate) fn new(stream: RecvStream) -> Self {
		Self {
			stream,
			buffer: FrameBuffer::default(),
			end: None,
		}
	}

	/// Waits for the next frame. `None` when the peer finished the stream after
	/// a whole frame. Cancellation safe: nothing that was received is lost.
	pub(crate) async fn next(&mut self, limit: usize) -> Result<Option<Bytes>, ReadError> {
		loop {
			if let Some(frame) = self.pop(limit)? {
				return Ok(Some(frame));
			}
			match &self.end {
				None => {}
				Some(End::Clean) if self.buffer.is_empty() => return Ok(None),
				Some(End::Clean) => return Err(ReadError::Truncated),
				Some(End::Failed(error)) => return Err(error.clone()),
			}
			let chunk = self.stream.read_chunk(usize::MAX).await;
			self.on_chunk(chunk);
		}
	}

	/// Takes the next frame if it has been received, without waiting. `None`
	/// says that there is none now; [`next`](Self::next) tells whether more can
	/// come.
	pub(crate) fn try_buffered(&mut self, limit: usize) -> Result<Option<Bytes>, ReadError> {
		loop {
			if let Some(frame) = self.pop(limit)? {
				return Ok(Some(frame));
			}
			if self.end.is_some() {
				return Ok(None);
			}
			// A chunk is at most a packet: go on with what the connection holds.
			// Polling with a waker of nobody is fine, `next` registers a real one.
			match self.stream.read_chunk(usize::MAX).now_or_never() {
				Some(chunk) => self.on_chunk(chunk),
				None => return Ok(None),
			}
		}
	}

	/// Waits for the byte that opens a lane, before any frame. `None` if the
	/// stream ends without. Cancellation safe.
	pub(crate) async fn first_byte(&mut self) -> Result<Option<u8>, ReadError> {
		loop {
			if let Some(byte) = self.buffer.pop_byte() {
				return Ok(Some(byte));
			}
			match &self.end {
				None => {}
				Some(End::Clean) => return Ok(None),
				Some(End::Failed(error)) => return Err(error.clone()),
			}
			let chunk = self.stream.read_chunk(usize::MAX).await;
			self.on_chunk(chunk);
		}
	}

	/// Tells the peer to send no more, and why. What was buffered is dropped.
	pub(crate) fn stop(&mut self, code: CloseCode) {
		self.fail(ReadError::Stopped, code);
	}

	fn fail(&mut self, error: ReadError, code: CloseCode) {
		self.buffer = FrameBuffer::default();
		if self.end.is_none() {
			// Fails when the stream has ended, and then there is nothing to stop.
			let _ = self.stream.stop(var_int(code));
		}
		self.end = Some(End::Failed(error));
	}

	fn pop(&mut self, limit: usize) -> Result<Option<Bytes>, ReadError> {
		self.buffer.pop(limit).map_err(|too_long| {
			self.fail(too_long.into(), CloseCode::ProtocolViolation);
			too_long.into()
		})
	}

	fn on_chunk(&mut self, chunk: Result<Option<Bytes>, QuicReadError>) {
		match chunk {
			Ok(Some(chunk)) => self.buffer.push(chunk),
			Ok(None) => self.end = Some(End::Clean),
			Err(error) => self.end = Some(End::Failed(error.into())),
		}
	}
}

/// Writes chunks that hold whole frames, headers included, without copying them.
///
/// The chunks are left empty. Not cancellation safe: a frame may be written in
/// part, so that a stream whose writer was cancelled must be reset.
pub(crate) async fn write_frames(
	stream: &mut SendStream,
	frames: &mut [Bytes],
) -> Result<(), WriteError> {
	Ok(stream.write_all_chunks(frames).await?)
}

/// Waits until the stream takes something of `frames`, and leaves the rest there.
/// Cancellation safe.
pub(crate) async fn write_some(
	stream: &mut SendStream,
	frames: &mut Bytes,
) -> Result<(), WriteError> {
	stream
		.write_many_chunks(&mut slice::from_mut(frames))
		.await?;
	Ok(())
}

/// Writes one frame with this payload, without copying it. As cancellation safe
/// as [`write_frames`].
pub(crate) async fn write_frame(stream: &mut SendStream, payload: Bytes) -> Result<(), WriteError> {
	let length = u32::try_from(payload.len()).map_err(|_| FrameTooLong {
		announced: payload.len(),
		limit: u32::MAX as usize,
	})?;
	let header = Bytes::copy_from_slice(&length.to_le_bytes());
	write_frames(stream, &mut [header, payload]).await
}

#[cfg(test)]
mod tests {
	use {super::*, proptest::prelude::*};

	fn encode(payloads: &[Vec<u8>]) -> Vec<u8> {
		let mut wire = Vec::new();
		for payload in payloads {
			wire.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
			wire.extend_from_slice(payload);
		}
		wire
	}

	fn drain(buffer: &mut FrameBuffer, limit: usize) -> Vec<Vec<u8>> {
		std::iter::from_fn(|| buffer.pop(limit).unwrap())
			.map(|frame| frame.to_vec())
			.collect()
	}

	#[test]
	fn frames_survive_a_split_at_every_byte() {
		let payloads = vec![b"one".to_vec(), vec![], b"three".to_vec(), vec![7; 300]];
		let wire = encode(&payloads);
		for split in 0..=wire.len() {
			let (a, b) = wire.split_at(split);
			let mut buffer = FrameBuffer::default();
			buffer.push(Bytes::copy_from_slice(a));
			let mut seen = drain(&mut buffer, 300);
			buffer.push(Bytes::copy_from_slice(b));
			seen.extend(drain(&mut buffer, 300));
			assert_eq!(seen, payloads, "split at {split}");
			assert!(buffer.is_empty());
		}
	}

	#[test]
	fn a_frame_inside_a_chunk_is_a_slice_of_it() {
		let wire = Bytes::from(encode(&[b"one".to_vec(), b"two".to_vec()]));
		let mut buffer = FrameBuffer::default();
		buffer.push(wire.clone());
		for at in [4, 11] {
			let frame = buffer.pop(3).unwrap().unwrap();
			assert_eq!(frame.as_ptr(), wire[at..].as_ptr());
		}
	}

	#[test]
	fn an_announced_length_allocates_nothing() {
		let mut buffer = FrameBuffer::default();
		buffer.push(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
		assert!(buffer.pop(16 * 1024 * 1024).is_err());
		assert!(buffer.pop(16 * 1024 * 1024).is_err(), "the error stays");
		assert_eq!(buffer.partial.capacity(), 0);

		// Under the limit, the buffer grows with what comes.
		let mut buffer = FrameBuffer::default();
		buffer.push(Bytes::from_static(&[0, 0, 0xff, 0, 1, 2, 3]));
		assert_eq!(buffer.pop(16 * 1024 * 1024), Ok(None));
		assert!(buffer.partial.capacity() <= ASSEMBLY_STEP);
		assert!(!buffer.is_empty());
	}

	#[test]
	fn a_chunk_pushed_early_is_kept() {
		let wire = encode(&[b"one".to_vec(), b"two".to_vec()]);
		let mut buffer = FrameBuffer::default();
		for byte in &wire {
			buffer.push(Bytes::copy_from_slice(&[*byte]));
		}
		assert_eq!(drain(&mut buffer, 3).len(), 2);
	}

	proptest! {
		#[test]
		fn any_frames_in_any_chunks(
			payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
			cuts in prop::collection::vec(1usize..100, 1..40),
		) {
			let wire = encode(&payloads);
			let mut buffer = FrameBuffer::default();
			let mut seen = Vec::new();
			let mut rest = &wire[..];
			for cut in cuts.into_iter().cycle() {
				if rest.is_empty() {
					break;
				}
				let (chunk, tail) = rest.split_at(cut.min(rest.len()));
				rest = tail;
				buffer.push(Bytes::copy_from_slice(chunk));
				// Sometimes the reader pauses.
				if cut % 3 != 0 {
					seen.extend(drain(&mut buffer, 200));
				}
			}
			seen.extend(drain(&mut buffer, 200));
			prop_assert_eq!(seen, payloads);
			prop_assert!(buffer.is_empty());
		}

		#[test]
		fn nonsense_is_an_error_or_waits(chunks in prop::collection::vec(
			prop::collection::vec(any::<u8>(), 0..50), 0..20,
		)) {
			let mut buffer = FrameBuffer::default();
			for chunk in chunks {
				buffer.push(Bytes::from(chunk));
				while let Ok(Some(frame)) = buffer.pop(64) {
					prop_assert!(frame.len() <= 64);
				}
			}
		}
	}
}
