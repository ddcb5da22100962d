//! How much may be under way to a consumer.
//!
//! QUIC's own windows bound the bytes of a stream that nobody reads, but not the
//! packets, and a receiver has to give up a connection on which too many pieces
//! of a stream wait to be read (noq 1.4: 2,048). A consumer that pauses must not
//! cost its peer the connection. The bytes of a full window are so many full
//! packets at most; each write can end in one more that is not full. So the
//! producer counts its writes, and the consumer tells how far it has read.

use {
	serde::{Deserialize, Serialize},
	std::collections::VecDeque,
};

/// How many writes may be under way. A full window of 1.25 MiB is 1,192 packets of
/// 1,100 bytes, which every path carries; together that is less than a receiver can
/// bear, since what is sent again may be cut differently.
const MAX_WRITES: usize = 600;

/// The consumer tells how far it has read at least every so many bytes …
const ACK_BYTES: u64 = 64 * 1024;

/// … or datums, whichever is first. Each datum may have been a write, so this stays
/// below the limit: a producer that waits is always owed a message.
const ACK_DATUMS: u64 = 512;

/// From the consumer, after its subscription: all bytes up to here were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
	/// Counted from the first byte after the answer, frame headers included.
	pub read: u64,
}

/// The producer's count for one consumer.
#[derive(Debug, Default)]
pub struct Credit {
	written: u64,
	/// The end of each write that was not read.
	writes: VecDeque<u64>,
}

impl Credit {
	/// Whether another write may follow.
	pub fn is_open(&self) -> bool {
		self.writes.len() < MAX_WRITES
	}

	/// Counts a write of so many bytes.
	pub fn wrote(&mut self, bytes: u64) {
		self.written += bytes;
		self.writes.push_back(self.written);
	}

	/// Takes in how far the consumer has read. False if that is nonsense.
	#[must_use]
	pub fn acked(&mut self, read: u64) -> bool {
		while self.writes.front().is_some_and(|end| *end <= read) {
			self.writes.pop_front();
		}
		read <= self.written
	}
}

/// The consumer's count for one producer.
#[derive(Debug, Default)]
pub struct Receipts {
	read: u64,
	told: u64,
	datums: u64,
}

impl Receipts {
	/// Counts what was read. Returns what to tell the producer, if it is time.
	pub const fn read(&mut self, bytes: u64, datums: u64) -> Option<Ack> {
		self.read += bytes;
		self.datums += datums;
		if self.read - self.told < ACK_BYTES && self.datums < ACK_DATUMS {
			return None;
		}
		self.told = self.read;
		self.datums = 0;
		Some(Ack { read: self.read })
	}
}

#[cfg(test)]
mod tests {
	use {super::*, proptest::prelude::*};

	#[test]
	fn writes_are_counted_until_they_are_read() {
		let mut credit = Credit::default();
		for _ in 0..MAX_WRITES {
			assert!(credit.is_open());
			credit.wrote(10);
		}
		assert!(!credit.is_open());
		assert!(credit.acked(15));
		assert!(credit.is_open(), "the first write was read");
	}

	#[test]
	fn nobody_reads_what_was_not_written() {
		let mut credit = Credit::default();
		credit.wrote(10);
		assert!(!credit.acked(11));
	}

	proptest! {
		/// Whatever the sizes, a consumer that goes on reading is never waited for
		/// in vain, and never has more writes to bear than the limit.
		#[test]
		fn it_never_locks_up(writes in prop::collection::vec((1u64..300_000, 1u64..500), 1..200)) {
			let mut credit = Credit::default();
			let mut receipts = Receipts::default();
			let mut unread = VecDeque::new();
			for (bytes, datums) in writes {
				// A datum takes at least its header.
				let datums = datums.min(bytes.div_ceil(4));
				while !credit.is_open() {
					let (bytes, datums) = unread.pop_front().expect("blocked with nothing to read");
					if let Some(ack) = receipts.read(bytes, datums) {
						prop_assert!(credit.acked(ack.read));
					}
				}
				credit.wrote(bytes);
				unread.push_back((bytes, datums));
				prop_assert!(credit.writes.len() <= MAX_WRITES);
			}
		}
	}
}
