//! Raft, as published, for one member of one formation.
//!
//! What is here is chapters 3 and 4, and sections 6.4 and 9.6, of Diego Ongaro's
//! dissertation ([*Consensus: Bridging Theory and Practice*][thesis], 2014), with
//! his correction of single-server changes (raft-dev, 2015): a leader changes the
//! configuration only after an entry of its own term is committed. Members are
//! changed one at a time, and a configuration counts as soon as it is in the log.
//!
//! | file          | subject |
//! |---------------|---------|
//! | `election`    | pre-vote, vote, leadership and how it ends |
//! | `follower`    | entries, heartbeats and snapshots of a leader |
//! | `leader`      | answers of followers, commit, heartbeats, check-quorum |
//! | `replicate`   | what each follower is sent next |
//! | `propose`     | commands, changes of configuration, steps of the formation |
//! | `reads`       | linearizable reads by ReadIndex |
//! | `writes`      | what must be on disk before what may leave |
//! | `log`, `progress`, `quorum` | the data under it |
//! | `expire`      | what models need |
//!
//! What is *not* here: how a group finds its members, who is promoted or removed
//! and when, what happens when two formations meet. Those are state machines of
//! their own, above, which only make proposals.
//!
//! [thesis]: https://github.com/ongardie/dissertation

mod election;
mod expire;
mod follower;
mod leader;
mod log;
mod progress;
mod propose;
pub mod quorum;
mod reads;
mod replicate;
#[cfg(test)]
mod tests;
mod writes;

use {
	super::{
		config::{Config, ConfigChange},
		engine::{
			ConfigError, CoreEvent, ElectionPolicy, Engine, Hint, PersistToken, Poison, Proposed,
			ReadDone, ReadToken, Ready, RecoverError, Recovered, Refused, Rejected, RoleKind,
			SnapshotFetch, SnapshotResult, Status, StepError,
		},
		entry::{Entry, Envelope, FormationEntry},
		message::Msg,
		settings::Settings,
		state::{Base, LogState},
		types::{LogIndex, LogPos, MemberId, Term, Ticks},
	},
	election::Votes,
	leader::Leader,
	log::Log,
	std::{ops::RangeInclusive, sync::Arc},
	writes::Writes,
};

/// One member of one formation, see the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Raft {
	id: MemberId,
	settings: Settings,
	policy: ElectionPolicy,
	dice: u64,
	now: Ticks,

	term: Term,
	vote: Option<MemberId>,
	log: Log,
	commit: LogIndex,
	/// What the state machine was handed.
	handed: LogIndex,
	/// What it has applied.
	applied: LogIndex,
	/// The bytes of what is committed and not applied.
	unapplied_bytes: usize,

	role: Role,
	leader: Option<MemberId>,
	/// When the leader was heard last.
	heard_at: Option<Ticks>,
	/// When to stand for election.
	election_at: Option<Ticks>,
	/// Nothing happens until something happens.
	quiesced: bool,
	/// The snapshot that is being fetched.
	fetching: Option<LogPos>,
	removed: bool,
	/// A candidate whose log is behind asked for this member's vote: it votes in a
	/// configuration that is not in its own log, and perhaps only it can win.
	needed: bool,
	poisoned: Option<Poison>,

	writes: Writes,
	out: Outbox,
}

/// How much waits in a member, all of it bounded: for those who check that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
	/// Messages that wait for a write.
	pub held: usize,
	/// Writes under way.
	pub writes: usize,
	/// The most appends under way to one member.
	pub inflight: usize,
	/// Reads that are not answered.
	pub reads: usize,
}

/// What a member does in its term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
	Follower,
	PreCandidate(Votes),
	Candidate(Votes),
	Leader(Box<Leader>),
}

/// What the driver has not taken yet. Bounded: it takes all of it after every
/// call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Outbox {
	send: Vec<(MemberId, Msg)>,
	reads: Vec<ReadDone>,
	events: Vec<CoreEvent>,
	fetch: Option<SnapshotFetch>,
}

impl Raft {
	/// A member that begins, or goes on with what is on its disk. `seed` is all the
	/// chance it has.
	///
	/// # Errors
	/// When what was found is not the log of a member: it lost its storage and must
	/// join as a new one.
	pub fn new(
		id: MemberId,
		settings: Settings,
		recovered: Recovered,
		seed: u64,
	) -> Result<Self, RecoverError> {
		let Recovered {
			hard_state,
			base,
			entries,
		} = recovered;
		let begin = base.pos.index;
		let mut raft = Self {
			id,
			settings,
			policy: ElectionPolicy::Normal,
			dice: seed,
			now: 0,
			term: hard_state.term,
			vote: hard_state.vote,
			log: Log::recover(base, entries, hard_state.term)?,
			commit: begin,
			handed: begin,
			applied: begin,
			unapplied_bytes: 0,
			role: Role::Follower,
			leader: None,
			heard_at: None,
			election_at: None,
			quiesced: false,
			fetching: None,
			removed: false,
			needed: false,
			poisoned: None,
			writes: Writes::default(),
			out: Outbox::default(),
		};
		raft.look_for_removal();
		raft.reset_election_timer();
		if raft.is_only_voter() {
			// Nobody could object.
			raft.election_at = Some(raft.now);
		}
		Ok(raft)
	}

	/// The member that leads, if known.
	pub const fn leader(&self) -> Option<MemberId> {
		self.leader
	}

	/// Whether this member leads.
	pub const fn leads(&self) -> bool {
		matches!(self.role, Role::Leader(_))
	}

	/// The term.
	pub const fn term(&self) -> Term {
		self.term
	}

	/// What is committed, as far as this member knows.
	pub const fn commit(&self) -> LogIndex {
		self.commit
	}

	/// What is applied.
	pub const fn applied(&self) -> LogIndex {
		self.applied
	}

	/// Where the log begins.
	pub const fn base(&self) -> &Base {
		self.log.base()
	}

	/// Whether it has halted.
	pub const fn is_poisoned(&self) -> bool {
		self.poisoned.is_some()
	}

	/// The time is `now` when this member begins: what it waits for begins now.
	pub fn begin_at(&mut self, now: Ticks) {
		self.now = self.now.max(now);
		self.reset_election_timer();
		if self.is_only_voter() {
			self.election_at = Some(self.now);
		}
	}

	/// Keeps a group that would fall asleep awake for now: somebody's answers are
	/// waited for.
	pub fn stay_awake(&mut self) {
		self.wake();
		if let Role::Leader(leader) = &mut self.role {
			leader.stay_awake();
		}
	}

	/// Asks all members for a sign of life: from now on
	/// [`MemberProgress::fresh`](super::engine::MemberProgress) says who answered this
	/// question, or a later one; what was under way does not count.
	pub fn ask_all(&mut self) {
		self.wake();
		if let Role::Leader(leader) = &mut self.role {
			leader.ask();
		}
	}

	/// Whether the group sleeps.
	pub const fn is_quiesced(&self) -> bool {
		self.quiesced
	}

	/// The latest configuration that is committed.
	pub fn committed_config(&self) -> &Config {
		self.log.config_at(self.commit).1
	}

	/// How much waits in it.
	pub fn load(&self) -> Load {
		let (held, writes) = self.writes.load();
		let Role::Leader(leader) = &self.role else {
			return Load {
				held,
				writes,
				..Load::default()
			};
		};
		let inflight = leader.progress.values().map(progress::Progress::inflight);
		Load {
			held,
			writes,
			inflight: inflight.max().unwrap_or_default(),
			reads: leader.reads.len(),
		}
	}

	/// Follows in `term`, which may be a new one. Who led or stood no longer does.
	fn follow(&mut self, term: Term, leader: Option<MemberId>) {
		if term > self.term {
			self.set_vote(term, None);
		}
		if let Role::Leader(leader) = std::mem::replace(&mut self.role, Role::Follower) {
			let waiting = leader.reads.into_tokens();
			self.out
				.reads
				.extend(waiting.map(|token| ReadDone { token, index: None }));
		}
		self.quiesced = false;
		self.needed &= leader.is_none();
		self.set_leader(leader);
		self.reset_election_timer();
	}

	fn set_leader(&mut self, leader: Option<MemberId>) {
		if self.leader != leader {
			self.leader = leader;
			let term = self.term;
			self.out.events.push(CoreEvent::Leader { term, leader });
		}
	}

	fn set_vote(&mut self, term: Term, vote: Option<MemberId>) {
		self.term = term;
		self.vote = vote;
		self.writes.hard_state_changed();
	}

	/// An invariant does not hold: nothing more is said or done.
	fn poison(&mut self, poison: Poison) -> StepError {
		if self.poisoned.is_none() {
			self.follow(self.term, None);
			self.poisoned = Some(poison);
			self.election_at = None;
			self.writes.discard();
			self.out.send.clear();
			self.out.fetch = None;
			self.out.events.push(CoreEvent::Poisoned(poison));
		}
		StepError::Poisoned(poison)
	}

	/// Takes over that everything up to `index` is committed.
	fn commit_up_to(&mut self, index: LogIndex) {
		debug_assert!(
			index <= self.log.last().index,
			"what is committed is in the log"
		);
		if index <= self.commit {
			return;
		}
		let newly = self.commit + 1..=index;
		self.unapplied_bytes += self.log.bytes(newly);
		self.commit = index;
		self.look_for_removal();
	}

	/// Reports that this member was removed, if that is committed. What came before
	/// it was added says nothing about it.
	fn look_for_removal(&mut self) {
		let (config_index, config) = self.log.config_at(self.commit);
		let was_added = self.id.get() <= self.commit && !config.members.is_empty();
		if !self.removed && was_added && !config.contains(self.id) {
			self.removed = true;
			self.out.events.push(CoreEvent::Removed { config_index });
		}
	}

	/// Something happened: a group that sleeps is awake again, and one that is awake
	/// is not idle.
	fn wake(&mut self) {
		let slept = std::mem::take(&mut self.quiesced);
		match &mut self.role {
			Role::Leader(leader) if slept => leader.wake(self.now, &self.settings),
			Role::Leader(leader) => leader.idle_beats = 0,
			_ if slept => {
				self.heard_at = Some(self.now);
				self.reset_election_timer();
			}
			_ => {}
		}
	}

	fn is_voter(&self) -> bool {
		self.log.state().config.is_voter(self.id)
	}

	fn is_only_voter(&self) -> bool {
		self.is_voter() && self.log.state().config.voters.len() == 1
	}

	/// Whether an entry of this term is committed.
	fn has_own_commit(&self) -> bool {
		self.log.term_at(self.commit) == Some(self.term)
	}

	/// The next number below `bound` (splitmix64).
	fn roll(&mut self, bound: u64) -> u64 {
		self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
		let mut z = self.dice;
		z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		(z ^ (z >> 31)) % bound.max(1)
	}

	fn send(&mut self, to: MemberId, msg: Msg) {
		self.out.send.push((to, msg));
	}
}

impl Engine for Raft {
	fn tick(&mut self, now: Ticks) {
		self.now = self.now.max(now);
		if self.poisoned.is_some() {
			return;
		}
		if matches!(self.role, Role::Leader(_)) {
			self.tick_leader();
		} else if !self.quiesced && self.election_at.is_some_and(|at| at <= self.now) {
			self.on_election_timeout();
		}
	}

	fn step(&mut self, from: MemberId, msg: Msg) -> Result<(), StepError> {
		if let Some(poison) = self.poisoned {
			return Err(poison.into());
		}
		if from == self.id {
			return Err(StepError::FromSelf);
		}
		if !msg.is_plausible() {
			return Err(StepError::Implausible);
		}
		match msg {
			Msg::Append(append) => self.on_append(from, append),
			Msg::AppendReply(reply) => self.on_append_reply(from, reply),
			Msg::Beat(beat) => self.on_beat(from, &beat),
			Msg::BeatReply(reply) => {
				self.on_beat_reply(from, &reply);
				Ok(())
			}
			Msg::PreVote(request) => {
				self.on_pre_vote(from, &request);
				Ok(())
			}
			Msg::PreVoteReply(reply) => {
				self.on_pre_vote_reply(from, &reply);
				Ok(())
			}
			Msg::Vote(request) => {
				self.on_vote(from, &request);
				Ok(())
			}
			Msg::VoteReply(reply) => {
				self.on_vote_reply(from, &reply);
				Ok(())
			}
			Msg::TimeoutNow { term } => {
				self.on_timeout_now(from, term);
				Ok(())
			}
			Msg::SnapshotOffer(offer) => self.on_snapshot_offer(from, &offer),
			Msg::SnapshotFailed { term, pos } => {
				self.on_snapshot_failed(from, term, pos);
				Ok(())
			}
			Msg::NotMember { config_index } => {
				self.on_not_member(config_index);
				Ok(())
			}
		}
	}

	fn propose(&mut self, batch: Vec<Envelope>) -> Result<Proposed, Refused<Vec<Envelope>>> {
		self.propose_commands(batch)
	}

	fn propose_config(&mut self, change: ConfigChange) -> Result<LogPos, ConfigError> {
		self.change_config(&change)
	}

	fn propose_formation(&mut self, step: FormationEntry) -> Result<LogPos, Rejected> {
		self.propose_step(step)
	}

	fn read_index(&mut self, token: ReadToken) -> Result<(), Rejected> {
		self.begin_read(token)
	}

	fn transfer_leader(&mut self, to: MemberId) -> Result<(), Rejected> {
		self.begin_transfer(to)
	}

	fn hint(&mut self, hint: Hint) {
		if self.poisoned.is_some() {
			return;
		}
		match hint {
			Hint::PeerUp(member) => self.on_peer_up(member),
			Hint::PeerDown(member) => {
				self.on_peer_down(member);
				if self.leader == Some(member) {
					self.on_leader_gone();
				}
			}
			Hint::LeaderDeparting => self.on_leader_gone(),
		}
	}

	fn set_election_policy(&mut self, policy: ElectionPolicy) {
		if self.policy != policy {
			self.policy = policy;
			self.reset_election_timer();
		}
	}

	fn ready(&mut self) -> Option<Ready> {
		if self.poisoned.is_none() {
			self.replicate();
		}
		let ready = Ready {
			persist: self.take_writes(),
			send: std::mem::take(&mut self.out.send),
			apply: self.take_apply(),
			reads: std::mem::take(&mut self.out.reads),
			fetch: self.out.fetch.take(),
			events: std::mem::take(&mut self.out.events),
		};
		let is_empty = ready.persist.is_none()
			&& ready.send.is_empty()
			&& ready.apply.is_none()
			&& ready.reads.is_empty()
			&& ready.fetch.is_none()
			&& ready.events.is_empty();
		(!is_empty).then_some(ready)
	}

	fn on_persisted(&mut self, token: PersistToken) {
		self.finish_writes(token);
	}

	fn on_applied(&mut self, index: LogIndex) {
		let index = index.min(self.handed);
		if index > self.applied {
			let newly = self.applied + 1..=index;
			self.unapplied_bytes = self.unapplied_bytes.saturating_sub(self.log.bytes(newly));
			self.applied = index;
		}
	}

	fn on_snapshot(&mut self, result: SnapshotResult) {
		if self.poisoned.is_some() {
			return;
		}
		match result {
			SnapshotResult::Fetched(base) => self.install(base),
			SnapshotResult::Failed { pos } => self.on_fetch_failed(pos),
		}
	}

	fn compact(&mut self, index: LogIndex) {
		let index = index.min(self.applied);
		if self.poisoned.is_none() && index > self.log.base().pos.index {
			self.log.compact(index);
			self.writes.compact(self.log.base().clone());
		}
	}

	fn next_wakeup(&self) -> Option<Ticks> {
		if self.quiesced || self.poisoned.is_some() {
			return None;
		}
		match &self.role {
			Role::Leader(leader) => Some(leader.next_wakeup()),
			_ => self.election_at,
		}
	}

	fn status(&self) -> Status {
		let (committed_config_index, committed_config) = self.log.config_at(self.commit);
		let state = self.log.state();
		let (role, leader) = match &self.role {
			Role::Follower => (RoleKind::Follower, None),
			Role::PreCandidate(_) => (RoleKind::PreCandidate, None),
			Role::Candidate(_) => (RoleKind::Candidate, None),
			Role::Leader(leader) => (RoleKind::Leader, Some(leader)),
		};
		let progress = leader.map_or_else(Vec::new, |leader| leader.member_progress().collect());
		Status {
			id: self.id,
			term: self.term,
			role,
			leader: self.leader,
			commit: self.commit,
			applied: self.applied,
			last: self.log.last(),
			base: self.log.base().pos,
			config: Arc::clone(&state.config),
			config_index: state.config_index,
			life: state.life,
			committed_config: Arc::clone(committed_config),
			committed_config_index,
			own_commit: leader.is_some() && self.has_own_commit(),
			progress,
			transferring: leader.and_then(|leader| leader.transferring()),
			quiesced: self.quiesced,
			poisoned: self.poisoned,
		}
	}

	fn log_state(&self) -> &LogState {
		self.log.state()
	}

	fn entries(&self, range: RangeInclusive<LogIndex>) -> impl Iterator<Item = &Entry> {
		self.log.range(range)
	}
}
