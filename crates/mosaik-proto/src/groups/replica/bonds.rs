//! Who can be talked to, and where they stand.

use {
	crate::{
		PeerId,
		groups::{
			config::MAX_MEMBERS,
			formation::info::{FormationInfo, Info},
			types::{FormationId, MemberId},
		},
	},
	std::collections::{BTreeMap, BTreeSet},
};

/// The sessions with other members of the group. As many as the driver keeps.
#[derive(Debug, Default)]
pub(super) struct Bonds {
	/// What each told last.
	infos: BTreeMap<PeerId, Option<Info>>,
	/// Who no longer satisfies the group's rules; the latest.
	revoked: BTreeSet<PeerId>,
}

impl Bonds {
	pub(super) fn up(&mut self, peer: PeerId) {
		self.infos.entry(peer).or_default();
		self.revoked.remove(&peer);
	}

	pub(super) fn down(&mut self, peer: PeerId) -> Option<Info> {
		self.infos.remove(&peer).flatten()
	}

	pub(super) fn revoke(&mut self, peer: PeerId) {
		if self.revoked.len() >= MAX_MEMBERS {
			self.revoked.pop_first();
		}
		self.revoked.insert(peer);
	}

	pub(super) fn is_revoked(&self, peer: &PeerId) -> bool {
		self.revoked.contains(peer)
	}

	/// Keeps what a node said of itself, not what it said of others.
	pub(super) fn told(&mut self, peer: PeerId, mut info: Info) {
		info.ended = Vec::new();
		if let Some(known) = self.infos.get_mut(&peer) {
			*known = Some(info);
		}
	}

	pub(super) fn contains(&self, peer: &PeerId) -> bool {
		self.infos.contains_key(peer)
	}

	pub(super) fn peers(&self) -> Vec<PeerId> {
		self.infos.keys().copied().collect()
	}

	pub(super) fn info(&self, peer: &PeerId) -> Option<&Info> {
		self.infos.get(peer)?.as_ref()
	}

	pub(super) fn infos(&self) -> impl Iterator<Item = (PeerId, &Info)> + Clone {
		let known = |(peer, info): (&PeerId, _)| Some((*peer, Option::as_ref(info)?));
		self.infos.iter().filter_map(known)
	}

	/// The formations that can be seen, by those who belong to them.
	pub(super) fn formations(&self) -> impl Iterator<Item = (PeerId, &FormationInfo)> + Clone {
		self.infos()
			.filter_map(|(peer, info)| Some((peer, info.formation()?)))
	}

	/// The node that says it is this member.
	pub(super) fn peer_of(&self, formation: FormationId, member: MemberId) -> Option<PeerId> {
		let mut members = self.formations();
		members
			.find(|(_, info)| info.formation == formation && info.member == member)
			.map(|(peer, _)| peer)
	}

	/// Whom to ask about a formation: who leads it, if it is in reach, or any member.
	pub(super) fn contact(&self, formation: FormationId) -> Option<PeerId> {
		let members = self.formations();
		let members = members.filter(|(_, info)| info.formation == formation);
		// Who is cut off from the leader knows none, perhaps in the same term.
		let leads = |(peer, info): &(PeerId, &FormationInfo)| info.leader == Some(*peer);
		let leader = members.clone().filter(leads);
		let latest = leader.max_by_key(|(_, info)| info.term);
		let latest = latest.or_else(|| members.max_by_key(|(_, info)| info.term));
		let (peer, info) = latest?;
		let leader = info.leader.filter(|leader| self.contains(leader));
		Some(leader.unwrap_or(peer))
	}
}
