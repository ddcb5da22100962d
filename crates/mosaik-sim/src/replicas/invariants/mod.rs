//! What must hold of formations, after every event.

mod agreement;
mod chains;
mod identities;
mod leaders;

pub use {agreement::Agreement, chains::Chains, identities::Identities, leaders::Leaders};
