//! The dead, so that they stay dead, and where they lived, in case they do not.

use {
	super::{Key, PeerEntryVersion},
	crate::{EndpointAddr, PeerId, core::Instant},
	std::{
		collections::{BTreeMap, BTreeSet},
		time::Duration,
	},
};

/// How many dead are remembered. Beyond it the oldest are forgotten: should
/// somebody bring one back, its neighbours find it dead once more.
const MAX_TOMBSTONES: usize = 16 * 1024;

/// How many addresses of lost peers are kept. Beyond it the oldest goes.
const MAX_LOST: usize = 1024;

/// The versions with which peers died or left.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
	of: BTreeMap<Key, (PeerEntryVersion, Instant)>,
	by_age: BTreeSet<(Instant, Key)>,
}

impl Tombstones {
	/// Whether an entry of this version is dead.
	pub(super) fn cover(&self, key: &Key, version: PeerEntryVersion) -> bool {
		self.version(key).is_some_and(|dead| version <= dead)
	}

	pub(super) fn version(&self, key: &Key) -> Option<PeerEntryVersion> {
		self.of.get(key).map(|&(version, _)| version)
	}

	pub(super) fn put(&mut self, key: Key, version: PeerEntryVersion, now: Instant) {
		let version = self.version(&key).map_or(version, |old| old.max(version));
		self.remove(&key);
		if self.of.len() >= MAX_TOMBSTONES
			&& let Some((_, oldest)) = self.by_age.pop_first()
		{
			self.of.remove(&oldest);
		}
		self.of.insert(key, (version, now));
		self.by_age.insert((now, key));
	}

	pub(super) fn remove(&mut self, key: &Key) {
		if let Some((_, at)) = self.of.remove(key) {
			self.by_age.remove(&(at, *key));
		}
	}

	/// Forgets those that are older than `keep`.
	pub(super) fn expire(&mut self, now: Instant, keep: Duration) {
		while let Some(&(at, key)) = self.by_age.first()
			&& now.since(at) >= keep
		{
			self.remove(&key);
		}
	}

	pub(super) fn range(
		&self,
		range: std::ops::RangeInclusive<Key>,
	) -> impl Iterator<Item = (&Key, PeerEntryVersion)> {
		self.of
			.range(range)
			.map(|(key, &(version, _))| (key, version))
	}
}

/// How many candidates are remembered for good. Further ones are tried and
/// forgotten.
const MAX_SEEDS: usize = 64;

/// Where peers lived that fell silent without a goodbye: perhaps it was the
/// network that broke.
#[derive(Debug, Default)]
pub(super) struct Lost {
	of: BTreeMap<PeerId, (EndpointAddr, Instant)>,
	/// Addresses that were given as ways into the network. Those of an island
	/// that restarted elsewhere may all have changed, but one of these is where
	/// it came in.
	seeds: BTreeMap<PeerId, EndpointAddr>,
	latest: Instant,
}

impl Lost {
	pub(super) fn seed(&mut self, address: EndpointAddr) {
		if self.seeds.len() < MAX_SEEDS || self.seeds.contains_key(&address.id) {
			self.seeds.insert(address.id, address);
		}
	}

	pub(super) const fn seeds(&self) -> &BTreeMap<PeerId, EndpointAddr> {
		&self.seeds
	}

	pub(super) fn put(&mut self, address: EndpointAddr, now: Instant) {
		if self.of.len() >= MAX_LOST && !self.of.contains_key(&address.id) {
			let oldest = self.of.iter().min_by_key(|(_, (_, at))| *at);
			if let Some(oldest) = oldest.map(|(id, _)| *id) {
				self.of.remove(&oldest);
			}
		}
		self.latest = now;
		self.of.insert(address.id, (address, now));
	}

	pub(super) fn remove(&mut self, peer: &PeerId) {
		self.of.remove(peer);
	}

	pub(super) fn len(&self) -> usize {
		self.of.len()
	}

	/// The `n`th of the lost.
	pub(super) fn nth(&self, n: usize) -> Option<&EndpointAddr> {
		self.of.values().nth(n).map(|(address, _)| address)
	}

	/// Whether a peer is worth an attempt now and then.
	pub(super) fn contains(&self, peer: &PeerId) -> bool {
		self.of.contains_key(peer) || self.seeds.contains_key(peer)
	}

	/// When the last of them was lost.
	pub(super) const fn latest(&self) -> Instant {
		self.latest
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn key(n: u32) -> Key {
		let mut key = [0; 32];
		key[..4].copy_from_slice(&n.to_le_bytes());
		key
	}

	#[test]
	fn the_oldest_tombstones_go_first_and_the_newest_version_counts() {
		let mut dead = Tombstones::default();
		let v = |n| PeerEntryVersion(1, n);
		dead.put(key(0), v(5), Instant(0));
		dead.put(key(0), v(3), Instant(1));
		assert!(dead.cover(&key(0), v(5)));
		assert!(!dead.cover(&key(0), v(6)));
		for n in 1..=u32::try_from(MAX_TOMBSTONES).unwrap() {
			dead.put(key(n), v(1), Instant(2));
		}
		assert_eq!(dead.version(&key(0)), None);
		assert_eq!(dead.of.len(), MAX_TOMBSTONES);
		dead.expire(Instant(12), Duration::from_micros(10));
		assert_eq!((dead.of.len(), dead.by_age.len()), (0, 0));
	}
}
