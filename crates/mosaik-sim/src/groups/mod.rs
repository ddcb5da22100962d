//! Consensus groups in simulated time.
//!
//! Members run on a [`lossy`](crate::lossy) world: a [`process`] around the real
//! core, with a disk, a state machine, users, and somebody who adds, promotes and
//! removes members. A [`scenario`] says what kind of world it is and a [`plan`]
//! what befalls it; both follow from the seed. After every event all
//! [`invariants`] are checked that the event could have broken. Then the faults
//! stop, and the group must come to agree and serve its users.
//!
//! What breaks is made small: [`shrink`] leaves out all actions of the plan that
//! are not needed.

pub mod disk;
pub mod history;
pub mod invariants;
pub mod machine;
pub mod mail;
pub mod note;
pub mod plan;
pub mod process;
pub mod scenario;
pub mod shrink;
pub mod sim;

mod actions;
mod finale;

pub use {
	invariants::Violation,
	scenario::{Mix, Scenario, Storage, Wish},
	sim::{Options, Outcome, Sim, Stats, run},
};
