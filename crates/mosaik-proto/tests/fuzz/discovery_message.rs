//! Whatever a neighbour sends: it decodes or not, and the membership core takes
//! it in and goes on.

use {
	mosaik_proto::{
		SecretKey,
		core::{Core, Instant, Now},
		discovery::{Input, Membership, MembershipConfig, Message, Output, PeerEntry},
		wire,
	},
	std::time::Duration,
};

/// How many deadlines are kept after the message.
const TICKS: usize = 64;

fn at(mono: Instant) -> Now {
	Now {
		mono,
		wall_ms: 1_800_000_000_000 + mono.0 / 1000,
	}
}

/// A node that does not know its one neighbour yet. The network and the keys
/// are those of the golden vectors, which are good seeds.
fn node() -> (Membership, mosaik_proto::PeerId) {
	let (key, peer) = (
		SecretKey::from_bytes(&[9; 32]),
		SecretKey::from_bytes(&[1; 32]),
	);
	let entry = PeerEntry::new("net".into(), key.public());
	let config = MembershipConfig::default();
	let mut node = Membership::new(config, key, entry, at(Instant(0)), 1).unwrap();
	let peer = peer.public();
	let up = Input::LinkUp {
		peer,
		opened_by_us: true,
	};
	node.handle(at(Instant(1)), up);
	(node, peer)
}

fn drain(node: &mut Membership) {
	while let Some(output) = node.poll() {
		if let Output::Send { message, .. } = output {
			let bytes = wire::try_serialize(&message).unwrap();
			assert!(bytes.len() <= wire::MAX_DISCOVERY);
			assert_eq!(bytes.len(), message.encoded_len());
			assert_eq!(Message::decode(&bytes).unwrap(), message);
		}
	}
}

pub(crate) fn run(data: &[u8]) {
	let Ok(message) = Message::decode(data) else {
		return;
	};
	let (mut node, from) = node();
	drain(&mut node);
	let mut now = Instant(0) + Duration::from_millis(20);
	node.handle(at(now), Input::Message { from, message });
	drain(&mut node);
	for _ in 0..TICKS {
		let Some(deadline) = node.deadline() else {
			break;
		};
		now = now.max(deadline);
		node.handle(at(now), Input::Tick);
		drain(&mut node);
		// What is due was done.
		assert!(node.deadline().is_none_or(|next| next > now));
	}
}
