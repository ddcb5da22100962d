//! Applying what is committed, at leisure, and the snapshots of the machine.

use {
	super::{Effects, Seat},
	crate::{
		groups::{
			disk::Snapshot,
			machine::{Prefix, after},
			note::Note,
		},
		lossy::Effect,
	},
	mosaik_proto::groups::{
		Engine,
		engine::SnapshotResult,
		entry::EntryKind,
		state::Base,
		types::{LogIndex, LogPos},
	},
	std::{collections::VecDeque, ops::RangeInclusive},
};

/// How many snapshots are kept.
const SNAPSHOTS: usize = 2;

/// See the module.
#[derive(Debug)]
pub struct Machine {
	/// What is applied.
	pub index: LogIndex,
	/// The state after it.
	pub prefix: Prefix,
	/// The states to which the log may be compacted, oldest first.
	states: VecDeque<(LogIndex, Prefix)>,
	/// The snapshots that others can have, oldest first.
	snapshots: VecDeque<Snapshot>,
	/// What was fetched and is not installed yet.
	fetched: Option<Snapshot>,
	queue: VecDeque<RangeInclusive<LogIndex>>,
	/// The work under way; work of another number is void.
	work: u64,
	is_busy: bool,
}

impl Machine {
	pub(super) fn new(snapshot: Snapshot) -> Self {
		Self {
			index: snapshot.base.pos.index,
			prefix: snapshot.prefix,
			states: VecDeque::new(),
			snapshots: VecDeque::from([snapshot]),
			fetched: None,
			queue: VecDeque::new(),
			work: 0,
			is_busy: false,
		}
	}

	/// A snapshot of exactly this position.
	pub(super) fn snapshot(&self, pos: LogPos) -> Option<Snapshot> {
		let mut snapshots = self.snapshots.iter();
		let found = snapshots.find(|snapshot| snapshot.base.pos == pos).cloned();
		found.map(forgetful)
	}

	/// The oldest and the newest state to which the log may be compacted.
	pub(super) fn compactable(&self) -> Option<(LogIndex, LogIndex)> {
		Some((self.states.front()?.0, self.states.back()?.0))
	}

	fn keep(&mut self, snapshot: Snapshot) {
		self.snapshots.push_back(snapshot);
		if self.snapshots.len() > SNAPSHOTS {
			self.snapshots.pop_front();
		}
	}

	/// The core has compacted its log: the state there.
	pub(super) fn compacted(&mut self, base: &Base) -> Option<Prefix> {
		let mut states = self.states.iter();
		let (_, prefix) = *states.find(|(index, _)| *index == base.pos.index)?;
		self.keep(Snapshot {
			base: base.clone(),
			prefix,
		});
		Some(prefix)
	}

	/// The core has installed what was fetched: the machine is replaced.
	pub(super) fn install(&mut self, base: &Base) -> Option<Prefix> {
		let fetched = self
			.fetched
			.take()
			.filter(|fetched| fetched.base == *base)?;
		let prefix = fetched.prefix;
		self.index = base.pos.index;
		self.prefix = prefix;
		self.states.clear();
		self.queue.clear();
		self.work += 1;
		self.is_busy = false;
		self.keep(fetched);
		Some(prefix)
	}

	pub(super) fn enqueue(&mut self, range: RangeInclusive<LogIndex>) {
		self.queue.push_back(range);
	}
}

/// What a snapshot is where sessions are forgotten.
#[cfg(mutants)]
fn forgetful(mut snapshot: Snapshot) -> Snapshot {
	use mosaik_proto::groups::mutants::{Mutant, is_active};
	if is_active(Mutant::SessionsNotInSnapshot) {
		snapshot.base.state.sessions.clear();
	}
	snapshot
}

#[cfg(not(mutants))]
const fn forgetful(snapshot: Snapshot) -> Snapshot {
	snapshot
}

impl Seat {
	/// Applies what is waiting, or begins to.
	pub(super) fn apply(&mut self, effects: &mut Effects, notes: &mut Vec<Note>) {
		while !self.machine.is_busy
			&& let Some(range) = self.machine.queue.front().cloned()
		{
			if self.slowness == 0 {
				self.machine.queue.pop_front();
				self.apply_range(range, notes);
				continue;
			}
			self.machine.is_busy = true;
			self.machine.work += 1;
			let entries = range.end() - range.start() + 1;
			effects.push(Effect::Work {
				token: self.machine.work,
				micros: self.slowness * entries,
			});
		}
	}

	pub(super) fn on_done(&mut self, token: u64, effects: &mut Effects, notes: &mut Vec<Note>) {
		if !self.machine.is_busy || self.machine.work != token {
			return;
		}
		self.machine.is_busy = false;
		if let Some(range) = self.machine.queue.pop_front() {
			self.apply_range(range, notes);
		}
		self.apply(effects, notes);
	}

	fn apply_range(&mut self, range: RangeInclusive<LogIndex>, notes: &mut Vec<Note>) {
		let own = self.identity.member;
		let last = *range.end();
		let machine = &mut self.machine;
		let mut taken = false;
		for entry in self.raft.entries(range) {
			if let EntryKind::Commands(batch) = &entry.kind {
				let mut length = machine.prefix.length;
				for envelope in batch.iter() {
					length += 1;
					if envelope.origin == own {
						self.client.on_applied(envelope, length, notes);
					}
				}
			}
			machine.prefix = after(machine.prefix, entry);
			machine.index = entry.pos.index;
			notes.push(Note::Applied {
				pos: entry.pos,
				seq_end: entry.seq_end,
				prefix: machine.prefix,
			});
			if entry.pos.index.is_multiple_of(self.snapshot_every) {
				machine.states.push_back((entry.pos.index, machine.prefix));
				if machine.states.len() > SNAPSHOTS {
					machine.states.pop_front();
				}
				taken = true;
			}
		}
		self.raft.on_applied(last);
		if taken {
			self.compact(false);
		}
		self.answer_reads(notes);
	}

	/// Drops what the oldest snapshot covers, or what the newest does.
	pub fn compact(&mut self, all: bool) {
		if let Some((oldest, newest)) = self.machine.compactable() {
			let all = all || self.roll().is_multiple_of(3);
			self.raft.compact(if all { newest } else { oldest });
		}
	}

	pub(super) fn on_fetched(&mut self, snapshot: Snapshot) {
		self.fetch = None;
		self.machine.fetched = Some(snapshot.clone());
		self.raft
			.on_snapshot(SnapshotResult::Fetched(snapshot.base));
	}
}
