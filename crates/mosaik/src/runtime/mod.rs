//! Plumbing that every subsystem shares and no user sees.

pub(crate) mod config;
pub(crate) mod metrics;
pub(crate) mod queue;
pub(crate) mod tasks;
pub(crate) mod when;
