//! The sans-IO contract.
//!
//! A protocol core is a value with three methods:
//!
//! - [`Core::handle`] takes one thing that happened: a message, a request of the
//!   user, a completed dial, or nothing but the passing of time.
//! - [`Core::poll`] returns what is to be done about it, one output at a time,
//!   until `None`. Call it after every `handle`.
//! - [`Core::deadline`] is the one moment at which the core wants to be called
//!   even if nothing happens. A tick at or after the deadline moves it.
//!
//! The driver makes no decision and the core performs no effect. A core never
//! assumes that an effect succeeded: what may fail is reported back as another
//! input. Neither ever waits for a peer.
//!
//! The shape is that of `quinn-proto`'s `Connection` and of `str0m`; it exists
//! as a trait because it has two callers, the driver in `mosaik` and the world
//! in `mosaik-sim`.

use std::{
	ops::{Add, Sub},
	time::Duration,
};

/// A protocol state machine, see the [module](self).
pub trait Core {
	/// What can happen to the core.
	type Input;
	/// What the core can ask for.
	type Output;

	/// Takes in one event at time `now`.
	fn handle(&mut self, now: Now, input: Self::Input);

	/// Returns the next effect to perform, `None` when all have been taken.
	fn poll(&mut self) -> Option<Self::Output>;

	/// When the core wants to be called at the latest, `None` if it is idle.
	fn deadline(&self) -> Option<Instant>;
}

/// The time as a driver sees it when it calls a core.
///
/// The two clocks answer different questions. `mono` never goes back and is what
/// every timer and every judgement about liveness uses. `wall` may be wrong by
/// minutes, differs between peers, and is only ever compared with values of the
/// same peer's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
	/// Monotonic time since the start of the driver.
	pub mono: Instant,
	/// Milliseconds since the Unix epoch by this node's clock.
	pub wall_ms: u64,
}

/// A point in monotonic time, in microseconds since the driver started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
	/// The time since `earlier`, zero if that lies in the future.
	pub const fn since(self, earlier: Self) -> Duration {
		Duration::from_micros(self.0.saturating_sub(earlier.0))
	}
}

impl Add<Duration> for Instant {
	type Output = Self;

	fn add(self, rhs: Duration) -> Self {
		let micros = u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX);
		Self(self.0.saturating_add(micros))
	}
}

impl Sub<Duration> for Instant {
	type Output = Self;

	fn sub(self, rhs: Duration) -> Self {
		let micros = u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX);
		Self(self.0.saturating_sub(micros))
	}
}
