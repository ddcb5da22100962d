//! What the program can do, one file each.

pub(crate) mod groups;
#[cfg(mutants)]
pub(crate) mod mutants;
