//! What must hold of formations, after every event.

mod agreement;
mod chains;
mod duplicates;
mod geneses;
mod identities;
mod leaders;

pub use {
	agreement::Agreement, chains::Chains, duplicates::Duplicates, geneses::Geneses,
	identities::Identities, leaders::Leaders,
};
