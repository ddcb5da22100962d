//! What a node has on its disk.

use {
	super::machine::Machine,
	crate::lossy::Disk,
	mosaik_proto::groups::{
		engine::{Persist, Recovered},
		entry::Entry,
		replica::{Stored, WriteKind},
	},
};

/// The disk of a node: its membership, and its machine as of the beginning of its
/// log.
#[derive(Clone, Debug)]
pub(super) struct Storage {
	/// What the replica finds.
	pub(super) stored: Stored,
	/// The machine at the base of the log.
	pub(super) machine: Machine,
}

impl Default for Storage {
	fn default() -> Self {
		Self {
			stored: Stored::Empty,
			machine: Machine::default(),
		}
	}
}

/// A write of the replica, with the machine where it is a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Writing {
	/// What the replica wants written.
	pub(super) kind: WriteKind,
	/// The machine at the new beginning of the log.
	pub(super) machine: Option<Machine>,
}

impl Disk for Storage {
	type Write = Writing;

	fn write(&mut self, writing: Writing) {
		if let Some(machine) = writing.machine {
			self.machine = machine;
		}
		match writing.kind {
			WriteKind::Pledge { nonce, pledge } => {
				self.stored =
					pledge.map_or(Stored::Empty, |pledge| Stored::Pledged { nonce, pledge });
			}
			WriteKind::Begin {
				identity,
				hard_state,
				base,
			} => match &mut self.stored {
				Stored::Member {
					identity: known, ..
				} if (known.formation, known.member) == (identity.formation, identity.member) => {
					*known = identity;
				}
				stored => {
					let recovered = Recovered {
						hard_state,
						base,
						entries: Vec::new(),
					};
					*stored = Stored::Member {
						identity,
						recovered,
					};
					self.machine = Machine::default();
				}
			},
			WriteKind::Engine(persist) => self.engine(persist),
			WriteKind::Wipe => *self = Self::default(),
		}
	}
}

impl Storage {
	fn engine(&mut self, persist: Persist) {
		let Stored::Member { recovered, .. } = &mut self.stored else {
			return;
		};
		if let Some(hard_state) = persist.hard_state {
			recovered.hard_state = hard_state;
		}
		if let Some(install) = persist.install {
			let index = install.base.pos.index;
			let keep = |entry: &Entry| !install.reset && entry.pos.index > index;
			recovered.entries.retain(keep);
			recovered.base = install.base;
		}
		if let Some(base) = persist.compact {
			recovered
				.entries
				.retain(|entry| entry.pos.index > base.pos.index);
			recovered.base = base;
		}
		if let Some(first) = persist.append.first().map(|entry| entry.pos.index) {
			recovered.entries.retain(|entry| entry.pos.index < first);
			recovered.entries.extend(persist.append);
		}
	}
}
