//! What a member has on its disk.

use {
	super::machine::Prefix,
	crate::lossy::Disk,
	mosaik_proto::groups::{
		Config,
		engine::{HardState, Persist, Recovered},
		entry::Entry,
		state::{Base, LogState},
		types::{FormationId, LogIndex, LogPos, MemberId, Nonce, Term},
	},
	std::collections::VecDeque,
};

/// Who a member is: written once, before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
	/// Of what.
	pub formation: FormationId,
	/// Its id there.
	pub member: MemberId,
	/// The lifetime of its storage.
	pub nonce: Nonce,
}

/// A state of the machine with the group's part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
	/// The group's part.
	pub base: Base,
	/// The machine's.
	pub prefix: Prefix,
}

/// The disk of a member.
#[derive(Clone, Debug)]
pub struct MemberDisk {
	/// Who it is; nobody before it joined.
	pub identity: Option<Identity>,
	/// Its term and vote.
	pub hard_state: HardState,
	/// Where its log begins.
	pub snapshot: Snapshot,
	/// Its log.
	pub entries: VecDeque<Entry>,
	/// Its own commands that may not be in the log yet, with their numbers.
	pub issued: VecDeque<(u64, u64)>,
	/// The number of the last of them, ever.
	pub last_issued: u64,
}

/// A write.
#[derive(Debug)]
pub enum Write {
	/// A member begins.
	Begin(Identity, Box<Snapshot>),
	/// What the core wants written, with the machine's part of a snapshot in it.
	Core(Box<Persist>, Option<Prefix>),
	/// A command that is going to be sent.
	Issue(u64, u64),
}

impl Default for MemberDisk {
	fn default() -> Self {
		Self {
			identity: None,
			hard_state: HardState::default(),
			snapshot: Snapshot::nothing(),
			entries: VecDeque::new(),
			issued: VecDeque::new(),
			last_issued: 0,
		}
	}
}

impl Snapshot {
	/// The state of who has joined and knows nothing yet.
	pub fn nothing() -> Self {
		let nobody = Config {
			voters: Default::default(),
			members: Default::default(),
		};
		Self {
			base: Base {
				pos: LogPos::default(),
				state: LogState::genesis(nobody),
			},
			prefix: Prefix::EMPTY,
		}
	}
}

impl MemberDisk {
	/// What a member goes on with.
	pub fn recovered(&self) -> Recovered {
		Recovered {
			hard_state: self.hard_state,
			base: self.snapshot.base.clone(),
			entries: self.entries.iter().cloned().collect(),
		}
	}

	/// The term of the entry at `index`, if that is here.
	pub fn term_at(&self, index: LogIndex) -> Option<Term> {
		let base = self.snapshot.base.pos;
		if index <= base.index {
			return (index == base.index).then_some(base.term);
		}
		let offset = usize::try_from(index - base.index - 1).ok()?;
		self.entries.get(offset).map(|entry| entry.pos.term)
	}

	/// Whether the log on disk reaches to `index`.
	pub fn reaches(&self, index: LogIndex) -> bool {
		index <= self.snapshot.base.pos.index + self.entries.len() as u64
	}

	fn drop_up_to(&mut self, index: LogIndex) {
		while self
			.entries
			.front()
			.is_some_and(|entry| entry.pos.index <= index)
		{
			self.entries.pop_front();
		}
	}

	fn persist(&mut self, persist: Persist, prefix: Option<Prefix>) {
		if let Some(hard_state) = persist.hard_state {
			self.hard_state = hard_state;
		}
		if let Some(install) = persist.install {
			if install.reset {
				self.entries.clear();
			}
			self.drop_up_to(install.base.pos.index);
			self.snapshot = Snapshot {
				base: install.base,
				prefix: prefix.unwrap_or(Prefix::EMPTY),
			};
		}
		if let Some(base) = persist.compact {
			self.drop_up_to(base.pos.index);
			self.snapshot = Snapshot {
				base,
				prefix: prefix.unwrap_or(Prefix::EMPTY),
			};
		}
		if let Some(first) = persist.append.first() {
			while self
				.entries
				.back()
				.is_some_and(|entry| entry.pos.index >= first.pos.index)
			{
				self.entries.pop_back();
			}
			self.entries.extend(persist.append);
		}
		let last = self.snapshot.base.state.sessions.iter();
		let own = self.identity.map(|identity| identity.member);
		let done = last
			.filter(|(member, _)| Some(**member) == own)
			.map(|(_, session)| session.last)
			.next();
		while self
			.issued
			.front()
			.is_some_and(|(number, _)| Some(*number) <= done)
		{
			self.issued.pop_front();
		}
	}
}

impl Disk for MemberDisk {
	type Write = Write;

	fn write(&mut self, write: Write) {
		match write {
			Write::Begin(identity, snapshot) => {
				*self = Self {
					identity: Some(identity),
					snapshot: *snapshot,
					..Self::default()
				};
			}
			Write::Core(persist, prefix) => self.persist(*persist, prefix),
			Write::Issue(number, value) => {
				self.issued.push_back((number, value));
				self.last_issued = number;
			}
		}
	}
}
