//! What happens when two formations of one group meet.
//!
//! The lesser one yields: it asks the other to take in its members, and dissolves
//! once that has agreed. Each step is an entry in the log of the formation that
//! takes it, so it outlives leaders and happens once:
//!
//! ```text
//!   lesser X                          greater Y
//!   commits Yielding{into Y, n}
//!            ── Absorb{X, n} ───────>  commits Absorb{X, n}, unless it is yielding
//!            <────── Absorbed{X, n} ──
//!   commits Dissolve{into Y, n}, if attempt n is still active
//! ```
//!
//! No two formations can dissolve into one another, directly or in a circle. Let
//! X dissolve into Y. X began to yield before Y accepted, for Y was asked only
//! then; and if Y dissolves later, it began to yield after it accepted, for it
//! does not accept while it yields. So the beginnings of the yields increase along
//! every chain of dissolutions, and a chain has an end: a formation that lives.
//! The attempt's number makes an answer to an attempt that was given up
//! worthless. All of this is decided by [`LogState::permits`], at the end of a
//! leader's log.
//!
//! What runs here is the leader's part of it that is not in a log: whom to ask,
//! how long to wait.
//!
//! [`LogState::permits`]: crate::groups::state::LogState::permits

use {
	super::info::FormationInfo,
	crate::{
		PeerId,
		groups::{
			engine::Status,
			entry::FormationEntry,
			state::{Life, LogState},
			types::{FormationId, LogIndex, LogPos, Ticks},
		},
	},
	std::collections::BTreeMap,
};

/// How many other formations a leader keeps track of.
const MAX_OTHERS: usize = 64;

/// What to do about another formation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
	/// Append this.
	Propose(FormationEntry),
	/// Ask the leader of the other formation to take this one in.
	Ask {
		/// It.
		leader: PeerId,
		/// The other formation.
		into: FormationId,
		/// The number of the attempt.
		attempt: u64,
	},
	/// Tell the other formation that it is taken in.
	Agree {
		/// Who asked.
		to: PeerId,
		/// Its formation.
		from: FormationId,
		/// Its attempt.
		attempt: u64,
	},
}

/// The leader's part in yielding and absorbing. Lost with leadership: what counts
/// is in the log.
#[derive(Clone, Debug, Default)]
pub struct Merge {
	/// When the active attempt is given up.
	until: Option<Ticks>,
	/// Until when no further attempt is made; 0 if nothing waits for that.
	pause_until: Ticks,
	/// When the other leader was asked last.
	asked_at: Option<Ticks>,
	/// The attempt that was agreed to.
	agreed: Option<(FormationId, u64)>,
	/// Who asked to be taken in: its attempt and where that was appended.
	absorbing: BTreeMap<FormationId, (u64, PeerId, Option<LogIndex>)>,
	/// The user decided that this formation yields, although both have commands.
	must_yield: Option<FormationId>,
}

/// What a step is decided by.
#[derive(Debug)]
pub struct Scene<'a> {
	/// The time.
	pub now: Ticks,
	/// How things stand with the engine.
	pub status: &'a Status,
	/// What follows from the log.
	pub state: &'a LogState,
	/// This formation.
	pub own: &'a FormationInfo,
	/// The others that can be seen.
	pub others: &'a [FormationInfo],
	/// How patient to be.
	pub patience: Patience,
	/// Chance.
	pub dice: u64,
}

/// How patient a merge is, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
	/// Between two requests to the other leader.
	pub ask_every: Ticks,
	/// After which an attempt is given up.
	pub attempt: Ticks,
	/// The longest pause after that.
	pub pause_max: Ticks,
}

impl Merge {
	/// The user decided that this formation yields to `into`.
	pub const fn resolve(&mut self, into: FormationId) {
		self.must_yield = Some(into);
	}

	/// Another formation asks to be taken in.
	pub fn on_ask(&mut self, peer: PeerId, from: FormationId, attempt: u64) {
		if self.absorbing.len() >= MAX_OTHERS && !self.absorbing.contains_key(&from) {
			return;
		}
		let known = self.absorbing.get(&from);
		let at = known
			.filter(|(known, ..)| *known == attempt)
			.and_then(|(.., at)| *at);
		self.absorbing.insert(from, (attempt, peer, at));
	}

	/// The other formation agreed to an attempt.
	pub const fn on_agreed(&mut self, by: FormationId, attempt: u64) {
		self.agreed = Some((by, attempt));
	}

	/// What was to be proposed lies here, or was refused.
	pub fn appended(&mut self, pos: Option<LogPos>) {
		for (.., at) in self.absorbing.values_mut() {
			if *at == Some(LogIndex::MAX) {
				*at = pos.map(|pos| pos.index);
			}
		}
	}

	/// The next step. Called while this node leads.
	pub fn step(&mut self, scene: &Scene<'_>) -> Option<Step> {
		if !scene.status.own_commit {
			return None;
		}
		if let Some(step) = self.absorb(scene.status, scene.state) {
			return Some(step);
		}
		match scene.state.life {
			Life::Normal => self.begin(scene),
			Life::Yielding { into, attempt } => self.go_on(scene, into, attempt),
			Life::Dissolved { .. } | Life::Closed => None,
		}
	}

	fn absorb(&mut self, status: &Status, state: &LogState) -> Option<Step> {
		let done = self
			.absorbing
			.iter()
			.find(|(_, (.., at))| at.is_some_and(|at| at <= status.commit));
		if let Some((&from, &(attempt, to, _))) = done {
			self.absorbing.remove(&from);
			return Some(Step::Agree { to, from, attempt });
		}
		let (&from, (attempt, _, at)) = self
			.absorbing
			.iter_mut()
			.find(|(_, (.., at))| at.is_none())?;
		let attempt = *attempt;
		let entry = FormationEntry::Absorb { from, attempt };
		if !state.permits(entry) {
			// It asks again; by then this formation may not be yielding any more.
			self.absorbing.remove(&from);
			return None;
		}
		*at = Some(LogIndex::MAX);
		Some(Step::Propose(entry))
	}

	fn begin(&mut self, scene: &Scene<'_>) -> Option<Step> {
		self.until = None;
		self.asked_at = None;
		if scene.now < self.pause_until {
			return None;
		}
		self.pause_until = 0;
		let own = scene.own;
		let yields = |other: &&FormationInfo| {
			self.must_yield == Some(other.formation)
				|| own.rank() < other.rank() && !own.conflicts_with(other)
		};
		// Who has no leader could not answer.
		let alive = scene.others.iter().filter(|other| other.leader.is_some());
		let greater = alive.filter(yields);
		let greater = greater.max_by_key(|other| other.rank())?;
		Some(Step::Propose(FormationEntry::Yielding {
			into: greater.formation,
			attempt: scene.state.attempts + 1,
		}))
	}

	fn go_on(&mut self, scene: &Scene<'_>, into: FormationId, attempt: u64) -> Option<Step> {
		let (now, patience) = (scene.now, scene.patience);
		if self.agreed == Some((into, attempt)) {
			self.agreed = None;
			let mut others = scene.others.iter().filter(|other| other.formation == into);
			let conflicts = others.any(|other| scene.own.conflicts_with(other));
			if conflicts && self.must_yield != Some(into) {
				// There are commands now that were not there when it began to yield.
				return Some(Step::Propose(FormationEntry::YieldAborted { attempt }));
			}
			return Some(Step::Propose(FormationEntry::Dissolve { into, attempt }));
		}
		let until = *self
			.until
			.get_or_insert(now.saturating_add(patience.attempt));
		if now >= until {
			self.until = None;
			let pause = scene.dice % patience.pause_max.max(1);
			self.pause_until = now.saturating_add(pause);
			return Some(Step::Propose(FormationEntry::YieldAborted { attempt }));
		}
		// Nothing leaves before the entry is committed: it must outlive this leader.
		let is_due = self
			.asked_at
			.is_none_or(|at| now >= at.saturating_add(patience.ask_every));
		if !is_due || scene.state.life_index > scene.status.commit {
			return None;
		}
		// Who is cut off from the leader knows none, perhaps in the same term.
		let is_led = |other: &&FormationInfo| other.formation == into && other.leader.is_some();
		let led = scene.others.iter().filter(is_led);
		let leader = led
			.max_by_key(|other| other.term)
			.and_then(|other| other.leader)?;
		self.asked_at = Some(now);
		Some(Step::Ask {
			leader,
			into,
			attempt,
		})
	}

	/// Whether a merge is under way, or waits to be tried again.
	pub fn is_active(&self) -> bool {
		self.until.is_some() || self.pause_until > 0 || !self.absorbing.is_empty()
	}
}
