//! The membership core: its state, what goes in and what comes out.

mod events;
mod health;
mod identity;
mod links;
mod overlay;
mod spread;
mod suspicion;
mod sync;

#[cfg(test)]
mod tests;

pub use events::{Event, Input, Output, Stats, SyncError, SyncToken};

use {
	super::{
		Catalog, Error, Fingerprint, Key, MembershipConfig, PeerEntry, PeerEntryVersion, Rtt,
		SignedPeerEntry,
		graveyard::{Lost, Tombstones},
		timers::Timers,
	},
	crate::{
		PeerId, SecretKey,
		core::{Core, Instant, Now},
		id::NetworkId,
	},
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	std::{
		collections::{BTreeMap, BTreeSet, VecDeque},
		time::Duration,
	},
};

/// How many peers a catalog holds. Entries of further ones are dropped.
pub const MAX_PEERS: usize = 65_536;

/// A tick that comes this late was not late but asleep: the silence of the
/// others is ours.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// How long a node that slept waits for somebody to compare notes with. If all
/// slept, somebody has to begin.
const DROWSY: Duration = Duration::from_secs(10);

/// How often expired tombstones are swept out.
const SWEEP: Duration = Duration::from_secs(60);

/// The names of the deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
	/// News for a neighbour have waited long enough for company.
	Flush(PeerId),
	/// A neighbour is to be pinged.
	Ping(PeerId),
	/// A neighbour has been silent so long that the link must be dead.
	Silence(PeerId),
	/// A ring neighbour has been silent so long that it is suspected.
	Watch(PeerId),
	/// A suspect has had its time to refute.
	Suspicion(PeerId),
	/// An advertised entry did not come by itself.
	Pull(Key),
	/// A sync made no progress.
	Sync(PeerId),
	/// A link is no longer needed.
	Linger(PeerId),
	/// A link over the limit ends.
	Lease(PeerId),
	/// A peer may be dialled (again).
	Redial(PeerId),
	/// A dial has had no outcome.
	DialTimeout(PeerId),
	/// One of the lost is to be tried.
	Lost,
	/// Old tombstones are to be forgotten.
	Sweep,
	/// The own entry may be issued again.
	Reissue,
	/// Nobody has been heard from for too long.
	Isolation,
	/// An unsigned or fed entry has had no news.
	Purge(PeerId),
}

/// The membership protocol of one node, see the [module](super).
///
/// Besides [`Core::handle`], users' operations are methods that answer at once:
/// call [`Core::poll`] after them too.
#[derive(Debug)]
pub struct Membership {
	config: MembershipConfig,
	key: SecretKey,
	me: PeerId,
	network: NetworkId,
	rng: Xoshiro256PlusPlus,
	now: Now,
	health: health::Health,
	/// When the node last awoke from a pause: silence counts from here.
	awake_since: Instant,
	/// Until when, at the longest, the node does not pass on what it knows: it
	/// slept so long that some of those it takes for members may be dead, and
	/// has not compared notes since.
	drowsy_until: Option<Instant>,

	catalog: Catalog,
	fingerprint: Fingerprint,
	fingerprint_changed: Instant,
	rtts: BTreeMap<PeerId, Rtt>,

	links: BTreeMap<PeerId, links::Link>,
	/// Links with something to send.
	unsent: BTreeSet<PeerId>,
	heard: Instant,
	next_nonce: u32,

	long_points: Vec<Key>,
	ring: BTreeMap<PeerId, suspicion::Watch>,
	long: BTreeSet<PeerId>,
	successor: Option<PeerId>,
	dials: overlay::Dials,

	pulls: BTreeMap<Key, spread::Pull>,
	suspicions: BTreeMap<PeerId, suspicion::Suspicion>,
	tombstones: Tombstones,
	lost: Lost,
	identity: identity::Identity,
	next_sync: u32,
	/// Syncs of users that have lost a link before, and when first.
	resumed_syncs: BTreeMap<SyncToken, Instant>,

	timers: Timers<Timer>,
	outputs: VecDeque<Output>,
	stats: Stats,
	/// The members changed: the overlay must be computed again.
	overlay_is_old: bool,
	catalog_is_old: bool,
	left: bool,
}

impl Membership {
	/// The core of the node that owns `key`, described by `entry`.
	///
	/// `now` decides the start of this incarnation; `seed` the random choices,
	/// and must differ from node to node.
	///
	/// # Errors
	/// When `entry` is of another peer than `key`.
	pub fn new(
		config: MembershipConfig,
		key: SecretKey,
		entry: PeerEntry,
		now: Now,
		seed: u64,
	) -> Result<Self, Error> {
		let config = config.reconciled();
		let version = PeerEntryVersion(now.wall_ms, now.wall_ms);
		let local = entry.with_version(version).sign(&key)?;
		let me = *local.id();
		let mut fingerprint = Fingerprint::default();
		fingerprint.add(&me, version);
		let mut timers = Timers::new();
		timers.set(Timer::Sweep, now.mono + SWEEP);
		timers.set(Timer::Isolation, now.mono + config.purge_after);
		let mut outputs = VecDeque::new();
		outputs.push_back(Output::CatalogChanged);
		Ok(Self {
			me,
			network: *local.network_id(),
			rng: Xoshiro256PlusPlus::seed_from_u64(seed),
			now,
			health: health::Health::default(),
			awake_since: now.mono,
			drowsy_until: None,
			catalog: Catalog::new(local, config.max_rtt),
			config,
			key,
			fingerprint,
			fingerprint_changed: now.mono,
			rtts: BTreeMap::new(),
			links: BTreeMap::new(),
			unsent: BTreeSet::new(),
			heard: now.mono,
			next_nonce: 0,
			long_points: overlay::long_points(&me),
			ring: BTreeMap::new(),
			long: BTreeSet::new(),
			successor: None,
			dials: overlay::Dials::default(),
			pulls: BTreeMap::new(),
			suspicions: BTreeMap::new(),
			tombstones: Tombstones::default(),
			lost: Lost::default(),
			identity: identity::Identity::new(now.mono),
			next_sync: 0,
			resumed_syncs: BTreeMap::new(),
			timers,
			outputs,
			stats: Stats::default(),
			overlay_is_old: false,
			catalog_is_old: false,
			left: false,
		})
	}

	/// A picture of what is known now.
	pub fn catalog(&self) -> Catalog {
		self.catalog.clone()
	}

	/// The current version of the own entry, signed.
	pub const fn local(&self) -> &SignedPeerEntry {
		self.catalog.local()
	}

	/// The peers with which a link is up, in order.
	pub fn neighbours(&self) -> impl Iterator<Item = &PeerId> {
		self.links.keys()
	}

	/// The sums of the catalog: equal on all nodes that know the same.
	pub const fn fingerprint(&self) -> &Fingerprint {
		&self.fingerprint
	}

	/// What was counted so far.
	pub const fn stats(&self) -> &Stats {
		&self.stats
	}

	/// Begins a call: everything below may read `self.now`.
	fn begin(&mut self, now: Now) {
		let due = self.timers.next().unwrap_or(now.mono);
		self.health.observe(now.mono, now.mono.since(due));
		if now.mono.since(due) > OVERSLEPT {
			self.awake_since = now.mono;
			if now.mono.since(due) > self.config.suspect_after + self.config.suspicion {
				self.drowsy_until = Some(now.mono + DROWSY);
			}
		}
		if self.drowsy_until.is_some_and(|until| until <= now.mono) {
			self.drowsy_until = None;
		}
		self.now = now;
	}

	/// Ends a call: what follows from all that changed in it.
	fn finish(&mut self) {
		loop {
			if let Some(timer) = self.timers.take_due(self.now.mono) {
				self.on_timer(timer);
			} else if std::mem::take(&mut self.overlay_is_old) {
				// May set timers that are due at once.
				self.recompute_overlay();
			} else {
				break;
			}
		}
		self.flush_unsent();
		if std::mem::take(&mut self.catalog_is_old) {
			// Ahead of the events: whoever hears of a change finds it in the catalog.
			self.outputs.push_front(Output::CatalogChanged);
		}
	}

	fn on_timer(&mut self, timer: Timer) {
		match timer {
			Timer::Flush(peer) => self.flush(peer),
			Timer::Ping(peer) => self.ping(peer),
			Timer::Silence(peer) => self.on_silence(peer),
			Timer::Watch(peer) => self.on_watch(peer),
			Timer::Suspicion(peer) => self.on_suspicion_over(peer),
			Timer::Pull(key) => self.pull(key),
			Timer::Sync(peer) => self.on_sync_timeout(peer),
			Timer::Linger(peer) => self.on_linger_over(peer),
			Timer::Lease(peer) => self.on_lease_over(peer),
			Timer::Redial(peer) => self.redial(peer),
			Timer::DialTimeout(peer) => self.on_dial_failed(peer, false),
			Timer::Lost => self.redial_lost(),
			Timer::Sweep => {
				let keep = self.config.tombstones_keep;
				self.tombstones.expire(self.now.mono, keep);
				self.timers.set(Timer::Sweep, self.now.mono + SWEEP);
			}
			Timer::Reissue => self.reissue(),
			Timer::Isolation => self.on_isolation(),
			Timer::Purge(peer) => self.on_purge(peer),
		}
	}

	/// `time` and up to half as much again, so that nodes do not march in step.
	fn jittered(&mut self, time: Duration) -> Duration {
		time + time.mul_f64(self.rng.random_range(0.0..0.5))
	}

	fn event(&mut self, event: Event) {
		match event {
			Event::PeerDiscovered(_) => self.stats.discovered += 1,
			Event::PeerUpdated(_) => self.stats.updated += 1,
			Event::PeerDeparted(_) => self.stats.departed += 1,
		}
		self.catalog_is_old = true;
		self.outputs.push_back(Output::Event(event));
	}
}

impl Core for Membership {
	type Input = Input;
	type Output = Output;

	fn handle(&mut self, now: Now, input: Input) {
		if self.left {
			return;
		}
		self.begin(now);
		match input {
			Input::Tick => {}
			Input::LinkUp { peer, opened_by_us } => self.on_link_up(peer, opened_by_us),
			Input::LinkDown { peer } => self.on_link_down(peer),
			Input::DialFailed { peer, answered } => self.on_dial_failed(peer, answered),
			Input::Message { from, message } => self.on_message(from, message),
			Input::Candidate(address) => self.on_candidate(address),
			Input::Rtt { peer, sample } => self.on_rtt(peer, sample),
			Input::SyncWith { address, token } => self.sync_with(address, token),
			Input::UpdateLocal(entry) => self.on_update_local(entry),
			Input::Insert(entry) => drop(self.on_insert(entry)),
			Input::Feed(entry) => drop(self.on_feed(entry)),
			Input::Remove(peer) => drop(self.on_remove(&peer)),
			Input::ClearUnsigned => drop(self.on_clear_unsigned()),
			Input::Leave => return self.leave(),
		}
		self.finish();
	}

	fn poll(&mut self) -> Option<Output> {
		self.outputs.pop_front()
	}

	fn deadline(&self) -> Option<Instant> {
		self.timers.next()
	}
}
