//! Histories for tests: clients of an object that really does one thing at a time,
//! and ways to spoil what they saw.

use {
	super::{CallId, Client, History, Model, Outcome, models::*},
	mosaik_proto::core::Instant,
	rand::{RngExt, rngs::Xoshiro256PlusPlus},
};

/// The dice.
pub(super) type Dice = Xoshiro256PlusPlus;

/// How many calls there are, and how they fare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
	pub(super) clients: usize,
	pub(super) calls: usize,
	/// How many of a thousand calls are given up.
	pub(super) unknown: u32,
}

/// What happens in a history.
#[derive(Debug, Clone)]
pub(super) enum Event<Op, Ret> {
	Invoke(usize, Client, Op),
	Complete(usize, Ret),
	Unknown(usize),
}

/// What happens in the history of a model.
pub(super) type EventOf<M> = Event<<M as Model>::Op, <M as Model>::Ret>;

/// A call on its way.
struct Open<Op, Ret> {
	call: usize,
	op: Op,
	ret: Option<Ret>,
}

/// Clients call, the object executes, the clients learn of it or not. Also says
/// which calls took effect, in their order.
pub(super) fn run<M: Model<Op: Clone>>(
	dice: &mut Dice,
	shape: Shape,
	mut op: impl FnMut(&mut Dice, usize) -> M::Op,
) -> (Vec<EventOf<M>>, Vec<M::Op>) {
	let mut events = Vec::new();
	let mut executed = Vec::new();
	let mut state = M::init();
	let mut execute = |op: &M::Op| {
		let (after, ret) = M::step(&state, op);
		state = after;
		executed.push(op.clone());
		ret
	};
	let mut clients: Vec<Option<Open<M::Op, M::Ret>>> = Vec::new();
	clients.resize_with(shape.clients, || None);
	// What was given up and did not take effect yet.
	let mut ghosts: Vec<M::Op> = Vec::new();
	let mut calls = 0;
	while calls < shape.calls || clients.iter().any(Option::is_some) {
		if !ghosts.is_empty() && dice.random_ratio(1, 60) {
			let ghost = dice.random_range(..ghosts.len());
			execute(&ghosts.swap_remove(ghost));
		}
		let client = dice.random_range(..shape.clients);
		let Some(mut open) = clients[client].take() else {
			if calls < shape.calls {
				let op = op(dice, calls);
				events.push(Event::Invoke(calls, client, op.clone()));
				clients[client] = Some(Open {
					call: calls,
					op,
					ret: None,
				});
				calls += 1;
			}
			continue;
		};
		match (open.ret.take(), dice.random_ratio(shape.unknown, 2000)) {
			(Some(_), true) => events.push(Event::Unknown(open.call)),
			(Some(ret), false) => events.push(Event::Complete(open.call, ret)),
			(None, true) => {
				events.push(Event::Unknown(open.call));
				ghosts.push(open.op);
			}
			(None, false) => {
				open.ret = Some(execute(&open.op));
				clients[client] = Some(open);
			}
		}
	}
	(events, executed)
}

/// The history of these events, one per millisecond.
pub(super) fn history<Op: Clone, Ret: Clone>(events: &[Event<Op, Ret>]) -> History<Op, Ret> {
	let mut history = History::default();
	let mut calls: Vec<(usize, CallId)> = Vec::new();
	for (event, millis) in events.iter().zip(1..) {
		let time = Instant(millis * 1000);
		let id = |wanted| calls.iter().rev().find(|(call, _)| *call == wanted);
		match event {
			Event::Invoke(call, client, op) => {
				let id = history.invoke(time, *client, op.clone());
				calls.push((*call, id));
			}
			Event::Complete(call, ret) => history.complete(time, id(*call).unwrap().1, ret.clone()),
			Event::Unknown(call) => history.unknown(id(*call).unwrap().1),
		}
	}
	history
}

/// Spoils a history a little: a return, or the time of an event, is another.
pub(super) fn spoil<Op: Clone, Ret: Clone>(
	dice: &mut Dice,
	events: &mut [Event<Op, Ret>],
	other: impl Fn(&mut Dice, &Ret) -> Ret,
) {
	let of = |event: &Event<Op, Ret>| match event {
		Event::Invoke(call, ..) | Event::Complete(call, _) | Event::Unknown(call) => *call,
	};
	let at = dice.random_range(..events.len());
	match (dice.random_range(0..4), &mut events[at]) {
		(0 | 1, Event::Complete(_, ret)) => *ret = other(dice, ret),
		(2, event @ Event::Complete(..)) if dice.random_ratio(1, 4) => {
			*event = Event::Unknown(of(event));
		}
		_ => {
			// As far to the front or the back as it may go.
			let mut at = at;
			let forward = dice.random();
			for _ in 0..dice.random_range(1..6) {
				let to = if forward { at + 1 } else { at.wrapping_sub(1) };
				let Some(neighbour) = events.get(to) else {
					break;
				};
				if of(neighbour) == of(&events[at]) {
					break;
				}
				events.swap(at, to);
				at = to;
			}
		}
	}
}

/// Calls on so many registers, of so many values; as many values as calls if 0.
pub(super) fn register_op(dice: &mut Dice, keys: u64, values: u64, number: usize) -> RegisterOp {
	let value = |dice: &mut Dice| match values {
		0 => number as u64 + 1,
		values => dice.random_range(1..=values),
	};
	let action = match dice.random_range(0..8) {
		0..4 => Action::Read,
		4..7 => Action::Write(value(dice)),
		_ => Action::Cas {
			expect: dice.random::<bool>().then(|| value(dice)),
			new: value(dice),
		},
	};
	RegisterOp {
		key: dice.random_range(..keys),
		action,
	}
}

/// Another answer of the same kind.
pub(super) fn other_register_ret(dice: &mut Dice, ret: &RegisterRet) -> RegisterRet {
	match *ret {
		RegisterRet::Value(_) => {
			let value = dice.random_range(0..4);
			RegisterRet::Value((value > 0).then_some(value))
		}
		RegisterRet::Written => RegisterRet::Written,
		RegisterRet::Swapped(swapped) => RegisterRet::Swapped(!swapped),
	}
}

/// A call on the log: appends with unique values, and reads.
pub(super) fn log_op(dice: &mut Dice, number: usize) -> LogOp {
	match dice.random_ratio(1, 3) {
		true => LogOp::Read,
		false => LogOp::Append(number as u64),
	}
}

/// Another answer of the same kind, with contents that are plausible.
pub(super) fn other_log_ret(dice: &mut Dice, ret: &LogRet) -> LogRet {
	match *ret {
		LogRet::Index(_) => LogRet::Index(dice.random_range(0..7)),
		LogRet::Holds(_) => {
			let length = dice.random_range(0..5);
			let first = dice.random_range(0..3);
			LogRet::Holds((first..first + length).collect())
		}
	}
}

/// What the appends of unknown outcome would have returned.
pub(super) fn settle(history: &mut History<LogOp, LogRet>, executed: &[LogOp]) {
	let appends = executed.iter().filter(|op| **op != LogOp::Read);
	let appends: Vec<_> = appends.copied().collect();
	history.settle(|op| {
		let index = appends.iter().position(|append| append == op)?;
		Some(LogRet::Index(index as u64 + 1))
	});
}

/// How many calls have an unknown outcome.
pub(super) fn unknown<Op, Ret>(history: &History<Op, Ret>) -> usize {
	let calls = history.calls().iter();
	calls
		.filter(|call| matches!(call.outcome, Outcome::Unknown))
		.count()
}
