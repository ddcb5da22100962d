//! An append-only log: what a consensus group is to its clients.
//!
//! A command is [`LogOp::Append`] and returns the index it got, from 1 on. A
//! strong read is [`LogOp::Read`] and returns how many commands it saw with a
//! digest of them, [`Prefix`], so that it gives away any difference in anything
//! before it. Values are unique: a simulation numbers its commands.
//!
//! Give a history to the search only after it was [settled](History::settle) with
//! the log that was there in the end. A digest does not say who filled the gaps
//! between the known indices: if `g` of `m` commands of unknown outcome were
//! executed between two reads, the search may have to try `m!/(m-g)!` ways.
//!
//! Because every append says its index, the order is nearly known. [`in_order`]
//! uses that: it says in `O(n log n)` what stands against a history, without a
//! search, and is the cross-check of the search.

use {
	crate::linearizability::{
		history::{Call, History, Outcome},
		model::Model,
	},
	std::{collections::BTreeMap, fmt},
};

/// An append-only log of unique values.
#[derive(Debug, Clone, Copy)]
pub struct Log;

/// A call on the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOp {
	/// Adds a value at the end.
	Append(u64),
	/// Returns what the log holds.
	Read,
}

/// What the log answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogRet {
	/// Where the value is, from 1 on.
	Index(u64),
	/// What the log holds.
	Holds(Prefix),
}

/// The values of a log up to some index.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
	/// How many they are.
	pub length: u64,
	/// What they are.
	pub digest: u64,
}

impl Prefix {
	/// No values.
	pub const EMPTY: Self = Self {
		length: 0,
		digest: 0,
	};

	/// These values, and one more.
	#[must_use]
	pub const fn with(self, value: u64) -> Self {
		// The finalizer of splitmix64, over what was before and what comes now.
		let mut mix = (self.digest ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
		mix = (mix ^ (mix >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		Self {
			length: self.length + 1,
			digest: (mix ^ (mix >> 31)).rotate_left(17),
		}
	}
}

impl FromIterator<u64> for Prefix {
	fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
		values.into_iter().fold(Self::EMPTY, Self::with)
	}
}

impl fmt::Debug for Prefix {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{}#{:016x}", self.length, self.digest)
	}
}

impl Model for Log {
	type State = Prefix;
	type Op = LogOp;
	type Ret = LogRet;
	type Fact = ();

	fn init() -> Prefix {
		Prefix::EMPTY
	}

	fn step(state: &Prefix, op: &LogOp) -> (Prefix, LogRet) {
		match *op {
			LogOp::Append(value) => {
				let longer = state.with(value);
				(longer, LogRet::Index(longer.length))
			}
			LogOp::Read => (*state, LogRet::Holds(*state)),
		}
	}

	fn is_read(_op: &LogOp, ret: &LogRet) -> bool {
		matches!(ret, LogRet::Holds(_))
	}

	fn is_past(state: &Prefix, _op: &LogOp, ret: &LogRet) -> bool {
		match ret {
			LogRet::Index(index) => *index <= state.length,
			LogRet::Holds(seen) => {
				seen.length < state.length || seen.length == state.length && seen != state
			}
		}
	}
}

/// Why calls on a log have no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disorder {
	/// In words.
	pub what: String,
}

impl fmt::Display for Disorder {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(&self.what)
	}
}

impl std::error::Error for Disorder {}

/// A call that returned.
type Done<'a> = (&'a Call<LogOp, LogRet>, u64);

/// What stands against a history of a log, without a search.
///
/// What it says is always so. It says all there is if every append returned, as
/// in a history that was [settled](History::settle); otherwise it counts the calls
/// of unknown outcome that could fill a gap between the known indices, but does
/// not guess which one a digest means.
pub fn in_order(history: &History<LogOp, LogRet>) -> Result<(), Disorder> {
	let known = Known::of(history)?;
	known.gaps_can_be_filled()?;
	known.reads_agree()?;
	known.time_runs_forward()
}

/// What the returns say.
struct Known<'a> {
	/// The append of each known index.
	appends: BTreeMap<u64, Done<'a>>,
	/// The reads of each length, with what they saw.
	reads: BTreeMap<u64, Vec<(Done<'a>, Prefix)>>,
	/// When the appends of unknown outcome were made.
	open: Vec<u64>,
}

impl<'a> Known<'a> {
	fn of(history: &'a History<LogOp, LogRet>) -> Result<Self, Disorder> {
		let mut known = Known {
			appends: BTreeMap::new(),
			reads: BTreeMap::new(),
			open: Vec::new(),
		};
		for call in history.calls() {
			let (at, ret) = match &call.outcome {
				Outcome::Returned { at, ret } => (at.event, ret),
				Outcome::Pending | Outcome::Unknown => {
					if matches!(call.op, LogOp::Append(_)) {
						known.open.push(call.invoked.event);
					}
					continue;
				}
				Outcome::Failed => continue,
			};
			let done = (call, at);
			match (call.op, *ret) {
				(LogOp::Append(_), LogRet::Index(index)) if index > 0 => {
					if let Some((other, _)) = known.appends.insert(index, done) {
						let (one, two) = (other.op, call.op);
						return disorder(format!("{one:?} and {two:?} both got index {index}"));
					}
				}
				(LogOp::Read, LogRet::Holds(prefix)) => {
					let reads = known.reads.entry(prefix.length).or_default();
					reads.push((done, prefix));
				}
				(op, ret) => return disorder(format!("{op:?} cannot return {ret:?}")),
			}
		}
		Ok(known)
	}

	/// The last index that is known to be taken.
	fn length(&self) -> u64 {
		let append = self.appends.last_key_value().map(|(index, _)| *index);
		let read = self.reads.last_key_value().map(|(length, _)| *length);
		append.max(read).unwrap_or(0)
	}

	/// There is a call for each index that none returned, made before anything
	/// that must come after it returned.
	///
	/// Later gaps have later deadlines, so that it is enough to give the earliest
	/// call to the earliest gap.
	fn gaps_can_be_filled(&self) -> Result<(), Disorder> {
		let gaps = self.length() - self.appends.len() as u64;
		if gaps > self.open.len() as u64 {
			let (length, open) = (self.length(), self.open.len());
			return disorder(format!(
				"of {length} indices {gaps} were returned to nobody, but only {open} appends are \
				 of unknown outcome"
			));
		}
		// From the last index on: no more gaps than open calls are left, so that
		// this is bounded by the length of the history.
		let mut filler = gaps;
		let mut deadline = u64::MAX;
		for index in (1..=self.length()).rev() {
			for (done, _) in self.reads.get(&index).into_iter().flatten() {
				deadline = deadline.min(done.1);
			}
			if let Some((_, returned)) = self.appends.get(&index) {
				deadline = deadline.min(*returned);
				continue;
			}
			filler -= 1;
			// `filler` is below `gaps`, which is at most their number.
			if self.open[filler as usize] > deadline {
				return disorder(format!(
					"no append of unknown outcome was made early enough to be at index {index}"
				));
			}
		}
		Ok(())
	}

	/// What is read is what was appended, and the same for all.
	fn reads_agree(&self) -> Result<(), Disorder> {
		let mut content = Some(Prefix::EMPTY);
		for index in 0..=self.length() {
			if index > 0 {
				let append = self.appends.get(&index).map(|(call, _)| call.op);
				content = match (content, append) {
					(Some(content), Some(LogOp::Append(value))) => Some(content.with(value)),
					_ => None,
				};
			}
			for ((call, _), seen) in self.reads.get(&index).into_iter().flatten() {
				let expected = *content.get_or_insert(*seen);
				if expected != *seen {
					let client = call.client;
					return disorder(format!(
						"client {client} read {seen:?} where {expected:?} was appended or read"
					));
				}
			}
		}
		Ok(())
	}

	/// Nothing returned before something was called that comes earlier.
	fn time_runs_forward(&self) -> Result<(), Disorder> {
		// The latest call so far: all that follows must return after it.
		let mut latest: Option<&Call<LogOp, LogRet>> = None;
		for index in 0..=self.length() {
			let append = self.appends.get(&index);
			let reads = self.reads.get(&index).into_iter().flatten();
			let reads: Vec<_> = reads.map(|(done, _)| done).collect();
			// Reads of one length are in any order, each after the append.
			for group in [append.as_slice(), &reads] {
				for (call, returned) in group.iter().copied() {
					if let Some(earlier) = latest
						&& earlier.invoked.event > *returned
					{
						let (one, two) = (call.op, earlier.op);
						let (a, b) = (call.client, earlier.client);
						return disorder(format!(
							"{one:?} of client {a} returned before {two:?} of client {b} was \
							 called, but must come after it (index {index})"
						));
					}
				}
				for (call, _) in group.iter().copied() {
					if latest.is_none_or(|latest| latest.invoked < call.invoked) {
						latest = Some(call);
					}
				}
			}
		}
		Ok(())
	}
}

fn disorder<T>(what: String) -> Result<T, Disorder> {
	Err(Disorder { what })
}
