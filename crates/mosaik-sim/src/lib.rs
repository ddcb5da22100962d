//! The protocols of mosaik in simulated time: worlds, faults, oracles.
//!
//! A [`world`] runs any number of protocol cores on one thread, over links with
//! latency that break, between clocks that are wrong, with processes that
//! crash, restart and fall asleep. All of it follows from one seed: the same
//! seed gives the same [`trace`](world::Trace), byte for byte. What must hold is
//! in files of its own, `invariants/`, which are themselves tested. What clients
//! saw is judged by the oracles of [`linearizability`].
//!
//! `cargo run -p mosaik-sim -- discovery --seed 7 --nodes 1000` runs a world
//! from the command line.

pub mod check;
pub mod discovery;
pub mod groups;
pub mod linearizability;
pub mod lossy;
pub mod replicas;
pub mod world;
