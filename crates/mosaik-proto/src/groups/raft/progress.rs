//! What a leader knows of another member, and what is under way to it.

use {
	crate::groups::types::{LogIndex, Ticks},
	std::collections::VecDeque,
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Progress {
	/// The logs are equal, and the member's written, up to here.
	pub(super) matched: LogIndex,
	/// The next entry to send.
	pub(super) next: LogIndex,
	pub(super) mode: Mode,
	/// When the member last answered in this term.
	pub(super) last_ack: Ticks,
	/// Whether it has since the last heartbeat.
	pub(super) acked: bool,
	/// The latest round that it answered.
	pub(super) round: u64,
	/// The latest round that it was sent.
	pub(super) sent_round: u64,
	/// What it was told is committed.
	pub(super) sent_commit: LogIndex,
	inflight: Inflight,
	/// The oldest append that was under way at the last heartbeat.
	oldest: Option<LogIndex>,
}

/// How a member is sent entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
	/// One append at a time, until it is known where the logs agree.
	Probe {
		/// One is under way.
		waiting: bool,
	},
	/// As many as the window takes.
	Replicate,
	/// None: it needs a snapshot up to here first.
	Snapshot {
		/// The last index of the snapshot.
		index: LogIndex,
		/// When it was offered last.
		offered_at: Ticks,
	},
}

impl Progress {
	pub(super) const fn new(next: LogIndex, now: Ticks) -> Self {
		Self {
			matched: 0,
			next,
			mode: Mode::Probe { waiting: false },
			last_ack: now,
			acked: true,
			round: 0,
			sent_round: 0,
			sent_commit: 0,
			inflight: Inflight::new(),
			oldest: None,
		}
	}

	/// Whether an append can be sent now.
	pub(super) fn is_ready(&self, last: LogIndex, max_inflight: usize, max_bytes: usize) -> bool {
		match self.mode {
			Mode::Probe { waiting } => !waiting,
			Mode::Replicate => self.next <= last && !self.inflight.is_full(max_inflight, max_bytes),
			Mode::Snapshot { .. } => false,
		}
	}

	/// How many appends are under way.
	pub(super) fn inflight(&self) -> usize {
		self.inflight.appends.len()
	}

	/// An append up to `last` was sent.
	pub(super) fn sent(&mut self, last: LogIndex, bytes: usize) {
		match &mut self.mode {
			Mode::Probe { waiting } => *waiting = true,
			Mode::Replicate => {
				self.next = last + 1;
				self.inflight.push(last, bytes);
			}
			Mode::Snapshot { .. } => {}
		}
	}

	/// The logs are equal up to `index`. Returns whether that is news.
	pub(super) fn match_up_to(&mut self, index: LogIndex) -> bool {
		let news = index > self.matched;
		self.matched = self.matched.max(index);
		self.next = self.next.max(self.matched + 1);
		self.inflight.free_up_to(index);
		match self.mode {
			Mode::Probe { .. } => self.mode = Mode::Replicate,
			Mode::Snapshot { index, .. } if self.matched >= index => {
				self.mode = Mode::Probe { waiting: false };
			}
			Mode::Replicate | Mode::Snapshot { .. } => {}
		}
		news
	}

	/// The logs differ at `prev`; they may agree up to `agreed`. Returns whether
	/// that is news.
	pub(super) fn conflict(&mut self, prev: LogIndex, agreed: LogIndex) -> bool {
		let expected = match self.mode {
			Mode::Probe { .. } => prev + 1 == self.next,
			// Of the appends under way only those after a match can fail.
			Mode::Replicate => prev > self.matched,
			Mode::Snapshot { .. } => false,
		};
		if expected {
			self.probe();
			self.next = (agreed + 1).min(prev).max(self.matched + 1);
		}
		expected
	}

	/// What was under way may be lost: begin again after what is known to match. A
	/// probe goes on where it is: nothing is known to match yet, and it need not
	/// begin with a snapshot for that.
	pub(super) fn probe(&mut self) {
		if !matches!(self.mode, Mode::Probe { .. }) {
			self.next = self.matched + 1;
		}
		self.mode = Mode::Probe { waiting: false };
		self.inflight = Inflight::new();
		self.oldest = None;
	}

	/// A heartbeat is due: an append that was under way at the last one and still
	/// is, is lost. Answers to heartbeats say nothing of it.
	pub(super) fn beat(&mut self) {
		let oldest = self.inflight.oldest();
		match &mut self.mode {
			Mode::Probe { waiting } => *waiting = false,
			Mode::Replicate if oldest.is_some() && oldest == self.oldest => self.probe(),
			Mode::Replicate => self.oldest = oldest,
			Mode::Snapshot { .. } => {}
		}
		self.acked = false;
	}

	/// The member answered.
	pub(super) fn ack(&mut self, now: Ticks, round: u64) {
		self.last_ack = now;
		self.acked = true;
		self.round = self.round.max(round);
	}
}

/// Appends that were not answered: the last index of each, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Inflight {
	appends: VecDeque<(LogIndex, usize)>,
	bytes: usize,
}

impl Inflight {
	const fn new() -> Self {
		Self {
			appends: VecDeque::new(),
			bytes: 0,
		}
	}

	fn oldest(&self) -> Option<LogIndex> {
		self.appends.front().map(|(last, _)| *last)
	}

	fn is_full(&self, max: usize, max_bytes: usize) -> bool {
		self.appends.len() >= max || self.bytes >= max_bytes
	}

	fn push(&mut self, last: LogIndex, bytes: usize) {
		self.appends.push_back((last, bytes));
		self.bytes += bytes;
	}

	fn free_up_to(&mut self, index: LogIndex) {
		while let Some(&(last, bytes)) = self.appends.front()
			&& last <= index
		{
			self.appends.pop_front();
			self.bytes -= bytes;
		}
	}
}
