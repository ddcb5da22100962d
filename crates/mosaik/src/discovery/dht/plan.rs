//! When to look into the slots, and which one to write.

use {
	super::slot::{SLOTS, SlotRecord},
	mosaik_proto::PeerId,
	rand::{Rng, RngExt, seq::IteratorRandom},
	std::time::Duration,
};

/// From this age in seconds on a writer has had two chances to renew its record,
/// and the slot is free.
const STALE: u64 = 20 * 60;
/// From this age in seconds on the writer renews its record.
const RENEW: u64 = 8 * 60;
/// How far in seconds a record may be ahead of our clock.
const AHEAD: u64 = 10 * 60;
/// How likely a node that finds all slots taken takes one over, so that it is
/// not always the same nodes that newcomers find.
const ROTATE: f64 = 0.1;
/// For how many seconds a writer keeps its slot in any case, so that a thousand
/// nodes do not write more than ten.
const KEEP: u64 = 4 * 60;

/// The first pause of a node that has found nobody.
const ALONE: Duration = Duration::from_secs(5);
/// The first pause of a node that has found somebody.
const COMPANY: Duration = Duration::from_secs(60);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(600);

/// How a look into the slots went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
	/// The DHT did not answer.
	Offline,
	/// No slot holds another node.
	Alone,
	/// Another node is there.
	Company,
}

/// Paces the looks: each pause is twice the last.
#[derive(Debug)]
pub(super) struct Pace(Duration);

impl Pace {
	/// Before the first look.
	pub(super) const fn new() -> Self {
		Self(Duration::ZERO)
	}

	/// How long to wait after a look.
	pub(super) fn next(&mut self, outcome: Outcome, rng: &mut impl Rng) -> Duration {
		let least = match outcome {
			Outcome::Offline | Outcome::Alone => ALONE,
			Outcome::Company => COMPANY,
		};
		self.0 = (self.0 * 2).clamp(least, LONGEST);
		// So that nodes that started together do not stay together.
		self.0.mul_f64(rng.random_range(0.8..1.2))
	}
}

/// Which slot to write our address into, if any.
///
/// `moved` is whether our address has changed since we last wrote.
pub(super) fn slot_to_write(
	me: &PeerId,
	moved: bool,
	now: u64,
	slots: &[Option<SlotRecord>; SLOTS],
	rng: &mut impl Rng,
) -> Option<usize> {
	let newest = |record: &&SlotRecord| record.written_at;
	let ours = slots
		.iter()
		.flatten()
		.filter(|record| record.peer.id == *me);
	if let Some(ours) = ours.max_by_key(newest)
		&& !is_free(Some(ours), now)
	{
		let due = moved || now.saturating_sub(ours.written_at) >= RENEW;
		return due.then_some(ours.slot);
	}
	let free = (0..SLOTS).filter(|slot| is_free(slots[*slot].as_ref(), now));
	if let Some(slot) = free.choose(rng) {
		return Some(slot);
	}
	let kept = |record: &&SlotRecord| now.saturating_sub(record.written_at) < KEEP;
	let old = slots.iter().flatten().filter(|record| !kept(record));
	let taken = old.map(|record| record.slot).choose(rng);
	taken.filter(|_| rng.random_bool(ROTATE))
}

/// Whether a slot is up for taking.
fn is_free(record: Option<&SlotRecord>, now: u64) -> bool {
	record.is_none_or(|record| !is_fresh(record, now))
}

/// Whether the writer of a record is likely to be there still.
pub(super) const fn is_fresh(record: &SlotRecord, now: u64) -> bool {
	now.saturating_sub(record.written_at) < STALE && record.written_at <= now.saturating_add(AHEAD)
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		mosaik_proto::{EndpointAddr, SecretKey},
		rand::{SeedableRng, rngs::StdRng},
		std::collections::BTreeSet,
	};

	const NOW: u64 = 1_000_000;

	fn peer(n: u8) -> PeerId {
		SecretKey::from_bytes(&[n; 32]).public()
	}

	fn record(slot: usize, n: u8, age: u64) -> Option<SlotRecord> {
		Some(SlotRecord {
			slot,
			peer: EndpointAddr::new(peer(n)),
			written_at: NOW - age,
			seq: 0,
		})
	}

	fn full() -> [Option<SlotRecord>; SLOTS] {
		std::array::from_fn(|slot| record(slot, 100 + u8::try_from(slot).unwrap(), 60))
	}

	/// The choices over many throws, and how many threw none.
	fn choices(moved: bool, slots: &[Option<SlotRecord>; SLOTS]) -> (BTreeSet<usize>, usize) {
		let mut rng = StdRng::seed_from_u64(1);
		let throws = (0..1000).map(|_| slot_to_write(&peer(1), moved, NOW, slots, &mut rng));
		let all: Vec<_> = throws.collect();
		let none = all.iter().filter(|choice| choice.is_none()).count();
		(all.into_iter().flatten().collect(), none)
	}

	#[test]
	fn the_first_of_a_network_takes_any_slot() {
		let (slots, none) = choices(false, &[const { None }; SLOTS]);
		assert_eq!((slots.len(), none), (SLOTS, 0));
	}

	#[test]
	fn only_empty_and_stale_slots_are_taken() {
		let mut slots = full();
		slots[2] = None;
		slots[5] = record(5, 7, STALE);
		assert_eq!(choices(false, &slots), ([2, 5].into(), 0));
	}

	#[test]
	fn a_record_from_the_future_does_not_block_its_slot() {
		let mut slots = full();
		if let Some(record) = &mut slots[3] {
			record.written_at = NOW + AHEAD + 1;
		}
		assert_eq!(choices(false, &slots), ([3].into(), 0));
	}

	#[test]
	fn a_full_table_rotates_slowly() {
		assert_eq!(choices(false, &full()), ([].into(), 1000));
		let mut slots = full();
		slots[1] = record(1, 7, KEEP);
		slots[6] = record(6, 8, KEEP);
		let (slots, none) = choices(false, &slots);
		assert_eq!(slots, [1, 6].into());
		assert!((850..950).contains(&none), "{none}");
	}

	#[test]
	fn our_own_slot_is_kept_and_renewed_in_time() {
		let mut slots = full();
		slots[4] = record(4, 1, RENEW - 1);
		slots[6] = None;
		assert_eq!(choices(false, &slots), ([].into(), 1000));
		assert_eq!(choices(true, &slots), ([4].into(), 0));
		slots[4] = record(4, 1, RENEW);
		assert_eq!(choices(false, &slots), ([4].into(), 0));
	}

	#[test]
	fn a_stale_record_of_ours_binds_us_to_nothing() {
		let mut slots = full();
		slots[4] = record(4, 1, STALE);
		slots[6] = None;
		assert_eq!(choices(false, &slots), ([4, 6].into(), 0));
	}

	#[test]
	fn renewal_comes_before_staleness_at_every_pace() {
		let longest = LONGEST.as_secs() * 12 / 10;
		assert!(RENEW + longest <= STALE);
	}

	#[test]
	fn the_pace_slows_down_to_the_longest() {
		let mut rng = StdRng::seed_from_u64(1);
		let mut pace = Pace::new();
		let near = |pause: Duration, expected: u64| {
			let expected = Duration::from_secs(expected);
			assert!(
				pause > expected.mul_f64(0.79) && pause < expected.mul_f64(1.21),
				"{pause:?}"
			);
		};
		for expected in [5, 10, 20] {
			near(pace.next(Outcome::Offline, &mut rng), expected);
		}
		for expected in [60, 120, 240, 480, 600, 600] {
			near(pace.next(Outcome::Company, &mut rng), expected);
		}
		near(Pace::new().next(Outcome::Company, &mut rng), 60);
	}
}
