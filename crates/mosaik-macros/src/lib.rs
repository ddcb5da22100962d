//! The procedural macros of `mosaik`.
//!
//! Not for direct use: `mosaik` wraps each of them in a `macro_rules!` macro of
//! the same name that passes its own path first, so that the generated code
//! finds the crate under whatever name the user's program knows it:
//!
//! ```text
//! macro_rules! unique_id {
//!     ($($t:tt)*) => { $crate::__private::unique_id!($crate; $($t)*) };
//! }
//! ```
//!
//! | module     | does |
//! |------------|------|
//! | `input`  | splits the crate's path from what the user wrote |
//! | `id`     | names to digests, at compile time |
//! | `keys`   | the `[side] key: value` lists, and good errors about them |
//! | `stream` | `stream!` |

mod id;
mod input;
mod keys;
mod stream;

use {
	input::Input,
	proc_macro::TokenStream,
	syn::{Result, parse::Parser},
};

/// The digest of a string literal, as a constant expression.
///
/// 64 hexadecimal characters are decoded, anything else is hashed: the same as
/// `Digest::from`.
#[proc_macro]
pub fn unique_id(tokens: TokenStream) -> TokenStream {
	run(tokens, |input| {
		let name = <syn::LitStr as syn::parse::Parse>::parse.parse2(input.rest)?;
		Ok(id::expand(&input.krate, &name))
	})
}

/// A stream definition with its producer and consumer constructors.
#[proc_macro]
pub fn stream(tokens: TokenStream) -> TokenStream {
	run(tokens, |input| {
		let definition = stream::parse.parse2(input.rest)?;
		Ok(stream::expand(&input.krate, &definition))
	})
}

fn run(
	tokens: TokenStream,
	expand: impl FnOnce(Input) -> Result<proc_macro2::TokenStream>,
) -> TokenStream {
	input::parse
		.parse(tokens)
		.and_then(expand)
		.unwrap_or_else(syn::Error::into_compile_error)
		.into()
}
