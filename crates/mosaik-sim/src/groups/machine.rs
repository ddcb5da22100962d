//! The state machine that is replicated: an append-only log of unique values, of
//! which only the length and a digest are kept.

use {
	bytes::Bytes,
	mosaik_proto::groups::entry::{Entry, EntryKind},
};

/// What the log holds up to some index: any difference in anything before it
/// shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
	/// How many values.
	pub length: u64,
	/// Which.
	pub digest: u64,
}

impl Prefix {
	/// No values.
	pub const EMPTY: Self = Self {
		length: 0,
		digest: 0,
	};

	/// These values, and one more.
	#[must_use]
	pub const fn with(self, value: u64) -> Self {
		// The finalizer of splitmix64, over what was before and what comes now.
		let mut mix = (self.digest ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
		mix = (mix ^ (mix >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		Self {
			length: self.length + 1,
			digest: (mix ^ (mix >> 31)).rotate_left(17),
		}
	}

	/// These values, and those that an entry adds.
	#[must_use]
	pub fn after(self, entry: &Entry) -> Self {
		match &entry.kind {
			EntryKind::Commands(batch) => {
				let values = batch.iter().map(|envelope| value_of(&envelope.payload));
				values.fold(self, Self::with)
			}
			_ => self,
		}
	}
}

/// The command that adds a value.
pub fn command(value: u64) -> Bytes {
	Bytes::copy_from_slice(&value.to_be_bytes())
}

/// The value that a command adds.
pub fn value_of(payload: &[u8]) -> u64 {
	payload.try_into().map_or(0, u64::from_be_bytes)
}
