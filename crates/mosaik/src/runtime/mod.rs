//! Plumbing that every subsystem uses and that knows none of them.

pub(crate) mod tasks;

pub(crate) use tasks::Tasks;
