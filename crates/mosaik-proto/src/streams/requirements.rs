//! What one side of a stream demands of the other.

use {
	crate::{
		discovery::PeerInfo,
		tickets::{Expiration, TicketValidator, validate_all},
	},
	std::{
		fmt,
		panic::{AssertUnwindSafe, catch_unwind},
		sync::Arc,
	},
};

/// The peer does not meet the requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer does not meet the requirements")]
pub struct NotAllowed;

type Predicate = Arc<dyn Fn(&PeerInfo) -> bool + Send + Sync>;

/// Predicates and ticket validators that a peer has to satisfy, all of them.
#[derive(Clone, Default)]
pub struct Requirements {
	predicates: Vec<Predicate>,
	validators: Vec<Arc<dyn TicketValidator>>,
}

impl Requirements {
	/// Adds a predicate.
	pub fn require(&mut self, predicate: impl Fn(&PeerInfo) -> bool + Send + Sync + 'static) {
		self.predicates.push(Arc::new(predicate));
	}

	/// Adds a validator.
	pub fn require_ticket(&mut self, validator: impl TicketValidator) {
		self.validators.push(Arc::new(validator));
	}

	/// Until when the peer meets the requirements, as its entry stands now.
	///
	/// # Errors
	/// When it does not meet them.
	pub fn admit(&self, peer: &PeerInfo) -> Result<Expiration, NotAllowed> {
		// They are the user's and read what a peer wrote: one that panics refuses.
		let judge = AssertUnwindSafe(|| self.judge(peer));
		catch_unwind(judge).unwrap_or(Err(NotAllowed))
	}

	fn judge(&self, peer: &PeerInfo) -> Result<Expiration, NotAllowed> {
		if !self.predicates.iter().all(|predicate| predicate(peer)) {
			return Err(NotAllowed);
		}
		validate_all(self.validators.iter().map(|v| &**v), peer).map_err(|_| NotAllowed)
	}
}

impl fmt::Debug for Requirements {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Requirements")
			.field("predicates", &self.predicates.len())
			.field("validators", &self.validators.len())
			.finish()
	}
}
