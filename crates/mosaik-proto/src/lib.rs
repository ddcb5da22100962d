//! The protocols of mosaik, decided here and done elsewhere.
//!
//! Every protocol is a state machine that is told what happened and says what
//! to do about it. Nothing in this crate opens a socket, spawns a task, reads a
//! clock or rolls dice: the time, the messages and the randomness are passed
//! in, so that the same code runs on tokio in the `mosaik` crate and in virtual
//! time in `mosaik-sim`. The contract is written down in [`core`].
//!
//! | module        | decides |
//! |---------------|---------|
//! | [`id`]        | how names become 32-byte identities |
//! | [`wire`]      | what a datum and a frame are, and what the limits are |
//! | [`tickets`]   | what a ticket is and when a set of tickets is enough |
//! | [`discovery`] | who is in the network, and who is gone |
//! | [`streams`]   | who may subscribe, and what each consumer is sent |
//! | [`groups`]    | who belongs to a group, and what its log says |

pub mod core;
pub mod discovery;
pub mod groups;
pub mod id;
pub mod streams;
pub mod tickets;
pub mod wire;

pub use iroh_base::{
	EndpointAddr, EndpointId as PeerId, PublicKey, RelayUrl, SecretKey, Signature, TransportAddr,
};
