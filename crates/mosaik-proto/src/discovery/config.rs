//! How patient and how talkative membership is.

use std::time::Duration;

/// Tuning of [`Membership`](super::Membership). Nodes of one network may differ.
#[derive(Debug, Clone)]
pub struct MembershipConfig {
	/// Without a word from anybody for this long, a node gives up on all it
	/// knows; an unsigned entry, or one that was fed in, lives this long
	/// without a sign of its peer. At least a second; shorter than the
	/// sum of [`suspect_after`](Self::suspect_after) and
	/// [`suspicion`](Self::suspicion), it shortens both. Default: 300 s.
	pub purge_after: Duration,
	/// Peers with a larger smoothed round-trip time are hidden from
	/// [`Catalog::peers`](super::Catalog::peers). Default: none are.
	pub max_rtt: Option<Duration>,
	/// How often ring neighbours are pinged, at most a third of
	/// [`suspect_after`](Self::suspect_after). Default: 1 s.
	pub ping_ring: Duration,
	/// How often other neighbours are pinged; after three times this without
	/// an answer the link is given up. Default: 5 s.
	pub ping_long: Duration,
	/// The silence after which a ring neighbour is suspected. Default: 3 s.
	pub suspect_after: Duration,
	/// How long a suspected peer has to refute. Larger than the longest pause
	/// a process shall survive, less `suspect_after`. Default: 4 s.
	pub suspicion: Duration,
	/// How many random neighbours are sent a small change in full, besides the
	/// ring successor; the others get an advert. 1 to 5. Default: 3.
	pub eager: usize,
	/// How long news wait to be sent in one message with others, if the last
	/// message was that recent. Default: 15 ms.
	pub batch: Duration,
	/// How long an advertised entry may take to arrive by itself before it is
	/// pulled: a few times the latency of a hop. Default: 75 ms.
	pub pull_after: Duration,
	/// Links kept that others opened; further ones end after a few seconds.
	/// Default: 48.
	pub links_max: usize,
	/// How many dials may be under way at once. Default: 8.
	pub dials_max: usize,
	/// How long a link stays that this node opened and no longer needs.
	/// Default: 10 s.
	pub linger: Duration,
	/// After this long a dial without an outcome counts as failed; longer than
	/// the driver's own timeout. Default: 10 s.
	pub dial_timeout: Duration,
	/// How long two catalogs may differ before a sync repairs them: longer
	/// than a change takes to reach everybody. Default: 1.5 s.
	pub sync_after: Duration,
	/// How long a sync may take without progress. Default: 10 s.
	pub sync_timeout: Duration,
	/// How long the dead are remembered, so that nobody brings them back.
	/// Default: 30 min.
	pub tombstones_keep: Duration,
	/// The shortest time between two attempts to reach somebody who was lost;
	/// the longest is twice that. Grows with the network. Default: 5 s.
	pub redial_lost: Duration,
}

impl Default for MembershipConfig {
	fn default() -> Self {
		Self {
			purge_after: Duration::from_secs(300),
			max_rtt: None,
			ping_ring: Duration::from_secs(1),
			ping_long: Duration::from_secs(5),
			suspect_after: Duration::from_secs(3),
			suspicion: Duration::from_secs(4),
			eager: 3,
			batch: Duration::from_millis(15),
			pull_after: Duration::from_millis(75),
			links_max: 48,
			dials_max: 8,
			linger: Duration::from_secs(10),
			dial_timeout: Duration::from_secs(10),
			sync_after: Duration::from_millis(1500),
			sync_timeout: Duration::from_secs(10),
			tombstones_keep: Duration::from_secs(30 * 60),
			redial_lost: Duration::from_secs(5),
		}
	}
}

impl MembershipConfig {
	/// Brings the values into an order in which they make sense.
	pub(super) fn reconciled(mut self) -> Self {
		self.purge_after = self.purge_after.max(Duration::from_secs(1));
		if self.suspect_after + self.suspicion > self.purge_after {
			self.suspect_after = self.suspect_after.min(self.purge_after * 3 / 7);
			self.suspicion = self.suspicion.min(self.purge_after * 4 / 7);
		}
		// A pause of nothing would be a loop without end.
		let shortest = Duration::from_millis(10);
		self.suspect_after = self.suspect_after.max(3 * shortest);
		self.redial_lost = self.redial_lost.max(shortest);
		self.ping_ring = self.ping_ring.clamp(shortest, self.suspect_after / 3);
		self.ping_long = self.ping_long.max(self.ping_ring);
		self.dials_max = self.dials_max.max(1);
		self
	}
}
