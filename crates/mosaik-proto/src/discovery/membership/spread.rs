//! How entries are learnt and passed on.

use {
	super::{Event, MAX_PEERS, Membership, Output, Timer},
	crate::{
		PeerId,
		discovery::{
			Key, PeerEntryVersion, SignedPeerEntry,
			message::{Mention, News},
		},
		wire,
	},
	rand::RngExt,
	std::{collections::BTreeMap, time::Duration},
};

/// Larger entries are not pushed but advertised, in bytes.
const EAGER_MAX: usize = 2048;

/// How many advertised entries may be awaited. Further adverts are ignored: a
/// sync brings what they promised.
const MAX_PULLS: usize = 8192;

/// How many neighbours are remembered as having an awaited entry.
const MAX_HOLDERS: usize = 4;

/// How long a neighbour that was asked has to send an entry.
const PULL_TIMEOUT: Duration = Duration::from_secs(1);

/// An entry that was advertised and has not arrived.
#[derive(Debug)]
pub(super) struct Pull {
	version: PeerEntryVersion,
	/// Neighbours that have it and were not asked.
	holders: Vec<PeerId>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
	/// It replaced what was known.
	New,
	/// It is known, or something newer is.
	Known,
	/// It was not taken.
	Refused,
	/// Its owner did not sign it.
	Forged,
}

impl Membership {
	pub(super) fn on_news(&mut self, from: PeerId, news: News) {
		for entry in news.entries {
			if self.learn(entry, Some(from)) == Learned::Forged {
				return self.violation(from);
			}
		}
		for departure in &news.departed {
			if !self.on_departure(departure, Some(from)) {
				return self.violation(from);
			}
		}
		for Mention { peer, version } in news.adverts {
			self.on_advert(from, peer, version);
		}
		for Mention { peer, version } in news.suspects {
			self.suspect(peer, version, Some(from));
		}
	}

	/// Takes in an entry, if it is news, and passes it on.
	///
	/// The signature is checked last, as it is by far the dearest of the checks
	/// and most entries that arrive are known.
	pub(super) fn learn(&mut self, entry: SignedPeerEntry, from: Option<PeerId>) -> Learned {
		let version = entry.update_version();
		let id = *entry.id();
		if *entry.network_id() != self.network {
			self.stats.foreign += 1;
			return Learned::Refused;
		}
		if id == self.me {
			return self.on_own_entry(&entry);
		}
		let known = self.catalog.find(&id).map(|known| known.update_version());
		if known.is_some_and(|known| known >= version) {
			if let (Some(from), true) = (from, known == Some(version)) {
				self.has_it(from, id);
			}
			return Learned::Known;
		}
		let full = self.catalog.size() >= MAX_PEERS && !self.catalog.contains(&id);
		if full || entry.encoded_len() > wire::MAX_ENTRY || self.tombstones.cover(&id, version) {
			self.stats.refused += 1;
			return Learned::Refused;
		}
		if entry.verify().is_err() {
			self.stats.forged += 1;
			return Learned::Forged;
		}
		self.accept(entry, from);
		Learned::New
	}

	/// Puts a valid and newer entry into the catalog.
	fn accept(&mut self, entry: SignedPeerEntry, from: Option<PeerId>) {
		let id = *entry.id();
		let version = entry.update_version();
		let len = entry.encoded_len();
		let old = self.catalog.info(&id);
		let signed = old.as_ref().and_then(|old| old.as_signed());
		// The dead may come back while the driver still holds on to their old life.
		let before = signed.map(|old| old.update_version());
		let before = before.or_else(|| self.tombstones.version(&id));
		if old
			.as_ref()
			.is_none_or(|old| old.address() != entry.address())
		{
			let address = entry.address().clone();
			self.outputs.push_back(Output::Address(address));
		}
		if let Some(old) = signed {
			self.fingerprint.remove(&id, old.update_version());
		} else {
			self.overlay_is_old = true;
			self.unvouch(id);
		}
		self.fingerprint.add(&id, version);
		self.fingerprint_changed = self.now.mono;
		self.tombstones.remove(&id);
		self.lost.remove(&id);
		self.forget_suspicion(&id, version);
		if self
			.pulls
			.get(&*id)
			.is_some_and(|pull| pull.version <= version)
		{
			self.pulls.remove(&*id);
			self.timers.cancel(Timer::Pull(*id));
		}
		self.event(if old.is_some() {
			Event::PeerUpdated(entry.clone().into())
		} else {
			Event::PeerDiscovered(entry.clone().into())
		});
		self.catalog.insert(entry);
		if before.is_some_and(|before| before.started_ms() < version.started_ms()) {
			self.restarted(id, version.started_ms());
		}
		self.spread(id, len, from);
	}

	/// A neighbour has what we have: it need not be sent.
	fn has_it(&mut self, neighbour: PeerId, id: PeerId) {
		if let Some(link) = self.links.get_mut(&neighbour) {
			link.outbox.entries.remove(&id);
			link.outbox.adverts.remove(&id);
		}
	}

	/// Passes an entry on: in full to a few, as an advert to the others.
	pub(super) fn spread(&mut self, id: PeerId, len: usize, except: Option<PeerId>) {
		let others = self.links.keys().copied();
		let mut others: Vec<PeerId> = others
			.filter(|&link| link != id && Some(link) != except)
			.collect();
		let mut eager = 0;
		if len <= EAGER_MAX {
			let successor = others.iter().position(|&link| Some(link) == self.successor);
			if let Some(successor) = successor {
				others.swap(0, successor);
				eager = 1;
			}
			let random = self.config.eager.min(others.len() - eager);
			for _ in 0..random {
				let chosen = self.rng.random_range(eager..others.len());
				others.swap(eager, chosen);
				eager += 1;
			}
		}
		for (n, link) in others.into_iter().enumerate() {
			self.outbox(link, |outbox| {
				if n < eager {
					outbox.entries.insert(id);
				} else {
					outbox.adverts.insert(id);
				}
			});
		}
	}

	/// A neighbour has an entry: if it does not arrive by itself, pull it.
	pub(super) fn on_advert(&mut self, from: PeerId, key: Key, version: PeerEntryVersion) {
		if let Some(known) = self.catalog.find(&key)
			&& known.update_version() >= version
		{
			let (id, same) = (*known.id(), known.update_version() == version);
			if same {
				self.has_it(from, id);
			}
			return;
		}
		if self.tombstones.cover(&key, version) {
			return;
		}
		let awaited = self.pulls.len();
		let pull = match self.pulls.entry(key) {
			std::collections::btree_map::Entry::Occupied(pull) => pull.into_mut(),
			std::collections::btree_map::Entry::Vacant(_) if awaited >= MAX_PULLS => return,
			std::collections::btree_map::Entry::Vacant(place) => {
				let at = self.now.mono + self.config.pull_after;
				self.timers.set(Timer::Pull(key), at);
				place.insert(Pull {
					version,
					holders: Vec::new(),
				})
			}
		};
		if version > pull.version {
			pull.version = version;
			pull.holders.clear();
		}
		if version == pull.version
			&& pull.holders.len() < MAX_HOLDERS
			&& !pull.holders.contains(&from)
		{
			pull.holders.push(from);
		}
	}

	/// Asks the next neighbour that has an entry, until there is none.
	pub(super) fn pull(&mut self, key: Key) {
		let Some(pull) = self.pulls.get_mut(&key) else {
			return;
		};
		let links = &self.links;
		pull.holders.retain(|holder| links.contains_key(holder));
		if pull.holders.is_empty() {
			self.pulls.remove(&key);
			return;
		}
		let holder = pull.holders.remove(0);
		self.stats.pulls += 1;
		self.outbox(holder, |outbox| {
			outbox.pulls.insert(key);
		});
		let at = self.now.mono + PULL_TIMEOUT;
		self.timers.set(Timer::Pull(key), at);
	}

	pub(super) fn on_pull(&mut self, from: PeerId, keys: &[Key]) {
		for key in keys {
			if let Some(entry) = self.catalog.find(key)
				&& self.believes_in(entry.id())
			{
				let id = *entry.id();
				self.outbox(from, |outbox| {
					outbox.entries.insert(id);
				});
			}
		}
	}

	/// Whether a member may be passed on to those who do not know it: whoever
	/// came after its death would take it for alive.
	pub(super) fn believes_in(&self, peer: &PeerId) -> bool {
		*peer == self.me || (self.drowsy_until.is_none() && !self.is_suspect(peer))
	}

	/// The versions this node holds of a range of ids.
	pub(super) fn versions(
		&self,
		range: std::ops::RangeInclusive<Key>,
	) -> BTreeMap<Key, PeerEntryVersion> {
		let held = self.catalog.range(range);
		held.map(|entry| (**entry.id(), entry.update_version()))
			.collect()
	}
}
