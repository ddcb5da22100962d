//! Exhaustive checks: every state that is reachable within bounds.
//!
//! Where the simulated worlds try some of what can happen, at length, a model
//! tries all of it, for a few members and a few entries. The models here hold the
//! protocol cores themselves, not descriptions of them.
//!
//! | module    | subject |
//! |-----------|---------|
//! | [`raft`]  | the consensus core of one formation |
//! | [`merge`] | formations that yield to one another |
//! | [`plans`] | the configurations that are explored, with their bounds |
//! | [`run`]   | exploring one and saying what came out |
//! | [`shared`] | values that many states share |
//!
//! `cargo run --release -p mosaik-sim -- check --list` names the configurations.

pub mod cli;
pub mod merge;
pub mod plans;
pub mod raft;
pub mod run;
pub mod shared;
