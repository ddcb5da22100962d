//! Links: their beginning and end, pings, and what waits to be sent.

use {
	super::{Membership, Output, SyncError, Timer, sync::Syncing},
	crate::{
		PeerId,
		core::Instant,
		discovery::{
			Key, PeerEntryVersion,
			message::{Beat, Departure, Hello, Mention, Message, News},
		},
		wire::CloseCode,
	},
	std::{
		collections::{BTreeMap, BTreeSet},
		time::Duration,
	},
};

/// A message is sent when it has grown to this, though a single entry may make
/// it larger. Well under [`MAX_DISCOVERY`](crate::wire::MAX_DISCOVERY).
const CHUNK: usize = 128 * 1024;

/// How many links may be open at all. Beyond it peers are turned away at once.
const MAX_LINKS: usize = 512;

/// How long a link over [`links_max`](crate::discovery::MembershipConfig) stays:
/// enough to sync and so to learn of others to link to.
const LEASE: Duration = Duration::from_secs(3);

/// How long a node that lost its last link waits before it tries all ways into
/// the network again.
const ALONE: Duration = Duration::from_millis(500);

/// How long a link must be silent to be given up, in ping intervals.
const SILENCE: u32 = 3;

/// The state of a link to a neighbour.
#[derive(Debug)]
pub(super) struct Link {
	pub(super) opened_by_us: bool,
	/// When the neighbour was last heard.
	pub(super) heard: Instant,
	/// The start that the neighbour's hello named.
	pub(super) incarnation: Option<u64>,
	pub(super) outbox: Outbox,
	last_flush: Option<Instant>,
	ping: Option<(u32, Instant)>,
	pub(super) syncing: Syncing,
}

/// What is to be sent to a neighbour with the next message.
///
/// Bounded by the catalog, as it names each member once per list; contents are
/// looked up when the message is made, so that of two quick changes only the
/// second travels.
#[derive(Debug, Default)]
pub(super) struct Outbox {
	/// Entries to be sent in full.
	pub(super) entries: BTreeSet<PeerId>,
	/// Entries to be advertised.
	pub(super) adverts: BTreeSet<PeerId>,
	pub(super) suspects: BTreeMap<Key, PeerEntryVersion>,
	pub(super) departed: Vec<Departure>,
	/// Entries to be asked for.
	pub(super) pulls: BTreeSet<Key>,
}

/// For so long after the first link that it lost a sync is begun anew on the next
/// one. Two nodes that dial each other at once may lose more than one.
const RESUME_WITHIN: Duration = Duration::from_secs(5);

impl Membership {
	pub(super) fn on_link_up(&mut self, peer: PeerId, opened_by_us: bool) {
		if peer == self.me {
			return;
		}
		// If both sides dialled, the second link is no reason to fail a sync.
		let replaced = self.links.get_mut(&peer);
		let users = replaced.map_or_else(Vec::new, |link| link.syncing.take_users());
		self.drop_link(peer, SyncError::LinkLost);
		if self.links.len() >= MAX_LINKS {
			for token in users.into_iter().chain(self.dial_ended(peer)) {
				self.sync_done(token, Err(SyncError::Unreachable));
			}
			return self.outputs.push_back(Output::Close {
				peer,
				reason: CloseCode::Overloaded,
			});
		}
		let mut syncing = Syncing::default();
		syncing.waiting = self.dial_ended(peer);
		syncing.waiting.extend(users);
		let now = self.now.mono;
		let link = Link {
			opened_by_us,
			heard: now,
			incarnation: None,
			outbox: Outbox::default(),
			last_flush: None,
			ping: None,
			syncing,
		};
		self.links.insert(peer, link);
		self.say_hello(peer);
		let first_ping = self.ping_interval(&peer);
		self.timers.set(Timer::Ping(peer), now + first_ping);
		self.timers
			.set(Timer::Silence(peer), now + self.silence(&peer));
		if opened_by_us {
			self.update_linger(peer);
		} else if !self.is_wanted(&peer) && self.accepted_links() > self.config.links_max {
			self.timers.set(Timer::Lease(peer), now + LEASE);
		}
		self.next_sync_if_waiting(peer);
	}

	fn accepted_links(&self) -> usize {
		let accepted = self.links.values().filter(|link| !link.opened_by_us);
		accepted.count()
	}

	pub(super) fn on_link_down(&mut self, peer: PeerId) {
		// Nor is it to lose one of the two before the other has come up.
		let now = self.now.mono;
		let gone = self.links.get_mut(&peer);
		let users = gone.map_or_else(Vec::new, |link| link.syncing.take_users());
		let was_linked = self.drop_link(peer, SyncError::LinkLost);
		for token in users {
			let first_loss = *self.resumed_syncs.entry(token).or_insert(now);
			if now.since(first_loss) < RESUME_WITHIN {
				self.sync_with(peer.into(), token);
			} else {
				self.sync_done(token, Err(SyncError::LinkLost));
			}
		}
		if was_linked {
			// One that was needed is dialled again.
			self.overlay_is_old = true;
		}
	}

	/// Forgets a link; `false` if there was none.
	fn drop_link(&mut self, peer: PeerId, error: SyncError) -> bool {
		let Some(link) = self.links.remove(&peer) else {
			return false;
		};
		if let Some(watch) = self.ring.get_mut(&peer) {
			watch.heard = watch.heard.max(link.heard);
		}
		self.unsent.remove(&peer);
		for timer in [
			Timer::Flush(peer),
			Timer::Ping(peer),
			Timer::Silence(peer),
			Timer::Sync(peer),
			Timer::Linger(peer),
			Timer::Lease(peer),
		] {
			self.timers.cancel(timer);
		}
		self.end_syncs(link.syncing, error);
		if self.links.is_empty() {
			// Turned away by a busy peer, perhaps: do not wait for long.
			let soon = self.jittered(ALONE);
			self.timers.set(Timer::Lost, self.now.mono + soon);
		}
		true
	}

	/// Closes a link on our own account.
	pub(super) fn close(&mut self, peer: PeerId, reason: CloseCode) {
		if self.drop_link(peer, SyncError::LinkLost) {
			self.outputs.push_back(Output::Close { peer, reason });
			self.overlay_is_old = true;
		}
	}

	/// A neighbour that breaks the protocol is no neighbour.
	pub(super) fn violation(&mut self, peer: PeerId) {
		self.close(peer, CloseCode::ProtocolViolation);
	}

	pub(super) fn on_linger_over(&mut self, peer: PeerId) {
		if !self.is_wanted(&peer) {
			self.close(peer, CloseCode::Idle);
		}
	}

	pub(super) fn on_lease_over(&mut self, peer: PeerId) {
		if !self.is_wanted(&peer) && self.accepted_links() > self.config.links_max {
			self.close(peer, CloseCode::Overloaded);
		}
	}

	pub(super) fn send(&mut self, peer: PeerId, message: Message) {
		self.outputs.push_back(Output::Send { peer, message });
	}

	pub(super) fn on_message(&mut self, from: PeerId, message: Message) {
		let Some(link) = self.links.get_mut(&from) else {
			return;
		};
		link.heard = self.now.mono;
		self.heard = self.now.mono;
		self.clear_suspicion(&from);
		match message {
			Message::Hello(hello) => self.on_hello(from, hello),
			Message::Ping(beat) => {
				let pong = Message::Pong(self.beat(beat.nonce));
				self.send(from, pong);
				self.compare(from, beat.fingerprint);
			}
			Message::Pong(beat) => self.on_pong(from, beat),
			Message::News(news) => self.on_news(from, news),
			Message::Pull(keys) => self.on_pull(from, &keys),
			Message::Digest(digest) => self.on_digest(from, &digest),
			Message::Lists(lists) => self.on_lists(from, &lists),
			Message::Want(want) => self.on_want(from, &want),
			Message::Done { token } => self.on_done(from, token),
		}
	}

	pub(super) fn say_hello(&mut self, peer: PeerId) {
		let unknown = self.catalog.find(&peer).is_none();
		let local = self.catalog.local();
		let hello = Hello {
			network: self.network,
			version: local.update_version(),
			fingerprint: self.fingerprint.total(),
			entry: unknown.then(|| local.clone()),
		};
		self.send(peer, Message::Hello(hello));
	}

	fn on_hello(&mut self, from: PeerId, hello: Hello) {
		if hello.network != self.network {
			self.stats.foreign += 1;
			return self.close(from, CloseCode::DifferentNetwork);
		}
		let started_ms = hello.version.started_ms();
		let Some(link) = self.links.get_mut(&from) else {
			return;
		};
		let first = link.incarnation.replace(started_ms).is_none();
		let opened_by_us = link.opened_by_us;
		if let Some(known) = self.catalog.find(&from)
			&& known.update_version() > hello.version
		{
			// A new life with a slower clock: it has to step over its former one.
			let version = known.update_version();
			self.outbox(from, |outbox| {
				outbox.suspects.insert(*from, version);
			});
		}
		if let Some(version) = self.tombstones.version(&from)
			&& version >= hello.version
		{
			// It is alive: tell it that it has to step over its tombstone.
			self.outbox(from, |outbox| {
				outbox.suspects.insert(*from, version);
			});
		}
		if let Some(suspicion) = self.suspicions.get(&from) {
			let version = suspicion.claimed;
			self.outbox(from, |outbox| {
				outbox.suspects.insert(*from, version);
			});
		}
		match hello.entry {
			Some(entry) if *entry.id() == from => {
				self.learn(entry, Some(from));
			}
			_ => self.on_advert(from, *from, hello.version),
		}
		let compares = opened_by_us || self.drowsy_until.is_some();
		if first && compares && hello.fingerprint != self.fingerprint.total() {
			self.start_sync(from);
		}
	}

	/// Tells the driver about a new life of a peer, and forgets the link to the
	/// former one, if that is where the link leads.
	pub(super) fn announce_incarnation(&mut self, peer: PeerId, started_ms: u64) {
		let link = self.links.get(&peer).map(|link| link.incarnation);
		if link.flatten().is_some_and(|start| start >= started_ms) {
			return;
		}
		// Where nobody has spoken yet, the driver knows whom the link leads to: to
		// the dead, if it was opened over a connection that outlived them.
		if link != Some(None) && self.drop_link(peer, SyncError::LinkLost) {
			self.overlay_is_old = true;
		}
		let restarted = Output::Incarnation { peer, started_ms };
		self.outputs.push_back(restarted);
	}

	fn beat(&self, nonce: u32) -> Beat {
		Beat {
			nonce,
			fingerprint: self.fingerprint.total(),
		}
	}

	fn ping_interval(&self, peer: &PeerId) -> Duration {
		if self.ring.contains_key(peer) {
			self.config.ping_ring
		} else {
			self.config.ping_long
		}
	}

	pub(super) fn ping(&mut self, peer: PeerId) {
		let now = self.now.mono;
		let interval = self.ping_interval(&peer);
		let nonce = self.next_nonce;
		let Some(link) = self.links.get_mut(&peer) else {
			return;
		};
		link.ping = Some((nonce, now));
		self.next_nonce = nonce.wrapping_add(1);
		let ping = Message::Ping(self.beat(nonce));
		self.send(peer, ping);
		self.timers.set(Timer::Ping(peer), now + interval);
	}

	/// A link that became a ring link is pinged at the pace of one.
	pub(super) fn hurry_ping(&mut self, peer: PeerId) {
		if self.links.contains_key(&peer) {
			let at = self.now.mono + self.config.ping_ring;
			self.timers.set(Timer::Ping(peer), at);
		}
	}

	fn on_pong(&mut self, from: PeerId, beat: Beat) {
		if let Some(link) = self.links.get_mut(&from)
			&& let Some((nonce, sent)) = link.ping
			&& nonce == beat.nonce
		{
			link.ping = None;
			// An answer that waited while we slept says nothing about the way.
			if sent >= self.awake_since {
				self.on_rtt(from, self.now.mono.since(sent));
			}
		}
		self.compare(from, beat.fingerprint);
	}

	pub(super) fn on_rtt(&mut self, peer: PeerId, sample: Duration) {
		if !self.catalog.contains(&peer) {
			return;
		}
		let rtt = self.rtts.entry(peer).or_default().sample(sample);
		self.catalog_is_old |= self.catalog.set_rtt(&peer, rtt);
	}

	fn silence(&self, peer: &PeerId) -> Duration {
		let pings = self.ping_interval(peer) * SILENCE;
		pings.max(self.config.suspect_after * 2)
	}

	pub(super) fn on_silence(&mut self, peer: PeerId) {
		let Some(link) = self.links.get(&peer) else {
			return;
		};
		let heard = link.heard.max(self.awake_since);
		let over = heard + self.silence(&peer);
		if over > self.now.mono {
			self.timers.set(Timer::Silence(peer), over);
		} else {
			self.close(peer, CloseCode::Idle);
		}
	}

	/// Puts something into the outbox of a neighbour.
	pub(super) fn outbox(&mut self, peer: PeerId, put: impl FnOnce(&mut Outbox)) {
		if let Some(link) = self.links.get_mut(&peer) {
			put(&mut link.outbox);
			self.unsent.insert(peer);
		}
	}

	/// Sends at once on idle links; elsewhere news wait for company.
	pub(super) fn flush_unsent(&mut self) {
		while let Some(peer) = self.unsent.pop_first() {
			let Some(link) = self.links.get(&peer) else {
				continue;
			};
			let due = link.last_flush.map(|last| last + self.config.batch);
			match due {
				Some(due) if due > self.now.mono => self.timers.set(Timer::Flush(peer), due),
				_ => self.flush(peer),
			}
		}
	}

	/// Sends all that waits for a neighbour.
	pub(super) fn flush(&mut self, peer: PeerId) {
		let Some(link) = self.links.get_mut(&peer) else {
			return;
		};
		link.last_flush = Some(self.now.mono);
		let outbox = std::mem::take(&mut link.outbox);
		self.unsent.remove(&peer);
		self.timers.cancel(Timer::Flush(peer));

		let mut batch = Batch::default();
		for id in &outbox.entries {
			if let Some(entry) = self.catalog.find(id) {
				batch.make_room(entry.encoded_len());
				batch.news.entries.push(entry.clone());
			}
		}
		for id in outbox.adverts.difference(&outbox.entries) {
			if let Some(entry) = self.catalog.find(id) {
				batch.make_room(MENTION_LEN);
				batch.news.adverts.push(Mention {
					peer: **id,
					version: entry.update_version(),
				});
			}
		}
		for (&peer, &version) in &outbox.suspects {
			batch.make_room(MENTION_LEN);
			batch.news.suspects.push(Mention { peer, version });
		}
		for departure in outbox.departed {
			batch.make_room(MENTION_LEN * 3);
			batch.news.departed.push(departure);
		}
		for news in batch.finish() {
			self.send(peer, Message::News(news));
		}
		let pulls: Vec<Key> = outbox.pulls.into_iter().collect();
		for pulls in pulls.chunks(CHUNK / MENTION_LEN) {
			self.send(peer, Message::Pull(pulls.to_vec()));
		}
	}
}

/// An upper bound for the length of an encoded mention.
pub(super) const MENTION_LEN: usize = 32 + 10 + 10 + 1;

/// Fills messages one after the other.
#[derive(Default)]
struct Batch {
	full: Vec<News>,
	news: News,
	len: usize,
}

impl Batch {
	fn make_room(&mut self, len: usize) {
		if self.len > 0 && self.len + len > CHUNK {
			self.full.push(std::mem::take(&mut self.news));
			self.len = 0;
		}
		self.len += len;
	}

	fn finish(mut self) -> Vec<News> {
		if !self.news.is_empty() {
			self.full.push(self.news);
		}
		self.full
	}
}
