//! What must hold of formations, after every event.

mod agreement;
mod chains;
mod duplicates;
mod identities;
mod leaders;

pub use {
	agreement::Agreement, chains::Chains, duplicates::Duplicates, identities::Identities,
	leaders::Leaders,
};
