//! Nodes that find, join, merge and leave formations of one group, with faults.
//!
//! Each node runs the whole [`Replica`]: bootstrap, membership, merge and the
//! consensus core, over sessions that break, on disks that lose what was under way
//! (or everything), with clocks that run at different rates. All of it follows from
//! one seed. After every event the [`invariants`] are checked; in the end the world
//! is put right, and must come together: one formation, everybody online, nothing
//! that was acknowledged missing unless somebody was told.
//!
//! Faults are aimed in one of three ways, a [`Mix`]: at nothing, at turning points,
//! or at the network, parts of which stay cut while all others must work.
//!
//! [`Replica`]: mosaik_proto::groups::replica::Replica

mod bonds;
pub mod cli;
mod clients;
mod host;
pub mod invariants;
mod machine;
mod plan;
mod run;
mod shrink;
mod storage;

pub use {
	plan::{Action, Disks, Mix, Plan},
	run::{Report, run},
	shrink::shrink,
};
