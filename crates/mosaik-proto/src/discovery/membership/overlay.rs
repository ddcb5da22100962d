//! Whom to be linked with, and how links come about.

use {
	super::{Membership, Output, SyncError, SyncToken, Timer},
	crate::{EndpointAddr, PeerId, core::Instant, discovery::Key},
	rand::RngExt,
	std::{
		collections::{BTreeMap, BTreeSet, VecDeque},
		ops::Bound::{Excluded, Unbounded},
		time::Duration,
	},
};

/// Links to this many neighbours on each side of the ring of ids.
const RING: usize = 2;

/// Links to this many far points of the ring.
const LONG: u8 = 3;

/// How many peers may be on the list to be dialled. Further candidates are
/// dropped: whoever found them will find them again.
const MAX_DIALS: usize = 256;

/// How many syncs may wait for one dial. Further ones fail.
const MAX_WAITING: usize = 64;

/// Neighbours on the ring want each other: the larger id gives way so long.
const COURTESY: Duration = Duration::from_millis(250);

/// The first and the longest pause between dials of a peer.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How often a candidate is dialled before it is dropped, if there are others.
const CANDIDATE_TRIES: u32 = 5;

/// The lost are dialled more rarely this long after the last of them was lost.
const LOST_FRESH: Duration = Duration::from_secs(300);

/// Up to so many members each dials the lost at full pace; beyond it the pace of
/// each falls, and that of all together stays.
const LOST_DIALLERS: usize = 32;

/// Peers that are being dialled or will be.
#[derive(Debug, Default)]
pub(super) struct Dials {
	of: BTreeMap<PeerId, Dial>,
	/// How many are under way.
	active: usize,
	/// Whose turn comes when one of those ends.
	ready: VecDeque<PeerId>,
}

#[derive(Debug)]
struct Dial {
	/// Where to, besides what the catalog says.
	address: EndpointAddr,
	failures: u32,
	active: bool,
	/// Found by somebody: tried again a few times though not a member.
	candidate: bool,
	/// Syncs to begin when the link is up.
	syncs: Vec<SyncToken>,
}

/// Where on the ring of ids a node wants far links: the same at every time, and
/// so stable while others come and go.
pub(super) fn long_points(me: &PeerId) -> Vec<Key> {
	let point = |n| *blake3::hash(&[&me[..], &[n]].concat()).as_bytes();
	(0..LONG).map(point).collect()
}

impl Membership {
	pub(super) fn is_wanted(&self, peer: &PeerId) -> bool {
		self.ring.contains_key(peer) || self.long.contains(peer)
	}

	/// Computes from the catalog whom to be linked with, and sees to it.
	pub(super) fn recompute_overlay(&mut self) {
		let me = *self.me;
		let after = || {
			let above = self.catalog.range((Excluded(me), Unbounded));
			let around = self.catalog.range(..me);
			above.chain(around).map(|entry| *entry.id())
		};
		let before = || {
			let below = self.catalog.range(..me).rev();
			let around = self.catalog.range((Excluded(me), Unbounded)).rev();
			below.chain(around).map(|entry| *entry.id())
		};
		let successor = after().next();
		let ring: BTreeSet<PeerId> = after().take(RING).chain(before().take(RING)).collect();
		let far = |point: &Key| {
			let above = self.catalog.range(*point..).map(|entry| *entry.id());
			let around = self.catalog.range(..*point).map(|entry| *entry.id());
			above.chain(around).find(|id| *id != self.me)
		};
		let long: BTreeSet<PeerId> = self.long_points.iter().filter_map(far).collect();
		self.successor = successor;
		self.long = long;

		let old: Vec<PeerId> = self.ring.keys().copied().collect();
		for peer in old.into_iter().filter(|peer| !ring.contains(peer)) {
			self.unwatch(peer);
		}
		for &peer in &ring {
			if !self.ring.contains_key(&peer) {
				self.watch(peer);
			}
			self.dial_member(peer);
		}
		let long: Vec<PeerId> = self.long.iter().copied().collect();
		for peer in long {
			self.dial_member(peer);
		}
		let linked: Vec<PeerId> = self.links.keys().copied().collect();
		for peer in linked {
			self.update_linger(peer);
		}
	}

	/// A link that this node opened and no longer needs ends after a while.
	pub(super) fn update_linger(&mut self, peer: PeerId) {
		let timer = Timer::Linger(peer);
		let opened_by_us = self.links.get(&peer).is_some_and(|link| link.opened_by_us);
		if self.is_wanted(&peer) || !opened_by_us {
			self.timers.cancel(timer);
			if self.is_wanted(&peer) {
				self.timers.cancel(Timer::Lease(peer));
			}
		} else if !self.timers.is_set(timer) {
			self.timers.set(timer, self.now.mono + self.config.linger);
		}
	}

	fn dial_member(&mut self, peer: PeerId) {
		let gives_way = self.me > peer && self.ring.contains_key(&peer);
		let wait = if gives_way { COURTESY } else { Duration::ZERO };
		self.want_dial(EndpointAddr::new(peer), wait);
	}

	/// Puts a peer on the list; `None` if it is linked or the list is full.
	fn want_dial(&mut self, address: EndpointAddr, wait: Duration) -> Option<&mut Dial> {
		let peer = address.id;
		if peer == self.me || self.links.contains_key(&peer) {
			return None;
		}
		if !self.dials.of.contains_key(&peer) {
			if self.dials.of.len() >= MAX_DIALS && !self.is_wanted(&peer) {
				return None;
			}
			let dial = Dial {
				address: EndpointAddr::new(peer),
				failures: 0,
				active: false,
				candidate: false,
				syncs: Vec::new(),
			};
			self.dials.of.insert(peer, dial);
			self.timers.set(Timer::Redial(peer), self.now.mono + wait);
		}
		let dial = self.dials.of.get_mut(&peer)?;
		if !address.is_empty() {
			// The newest word, not all that was ever said: it cannot grow.
			dial.address = address;
		}
		Some(dial)
	}

	pub(super) fn on_candidate(&mut self, address: EndpointAddr) {
		let peer = address.id;
		if peer == self.me {
			return;
		}
		self.lost.seed(address.clone());
		self.search_lost();
		if self.catalog.find(&peer).is_some() && !self.links.is_empty() {
			return;
		}
		if let Some(dial) = self.want_dial(address, Duration::ZERO) {
			dial.candidate = true;
		}
	}

	pub(super) fn sync_with(&mut self, address: EndpointAddr, token: SyncToken) {
		let peer = address.id;
		if let Some(link) = self.links.get_mut(&peer) {
			if link.syncing.waiting.len() < MAX_WAITING {
				link.syncing.waiting.push(token);
				return self.next_sync_if_waiting(peer);
			}
			return self.sync_done(token, Err(SyncError::Overloaded));
		}
		if peer == self.me {
			return self.sync_done(token, Ok(()));
		}
		match self.want_dial(address, Duration::ZERO) {
			Some(dial) if dial.syncs.len() < MAX_WAITING => {
				dial.syncs.push(token);
				if !dial.active {
					self.timers.set(Timer::Redial(peer), self.now.mono);
				}
			}
			_ => self.sync_done(token, Err(SyncError::Overloaded)),
		}
	}

	/// Dials a peer whose time has come, if it is still worth it.
	pub(super) fn redial(&mut self, peer: PeerId) {
		let isolated = self.links.is_empty();
		let member = self.catalog.find(&peer);
		let wanted = self.is_wanted(&peer);
		let lost = member.is_none() && self.lost.contains(&peer);
		let Some(dial) = self.dials.of.get_mut(&peer) else {
			return;
		};
		let found = dial.candidate && (member.is_none() || isolated);
		let missed = lost && dial.failures == 0;
		if !(wanted || found || missed || !dial.syncs.is_empty()) {
			self.dials.of.remove(&peer);
			return;
		}
		if dial.active {
			return;
		}
		if self.dials.active >= self.config.dials_max {
			if !self.dials.ready.contains(&peer) {
				self.dials.ready.push_back(peer);
			}
			return;
		}
		dial.active = true;
		self.dials.active += 1;
		let mut address = dial.address.clone();
		if let Some(member) = member {
			address.addrs.extend(member.address().addrs.iter().cloned());
		}
		self.outputs.push_back(Output::Dial(address));
		let timeout = self.now.mono + self.config.dial_timeout;
		self.timers.set(Timer::DialTimeout(peer), timeout);
	}

	/// A dial came to an end, or has become superfluous: returns the syncs that
	/// waited for it.
	pub(super) fn dial_ended(&mut self, peer: PeerId) -> Vec<SyncToken> {
		self.timers.cancel(Timer::Redial(peer));
		let Some(dial) = self.dials.of.remove(&peer) else {
			return Vec::new();
		};
		if dial.active {
			self.free_dial(peer);
		}
		dial.syncs
	}

	/// The syncs of all dials, which the node's end leaves undone.
	pub(super) fn take_waiting_syncs(&mut self) -> Vec<SyncToken> {
		let dials = std::mem::take(&mut self.dials.of);
		dials.into_values().flat_map(|dial| dial.syncs).collect()
	}

	fn free_dial(&mut self, peer: PeerId) {
		self.timers.cancel(Timer::DialTimeout(peer));
		self.dials.active -= 1;
		if let Some(next) = self.dials.ready.pop_front() {
			self.timers.set(Timer::Redial(next), self.now.mono);
		}
	}

	pub(super) fn on_dial_failed(&mut self, peer: PeerId, answered: bool) {
		let wanted = self.is_wanted(&peer);
		let isolated = self.links.is_empty();
		let Some(dial) = self.dials.of.get_mut(&peer).filter(|dial| dial.active) else {
			return;
		};
		dial.active = false;
		dial.failures += 1;
		let failures = dial.failures;
		let found = dial.candidate && (failures < CANDIDATE_TRIES || isolated);
		let syncs = std::mem::take(&mut dial.syncs);
		self.free_dial(peer);
		if wanted || found {
			let pause = RETRY * 2u32.saturating_pow(failures - 1).min(64);
			let pause = self.jittered(pause.min(RETRY_MAX));
			self.timers.set(Timer::Redial(peer), self.now.mono + pause);
		} else {
			self.dials.of.remove(&peer);
		}
		for token in syncs {
			self.sync_done(token, Err(SyncError::Unreachable));
		}
		if !answered {
			self.on_unreachable(peer);
		}
	}

	/// A peer lives anew: earlier failures to reach it mean nothing.
	pub(super) fn restarted(&mut self, peer: PeerId, started_ms: u64) {
		self.announce_incarnation(peer, started_ms);
		if let Some(dial) = self.dials.of.get_mut(&peer) {
			dial.failures = 0;
			if !dial.active {
				self.timers.set(Timer::Redial(peer), self.now.mono);
			}
		}
	}

	/// Begins to look for those who are missed, now and then.
	pub(super) fn search_lost(&mut self) {
		if !self.timers.is_set(Timer::Lost) {
			let at = self.next_lost_dial();
			self.timers.set(Timer::Lost, at);
		}
	}

	fn next_lost_dial(&mut self) -> Instant {
		let crowd = u32::try_from(self.catalog.size() / LOST_DIALLERS).unwrap_or(u32::MAX);
		let fresh = self.now.mono.since(self.lost.latest()) < LOST_FRESH;
		let pace = crowd.max(1).saturating_mul(if fresh { 1 } else { 6 });
		let pause = self
			.config
			.redial_lost
			.mul_f64(self.rng.random_range(1.0..2.0));
		self.now.mono + pause.saturating_mul(pace)
	}

	/// Dials one of the lost: two islands merge as soon as one reaches the other.
	/// Without any link, all ways into the network are tried.
	pub(super) fn redial_lost(&mut self) {
		let seeds = self.lost.seeds().iter();
		let seeds = seeds.filter(|(id, _)| !self.catalog.contains(id));
		let seeds: Vec<EndpointAddr> = seeds.map(|(_, address)| address.clone()).collect();
		let lost = self.lost.len();
		if seeds.is_empty() && lost == 0 {
			return;
		}
		if self.links.is_empty() {
			for address in seeds {
				self.want_dial(address, Duration::ZERO);
			}
		} else if !seeds.is_empty() && (lost == 0 || self.rng.random()) {
			let chosen = self.rng.random_range(0..seeds.len());
			self.want_dial(seeds[chosen].clone(), Duration::ZERO);
		}
		if lost > 0
			&& let Some(address) = self.lost.nth(self.rng.random_range(0..lost)).cloned()
		{
			self.want_dial(address, Duration::ZERO);
		}
		self.search_lost();
	}
}
