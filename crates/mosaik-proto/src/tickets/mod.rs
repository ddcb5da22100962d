//! Tickets: what a peer shows to be let in, and who checks it.
//!
//! A [`Ticket`] is opaque bytes of a class. A peer carries its tickets in its
//! signed entry; a [`TicketValidator`] of the same class says until when one is
//! good for that peer. A peer must satisfy every validator it is asked by; for
//! each, the ticket that lives longest counts; over all of them, the earliest
//! expiry does.

mod expiration;
mod ticket;
mod validator;

pub use {
	expiration::Expiration,
	ticket::Ticket,
	validator::{InvalidTicket, TicketValidator, validate_all},
};
