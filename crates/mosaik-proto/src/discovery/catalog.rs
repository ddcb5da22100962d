//! Who is in the network: an immutable picture, cheap to take and to keep.

use {
	super::{Key, PeerEntry, SignedPeerEntry},
	crate::{
		PeerId,
		id::{NetworkId, ShortFmtExt},
	},
	rpds::RedBlackTreeMapSync,
	std::{
		fmt,
		ops::{Bound, Deref, RangeBounds},
		sync::Arc,
		time::Duration,
	},
};

/// What a node knows of the network at one moment.
///
/// A clone shares everything with the original and never changes. Iteration is
/// in the order of peer ids, the same on every node.
#[derive(Clone)]
pub struct Catalog {
	network: NetworkId,
	me: PeerId,
	local: SignedPeerEntry,
	/// All peers and the local node.
	known: RedBlackTreeMapSync<PeerId, PeerInfo>,
	/// How many of `known` are unsigned.
	unsigned: usize,
	max_rtt: Option<Duration>,
}

impl Catalog {
	/// A catalog of nobody but the local node.
	pub(super) fn new(local: SignedPeerEntry, max_rtt: Option<Duration>) -> Self {
		let mut known = RedBlackTreeMapSync::new_sync();
		known.insert_mut(*local.id(), PeerInfo::signed(local.clone(), None));
		Self {
			network: *local.network_id(),
			me: *local.id(),
			local,
			known,
			unsigned: 0,
			max_rtt,
		}
	}

	/// The entry of a peer or of the local node, also of one that is too far
	/// away to be among the [`peers`](Self::peers).
	pub fn get(&self, id: &PeerId) -> Option<&PeerEntry> {
		self.known.get(id).map(PeerInfo::entry)
	}

	/// As [`get`](Self::get), if the entry is signed.
	pub fn get_signed(&self, id: &PeerId) -> Option<&SignedPeerEntry> {
		self.known.get(id)?.as_signed()
	}

	/// A peer's entry and what this node measured.
	pub fn info(&self, id: &PeerId) -> Option<PeerInfo> {
		self.known.get(id).cloned()
	}

	/// The smoothed round-trip time to a peer, `None` while unknown.
	pub fn rtt(&self, id: &PeerId) -> Option<Duration> {
		self.known.get(id)?.rtt()
	}

	/// All entries, with the local one.
	pub fn iter(&self) -> impl DoubleEndedIterator<Item = &PeerEntry> {
		self.known.values().map(PeerInfo::entry)
	}

	/// All signed entries, with the local one.
	pub fn iter_signed(&self) -> impl DoubleEndedIterator<Item = &SignedPeerEntry> {
		self.known.values().filter_map(PeerInfo::as_signed)
	}

	/// The local node's entry.
	pub const fn local(&self) -> &SignedPeerEntry {
		&self.local
	}

	/// The local node's id.
	pub const fn local_id(&self) -> PeerId {
		self.me
	}

	/// The network.
	pub const fn network_id(&self) -> NetworkId {
		self.network
	}

	/// The other nodes, but those beyond the maximal round-trip time.
	pub fn peers(&self) -> impl DoubleEndedIterator<Item = &PeerEntry> {
		self.infos().map(PeerInfo::entry)
	}

	/// As [`peers`](Self::peers), with what this node measured.
	pub fn infos(&self) -> impl DoubleEndedIterator<Item = &PeerInfo> {
		let me = self.local_id();
		let others = self.known.iter().filter(move |&(id, _)| *id != me);
		others.map(|(_, info)| info).filter(|info| self.shows(info))
	}

	/// How many [`peers`](Self::peers) there are.
	pub fn peers_count(&self) -> usize {
		match self.max_rtt {
			None => self.known.size() - 1,
			Some(_) => self.infos().count(),
		}
	}

	/// The other nodes whose entries are signed.
	pub fn signed_peers(&self) -> impl DoubleEndedIterator<Item = &SignedPeerEntry> {
		self.infos().filter_map(PeerInfo::as_signed)
	}

	/// How many [`signed_peers`](Self::signed_peers) there are.
	pub fn signed_peers_count(&self) -> usize {
		match self.max_rtt {
			None => self.known.size() - 1 - self.unsigned,
			Some(_) => self.signed_peers().count(),
		}
	}

	/// The other nodes whose entries are unsigned: known to this node only.
	pub fn unsigned_peers(&self) -> impl DoubleEndedIterator<Item = &PeerEntry> {
		let unsigned = self.infos().filter(|info| info.as_signed().is_none());
		unsigned.map(PeerInfo::entry)
	}

	/// All other nodes with signed entries, near or far.
	pub(super) fn signed_members(&self) -> Vec<PeerId> {
		self.members(|info| info.as_signed().is_some())
	}

	/// All other nodes with unsigned entries, near or far.
	pub(super) fn unsigned_members(&self) -> Vec<PeerId> {
		self.members(|info| info.as_signed().is_none())
	}

	fn members(&self, is: impl Fn(&PeerInfo) -> bool) -> Vec<PeerId> {
		let others = self.known.iter().filter(|&(id, _)| *id != self.me);
		let chosen = others.filter(|&(_, info)| is(info));
		chosen.map(|(id, _)| *id).collect()
	}

	fn shows(&self, info: &PeerInfo) -> bool {
		self.max_rtt.is_none_or(|max| info.rtt_below(max))
	}

	/// How many entries there are, with the local one.
	pub(super) fn size(&self) -> usize {
		self.known.size()
	}

	pub(super) fn contains(&self, id: &PeerId) -> bool {
		self.known.contains_key(id)
	}

	/// As [`get_signed`](Self::get_signed), by bytes that may be no id at all.
	pub(super) fn find(&self, key: &Key) -> Option<&SignedPeerEntry> {
		self.known.get(key)?.as_signed()
	}

	/// The signed entries within a range of ids.
	pub(super) fn range(
		&self,
		range: impl RangeBounds<Key>,
	) -> impl DoubleEndedIterator<Item = &SignedPeerEntry> {
		let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
		let found = self.known.range::<Key, (Bound<Key>, Bound<Key>)>(bounds);
		found.filter_map(|(_, info)| info.as_signed())
	}

	/// Puts in an entry, keeping what was measured.
	pub(super) fn insert(&mut self, entry: SignedPeerEntry) {
		if *entry.id() == self.local_id() {
			self.local = entry.clone();
		}
		let old = self.known.get(entry.id());
		self.unsigned -= usize::from(old.is_some_and(|info| info.as_signed().is_none()));
		let info = PeerInfo::signed(entry, old.and_then(PeerInfo::rtt));
		self.known.insert_mut(*info.id(), info);
	}

	pub(super) fn insert_unsigned(&mut self, entry: PeerEntry) {
		let old = self.known.get(entry.id());
		self.unsigned += usize::from(old.is_none_or(|info| info.as_signed().is_some()));
		let rtt = old.and_then(PeerInfo::rtt);
		let entry = Entry::Unsigned(Arc::new(entry));
		let info = PeerInfo { entry, rtt };
		self.known.insert_mut(*info.id(), info);
	}

	pub(super) fn remove(&mut self, id: &PeerId) -> Option<PeerInfo> {
		let info = self.known.get(id)?.clone();
		self.known.remove_mut(id);
		self.unsigned -= usize::from(info.as_signed().is_none());
		Some(info)
	}

	/// Notes a round-trip time; `false` if it is as good as the one known.
	pub(super) fn set_rtt(&mut self, id: &PeerId, rtt: Duration) -> bool {
		let Some(info) = self.known.get(id) else {
			return false;
		};
		let shown = self.shows(info);
		let updated = PeerInfo {
			entry: info.entry.clone(),
			rtt: Some(rtt),
		};
		let moved = info.rtt.is_none_or(|old| old.abs_diff(rtt) > old / 10);
		if !moved && shown == self.shows(&updated) {
			return false;
		}
		self.known.insert_mut(*id, updated);
		true
	}
}

impl fmt::Debug for Catalog {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let short = |info: &PeerInfo| {
			let signed = if info.as_signed().is_some() {
				""
			} else {
				" unsigned"
			};
			format!("{} {}{signed}", info.id().short(), info.update_version())
		};
		f.debug_struct("Catalog")
			.field("network", &self.network.short())
			.field("local", &self.local)
			.field("peers", &self.infos().map(short).collect::<Vec<_>>())
			.finish()
	}
}

/// A peer's entry and what this node measured. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
	entry: Entry,
	rtt: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
	Signed(SignedPeerEntry),
	Unsigned(Arc<PeerEntry>),
}

impl PeerInfo {
	const fn signed(entry: SignedPeerEntry, rtt: Option<Duration>) -> Self {
		let entry = Entry::Signed(entry);
		Self { entry, rtt }
	}

	/// The smoothed round-trip time, `None` while there is no sample.
	pub const fn rtt(&self) -> Option<Duration> {
		self.rtt
	}

	/// Whether the round-trip time is at most `limit`; true while unknown.
	pub fn rtt_below(&self, limit: Duration) -> bool {
		self.rtt.is_none_or(|rtt| rtt <= limit)
	}

	/// The entry alone.
	pub fn into_entry(self) -> PeerEntry {
		match self.entry {
			Entry::Signed(entry) => entry.into_unsigned(),
			Entry::Unsigned(entry) => Arc::unwrap_or_clone(entry),
		}
	}

	/// The signed entry, `None` if it is a local-only one.
	pub const fn as_signed(&self) -> Option<&SignedPeerEntry> {
		match &self.entry {
			Entry::Signed(entry) => Some(entry),
			Entry::Unsigned(_) => None,
		}
	}

	fn entry(&self) -> &PeerEntry {
		match &self.entry {
			Entry::Signed(entry) => entry,
			Entry::Unsigned(entry) => entry,
		}
	}
}

impl Deref for PeerInfo {
	type Target = PeerEntry;

	fn deref(&self) -> &PeerEntry {
		self.entry()
	}
}

impl AsRef<PeerEntry> for PeerInfo {
	fn as_ref(&self) -> &PeerEntry {
		self
	}
}

impl From<PeerInfo> for PeerEntry {
	fn from(info: PeerInfo) -> Self {
		info.into_entry()
	}
}

/// The info of an entry that nothing was measured about.
impl From<PeerEntry> for PeerInfo {
	fn from(entry: PeerEntry) -> Self {
		let entry = Entry::Unsigned(Arc::new(entry));
		Self { entry, rtt: None }
	}
}

/// The info of an entry that nothing was measured about.
impl From<SignedPeerEntry> for PeerInfo {
	fn from(entry: SignedPeerEntry) -> Self {
		Self::signed(entry, None)
	}
}

#[cfg(test)]
mod tests {
	use {super::*, crate::SecretKey};

	fn key(n: u8) -> SecretKey {
		SecretKey::from_bytes(&[n; 32])
	}

	fn entry(n: u8) -> PeerEntry {
		PeerEntry::new("net".into(), key(n).public())
	}

	fn signed(n: u8) -> SignedPeerEntry {
		entry(n).sign(&key(n)).unwrap()
	}

	const MAX: Duration = Duration::from_millis(100);

	#[test]
	fn a_snapshot_does_not_change_and_counts_agree_with_iteration() {
		let mut catalog = Catalog::new(signed(1), None);
		catalog.insert(signed(2));
		catalog.insert_unsigned(entry(3));
		catalog.insert_unsigned(entry(4));
		catalog.insert(signed(4));
		let before = catalog.clone();
		catalog.remove(&key(3).public());
		catalog.remove(&key(2).public());
		for (catalog, peers, signed) in [(&before, 3, 2), (&catalog, 1, 1)] {
			assert_eq!(catalog.peers_count(), peers);
			assert_eq!(catalog.peers().count(), peers);
			assert_eq!(catalog.iter().count(), peers + 1);
			assert_eq!(catalog.signed_peers_count(), signed);
			assert_eq!(catalog.signed_peers().count(), signed);
			assert_eq!(catalog.unsigned_peers().count(), peers - signed);
			assert_eq!(catalog.iter_signed().count(), signed + 1);
			assert!(catalog.iter().is_sorted_by_key(|entry| *entry.id()));
		}
	}

	#[test]
	fn the_far_are_hidden_and_the_unmeasured_are_not() {
		let mut catalog = Catalog::new(signed(1), Some(MAX));
		catalog.insert(signed(2));
		let peer = key(2).public();
		assert_eq!(catalog.peers_count(), 1);
		assert!(catalog.set_rtt(&peer, MAX * 2));
		assert_eq!(catalog.peers_count(), 0);
		assert!(catalog.get(&peer).is_some());
		assert!(!catalog.set_rtt(&peer, MAX * 2 + MAX / 10));
		assert!(catalog.set_rtt(&peer, MAX));
		assert_eq!(catalog.signed_peers_count(), 1);
		assert!(catalog.info(&peer).unwrap().rtt_below(MAX));
		catalog.insert(signed(2));
		assert_eq!(catalog.rtt(&peer), Some(MAX));
	}
}
