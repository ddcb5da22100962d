//! The node's own entry, and what users do to the catalog.

use {
	super::{
		Event, Input, Membership, Output, SyncError, Timer, spread::Learned, suspicion::Grave,
	},
	crate::{
		PeerId,
		core::{Core, Instant, Now},
		discovery::{Error, PeerEntry, PeerEntryVersion, SignedPeerEntry, message::Departure},
		wire::{self, CloseCode},
	},
	std::time::Duration,
};

/// The shortest time between two versions that others made us issue.
const REISSUE: Duration = Duration::from_millis(200);

/// The longest time between two versions that another process with our key made
/// us issue: two such must not keep the network busy.
const REISSUE_MAX: Duration = Duration::from_secs(60);

/// So many foreign versions of our entry are no former life any more.
const DUPLICATE: u32 = 3;

/// A version beyond this, about the year 10,900, is a lie told in our name
/// rather than a wrong clock: there must be room above it.
const MAX_CLAIM_MS: u64 = 1 << 48;

/// Whether a version that somebody names can be stepped over.
pub(super) const fn is_credible(version: PeerEntryVersion) -> bool {
	version.0 <= MAX_CLAIM_MS && version.1 <= MAX_CLAIM_MS
}

/// How many unsigned or fed entries may wait for news; further ones are not
/// taken.
const MAX_VOUCHED: usize = 4096;

/// What the node knows about itself.
#[derive(Debug)]
pub(super) struct Identity {
	issued: Instant,
	/// The greatest version that others believe in, to be stepped over.
	claim: PeerEntryVersion,
	/// How many versions we met that carry our signature and are not ours.
	foreign: u32,
	foreign_at: Instant,
	vouched: usize,
}

impl Identity {
	pub(super) fn new(now: Instant) -> Self {
		Self {
			issued: now,
			claim: PeerEntryVersion::default(),
			foreign: 0,
			foreign_at: now,
			vouched: 0,
		}
	}
}

impl Membership {
	/// Changes the own entry: gives it a version, signs it, tells everybody.
	/// `false` if it is of another peer or network, too large, or nothing new.
	pub fn update_local(&mut self, now: Now, entry: PeerEntry) -> bool {
		let before = self.catalog.local().update_version();
		self.handle(now, Input::UpdateLocal(entry));
		self.catalog.local().update_version() != before
	}

	/// Adds an entry that nobody signed. It stays on this node, is replaced when
	/// a signed one arrives, and vanishes if none does for
	/// [`purge_after`](super::super::MembershipConfig::purge_after). `false` if a
	/// signed one is known, or it is of another network, or this node's own.
	pub fn insert(&mut self, now: Now, entry: PeerEntry) -> bool {
		self.user(now, |this| this.on_insert(entry))
	}

	/// Takes in a signed entry from outside. This node does not suspect its peer
	/// for [`purge_after`](super::super::MembershipConfig::purge_after), should it
	/// be unreachable; other nodes may. `Ok(false)` if it was known.
	///
	/// # Errors
	/// When the entry is of another network or not signed by its peer.
	pub fn feed(&mut self, now: Now, entry: SignedPeerEntry) -> Result<bool, Error> {
		self.user(now, |this| this.on_feed(entry))
	}

	/// Takes a peer out of the catalog, until it announces itself again. `false`
	/// if it was not there.
	pub fn remove(&mut self, now: Now, peer: &PeerId) -> bool {
		self.user(now, |this| this.on_remove(peer))
	}

	/// Removes all unsigned entries. `false` if there were none.
	pub fn clear_unsigned(&mut self, now: Now) -> bool {
		self.user(now, Self::on_clear_unsigned)
	}

	fn user<T>(&mut self, now: Now, operation: impl FnOnce(&mut Self) -> T) -> T {
		self.begin(now);
		let result = operation(self);
		self.finish();
		result
	}

	pub(super) fn on_update_local(&mut self, entry: PeerEntry) {
		let local = self.catalog.local();
		let version = local.update_version();
		if *entry.id() != self.me || *entry.network_id() != self.network {
			return;
		}
		if entry.clone().with_version(version) == **local {
			return;
		}
		self.publish(entry, version.next(self.now.wall_ms));
	}

	/// Signs the entry under a new version and spreads it.
	fn publish(&mut self, entry: PeerEntry, version: PeerEntryVersion) {
		let old = self.catalog.local().update_version();
		let Ok(signed) = entry.with_version(version).sign(&self.key) else {
			return;
		};
		let len = signed.encoded_len();
		if len > wire::MAX_ENTRY {
			self.stats.refused += 1;
			return;
		}
		self.fingerprint.remove(&self.me, old);
		self.fingerprint.add(&self.me, version);
		self.fingerprint_changed = self.now.mono;
		self.identity.issued = self.now.mono;
		self.catalog.insert(signed);
		self.catalog_is_old = true;
		if old.started_ms() != version.started_ms() {
			// The links lead to this life, whatever its start is called.
			let linked: Vec<PeerId> = self.links.keys().copied().collect();
			for peer in linked {
				self.say_hello(peer);
			}
		}
		self.spread(self.me, len, None);
	}

	/// Somebody thinks us dead.
	pub(super) fn on_own_suspicion(&mut self, claimed: PeerEntryVersion, from: Option<PeerId>) {
		let ours = self.catalog.local().update_version();
		if claimed < ours {
			if let Some(from) = from {
				let me = self.me;
				self.outbox(from, |outbox| {
					outbox.entries.insert(me);
				});
			}
			return;
		}
		self.step_over(claimed, REISSUE);
	}

	/// Somebody has an entry of ours: of a former life with a faster clock, or of
	/// another process with our key.
	pub(super) fn on_own_entry(&mut self, entry: &SignedPeerEntry) -> Learned {
		let version = entry.update_version();
		let local = self.catalog.local();
		let ours = local.update_version();
		if version < ours || entry == local {
			return Learned::Known;
		}
		if entry.verify().is_err() {
			self.stats.forged += 1;
			return Learned::Forged;
		}
		let now = self.now.mono;
		let identity = &mut self.identity;
		if now.since(identity.foreign_at) > REISSUE_MAX * 2 {
			identity.foreign = 0;
		}
		identity.foreign_at = now;
		identity.foreign = identity.foreign.saturating_add(1);
		let wait = REISSUE * 2u32.saturating_pow(identity.foreign - 1).min(1 << 16);
		if identity.foreign >= DUPLICATE {
			let started_ms = version.started_ms();
			let duplicate = Output::DuplicateIdentity { started_ms };
			self.outputs.push_back(duplicate);
		}
		self.step_over(version, wait.min(REISSUE_MAX));
		Learned::Known
	}

	/// Issues a version greater than `claimed`, though not before `wait` has
	/// passed since the last one.
	fn step_over(&mut self, claimed: PeerEntryVersion, wait: Duration) {
		if !is_credible(claimed) {
			return;
		}
		self.identity.claim = self.identity.claim.max(claimed);
		if !self.timers.is_set(Timer::Reissue) {
			let at = self.now.mono.max(self.identity.issued + wait);
			self.timers.set(Timer::Reissue, at);
		}
	}

	pub(super) fn reissue(&mut self) {
		let local = self.catalog.local();
		let ours = local.update_version();
		let claim = self.identity.claim;
		if ours > claim {
			return;
		}
		let next = if claim.started_ms() > ours.started_ms() {
			PeerEntryVersion(claim.0 + 1, self.now.wall_ms)
		} else {
			ours.max(claim).next(self.now.wall_ms)
		};
		let entry = PeerEntry::from(local);
		self.stats.refutations += 1;
		self.publish(entry, next);
	}

	pub(super) fn leave(&mut self) {
		let version = self.catalog.local().update_version();
		let version = version.next(self.now.wall_ms);
		let departure = Departure::sign(&self.key, &self.network, version);
		let linked: Vec<PeerId> = self.links.keys().copied().collect();
		for peer in linked {
			self.outbox(peer, |outbox| outbox.departed.push(departure.clone()));
			self.flush(peer);
		}
		for (_, link) in std::mem::take(&mut self.links) {
			self.end_syncs(link.syncing, SyncError::Left);
		}
		for token in self.take_waiting_syncs() {
			self.sync_done(token, Err(SyncError::Left));
		}
		self.timers.clear();
		self.outputs.push_back(Output::Left);
		self.left = true;
	}

	pub(super) fn on_insert(&mut self, entry: PeerEntry) -> bool {
		let id = *entry.id();
		let known = self.catalog.info(&id);
		let signed = known
			.as_ref()
			.is_some_and(|known| known.as_signed().is_some());
		if id == self.me || signed || *entry.network_id() != self.network || !self.vouch(id) {
			return false;
		}
		self.outputs
			.push_back(Output::Address(entry.address().clone()));
		self.event(if known.is_some() {
			Event::PeerUpdated(entry.clone())
		} else {
			Event::PeerDiscovered(entry.clone())
		});
		self.catalog.insert_unsigned(entry);
		true
	}

	pub(super) fn on_feed(&mut self, entry: SignedPeerEntry) -> Result<bool, Error> {
		if *entry.network_id() != self.network {
			return Err(Error::DifferentNetwork {
				local_network: self.network,
				remote_network: *entry.network_id(),
			});
		}
		entry.verify()?;
		let id = *entry.id();
		let member = self.catalog.find(&id).is_some();
		let learned = self.learn(entry, None) == Learned::New;
		if learned && !member && !self.links.contains_key(&id) {
			self.vouch(id);
		}
		Ok(learned)
	}

	/// Lets an entry live for a while without a sign of its peer.
	fn vouch(&mut self, peer: PeerId) -> bool {
		let timer = Timer::Purge(peer);
		if !self.timers.is_set(timer) {
			if self.identity.vouched >= MAX_VOUCHED {
				return false;
			}
			self.identity.vouched += 1;
		}
		self.timers
			.set(timer, self.now.mono + self.config.purge_after);
		true
	}

	/// Ends the grace of an entry that the user brought.
	pub(super) fn unvouch(&mut self, peer: PeerId) {
		if self.timers.is_set(Timer::Purge(peer)) {
			self.timers.cancel(Timer::Purge(peer));
			self.identity.vouched -= 1;
		}
	}

	/// An entry that the user brought has had no news: it goes.
	pub(super) fn on_purge(&mut self, peer: PeerId) {
		self.identity.vouched -= 1;
		self.bury(peer, CloseCode::Idle, Grave::None);
	}

	pub(super) fn on_remove(&mut self, peer: &PeerId) -> bool {
		let known = *peer != self.me && self.catalog.contains(peer);
		if known {
			self.bury(*peer, CloseCode::Cancelled, Grave::Marked);
		}
		known
	}

	pub(super) fn on_clear_unsigned(&mut self) -> bool {
		let unsigned = self.catalog.unsigned_members();
		for &peer in &unsigned {
			self.bury(peer, CloseCode::Cancelled, Grave::None);
		}
		!unsigned.is_empty()
	}
}
