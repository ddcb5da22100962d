//! Who belongs to a formation, and how that changes.

use {
	super::types::{LeadershipPreference, LogIndex, MemberId, Nonce},
	crate::PeerId,
	serde::{Deserialize, Serialize},
	std::collections::{BTreeMap, BTreeSet},
};

/// The most voters a formation can have, so that quorums are computed on the
/// stack.
pub const MAX_VOTERS: usize = 15;

/// The most members a formation can have, so that a configuration fits a frame.
pub const MAX_MEMBERS: usize = 1024;

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemberInfo {
	/// The node it runs on.
	pub peer: PeerId,
	/// The lifetime of its storage.
	pub nonce: Nonce,
	/// How much it wants to lead.
	pub preference: LeadershipPreference,
}

/// The members of a formation. Those that do not vote are learners.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
	/// Who votes: a subset of the members, never empty.
	pub voters: BTreeSet<MemberId>,
	/// Everybody.
	pub members: BTreeMap<MemberId, MemberInfo>,
}

impl Config {
	/// The configuration of a genesis: all founders vote, numbered from 1.
	pub fn founding(founders: impl IntoIterator<Item = MemberInfo>) -> Self {
		let ids = (1..).filter_map(MemberId::new);
		let members: BTreeMap<MemberId, MemberInfo> = ids.zip(founders).collect();
		Self {
			voters: members.keys().copied().collect(),
			members,
		}
	}

	/// Whether `member` belongs to the formation.
	pub fn contains(&self, member: MemberId) -> bool {
		self.members.contains_key(&member)
	}

	/// Whether `member` votes.
	pub fn is_voter(&self, member: MemberId) -> bool {
		self.voters.contains(&member)
	}

	/// The members that do not vote.
	pub fn learners(&self) -> impl Iterator<Item = (MemberId, &MemberInfo)> {
		let members = self.members.iter().map(|(&id, info)| (id, info));
		members.filter(|(id, _)| !self.voters.contains(id))
	}

	/// The member that is this lifetime of this node's storage.
	pub fn find(&self, peer: &PeerId, nonce: &Nonce) -> Option<MemberId> {
		let mut members = self.members.iter();
		members
			.find(|(_, info)| info.peer == *peer && info.nonce == *nonce)
			.map(|(&id, _)| id)
	}

	/// How many voters are more than half of them.
	pub fn majority(&self) -> usize {
		super::raft::quorum::majority(self.voters.len())
	}

	/// What holds of every configuration: voters are members, there is one, and
	/// there are not too many.
	pub fn is_valid(&self) -> bool {
		!self.voters.is_empty()
			&& self.voters.len() <= MAX_VOTERS
			&& self.members.len() <= MAX_MEMBERS
			&& self.voters.iter().all(|voter| self.contains(*voter))
	}
}

/// A change of one member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConfigChange {
	/// Adds a member that does not vote; its id is the index of the entry.
	AddLearner(MemberInfo),
	/// Makes a learner a voter.
	Promote(MemberId),
	/// Takes a member out, voter or learner.
	Remove(MemberId),
	/// Replaces what is known of a member.
	Update(MemberId, MemberInfo),
}

/// Why a configuration cannot change so. Nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidChange {
	/// There is no such member.
	#[error("{0} is not a member")]
	NotMember(MemberId),
	/// It votes already.
	#[error("{0} votes already")]
	IsVoter(MemberId),
	/// This lifetime of this node is a member already.
	#[error("the node is a member already, as {0}")]
	IsMember(MemberId),
	/// Without it nobody could vote.
	#[error("{0} is the last voter: promote another one first, or close the formation")]
	LastVoter(MemberId),
	/// The node does not want to vote.
	#[error("{0} is an observer")]
	Observer(MemberId),
	/// The limit of voters or members is reached.
	#[error("the formation is full")]
	Full,
}

impl ConfigChange {
	/// Whether the set of voters changes when applied to `config`.
	pub fn changes_voters(&self, config: &Config) -> bool {
		match self {
			Self::Promote(_) => true,
			Self::Remove(member) => config.is_voter(*member),
			Self::AddLearner(_) | Self::Update(..) => false,
		}
	}

	/// The configuration after the change, if appended at `index`.
	///
	/// # Errors
	/// When the change makes no sense for `config`.
	pub fn apply(&self, config: &Config, index: LogIndex) -> Result<Config, InvalidChange> {
		let mut next = config.clone();
		match self {
			Self::AddLearner(info) => {
				if let Some(id) = config.find(&info.peer, &info.nonce) {
					return Err(InvalidChange::IsMember(id));
				}
				let id = MemberId::new(index).ok_or(InvalidChange::Full)?;
				next.members.insert(id, info.clone());
			}
			Self::Promote(member) => {
				let info = config.members.get(member);
				let info = info.ok_or(InvalidChange::NotMember(*member))?;
				if !info.preference.may_vote() {
					return Err(InvalidChange::Observer(*member));
				}
				if !next.voters.insert(*member) {
					return Err(InvalidChange::IsVoter(*member));
				}
			}
			Self::Remove(member) => {
				if next.members.remove(member).is_none() {
					return Err(InvalidChange::NotMember(*member));
				}
				next.voters.remove(member);
				if next.voters.is_empty() {
					return Err(InvalidChange::LastVoter(*member));
				}
			}
			Self::Update(member, info) => {
				let old = next.members.get_mut(member);
				*old.ok_or(InvalidChange::NotMember(*member))? = info.clone();
			}
		}
		if next.is_valid() {
			Ok(next)
		} else {
			Err(InvalidChange::Full)
		}
	}
}
