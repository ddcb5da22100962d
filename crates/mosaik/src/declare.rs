//! Macros that define streams, functions and collections, and ids at compile
//! time.
//!
//! Each is a thin wrapper that tells the procedural macro where this crate is,
//! so that programs may depend on it under another name.

/// The id of a name, as a constant: `Digest::from("name")` at compile time.
///
/// 64 hexadecimal characters are the id itself, anything else is hashed.
///
/// ```
/// use mosaik::{Digest, id, tag, unique_id};
///
/// const TICKS: Digest = unique_id!("acme.ticks");
/// assert_eq!(TICKS, Digest::from("acme.ticks"));
/// assert_eq!([id!("a"), tag!("a")], [Digest::from("a"); 2]);
/// ```
#[macro_export]
macro_rules! unique_id {
	($($t:tt)*) => { $crate::__private::unique_id!($crate; $($t)*) };
}

/// The same as [`unique_id!`](crate::unique_id).
#[macro_export]
macro_rules! id {
	($($t:tt)*) => { $crate::__private::unique_id!($crate; $($t)*) };
}

/// A tag by its name, as a constant. The same as
/// [`unique_id!`](crate::unique_id).
#[macro_export]
macro_rules! tag {
	($($t:tt)*) => { $crate::__private::unique_id!($crate; $($t)*) };
}

/// Defines a stream.
///
/// ```text
/// stream!([doc] [vis] [producer|consumer] Name = Datum [, "id" | CONST_ID] [, key: value]*)
/// ```
///
/// `Name::producer(&network)` and `Name::consumer(&network)` open its two sides,
/// `Name::online_producer(&network).await` and its sibling wait until the side is
/// online. With a role in front of the name only that side is public; the other
/// remains for the defining crate.
///
/// Without an id the stream has that of its datum type.
///
/// | key | side | may repeat | the builder's |
/// |-----|------|------------|---------------|
/// | `require` | both | yes | `require` |
/// | `require_ticket` | both | yes | `require_ticket` |
/// | `online_when` | both | no | `online_when` |
/// | `max_consumers` | producer | no | `with_max_consumers` |
/// | `buffer_size` | producer | no | `with_buffer_size` |
/// | `disconnect_lagging` | producer | no | `disconnect_lagging` |
/// | `criteria` | consumer | no | `with_criteria` |
/// | `backoff` | consumer | no | `with_backoff` |
///
/// A key of both sides may be prefixed by `producer` or `consumer` to set that
/// side alone: `producer require: |peer| peer.tags().contains(&TRUSTED)`.
#[macro_export]
macro_rules! stream {
	($($t:tt)*) => { $crate::__private::stream! { $crate; $($t)* } };
}

pub use crate::stream;
