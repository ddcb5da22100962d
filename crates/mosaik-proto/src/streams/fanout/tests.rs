//! The queue, step by step and at random.

use {
	super::{
		account::{SLOW_TICK, TICK},
		*,
	},
	proptest::prelude::*,
	std::convert::Infallible,
};

fn fanout(datums: u64, lagging: Lagging) -> Fanout {
	Fanout::new(FanoutLimits {
		datums,
		bytes: 1 << 20,
		lagging,
	})
}

/// Pushes one byte, returns who was woken.
fn push(fanout: &mut Fanout, byte: u8) -> Result<Vec<ConsumerKey>, PushError<Infallible>> {
	let mut woken = Vec::new();
	let write = |buffer: &mut BytesMut| {
		buffer.extend_from_slice(&[byte]);
		Ok(None)
	};
	fanout.push(write, |key| woken.push(key)).map(|()| woken)
}

fn take(fanout: &mut Fanout, key: ConsumerKey) -> Vec<u8> {
	let mut out = Vec::new();
	let count = fanout.take(fanout.settled, key, usize::MAX, &mut out);
	let bytes = out.concat();
	assert_eq!(bytes.len() as u64, count);
	bytes
}

#[test]
fn each_consumer_gets_everything_from_its_subscription_on() {
	let mut f = fanout(10, Lagging::Wait);
	let a = f.subscribe();
	push(&mut f, 1).unwrap();
	let b = f.subscribe();
	push(&mut f, 2).unwrap();
	assert_eq!(take(&mut f, a), [1, 2]);
	assert_eq!(take(&mut f, b), [2]);
	assert!(f.is_drained());
	assert_eq!(f.batches.bytes(), 0);
}

#[test]
fn only_idle_consumers_are_woken_and_only_once() {
	let mut f = fanout(10, Lagging::Wait);
	let a = f.subscribe();
	let _busy = f.subscribe();
	assert_eq!(take(&mut f, a), [0u8; 0]);
	assert_eq!(push(&mut f, 1).unwrap(), [a]);
	assert_eq!(push(&mut f, 2).unwrap(), []);
}

#[test]
fn with_waiting_the_slowest_sets_the_pace() {
	let mut f = fanout(2, Lagging::Wait);
	let slow = f.subscribe();
	let fast = f.subscribe();
	push(&mut f, 1).unwrap();
	push(&mut f, 2).unwrap();
	take(&mut f, fast);
	assert!(matches!(push(&mut f, 3), Err(PushError::Full)));
	assert_eq!(f.cut(Instant(u64::MAX)), []);
	take(&mut f, slow);
	push(&mut f, 3).unwrap();
}

/// Takes everything and then waits for more.
fn drain(fanout: &mut Fanout, key: ConsumerKey) {
	while !take(fanout, key).is_empty() {}
}

fn ms(ms: u64) -> Instant {
	Instant(ms * 1000)
}

/// Waits as a driver does: when somebody is cut, and who.
fn wait_for_cut(fanout: &mut Fanout, since: Instant) -> (Duration, ConsumerKey) {
	let mut now = since;
	loop {
		if let [(key, _)] = fanout.cut(now)[..] {
			return (now.since(since), key);
		}
		now = fanout.cut_deadline().unwrap();
	}
}

/// A consumer that lags by all that it may, and one that does not.
fn full(fanout: &mut Fanout) -> (ConsumerKey, ConsumerKey) {
	let slow = fanout.subscribe();
	let fast = fanout.subscribe();
	fill(fanout, fast);
	(slow, fast)
}

fn fill(fanout: &mut Fanout, fast: ConsumerKey) {
	while fanout.has_room() {
		push(fanout, 7).unwrap();
		drain(fanout, fast);
	}
}

#[test]
fn a_new_consumer_that_holds_up_others_is_cut_after_fifty_milliseconds() {
	let mut f = fanout(2, Lagging::Disconnect);
	let (slow, _) = full(&mut f);
	let (after, cut) = wait_for_cut(&mut f, ms(0));
	assert_eq!(cut, slow);
	// A little is earned meanwhile.
	assert!((ms(50)..ms(55)).contains(&(ms(0) + after)), "{after:?}");
	assert_eq!(take(&mut f, slow), [0u8; 0]);
	assert_eq!(f.batches.bytes(), 0);
	push(&mut f, 3).unwrap();
}

#[test]
fn one_that_has_read_for_long_may_pause_for_a_share_of_that_time() {
	for (subscribed, share) in [(1_000, 50 + 40), (10_000, 50 + 400), (100_000, 1_000)] {
		let mut f = fanout(2, Lagging::Disconnect);
		let (slow, _) = full(&mut f);
		let now = ms(subscribed);
		let (after, cut) = wait_for_cut(&mut f, now);
		assert_eq!(cut, slow);
		let expected = Duration::from_millis(share);
		let most = expected + expected / 10;
		assert!((expected..most).contains(&after), "{after:?}");
	}
}

#[test]
fn one_that_is_waited_for_catches_up_by_half_before_there_is_room() {
	let mut f = fanout(2, Lagging::Disconnect);
	let (slow, fast) = full(&mut f);
	assert_eq!(f.cut(ms(0)), []);
	let mut lag = 16;
	while !f.has_room() {
		let taken = f.take(ms(0), slow, 1, &mut Vec::new());
		assert!(taken > 0, "each datum was sealed on its own");
		lag -= taken;
	}
	assert!(lag < 8, "{lag}");
	let mut pushed = 0;
	while f.has_room() {
		push(&mut f, 7).unwrap();
		drain(&mut f, fast);
		pushed += 1;
	}
	assert_eq!(lag + pushed, 16);
}

#[test]
fn time_before_a_wait_is_not_charged() {
	let mut f = fanout(2, Lagging::Disconnect);
	let (slow, fast) = full(&mut f);
	let mut now = ms(0);
	for _ in 0..5_000 {
		// Waited for during a twentieth of the time.
		assert_eq!(f.cut(now), []);
		now = now + Duration::from_micros(45);
		f.take(now, slow, usize::MAX, &mut Vec::new());
		fill(&mut f, fast);
		now = now + Duration::from_micros(855);
	}
}

#[test]
fn one_that_paused_is_not_cut_at_the_next_short_wait() {
	let mut f = fanout(2, Lagging::Disconnect);
	let (slow, fast) = full(&mut f);
	let mut now = ms(0);
	for _ in 0..10 {
		assert_eq!(f.cut(now), []);
		now = now + TICK;
	}
	f.take(now, slow, usize::MAX, &mut Vec::new());
	fill(&mut f, fast);
	assert_eq!(f.cut(now), []);
	assert_eq!(f.cut(now + TICK), []);
	f.take(now + TICK, slow, usize::MAX, &mut Vec::new());
}

#[test]
fn one_below_the_limit_is_not_waited_for_where_all_were_behind() {
	let mut f = fanout(2, Lagging::Disconnect);
	let (_slow, fast) = (f.subscribe(), f.subscribe());
	for _ in 0..10 {
		push(&mut f, 7).unwrap();
		drain(&mut f, fast);
	}
	push(&mut f, 7).unwrap();
	push(&mut f, 7).unwrap();
	assert!(!f.has_room(), "the fastest lags by the capacity");
	assert_eq!(f.cut(ms(0)), []);
	drain(&mut f, fast);
	assert!(f.has_room(), "the other one lags by 12 of 16");
}

#[test]
fn a_pause_is_paid_for_once() {
	let mut f = fanout(2, Lagging::Disconnect);
	let (slow, fast) = full(&mut f);
	let mut now = ms(10_000);
	for _ in 0..80 {
		assert_eq!(f.cut(now), []);
		now = now + TICK;
	}
	f.take(now, slow, usize::MAX, &mut Vec::new());
	fill(&mut f, fast);
	let (after, _) = wait_for_cut(&mut f, now);
	assert!(after < Duration::from_millis(100), "{after:?}");
}

#[test]
fn time_in_which_the_producer_did_not_get_to_run_is_not_charged() {
	let mut f = fanout(2, Lagging::Disconnect);
	let (slow, _) = full(&mut f);
	assert_eq!(f.cut(ms(0)), []);
	assert_eq!(f.cut(ms(400)), []);
	assert_eq!(f.cut(ms(800)), []);
	assert_eq!(take(&mut f, slow).len(), 16);
}

#[test]
fn with_disconnecting_one_that_is_always_slower_is_cut_in_the_end() {
	let mut f = fanout(2, Lagging::Disconnect);
	let slow = f.subscribe();
	let fast = f.subscribe();
	for step in 0..200 {
		while f.has_room() {
			push(&mut f, 1).unwrap();
			drain(&mut f, fast);
		}
		let now = ms(step * 10);
		let looks = [now, now + TICK];
		if let Some((cut, _)) = looks.into_iter().find_map(|now| f.cut(now).pop()) {
			assert_eq!(cut, slow);
			// It holds up the other for 9 of 10 ms; 2.5 of them are forgiven.
			assert!((30..42).contains(&step), "{step}");
			return;
		}
		f.take(now + Duration::from_millis(9), slow, 1, &mut Vec::new());
	}
	panic!("it was never cut");
}

#[test]
fn consumers_that_take_turns_at_being_slow_are_not_cut() {
	let mut f = fanout(2, Lagging::Disconnect);
	let keys = [
		f.subscribe(),
		f.subscribe(),
		f.subscribe(),
		f.subscribe(),
		f.subscribe(),
	];
	for round in 0..1000 {
		let slow = keys[round % keys.len()];
		while f.has_room() {
			push(&mut f, 1).unwrap();
			for key in keys.into_iter().filter(|key| *key != slow) {
				drain(&mut f, key);
			}
		}
		let now = ms(round as u64 * 10);
		assert_eq!(f.cut(now), []);
		assert_eq!(f.cut(now + Duration::from_millis(5)), []);
		f.take(
			now + Duration::from_millis(9),
			slow,
			usize::MAX,
			&mut Vec::new(),
		);
	}
}

#[test]
fn time_with_room_is_nobodys_delay() {
	let mut f = fanout(2, Lagging::Disconnect);
	let slow = f.subscribe();
	let fast = f.subscribe();
	push(&mut f, 1).unwrap();
	drain(&mut f, fast);
	f.settle(ms(5000));
	push(&mut f, 2).unwrap();
	drain(&mut f, fast);
	// Full for a long time, but nobody wanted to push.
	assert_eq!(f.cut(ms(9000)), []);
	assert_eq!(take(&mut f, slow), [1, 2]);
}

#[test]
fn a_lone_stalled_consumer_is_cut_after_the_grace_only() {
	let mut f = fanout(2, Lagging::Disconnect);
	let lone = f.subscribe();
	push(&mut f, 1).unwrap();
	push(&mut f, 2).unwrap();
	let start = ms(7);
	assert_eq!(f.cut(start), []);
	assert_eq!(f.cut_deadline(), Some(start + SLOW_TICK));
	f.take(start + TICK, lone, usize::MAX, &mut Vec::new());
	assert_eq!(f.cut_deadline(), None);
	push(&mut f, 3).unwrap();
	push(&mut f, 4).unwrap();
	assert_eq!(wait_for_cut(&mut f, ms(2000)), (STALL_GRACE, lone));
}

#[test]
fn a_failed_encoding_changes_nothing() {
	let mut f = fanout(2, Lagging::Wait);
	let a = f.subscribe();
	assert!(matches!(
		f.push(|_| Err("no"), |_| {}),
		Err(PushError::Encode("no"))
	));
	assert_eq!(take(&mut f, a), [0u8; 0]);
}

#[test]
fn an_encoder_that_panics_leaves_nothing_behind() {
	let mut f = fanout(2, Lagging::Wait);
	let a = f.subscribe();
	let torn = |buffer: &mut BytesMut| -> Result<Option<Bytes>, Infallible> {
		buffer.extend_from_slice(&[1, 2]);
		panic!("user code");
	};
	let pushed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f.push(torn, |_| {})));
	assert!(pushed.is_err());
	push(&mut f, 3).unwrap();
	assert_eq!(take(&mut f, a), [3]);
}

#[test]
fn a_rest_that_is_not_copied_follows_its_beginning() {
	let mut f = fanout(10, Lagging::Wait);
	let a = f.subscribe();
	push(&mut f, 1).unwrap();
	let rest = Bytes::from_static(&[3, 4]);
	let large = |buffer: &mut BytesMut| {
		buffer.extend_from_slice(&[2]);
		Ok::<_, Infallible>(Some(rest.clone()))
	};
	f.push(large, |_| {}).unwrap();
	push(&mut f, 5).unwrap();
	let mut out = Vec::new();
	assert_eq!(f.take(ms(0), a, usize::MAX, &mut out), 3);
	assert_eq!(out.concat(), [1, 2, 3, 4, 5]);
	assert_eq!(out[1].as_ptr(), rest.as_ptr());
	assert_eq!(f.batches.bytes(), 0);
}

#[test]
fn bytes_are_bounded_but_one_large_datum_passes() {
	let mut f = Fanout::new(FanoutLimits {
		datums: 10,
		bytes: 2,
		lagging: Lagging::Wait,
	});
	let a = f.subscribe();
	let large = |buffer: &mut BytesMut| {
		buffer.extend_from_slice(&[9; 5]);
		Ok::<_, Infallible>(None)
	};
	f.push(large, |_| {}).unwrap();
	assert!(!f.has_room());
	let mut out = Vec::new();
	assert_eq!(f.take(ms(0), a, 1, &mut out), 1);
	assert!(f.has_room());
}

proptest! {
	/// Whatever the interleaving, each consumer gets a gapless run of what was
	/// pushed while it was subscribed, and memory stays within the limits.
	#[test]
	fn runs_are_gapless_and_bounded(steps in prop::collection::vec(0u8..8, 1..300), wait: bool) {
		let lagging = if wait { Lagging::Wait } else { Lagging::Disconnect };
		let mut f = fanout(4, lagging);
		let mut alive: Vec<(ConsumerKey, u8)> = Vec::new();
		let mut pushed = 0u8;
		for step in steps {
			match step {
				0 if alive.len() < 4 => alive.push((f.subscribe(), pushed)),
				1 if !alive.is_empty() => {
					let (key, _) = alive.remove(0);
					f.unsubscribe(key);
				}
				2..=4 => {
					if push(&mut f, pushed).is_ok() {
						pushed = pushed.wrapping_add(1);
					}
					let cut = f.cut(ms(0));
					alive.retain(|(key, _)| cut.iter().all(|(cut, _)| cut != key));
					prop_assert!(!cut.is_empty() || f.batches.bytes() <= 4 * SLACK as usize);
				}
				_ if !alive.is_empty() => {
					let index = usize::from(step) % alive.len();
					let (key, expected) = &mut alive[index];
					for byte in take(&mut f, *key) {
						prop_assert_eq!(byte, *expected);
						*expected = expected.wrapping_add(1);
					}
					prop_assert_eq!(*expected, pushed);
				}
				_ => {}
			}
		}
	}
}
