//! What only an exclusive borrow reaches may be shared.

use std::sync::{Mutex, PoisonError};

/// Is `Sync` whatever it holds: a shared borrow gives no access. Never locked; the
/// standard library's `Exclusive` is not stable.
#[derive(Debug, Default)]
pub(crate) struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
	pub(crate) const fn new(value: T) -> Self {
		Self(Mutex::new(value))
	}

	#[inline]
	pub(crate) fn get_mut(&mut self) -> &mut T {
		// Never locked, so never poisoned.
		self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
	}
}
