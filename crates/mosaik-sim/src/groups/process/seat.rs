//! A member of a formation: the core and all that it needs.

use {
	super::{Client, Effects, Setup, machine::Machine},
	crate::{
		groups::{
			disk::{Identity, MemberDisk, Snapshot, Write},
			mail::Mail,
			note::Note,
		},
		lossy::{Effect, Node},
	},
	mosaik_proto::groups::{
		Engine, Raft,
		engine::{CoreEvent, PersistToken, ReadDone, ReadToken, Ready, RecoverError, RoleKind},
		message::{AppendOutcome, Frame, Msg},
		types::{LogPos, MemberId, Ticks},
	},
	std::collections::{BTreeMap, VecDeque},
};

/// See the module.
#[derive(Debug)]
pub struct Seat {
	/// Who it is.
	pub identity: Identity,
	/// The core.
	pub raft: Raft,
	/// The state machine with its snapshots.
	pub machine: Machine,
	/// What users of this node want.
	pub client: Client,
	pub(super) node: Node,
	pub(super) snapshot_every: u64,
	pub(super) now: Ticks,
	pub(super) slowness: u64,
	pub(super) dice: u64,
	pub(super) is_over: bool,
	pub(super) autopilot_at: Ticks,
	/// When to ask whether it is a member still, if there is no leader.
	pub(super) ask_at: Ticks,
	pub(super) fetch: Option<Fetch>,
	/// Writes under way, oldest first.
	writes: VecDeque<UnderWay>,
	/// Where members are that are not in the configuration known here.
	routes: BTreeMap<MemberId, Node>,
	/// For whom the core reads, and which read it is there.
	asked: BTreeMap<ReadToken, (Node, u64)>,
	next_token: u64,
}

/// A snapshot that is being fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
	pub(super) pos: LogPos,
	pub(super) tries: u32,
	pub(super) until: Ticks,
}

#[derive(Debug)]
enum UnderWay {
	Begin,
	Core(PersistToken),
	Issue(u64),
}

/// How many nodes are asked for a snapshot.
const FETCH_TRIES: u32 = 4;

impl Seat {
	pub(super) fn recover(
		setup: &Setup,
		node: Node,
		identity: Identity,
		disk: &MemberDisk,
		seed: u64,
	) -> Result<Self, RecoverError> {
		let settings = setup.settings.clone();
		let mut raft = Raft::new(identity.member, settings, disk.recovered(), seed)?;
		raft.set_election_policy(super::joining::policy(setup.preferences[node]));
		Ok(Self {
			raft,
			node,
			snapshot_every: setup.snapshot_every,
			machine: Machine::new(disk.snapshot.clone()),
			client: Client::new(identity, disk),
			identity,
			now: 0,
			slowness: 0,
			dice: seed,
			is_over: false,
			autopilot_at: 0,
			ask_at: 0,
			fetch: None,
			writes: VecDeque::new(),
			routes: BTreeMap::new(),
			asked: BTreeMap::new(),
			next_token: 0,
		})
	}

	/// The first write of a new member.
	pub(super) fn begin(&mut self, snapshot: Snapshot, effects: &mut Effects) {
		self.writes.push_back(UnderWay::Begin);
		effects.push(Effect::Write(Write::Begin(
			self.identity,
			Box::new(snapshot),
		)));
	}

	/// Whether it leads.
	pub fn leads(&self) -> bool {
		self.raft.status().role == RoleKind::Leader
	}

	pub(super) fn roll(&mut self) -> u64 {
		self.dice = self
			.dice
			.wrapping_mul(0x5851_f42d_4c95_7f2d)
			.wrapping_add(1);
		(self.dice ^ (self.dice >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
	}

	pub(super) fn issue(&mut self, number: u64, value: u64, effects: &mut Effects) {
		self.writes.push_back(UnderWay::Issue(number));
		effects.push(Effect::Write(Write::Issue(number, value)));
	}

	pub(super) fn writes_under_way(&self) -> usize {
		self.writes.len()
	}

	pub(super) fn on_written(&mut self, setup: &Setup, effects: &mut Effects) {
		match self.writes.pop_front() {
			Some(UnderWay::Core(token)) => self.raft.on_persisted(token),
			Some(UnderWay::Issue(number)) => {
				self.client.on_written(number);
				self.push_commands(setup, effects);
			}
			Some(UnderWay::Begin) | None => {}
		}
	}

	pub(super) fn receive(
		&mut self,
		setup: &Setup,
		from: Node,
		mail: Mail,
		effects: &mut Effects,
		notes: &mut Vec<Note>,
	) {
		match mail {
			Mail::Frame(frame) => self.step(from, frame, notes),
			Mail::Forward { formation, batch } if formation == self.identity.formation => {
				// Who asked asks again.
				let _ = self.raft.propose(batch);
			}
			Mail::AskRead { formation, read } if formation == self.identity.formation => {
				self.ask_core(from, read, effects);
			}
			Mail::ReadAt {
				formation,
				read,
				index,
			} if formation == self.identity.formation => {
				self.client.on_read_at(read, index);
				self.answer_reads(notes);
			}
			Mail::Join { nonce } => self.admit(setup, from, nonce, effects),
			Mail::AmI { formation, member } if formation == self.identity.formation => {
				self.tell_removed(from, member, effects);
			}
			Mail::Fetch { formation, pos } => {
				let fails = self.roll().is_multiple_of(8);
				let is_here = formation == self.identity.formation && !fails;
				let snapshot = self.machine.snapshot(pos).filter(|_| is_here).map(Box::new);
				let extra = if snapshot.is_some() {
					self.roll() % 60_000
				} else {
					0
				};
				effects.push(Effect::Send {
					to: from,
					message: Mail::Fetched {
						formation,
						pos,
						snapshot,
					},
					extra,
				});
			}
			Mail::Fetched {
				formation,
				pos,
				snapshot,
			} if formation == self.identity.formation
				&& self.fetch.is_some_and(|fetch| fetch.pos == pos) =>
			{
				match snapshot {
					Some(snapshot) => self.on_fetched(*snapshot),
					None => self.fetch_elsewhere(setup, effects),
				}
			}
			_ => {}
		}
	}

	fn step(&mut self, from: Node, frame: Frame, notes: &mut Vec<Note>) {
		let Frame {
			formation,
			from: member,
			to,
			msg,
		} = frame;
		if formation != self.identity.formation || to != self.identity.member {
			return;
		}
		self.routes.insert(member, from);
		notes.push(Note::Stepped { formation, to });
		if let Msg::VoteReply(reply) = &msg
			&& reply.granted
		{
			let term = reply.term;
			notes.push(Note::VoteArrived { term, from: member });
		}
		if let Err(error) = self.raft.step(member, msg) {
			notes.push(Note::Refused {
				from: member,
				error,
			});
		}
	}

	/// Does what the core wants done, until there is nothing more.
	pub(super) fn perform(&mut self, setup: &Setup, effects: &mut Effects, notes: &mut Vec<Note>) {
		while let Some(ready) = self.raft.ready() {
			self.perform_one(setup, ready, effects, notes);
		}
	}

	fn perform_one(
		&mut self,
		setup: &Setup,
		ready: Ready,
		effects: &mut Effects,
		notes: &mut Vec<Note>,
	) {
		if let Some(persist) = ready.persist {
			let mut prefix = None;
			if let Some(install) = &persist.install {
				let pos = install.base.pos;
				prefix = self.machine.install(&install.base);
				notes.push(Note::LogFrom(pos.index + 1));
				match prefix {
					Some(prefix) => notes.push(Note::Installed { pos, prefix }),
					None => notes.push(Note::NoSnapshot(pos.index)),
				}
				self.client.on_state(&install.base.state, notes);
			}
			if let Some(base) = &persist.compact {
				prefix = self.machine.compacted(base);
				if prefix.is_none() {
					notes.push(Note::NoSnapshot(base.pos.index));
				}
			}
			if let Some(first) = persist.append.first() {
				notes.push(Note::LogFrom(first.pos.index));
			}
			self.writes.push_back(UnderWay::Core(persist.token));
			effects.push(Effect::Write(Write::Core(Box::new(persist), prefix)));
		}
		for (to, msg) in ready.send {
			promise(&msg, to, notes);
			if let Some(node) = self.route(setup, to) {
				let frame = Frame {
					formation: self.identity.formation,
					from: self.identity.member,
					to,
					msg,
				};
				effects.push(Effect::Send {
					to: node,
					message: Mail::Frame(frame),
					extra: 0,
				});
			}
		}
		if let Some(range) = ready.apply {
			self.machine.enqueue(range);
			self.apply(effects, notes);
		}
		for ReadDone { token, index } in ready.reads {
			let Some((node, read)) = self.asked.remove(&token) else {
				continue;
			};
			if node == self.node {
				self.client.on_read_at(read, index);
				self.answer_reads(notes);
				continue;
			}
			let formation = self.identity.formation;
			effects.push(Effect::Send {
				to: node,
				message: Mail::ReadAt {
					formation,
					read,
					index,
				},
				extra: 0,
			});
		}
		if let Some(fetch) = ready.fetch {
			self.fetch = Some(Fetch {
				pos: fetch.pos,
				tries: 0,
				until: self.now + setup.retry,
			});
			let node = self.route(setup, fetch.from);
			self.send_fetch(node, effects);
		}
		for event in ready.events {
			match event {
				CoreEvent::Leader { leader, .. } => {
					if leader.is_some() {
						self.client.retry_now(self.now);
					}
				}
				CoreEvent::Removed { .. } => self.is_over = true,
				CoreEvent::Poisoned(poison) => notes.push(Note::Poisoned(poison)),
				CoreEvent::Dropped { .. } => {}
			}
		}
	}

	/// Where a member runs.
	pub(super) fn route(&self, setup: &Setup, member: MemberId) -> Option<Node> {
		let config = &self.raft.log_state().config;
		match config.members.get(&member) {
			Some(info) => setup.node_of(&info.peer),
			None => self.routes.get(&member).copied(),
		}
	}

	/// Where the leader runs.
	pub(super) fn leader_node(&self, setup: &Setup) -> Option<Node> {
		self.route(setup, self.raft.status().leader?)
	}

	/// Asks the core up to where a read must have applied.
	pub(super) fn ask_core(&mut self, from: Node, read: u64, effects: &mut Effects) {
		self.next_token += 1;
		let token = ReadToken(self.next_token);
		if self.raft.read_index(token).is_ok() {
			self.asked.insert(token, (from, read));
			return;
		}
		if from == self.node {
			return;
		}
		let formation = self.identity.formation;
		effects.push(Effect::Send {
			to: from,
			message: Mail::ReadAt {
				formation,
				read,
				index: None,
			},
			extra: 0,
		});
	}

	fn send_fetch(&mut self, to: Option<Node>, effects: &mut Effects) {
		if let (Some(to), Some(fetch)) = (to, self.fetch) {
			let formation = self.identity.formation;
			effects.push(Effect::Send {
				to,
				message: Mail::Fetch {
					formation,
					pos: fetch.pos,
				},
				extra: 0,
			});
		}
	}

	/// The snapshot is not there, or does not come.
	pub(super) fn fetch_elsewhere(&mut self, setup: &Setup, effects: &mut Effects) {
		let Some(mut fetch) = self.fetch else {
			return;
		};
		fetch.tries += 1;
		fetch.until = self.now + setup.retry;
		self.fetch = Some(fetch);
		if fetch.tries >= FETCH_TRIES {
			self.fetch = None;
			self.raft
				.on_snapshot(mosaik_proto::groups::engine::SnapshotResult::Failed {
					pos: fetch.pos,
				});
			return;
		}
		let nodes = setup.peers.len() as u64;
		let node = usize::try_from(self.roll() % nodes).unwrap_or_default();
		self.send_fetch(Some(node), effects);
	}

	pub(super) fn on_tick(&mut self, setup: &Setup, effects: &mut Effects, notes: &mut Vec<Note>) {
		if self.fetch.is_some_and(|fetch| fetch.until <= self.now) {
			self.fetch_elsewhere(setup, effects);
		}
		if self.client.is_due(self.now) {
			self.push_commands(setup, effects);
			self.push_reads(setup, effects, notes);
		}
		if self.ask_at <= self.now {
			self.ask_whether_member(setup, effects);
		}
		if self.autopilot_at <= self.now {
			self.autopilot_at = self.now + setup.settings.heartbeat.max(50);
			self.autopilot(setup);
		}
	}

	pub(super) fn deadline(&self) -> Option<Ticks> {
		let fetch = self.fetch.map(|fetch| fetch.until);
		let autopilot = self.leads().then_some(self.autopilot_at);
		let ask = self.hears_nobody().then_some(self.ask_at);
		let times = [
			self.raft.next_wakeup(),
			fetch,
			autopilot,
			ask,
			self.client.deadline(),
		];
		times.into_iter().flatten().min()
	}
}

/// What a message promises.
fn promise(msg: &Msg, to: MemberId, notes: &mut Vec<Note>) {
	match msg {
		Msg::VoteReply(reply) if reply.granted => notes.push(Note::Voted {
			term: reply.term,
			candidate: to,
		}),
		Msg::Vote(request) => notes.push(Note::Stood { term: request.term }),
		Msg::AppendReply(reply) => {
			if let AppendOutcome::Matched(index) = reply.outcome {
				let term = reply.term;
				notes.push(Note::Matched { term, index });
			}
		}
		_ => {}
	}
}
