//! Encoded datums in their order: sealed batches, which are shared, and an open one.

use {
	bytes::{Bytes, BytesMut},
	std::{cell::Cell, collections::VecDeque},
};

/// The size at which an open batch is sealed, in bytes.
const SEAL_AT: usize = 64 * 1024;

/// The memory that is set aside for a new open batch, in bytes.
const BATCH_CAPACITY: usize = SEAL_AT + 4 * 1024;

/// An open batch is not begun in less memory than this, in bytes.
const SMALLEST_BATCH: usize = 1024;

/// A run of datums, shared by all who take it.
pub(super) struct Batch {
	/// The number of the datum after the last one of the batch.
	pub(super) end: u64,
	pub(super) bytes: Bytes,
	/// The rest of the last datum, if it was not copied.
	pub(super) rest: Option<Bytes>,
}

impl Batch {
	pub(super) fn len(&self) -> usize {
		self.bytes.len() + self.rest.as_ref().map_or(0, Bytes::len)
	}
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Batches {
	/// The number of the next datum to be pushed.
	head: u64,
	sealed: VecDeque<Batch>,
	sealed_bytes: usize,
	open: BytesMut,
	open_start: u64,
}

impl Batches {
	pub(super) const fn head(&self) -> u64 {
		self.head
	}

	/// The memory that the datums take.
	pub(super) fn bytes(&self) -> usize {
		self.sealed_bytes + self.open.len()
	}

	/// Appends what `encode` writes, or nothing if it fails or panics.
	pub(super) fn push<E>(
		&mut self,
		encode: impl FnOnce(&mut BytesMut) -> Result<Option<Bytes>, E>,
	) -> Result<(), E> {
		if self.open.is_empty() && self.open.capacity() < SMALLEST_BATCH {
			self.open.reserve(BATCH_CAPACITY);
		}
		let end = Cell::new(self.open.len());
		let restore = Restore {
			buffer: &mut self.open,
			end: &end,
		};
		let rest = encode(restore.buffer)?;
		end.set(restore.buffer.len());
		drop(restore);
		self.head += 1;
		if rest.is_some() || self.open.len() >= SEAL_AT {
			self.seal_with(rest);
		}
		Ok(())
	}

	/// Ends the open batch.
	pub(super) fn seal(&mut self) {
		self.seal_with(None);
	}

	fn seal_with(&mut self, rest: Option<Bytes>) {
		if self.open_start == self.head {
			return;
		}
		let batch = Batch {
			end: self.head,
			bytes: self.open.split().freeze(),
			rest,
		};
		self.sealed_bytes += batch.len();
		self.sealed.push_back(batch);
		self.open_start = self.head;
	}

	/// The sealed batches from a datum on, which is the first of its batch.
	pub(super) fn sealed_from(&self, start: u64) -> impl Iterator<Item = &Batch> {
		let first = self.sealed.partition_point(|batch| batch.end <= start);
		self.sealed.range(first..)
	}

	/// Drops the sealed batches before a datum.
	pub(super) fn release(&mut self, before: u64) {
		while let Some(batch) = self.sealed.front()
			&& batch.end <= before
		{
			self.sealed_bytes -= batch.len();
			self.sealed.pop_front();
		}
	}

	/// Drops everything; the memory of the open batch stays.
	pub(super) fn clear(&mut self) {
		self.sealed.clear();
		self.sealed_bytes = 0;
		self.open.clear();
		self.open_start = self.head;
	}
}

/// Cuts a buffer to a length when it is dropped.
struct Restore<'a> {
	buffer: &'a mut BytesMut,
	end: &'a Cell<usize>,
}

impl Drop for Restore<'_> {
	fn drop(&mut self) {
		self.buffer.truncate(self.end.get());
	}
}
