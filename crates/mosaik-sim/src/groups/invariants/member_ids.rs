//! An id belongs to one lifetime of one node's storage, and never to another one
//! (design §2.1): what it promised and acknowledged is never taken for somebody
//! else's.

use {
	super::{Check, broken},
	mosaik_proto::{
		PeerId,
		groups::{
			Config,
			types::{MemberId, Nonce},
		},
	},
	std::collections::BTreeMap,
};

/// See the module.
#[derive(Debug, Default)]
pub struct MemberIds {
	owners: BTreeMap<MemberId, (PeerId, Nonce)>,
}

impl MemberIds {
	/// A configuration is committed.
	///
	/// # Errors
	/// When one of its members has the id of another one.
	pub fn committed(&mut self, config: &Config) -> Check {
		for (&member, info) in &config.members {
			let owner = (info.peer, info.nonce);
			if *self.owners.entry(member).or_insert(owner) != owner {
				let what = format!("{member} is the id of another member that was");
				return broken("member ids", what);
			}
		}
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{founders, id},
	};

	#[test]
	fn an_id_is_not_given_again() {
		let mut ids = MemberIds::default();
		let mut config = founders(3);
		assert!(ids.committed(&config).is_ok());
		let gone = config.members.remove(&id(3)).unwrap();
		assert!(ids.committed(&config).is_ok());
		config.members.insert(id(3), gone.clone());
		assert!(ids.committed(&config).is_ok());
		let nonce = Nonce::from(77);
		config
			.members
			.insert(id(3), mosaik_proto::groups::MemberInfo { nonce, ..gone });
		assert!(ids.committed(&config).is_err());
	}
}
