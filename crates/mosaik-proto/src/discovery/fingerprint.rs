//! What two catalogs have in common, in a few bytes.

use {super::PeerEntryVersion, crate::id::Digest, std::ops::RangeInclusive};

/// The bytes of a [`PeerId`](crate::PeerId).
///
/// Decoding a `PeerId` decompresses a point of a curve, five microseconds that
/// a list of a thousand known peers need not cost.
pub type Key = [u8; 32];

/// How many buckets a digest has.
pub const BUCKETS: usize = 64;

/// Summaries of the live signed entries of a catalog, kept up to date entry by
/// entry.
///
/// A bucket is the wrapping sum of the hashes of its `(peer, version)` pairs:
/// order does not matter and an entry is taken out as easily as put in. Equal
/// sums mean equal contents but for an accident of one in 2^64. Peers can make
/// the sums lie, and then fail to repair their own catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
	buckets: [u64; BUCKETS],
	total: u64,
}

impl Default for Fingerprint {
	fn default() -> Self {
		Self {
			buckets: [0; BUCKETS],
			total: 0,
		}
	}
}

impl Fingerprint {
	/// Adds an entry.
	pub fn add(&mut self, key: &Key, version: PeerEntryVersion) {
		let hash = hash(key, version);
		let bucket = &mut self.buckets[bucket(key)];
		*bucket = bucket.wrapping_add(hash);
		self.total = self.total.wrapping_add(hash);
	}

	/// Takes out an entry that was added.
	pub fn remove(&mut self, key: &Key, version: PeerEntryVersion) {
		let hash = hash(key, version);
		let bucket = &mut self.buckets[bucket(key)];
		*bucket = bucket.wrapping_sub(hash);
		self.total = self.total.wrapping_sub(hash);
	}

	/// The summary of everything.
	pub const fn total(&self) -> u64 {
		self.total
	}

	/// The summary of each bucket.
	pub const fn buckets(&self) -> &[u64; BUCKETS] {
		&self.buckets
	}
}

/// The bucket of a peer: ids are points of a curve, their first bits as even
/// as those of a hash, and so a bucket is a range of the ordered catalog.
pub(super) fn bucket(key: &Key) -> usize {
	usize::from(key[0] >> 2)
}

/// The ids that a bucket holds.
pub(super) fn bucket_range(bucket: usize) -> RangeInclusive<Key> {
	let first = u8::try_from((bucket % BUCKETS) << 2).unwrap_or(u8::MAX);
	let mut from = [0; 32];
	let mut to = [u8::MAX; 32];
	from[0] = first;
	to[0] = first | 3;
	from..=to
}

fn hash(key: &Key, version: PeerEntryVersion) -> u64 {
	let mut bytes = [0; 48];
	bytes[..32].copy_from_slice(key);
	bytes[32..40].copy_from_slice(&version.0.to_le_bytes());
	bytes[40..].copy_from_slice(&version.1.to_le_bytes());
	let digest = Digest::hash(&bytes);
	let mut first = [0; 8];
	first.copy_from_slice(&digest.as_bytes()[..8]);
	u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn the_order_does_not_matter_and_what_is_removed_leaves_no_trace() {
		let (a, b) = ([1; 32], [200; 32]);
		let (v, w) = (PeerEntryVersion(1, 2), PeerEntryVersion(3, 4));
		let mut one = Fingerprint::default();
		one.add(&a, v);
		one.add(&b, w);
		let mut two = Fingerprint::default();
		two.add(&b, v);
		two.add(&b, w);
		two.add(&a, v);
		assert_ne!(one, two);
		two.remove(&b, v);
		assert_eq!(one, two);
	}

	#[test]
	fn the_ranges_of_the_buckets_are_all_ids() {
		for first in 0..=u8::MAX {
			let key = [first; 32];
			let holders = (0..BUCKETS).filter(|&n| bucket_range(n).contains(&key));
			assert_eq!(holders.collect::<Vec<_>>(), [bucket(&key)]);
		}
	}
}
