//! Streams: who may subscribe, and what each consumer is sent.
//!
//! ```text
//!  consumer                                   producer
//!  Subscriptions: who to subscribe to  ─┐
//!                                       │ Subscribe{stream, criteria}
//!                                       └────────────────────────────> Requirements::admit
//!                   <──────────────────────────── Answer::{Accepted, Refused(code)}
//!                   <──────── frame, frame, frame … ──────────────────  Fanout
//!                   ── Ack{read} ─────────────────────────────────────> Credit
//! ```
//!
//! A subscription is one lane: the consumer opens it and says what it wants, the
//! producer answers and then sends datums until either side ends it. The code
//! with which a lane ends tells the consumer whether to come back
//! ([`Outcome`]).

mod credit;
mod fanout;
mod handshake;
mod requirements;
mod subscriptions;

pub use {
	credit::{Ack, Credit, Receipts},
	fanout::{
		ConsumerKey, DELAY_MAX, Fanout, FanoutLimits, Lagging, PAUSE_FIRST, PAUSE_MAX, PAUSE_MIN,
		PushError, SLACK, STALL_GRACE,
	},
	handshake::{Answer, Criteria, Outcome, Subscribe},
	requirements::{NotAllowed, Requirements},
	subscriptions::{Backoff, Input, Output, Subscriptions},
};
