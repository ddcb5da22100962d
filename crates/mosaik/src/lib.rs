//! Self-organizing, leaderless distributed systems.
//!
//! Nodes that share nothing but a network name find each other: on one host, on
//! the local network or over the internet. Then they publish and subscribe to
//! typed streams.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mosaik::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct SensorReading {
//!     temp: f64,
//! }
//!
//! # let network_id = NetworkId::random();
//! # let isolated = "use NetworkId::from(\"my-app\") in a program";
//! let n0 = Network::new(network_id).await?;
//! let n1 = Network::new(network_id).await?;
//!
//! let producer = n0.streams().produce::<SensorReading>();
//! let mut consumer = n1.streams().consume::<SensorReading>();
//!
//! producer.when().subscribed().minimum_of(1).await;
//! producer.send(SensorReading { temp: 21.5 }).await?;
//! assert_eq!(consumer.next().await.unwrap().temp, 21.5);
//! # Ok(()) }
//! ```
//!
//! | to                         | see |
//! |----------------------------|-----|
//! | join a network             | [`Network`] |
//! | see who is there           | [`discovery`] |
//! | publish and subscribe      | [`streams`], [`stream!`] |
//! | decide who may talk to you | [`tickets`] |

extern crate self as mosaik;

pub mod declare;
pub mod discovery;
pub mod network;
mod runtime;
pub mod streams;

/// Names, encodings and the other basic types.
pub mod primitives {
	pub use mosaik_proto::{
		discovery::IntoIterOrSingle,
		id::{Digest, Redacted, RedactedFmtExt, Short, ShortFmtExt, Tag, UniqueId},
		wire::{
			Datum, DecodeError, EncodeError, Encoded, deserialize, try_serialize,
			try_serialize_to_writer,
		},
	};
}

/// What a peer shows to be let in, and who checks it.
pub mod tickets {
	pub use mosaik_proto::{
		id::TicketClass,
		tickets::{Expiration, InvalidTicket, Ticket, TicketValidator},
	};
}

/// What the macros expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
	pub use {
		crate::streams::shared_producer,
		mosaik_macros::{stream, unique_id},
	};
}

pub use {
	bytes::{Bytes, BytesMut},
	futures, iroh,
	mosaik_proto::{
		SecretKey, Signature,
		id::{Digest, FunctionId, GroupId, StoreId, StreamId, Tag, UniqueId},
		wire::Datum,
	},
	network::{Network, NetworkId, PeerId},
	streams::{ConsumerOf, Criteria, ProducerOf, StreamConsumer, StreamProducer},
};

/// The code in the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
