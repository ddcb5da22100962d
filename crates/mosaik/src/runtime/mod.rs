//! Plumbing that every subsystem uses and that knows none of them.

pub(crate) mod config;
pub(crate) mod exclusive;
pub(crate) mod metrics;
pub(crate) mod queue;
pub(crate) mod tasks;
pub(crate) mod when;
