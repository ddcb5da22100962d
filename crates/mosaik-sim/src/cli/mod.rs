//! What the program can do, one file each.

#[cfg(mutants)]
mod directed;
pub(crate) mod groups;
#[cfg(mutants)]
pub(crate) mod mutants;
