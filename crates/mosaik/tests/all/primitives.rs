//! Identifiers and datums, through the public crate.

use {
	mosaik::{
		Bytes, Datum, Digest, NetworkId, StreamId, Tag, UniqueId, id,
		primitives::{
			Encoded, Redacted, RedactedFmtExt, Short, ShortFmtExt, deserialize, try_serialize,
		},
		tag, unique_id,
	},
	proptest::prelude::*,
	serde::{Deserialize, Serialize},
};

const NAMED: UniqueId = unique_id!("acme.thing");
const BY_ID: UniqueId = id!("acme.thing");
const TAGGED: Tag = tag!("acme.thing");
const HEX: UniqueId =
	unique_id!("00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff");

#[test]
fn macros_give_at_compile_time_what_from_gives_at_run_time() {
	assert_eq!(NAMED, UniqueId::from("acme.thing"));
	assert_eq!(BY_ID, NAMED);
	assert_eq!(TAGGED, NAMED);
	assert_eq!(HEX.as_bytes()[..4], [0x00, 0x11, 0x22, 0x33]);
	let hex = "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff";
	assert_eq!(HEX, Digest::from(hex));
}

#[test]
fn a_name_is_hashed_with_blake3() {
	let hash = blake3::hash(b"my-app");
	assert_eq!(NetworkId::from("my-app").as_bytes(), hash.as_bytes());
	assert_eq!(Digest::from(hash), Digest::from("my-app"));
	assert_eq!(Digest::from(&hash), Digest::hash(b"my-app"));
	assert_eq!("my-app".parse::<Digest>().unwrap(), Digest::from("my-app"));
	let mut hasher = blake3::Hasher::new();
	hasher.update(b"my-app");
	assert_eq!(Digest::from_hasher(&hasher), Digest::from("my-app"));
}

proptest! {
	#[test]
	fn exactly_64_hex_characters_decode(bytes: [u8; 32], uppercase: bool) {
		let id = Digest::from_bytes(bytes);
		let mut hex = id.to_string();
		if uppercase {
			hex = hex.to_uppercase();
		}
		prop_assert_eq!(Digest::from(hex.as_str()), id);
		prop_assert_eq!(Digest::from(hex.as_bytes()), id);
		prop_assert_ne!(Digest::from(&hex[1..]), id);
		let longer = format!("{hex}0");
		prop_assert_eq!(Digest::from(longer.as_str()), Digest::hash(longer.as_bytes()));
	}

	#[test]
	fn anything_else_is_hashed(name: Vec<u8>) {
		prop_assume!(!(name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)));
		prop_assert_eq!(Digest::from(name.as_slice()), Digest::hash(&name));
	}

	#[test]
	fn serde_is_hex_for_people_and_32_raw_bytes_for_machines(bytes: [u8; 32]) {
		let id = Digest::from_bytes(bytes);
		let json = serde_json::to_string(&id).unwrap();
		prop_assert_eq!(&json, &format!("\"{id}\""));
		prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), id);
		prop_assert_eq!(&postcard::to_allocvec(&id).unwrap(), &bytes);
		prop_assert_eq!(postcard::from_bytes::<Digest>(&bytes).unwrap(), id);
	}

	#[test]
	fn different_derivations_give_different_ids(a: Vec<u8>, b: Vec<u8>) {
		prop_assume!(a != b);
		let root = Digest::from("root");
		prop_assert_ne!(root.derive(&a), root.derive(&b));
		prop_assert_ne!(root.derive(&a).derive(&b), root.derive(&b).derive(&a));
		prop_assert_ne!(Digest::hash(&a).derive(&b), Digest::hash(&b).derive(&b));
		let joined = [a.as_slice(), b.as_slice()].concat();
		prop_assert_ne!(root.derive(joined), root.derive(&a).derive(&b));
	}
}

#[test]
fn short_abbreviates_and_redacted_hides() {
	let id = Digest::from("a secret");
	let short = id.short().to_string();
	assert!(id.to_string().starts_with(&short));
	assert!((4..32).contains(&short.len()));
	assert_eq!(Short(id).to_string(), short);
	for hidden in [
		id.redacted().to_string(),
		format!("{:?}", id.redacted()),
		Redacted(id).to_string(),
	] {
		assert!(!hidden.contains(&short));
	}
}

#[test]
fn integers_make_ids_that_differ_by_value() {
	assert_eq!(Digest::from_u64(7), Digest::from_usize(7));
	assert_eq!(Digest::from_i64(-7), Digest::from_isize(-7));
	let ids = [
		Digest::from_u8(7),
		Digest::from_u8(8),
		Digest::from_u16(7),
		Digest::from_u32(7),
		Digest::from_u64(7),
		Digest::from_u128(7),
		Digest::from_i8(-7),
		Digest::from_i16(-7),
		Digest::from_i32(-7),
		Digest::from_i64(-7),
		Digest::from_i128(-7),
	];
	let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
	assert_eq!(distinct.len(), ids.len());
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plain {
	name: String,
	numbers: Vec<u64>,
}

/// Encodes itself, with its own errors: text of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hex(u32);

#[derive(Debug, thiserror::Error)]
#[error("zero has no encoding")]
struct Zero;

impl Datum for Hex {
	type DecodeError = std::num::ParseIntError;
	type EncodeError = Zero;

	fn encode(&self) -> Result<Bytes, Zero> {
		match self.0 {
			0 => Err(Zero),
			value => Ok(format!("{value:x}").into()),
		}
	}

	fn decode(bytes: &[u8]) -> Result<Self, Self::DecodeError> {
		u32::from_str_radix(&String::from_utf8_lossy(bytes), 16).map(Self)
	}
}

#[test]
fn whatever_serde_can_serialize_is_a_datum_in_postcard() {
	let plain = Plain {
		name: "a".to_owned(),
		numbers: vec![1, 300],
	};
	let bytes = Datum::encode(&plain).unwrap();
	assert_eq!(bytes, postcard::to_allocvec(&plain).unwrap());
	assert_eq!(<Plain as Datum>::decode(&bytes).unwrap(), plain);
	assert!(<Plain as Datum>::decode(&bytes[..2]).is_err());
	assert_eq!(try_serialize(&plain).unwrap(), bytes);
	assert_eq!(deserialize::<Plain>(&bytes).unwrap(), plain);
}

#[test]
fn a_stream_id_derives_from_the_type_s_name() {
	let id = <Plain as Datum>::derived_stream_id();
	assert_eq!(id, StreamId::from(std::any::type_name::<Plain>()));
	assert_ne!(id, Hex::derived_stream_id());
}

#[test]
fn encoded_embeds_a_datum_in_a_serde_type() {
	#[derive(Debug, PartialEq, Serialize, Deserialize)]
	struct Outer {
		before: u8,
		hex: Encoded<Hex>,
		after: u8,
	}
	let outer = Outer {
		before: 1,
		hex: Encoded(Hex(0xbeef)),
		after: 2,
	};
	let bytes = postcard::to_allocvec(&outer).unwrap();
	assert_eq!(postcard::from_bytes::<Outer>(&bytes).unwrap(), outer);
	let json = serde_json::to_string(&outer).unwrap();
	assert_eq!(serde_json::from_str::<Outer>(&json).unwrap(), outer);
	let refused = Outer {
		hex: Encoded(Hex(0)),
		..outer
	};
	assert!(postcard::to_allocvec(&refused).is_err());
	assert_eq!(*Encoded::from(Hex(3)), Hex(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datum_with_its_own_encoding_and_errors_streams() {
	use crate::util::{nodes, soon};
	let [n0, n1] = nodes().await;
	let producer = n0.streams().produce::<Hex>();
	let mut consumer = n1.streams().consume::<Hex>();
	soon("subscription", producer.when().subscribed()).await;
	producer.send(Hex(0xbeef)).await.unwrap();
	let error = producer.send(Hex(0)).await.unwrap_err();
	assert!(matches!(
		error,
		mosaik::streams::producer::Error::Encoding(Hex(0), _)
	));
	let sources = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
	let told: Vec<String> = sources.map(ToString::to_string).collect();
	assert!(
		told.iter().any(|text| text == "zero has no encoding"),
		"{told:?}"
	);
	producer.send(Hex(1)).await.unwrap();
	assert_eq!(soon("the first", consumer.next()).await, Some(Hex(0xbeef)));
	assert_eq!(soon("the second", consumer.next()).await, Some(Hex(1)));
}
