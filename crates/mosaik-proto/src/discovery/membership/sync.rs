//! Anti-entropy: two neighbours compare catalogs and exchange what differs.

use {
	super::{
		Membership, Output, SyncError, SyncToken, Timer, identity::is_credible, links::MENTION_LEN,
	},
	crate::{
		PeerId,
		core::Instant,
		discovery::{
			Key, PeerEntryVersion,
			fingerprint::{BUCKETS, bucket, bucket_range},
			message::{Digest, Held, Lists, Message, Want},
		},
	},
	std::{collections::BTreeMap, time::Duration},
};

/// A list of buckets is sent when it has grown to so many peers.
const CHUNK: usize = 128 * 1024 / MENTION_LEN;

/// A bucket of more peers than this is listed in part. No honest network has
/// such a bucket: 64 of them would make four times the largest catalog.
const MAX_BUCKET: usize = 4096;

/// The first and the longest pause between syncs that brought nothing.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// While changes arrive, catalogs differ anyway; but not for this long.
const RESTLESS_MAX: Duration = Duration::from_secs(5);

/// The syncs of one link.
#[derive(Debug, Default)]
pub(super) struct Syncing {
	/// The one under way.
	current: Option<Current>,
	/// Asked for by users, to begin when the current one ends.
	pub(super) waiting: Vec<SyncToken>,
	/// Since when the neighbour's catalog has differed.
	differs_since: Option<Instant>,
	not_before: Instant,
	pause: Duration,
}

impl Syncing {
	/// The users who wait for a sync to end or to begin.
	fn into_tokens(self) -> impl Iterator<Item = SyncToken> {
		let current = self.current.into_iter().flat_map(|sync| sync.users);
		current.chain(self.waiting)
	}

	/// Takes the users away: another link takes this one's place.
	pub(super) fn take_users(&mut self) -> Vec<SyncToken> {
		std::mem::take(self).into_tokens().collect()
	}
}

#[derive(Debug)]
struct Current {
	token: u32,
	/// Users who wait for it.
	users: Vec<SyncToken>,
	/// Whether anything differed.
	useful: bool,
}

impl Membership {
	pub(super) fn sync_done(&mut self, token: SyncToken, result: Result<(), SyncError>) {
		self.resumed_syncs.remove(&token);
		self.outputs.push_back(Output::SyncDone { token, result });
	}

	/// The link is gone, and its syncs with it.
	pub(super) fn end_syncs(&mut self, syncing: Syncing, error: SyncError) {
		for token in syncing.into_tokens() {
			self.sync_done(token, Err(error));
		}
	}

	/// A neighbour told the sum of its catalog. If it goes on being another one
	/// than ours, something got lost: the smaller id sees to it, the larger if
	/// that does not help.
	pub(super) fn compare(&mut self, peer: PeerId, fingerprint: u64) {
		let now = self.now.mono;
		let patience = self.config.sync_after * if self.me < peer { 1 } else { 2 };
		let restless = now.since(self.fingerprint_changed) < self.config.sync_after;
		let Some(link) = self.links.get_mut(&peer) else {
			return;
		};
		let syncing = &mut link.syncing;
		if fingerprint == self.fingerprint.total() {
			syncing.differs_since = None;
			syncing.pause = Duration::ZERO;
			return;
		}
		let since = now.since(*syncing.differs_since.get_or_insert(now));
		if since >= patience && now >= syncing.not_before && (!restless || since >= RESTLESS_MAX) {
			self.start_sync(peer);
		}
	}

	/// Opens a sync, unless one is under way.
	pub(super) fn start_sync(&mut self, peer: PeerId) {
		let token = self.next_sync;
		let Some(link) = self.links.get_mut(&peer) else {
			return;
		};
		if link.syncing.current.is_some() {
			return;
		}
		self.next_sync = token.wrapping_add(1);
		link.syncing.current = Some(Current {
			token,
			users: std::mem::take(&mut link.syncing.waiting),
			useful: false,
		});
		let buckets = self.fingerprint.buckets().to_vec();
		let fresh = self.stats.syncs == 0 || self.drowsy_until.is_some();
		let digest = Digest {
			token,
			buckets,
			fresh,
		};
		self.send(peer, Message::Digest(digest));
		self.sync_progressed(peer);
	}

	fn sync_progressed(&mut self, peer: PeerId) {
		let timeout = self.now.mono + self.config.sync_timeout;
		self.timers.set(Timer::Sync(peer), timeout);
	}

	pub(super) fn next_sync_if_waiting(&mut self, peer: PeerId) {
		let link = self.links.get(&peer);
		if link.is_some_and(|link| !link.syncing.waiting.is_empty()) {
			self.start_sync(peer);
		}
	}

	pub(super) fn on_sync_timeout(&mut self, peer: PeerId) {
		self.sync_ended(peer, Err(SyncError::TimedOut));
	}

	fn sync_ended(&mut self, peer: PeerId, result: Result<(), SyncError>) {
		self.timers.cancel(Timer::Sync(peer));
		let now = self.now.mono;
		let Some(link) = self.links.get_mut(&peer) else {
			return;
		};
		let syncing = &mut link.syncing;
		let Some(current) = syncing.current.take() else {
			return;
		};
		syncing.differs_since = None;
		syncing.pause = if current.useful {
			PAUSE
		} else {
			(syncing.pause * 2).clamp(PAUSE, PAUSE_MAX)
		};
		syncing.not_before = now + syncing.pause;
		if result.is_ok() {
			self.stats.syncs += 1;
			self.drowsy_until = None;
		}
		for token in current.users {
			self.sync_done(token, result);
		}
		self.next_sync_if_waiting(peer);
	}

	/// A neighbour opens a sync: list what is held where the sums differ.
	pub(super) fn on_digest(&mut self, from: PeerId, digest: &Digest) {
		if digest.buckets.len() != BUCKETS {
			return self.violation(from);
		}
		let ours = self.fingerprint.buckets();
		let dead = |n| self.tombstones.range(bucket_range(n)).next().is_some();
		let differs = |&n: &usize| ours[n] != digest.buckets[n] || (digest.fresh && dead(n));
		let differing: Vec<usize> = (0..BUCKETS).filter(differs).collect();
		let mut lists = Lists {
			token: digest.token,
			buckets: 0,
			held: Vec::new(),
			last: false,
		};
		for n in differing {
			if lists.held.len() >= CHUNK {
				let full = Lists {
					held: std::mem::take(&mut lists.held),
					..lists
				};
				self.send(from, Message::Lists(full));
				lists.buckets = 0;
			}
			lists.buckets |= 1 << n;
			self.list_bucket(n, &mut lists.held);
		}
		lists.last = true;
		self.send(from, Message::Lists(lists));
	}

	fn list_bucket(&self, n: usize, held: &mut Vec<Held>) {
		let members = self.catalog.range(bucket_range(n));
		let told = members.filter(|entry| self.drowsy_until.is_none() || *entry.id() == self.me);
		// A suspect is as good as dead to those who do not know it.
		let live = told.map(|entry| Held {
			peer: **entry.id(),
			version: entry.update_version(),
			alive: !self.is_suspect(entry.id()),
		});
		held.extend(live.take(MAX_BUCKET));
		let dead = self.tombstones.range(bucket_range(n));
		let dead = dead.map(|(&peer, version)| Held {
			peer,
			version,
			alive: false,
		});
		held.extend(dead.take(MAX_BUCKET));
	}

	/// What the neighbour holds: send it what it lacks, want what we lack.
	pub(super) fn on_lists(&mut self, from: PeerId, lists: &Lists) {
		if !self.is_current(&from, lists.token) {
			return;
		}
		let mut theirs: BTreeMap<Key, (PeerEntryVersion, bool)> = BTreeMap::new();
		for held in &lists.held {
			if lists.buckets >> bucket(&held.peer) & 1 == 1 {
				let entry = theirs.entry(held.peer).or_default();
				*entry = (*entry).max((held.version, held.alive));
			}
		}
		let mut wanted = Vec::new();
		let mut useful = false;
		for n in (0..BUCKETS).filter(|n| lists.buckets >> n & 1 == 1) {
			for (key, ours) in self.versions(bucket_range(n)) {
				let answer = match theirs.remove(&key) {
					Some((version, true)) if version == ours => continue,
					Some((version, true)) if version > ours => Answer::Want,
					Some((version, false)) if version >= ours => Answer::Doubt(version),
					_ => Answer::Give,
				};
				useful = true;
				match answer {
					Answer::Want => wanted.push(key),
					Answer::Doubt(version) => self.suspect(key, version, Some(from)),
					Answer::Give => self.on_pull(from, &[key]),
				}
			}
		}
		for (key, (version, alive)) in theirs {
			match self.tombstones.version(&key) {
				Some(dead) if alive && dead >= version => {
					useful = true;
					self.outbox(from, |outbox| {
						outbox.suspects.insert(key, dead);
					});
				}
				_ if alive => {
					useful = true;
					wanted.push(key);
				}
				// Who came later takes over whom to expect no more. A lie cannot
				// do harm: the living step over their tombstones.
				_ if is_credible(version) => self.tombstones.put(key, version, self.now.mono),
				_ => {}
			}
		}
		self.flush(from);
		let want = Want {
			token: lists.token,
			peers: wanted,
			last: lists.last,
		};
		self.send(from, Message::Want(want));
		if let Some(link) = self.links.get_mut(&from)
			&& let Some(current) = &mut link.syncing.current
		{
			current.useful |= useful;
		}
		self.sync_progressed(from);
	}

	pub(super) fn on_want(&mut self, from: PeerId, want: &Want) {
		self.on_pull(from, &want.peers);
		self.flush(from);
		if want.last {
			let token = want.token;
			self.send(from, Message::Done { token });
		}
	}

	pub(super) fn on_done(&mut self, from: PeerId, token: u32) {
		if self.is_current(&from, token) {
			self.sync_ended(from, Ok(()));
		}
	}

	fn is_current(&self, peer: &PeerId, token: u32) -> bool {
		let link = self.links.get(peer);
		let current = link.and_then(|link| link.syncing.current.as_ref());
		current.is_some_and(|current| current.token == token)
	}
}

/// What to do about a peer that we hold and the neighbour holds otherwise.
enum Answer {
	Want,
	Doubt(PeerEntryVersion),
	Give,
}
