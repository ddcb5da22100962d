//! The `mosaik` command as users run it: as a process, by what it prints.

#![expect(clippy::unwrap_used, reason = "tests")]

mod beacon;
mod dht;
mod peers;
mod process;
mod tail;
mod usage;
