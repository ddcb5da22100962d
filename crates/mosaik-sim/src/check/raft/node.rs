//! One member: the core, what is on its disk, and what is on its way there.

use {
	crate::check::shared::{Mixer, Shared},
	mosaik_proto::{
		SecretKey,
		groups::{
			Config, ConfigChange, Engine, MemberInfo, Raft, Settings,
			engine::{
				HardState, Persist, PersistToken, ReadDone, ReadToken, RecoverError, Recovered,
				RoleKind,
			},
			entry::{Entry, Envelope},
			message::Msg,
			state::Base,
			types::{LogIndex, LogPos, MemberId, Nonce, Term},
		},
	},
	std::{
		collections::{HashMap, VecDeque},
		hash::{BuildHasherDefault, Hash, Hasher},
		sync::{Arc, RwLock},
	},
};

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
	/// Who sent it.
	pub from: MemberId,
	/// Who it is for.
	pub to: MemberId,
	/// What it says.
	pub msg: Msg,
}

/// What happens to a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stimulus {
	/// A message arrives.
	Deliver(Shared<Packet>),
	/// The election timer runs out, and a pre-vote follows.
	Expire,
	/// The election timer runs out, and the pre-vote is won: the member stands.
	Stand,
	/// The heartbeat is due.
	Beat,
	/// Nobody answered the leader for an election timeout.
	StepDown,
	/// A client hands in a new command.
	Propose,
	/// A client hands in its only command, which others may have been handed.
	Resend,
	/// It is to hand leadership over.
	Transfer(MemberId),
	/// A client asks for a strong read.
	Read(ReadToken),
	/// The configuration is to change.
	Change(Change),
	/// The oldest write is done.
	Persisted,
	/// The process ends and starts again with what is on its disk.
	Restart,
}

/// A change of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
	/// A learner joins.
	Add,
	/// A learner gets a vote.
	Promote(MemberId),
	/// A member goes.
	Remove(MemberId),
}

/// What is on a disk, after the genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Disk {
	hard_state: HardState,
	entries: Vec<Entry>,
}

impl Disk {
	fn write(&mut self, persist: Persist) {
		assert!(
			persist.install.is_none() && persist.compact.is_none(),
			"nothing is compacted here"
		);
		self.hard_state = persist.hard_state.unwrap_or(self.hard_state);
		if let Some(first) = persist.append.first().map(|entry| entry.pos.index) {
			self.entries.retain(|entry| entry.pos.index < first);
			self.entries.extend(persist.append);
		}
	}
}

/// What is looked at often.
#[derive(Clone, Debug)]
pub struct View {
	/// The term.
	pub term: Term,
	/// The role in it.
	pub role: RoleKind,
	/// What is committed as far as it knows.
	pub commit: LogIndex,
	/// The end of the log.
	pub last: LogPos,
	/// The configuration at the end of the log.
	pub config: Arc<Config>,
	/// Where that is.
	pub config_index: LogIndex,
	/// The term that is on disk.
	pub disk_term: Term,
	/// How many writes are under way.
	pub writes: usize,
	/// Whether it halted.
	pub poisoned: bool,
	/// The log after the genesis.
	pub log: Arc<[Entry]>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Node {
	raft: Raft,
	disk: Disk,
	writes: VecDeque<Persist>,
	/// What follows from the rest.
	pub view: View,
}

impl PartialEq for Node {
	fn eq(&self, other: &Self) -> bool {
		self.raft == other.raft && self.disk == other.disk && self.writes == other.writes
	}
}

impl Eq for Node {}

impl Hash for Node {
	fn hash<H: Hasher>(&self, state: &mut H) {
		self.raft.hash(state);
		self.disk.hash(state);
		for write in &self.writes {
			write.hard_state.hash(state);
			write.append.hash(state);
		}
	}
}

/// What a member did.
#[derive(Clone, Debug)]
pub struct Outcome {
	/// The member after it.
	pub node: Shared<Node>,
	/// What it sent.
	pub sent: Vec<Shared<Packet>>,
	/// What it applied.
	pub applied: Vec<Entry>,
	/// Which reads it answered.
	pub reads: Vec<ReadDone>,
	/// Why it refused a message, as that of a member that breaks the protocol, or
	/// its disk.
	pub refused: Option<String>,
}

type Memo = HashMap<(u64, u64), Option<Arc<Outcome>>, BuildHasherDefault<Mixer>>;

/// The members of a formation as functions of what happens to them. What was
/// computed once is remembered.
#[derive(Debug)]
pub struct Nodes {
	base: Base,
	settings: Settings,
	/// Whether a write is done as soon as it is begun.
	atomic: bool,
	known: RwLock<HashMap<u64, Shared<Node>, BuildHasherDefault<Mixer>>>,
	memo: RwLock<Memo>,
}

/// What is known of the `n`th node of the world.
pub fn info(n: u64) -> MemberInfo {
	let mut bytes = [7; 32];
	bytes[..8].copy_from_slice(&n.to_le_bytes());
	MemberInfo {
		peer: SecretKey::from_bytes(&bytes).public(),
		nonce: Nonce::from(u128::from(n)),
		preference: mosaik_proto::groups::types::LeadershipPreference::Normal,
	}
}

fn command(origin: MemberId, origin_seq: u64) -> Envelope {
	Envelope {
		origin,
		origin_seq,
		payload: Default::default(),
	}
}

impl Nodes {
	/// Members that begin after `genesis`.
	pub fn new(genesis: Config, settings: Settings, atomic: bool) -> Self {
		Self {
			base: Base::genesis(genesis),
			settings,
			atomic,
			known: RwLock::default(),
			memo: RwLock::default(),
		}
	}

	/// The genesis.
	pub const fn base(&self) -> &Base {
		&self.base
	}

	/// A member that begins with nothing but the genesis.
	pub fn fresh(&self, id: MemberId) -> Shared<Node> {
		let raft = self.recover(id, &Disk::default());
		let raft = raft.expect("an empty disk can be read");
		self.finish(id, raft, Disk::default(), VecDeque::new(), None)
			.node
			.clone()
	}

	fn recover(&self, id: MemberId, disk: &Disk) -> Result<Raft, RecoverError> {
		let recovered = Recovered {
			hard_state: disk.hard_state,
			base: self.base.clone(),
			entries: disk.entries.clone(),
		};
		Raft::new(id, self.settings.clone(), recovered, 0)
	}

	/// What `node` does, `None` if nothing can happen to it so.
	pub fn act(&self, id: MemberId, node: &Shared<Node>, what: &Stimulus) -> Option<Arc<Outcome>> {
		let mut mixer = Mixer::default();
		(id, what).hash(&mut mixer);
		let key = (node.digest(), mixer.finish());
		if let Some(known) = self.memo.read().expect("no holder panics").get(&key) {
			return known.clone();
		}
		let outcome = self.compute(id, node, what).map(Arc::new);
		let mut memo = self.memo.write().expect("no holder panics");
		memo.insert(key, outcome.clone());
		outcome
	}

	fn compute(&self, id: MemberId, node: &Node, what: &Stimulus) -> Option<Outcome> {
		let mut raft = node.raft.clone();
		let mut disk = node.disk.clone();
		let mut writes = node.writes.clone();
		let mut refused = None;
		match what {
			Stimulus::Deliver(packet) => {
				let result = raft.step(packet.from, packet.msg.clone());
				refused = result.err().map(|error| error.to_string());
			}
			Stimulus::Expire => raft.expire_election(),
			Stimulus::Stand => {
				// As if a leader had asked it to: candidates are then answered by
				// those, too, who heard a leader just now. That is more than can
				// happen, and safe all the same.
				let term = node.view.term;
				let anybody = MemberId::new(id.get() % 2 + 1)?;
				raft.step(anybody, Msg::TimeoutNow { term }).ok()?;
			}
			Stimulus::Beat => raft.expire_heartbeat(),
			Stimulus::StepDown => raft.expire_quorum(),
			Stimulus::Propose => {
				let session = raft.log_state().sessions.get(&id);
				let next = session.map_or(1, |session| session.last + 1);
				raft.propose(vec![command(id, next)]).ok()?;
			}
			Stimulus::Resend => {
				let first = MemberId::new(1)?;
				raft.propose(vec![command(first, 1)]).ok()?;
			}
			Stimulus::Transfer(to) => raft.transfer_leader(*to).ok()?,
			Stimulus::Read(token) => raft.read_index(*token).ok()?,
			Stimulus::Change(change) => {
				let change = match change {
					Change::Add => {
						// Different for each leader that adds one at this index.
						let n = (node.view.last.index + 1) * 100 + node.view.term;
						ConfigChange::AddLearner(info(n))
					}
					Change::Promote(member) => ConfigChange::Promote(*member),
					Change::Remove(member) => ConfigChange::Remove(*member),
				};
				raft.propose_config(change).ok()?;
			}
			Stimulus::Persisted => {
				disk.write(writes.pop_front()?);
				raft.on_persisted(PersistToken(1));
			}
			Stimulus::Restart => {
				match self.recover(id, &disk) {
					Ok(recovered) => raft = recovered,
					Err(error) => refused = Some(error.to_string()),
				}
				writes.clear();
			}
		}
		Some(self.finish(id, raft, disk, writes, refused))
	}

	/// Takes and does all that a core wants done.
	fn finish(
		&self,
		id: MemberId,
		mut raft: Raft,
		mut disk: Disk,
		mut writes: VecDeque<Persist>,
		refused: Option<String>,
	) -> Outcome {
		let (mut sent, mut applied, mut reads) = (Vec::new(), Vec::new(), Vec::new());
		while let Some(ready) = raft.ready() {
			if let Some(mut persist) = ready.persist {
				if self.atomic {
					let token = persist.token;
					disk.write(persist);
					raft.on_persisted(token);
				} else {
					persist.token = PersistToken::default();
					writes.push_back(persist);
				}
			}
			let packet = |(to, msg)| Packet { from: id, to, msg };
			sent.extend(ready.send.into_iter().map(packet).map(Shared::new));
			if let Some(range) = ready.apply {
				let until = *range.end();
				applied.extend(raft.entries(range).cloned());
				raft.on_applied(until);
			}
			reads.extend(ready.reads);
		}
		raft.normalize();
		let status = raft.status();
		let log = raft.entries(self.base.pos.index + 1..=status.last.index);
		let view = View {
			term: status.term,
			role: status.role,
			commit: status.commit,
			last: status.last,
			config_index: status.config_index,
			disk_term: disk.hard_state.term,
			writes: writes.len(),
			poisoned: status.poisoned.is_some(),
			log: log.cloned().collect(),
			config: status.config,
		};
		let node = Shared::new(Node {
			raft,
			disk,
			writes,
			view,
		});
		let mut known = self.known.write().expect("no holder panics");
		let shared = known.entry(node.digest()).or_insert_with(|| node.clone());
		assert!(*shared == node, "two members have one hash");
		let node = shared.clone();
		Outcome {
			node,
			sent,
			applied,
			reads,
			refused,
		}
	}
}
