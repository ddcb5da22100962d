//! A formation begins once: all who have its beginning have the same founders, with
//! the same lifetimes of their storage (design 2.2).

use {
	mosaik_proto::groups::{config::Config, types::FormationId},
	std::{collections::BTreeMap, sync::Arc},
};

/// The founders of each formation.
#[derive(Debug, Default)]
pub struct Geneses {
	founders: BTreeMap<FormationId, Arc<Config>>,
}

impl Geneses {
	/// Somebody begins a formation, or finds its beginning on a disk.
	///
	/// # Errors
	/// When it began with others before.
	pub fn begun(&mut self, formation: FormationId, config: &Arc<Config>) -> Result<(), String> {
		let known = self.founders.entry(formation);
		let known = known.or_insert_with(|| Arc::clone(config));
		if known == config {
			return Ok(());
		}
		Err(format!(
			"geneses: {formation} was founded by {:?} and by {:?}",
			known.members, config.members
		))
	}

	/// Something of a formation was applied.
	///
	/// # Errors
	/// When nobody began it.
	pub fn applied(&self, formation: FormationId) -> Result<(), String> {
		if self.founders.contains_key(&formation) {
			return Ok(());
		}
		Err(format!("geneses: nobody founded {formation}"))
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		mosaik_proto::{
			SecretKey,
			groups::{
				config::MemberInfo,
				types::{LeadershipPreference, Nonce},
			},
		},
	};

	#[test]
	fn a_second_beginning_with_others_is_noticed() {
		let founded = |nonces: [u128; 2]| {
			let infos = (1..).zip(nonces).map(|(key, nonce)| MemberInfo {
				peer: SecretKey::from_bytes(&[key; 32]).public(),
				nonce: Nonce::from(nonce),
				preference: LeadershipPreference::Normal,
			});
			Arc::new(Config::founding(infos))
		};
		let [a, b] = [1, 2].map(|id: u128| FormationId::from(id));
		let mut geneses = Geneses::default();
		assert_eq!(geneses.begun(a, &founded([1, 2])), Ok(()));
		assert_eq!(geneses.begun(a, &founded([1, 2])), Ok(()));
		assert_eq!(geneses.begun(b, &founded([1, 3])), Ok(()));
		assert!(geneses.begun(a, &founded([1, 3])).is_err());
		assert_eq!(geneses.applied(a), Ok(()));
		assert!(geneses.applied(FormationId::from(3)).is_err());
	}
}
