//! A member id belongs to one lifetime of one node's storage, for ever (design 2.1).

use {
	mosaik_proto::{
		PeerId,
		groups::{
			config::Config,
			types::{FormationId, MemberId, Nonce},
		},
	},
	std::collections::BTreeMap,
};

/// Who was which member of which formation.
#[derive(Debug, Default)]
pub struct Identities {
	known: BTreeMap<(FormationId, MemberId), (PeerId, Nonce)>,
}

impl Identities {
	/// A configuration was applied.
	///
	/// # Errors
	/// When a member was another node, or another lifetime of it, before.
	pub fn config(&mut self, formation: FormationId, config: &Config) -> Result<(), String> {
		let mut members = config.members.iter();
		members.try_for_each(|(id, info)| self.member(formation, *id, info.peer, info.nonce))
	}

	/// Somebody is a member.
	///
	/// # Errors
	/// As for [`config`](Self::config).
	pub fn member(
		&mut self,
		formation: FormationId,
		id: MemberId,
		peer: PeerId,
		nonce: Nonce,
	) -> Result<(), String> {
		let known = *self.known.entry((formation, id)).or_insert((peer, nonce));
		if known == (peer, nonce) {
			return Ok(());
		}
		Err(format!(
			"identities: {id} of {formation} was {}/{} and is {}/{nonce}",
			known.0.fmt_short(),
			known.1,
			peer.fmt_short(),
		))
	}
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::SecretKey};

	#[test]
	fn another_lifetime_under_the_same_id_is_noticed() {
		let mut identities = Identities::default();
		let formation = FormationId::from(1);
		let id = MemberId::new(3).unwrap();
		let peer = SecretKey::from_bytes(&[1; 32]).public();
		let mut member = |nonce: u128| identities.member(formation, id, peer, Nonce::from(nonce));
		assert_eq!(member(1), Ok(()));
		assert_eq!(member(1), Ok(()));
		assert!(member(2).is_err());
	}
}
