//! The ticket itself.

use {
	crate::id::{Short, TicketClass, UniqueId},
	bytes::Bytes,
	serde::{Deserialize, Serialize},
	std::fmt,
};

/// Opaque proof of something, carried in the entry of the peer that holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket {
	/// The kind of ticket: which validators can read it.
	pub class: TicketClass,
	/// The proof.
	pub data: Bytes,
}

impl Ticket {
	/// The ticket of this class with this content.
	pub const fn new(class: TicketClass, data: Bytes) -> Self {
		Self { class, data }
	}

	/// The content.
	pub fn data(&self) -> &[u8] {
		&self.data
	}

	/// The identity of the ticket, derived from its class and content.
	pub fn id(&self) -> UniqueId {
		self.class.derive(&self.data)
	}
}

impl fmt::Display for Ticket {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(
			f,
			"Ticket({} of class {}, {} bytes)",
			Short(self.id()),
			Short(self.class),
			self.data.len()
		)
	}
}
