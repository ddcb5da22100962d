//! What is counted and named in a group.

use {
	serde::{Deserialize, Serialize},
	std::{fmt, num::NonZeroU64},
};

/// Time, in milliseconds since the driver started. Only differences matter.
pub type Ticks = u64;

/// The number of an election: at most one member leads in a term.
pub type Term = u64;

/// The position of an entry in the log of a formation.
pub type LogIndex = u64;

/// The cumulative number of user commands: what users see as an index.
pub type Seq = u64;

/// No term, index or number of a command is greater: counting does not get there,
/// and sums of two do not overflow. What comes from outside is held to it.
pub const MAX_NUMBER: u64 = 1 << 62;

macro_rules! random_id {
	($(#[doc = $doc:literal])* $name:ident) => {
		$(#[doc = $doc])*
		#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
		pub struct $name(pub [u8; 16]);

		impl From<u128> for $name {
			fn from(bits: u128) -> Self {
				Self(bits.to_be_bytes())
			}
		}

		impl fmt::Display for $name {
			/// The first four bytes in hex: enough to tell two apart in a log.
			fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
				self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
			}
		}

		impl fmt::Debug for $name {
			fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
				fmt::Display::fmt(self, f)
			}
		}
	};
}

random_id! {
	/// One instance of a group: 128 random bits chosen by its founder.
	///
	/// Positions, members and commands of different formations have nothing to do
	/// with one another, so the id is in every frame and on every disk.
	FormationId
}

random_id! {
	/// One lifetime of a member's storage: per start of the process where storage
	/// is volatile, persisted where it is durable.
	Nonce
}

/// A member of a formation: the index of the entry that added it, or `1..=n` for
/// the founders. Never reused, because the log never has two entries at one
/// committed index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId(NonZeroU64);

impl MemberId {
	/// The member that the entry at `index` added, `None` for index 0.
	pub const fn new(index: LogIndex) -> Option<Self> {
		match NonZeroU64::new(index) {
			Some(index) => Some(Self(index)),
			None => None,
		}
	}

	/// The index of the entry that added this member.
	pub const fn get(self) -> LogIndex {
		self.0.get()
	}
}

impl fmt::Display for MemberId {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "m{}", self.0)
	}
}

impl fmt::Debug for MemberId {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		fmt::Display::fmt(self, f)
	}
}

/// A position in a log. The order is that of *up to date* in elections: the later
/// term wins, then the longer log (Raft §5.4.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPos {
	/// The term in which the entry was appended.
	pub term: Term,
	/// The index of the entry.
	pub index: LogIndex,
}

impl LogPos {
	/// Whether counting could get there.
	pub const fn is_plausible(self) -> bool {
		self.term <= MAX_NUMBER && self.index <= MAX_NUMBER
	}
}

impl fmt::Debug for LogPos {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{}@{}", self.index, self.term)
	}
}

/// How much a node wants to lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeadershipPreference {
	/// As much as any other.
	#[default]
	Normal,
	/// Only if others do not: waits `factor` times as long before it stands for
	/// election or founds a group, and comes last where a seat is given.
	Reluctant {
		/// How many times as long it waits, at least 1.
		factor: u32,
	},
	/// Never: replicates without a vote.
	Observer,
}

impl LeadershipPreference {
	/// Reluctance by the default factor of 3.
	pub const fn reluctant() -> Self {
		Self::Reluctant { factor: 3 }
	}

	/// How many times as long the node waits.
	pub const fn factor(self) -> u64 {
		match self {
			Self::Reluctant { factor } if factor > 1 => factor as u64,
			_ => 1,
		}
	}

	/// Whether the node may vote and lead.
	pub const fn may_vote(self) -> bool {
		!matches!(self, Self::Observer)
	}

	/// The order in which seats are given: lower first.
	pub const fn class(self) -> u8 {
		match self {
			Self::Normal => 0,
			Self::Reluctant { .. } => 1,
			Self::Observer => 2,
		}
	}
}
