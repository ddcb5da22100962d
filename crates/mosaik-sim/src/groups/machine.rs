//! The state machine that is replicated: an append-only log of unique values, of
//! which only the length and a digest are kept.

pub use crate::linearizability::models::log::Prefix;

use {
	bytes::Bytes,
	mosaik_proto::groups::entry::{Entry, EntryKind},
};

/// What the log holds after an entry, where it held `prefix` before it.
#[must_use]
pub fn after(prefix: Prefix, entry: &Entry) -> Prefix {
	match &entry.kind {
		EntryKind::Commands(batch) => {
			let values = batch.iter().map(|envelope| value_of(&envelope.payload));
			values.fold(prefix, Prefix::with)
		}
		_ => prefix,
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
