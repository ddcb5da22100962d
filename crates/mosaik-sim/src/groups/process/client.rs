//! Commands and strong reads of the users of a node, until they are done.
//!
//! A command is on disk before it is sent for the first time, with its number: a
//! member that restarts goes on with its old commands under their old numbers and
//! never gives a number to two commands.

use {
	super::{Effects, Seat, Setup},
	crate::{
		groups::{
			disk::{Identity, MemberDisk},
			machine::{command, value_of},
			mail::Mail,
			note::Note,
		},
		lossy::Effect,
	},
	mosaik_proto::groups::{
		Engine,
		entry::Envelope,
		state::LogState,
		types::{LogIndex, MemberId, Seq, Ticks},
	},
	std::collections::{BTreeMap, VecDeque},
};

/// The most commands of a node that are not done.
const MAX_COMMANDS: usize = 32;
/// The most of them that are sent at once.
const MAX_BATCH: usize = 16;
/// The most strong reads of a node that are not answered.
const MAX_READS: usize = 16;
/// After how many retries a strong read is given up.
const READ_PATIENCE: u64 = 20;

/// See the module.
#[derive(Debug)]
pub struct Client {
	own: MemberId,
	commands: VecDeque<Command>,
	last: u64,
	reads: BTreeMap<u64, Read>,
	retry_at: Ticks,
	retry: Ticks,
}

#[derive(Clone, Copy, Debug)]
struct Command {
	number: u64,
	value: u64,
	is_written: bool,
}

#[derive(Clone, Copy, Debug)]
struct Read {
	until: Ticks,
	index: Option<LogIndex>,
}

impl Client {
	pub(super) fn new(identity: Identity, disk: &MemberDisk) -> Self {
		let commands = disk.issued.iter().map(|&(number, value)| Command {
			number,
			value,
			is_written: true,
		});
		Self {
			own: identity.member,
			commands: commands.collect(),
			last: disk.last_issued,
			reads: BTreeMap::new(),
			retry_at: 0,
			retry: 100,
		}
	}

	pub(super) fn on_written(&mut self, number: u64) {
		let mut commands = self.commands.iter_mut();
		if let Some(command) = commands.find(|command| command.number == number) {
			command.is_written = true;
		}
	}

	/// A command of this member was applied, as the `index`th of all.
	pub(super) fn on_applied(&mut self, envelope: &Envelope, index: Seq, notes: &mut Vec<Note>) {
		let number = envelope.origin_seq;
		let Some(at) = self
			.commands
			.iter()
			.position(|command| command.number == number)
		else {
			return;
		};
		let Some(Command { value, .. }) = self.commands.remove(at) else {
			return;
		};
		if value_of(&envelope.payload) == value {
			let index = Some(index);
			notes.push(Note::Done { value, index });
		} else {
			notes.push(Note::Stolen { number, value });
		}
	}

	/// The machine jumped to this state.
	pub(super) fn on_state(&mut self, state: &LogState, notes: &mut Vec<Note>) {
		let Some(session) = state.sessions.get(&self.own) else {
			return;
		};
		while let Some(command) = self.commands.front()
			&& command.number <= session.last
		{
			let index = session.seq_of(command.number);
			let value = command.value;
			notes.push(Note::Done { value, index });
			self.commands.pop_front();
		}
	}

	pub(super) fn on_read_at(&mut self, read: u64, index: Option<LogIndex>) {
		if let Some(read) = self.reads.get_mut(&read)
			&& read.index.is_none()
		{
			read.index = index;
		}
	}

	pub(super) fn retry_now(&mut self, now: Ticks) {
		self.retry_at = self.retry_at.min(now);
	}

	pub(super) fn is_due(&self, now: Ticks) -> bool {
		self.deadline().is_some_and(|at| at <= now)
	}

	pub(super) fn deadline(&self) -> Option<Ticks> {
		let is_idle = self.commands.is_empty() && self.reads.is_empty();
		(!is_idle).then_some(self.retry_at)
	}

	/// Commands that are not done and reads that are not answered.
	pub fn waiting(&self) -> usize {
		self.commands.len() + self.reads.len()
	}
}

impl Seat {
	/// A user issues a command; `false` if too many are waiting.
	pub fn append(&mut self, setup: &Setup, value: u64, effects: &mut Effects) -> bool {
		if self.client.commands.len() >= MAX_COMMANDS {
			return false;
		}
		self.client.last += 1;
		self.client.retry = setup.retry;
		let number = self.client.last;
		self.client.commands.push_back(Command {
			number,
			value,
			is_written: false,
		});
		self.issue(number, value, effects);
		true
	}

	/// A user reads; `false` if too many reads are waiting.
	pub fn read(&mut self, setup: &Setup, read: u64, effects: &mut Effects) -> bool {
		if self.client.reads.len() >= MAX_READS {
			return false;
		}
		let until = self.now + setup.retry * READ_PATIENCE;
		self.client.reads.insert(read, Read { until, index: None });
		self.ask_read(setup, read, effects);
		true
	}

	/// Sends what is written and not done, the oldest first.
	pub(super) fn push_commands(&mut self, setup: &Setup, effects: &mut Effects) {
		self.client.retry_at = self.now + setup.retry;
		let own = self.client.own;
		let written = self
			.client
			.commands
			.iter()
			.take_while(|command| command.is_written);
		let batch: Vec<Envelope> = written
			.take(MAX_BATCH)
			.map(|sent| Envelope {
				origin: own,
				origin_seq: sent.number,
				payload: command(sent.value),
			})
			.collect();
		if batch.is_empty() {
			return;
		}
		if self.leads() {
			// What is refused is proposed again.
			let _ = self.raft.propose(batch);
		} else if let Some(to) = self.leader_node(setup) {
			let formation = self.identity.formation;
			effects.push(Effect::Send {
				to,
				message: Mail::Forward { formation, batch },
				extra: 0,
			});
		}
	}

	/// Asks again what was not answered, and gives up what is too old.
	pub(super) fn push_reads(
		&mut self,
		setup: &Setup,
		effects: &mut Effects,
		notes: &mut Vec<Note>,
	) {
		self.client.retry_at = self.now + setup.retry;
		let now = self.now;
		self.client.reads.retain(|&read, state| {
			let stays = state.until > now;
			if !stays {
				notes.push(Note::ReadFailed { read });
			}
			stays
		});
		let open = self
			.client
			.reads
			.iter()
			.filter(|(_, state)| state.index.is_none());
		let open: Vec<u64> = open.map(|(&read, _)| read).collect();
		for read in open {
			self.ask_read(setup, read, effects);
		}
	}

	fn ask_read(&mut self, setup: &Setup, read: u64, effects: &mut Effects) {
		if self.leads() {
			self.ask_core(self.node, read, effects);
		} else if let Some(to) = self.leader_node(setup) {
			let formation = self.identity.formation;
			effects.push(Effect::Send {
				to,
				message: Mail::AskRead { formation, read },
				extra: 0,
			});
		}
	}

	/// Answers reads that have waited for the machine.
	pub(super) fn answer_reads(&mut self, notes: &mut Vec<Note>) {
		let (applied, prefix) = (self.machine.index, self.machine.prefix);
		self.client.reads.retain(|&read, state| {
			let is_done = state.index.is_some_and(|index| index <= applied);
			if is_done {
				notes.push(Note::Read { read, prefix });
			}
			!is_done
		});
	}
}
