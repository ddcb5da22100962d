//! One node's part in one group: from looking for a formation to leaving it.
//!
//! A [`Replica`] is a [`Core`]: it is told of sessions with other members of the
//! group (*bonds*, authenticated by whoever drives it), of their messages, of
//! writes and snapshots that were done, and of what its user wants.
//!
//! ```text
//!             found, or genesis of all who pledged
//!   Seeking ───────────────────────────────────────> Member ──> Left
//!      │  ^                                           ^   │
//!      │  └────── gave up ────── Joining ─────────────┘   │ removed, superseded:
//!      └── sees a formation ───────^       admitted       │ with a fresh nonce
//!      ^──────────────────────────────────────────────────┘
//! ```
//!
//! | file       | subject |
//! |------------|---------|
//! | `io`       | what a replica is told and what it wants done |
//! | `message`  | what replicas say to one another |
//! | `bonds`    | who can be talked to, and where they stand |
//! | `seek`     | finding or founding a formation |
//! | `join`     | being admitted, and admitting others |
//! | `member`   | life in a formation |
//! | `inbox`    | bonds and their messages |
//! | `serve`    | commands and strong reads |
//! | `lead`     | what a leader does besides the engine |
//! | `requests` | commands of this node, exactly once |
//! | `reads`    | strong reads of this node and of others |
//! | `settings` | tuning |

mod bonds;
mod inbox;
mod io;
mod join;
mod lead;
mod member;
mod message;
mod reads;
mod requests;
mod seek;
mod serve;
mod settings;

pub use {
	io::{CallId, Event, Identity, Input, Obstacle, Outcome, Output, Stored, Write, WriteKind},
	message::Message,
	settings::ReplicaSettings,
};

use {
	super::{
		engine::{Engine, PersistToken, Recovered},
		entry::Entry,
		formation::{
			Bootstrap,
			info::{Info, MAX_ENDED, Standing},
			pledge::{Pledge, Pledged},
		},
		raft::Raft,
		state::Base,
		types::{FormationId, LogIndex, Nonce, Ticks},
	},
	crate::{
		PeerId,
		core::{Core, Instant, Now},
	},
	bonds::Bonds,
	join::Joining,
	member::Member,
	rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus},
	seek::Seeking,
	std::{
		collections::{BTreeMap, VecDeque},
		ops::RangeInclusive,
	},
};

/// One node's part in one group, see the [module](self).
#[derive(Debug)]
pub struct Replica {
	me: PeerId,
	settings: ReplicaSettings,
	rng: Xoshiro256PlusPlus,
	now: Ticks,
	nonce: Nonce,
	pledged: Pledged,
	/// Since when this node waits for the founder that it pledged to.
	pledged_at: Option<Ticks>,
	phase: Phase,
	bonds: Bonds,
	/// Formations that ended, the greatest ids first.
	ended: Vec<(FormationId, Option<FormationId>)>,
	/// The user wants to leave; until when that is tried, the earliest first.
	leaving: VecDeque<(CallId, Ticks)>,
	/// Formations that nobody is seen to lead, and since when, while this node has none.
	leaderless: BTreeMap<FormationId, Ticks>,
	/// Numbers reads over all memberships, and from an arbitrary number on in each
	/// process, so that no answer is taken for another.
	last_read: u64,
	/// What the bonds were told last, and when.
	told: Option<(Info, Ticks)>,
	writes: Writes,
	out: VecDeque<Output>,
}

/// Where the node stands.
#[derive(Debug)]
enum Phase {
	Seeking(Seeking),
	Joining(Joining),
	/// The identity is being written; nothing is said before it is.
	Beginning(Box<Beginning>),
	Member(Box<Member>),
	Left,
}

/// A membership before its first write is done.
#[derive(Debug)]
struct Beginning {
	identity: Identity,
	recovered: Recovered,
	/// What was committed when the node was admitted.
	commit: LogIndex,
	/// Who is told of the founding, once it is on this node's disk.
	announce: Vec<PeerId>,
}

/// Writes that were begun: they finish in order.
#[derive(Debug, Default)]
struct Writes {
	last: u64,
	under_way: VecDeque<(u64, Waiting)>,
}

/// What waits for a write.
#[derive(Clone, Copy, Debug)]
enum Waiting {
	/// A pledge to give.
	Pledge(Pledge),
	/// The beginning of a membership.
	Begin,
	/// The engine, for its own token.
	Engine(Identity, PersistToken),
	Nothing,
}

impl Replica {
	/// A node that takes part in a group, with what is on its disk. `seed` is all
	/// the chance it has; it must differ from start to start.
	pub fn new(
		me: PeerId,
		mut settings: ReplicaSettings,
		stored: Stored,
		seed: [u8; 32],
		now: Now,
	) -> Self {
		if let Bootstrap::Expect(nodes) = settings.bootstrap {
			// Who expects so many does not want to go on with fewer than half of them.
			let policy = &mut settings.policy;
			policy.min_voters = policy.min_voters.max(nodes.get() / 2 + 1);
		}
		let mut rng = Xoshiro256PlusPlus::from_seed(seed);
		let now = ticks(now);
		let last_read = u64::from(rng.random::<u32>()) << 31;
		let mut replica = Self {
			me,
			nonce: Nonce(rng.random()),
			phase: Phase::Left,
			settings,
			rng,
			now,
			pledged: Pledged::default(),
			pledged_at: None,
			bonds: Bonds::default(),
			ended: Vec::new(),
			leaving: VecDeque::new(),
			leaderless: BTreeMap::new(),
			last_read,
			told: None,
			writes: Writes::default(),
			out: VecDeque::new(),
		};
		match stored {
			Stored::Empty => replica.seek(),
			Stored::Pledged { nonce, pledge } => {
				replica.nonce = nonce;
				replica.pledged = Pledged(Some(pledge));
				replica.pledged_at = (pledge.founder != me).then_some(now);
				replica.seek();
			}
			// Its commands could no longer be told from those of an earlier life.
			Stored::Member { identity, .. } if identity.starts >= requests::MAX_STARTS => {
				let error = None;
				replica.event(Event::StorageLost { identity, error });
				replica.start_over(identity);
			}
			Stored::Member {
				mut identity,
				recovered,
			} => {
				replica.nonce = identity.nonce;
				identity.starts += 1;
				replica.begin(identity, recovered, 0);
			}
		}
		replica.advance();
		replica
	}

	/// The lifetime of this node's storage.
	pub const fn nonce(&self) -> Nonce {
		self.nonce
	}

	/// Who this node is, while it is a member, and its engine.
	pub fn engine(&self) -> Option<(Identity, &Raft)> {
		match &self.phase {
			Phase::Member(member) => Some((member.identity, &member.raft)),
			_ => None,
		}
	}

	/// What this node knows of its formation, and where it stands itself.
	pub fn info(&self) -> Info {
		let standing = match &self.phase {
			Phase::Joining(joining) => Standing::Joining(joining.formation),
			Phase::Member(member) if !member.is_closed() => {
				Standing::Member(member.formation_info())
			}
			Phase::Member(_) | Phase::Seeking(_) | Phase::Beginning(_) | Phase::Left => {
				Standing::Seeking
			}
		};
		Info {
			nonce: self.nonce,
			preference: self.settings.preference,
			standing,
			ended: self.ended.clone(),
		}
	}

	/// Whether commands and reads are served: the node is admitted, has caught up
	/// with what was committed then, and knows a leader.
	pub fn is_online(&self) -> bool {
		match &self.phase {
			Phase::Member(member) => member.is_online(),
			_ => false,
		}
	}

	/// Whether so many voters are out of reach that nothing can be committed, as told
	/// by [`Event::QuorumLost`].
	pub fn has_lost_quorum(&self) -> bool {
		matches!(&self.phase, Phase::Member(member) if member.is_quorum_lost)
	}

	/// The entries to apply, after an [`Output::Apply`].
	pub fn entries(&self, range: RangeInclusive<LogIndex>) -> impl Iterator<Item = &Entry> {
		let engine = self.engine().map(|(_, raft)| raft.entries(range));
		engine.into_iter().flatten()
	}

	fn send(&mut self, to: PeerId, message: Message) {
		if self.bonds.contains(&to) {
			self.out.push_back(Output::Send { to, message });
		}
	}

	fn event(&mut self, event: Event) {
		self.out.push_back(Output::Event(event));
	}

	fn write(&mut self, kind: WriteKind, waiting: Waiting) {
		self.writes.last += 1;
		let token = self.writes.last;
		self.writes.under_way.push_back((token, waiting));
		self.out.push_back(Output::Write(Write { token, kind }));
	}

	fn on_written(&mut self, token: u64) {
		while let Some(&(first, waiting)) = self.writes.under_way.front()
			&& first <= token
		{
			self.writes.under_way.pop_front();
			match waiting {
				Waiting::Pledge(pledge) => self.on_pledge_written(pledge),
				Waiting::Begin => self.on_begin_written(),
				Waiting::Engine(of, token) => {
					if let Phase::Member(member) = &mut self.phase
						&& member.identity == of
					{
						member.raft.on_persisted(token);
					}
				}
				Waiting::Nothing => {}
			}
		}
	}

	/// Begins, or goes on, as a member.
	fn begin(&mut self, identity: Identity, recovered: Recovered, commit: LogIndex) {
		self.leaderless.clear();
		let base = recovered.base.clone();
		let hard_state = recovered.hard_state;
		let beginning = Beginning {
			identity,
			recovered,
			commit,
			announce: Vec::new(),
		};
		self.phase = Phase::Beginning(Box::new(beginning));
		let begin = WriteKind::Begin {
			identity,
			hard_state,
			base,
		};
		self.write(begin, Waiting::Begin);
	}

	fn on_begin_written(&mut self) {
		let phase = std::mem::replace(&mut self.phase, Phase::Left);
		let Phase::Beginning(beginning) = phase else {
			self.phase = phase;
			return;
		};
		let identity = beginning.identity;
		let seed = self.rng.random();
		let announce = beginning.announce.clone();
		match Member::new(*beginning, &self.settings, self.now, seed, self.last_read) {
			Ok(begun) => {
				let base = begun.raft.base().clone();
				self.phase = Phase::Member(Box::new(begun));
				self.event(Event::Member { identity });
				self.announce(identity.formation, &base, announce);
			}
			Err(error) => {
				// What is on the disk is no log of a member: this is a new one.
				let error = Some(error);
				self.event(Event::StorageLost { identity, error });
				self.start_over(identity);
			}
		}
	}

	/// The membership is over: everything of it goes, and what comes is another
	/// member.
	fn start_over(&mut self, of: Identity) {
		self.fail_requests();
		if let Phase::Member(member) = &self.phase {
			self.last_read = member.reads.last_id();
		}
		self.nonce = Nonce(self.rng.random());
		self.pledged = Pledged::default();
		self.pledged_at = None;
		self.write(WriteKind::Wipe, Waiting::Nothing);
		self.out.push_back(Output::Reset { of });
		let leaving = std::mem::take(&mut self.leaving);
		if !leaving.is_empty() {
			self.phase = Phase::Left;
			for (call, _) in leaving {
				let outcome = Outcome::Left;
				self.out.push_back(Output::Done { call, outcome });
			}
		} else {
			self.seek();
		}
	}

	/// A formation came to its end. Of too many, those with the greatest ids are
	/// remembered, so that nodes do not remind one another of different ones for ever.
	fn remember_end(&mut self, formation: FormationId, into: Option<FormationId>) {
		if self.has_ended(formation) {
			return;
		}
		self.ended.push((formation, into));
		self.ended
			.sort_unstable_by_key(|(formation, _)| std::cmp::Reverse(*formation));
		self.ended.truncate(MAX_ENDED);
	}

	fn has_ended(&self, formation: FormationId) -> bool {
		self.ended.iter().any(|(known, _)| *known == formation)
	}

	/// Does what follows from the state as it is, until nothing more does.
	fn advance(&mut self) {
		match &self.phase {
			Phase::Seeking(_) => self.advance_seeking(),
			Phase::Joining(_) => self.advance_joining(),
			Phase::Member(_) => {
				self.check_membership();
				self.advance_member();
			}
			Phase::Beginning(_) | Phase::Left => {}
		}
		self.watch_leave();
		self.tell_bonds();
	}

	/// Tells the bonds where this node stands, if that changed.
	fn tell_bonds(&mut self) {
		let info = self.info();
		let is_due = match &self.told {
			None => true,
			Some((told, at)) => {
				told.differs_in_substance(&info)
					|| *told != info && self.now >= at.saturating_add(self.settings.raft.heartbeat)
			}
		};
		if !is_due {
			return;
		}
		for peer in self.bonds.peers() {
			let message = Message::Info(info.clone());
			self.out.push_back(Output::Send { to: peer, message });
		}
		self.told = Some((info, self.now));
	}
}

impl Core for Replica {
	type Input = Input;
	type Output = Output;

	fn handle(&mut self, now: Now, input: Input) {
		self.now = self.now.max(ticks(now));
		if let Phase::Member(member) = &mut self.phase {
			member.raft.tick(self.now);
		}
		match input {
			Input::Tick => {}
			Input::BondUp { peer } => self.on_bond_up(peer),
			Input::BondDown { peer } => self.on_bond_down(peer),
			Input::Revoked { peer } => self.on_revoked(peer),
			Input::Message { from, message } => self.on_message(from, message),
			Input::Written { token } => self.on_written(token),
			Input::Applied { of, index } => self.on_applied(of, index),
			Input::Snapshotted { of, index } => self.on_snapshotted(of, index),
			Input::Fetched { of, base } => self.on_fetched(of, base),
			Input::FetchFailed { of, pos } => self.on_fetch_failed(of, pos),
			Input::Execute { call, payloads } => self.on_execute(call, payloads),
			Input::Read { call } => self.on_read(call),
			Input::Yield { into } => self.on_yield(into),
			Input::Leave { call } => self.on_leave(call),
		}
		self.advance();
	}

	fn poll(&mut self) -> Option<Output> {
		self.out.pop_front()
	}

	fn deadline(&self) -> Option<Instant> {
		let deadline = match &self.phase {
			Phase::Seeking(seeking) => self.seeking_deadline(seeking),
			Phase::Joining(joining) => Some(joining.deadline()),
			Phase::Member(member) => self.member_deadline(member),
			Phase::Beginning(_) | Phase::Left => None,
		};
		let leave_by = self.leaving.front().map(|(_, until)| *until);
		let deadline = deadline.into_iter().chain(leave_by).min();
		deadline.map(|ticks| Instant(ticks.saturating_mul(1000)))
	}
}

/// Milliseconds since the driver started.
const fn ticks(now: Now) -> Ticks {
	now.mono.0 / 1000
}

impl Info {
	/// Whether somebody who was told this should be told the other at once.
	fn differs_in_substance(&self, other: &Self) -> bool {
		let key = |info: &Self| {
			let formation = info.formation();
			let formation = formation.map(|info| {
				let has_commands = info.commands > 0;
				(
					info.formation,
					info.member,
					info.established,
					has_commands,
					info.leader,
				)
			});
			let is_seeking = matches!(info.standing, Standing::Seeking);
			(
				info.nonce,
				is_seeking,
				formation,
				info.ended.first().copied(),
				info.ended.len(),
			)
		};
		key(self) != key(other)
	}
}

/// The part of a log that a new member can be given instead of a snapshot: one
/// from before the first command.
fn founding_base(raft: &Raft) -> Base {
	let base = raft.base();
	if base.state.seq == 0 {
		base.clone()
	} else {
		Base::blank()
	}
}

#[cfg(test)]
mod tests;
