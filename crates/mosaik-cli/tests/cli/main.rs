//! The `mosaik` command as users run it: as a process, by what it prints.

mod beacon;
mod dht;
mod peers;
mod process;
mod tail;
mod usage;
