//! The search for an order: Wing and Gong's, with Lowe's memory.
//!
//! Walk through the calls in time. Whatever was called before the first return
//! may come next: place one of them whose return is what the model says, and go
//! on from the new state. When nothing fits, take the last one back and try
//! another (Wing and Gong 1993). Two ways to the same set of placed calls and the
//! same state have the same future, so that the second is not followed (Lowe
//! 2017); without that, `n` concurrent calls cost `n!` orders and not `2^n` sets.
//!
//! Shortcuts, none of which changes the verdict:
//!
//! * The call that returns first is tried first, since only that lets time go on
//!   (Lowe's just-in-time linearization).
//! * A [read](Model::is_read) that fits is placed at once and for good: in any
//!   order of the rest it can be moved to the front, and nothing else notices.
//! * Calls of unknown outcome are tried last, only if they change the state, and
//!   not where fewer of them lead to the same [place](super::memo::Memo::is_new).
//! * A return that [can never come](Model::is_past) any more is the end of a way.
//! * So is a [fact](Model::Fact) that ends while a call still needs it, if no call
//!   is left to bring it about again. Where values are unique, this is what keeps
//!   a write from being placed before the last read of the value it replaces.
//! * Of calls of unknown outcome that ask for the same, the first goes first.

use super::{
	Budget, Call, Model, Outcome,
	entries::Entries,
	facts::{Facts, Links},
	memo::{Bits, Memo},
};

/// What is made use of. The tests turn it off, to see that the verdict stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
	/// Remember configurations.
	pub(super) memo: bool,
	/// Take the shortcuts.
	pub(super) shortcuts: bool,
}

impl Default for Tuning {
	fn default() -> Self {
		Self {
			memo: true,
			shortcuts: true,
		}
	}
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<S> {
	/// An order, as positions in the list of calls, and the state after it.
	Order(Vec<usize>, S),
	/// There is no order.
	Nothing,
	/// The budget is spent.
	Exhausted,
}

/// Looks for an order of these calls, which are sorted by the time at which they
/// were made, and says how many steps that took.
pub(super) fn search<M: Model>(
	calls: &[&Call<M::Op, M::Ret>],
	budget: Budget,
	tuning: Tuning,
) -> (Found<M::State>, u64) {
	search_until::<M>(calls, u64::MAX, budget, tuning)
}

/// As [`search`], but as if the history ended before the event `until`: whatever
/// returned at it or later did not return yet.
pub(super) fn search_until<M: Model>(
	calls: &[&Call<M::Op, M::Ret>],
	until: u64,
	budget: Budget,
	tuning: Tuning,
) -> (Found<M::State>, u64) {
	let mut search = Search::<M>::new(calls, until, budget, tuning);
	let found = search.run();
	(found, search.steps)
}

/// A call that returned.
struct Closed<'a, M: Model> {
	place: usize,
	op: &'a M::Op,
	ret: &'a M::Ret,
	links: Links,
}

/// A call of unknown outcome.
struct Open<'a, M: Model> {
	place: usize,
	op: &'a M::Op,
	invoked: u64,
	links: Links,
	/// The last one before it that asks for the same.
	twin: Option<usize>,
}

/// A call that can be placed, by its number among those that returned or among
/// those of unknown outcome.
#[derive(Debug, Clone, Copy)]
enum Which {
	Closed(usize),
	Open(usize),
}

/// A call to be placed next.
struct Choice<S> {
	which: Which,
	after: S,
	/// If it does not lead to the end, nothing does.
	forced: bool,
}

/// A call that is placed.
struct Placed<S> {
	which: Which,
	before: S,
	forced: bool,
}

/// Which choices were tried from a configuration.
#[derive(Debug, Clone, Copy)]
enum Cursor {
	/// None.
	Start,
	/// The call that returns first.
	Urgent,
	/// That, and the calls that returned up to this one.
	Closed(usize),
	/// All calls that returned, and the open ones before this.
	Open(usize),
}

/// What [`Search::look_around`] sees.
#[derive(Debug, Clone, Copy)]
enum Around {
	/// No shortcut.
	Nothing,
	/// A read that fits.
	Read(usize),
	/// A call that can never be placed any more.
	Hopeless,
}

/// The budget is spent.
struct Exhausted;

struct Search<'a, M: Model> {
	closed: Vec<Closed<'a, M>>,
	open: Vec<Open<'a, M>>,
	/// The closed calls that are not placed.
	entries: Entries,
	facts: Facts<M::Fact>,
	state: M::State,
	/// The closed calls that are placed.
	placed: Bits,
	/// The open calls that are placed.
	used: Bits,
	stack: Vec<Placed<M::State>>,
	memo: Memo<M::State>,
	steps: u64,
	budget: Budget,
	tuning: Tuning,
}

impl<'a, M: Model> Search<'a, M> {
	fn new(calls: &[&'a Call<M::Op, M::Ret>], until: u64, budget: Budget, tuning: Tuning) -> Self {
		let mut facts = Facts::new();
		let mut closed: Vec<Closed<'a, M>> = Vec::new();
		let mut events = Vec::new();
		let mut open: Vec<Open<'a, M>> = Vec::new();
		for (place, &call) in calls.iter().enumerate() {
			let (op, invoked) = (&call.op, call.invoked.event);
			match &call.outcome {
				Outcome::Failed => {}
				_ if invoked >= until => {}
				Outcome::Returned { at, ret } if at.event < until => {
					events.push([invoked, at.event]);
					let links = facts.add(M::needs(op, ret), M::brings(op));
					closed.push(Closed {
						place,
						op,
						ret,
						links,
					});
				}
				Outcome::Returned { .. } | Outcome::Pending | Outcome::Unknown => {
					let links = facts.add(None, M::brings(op));
					let twin = open.iter().rposition(|other| other.op == op);
					open.push(Open {
						place,
						op,
						invoked,
						links,
						twin,
					});
				}
			}
		}
		Self {
			entries: Entries::new(&events),
			facts,
			state: M::init(),
			placed: Bits::new(closed.len()),
			used: Bits::new(open.len()),
			stack: Vec::new(),
			memo: Memo::new(tuning.shortcuts),
			steps: 0,
			budget,
			tuning,
			closed,
			open,
		}
	}

	fn run(&mut self) -> Found<M::State> {
		if self.is_hopeless() {
			return Found::Nothing;
		}
		let mut cursor = Cursor::Start;
		while let Some(first) = self.entries.first_return() {
			let Ok(choice) = self.choose(first.call, first.event, cursor) else {
				return Found::Exhausted;
			};
			if let Some(choice) = choice
				&& self.place(choice)
			{
				cursor = Cursor::Start;
				continue;
			}
			let Some(back) = self.take_back() else {
				return Found::Nothing;
			};
			cursor = back;
		}
		let order = self.stack.iter().map(|placed| match placed.which {
			Which::Closed(call) => self.closed[call].place,
			Which::Open(call) => self.open[call].place,
		});
		Found::Order(order.collect(), self.state.clone())
	}

	/// Whether a call needs what is not so in the beginning and never will be.
	fn is_hopeless(&self) -> bool {
		let mut missed = self.facts.missed();
		self.tuning.shortcuts && missed.any(|fact| !M::holds(&self.state, fact))
	}

	/// The next call to be tried where `first` is the call that returns first, at
	/// the event `deadline`.
	fn choose(
		&mut self,
		first: usize,
		deadline: u64,
		cursor: Cursor,
	) -> Result<Option<Choice<M::State>>, Exhausted> {
		if let Cursor::Start = cursor {
			match self.look_around()? {
				Around::Nothing => {}
				Around::Hopeless => return Ok(None),
				Around::Read(call) => {
					return Ok(Some(Choice {
						which: Which::Closed(call),
						after: self.state.clone(),
						forced: true,
					}));
				}
			}
			if let Some(choice) = self.try_closed(first)? {
				return Ok(Some(choice));
			}
		}
		let mut next = match cursor {
			Cursor::Start | Cursor::Urgent => self.entries.candidates().next(),
			Cursor::Closed(call) => self.entries.candidates_after(call).next(),
			Cursor::Open(_) => None,
		};
		while let Some(call) = next {
			if call != first
				&& let Some(choice) = self.try_closed(call)?
			{
				return Ok(Some(choice));
			}
			next = self.entries.candidates_after(call).next();
		}
		let from = match cursor {
			Cursor::Open(from) => from,
			_ => 0,
		};
		for number in from..self.open.len() {
			if self.open[number].invoked > deadline {
				break;
			}
			if let Some(choice) = self.try_open(number)? {
				return Ok(Some(choice));
			}
		}
		Ok(None)
	}

	/// Looks at all calls that returned and could come next, for the shortcuts.
	fn look_around(&mut self) -> Result<Around, Exhausted> {
		if !self.tuning.shortcuts {
			return Ok(Around::Nothing);
		}
		let mut around = Around::Nothing;
		let mut steps = 0;
		for call in self.entries.candidates() {
			let Closed { op, ret, .. } = self.closed[call];
			if M::is_past(&self.state, op, ret) {
				around = Around::Hopeless;
				break;
			}
			if matches!(around, Around::Nothing) && M::is_read(op, ret) {
				steps += 1;
				if M::step(&self.state, op).1 == *ret {
					around = Around::Read(call);
				}
			}
		}
		self.count(steps)?;
		Ok(around)
	}

	/// A call that returned, if it returns that here.
	fn try_closed(&mut self, call: usize) -> Result<Option<Choice<M::State>>, Exhausted> {
		self.count(1)?;
		let Closed { op, ret, .. } = &self.closed[call];
		let (after, returns) = M::step(&self.state, op);
		Ok((returns == **ret).then_some(Choice {
			which: Which::Closed(call),
			after,
			forced: false,
		}))
	}

	/// A call of unknown outcome, unless it is placed or of no use.
	fn try_open(&mut self, number: usize) -> Result<Option<Choice<M::State>>, Exhausted> {
		let twin = self.open[number].twin.filter(|_| self.tuning.shortcuts);
		if self.used.contains(number) || twin.is_some_and(|twin| !self.used.contains(twin)) {
			return Ok(None);
		}
		self.count(1)?;
		let (after, _) = M::step(&self.state, self.open[number].op);
		let useless = self.tuning.shortcuts && after == self.state;
		Ok((!useless).then_some(Choice {
			which: Which::Open(number),
			after,
			forced: false,
		}))
	}

	const fn count(&mut self, steps: u64) -> Result<(), Exhausted> {
		self.steps += steps;
		if self.steps > self.budget.steps {
			return Err(Exhausted);
		}
		Ok(())
	}

	/// Places a call, and says whether it is worth going on from there.
	fn place(&mut self, choice: Choice<M::State>) -> bool {
		let (op, links) = self.links(choice.which);
		let ended = M::ends(&self.state, op, &choice.after);
		self.facts.place(links);
		match choice.which {
			Which::Closed(call) => {
				self.entries.lift(call);
				self.placed.insert(call);
			}
			Which::Open(call) => self.used.insert(call),
		}
		self.stack.push(Placed {
			which: choice.which,
			before: std::mem::replace(&mut self.state, choice.after),
			forced: choice.forced,
		});
		let missed = ended.is_some_and(|fact| self.facts.is_missed(&fact));
		!(self.tuning.shortcuts && missed) && self.is_new()
	}

	/// Goes back to the last configuration that has other choices; `None` if none
	/// has.
	fn take_back(&mut self) -> Option<Cursor> {
		loop {
			let last = self.stack.pop()?;
			self.state = last.before;
			let (_, links) = self.links(last.which);
			self.facts.take_back(links);
			let cursor = match last.which {
				Which::Closed(call) => {
					self.entries.unlift(call);
					self.placed.remove(call);
					let first = self.entries.first_return();
					match first.is_some_and(|first| first.call == call) {
						true => Cursor::Urgent,
						false => Cursor::Closed(call),
					}
				}
				Which::Open(call) => {
					self.used.remove(call);
					Cursor::Open(call + 1)
				}
			};
			if !last.forced {
				return Some(cursor);
			}
		}
	}

	/// Whether the search was not in this configuration before.
	fn is_new(&mut self) -> bool {
		if !self.tuning.memo {
			return true;
		}
		let (new, compared) = self.memo.is_new(&self.placed, &self.used, &self.state);
		self.steps += compared;
		new
	}

	fn links(&self, which: Which) -> (&'a M::Op, Links) {
		match which {
			Which::Closed(call) => (self.closed[call].op, self.closed[call].links),
			Which::Open(call) => (self.open[call].op, self.open[call].links),
		}
	}
}
