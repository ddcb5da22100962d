//! What the two sides of a subscription say to each other.

use {
	crate::{
		discovery::PeerEntryVersion,
		id::StreamId,
		wire::{CloseCode, Datum},
	},
	serde::{Deserialize, Serialize},
};

/// Which datums of a stream a consumer wants: all of them, for now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Criteria {}

impl Criteria {
	/// Whether the consumer wants `datum`.
	pub const fn matches<D: Datum>(&self, _datum: &D) -> bool {
		true
	}
}

/// The first frame of a lane, from the consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
	/// The stream to subscribe to.
	pub stream: StreamId,
	/// Which of its datums to send.
	pub criteria: Criteria,
	/// The consumer's entry that is to be judged, or a later one: the producer
	/// may have one from before a tag or a ticket was added.
	pub version: PeerEntryVersion,
}

/// The first frame back, from the producer. Datums follow if it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
	/// Every datum sent from now on will follow.
	Accepted,
	/// Nothing will follow; the code says why.
	Refused(u32),
}

/// What the end of a subscription means for the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
	/// Try again after a pause.
	Retry,
	/// The producer does not know us yet: exchange catalogs, then try again.
	SyncFirst,
	/// The producer will not have us, or talks nonsense: give up until one of
	/// the two entries changes.
	Verdict,
}

impl Outcome {
	/// The meaning of a close code; `None` is a connection lost without one.
	pub const fn of(code: Option<CloseCode>) -> Self {
		match code {
			Some(CloseCode::UnknownPeer) => Self::SyncFirst,
			Some(
				CloseCode::NotAllowed
				| CloseCode::ProtocolViolation
				| CloseCode::DifferentNetwork
				| CloseCode::UnsupportedVersion
				| CloseCode::InvalidAlpn,
			) => Self::Verdict,
			_ => Self::Retry,
		}
	}
}
