//! Plumbing that every subsystem uses and that knows none of them.

pub(crate) mod tasks;

#[expect(unused_imports, reason = "the facade and the subsystems name them")]
pub(crate) use tasks::{AbortOnDrop, CancelOnDrop, Panicked, TaskHandle, Tasks};
