//! A history without an order, to be read.

use {
	super::{
		Budget, Call, Client, Model, Outcome,
		wgl::{Found, Tuning, search_until},
	},
	mosaik_proto::core::Instant,
	std::fmt::{self, Debug, Display},
};

/// How many lines of each list are printed; all are kept.
const LINES: usize = 20;

/// Where a history stops to have an order.
///
/// As every beginning of a linearizable history is linearizable (Herlihy and Wing),
/// there is a first return after which there is no order. Up to then there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
	/// The object, where there are several.
	pub key: Option<String>,
	/// The longest beginning of the history that has an order, in such an order.
	pub order: Vec<Line>,
	/// The state of the model after it.
	pub state: String,
	/// The call whose return comes next, and cannot be.
	pub unexplained: Line,
	/// What that call returns in this order, or after it.
	pub instead: String,
	/// The other calls that were open at that time and are not in the order.
	pub open: Vec<Line>,
	/// How many calls were made later.
	pub later: usize,
}

/// A call, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
	/// When it was made.
	pub invoked: Instant,
	/// When it returned, if it did.
	pub returned: Option<Instant>,
	/// Who made it.
	pub client: Client,
	/// What was asked for.
	pub op: String,
	/// What came back, if it did.
	pub ret: Option<String>,
}

impl Line {
	/// What was known of a call before an event.
	fn until<Op: Debug, Ret: Debug>(event: u64, call: &Call<Op, Ret>) -> Self {
		let (returned, ret) = match &call.outcome {
			Outcome::Returned { at, ret } if at.event < event => {
				(Some(at.time), Some(format!("{ret:?}")))
			}
			_ => (None, None),
		};
		Self {
			invoked: call.invoked.time,
			returned,
			client: call.client,
			op: format!("{:?}", call.op),
			ret,
		}
	}
}

impl Report {
	/// Of calls that have no order, by bisection. Should a search on the way run out
	/// of its budget, it counts as one that found nothing.
	pub(super) fn new<M: Model>(calls: &[&Call<M::Op, M::Ret>], budget: Budget) -> Self {
		let returns = calls.iter().filter_map(|call| match &call.outcome {
			Outcome::Returned { at, .. } => Some((at.event, *call)),
			_ => None,
		});
		let mut returns: Vec<_> = returns.collect();
		returns.sort_by_key(|(event, _)| *event);
		// As if the history ended before that return.
		let until = |number: usize| {
			let (event, _) = returns[number];
			search_until::<M>(calls, event, budget, Tuning::default()).0
		};
		// Before anything returned, nothing needs an explanation.
		let (mut good, mut bad) = (0, returns.len());
		let (mut order, mut state) = (Vec::new(), M::init());
		while bad - good > 1 {
			let middle = good + (bad - good) / 2;
			match until(middle) {
				Found::Order(found, after) => (good, order, state) = (middle, found, after),
				Found::Nothing | Found::Exhausted => bad = middle,
			}
		}
		let (event, unexplained) = returns[good];
		let mut in_order = vec![false; calls.len()];
		for place in &order {
			in_order[*place] = true;
		}
		let rest = calls.iter().zip(&in_order).filter(|(call, in_order)| {
			let other = !std::ptr::eq(**call, unexplained);
			other && !**in_order && !matches!(call.outcome, Outcome::Failed)
		});
		let rest = rest.map(|(call, _)| *call);
		let (open, later): (Vec<_>, Vec<_>) = rest.partition(|call| call.invoked.event < event);
		// It may have taken effect in that order, only with another return.
		let mut before = M::init();
		for place in &order {
			let call = calls[*place];
			if std::ptr::eq(call, unexplained) {
				break;
			}
			before = M::step(&before, &call.op).0;
		}
		let (_, instead) = M::step(&before, &unexplained.op);
		Self {
			key: None,
			order: order
				.iter()
				.map(|place| Line::until(event, calls[*place]))
				.collect(),
			state: format!("{state:?}"),
			unexplained: Line::until(u64::MAX, unexplained),
			instead: format!("{instead:?}"),
			open: open.iter().map(|call| Line::until(event, call)).collect(),
			later: later.len(),
		}
	}
}

impl Display for Line {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let seconds = |Instant(micros)| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
		let returned = self.returned.map_or_else(|| "open".into(), seconds);
		let (invoked, client, op) = (seconds(self.invoked), self.client, &self.op);
		let ret = self.ret.as_deref().unwrap_or("?");
		write!(
			f,
			"{invoked:>12} .. {returned:>12}  client {client:<3} {op} -> {ret}"
		)
	}
}

impl Display for Report {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("not linearizable")?;
		if let Some(key) = &self.key {
			write!(f, ", key {key}")?;
		}
		writeln!(f, ": no order explains the return of")?;
		writeln!(f, "  {}", self.unexplained)?;
		let placed = self.order.len();
		writeln!(f, "until then there is an order, of {placed} calls:")?;
		let hidden = placed.saturating_sub(LINES);
		if hidden > 0 {
			writeln!(f, "    {hidden} before")?;
		}
		for line in &self.order[hidden..] {
			writeln!(f, "  {line}")?;
		}
		writeln!(f, "the state after it: {}", self.state)?;
		writeln!(f, "the call would return: {}", self.instead)?;
		if !self.open.is_empty() {
			writeln!(f, "open at that time and not in the order:")?;
		}
		for line in self.open.iter().take(LINES) {
			writeln!(f, "  {line}")?;
		}
		if self.open.len() > LINES {
			writeln!(f, "    {} more", self.open.len() - LINES)?;
		}
		write!(f, "calls made later: {}", self.later)
	}
}
