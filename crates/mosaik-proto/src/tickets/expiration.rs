//! Until when something is valid.

use {
	chrono::{DateTime, Utc},
	serde::{Deserialize, Serialize},
	std::{cmp::Ordering, time::Duration},
};

/// Until when a ticket is valid. Later is greater, `Never` is greatest.
///
/// The methods without an `_at` read this node's clock; protocol cores use the
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expiration {
	/// It does not expire.
	Never,
	/// It is valid before this moment, and not from then on.
	At(DateTime<Utc>),
}

impl Expiration {
	/// It does not expire.
	pub const fn never() -> Self {
		Self::Never
	}

	/// So long from now; `Never` where that is too far in the future to be represented,
	/// expired where it is too far in the past.
	pub fn after(duration: impl Into<chrono::Duration>) -> Self {
		let duration = duration.into();
		let beyond = if duration < chrono::Duration::zero() {
			Self::At(DateTime::<Utc>::MIN_UTC)
		} else {
			Self::Never
		};
		now().checked_add_signed(duration).map_or(beyond, Self::At)
	}

	/// It has just expired.
	pub fn already_expired() -> Self {
		Self::At(now())
	}

	/// One hour from now.
	pub fn in_1h() -> Self {
		Self::in_n_hours(1)
	}

	/// Three hours from now.
	pub fn in_3h() -> Self {
		Self::in_n_hours(3)
	}

	/// Six hours from now.
	pub fn in_6h() -> Self {
		Self::in_n_hours(6)
	}

	/// One day from now.
	pub fn in_24h() -> Self {
		Self::in_n_hours(24)
	}

	/// So many hours from now; as [`after`](Self::after) where that cannot be
	/// represented.
	pub fn in_n_hours(hours: i64) -> Self {
		let beyond = if hours < 0 {
			chrono::Duration::MIN
		} else {
			chrono::Duration::MAX
		};
		Self::after(chrono::Duration::try_hours(hours).unwrap_or(beyond))
	}

	/// Whether the moment has come.
	pub fn is_expired(&self) -> bool {
		self.is_expired_at(now())
	}

	/// Whether the moment has come at `now`.
	pub fn is_expired_at(&self, now: DateTime<Utc>) -> bool {
		matches!(self, Self::At(at) if *at <= now)
	}

	/// The time left, zero if expired, `None` if it never expires.
	pub fn remaining(&self) -> Option<Duration> {
		self.remaining_at(now())
	}

	/// The time left at `now`, zero if expired, `None` if it never expires.
	pub fn remaining_at(&self, now: DateTime<Utc>) -> Option<Duration> {
		match self {
			Self::Never => None,
			Self::At(at) => Some((*at - now).to_std().unwrap_or(Duration::ZERO)),
		}
	}
}

impl Ord for Expiration {
	fn cmp(&self, other: &Self) -> Ordering {
		match (self, other) {
			(Self::Never, Self::Never) => Ordering::Equal,
			(Self::Never, Self::At(_)) => Ordering::Greater,
			(Self::At(_), Self::Never) => Ordering::Less,
			(Self::At(a), Self::At(b)) => a.cmp(b),
		}
	}
}

impl PartialOrd for Expiration {
	fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
		Some(self.cmp(other))
	}
}

/// The clock, for the constructors and getters of the public API.
#[expect(
	clippy::disallowed_methods,
	reason = "the public constructors are relative to now; cores use the `_at` methods"
)]
fn now() -> DateTime<Utc> {
	Utc::now()
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn later_is_greater_and_never_is_greatest() {
		assert!(Expiration::in_1h() < Expiration::in_3h());
		assert!(Expiration::in_24h() < Expiration::Never);
		assert_eq!(Expiration::in_n_hours(i64::MAX), Expiration::Never);
		assert!(Expiration::in_n_hours(i64::MIN).is_expired());
		assert!(Expiration::after(chrono::Duration::MIN).is_expired());
		assert_eq!(Expiration::after(chrono::Duration::MAX), Expiration::Never);
	}

	#[test]
	fn the_moment_itself_is_expired() {
		let at = DateTime::from_timestamp(1_000, 0).unwrap();
		assert!(Expiration::At(at).is_expired_at(at));
		assert_eq!(Expiration::At(at).remaining_at(at), Some(Duration::ZERO));
		assert!(Expiration::already_expired().is_expired());
		assert_eq!(Expiration::Never.remaining(), None);
	}
}
