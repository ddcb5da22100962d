//! What a log is made of.

use {
	super::{
		config::Config,
		types::{FormationId, LogPos, MAX_NUMBER, MemberId, Seq},
	},
	bytes::Bytes,
	serde::{
		Deserialize, Deserializer, Serialize,
		de::{SeqAccess, Visitor},
	},
	std::{fmt, marker::PhantomData, ops::Deref, sync::Arc},
};

/// An entry of the log. Cloning shares what it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
	/// Where it is.
	pub pos: LogPos,
	/// How many user commands there are up to the end of this entry.
	pub seq_end: Seq,
	/// What it does.
	pub kind: EntryKind,
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
	/// Nothing: the first entry of a term, whose commit commits all before it.
	Noop,
	/// Commands of users, applied in order.
	Commands(#[serde(deserialize_with = "growing")] Arc<[Envelope]>),
	/// The configuration from here on, active as soon as it is in a log.
	Config(Arc<Config>),
	/// A step in the life of the formation as a whole.
	Formation(FormationEntry),
}

/// A command with its sender, so that it takes effect once however often it is
/// sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Envelope {
	/// The member that issued the command.
	pub origin: MemberId,
	/// The number of the command among those of its origin, from 1, without gaps;
	/// a process that starts again with its storage goes on in a higher
	/// [epoch](super::state::EPOCH_SHIFT), because it does not know what of its last
	/// life may still arrive.
	pub origin_seq: u64,
	/// The command.
	pub payload: Bytes,
}

/// A step in the life of a formation. Each is an entry of that formation's own
/// log, so that it survives changes of leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FormationEntry {
	/// The formation asks to be absorbed by another; until the attempt ends it
	/// absorbs nobody itself.
	Yielding {
		/// Into which.
		into: FormationId,
		/// The number of the attempt, from 1.
		attempt: u64,
	},
	/// The attempt came to nothing.
	YieldAborted {
		/// Which.
		attempt: u64,
	},
	/// The formation takes in the members of another one, unless it is yielding
	/// itself at this position.
	Absorb {
		/// Whose.
		from: FormationId,
		/// The attempt of that formation.
		attempt: u64,
	},
	/// The formation ends here; its members join the other one.
	Dissolve {
		/// Which.
		into: FormationId,
		/// The attempt that was accepted.
		attempt: u64,
	},
	/// The formation ends here, without a successor.
	Close,
}

/// Decodes a list with room for what is there, whatever length it claims to have.
pub(super) fn growing<'de, D, T, L>(deserializer: D) -> Result<L, D::Error>
where
	D: Deserializer<'de>,
	T: Deserialize<'de>,
	L: From<Vec<T>> + Deref<Target = [T]>,
{
	struct Growing<T>(PhantomData<T>);

	impl<'de, T: Deserialize<'de>> Visitor<'de> for Growing<T> {
		type Value = Vec<T>;

		fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
			f.write_str("a list")
		}

		fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
			let mut items = Vec::new();
			while let Some(item) = list.next_element()? {
				items.push(item);
			}
			Ok(items)
		}
	}

	deserializer
		.deserialize_seq(Growing(PhantomData))
		.map(L::from)
}

/// Room for the parts of an entry that are not payload, in the sums that limits
/// apply to.
const OVERHEAD: usize = 48;

impl Entry {
	/// About how much room the entry takes, in memory and in a message.
	pub fn size(&self) -> usize {
		OVERHEAD
			+ match &self.kind {
				EntryKind::Commands(batch) => batch.iter().map(Envelope::size).sum(),
				EntryKind::Config(config) => OVERHEAD * config.members.len(),
				EntryKind::Noop | EntryKind::Formation(_) => 0,
			}
	}

	/// What holds of every entry, whatever log it is of: its numbers can be counted
	/// on from, and its configuration is one.
	pub fn is_plausible(&self) -> bool {
		let of_kind = match &self.kind {
			EntryKind::Commands(batch) => {
				batch.iter().all(|command| command.origin_seq <= MAX_NUMBER)
			}
			EntryKind::Config(config) => config.is_valid(),
			EntryKind::Formation(FormationEntry::Yielding { attempt, .. }) => {
				*attempt <= MAX_NUMBER
			}
			EntryKind::Noop | EntryKind::Formation(_) => true,
		};
		self.pos.is_plausible() && self.seq_end <= MAX_NUMBER && of_kind
	}

	/// How many user commands the entry carries.
	pub fn commands(&self) -> usize {
		match &self.kind {
			EntryKind::Commands(batch) => batch.len(),
			_ => 0,
		}
	}
}

impl Envelope {
	/// About how much room the command takes.
	pub const fn size(&self) -> usize {
		OVERHEAD / 2 + self.payload.len()
	}
}
