//! Nodes in processes of their own, which can be killed and stopped, and on
//! hosts of their own, which are network namespaces of Linux.
//!
//! | module      | has |
//! |-------------|-----|
//! | `process`   | a node in a process: this binary, started again |
//! | `lab`       | hosts and the cables between them |
//! | `killed`    | processes that die, come back or stand still |
//! | `separated` | hosts that find each other, and are cut off |
//!
//! Namespaces need root and `ip`; what cannot run says so and passes.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod killed;
mod lab;
mod process;
mod separated;

/// Not a test: what a child process runs, see `process`.
#[test]
fn node() {
	process::run_if_child();
}
