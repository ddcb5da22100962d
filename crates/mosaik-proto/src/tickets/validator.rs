//! Who checks tickets, and when a set of them is enough.

use {
	crate::{
		discovery::PeerEntry,
		id::{TicketClass, UniqueId},
		tickets::Expiration,
	},
	std::sync::Arc,
};

/// The ticket is not valid for the peer that showed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, thiserror::Error)]
#[error("the ticket is missing, expired or not valid for this peer")]
pub struct InvalidTicket;

/// Decides whether a ticket of one class is valid for a peer.
///
/// Must be fast and must not block: it runs whenever the entry of a peer that
/// wants in changes.
pub trait TicketValidator: Send + Sync + 'static {
	/// The class of the tickets that this validator reads.
	fn class(&self) -> TicketClass;

	/// An id of the rules of this validator: equal rules, equal signature.
	fn signature(&self) -> UniqueId;

	/// Until when `ticket` is valid for `peer`.
	///
	/// # Errors
	/// When it is not valid for that peer now.
	fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket>;
}

macro_rules! forward {
	($pointer:ident) => {
		impl<T: TicketValidator + ?Sized> TicketValidator for $pointer<T> {
			fn class(&self) -> TicketClass {
				(**self).class()
			}

			fn signature(&self) -> UniqueId {
				(**self).signature()
			}

			fn validate(
				&self,
				ticket: &[u8],
				peer: &PeerEntry,
			) -> Result<Expiration, InvalidTicket> {
				(**self).validate(ticket, peer)
			}
		}
	};
}

forward!(Box);
forward!(Arc);

/// Until when `peer` satisfies every one of `validators`.
///
/// For each validator the valid ticket that lives longest counts; the result is
/// the earliest of those, `Never` where there are no validators.
///
/// # Errors
/// When a validator has no valid ticket of the peer.
pub fn validate_all<'a, V: TicketValidator + ?Sized + 'a>(
	validators: impl IntoIterator<Item = &'a V>,
	peer: &PeerEntry,
) -> Result<Expiration, InvalidTicket> {
	validators
		.into_iter()
		.try_fold(Expiration::Never, |earliest, validator| {
			let longest = peer
				.tickets_of(validator.class())
				.filter_map(|ticket| validator.validate(ticket.data(), peer).ok())
				.max()
				.ok_or(InvalidTicket)?;
			Ok(earliest.min(longest))
		})
}
