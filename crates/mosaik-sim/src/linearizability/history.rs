//! What clients called, and what came back.

use mosaik_proto::core::Instant;

/// Who calls. A client may have several calls open.
pub type Client = usize;

/// A call of one history, to say later how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a call that is never ended counts as one of unknown outcome"]
pub struct CallId(usize);

/// When something was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
	/// Its number among the events of the history: the order of time.
	pub event: u64,
	/// The time on the clock of whoever recorded it, for people.
	pub time: Instant,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<Ret> {
	/// It did not end yet. As far as is known, it may take effect or not.
	Pending,
	/// It returned.
	Returned {
		/// When.
		at: Moment,
		/// What.
		ret: Ret,
	},
	/// It took effect after it was made, or will, or never: nobody knows.
	Unknown,
	/// It certainly had no effect, nor will have.
	Failed,
}

/// One call of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<Op, Ret> {
	/// Who called.
	pub client: Client,
	/// What was asked for.
	pub op: Op,
	/// When.
	pub invoked: Moment,
	/// How it ended.
	pub outcome: Outcome<Ret>,
}

/// The calls of all clients on one object, recorded as they happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<Op, Ret> {
	calls: Vec<Call<Op, Ret>>,
	events: u64,
	latest: Instant,
}

impl<Op, Ret> Default for History<Op, Ret> {
	fn default() -> Self {
		Self {
			calls: Vec::new(),
			events: 0,
			latest: Instant::default(),
		}
	}
}

impl<Op, Ret> History<Op, Ret> {
	/// A client calls.
	pub fn invoke(&mut self, time: Instant, client: Client, op: Op) -> CallId {
		let invoked = self.moment(time);
		self.calls.push(Call {
			client,
			op,
			invoked,
			outcome: Outcome::Pending,
		});
		CallId(self.calls.len() - 1)
	}

	/// The call returned to its client.
	pub fn complete(&mut self, time: Instant, call: CallId, ret: Ret) {
		let at = self.moment(time);
		self.end(call, Outcome::Returned { at, ret });
	}

	/// The client will not learn what became of the call: it timed out, its
	/// connection broke, the client died.
	pub fn unknown(&mut self, call: CallId) {
		self.end(call, Outcome::Unknown);
	}

	/// The call certainly has no effect. It is as if it had not been made.
	pub fn failed(&mut self, call: CallId) {
		self.end(call, Outcome::Failed);
	}

	/// Replaces every unknown outcome by what is known when all is over: `truth`
	/// says what the call would have returned, or `None` if it never took effect.
	///
	/// A call that took effect still did so at any time after it was made: it
	/// returns after everything else. Where the object can be asked in the end
	/// which calls it executed, and in which order, this is both a stronger check
	/// and one without the many guesses that unknown outcomes make necessary.
	pub fn settle(&mut self, mut truth: impl FnMut(&Op) -> Option<Ret>) {
		for call in 0..self.calls.len() {
			let Call { op, outcome, .. } = &self.calls[call];
			if matches!(outcome, Outcome::Pending | Outcome::Unknown) {
				let truth = truth(op);
				let at = self.moment(self.latest);
				self.calls[call].outcome = match truth {
					Some(ret) => Outcome::Returned { at, ret },
					None => Outcome::Failed,
				};
			}
		}
	}

	/// All calls, in the order in which they were made.
	pub fn calls(&self) -> &[Call<Op, Ret>] {
		&self.calls
	}

	/// The calls that did not end.
	pub fn pending(&self) -> impl Iterator<Item = &Call<Op, Ret>> {
		let calls = self.calls.iter();
		calls.filter(|call| matches!(call.outcome, Outcome::Pending))
	}

	fn moment(&mut self, time: Instant) -> Moment {
		self.latest = self.latest.max(time);
		self.events += 1;
		Moment {
			event: self.events,
			time,
		}
	}

	fn end(&mut self, call: CallId, outcome: Outcome<Ret>) {
		let call = &mut self.calls[call.0];
		let pending = matches!(call.outcome, Outcome::Pending);
		assert!(pending, "a call ends once");
		call.outcome = outcome;
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn time_is_the_order_of_events_and_not_the_clock() {
		let mut history = History::<&str, ()>::default();
		let first = history.invoke(Instant(9), 0, "first");
		history.complete(Instant(8), first, ());
		let second = history.invoke(Instant(1), 1, "second");
		let calls = history.calls();
		let Outcome::Returned { at, .. } = calls[0].outcome else {
			panic!("it returned");
		};
		assert!(at < calls[1].invoked);
		assert_eq!(history.pending().count(), 1);
		history.failed(second);
		assert_eq!(history.pending().count(), 0);
	}

	#[test]
	fn what_is_settled_in_the_end_returns_after_everything_else() {
		let mut history = History::<&str, u8>::default();
		let lost = history.invoke(Instant(1), 0, "lost");
		let seen = history.invoke(Instant(2), 0, "seen");
		history.unknown(lost);
		history.unknown(seen);
		let last = history.invoke(Instant(3), 0, "last");
		history.complete(Instant(4), last, 7);
		history.settle(|&op| (op == "seen").then_some(9));
		let calls = history.calls();
		assert_eq!(calls[0].outcome, Outcome::Failed);
		let at = Moment {
			event: 6,
			time: Instant(4),
		};
		assert_eq!(calls[1].outcome, Outcome::Returned { at, ret: 9 });
		assert!(matches!(calls[2].outcome, Outcome::Returned { ret: 7, .. }));
	}

	#[test]
	#[should_panic(expected = "a call ends once")]
	fn a_call_does_not_end_twice() {
		let mut history = History::<(), ()>::default();
		let call = history.invoke(Instant(1), 0, ());
		history.unknown(call);
		history.complete(Instant(2), call, ());
	}
}
