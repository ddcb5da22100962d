//! Entries that were signed by anybody or nobody.

use mosaik_proto::{discovery::SignedPeerEntry, wire};

pub(crate) fn run(data: &[u8]) {
	let Ok(signed) = wire::deserialize::<SignedPeerEntry>(data) else {
		return;
	};
	let verified = signed.verify();
	let bytes = wire::try_serialize(&signed).unwrap();
	assert_eq!(bytes.len(), signed.encoded_len());

	// Not always the bytes that came: there is more than one way to write a
	// number or a set. But what we make of them is the same for everybody.
	let again: SignedPeerEntry = wire::deserialize(&bytes).unwrap();
	assert_eq!(wire::try_serialize(&again).unwrap(), bytes);
	assert_eq!(again.digest(), signed.digest());
	assert_eq!(again.verify().is_ok(), verified.is_ok());

	// Only who has the key changes an entry. It begins with the network.
	if verified.is_ok() {
		let mut forged = bytes.to_vec();
		forged[0] ^= 1;
		let forged: SignedPeerEntry = wire::deserialize(&forged).unwrap();
		assert!(forged.verify().is_err());
	}
}
