//! Consensus groups: how members of one group agree on one sequence of commands.
//!
//! A group is found by its members without configuration: one of them founds a
//! *formation*, an instance of the group with a log of its own, and the others
//! join it. Within a formation everything is [`raft`]; what is above it decides
//! who is a member and what happens when two formations of one group meet, and
//! acts only by proposing entries.
//!
//! | module         | subject |
//! |----------------|---------|
//! | [`types`]      | terms, indices, ids |
//! | [`entry`]      | what a log is made of |
//! | [`config`]     | who belongs to a formation |
//! | [`state`]      | what follows from a log |
//! | [`message`]    | what members say to one another |
//! | [`engine`]     | the seam: what a consensus engine is told and wants done |
//! | [`raft`]       | the engine |
//! | [`formation`]  | how a formation comes to be, and how two become one |
//! | [`membership`] | who is promoted, removed, and leaves |
//! | [`replica`]    | one node in one group: all of the above together |
//! | [`settings`]   | how patient it is |

pub mod config;
pub mod engine;
pub mod entry;
pub mod formation;
pub mod membership;
pub mod message;
pub mod mutants;
pub mod raft;
pub mod replica;
pub mod settings;
pub mod state;
pub mod types;

pub use {
	config::{Config, ConfigChange, MemberInfo},
	engine::Engine,
	raft::Raft,
	settings::Settings,
};
