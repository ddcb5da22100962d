//! The checker on histories whose verdict is known: from the literature, from an
//! object that is really atomic, and small ones tried in every order.

use {
	super::{
		models::*,
		wgl::{Found, Tuning, search},
		workload::*,
		*,
	},
	mosaik_proto::core::Instant,
	proptest::prelude::*,
	rand::SeedableRng,
	std::collections::VecDeque,
};

/// Builds a history in which each word is an event of one client: what it calls,
/// or what comes back.
struct Script<Op, Ret> {
	events: Vec<Event<Op, Ret>>,
	open: BTreeMap<Client, usize>,
	calls: usize,
}

impl<Op: Clone, Ret: Clone> Script<Op, Ret> {
	fn new() -> Self {
		Self {
			events: Vec::new(),
			open: BTreeMap::new(),
			calls: 0,
		}
	}

	fn calls(mut self, client: Client, op: Op) -> Self {
		self.events.push(Event::Invoke(self.calls, client, op));
		assert!(self.open.insert(client, self.calls).is_none(), "one a time");
		self.calls += 1;
		self
	}

	fn gets(mut self, client: Client, ret: Ret) -> Self {
		let call = self.open.remove(&client).unwrap();
		self.events.push(Event::Complete(call, ret));
		self
	}

	fn gives_up(mut self, client: Client) -> Self {
		let call = self.open.remove(&client).unwrap();
		self.events.push(Event::Unknown(call));
		self
	}

	fn does(self, client: Client, op: Op, ret: Ret) -> Self {
		self.calls(client, op).gets(client, ret)
	}

	/// The verdict, which is that of every way to get it.
	fn verdict<M: Model<Op = Op, Ret = Ret>>(self) -> Verdict {
		let history = history(&self.events);
		let verdict = check::<M>(&history, Budget::default());
		agree::<M>(&history, &verdict);
		verdict
	}

	fn has_order<M: Model<Op = Op, Ret = Ret>>(self) -> bool {
		self.verdict::<M>().is_linearizable()
	}
}

/// The memory and the shortcuts change nothing, and the definition says the same.
fn agree<M: Model>(history: &History<M::Op, M::Ret>, verdict: &Verdict) {
	let calls: Vec<_> = history.calls().iter().collect();
	for (memo, shortcuts) in [(false, false), (true, false), (false, true)] {
		let tuning = Tuning { memo, shortcuts };
		let (found, _) = search::<M>(&calls, Budget::default(), tuning);
		assert_eq!(
			matches!(found, Found::Order(..)),
			verdict.is_linearizable(),
			"{tuning:?}: {found:?}\n{verdict}"
		);
	}
	assert_eq!(
		brute::is_linearizable::<M>(history),
		verdict.is_linearizable(),
		"{verdict}"
	);
}

type Register = Script<RegisterOp, RegisterRet>;

const fn on(action: Action) -> RegisterOp {
	RegisterOp { key: 0, action }
}

const fn write(value: u64) -> RegisterOp {
	on(Action::Write(value))
}

const fn swap(expect: Option<u64>, new: u64) -> RegisterOp {
	on(Action::Cas { expect, new })
}

const fn value(value: u64) -> RegisterRet {
	RegisterRet::Value(Some(value))
}

const READ: RegisterOp = on(Action::Read);
const NOTHING: RegisterRet = RegisterRet::Value(None);
const WRITTEN: RegisterRet = RegisterRet::Written;
const SWAPPED: RegisterRet = RegisterRet::Swapped(true);

#[test]
fn nothing_called_is_linearizable() {
	assert!(Register::new().has_order::<Registers>());
}

#[test]
fn a_stale_read_is_refused() {
	let script = Register::new()
		.does(0, write(1), WRITTEN)
		.does(0, write(2), WRITTEN)
		.does(1, READ, value(1));
	assert!(!script.has_order::<Registers>());
}

#[test]
fn a_read_beside_a_write_may_see_either() {
	for seen in [NOTHING, value(1)] {
		let script = Register::new()
			.calls(0, write(1))
			.does(1, READ, seen)
			.gets(0, WRITTEN);
		assert!(script.has_order::<Registers>());
	}
}

/// What a regular register may do and an atomic one may not (Lamport, "On
/// interprocess communication", 1986).
#[test]
fn a_new_value_is_not_followed_by_the_old_one() {
	let script = |first, second| {
		Register::new()
			.calls(0, write(1))
			.does(1, READ, first)
			.does(2, READ, second)
			.gets(0, WRITTEN)
	};
	assert!(script(NOTHING, value(1)).has_order::<Registers>());
	assert!(!script(value(1), NOTHING).has_order::<Registers>());
}

#[test]
fn a_lost_update_is_refused() {
	let both = Register::new()
		.does(0, write(1), WRITTEN)
		.calls(0, swap(Some(1), 2))
		.calls(1, swap(Some(1), 3))
		.gets(0, SWAPPED)
		.gets(1, SWAPPED);
	assert!(!both.has_order::<Registers>());
	let lost = Register::new()
		.does(0, write(1), WRITTEN)
		.does(1, READ, NOTHING);
	assert!(!lost.has_order::<Registers>());
}

#[test]
fn two_readers_agree_on_the_order_of_two_writes() {
	let writes = || {
		Register::new()
			.calls(0, write(1))
			.calls(1, write(2))
			.gets(0, WRITTEN)
			.gets(1, WRITTEN)
	};
	let agree = writes().does(2, READ, value(1)).does(3, READ, value(1));
	assert!(agree.has_order::<Registers>());
	let differ = writes().does(2, READ, value(1)).does(3, READ, value(2));
	assert!(!differ.has_order::<Registers>());
}

#[test]
fn a_write_of_unknown_outcome_may_show_up_late_or_never() {
	let given_up = || Register::new().calls(0, write(1)).gives_up(0);
	let late = given_up()
		.does(1, READ, NOTHING)
		.does(0, write(2), WRITTEN)
		.does(1, READ, value(2))
		.does(1, READ, value(1));
	assert!(late.has_order::<Registers>());
	let never = given_up()
		.does(0, write(2), WRITTEN)
		.does(1, READ, value(2));
	assert!(never.has_order::<Registers>());
	let pending = Register::new().calls(0, write(1)).does(1, READ, value(1));
	assert!(pending.has_order::<Registers>());
}

#[test]
fn a_write_of_unknown_outcome_that_was_seen_stays() {
	let script = Register::new()
		.calls(0, write(1))
		.gives_up(0)
		.does(1, READ, value(1))
		.does(1, READ, NOTHING);
	assert!(!script.has_order::<Registers>());
}

#[test]
fn a_write_of_unknown_outcome_takes_effect_once() {
	let script = Register::new()
		.calls(0, write(1))
		.gives_up(0)
		.does(1, READ, value(1))
		.does(1, write(2), WRITTEN)
		.does(1, READ, value(1));
	assert!(script.verdict::<Registers>().failure().is_some());
}

#[test]
fn no_write_takes_effect_before_it_is_called() {
	let script = Register::new()
		.does(1, READ, value(1))
		.calls(0, write(1))
		.gives_up(0);
	assert!(!script.has_order::<Registers>());
}

#[test]
fn a_write_that_failed_must_not_be_seen() {
	let mut history = History::default();
	let failed = history.invoke(Instant(1), 0, write(1));
	history.failed(failed);
	let read = history.invoke(Instant(2), 1, READ);
	history.complete(Instant(3), read, value(1));
	let verdict = check::<Registers>(&history, Budget::default());
	agree::<Registers>(&history, &verdict);
	assert!(!verdict.is_linearizable());
}

/// A queue, to show that a model is a few lines.
struct Queue;

#[derive(Debug, Clone, Copy, PartialEq)]
enum QueueOp {
	Enqueue(char),
	Dequeue,
}

impl Model for Queue {
	type State = VecDeque<char>;
	type Op = QueueOp;
	type Ret = Option<char>;
	type Fact = ();

	fn init() -> Self::State {
		VecDeque::new()
	}

	fn step(state: &Self::State, op: &QueueOp) -> (Self::State, Option<char>) {
		let mut state = state.clone();
		let ret = match op {
			QueueOp::Enqueue(item) => {
				state.push_back(*item);
				None
			}
			QueueOp::Dequeue => state.pop_front(),
		};
		(state, ret)
	}
}

/// After figure 1 of Herlihy and Wing 1990.
#[test]
fn a_queue_is_first_in_first_out_but_for_what_is_concurrent() {
	use QueueOp::{Dequeue, Enqueue};
	let overlapping = Script::new()
		.calls(0, Enqueue('x'))
		.calls(1, Enqueue('y'))
		.gets(1, None)
		.gets(0, None)
		.does(1, Dequeue, Some('y'))
		.does(0, Dequeue, Some('x'))
		.does(0, Enqueue('z'), None);
	assert!(overlapping.has_order::<Queue>());
	let overtaken = Script::new()
		.does(0, Enqueue('x'), None)
		.does(1, Enqueue('y'), None)
		.does(0, Dequeue, Some('y'));
	assert!(!overtaken.has_order::<Queue>());
	let early = Script::new()
		.calls(0, Enqueue('x'))
		.does(1, Dequeue, Some('x'))
		.gets(0, None);
	assert!(early.has_order::<Queue>());
	let twice = Script::new()
		.calls(0, Enqueue('x'))
		.calls(1, Enqueue('y'))
		.gets(0, None)
		.gets(1, None)
		.calls(0, Dequeue)
		.calls(2, Dequeue)
		.gets(0, Some('y'))
		.gets(2, Some('y'));
	assert!(!twice.has_order::<Queue>());
}

type LogScript = Script<LogOp, LogRet>;

fn holds(values: &[u64]) -> LogRet {
	LogRet::Holds(values.iter().copied().collect())
}

const fn index(index: u64) -> LogRet {
	LogRet::Index(index)
}

/// The verdict on a log, and what the check without a search says.
fn log_verdicts(script: LogScript) -> (bool, bool) {
	let ordered = log::in_order(&history(&script.events)).is_ok();
	(script.has_order::<Log>(), ordered)
}

#[test]
fn two_commands_do_not_get_one_index() {
	let script = LogScript::new()
		.calls(0, LogOp::Append(7))
		.calls(1, LogOp::Append(8))
		.gets(0, index(1))
		.gets(1, index(1));
	assert_eq!(log_verdicts(script), (false, false));
}

#[test]
fn a_strong_read_sees_what_was_acknowledged_before_it() {
	let script = |seen: &[u64]| {
		LogScript::new()
			.does(0, LogOp::Append(7), index(1))
			.calls(0, LogOp::Append(8))
			.does(1, LogOp::Read, holds(seen))
			.gets(0, index(2))
	};
	assert_eq!(log_verdicts(script(&[7])), (true, true));
	assert_eq!(log_verdicts(script(&[7, 8])), (true, true));
	assert_eq!(log_verdicts(script(&[])), (false, false));
	assert_eq!(log_verdicts(script(&[8])), (false, false));
	assert_eq!(log_verdicts(script(&[7, 8, 9])), (false, false));
}

#[test]
fn indices_follow_real_time() {
	let script =
		LogScript::new()
			.does(0, LogOp::Append(7), index(2))
			.does(1, LogOp::Append(8), index(1));
	assert_eq!(log_verdicts(script), (false, false));
}

#[test]
fn a_gap_needs_a_command_of_unknown_outcome_that_was_called_in_time() {
	let late = LogScript::new()
		.does(0, LogOp::Append(7), index(2))
		.calls(1, LogOp::Append(8))
		.gives_up(1);
	assert_eq!(log_verdicts(late), (false, false));
	let early = || {
		LogScript::new()
			.calls(1, LogOp::Append(8))
			.gives_up(1)
			.calls(1, LogOp::Append(9))
			.gives_up(1)
			.does(0, LogOp::Append(7), index(2))
	};
	assert_eq!(log_verdicts(early()), (true, true));
	let seen = early().does(2, LogOp::Read, holds(&[9, 7]));
	assert_eq!(log_verdicts(seen), (true, true));
	// Only the search guesses who filled the gap.
	let never_called = early().does(2, LogOp::Read, holds(&[5, 7]));
	assert_eq!(log_verdicts(never_called), (false, true));
}

#[test]
fn a_budget_that_is_spent_is_no_good_news() {
	let script = Register::new()
		.does(0, write(1), WRITTEN)
		.does(0, write(2), WRITTEN)
		.does(1, READ, value(2));
	let history = history(&script.events);
	let few = Budget { steps: 2 };
	for verdict in [
		check::<Registers>(&history, few),
		check_by_key::<Registers>(&history, few),
	] {
		assert!(matches!(verdict, Verdict::Exhausted { steps: 3 }));
		assert!(!verdict.is_linearizable());
		let failure = verdict.failure().unwrap();
		assert!(failure.starts_with("not known to be linearizable"));
	}
	let enough = check::<Registers>(&history, Budget::default());
	assert_eq!(enough.failure(), None);
}

#[test]
fn a_violation_of_one_key_is_found_though_another_takes_too_long() {
	let other = |action| RegisterOp { key: 9, action };
	let mut script = Register::new().does(0, other(Action::Read), value(5));
	for number in 1..50 {
		script = script.does(0, write(number), WRITTEN);
	}
	let history = history(&script.events);
	let verdict = check_by_key::<Registers>(&history, Budget { steps: 20 });
	let Verdict::NotLinearizable(report) = verdict else {
		panic!("{verdict}");
	};
	assert_eq!(report.key.as_deref(), Some("9"));
}

#[test]
fn a_report_can_be_read() {
	let script = Register::new()
		.does(0, write(1), WRITTEN)
		.calls(2, write(7))
		.gives_up(2)
		.does(1, READ, value(7))
		.calls(0, write(2))
		.does(3, READ, value(1))
		.gets(0, WRITTEN)
		.does(1, READ, value(2));
	let verdict = script.verdict::<Registers>();
	let expected = "\
not linearizable: no order explains the return of
      0.008000 ..     0.009000  client 3   RegisterOp { key: 0, action: Read } -> Value(Some(1))
until then there is an order, of 3 calls:
      0.001000 ..     0.002000  client 0   RegisterOp { key: 0, action: Write(1) } -> Written
      0.003000 ..         open  client 2   RegisterOp { key: 0, action: Write(7) } -> ?
      0.005000 ..     0.006000  client 1   RegisterOp { key: 0, action: Read } -> Value(Some(7))
the state after it: {0: 7}
the call would return: Value(Some(7))
open at that time and not in the order:
      0.007000 ..         open  client 0   RegisterOp { key: 0, action: Write(2) } -> ?
calls made later: 1";
	assert_eq!(verdict.to_string(), expected);
}

/// A report claims no more than is so: the history has an order until just before
/// the return that it names, and none with it.
fn holds_what_it_says<M: Model>(events: &[EventOf<M>], report: &Report)
where
	M::Op: Clone,
	M::Ret: Clone,
{
	let millis = report.unexplained.returned.unwrap().0 / 1000;
	let until = |events| brute::is_linearizable::<M>(&history(events));
	assert!(until(&events[..millis as usize - 1]), "{report}");
	assert!(!until(&events[..millis as usize]), "{report}");
	for (place, line) in report.order.iter().enumerate() {
		for earlier in &report.order[..place] {
			let returned = line.returned.unwrap_or(Instant(u64::MAX));
			assert!(returned > earlier.invoked, "{report}");
		}
	}
	let counted = report.order.iter().chain(&report.open).count() + report.later;
	let named = report
		.order
		.iter()
		.any(|line| line.invoked == report.unexplained.invoked);
	let calls = history(events).calls().len();
	assert_eq!(counted + usize::from(!named), calls, "{report}");
}

const SMALL: Shape = Shape {
	clients: 3,
	calls: 7,
	unknown: 300,
};

const MIDDLE: Shape = Shape {
	clients: 8,
	calls: 150,
	unknown: 60,
};

proptest! {
	#[test]
	fn what_registers_really_did_is_accepted(seed: u64, keys in 1_u64..6, values in 0_u64..5) {
		let mut dice = Dice::seed_from_u64(seed);
		let op = |dice: &mut _, number| register_op(dice, keys, values, number);
		let (events, _) = run::<Registers>(&mut dice, MIDDLE, op);
		let history = history(&events);
		prop_assert_eq!(check_by_key::<Registers>(&history, Budget::default()).failure(), None);
	}

	#[test]
	fn what_a_log_really_did_is_accepted(seed: u64) {
		let mut dice = Dice::seed_from_u64(seed);
		let (events, executed) = run::<Log>(&mut dice, MIDDLE, log_op);
		let mut history = history(&events);
		prop_assert_eq!(check::<Log>(&history, Budget::default()).failure(), None);
		prop_assert_eq!(log::in_order(&history), Ok(()));
		settle(&mut history, &executed);
		prop_assert_eq!(check::<Log>(&history, Budget::default()).failure(), None);
		prop_assert_eq!(log::in_order(&history), Ok(()));
	}

	#[test]
	fn spoiled_registers_are_judged_by_the_definition(seed: u64, keys in 1_u64..3, spoils in 0..4) {
		let mut dice = Dice::seed_from_u64(seed);
		let op = |dice: &mut _, number| register_op(dice, keys, 3, number);
		let (mut events, _) = run::<Registers>(&mut dice, SMALL, op);
		for _ in 0..spoils {
			spoil(&mut dice, &mut events, other_register_ret);
		}
		let history = history(&events);
		let verdict = check::<Registers>(&history, Budget::default());
		agree::<Registers>(&history, &verdict);
		let by_key = check_by_key::<Registers>(&history, Budget::default());
		prop_assert_eq!(by_key.is_linearizable(), verdict.is_linearizable());
		if let Verdict::NotLinearizable(report) = verdict {
			holds_what_it_says::<Registers>(&events, &report);
		}
	}

	#[test]
	fn spoiled_logs_are_judged_by_the_definition(seed: u64, spoils in 0..4) {
		let mut dice = Dice::seed_from_u64(seed);
		let (mut events, _) = run::<Log>(&mut dice, SMALL, log_op);
		for _ in 0..spoils {
			spoil(&mut dice, &mut events, other_log_ret);
		}
		let history = history(&events);
		let verdict = check::<Log>(&history, Budget::default());
		agree::<Log>(&history, &verdict);
		let in_order = log::in_order(&history);
		if in_order.is_err() || unknown(&history) == 0 {
			prop_assert_eq!(in_order.is_ok(), verdict.is_linearizable(), "{:?}", in_order);
		}
		if let Verdict::NotLinearizable(report) = verdict {
			holds_what_it_says::<Log>(&events, &report);
		}
	}

	#[test]
	fn shortcuts_change_no_verdict(seed: u64, spoils in 0..3, values in 0_u64..4) {
		let mut dice = Dice::seed_from_u64(seed);
		let op = |dice: &mut _, number| register_op(dice, 1, values, number);
		let shape = Shape { clients: 4, calls: 20, unknown: 150 };
		let (mut events, _) = run::<Registers>(&mut dice, shape, op);
		for _ in 0..spoils {
			spoil(&mut dice, &mut events, other_register_ret);
		}
		let history = history(&events);
		let calls: Vec<_> = history.calls().iter().collect();
		let with = |shortcuts| {
			let tuning = Tuning { memo: true, shortcuts };
			let (found, _) = search::<Registers>(&calls, Budget::default(), tuning);
			prop_assert_ne!(&found, &Found::Exhausted);
			Ok(matches!(found, Found::Order(..)))
		};
		prop_assert_eq!(with(true)?, with(false)?);
	}

	#[test]
	fn a_search_goes_the_same_way_every_time(seed: u64, spoils in 0..4) {
		let once = || {
			let mut dice = Dice::seed_from_u64(seed);
			let op = |dice: &mut _, number| register_op(dice, 1, 0, number);
			let shape = Shape { calls: 40, ..MIDDLE };
			let (mut events, _) = run::<Registers>(&mut dice, shape, op);
			for _ in 0..spoils {
				spoil(&mut dice, &mut events, other_register_ret);
			}
			let history = history(&events);
			let calls: Vec<_> = history.calls().iter().collect();
			let (verdict, steps) = judge::<Registers>(&calls, Budget::default());
			(verdict.to_string(), steps)
		};
		prop_assert_eq!(once(), once());
	}
}

/// Or the tests above would show little.
#[test]
fn spoiled_histories_are_of_both_kinds() {
	let mut refused = 0;
	for seed in 0..400 {
		let mut dice = Dice::seed_from_u64(seed);
		let op = |dice: &mut _, number| register_op(dice, 1, 3, number);
		let (mut events, _) = run::<Registers>(&mut dice, SMALL, op);
		for _ in 0..3 {
			spoil(&mut dice, &mut events, other_register_ret);
		}
		let verdict = check::<Registers>(&history(&events), Budget::default());
		refused += u32::from(!verdict.is_linearizable());
	}
	assert!((80..320).contains(&refused), "{refused} of 400");
}

/// How long histories take: `cargo test --release -p mosaik-sim --lib
/// linearizability -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn five_thousand_calls_of_sixteen_clients() {
	fn measure<M: Keyed>(name: &str, history: &History<M::Op, M::Ret>) {
		let started = std::time::Instant::now();
		let verdict = check_by_key::<M>(history, Budget::default()).to_string();
		let elapsed = started.elapsed();
		let verdict = verdict.split([':', ',']).next().unwrap();
		let unknown = unknown(history);
		println!("{name:<50} {unknown:>3} unknown {elapsed:>10.1?}  {verdict}");
	}
	let shape = Shape {
		clients: 16,
		calls: 5_000,
		unknown: 10,
	};
	for seed in 0..5 {
		for (name, keys, values) in [
			("registers, 1 key, unique values", 1, 0),
			("registers, 1 key, 5 values", 1, 5),
			("registers, 20 keys, unique values", 20, 0),
		] {
			let mut dice = Dice::seed_from_u64(seed);
			let op = |dice: &mut _, number| register_op(dice, keys, values, number);
			let (mut events, _) = run::<Registers>(&mut dice, shape, op);
			measure::<Registers>(name, &history(&events));
			let wrong = events[8_000..].iter_mut().find_map(|event| match event {
				Event::Complete(_, RegisterRet::Value(Some(value))) => Some(value),
				_ => None,
			});
			let wrong = wrong.unwrap();
			*wrong = if values == 0 { 1 } else { *wrong % 5 + 1 };
			measure::<Registers>(&format!("{name}, one wrong read"), &history(&events));
		}
		let mut dice = Dice::seed_from_u64(seed);
		let (mut events, executed) = run::<Log>(&mut dice, shape, log_op);
		let log = |name: &str, events: &[_]| {
			let mut history = history(events);
			measure::<Log>(name, &history);
			settle(&mut history, &executed);
			measure::<Log>(&format!("{name}, settled"), &history);
		};
		log("log", &events);
		let stale = events[8_000..].iter_mut().find_map(|event| match event {
			Event::Complete(_, LogRet::Holds(prefix)) => Some(prefix),
			_ => None,
		});
		stale.unwrap().length -= 30;
		log("log, one stale read", &events);
	}
}

impl Keyed for Log {
	type Key = ();

	fn key(_: &LogOp) {}
}
