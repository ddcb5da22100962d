//! What every macro is called with: the path of the `mosaik` crate, a semicolon,
//! and what the user wrote.

use {
	proc_macro2::{TokenStream, TokenTree},
	syn::{Result, Token, parse::ParseStream},
};

/// See the [module](self).
pub(crate) struct Input {
	/// `$crate` of the wrapping macro.
	pub(crate) krate: TokenStream,
	/// What the user wrote.
	pub(crate) rest: TokenStream,
}

/// Splits at the first semicolon.
///
/// `$crate` is one token that no parser of paths knows, so the path is taken as
/// it comes.
pub(crate) fn parse(input: ParseStream<'_>) -> Result<Input> {
	let mut krate = TokenStream::new();
	while !input.peek(Token![;]) {
		krate.extend([input.parse::<TokenTree>()?]);
	}
	input.parse::<Token![;]>()?;
	Ok(Input {
		krate,
		rest: input.parse()?,
	})
}
