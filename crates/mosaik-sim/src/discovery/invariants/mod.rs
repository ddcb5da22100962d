//! What must hold, one file each, checked while a world runs.

pub mod bytes;
pub mod convergence;
pub mod no_flap;
pub mod no_resurrection;

pub use {
	bytes::Bytes, convergence::Convergence, no_flap::NoFlap, no_resurrection::NoResurrection,
};

use {mosaik_proto::core::Instant, std::fmt};

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
	/// Which.
	pub invariant: &'static str,
	/// When, if at a moment.
	pub at: Option<Instant>,
	/// What happened.
	pub what: String,
}

impl fmt::Display for Violation {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		if let Some(Instant(micros)) = self.at {
			write!(
				f,
				"{:.3} s: ",
				std::time::Duration::from_micros(micros).as_secs_f64()
			)?;
		}
		write!(f, "{}: {}", self.invariant, self.what)
	}
}
