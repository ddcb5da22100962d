//! All invariants of one formation, and what each is told of an event.

use {
	super::{
		Check, acknowledged::Acknowledged, commit_quorum, committed::Committed, config_rules,
		election_safety::ElectionSafety, fencing, leader_append_only, leader_completeness,
		log_matching::LogMatching, member_ids::MemberIds, monotonic::Monotonic, not_poisoned,
		one_vote::OneVote, promises, state_machine::StateMachine, strong_reads::StrongReads,
		votes_counted::VotesCounted,
	},
	crate::groups::{
		disk::{Identity, MemberDisk},
		note::Note,
	},
	mosaik_proto::groups::{
		Engine,
		engine::{RoleKind, Status},
		entry::EntryKind,
		state::Base,
		types::{FormationId, LogIndex, LogPos, MemberId, Nonce, Term},
	},
	std::collections::BTreeMap,
};

/// A member as it is after an event.
#[derive(Debug)]
pub struct View<'a, E> {
	/// Of which formation.
	pub formation: FormationId,
	/// Who it is there.
	pub member: MemberId,
	/// The lifetime of its storage.
	pub nonce: Nonce,
	/// The number of its life: restarts count.
	pub life: u64,
	/// How things stand.
	pub status: &'a Status,
	/// The core.
	pub engine: &'a E,
	/// What it has on disk.
	pub disk: &'a MemberDisk,
}

/// Whether a member has an entry on its disk; `None` if that member's storage is
/// gone, so that nobody can say.
pub type Holds<'a> = &'a dyn Fn(MemberId, LogPos) -> Option<bool>;

/// What a member was after its last event.
#[derive(Clone, Copy, Debug)]
pub struct Before {
	/// The number of its life.
	pub life: u64,
	/// Its term.
	pub term: Term,
	/// Its role.
	pub role: RoleKind,
	/// What it took for committed.
	pub commit: LogIndex,
	/// What it had applied.
	pub applied: LogIndex,
	/// Where its log ended.
	pub last: LogPos,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Formation {
	/// All entries that ever were in a log.
	pub logs: LogMatching,
	/// What is committed.
	pub committed: Committed,
	/// Who led when.
	pub elections: ElectionSafety,
	/// Who voted for whom.
	pub votes: OneVote,
	/// Which votes arrived.
	pub counted: VotesCounted,
	/// What the machines must be like.
	pub machine: StateMachine,
	/// What was acknowledged.
	pub acknowledged: Acknowledged,
	/// What strong reads must see.
	pub reads: StrongReads,
	ids: MemberIds,
	monotonic: Monotonic,
	before: BTreeMap<MemberId, Before>,
	changes: u64,
}

impl Formation {
	/// The formation begins.
	pub fn found(&mut self, base: &Base) {
		self.logs.found(base);
		self.committed.found(base.pos);
		self.machine.found(base.pos.index);
		let founders = &base.state.config;
		// A genesis is consistent by construction.
		let _ = self.ids.committed(founders);
	}

	/// Committed changes of members so far.
	pub const fn changes(&self) -> u64 {
		self.changes
	}

	/// Elections so far.
	pub fn terms_led(&self) -> usize {
		self.elections.terms()
	}

	/// Checks everything that could have changed for a member.
	///
	/// # Errors
	/// When an invariant is broken.
	pub fn check<E: Engine>(
		&mut self,
		view: &View<'_, E>,
		notes: &[Note],
		holds: Holds<'_>,
	) -> Check {
		let (member, status) = (view.member, view.status);
		let before = self.before.get(&member).copied();
		let before = before.filter(|before| before.life == view.life);
		self.monotonic
			.check(member, view.life, before.as_ref(), status)?;
		for note in notes {
			fencing::check(view.formation, member, note)?;
			not_poisoned::check(member, note)?;
			promises::check(member, view.disk, note)?;
			self.counted.note(member, view.life, note);
			self.votes.note(member, note)?;
			self.monotonic.note(member, note);
		}
		// Before its first write is done, the disk is that of who it was before.
		let is_own = |identity: Identity| identity.member == member;
		if view.disk.identity.is_some_and(is_own) {
			self.votes.on_disk(member, view.disk.hard_state)?;
		}
		self.check_log(view, before.as_ref(), notes)?;
		let led = before
			.is_some_and(|before| before.role == RoleKind::Leader && before.term == status.term);
		if status.role == RoleKind::Leader && !led {
			self.elections.leads(member, status.term)?;
			self.counted
				.leads(member, view.life, status, view.disk.hard_state)?;
			let base = status.base;
			leader_completeness::check(&self.committed, member, status.term, |index| {
				term_at(view.engine, base, index)
			})?;
		}
		self.check_commit(view, before.as_ref(), holds)?;
		for note in notes {
			self.machine.note(member, &self.committed, note)?;
		}
		self.before.insert(
			member,
			Before {
				life: view.life,
				term: status.term,
				role: status.role,
				commit: status.commit,
				applied: status.applied,
				last: status.last,
			},
		);
		Ok(())
	}

	/// The entries that are new in a log.
	fn check_log<E: Engine>(
		&mut self,
		view: &View<'_, E>,
		before: Option<&Before>,
		notes: &[Note],
	) -> Check {
		let status = view.status;
		let told = notes.iter().filter_map(|note| match note {
			Note::LogFrom(index) => Some(*index),
			_ => None,
		});
		let longer = before.map_or(Some(0), |before| {
			(before.last != status.last).then_some(before.last.index.min(status.last.index) + 1)
		});
		let Some(from) = told.chain(longer).min() else {
			return Ok(());
		};
		if let Some(before) = before {
			leader_append_only::check(view.member, before, status, from)?;
			committed_stay(view.member, before, status, from)?;
		}
		let from = from.max(status.base.index + 1);
		let mut prev = status.base;
		if from > prev.index + 1
			&& let Some(entry) = view.engine.entries(from - 1..=from - 1).next()
		{
			prev = entry.pos;
		}
		for entry in view.engine.entries(from..=status.last.index) {
			let is_new = self.logs.entry(view.member, prev, entry)?;
			if is_new && let EntryKind::Config(_) = &entry.kind {
				let own = term_at(view.engine, status.base, status.commit);
				config_rules::check(view.member, status, own, &self.logs, prev, entry)?;
			}
			prev = entry.pos;
		}
		if prev != status.last {
			return super::broken("log matching", format!("{} has a gap", view.member));
		}
		let sessions = &view.engine.log_state().sessions;
		let lasts = sessions.iter().map(|(&id, session)| (id, session.last));
		self.logs.same_state(view.member, status.last, lasts)
	}

	fn check_commit<E: Engine>(
		&mut self,
		view: &View<'_, E>,
		before: Option<&Before>,
		holds: Holds<'_>,
	) -> Check {
		let status = view.status;
		let known = before.map_or(0, |before| before.commit);
		if status.commit <= known {
			return Ok(());
		}
		let Some(term) = term_at(view.engine, status.base, status.commit) else {
			return super::broken(
				"committed",
				format!("{} lacks what it committed", view.member),
			);
		};
		let pos = LogPos {
			term,
			index: status.commit,
		};
		if pos.index == 0 {
			return Ok(());
		}
		if status.role == RoleKind::Leader
			&& let Some(before) = before
		{
			// It may have changed its configuration after it committed.
			let old = self.logs.config_at(before.last).map(|(config, _)| config);
			commit_quorum::check(view.member, status, old, pos, holds)?;
		}
		let new = self
			.committed
			.commit(view.member, status.term, pos, &self.logs)?;
		for index in new {
			let Some(term) = self.committed.term_at(index) else {
				continue;
			};
			if let Some(entry) = self.logs.get(LogPos { term, index }) {
				self.machine.committed(entry);
				if let EntryKind::Config(config) = &entry.kind {
					self.changes += 1;
					self.ids.committed(config)?;
				}
			}
		}
		Ok(())
	}
}

/// What was committed here is not replaced (Raft §5.4).
fn committed_stay(member: MemberId, before: &Before, status: &Status, from: LogIndex) -> Check {
	if from <= before.commit && status.base.index < from {
		let commit = before.commit;
		let what = format!("{member} replaced its log from {from}, with {commit} committed");
		return super::broken("committed", what);
	}
	Ok(())
}

/// The term of an entry of a log, if it is there.
fn term_at<E: Engine>(engine: &E, base: LogPos, index: LogIndex) -> Option<Term> {
	if index == base.index {
		return Some(base.term);
	}
	engine
		.entries(index..=index)
		.next()
		.map(|entry| entry.pos.term)
}
