//! Who is dead: the watch over the ring neighbours, suspicion and its end.

use {
	super::{Event, Membership, Timer, identity::is_credible},
	crate::{
		PeerId,
		core::Instant,
		discovery::{Key, PeerEntryVersion, message::Departure},
		wire::CloseCode,
	},
	std::time::Duration,
};

/// How often in a row the silence between two suspicions of a peer doubles that
/// others can reach and this node cannot.
const MAX_STRIKES: u32 = 5;

/// The watch over a ring neighbour.
#[derive(Debug)]
pub(super) struct Watch {
	/// When it was last heard, or came under watch.
	pub(super) heard: Instant,
	/// How often it was suspected since.
	strikes: u32,
}

/// A peer that is gone unless it says otherwise.
#[derive(Debug)]
pub(super) struct Suspicion {
	/// The version that is suspected: any greater one refutes.
	version: PeerEntryVersion,
	/// The version that the accuser named, perhaps greater than ours.
	pub(super) claimed: PeerEntryVersion,
	since: Instant,
	/// This node has heard from the peer meanwhile.
	cleared: bool,
}

/// What remains of a peer that leaves the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grave {
	/// A tombstone, and its address, in case that it was the network that died.
	Missed,
	/// A tombstone: it does not come back.
	Marked,
	/// Its address: it was this node that was gone.
	Lost,
	/// Nothing.
	None,
}

impl Membership {
	/// Puts a peer under watch.
	pub(super) fn watch(&mut self, peer: PeerId) {
		let now = self.now.mono;
		let heard = self.links.get(&peer).map_or(now, |link| link.heard);
		self.ring.insert(peer, Watch { heard, strikes: 0 });
		let after = self.config.suspect_after;
		self.timers.set(Timer::Watch(peer), heard.max(now) + after);
		self.hurry_ping(peer);
	}

	pub(super) fn unwatch(&mut self, peer: PeerId) {
		self.ring.remove(&peer);
		self.timers.cancel(Timer::Watch(peer));
	}

	/// A ring neighbour may have been silent for too long.
	pub(super) fn on_watch(&mut self, peer: PeerId) {
		let now = self.now.mono;
		let link_heard = self.links.get(&peer).map(|link| link.heard);
		let Some(watch) = self.ring.get_mut(&peer) else {
			return;
		};
		if let Some(heard) = link_heard
			&& heard > watch.heard
		{
			watch.heard = heard;
			watch.strikes = 0;
		}
		let allowance = self.health.allowance(now);
		let patience = self.config.suspect_after * 2u32.pow(watch.strikes) + allowance;
		let over = watch.heard.max(self.awake_since) + patience;
		if over > now {
			return self.timers.set(Timer::Watch(peer), over);
		}
		watch.strikes = (watch.strikes + 1).min(MAX_STRIKES);
		watch.heard = now;
		let next = self.config.suspect_after * 2u32.pow(watch.strikes);
		self.timers.set(Timer::Watch(peer), now + next);
		self.accuse(peer);
	}

	/// A dial to a watched peer failed: no need to wait for more silence.
	pub(super) fn on_unreachable(&mut self, peer: PeerId) {
		let linked = self.links.contains_key(&peer);
		if let Some(watch) = self.ring.get_mut(&peer)
			&& watch.strikes == 0
			&& !linked
		{
			watch.strikes = 1;
			watch.heard = self.now.mono;
			let next = self.config.suspect_after * 2;
			self.timers.set(Timer::Watch(peer), self.now.mono + next);
			self.accuse(peer);
		}
	}

	/// Raises a suspicion, unless the user vouches for the peer.
	fn accuse(&mut self, peer: PeerId) {
		if self.timers.is_set(Timer::Purge(peer)) {
			return;
		}
		if let Some(entry) = self.catalog.find(&peer) {
			let version = entry.update_version();
			if !self.suspicions.contains_key(&peer) {
				self.stats.suspicions += 1;
			}
			self.suspect(*peer, version, None);
		}
	}

	/// Takes note that somebody, or this node, could not reach a peer.
	pub(super) fn suspect(&mut self, key: Key, claimed: PeerEntryVersion, from: Option<PeerId>) {
		let now = self.now.mono;
		if key == *self.me {
			return self.on_own_suspicion(claimed, from);
		}
		let Some(entry) = self.catalog.find(&key) else {
			return;
		};
		let (id, version) = (*entry.id(), entry.update_version());
		if version > claimed {
			// Refuted already: let the accuser know.
			if let Some(from) = from {
				self.outbox(from, |outbox| {
					outbox.adverts.insert(id);
				});
			}
			return;
		}
		if let (Some(from), true) = (from, claimed > version) {
			self.on_advert(from, key, claimed);
		}
		if let Some(pending) = self.suspicions.get_mut(&id)
			&& pending.version == version
			&& (!pending.cleared || now.since(pending.since) < self.config.suspicion)
		{
			pending.claimed = pending.claimed.max(claimed);
			return;
		}
		let suspicion = Suspicion {
			version,
			claimed,
			since: now,
			cleared: false,
		};
		self.suspicions.insert(id, suspicion);
		let over = now + self.config.suspicion;
		self.timers.set(Timer::Suspicion(id), over);
		// The suspect is told as well, if there is a way: it can refute.
		let others: Vec<PeerId> = self.links.keys().copied().collect();
		for link in others.into_iter().filter(|&link| Some(link) != from) {
			self.outbox(link, |outbox| {
				outbox.suspects.insert(key, claimed);
			});
		}
	}

	/// A suspect was heard: for this node the matter is settled, the others wait
	/// for its refutation.
	pub(super) fn clear_suspicion(&mut self, peer: &PeerId) {
		self.unvouch(*peer);
		if let Some(suspicion) = self.suspicions.get_mut(peer) {
			suspicion.cleared = true;
		}
	}

	pub(super) fn is_suspect(&self, peer: &PeerId) -> bool {
		let suspicion = self.suspicions.get(peer);
		suspicion.is_some_and(|suspicion| !suspicion.cleared)
	}

	/// A newer version of a suspect's entry refutes the suspicion.
	pub(super) fn forget_suspicion(&mut self, peer: &PeerId, version: PeerEntryVersion) {
		let refuted = |suspicion: &Suspicion| suspicion.version < version;
		if self.suspicions.get(peer).is_some_and(refuted) {
			self.suspicions.remove(peer);
			self.timers.cancel(Timer::Suspicion(*peer));
		}
	}

	pub(super) fn on_suspicion_over(&mut self, peer: PeerId) {
		let Some(suspicion) = self.suspicions.get(&peer) else {
			return;
		};
		// A refutation may have arrived while we slept and wait to be read.
		let patience = Duration::min(self.config.suspicion, Duration::from_secs(2));
		let over = self.awake_since + patience;
		if !suspicion.cleared && suspicion.since < self.awake_since && over > self.now.mono {
			return self.timers.set(Timer::Suspicion(peer), over);
		}
		// The same where we do not keep up.
		let over = suspicion.since + self.config.suspicion + self.health.allowance(self.now.mono);
		if !suspicion.cleared && over > self.now.mono {
			return self.timers.set(Timer::Suspicion(peer), over);
		}
		let (cleared, claimed) = (suspicion.cleared, suspicion.claimed);
		self.suspicions.remove(&peer);
		if !cleared {
			self.bury(peer, CloseCode::Cancelled, Grave::Missed);
			if is_credible(claimed) {
				// We may have slept through its last words; others may still
				// bring them.
				self.tombstones.put(*peer, claimed, self.now.mono);
			}
		}
	}

	/// Takes a peer out of the catalog.
	pub(super) fn bury(&mut self, peer: PeerId, reason: CloseCode, grave: Grave) {
		let Some(info) = self.catalog.remove(&peer) else {
			return;
		};
		if let Some(entry) = info.as_signed() {
			let version = entry.update_version();
			self.fingerprint.remove(&peer, version);
			self.fingerprint_changed = self.now.mono;
			if matches!(grave, Grave::Missed | Grave::Marked) {
				self.tombstones.put(*peer, version, self.now.mono);
			}
			self.overlay_is_old = true;
		}
		self.forget(peer);
		self.close(peer, reason);
		if matches!(grave, Grave::Missed | Grave::Lost) {
			self.lost.put(info.address().clone(), self.now.mono);
		}
		self.search_lost();
		self.event(Event::PeerDeparted(peer));
	}

	/// Drops what is kept about a member besides its entry.
	pub(super) fn forget(&mut self, peer: PeerId) {
		self.rtts.remove(&peer);
		self.suspicions.remove(&peer);
		self.timers.cancel(Timer::Suspicion(peer));
		self.unvouch(peer);
	}

	/// A peer said goodbye; `false` if the word is not its own.
	pub(super) fn on_departure(&mut self, departure: &Departure, from: Option<PeerId>) -> bool {
		let peer = *departure.peer();
		let version = departure.version();
		if peer == self.me {
			// Of a former life, or of another process with our key: step over it.
			self.on_own_suspicion(version, None);
			return true;
		}
		let held = self.catalog.find(&peer).map(|held| held.update_version());
		let newer = held.is_some_and(|held| held > version);
		if newer || self.tombstones.cover(&peer, version) {
			return true;
		}
		if departure.verify(&self.network).is_err() {
			self.stats.forged += 1;
			return false;
		}
		if held.is_some() {
			let others: Vec<PeerId> = self.links.keys().copied().collect();
			for link in others.into_iter().filter(|&link| Some(link) != from) {
				self.outbox(link, |outbox| outbox.departed.push(departure.clone()));
			}
			self.bury(peer, CloseCode::GracefulShutdown, Grave::Marked);
		}
		self.tombstones.put(*peer, version, self.now.mono);
		true
	}

	/// Nobody has been heard from for so long that nothing known is worth
	/// anything: the members are gone, not dead.
	pub(super) fn on_isolation(&mut self) {
		let over = self.heard + self.config.purge_after;
		if over > self.now.mono {
			return self.timers.set(Timer::Isolation, over);
		}
		self.timers
			.set(Timer::Isolation, self.now.mono + self.config.purge_after);
		for peer in self.catalog.signed_members() {
			// What the user brought has a time of its own.
			if !self.timers.is_set(Timer::Purge(peer)) {
				self.bury(peer, CloseCode::Idle, Grave::Lost);
			}
		}
	}
}
