//! The consumer's side: which producers to be subscribed to.
//!
//! The driver tells which producers are eligible and how each attempt ended;
//! this decides whom to subscribe to, when to try again and when to give up.

use {
	super::Outcome,
	crate::{
		PeerId,
		core::{Core, Instant, Now},
		discovery::PeerEntryVersion,
	},
	std::{
		collections::{BTreeMap, VecDeque},
		fmt,
		time::Duration,
	},
};

/// How long to wait before the next attempt.
pub trait Backoff: Send + Sync {
	/// The pause before the next attempt, `None` to give up.
	fn next_backoff(&mut self) -> Option<Duration>;

	/// The last attempt succeeded: start over.
	fn reset(&mut self) {}
}

/// What happens to a consumer.
#[derive(Debug)]
pub enum Input {
	/// The producers that are known, offer the stream and meet the requirements,
	/// with the versions of their entries, and the version of our own entry.
	Eligible(BTreeMap<PeerId, PeerEntryVersion>, PeerEntryVersion),
	/// The producer accepted the subscription.
	Subscribed(PeerId),
	/// An attempt failed or a subscription ended.
	Ended(PeerId, Outcome),
	/// A moment asked for by the deadline has come.
	Tick,
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
	/// Subscribe to the producer, with a catalog exchange first if `sync`.
	/// Exactly one [`Input::Ended`] is owed for it.
	Subscribe {
		/// The producer.
		peer: PeerId,
		/// Whether to exchange catalogs first.
		sync: bool,
	},
	/// End the subscription or the attempt: the producer is no longer eligible.
	Cancel(PeerId),
	/// The subscription ended for good.
	GaveUp(PeerId),
}

enum State {
	/// An attempt or a subscription is on.
	Active,
	/// The next attempt is due then.
	Waiting { until: Instant, sync: bool },
	/// Given up until one of the two entries changes.
	Refused,
}

struct Subscription {
	state: State,
	eligible: bool,
	version: PeerEntryVersion,
	/// The versions of the two entries when the latest attempt began: theirs and
	/// ours.
	attempted: (PeerEntryVersion, PeerEntryVersion),
	/// Whether the latest attempt began with a catalog exchange.
	synced: bool,
	backoff: Box<dyn Backoff>,
}

/// The subscriptions of one consumer, see the module.
pub struct Subscriptions {
	new_backoff: Box<dyn Fn() -> Box<dyn Backoff> + Send + Sync>,
	peers: BTreeMap<PeerId, Subscription>,
	local: PeerEntryVersion,
	outputs: VecDeque<Output>,
}

impl Subscriptions {
	/// No subscriptions yet; `new_backoff` is called once per producer.
	pub fn new(new_backoff: impl Fn() -> Box<dyn Backoff> + Send + Sync + 'static) -> Self {
		Self {
			new_backoff: Box::new(new_backoff),
			peers: BTreeMap::new(),
			local: PeerEntryVersion::default(),
			outputs: VecDeque::new(),
		}
	}

	fn eligible(&mut self, eligible: BTreeMap<PeerId, PeerEntryVersion>, ours: PeerEntryVersion) {
		self.local = ours;
		for (peer, subscription) in &mut self.peers {
			let still = eligible.contains_key(peer);
			if !still && subscription.eligible && matches!(subscription.state, State::Active) {
				self.outputs.push_back(Output::Cancel(*peer));
			}
			subscription.eligible = still;
		}
		// What is active is removed when it has ended.
		self.peers
			.retain(|_, s| s.eligible || matches!(s.state, State::Active));
		for (peer, version) in eligible {
			let subscription = self.peers.entry(peer).or_insert_with(|| {
				self.outputs
					.push_back(Output::Subscribe { peer, sync: false });
				Subscription {
					state: State::Active,
					eligible: true,
					version,
					attempted: (version, ours),
					synced: false,
					backoff: (self.new_backoff)(),
				}
			});
			let restarted = subscription.version.started_ms() != version.started_ms();
			subscription.version = version;
			let again = match subscription.state {
				State::Active => false,
				State::Waiting { .. } => restarted,
				State::Refused => subscription.attempted != (version, ours),
			};
			if again {
				subscription.attempted = (version, ours);
				subscription.synced = false;
				subscription.backoff.reset();
				subscription.state = State::Active;
				self.outputs
					.push_back(Output::Subscribe { peer, sync: false });
			}
		}
	}

	fn ended(&mut self, now: Now, peer: PeerId, outcome: Outcome) {
		let Some(subscription) = self.peers.get_mut(&peer) else {
			return;
		};
		if !subscription.eligible {
			self.peers.remove(&peer);
			return;
		}
		let current = (subscription.version, self.local);
		let restarted = subscription.attempted.0.started_ms() != current.0.started_ms();
		if restarted || outcome == Outcome::Verdict && subscription.attempted != current {
			// It is about a former life of the producer, which says nothing about
			// this one, or the verdict is about entries that have changed since.
			subscription.attempted = current;
			subscription.synced = false;
			if restarted {
				subscription.backoff.reset();
			}
			self.outputs
				.push_back(Output::Subscribe { peer, sync: false });
			return;
		}
		if outcome == Outcome::SyncFirst && !subscription.synced {
			// The exchange makes us known: there is nothing to wait for.
			subscription.attempted = current;
			subscription.synced = true;
			self.outputs
				.push_back(Output::Subscribe { peer, sync: true });
			return;
		}
		let pause = match outcome {
			Outcome::Verdict => None,
			Outcome::Retry | Outcome::SyncFirst => subscription.backoff.next_backoff(),
		};
		subscription.state = if let Some(pause) = pause {
			State::Waiting {
				until: now.mono + pause,
				sync: outcome == Outcome::SyncFirst,
			}
		} else {
			self.outputs.push_back(Output::GaveUp(peer));
			State::Refused
		};
	}

	fn tick(&mut self, now: Now) {
		for (peer, subscription) in &mut self.peers {
			if let State::Waiting { until, sync } = subscription.state
				&& until <= now.mono
			{
				subscription.state = State::Active;
				subscription.attempted = (subscription.version, self.local);
				subscription.synced = sync;
				self.outputs
					.push_back(Output::Subscribe { peer: *peer, sync });
			}
		}
	}
}

impl Core for Subscriptions {
	type Input = Input;
	type Output = Output;

	fn handle(&mut self, now: Now, input: Input) {
		match input {
			Input::Eligible(eligible, ours) => self.eligible(eligible, ours),
			Input::Subscribed(peer) => {
				if let Some(subscription) = self.peers.get_mut(&peer) {
					subscription.backoff.reset();
				}
			}
			Input::Ended(peer, outcome) => self.ended(now, peer, outcome),
			Input::Tick => self.tick(now),
		}
	}

	fn poll(&mut self) -> Option<Output> {
		self.outputs.pop_front()
	}

	fn deadline(&self) -> Option<Instant> {
		self.peers
			.values()
			.filter_map(|subscription| match subscription.state {
				State::Waiting { until, .. } => Some(until),
				_ => None,
			})
			.min()
	}
}

impl fmt::Debug for Subscriptions {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Subscriptions")
			.field("peers", &self.peers.len())
			.finish_non_exhaustive()
	}
}

#[cfg(test)]
mod tests {
	use {super::*, crate::SecretKey};

	const PAUSE: Duration = Duration::from_secs(1);

	/// Pauses a second, gives up at the third failure in a row.
	struct Thrice(u8);

	impl Backoff for Thrice {
		fn next_backoff(&mut self) -> Option<Duration> {
			self.0 += 1;
			(self.0 < 3).then_some(PAUSE)
		}

		fn reset(&mut self) {
			self.0 = 0;
		}
	}

	fn peer() -> PeerId {
		SecretKey::from_bytes(&[1; 32]).public()
	}

	fn at(secs: u64) -> Now {
		Now {
			mono: Instant(secs * 1_000_000),
			wall_ms: 0,
		}
	}

	fn version(start: u64, update: u64) -> PeerEntryVersion {
		PeerEntryVersion::from_millis(start, update)
	}

	fn eligible(version: PeerEntryVersion) -> Input {
		Input::Eligible([(peer(), version)].into(), PeerEntryVersion::default())
	}

	fn run(core: &mut Subscriptions, now: Now, input: Input) -> Vec<Output> {
		core.handle(now, input);
		std::iter::from_fn(|| core.poll()).collect()
	}

	fn new() -> Subscriptions {
		Subscriptions::new(|| Box::new(Thrice(0)))
	}

	#[test]
	fn an_eligible_producer_is_subscribed_to_once() {
		let mut core = new();
		let subscribe = Output::Subscribe {
			peer: peer(),
			sync: false,
		};
		assert_eq!(run(&mut core, at(0), eligible(version(1, 1))), [subscribe]);
		assert_eq!(run(&mut core, at(0), eligible(version(1, 2))), []);
		assert_eq!(core.deadline(), None);
	}

	#[test]
	fn a_lost_subscription_is_retried_after_the_pause_and_a_success_resets_it() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		for round in 0..5 {
			let now = at(round * 2);
			let lost = Input::Ended(peer(), Outcome::Retry);
			assert_eq!(run(&mut core, now, lost), []);
			assert_eq!(core.deadline(), Some(now.mono + PAUSE));
			let subscribe = Output::Subscribe {
				peer: peer(),
				sync: false,
			};
			assert_eq!(run(&mut core, at(round * 2 + 1), Input::Tick), [subscribe]);
			run(&mut core, now, Input::Subscribed(peer()));
		}
	}

	#[test]
	fn who_is_not_known_makes_itself_known_at_once_but_only_once() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		let unknown = || Input::Ended(peer(), Outcome::SyncFirst);
		let subscribe = Output::Subscribe {
			peer: peer(),
			sync: true,
		};
		assert_eq!(run(&mut core, at(0), unknown()), [subscribe]);
		assert_eq!(core.deadline(), None);
		assert_eq!(run(&mut core, at(0), unknown()), []);
		assert_eq!(core.deadline(), Some(at(0).mono + PAUSE));
		assert_eq!(run(&mut core, at(1), Input::Tick), [subscribe]);
		assert_eq!(run(&mut core, at(1), unknown()), []);
	}

	#[test]
	fn a_verdict_stands_until_an_entry_changes() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		let gave_up = run(&mut core, at(0), Input::Ended(peer(), Outcome::Verdict));
		assert_eq!(gave_up, [Output::GaveUp(peer())]);
		assert_eq!(run(&mut core, at(9), Input::Tick), []);
		assert_eq!(run(&mut core, at(9), eligible(version(1, 1))), []);
		let subscribe = Output::Subscribe {
			peer: peer(),
			sync: false,
		};
		assert_eq!(run(&mut core, at(9), eligible(version(1, 2))), [subscribe]);
	}

	#[test]
	fn the_end_of_a_former_life_does_not_delay_the_subscription_to_the_next() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		assert_eq!(run(&mut core, at(1), eligible(version(2, 2))), []);
		let ended = || Input::Ended(peer(), Outcome::Retry);
		let subscribe = Output::Subscribe {
			peer: peer(),
			sync: false,
		};
		assert_eq!(run(&mut core, at(1), ended()), [subscribe]);
		assert_eq!(run(&mut core, at(1), ended()), []);
		assert_eq!(core.deadline(), Some(at(1).mono + PAUSE));
	}

	#[test]
	fn the_backoff_can_give_up() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		for round in 1..3 {
			assert_eq!(
				run(&mut core, at(round), Input::Ended(peer(), Outcome::Retry)),
				[]
			);
			run(&mut core, at(round + 1), Input::Tick);
		}
		let gave_up = run(&mut core, at(5), Input::Ended(peer(), Outcome::Retry));
		assert_eq!(gave_up, [Output::GaveUp(peer())]);
	}

	#[test]
	fn a_restarted_producer_is_not_waited_for() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		run(&mut core, at(0), Input::Ended(peer(), Outcome::Retry));
		let subscribe = Output::Subscribe {
			peer: peer(),
			sync: false,
		};
		assert_eq!(run(&mut core, at(0), eligible(version(2, 1))), [subscribe]);
	}

	#[test]
	fn a_producer_that_is_no_longer_eligible_is_cancelled_and_forgotten() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		let none = || Input::Eligible(BTreeMap::new(), PeerEntryVersion::default());
		assert_eq!(run(&mut core, at(0), none()), [Output::Cancel(peer())]);
		assert_eq!(run(&mut core, at(0), none()), []);
		assert_eq!(
			run(&mut core, at(0), Input::Ended(peer(), Outcome::Retry)),
			[]
		);
		assert_eq!(core.deadline(), None);
		assert!(core.peers.is_empty());
	}

	#[test]
	fn eligible_again_while_cancelling_is_retried_when_it_has_ended() {
		let mut core = new();
		run(&mut core, at(0), eligible(version(1, 1)));
		run(
			&mut core,
			at(0),
			Input::Eligible(BTreeMap::new(), PeerEntryVersion::default()),
		);
		assert_eq!(run(&mut core, at(0), eligible(version(1, 1))), []);
		run(&mut core, at(0), Input::Ended(peer(), Outcome::Retry));
		assert!(core.deadline().is_some());
	}
}
