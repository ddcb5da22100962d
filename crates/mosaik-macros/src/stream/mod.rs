//! `stream!`: a named stream and how to open both of its sides.
//!
//! ```text
//! stream!(
//!     /// Price updates.
//!     pub producer Prices = PriceUpdate, "oracle.prices",
//!     require: |peer| peer.tags().contains(&TRUSTED),
//!     producer online_when: |c| c.minimum_of(2),
//!     max_consumers: 32,
//! );
//! ```
//!
//! becomes `pub struct Prices;` with `StreamProducer` and `StreamConsumer`. A
//! role in front of the name exposes that side alone; the other remains as
//! `pub(crate)` methods, for the crate that owns the stream.

mod expand;
mod parse;

pub(crate) use {expand::expand, parse::parse};

use {
	crate::keys::{Literal, Sides, Spec},
	proc_macro2::Ident,
	syn::{Attribute, Expr, LitStr, Type, Visibility},
};

const SIDES: Sides = ["producer", "consumer"];
const PRODUCER: usize = 0;
const CONSUMER: usize = 1;

const BOTH: [bool; 2] = [true, true];
const PRODUCER_ONLY: [bool; 2] = [true, false];
const CONSUMER_ONLY: [bool; 2] = [false, true];

const KEYS: &[Spec] = &[
	key("require", "require", BOTH, true, Literal::None),
	key(
		"require_ticket",
		"require_ticket",
		BOTH,
		true,
		Literal::None,
	),
	key("online_when", "online_when", BOTH, false, Literal::None),
	key(
		"max_consumers",
		"with_max_consumers",
		PRODUCER_ONLY,
		false,
		Literal::Integer,
	),
	key(
		"buffer_size",
		"with_buffer_size",
		PRODUCER_ONLY,
		false,
		Literal::Integer,
	),
	key(
		"disconnect_lagging",
		"disconnect_lagging",
		PRODUCER_ONLY,
		false,
		Literal::Bool,
	),
	key(
		"criteria",
		"with_criteria",
		CONSUMER_ONLY,
		false,
		Literal::None,
	),
	key(
		"backoff",
		"with_backoff",
		CONSUMER_ONLY,
		false,
		Literal::None,
	),
];

const fn key(
	name: &'static str,
	method: &'static str,
	sides: [bool; 2],
	repeatable: bool,
	literal: Literal,
) -> Spec {
	Spec {
		name,
		method,
		sides,
		repeatable,
		literal,
	}
}

/// What the user wrote.
#[derive(Debug)]
pub(crate) struct Definition {
	attrs: Vec<Attribute>,
	vis: Visibility,
	/// Which sides are public traits.
	public: [bool; 2],
	name: Ident,
	datum: Type,
	id: Id,
	/// The builder calls of each side, in the order written.
	calls: [Vec<Call>; 2],
}

/// Where the stream's id comes from.
#[derive(Debug)]
enum Id {
	/// The datum type's name.
	Derived,
	/// A name, hashed now.
	Name(LitStr),
	/// A constant.
	Value(Expr),
}

/// One call of a builder's method.
#[derive(Debug)]
struct Call {
	/// Spanned at the key, so that the compiler's errors point there.
	method: Ident,
	value: Expr,
}
