//! What membership costs: nothing that grows with the network while nothing
//! changes.

use {
	super::Violation,
	std::{fmt, time::Duration},
};

/// What nodes sent, per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bytes {
	/// Bytes, on average over the nodes.
	pub mean: f64,
	/// Bytes, of the node that sent most.
	pub max: f64,
	/// Messages, on average over the nodes.
	pub messages: f64,
}

impl Bytes {
	/// The rates between two readings of `(bytes, messages)` of the same nodes.
	pub fn between(
		before: impl IntoIterator<Item = (u64, u64)>,
		after: impl IntoIterator<Item = (u64, u64)>,
		time: Duration,
	) -> Self {
		let pairs = before.into_iter().zip(after);
		let deltas: Vec<(u64, u64)> = pairs.map(|(a, b)| (b.0 - a.0, b.1 - a.1)).collect();
		let seconds = time.as_secs_f64();
		let scale = deltas.len().max(1) as f64 * seconds;
		Self {
			mean: deltas.iter().map(|delta| delta.0).sum::<u64>() as f64 / scale,
			max: deltas.iter().map(|delta| delta.0).max().unwrap_or(0) as f64 / seconds,
			messages: deltas.iter().map(|delta| delta.1).sum::<u64>() as f64 / scale,
		}
	}

	/// Checks that a node sends no more than `limit` bytes a second on average.
	///
	/// # Errors
	/// When it sends more.
	pub fn check(&self, limit: f64) -> Result<(), Violation> {
		if self.mean <= limit {
			return Ok(());
		}
		Err(Violation {
			invariant: "bytes",
			at: None,
			what: format!("{self}, more than {limit:.0} B/s"),
		})
	}
}

impl fmt::Display for Bytes {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let Self {
			mean,
			max,
			messages,
		} = self;
		write!(
			f,
			"{mean:.0} B/s per node ({max:.0} at most, {messages:.1} messages/s)"
		)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn rates_are_per_node_and_second() {
		let bytes = Bytes::between(
			[(0, 0), (10, 1)],
			[(100, 4), (310, 5)],
			Duration::from_secs(2),
		);
		assert_eq!((bytes.mean, bytes.max, bytes.messages), (100.0, 150.0, 2.0));
		assert!(bytes.check(100.0).is_ok());
		assert!(bytes.check(99.0).is_err());
	}
}
