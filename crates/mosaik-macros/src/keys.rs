//! Lists of `[side] key: value`, which end every definition macro.
//!
//! A definition has two sides, such as producer and consumer. A key configures
//! one of them or, without a prefix, each side it has a meaning for.

use {
	proc_macro2::{Ident, Span},
	syn::{
		Error, Expr, ExprLit, Lit, Result, Token, ext::IdentExt, parse::ParseStream,
		spanned::Spanned,
	},
};

/// The names of the two sides.
pub(crate) type Sides = [&'static str; 2];

/// One key a macro knows.
#[derive(Debug)]
pub(crate) struct Spec {
	/// As the user writes it.
	pub(crate) name: &'static str,
	/// The builder's method that takes the value.
	pub(crate) method: &'static str,
	/// Which of the two sides have it.
	pub(crate) sides: [bool; 2],
	/// Whether each occurrence adds to the others.
	pub(crate) repeatable: bool,
	/// What a literal value must be. Any other expression is left to the compiler.
	pub(crate) literal: Literal,
}

/// Which literals a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literal {
	/// `42`
	Integer,
	/// `true`
	Bool,
	/// None: values are closures or built by calls.
	None,
}

/// One entry of the list.
#[derive(Debug)]
pub(crate) struct Entry {
	/// What was set.
	pub(crate) spec: &'static Spec,
	/// The sides it applies to.
	pub(crate) sides: [bool; 2],
	/// Whether the user named the side.
	pub(crate) prefixed: bool,
	/// The key as written, for errors.
	pub(crate) key: Ident,
	/// The value as written.
	pub(crate) value: Expr,
}

/// Whether an entry comes next, rather than an expression.
pub(crate) fn peek(input: ParseStream<'_>) -> bool {
	let key_at = |input: ParseStream<'_>| {
		input.peek(Ident::peek_any) && input.peek2(Token![:]) && !input.peek2(Token![::])
	};
	let prefixed = || {
		let ahead = input.fork();
		ahead.call(Ident::parse_any).is_ok() && key_at(&ahead)
	};
	key_at(input) || (input.peek(Ident::peek_any) && prefixed())
}

/// Parses `key: value, …` to the end and reports every mistake in it at once.
pub(crate) fn parse(
	input: ParseStream<'_>,
	sides: Sides,
	specs: &'static [Spec],
) -> Result<Vec<Entry>> {
	let mut entries: Vec<Entry> = Vec::new();
	let mut errors = Errors::default();
	while !input.is_empty() {
		if !peek(input) {
			return Err(input.error("expected `key: value`; the id goes right after the type"));
		}
		match parse_entry(input, sides, specs)? {
			Ok(entry) => {
				errors.push(check_duplicate(&entries, &entry));
				entries.push(entry);
			}
			Err(error) => errors.push(Err(error)),
		}
		if !input.is_empty() {
			input.parse::<Token![,]>()?;
		}
	}
	errors.finish().map(|()| entries)
}

/// The outer error is one of syntax, after which parsing cannot go on.
fn parse_entry(
	input: ParseStream<'_>,
	sides: Sides,
	specs: &'static [Spec],
) -> Result<Result<Entry>> {
	let first = input.call(Ident::parse_any)?;
	let (side, key) = if input.peek(Token![:]) {
		(None, first)
	} else {
		(Some(first), input.call(Ident::parse_any)?)
	};
	input.parse::<Token![:]>()?;
	let value = ungroup(input.parse()?);
	Ok(resolve(side, key, value, sides, specs))
}

/// Takes off the invisible group around what another macro passed on.
pub(crate) fn ungroup(expr: Expr) -> Expr {
	match expr {
		Expr::Group(group) => ungroup(*group.expr),
		other => other,
	}
}

fn resolve(
	side: Option<Ident>,
	key: Ident,
	value: Expr,
	sides: Sides,
	specs: &'static [Spec],
) -> Result<Entry> {
	let spec = find(&key, specs)?;
	let mut applies = spec.sides;
	if let Some(side) = &side {
		let index = sides
			.iter()
			.position(|name| side == name)
			.ok_or_else(|| unknown_side(side, sides))?;
		if !spec.sides[index] {
			let message = format!(
				"a {side} has no `{key}`; it belongs to the {}",
				sides[1 - index]
			);
			return Err(Error::new(side.span(), message));
		}
		applies[1 - index] = false;
	}
	check_literal(spec, &value)?;
	Ok(Entry {
		spec,
		sides: applies,
		prefixed: side.is_some(),
		key,
		value,
	})
}

fn find(key: &Ident, specs: &'static [Spec]) -> Result<&'static Spec> {
	let name = key.to_string();
	if let Some(spec) = specs.iter().find(|spec| spec.name == name) {
		return Ok(spec);
	}
	let names = specs.iter().map(|spec| spec.name);
	let list = names.clone().map(|name| format!("`{name}`"));
	let list = list.collect::<Vec<_>>().join(", ");
	let hint = closest(&name, names)
		.map_or_else(String::new, |close| format!(", did you mean `{close}`?"));
	let message = format!("unknown key `{name}`{hint}\nvalid keys are {list}");
	Err(Error::new(key.span(), message))
}

fn unknown_side(side: &Ident, [first, second]: Sides) -> Error {
	let hint = closest(&side.to_string(), [first, second].into_iter())
		.map_or_else(String::new, |close| format!(", did you mean `{close}`?"));
	let message = format!(
		"unknown side `{side}`{hint}\na key is prefixed by `{first}`, by `{second}` or by nothing"
	);
	Error::new(side.span(), message)
}

fn check_literal(spec: &Spec, value: &Expr) -> Result<()> {
	let Expr::Lit(ExprLit { lit, .. }) = value else {
		return Ok(());
	};
	let (fits, expected) = match spec.literal {
		Literal::Integer => (matches!(lit, Lit::Int(_)), "an integer"),
		Literal::Bool => (matches!(lit, Lit::Bool(_)), "`true` or `false`"),
		Literal::None => (false, "no literal but a closure or a value"),
	};
	if fits {
		return Ok(());
	}
	let message = format!("`{}` takes {expected}", spec.name);
	Err(Error::new(value.span(), message))
}

fn check_duplicate(before: &[Entry], entry: &Entry) -> Result<()> {
	let overlaps = |other: &&Entry| {
		std::ptr::eq(other.spec, entry.spec)
			&& (0..2).any(|side| other.sides[side] && entry.sides[side])
	};
	if entry.spec.repeatable || !before.iter().any(|other| overlaps(&other)) {
		return Ok(());
	}
	let message = format!("`{}` is already set", entry.key);
	Err(Error::new(entry.key.span(), message))
}

/// The known name that `name` is most likely a misspelling of.
fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
	// Builders call it `with_x`, macros `x`.
	let name = name.strip_prefix("with_").unwrap_or(name);
	known
		.map(|known| (distance(name, known), known))
		.filter(|(distance, known)| *distance <= known.len() / 3)
		.min()
		.map(|(_, known)| known)
}

/// Levenshtein's distance, row by row.
fn distance(a: &str, b: &str) -> usize {
	let b: Vec<char> = b.chars().collect();
	let mut row: Vec<usize> = (0..=b.len()).collect();
	for (i, a) in a.chars().enumerate() {
		let mut diagonal = row[0];
		row[0] = i + 1;
		for (j, b) in b.iter().enumerate() {
			let replaced = diagonal + usize::from(a != *b);
			diagonal = row[j + 1];
			row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
		}
	}
	row[b.len()]
}

/// Collects errors, so that the user sees all of them.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
	pub(crate) fn push(&mut self, result: Result<()>) {
		match (&mut self.0, result) {
			(_, Ok(())) => {}
			(Some(errors), Err(error)) => errors.combine(error),
			(none, Err(error)) => *none = Some(error),
		}
	}

	pub(crate) fn finish(self) -> Result<()> {
		self.0.map_or(Ok(()), Err)
	}
}

/// An error about the whole of what was written.
pub(crate) fn error_at_call(message: &str) -> Error {
	Error::new(Span::call_site(), message)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn misspellings_are_recognised_and_other_words_are_not() {
		let known = || ["require", "require_ticket", "max_consumers", "backoff"].into_iter();
		assert_eq!(closest("requires", known()), Some("require"));
		assert_eq!(closest("require_tickets", known()), Some("require_ticket"));
		assert_eq!(
			closest("with_max_consumers", known()),
			Some("max_consumers")
		);
		assert_eq!(closest("bakcoff", known()), Some("backoff"));
		assert_eq!(closest("colour", known()), None);
		assert_eq!(distance("kitten", "sitting"), 3);
	}
}
