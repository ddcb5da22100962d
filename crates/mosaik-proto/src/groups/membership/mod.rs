//! Who becomes a voter, who is removed, and how a member leaves.
//!
//! Everything here runs on the leader and acts only by proposing changes, one at
//! a time, that the engine checks again. What is known of the liveness of members
//! decides *when* a change is tried, never whether it is safe.

pub mod autopilot;
pub mod seats;

pub use autopilot::{Advice, Autopilot, Facts};
