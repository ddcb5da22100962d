//! What the users of all nodes called, per formation, and what came back.

use {
	crate::{
		linearizability::{
			Budget, CallId as Recorded, History, Verdict, check,
			models::log::{Log, LogOp, LogRet, Prefix, in_order},
			surfaced::{Formation, Ledger},
		},
		lossy::Node,
	},
	mosaik_proto::{
		core::Instant,
		groups::{
			replica::{CallId, Outcome},
			types::{FormationId, Seq},
		},
	},
	std::{collections::BTreeMap, ops::RangeInclusive},
};

/// A call that is not answered.
#[derive(Debug)]
struct Open {
	formation: FormationId,
	kind: Kind,
}

#[derive(Debug)]
enum Kind {
	/// The values of the commands, in order, and how each was recorded.
	Append(Vec<(u64, Recorded)>),
	Read(Recorded),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Clients {
	open: BTreeMap<CallId, Open>,
	histories: BTreeMap<FormationId, History<LogOp, LogRet>>,
	ledger: Ledger<u64>,
	last_value: u64,
	last_call: u64,
	/// How many commands were acknowledged.
	pub(super) acknowledged: u64,
	/// How many reads were answered.
	pub(super) read: u64,
}

impl Clients {
	/// Numbers a call that is not recorded.
	pub(super) const fn call(&mut self) -> CallId {
		self.last_call += 1;
		CallId(self.last_call)
	}

	/// A user issues commands on a node that belongs to `formation`.
	pub(super) fn append(
		&mut self,
		now: u64,
		node: Node,
		formation: FormationId,
		count: u64,
	) -> (CallId, Vec<u64>) {
		let call = self.call();
		let history = self.histories.entry(formation).or_default();
		let values: Vec<u64> = (1..=count).map(|n| self.last_value + n).collect();
		self.last_value += count;
		let record = |value: &u64| {
			(
				*value,
				history.invoke(Instant(now), node, LogOp::Append(*value)),
			)
		};
		let kind = Kind::Append(values.iter().map(record).collect());
		self.open.insert(call, Open { formation, kind });
		(call, values)
	}

	/// A user reads on a node that belongs to `formation`.
	pub(super) fn read(&mut self, now: u64, node: Node, formation: FormationId) -> CallId {
		let call = self.call();
		let history = self.histories.entry(formation).or_default();
		let kind = Kind::Read(history.invoke(Instant(now), node, LogOp::Read));
		self.open.insert(call, Open { formation, kind });
		call
	}

	/// A call was answered, while the machine of that node showed `machine`.
	///
	/// # Errors
	/// When the answer is none that such a call can have.
	pub(super) fn done(
		&mut self,
		now: u64,
		call: CallId,
		outcome: &Outcome,
		machine: Prefix,
	) -> Result<(), String> {
		let Some(open) = self.open.remove(&call) else {
			return Ok(());
		};
		let history = self.histories.entry(open.formation).or_default();
		match (open.kind, outcome) {
			(Kind::Append(values), Outcome::Committed(seq)) => {
				let count = values.len() as Seq;
				for (n, (value, recorded)) in (1..).zip(values) {
					self.acknowledged += 1;
					let Some(last) = seq else {
						history.unknown(recorded);
						continue;
					};
					// Of a batch only the last index is told; all of a batch that is
					// appended at once follow one another, others cannot be told.
					if n == count {
						history.complete(Instant(now), recorded, LogRet::Index(*last));
						self.ledger.acknowledged(id(open.formation), *last, value);
					} else {
						history.unknown(recorded);
					}
				}
			}
			(Kind::Append(values), Outcome::Unknown) => {
				values
					.into_iter()
					.for_each(|(_, recorded)| history.unknown(recorded));
			}
			(
				Kind::Append(values),
				Outcome::Offline | Outcome::Overloaded | Outcome::NoQuorum | Outcome::Superseded,
			) => values
				.into_iter()
				.for_each(|(_, recorded)| history.failed(recorded)),
			(Kind::Read(recorded), Outcome::Readable { .. }) => {
				self.read += 1;
				history.complete(Instant(now), recorded, LogRet::Holds(machine));
			}
			(
				Kind::Read(recorded),
				Outcome::Offline | Outcome::Overloaded | Outcome::NoQuorum | Outcome::Unknown,
			) => history.failed(recorded),
			(kind, outcome) => return Err(format!("clients: {kind:?} ended with {outcome:?}")),
		}
		Ok(())
	}

	/// A process is gone: what its users wait for is not answered.
	pub(super) fn crashed(&mut self, calls: impl Iterator<Item = CallId>) {
		for call in calls {
			self.open.remove(&call);
		}
	}

	/// Somebody was told that a formation ended.
	pub(super) fn superseded(
		&mut self,
		formation: FormationId,
		into: Option<FormationId>,
		discarded: Option<RangeInclusive<Seq>>,
	) {
		if let Some(into) = into {
			let discarded = discarded.unwrap_or(RangeInclusive::new(1, 0));
			self.ledger.superseded(id(formation), id(into), discarded);
		}
	}

	/// Somebody was told that a formation has no quorum.
	pub(super) fn quorum_lost(&mut self, formation: FormationId) {
		self.ledger.quorum_lost(id(formation));
	}

	/// What a formation has in the end.
	pub(super) fn survives(&mut self, formation: FormationId, values: impl Iterator<Item = u64>) {
		self.ledger.survives(id(formation), values);
	}

	/// How many calls are not answered.
	pub(super) fn open(&self) -> usize {
		self.open.len()
	}

	/// Which calls are not answered.
	pub(super) fn open_calls(&self) -> impl Iterator<Item = CallId> {
		self.open.keys().copied()
	}

	/// Judges all histories, given what each formation applied.
	pub(super) fn judge(
		&mut self,
		applied: impl Fn(FormationId) -> BTreeMap<u64, Seq>,
	) -> Vec<String> {
		let mut failures = Vec::new();
		for (formation, history) in &mut self.histories {
			let indices = applied(*formation);
			history.settle(|op| match op {
				LogOp::Append(value) => indices.get(value).map(|seq| LogRet::Index(*seq)),
				LogOp::Read => None,
			});
			let verdict = check::<Log>(history, Budget::default());
			if matches!(verdict, Verdict::Exhausted { .. }) && in_order(history).is_ok() {
				// Every command has its index by now, so this decides it as well.
				continue;
			}
			if let (Some(_), Err(disorder)) = (verdict.failure(), in_order(history)) {
				// Says what is wrong; a search only says where it got stuck.
				failures.push(format!("linearizability of {formation}: {disorder}"));
			} else if let Some(failure) = verdict.failure() {
				failures.push(format!("linearizability of {formation}: {failure}"));
			}
		}
		let losses = self.ledger.losses();
		failures.extend(losses.iter().map(|loss| format!("silent loss: {loss}")));
		failures
	}
}

const fn id(formation: FormationId) -> Formation {
	u128::from_be_bytes(formation.0)
}
