//! A node: a replica with its disk, its machine and its snapshots.

use {
	super::{
		machine::Machine,
		storage::{Storage, Writing},
	},
	crate::{
		linearizability::models::log::Prefix,
		lossy::{Effect, Effects, Input as Happening, Message as Travels, Node, Process},
	},
	bytes::Bytes,
	mosaik_proto::{
		PeerId,
		core::{Core, Instant, Now},
		groups::{
			config::Config,
			entry::{Entry, EntryKind},
			replica::{
				CallId, Event, Identity, Input, Message, Outcome, Output, Replica, Stored,
				WriteKind,
			},
			state::Base,
			types::{FormationId, LogIndex, LogPos, Ticks},
		},
	},
	std::{
		collections::{BTreeMap, VecDeque},
		ops::RangeInclusive,
		sync::Arc,
	},
};

/// How long a snapshot is waited for, in microseconds.
const FETCH_TIMEOUT: u64 = 3_000_000;

/// Marks the tokens of fetches among those of applications.
const FETCH: u64 = 1 << 63;

/// What travels between nodes.
#[derive(Clone, Debug)]
pub(super) enum Mail {
	/// A message of a replica.
	Bond(Message),
	/// A snapshot is wanted.
	Fetch {
		/// Of which formation.
		formation: FormationId,
		/// Which.
		pos: LogPos,
	},
	/// Here it is, if there is one.
	Snapshot {
		/// Of which formation.
		formation: FormationId,
		/// Which.
		pos: LogPos,
		/// What it contains.
		content: Option<(Base, Machine)>,
	},
}

impl Travels for Mail {
	fn fingerprint(&self) -> u64 {
		match self {
			Self::Bond(Message::Engine(frame)) => {
				frame.msg.term().unwrap_or(0) << 8 | frame.to.get() & 0xff
			}
			Self::Bond(message) => {
				mosaik_proto::wire::try_serialize(message).map_or(0, |bytes| bytes.len() as u64)
			}
			Self::Fetch { pos, .. } | Self::Snapshot { pos, .. } => pos.index,
		}
	}

	fn is_reliable(&self) -> bool {
		!matches!(self, Self::Bond(Message::Engine(_)))
	}
}

/// What an observer learns of a node.
#[derive(Clone, Debug)]
pub(super) enum Note {
	/// A formation begins, or began, with these founders.
	Begun(FormationId, Arc<Config>),
	/// Entries were handed to the machine.
	Applied(Identity, Vec<Entry>),
	/// A snapshot took the place of the machine.
	Restored(Identity, Base, Prefix),
	/// A request is answered; with what the machine shows at that moment.
	Done(CallId, Outcome, Prefix),
	/// The user was told something.
	Event(Event),
	/// The membership is over.
	Reset,
}

/// Who is who.
#[derive(Debug)]
pub(super) struct Directory {
	/// The id of each node.
	pub(super) peers: Vec<PeerId>,
	/// The node of each id.
	pub(super) nodes: BTreeMap<PeerId, Node>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Host {
	/// The replica.
	pub(super) replica: Replica,
	/// The machine of its user.
	pub(super) machine: Machine,
	/// What happened since the observer looked.
	pub(super) notes: Vec<Note>,
	directory: Arc<Directory>,
	is_durable: bool,
	/// How long the machine takes to apply, in microseconds; 0: no time.
	apply_micros: u64,
	compact_every: u64,
	/// Writes that are under way, oldest first: their tokens.
	writing: VecDeque<u64>,
	applying: VecDeque<(Identity, LogIndex)>,
	/// Up to where the machine has applied.
	applied: LogIndex,
	fetching: Option<(Identity, LogPos)>,
	/// Numbers the fetches, to know which one takes too long.
	fetches: u64,
	fetched: Option<(LogPos, Machine)>,
	snapshots: BTreeMap<(FormationId, LogIndex), (Base, Machine)>,
}

/// How a node is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Make {
	/// Whether its disk survives.
	pub(super) is_durable: bool,
	/// How long its machine takes to apply.
	pub(super) apply_micros: u64,
	/// After how many entries it takes a snapshot.
	pub(super) compact_every: u64,
}

impl Host {
	/// A node that starts with what is on its disk.
	pub(super) fn new(
		directory: Arc<Directory>,
		make: Make,
		storage: &Storage,
		replica: Replica,
	) -> Self {
		let mut snapshots = BTreeMap::new();
		let mut applied = 0;
		if let Stored::Member {
			identity,
			recovered,
		} = &storage.stored
		{
			applied = recovered.base.pos.index;
			let content = (recovered.base.clone(), storage.machine.clone());
			snapshots.insert((identity.formation, applied), content);
		}
		Self {
			replica,
			machine: storage.machine.clone(),
			notes: Vec::new(),
			directory,
			is_durable: make.is_durable,
			apply_micros: make.apply_micros,
			compact_every: make.compact_every,
			writing: VecDeque::new(),
			applying: VecDeque::new(),
			applied,
			fetching: None,
			fetches: 0,
			fetched: None,
			snapshots,
		}
	}

	/// Something happens to the replica.
	pub(super) fn tell(&mut self, now: Ticks, input: Input, effects: &mut Effects<Self>) {
		self.replica.handle(at(now), input);
		self.pump(now, effects);
	}

	fn pump(&mut self, now: Ticks, effects: &mut Effects<Self>) {
		while let Some(output) = self.replica.poll() {
			self.perform(now, output, effects);
		}
	}

	fn perform(&mut self, now: Ticks, output: Output, effects: &mut Effects<Self>) {
		match output {
			Output::Send { to, message } => {
				if let Some(&to) = self.directory.nodes.get(&to) {
					let message = Mail::Bond(message);
					let extra = 0;
					effects.push(Effect::Send { to, message, extra });
				}
			}
			Output::Write(write) => self.write(write.token, write.kind, now, effects),
			Output::Apply { of, range } => self.apply(of, range, now, effects),
			Output::Fetch { of, from, pos } => {
				self.fetching = Some((of, pos));
				if let Some(&to) = self.directory.nodes.get(&from) {
					let formation = of.formation;
					let message = Mail::Fetch { formation, pos };
					let extra = 0;
					effects.push(Effect::Send { to, message, extra });
				}
				self.fetches += 1;
				let token = FETCH | self.fetches;
				let micros = FETCH_TIMEOUT;
				effects.push(Effect::Work { token, micros });
			}
			Output::Reset { .. } => {
				self.notes.push(Note::Reset);
				self.machine = Machine::default();
				self.applied = 0;
				self.fetching = None;
				self.snapshots.clear();
			}
			Output::Done { call, outcome } => {
				self.notes
					.push(Note::Done(call, outcome, self.machine.digest));
			}
			Output::Event(event) => self.notes.push(Note::Event(event)),
		}
	}

	/// Notes who founded a formation, if this is where its log begins.
	fn begun(&mut self, formation: FormationId, base: &Base) {
		let founders = &base.state.config;
		// No leader has the term 0.
		if base.pos.term == 0 && base.pos.index > 0 {
			let note = Note::Begun(formation, Arc::clone(founders));
			self.notes.push(note);
		}
	}

	fn write(&mut self, token: u64, kind: WriteKind, now: Ticks, effects: &mut Effects<Self>) {
		let mut machine = None;
		if let WriteKind::Begin { identity, base, .. } = &kind {
			self.begun(identity.formation, base);
		}
		if let WriteKind::Engine(persist) = &kind {
			if let Some(install) = &persist.install
				&& let Some((pos, restored)) = self.fetched.take()
				&& pos == install.base.pos
				&& let Some((of, _)) = self.replica.engine()
			{
				self.machine = restored.clone();
				self.applied = self.applied.max(pos.index);
				let content = (install.base.clone(), restored.clone());
				self.snapshots.insert((of.formation, pos.index), content);
				let shows = restored.digest;
				self.notes
					.push(Note::Restored(of, install.base.clone(), shows));
				machine = Some(restored);
			}
			if let Some(base) = &persist.compact
				&& let Some((of, _)) = self.replica.engine()
			{
				let snapshot = self.snapshots.get(&(of.formation, base.pos.index));
				machine = snapshot.map(|(_, machine)| machine.clone());
			}
		}
		if self.is_durable {
			self.writing.push_back(token);
			effects.push(Effect::Write(Writing { kind, machine }));
		} else {
			self.replica.handle(at(now), Input::Written { token });
		}
	}

	fn apply(
		&mut self,
		of: Identity,
		range: RangeInclusive<LogIndex>,
		now: Ticks,
		effects: &mut Effects<Self>,
	) {
		let index = *range.end();
		if self.apply_micros == 0 && self.applying.is_empty() {
			return self.applied(of, index, now);
		}
		self.applying.push_back((of, index));
		let micros = self.apply_micros;
		effects.push(Effect::Work {
			token: index,
			micros,
		});
	}

	/// The machine applies everything up to `index`.
	fn applied(&mut self, of: Identity, index: LogIndex, now: Ticks) {
		if self
			.replica
			.engine()
			.is_none_or(|(current, _)| current != of)
		{
			return;
		}
		let first = self.applied + 1;
		if index < first {
			return;
		}
		let entries: Vec<Entry> = self.replica.entries(first..=index).cloned().collect();
		for entry in &entries {
			if let EntryKind::Commands(batch) = &entry.kind {
				for envelope in batch.iter() {
					self.machine.push(value(&envelope.payload));
				}
			}
		}
		self.applied = index;
		self.notes.push(Note::Applied(of, entries));
		self.replica.handle(at(now), Input::Applied { of, index });
		self.snapshot(of, index, now);
	}

	/// Takes a snapshot, if there is enough to forget.
	fn snapshot(&mut self, of: Identity, index: LogIndex, now: Ticks) {
		let Some((_, raft)) = self.replica.engine() else {
			return;
		};
		if index < raft.base().pos.index + self.compact_every {
			return;
		}
		let key = (of.formation, index);
		// The machine comes first: the write that forgets the log needs it.
		let blank = (Base::blank(), self.machine.clone());
		self.snapshots.insert(key, blank);
		self.replica
			.handle(at(now), Input::Snapshotted { of, index });
		let base = self.replica.engine().map(|(_, raft)| raft.base().clone());
		match base.filter(|base| base.pos.index == index) {
			Some(base) => {
				if let Some(snapshot) = self.snapshots.get_mut(&key) {
					snapshot.0 = base;
				}
			}
			None => {
				self.snapshots.remove(&key);
			}
		}
		while self.snapshots.len() > 2 {
			self.snapshots.pop_first();
		}
	}

	/// The machine before the first command, where the log still begins there.
	fn beginning(&self, formation: FormationId) -> Option<(Base, Machine)> {
		let (of, raft) = self.replica.engine()?;
		let is_it = of.formation == formation && raft.base().state.seq == 0;
		is_it.then(|| (raft.base().clone(), Machine::default()))
	}

	fn on_mail(&mut self, from: Node, mail: Mail, now: Ticks, effects: &mut Effects<Self>) {
		match mail {
			Mail::Bond(message) => {
				let from = self.directory.peers[from];
				self.replica
					.handle(at(now), Input::Message { from, message });
			}
			Mail::Fetch { formation, pos } => {
				let found = self.snapshots.get(&(formation, pos.index)).cloned();
				let found = found.or_else(|| self.beginning(formation));
				let content = found.filter(|(base, _)| base.pos == pos);
				let message = Mail::Snapshot {
					formation,
					pos,
					content,
				};
				effects.push(Effect::Send {
					to: from,
					message,
					extra: 20_000,
				});
			}
			Mail::Snapshot {
				formation,
				pos,
				content,
			} => {
				let Some((of, wanted)) = self.fetching else {
					return;
				};
				if (of.formation, wanted) != (formation, pos) {
					return;
				}
				self.fetching = None;
				let input = match content {
					Some((base, machine)) => {
						self.fetched = Some((pos, machine));
						Input::Fetched { of, base }
					}
					None => Input::FetchFailed { of, pos },
				};
				self.replica.handle(at(now), input);
			}
		}
	}
}

impl Process for Host {
	type Disk = Storage;
	type Message = Mail;

	fn handle(&mut self, now: Ticks, input: Happening<Mail>, effects: &mut Effects<Self>) {
		match input {
			Happening::Tick => self.replica.handle(at(now), Input::Tick),
			Happening::Message { from, message } => self.on_mail(from, message, now, effects),
			Happening::Written => {
				if let Some(token) = self.writing.pop_front() {
					self.replica.handle(at(now), Input::Written { token });
				}
			}
			Happening::Done(token) if token & FETCH != 0 => {
				if let Some((of, pos)) = self.fetching
					&& self.fetches == token & !FETCH
				{
					self.fetching = None;
					self.replica.handle(at(now), Input::FetchFailed { of, pos });
				}
			}
			Happening::Done(_) => {
				if let Some((of, index)) = self.applying.pop_front() {
					self.applied(of, index, now);
				}
			}
		}
		self.pump(now, effects);
	}

	fn deadline(&self) -> Option<Ticks> {
		// A part of a millisecond is not over before the next one.
		self.replica.deadline().map(|at| at.0.div_ceil(1000))
	}
}

/// The time, as a replica is told it.
pub(super) const fn at(now: Ticks) -> Now {
	Now {
		mono: Instant(now * 1000),
		wall_ms: 0,
	}
}

/// The command that appends a value.
pub(super) fn payload(value: u64) -> Bytes {
	Bytes::copy_from_slice(&value.to_le_bytes())
}

fn value(payload: &[u8]) -> u64 {
	payload.try_into().map_or(0, u64::from_le_bytes)
}
