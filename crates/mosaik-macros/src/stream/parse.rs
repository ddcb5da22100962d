//! The grammar of `stream!`.

use {
	super::{CONSUMER, Call, Definition, Id, KEYS, PRODUCER, SIDES},
	crate::keys::{self, Entry, Errors},
	proc_macro2::Ident,
	syn::{Attribute, Error, Expr, ExprLit, Lit, LitStr, Result, Token, Type, parse::ParseStream},
};

/// `[attrs] [vis] [producer|consumer] Name = Datum [, id] [, key: value]*`
pub(crate) fn parse(input: ParseStream<'_>) -> Result<Definition> {
	let attrs = input.call(Attribute::parse_outer)?;
	let vis = input.parse()?;
	let role = parse_role(input)?;
	let name = parse_name(input)?;
	let datum = parse_datum(input, &name)?;
	parse_comma(input)?;
	let id = parse_id(input)?;
	let entries = keys::parse(input, SIDES, KEYS)?;
	check_role(role, &entries)?;
	Ok(Definition {
		attrs,
		vis,
		public: [role != Some(CONSUMER), role != Some(PRODUCER)],
		name,
		datum,
		id,
		calls: [calls(&entries, PRODUCER), calls(&entries, CONSUMER)],
	})
}

fn parse_role(input: ParseStream<'_>) -> Result<Option<usize>> {
	// A lone word is the name, even if it reads like a role.
	if !(input.peek(syn::Ident) && input.peek2(syn::Ident)) {
		return Ok(None);
	}
	let word: Ident = input.parse()?;
	let role = SIDES.iter().position(|side| word == side);
	role.map(Some).ok_or_else(|| {
		let message =
			format!("expected `producer`, `consumer` or the stream's name, found `{word}`");
		Error::new(word.span(), message)
	})
}

fn parse_name(input: ParseStream<'_>) -> Result<Ident> {
	if input.is_empty() {
		return Err(keys::error_at_call(
			"expected a definition: `Name = DatumType`",
		));
	}
	let name = input.parse()?;
	if input.peek(Token![<]) {
		return Err(
			input.error("a stream has no type parameters: its datum type is a concrete one")
		);
	}
	Ok(name)
}

fn parse_datum(input: ParseStream<'_>, name: &Ident) -> Result<Type> {
	let missing = || {
		// At the end of the input there is nothing to point at but the name.
		let span = if input.is_empty() {
			name.span()
		} else {
			input.span()
		};
		Error::new(
			span,
			format!("the datum type is missing: `{name} = DatumType`"),
		)
	};
	if !input.peek(Token![=]) {
		return Err(missing());
	}
	input.parse::<Token![=]>()?;
	if input.is_empty() || input.peek(Token![,]) || input.peek(Lit) {
		return Err(missing());
	}
	input.parse()
}

fn parse_comma(input: ParseStream<'_>) -> Result<()> {
	if input.is_empty() {
		return Ok(());
	}
	input.parse::<Token![,]>().map(drop)
}

fn parse_id(input: ParseStream<'_>) -> Result<Id> {
	if input.is_empty() || keys::peek(input) {
		return Ok(Id::Derived);
	}
	let id = match keys::ungroup(input.parse()?) {
		Expr::Lit(ExprLit {
			lit: Lit::Str(name),
			..
		}) => Id::Name(check_id(name)?),
		Expr::Lit(other) => {
			let message = "a stream id is a string or the path of a constant";
			return Err(Error::new_spanned(other, message));
		}
		value => Id::Value(value),
	};
	parse_comma(input)?;
	Ok(id)
}

fn check_id(name: LitStr) -> Result<LitStr> {
	if name.value().is_empty() {
		let message = "a stream id is not empty; leave it out to derive it from the datum type";
		return Err(Error::new(name.span(), message));
	}
	Ok(name)
}

/// A key of the hidden side alone would silently configure nothing that the
/// definition shows, so the user has to say that it is meant.
fn check_role(role: Option<usize>, entries: &[Entry]) -> Result<()> {
	let Some(role) = role else {
		return Ok(());
	};
	let mut errors = Errors::default();
	for entry in entries
		.iter()
		.filter(|entry| !entry.prefixed && !entry.sides[role])
	{
		let (this, other, key) = (SIDES[role], SIDES[1 - role], &entry.key);
		let message = format!(
			"`{key}` configures the {other}, and this definition is for the {this} only\n\
			 write `{other} {key}: …` if the {other} inside this crate is meant"
		);
		errors.push(Err(Error::new(key.span(), message)));
	}
	errors.finish()
}

fn calls(entries: &[Entry], side: usize) -> Vec<Call> {
	let of_side = entries.iter().filter(|entry| entry.sides[side]);
	of_side
		.map(|entry| Call {
			method: Ident::new(entry.spec.method, entry.key.span()),
			value: entry.value.clone(),
		})
		.collect()
}

#[cfg(test)]
mod tests {
	use {super::*, quote::ToTokens, syn::parse::Parser};

	fn parsed(text: &str) -> Definition {
		parse.parse_str(text).unwrap()
	}

	fn error(text: &str) -> String {
		let error = parse.parse_str(text).unwrap_err();
		error.into_iter().map(|e| e.to_string() + "\n").collect()
	}

	fn methods(definition: &Definition, side: usize) -> Vec<String> {
		let calls = definition.calls[side].iter();
		calls.map(|call| call.method.to_string()).collect()
	}

	#[test]
	fn the_shortest_definition() {
		let definition = parsed("Ticks = Tick");
		assert_eq!(definition.name, "Ticks");
		assert_eq!(definition.public, [true, true]);
		assert!(matches!(definition.id, Id::Derived));
		assert!(definition.calls.iter().all(Vec::is_empty));
	}

	#[test]
	fn roles_ids_and_types() {
		let definition = parsed("pub(crate) producer Ticks = a::B<Vec<u8>, 3>, \"x\",");
		assert_eq!(definition.public, [true, false]);
		assert_eq!(
			definition.datum.to_token_stream().to_string(),
			"a :: B < Vec < u8 > , 3 >"
		);
		assert!(matches!(definition.id, Id::Name(_)));
		assert_eq!(parsed("consumer T = D").public, [false, true]);
		assert_eq!(parsed("producer = D").name, "producer");
		for id in ["ID", "ids::TICKS", "Self::ID", "unique_id!(\"x\")"] {
			let definition = parsed(&format!("T = D, {id}, max_consumers: 1"));
			assert!(matches!(definition.id, Id::Value(_)), "{id}");
			assert_eq!(definition.calls[PRODUCER].len(), 1);
		}
	}

	#[test]
	fn keys_go_to_the_sides_that_have_them() {
		let definition = parsed(
			"T = D, require: |p| p.ok(), producer require: f, consumer require: g,
			 max_consumers: N, criteria: c(), producer online_when: |c| c, consumer online_when: |c| c",
		);
		let producer = ["require", "require", "with_max_consumers", "online_when"];
		assert_eq!(methods(&definition, PRODUCER), producer);
		let consumer = ["require", "require", "with_criteria", "online_when"];
		assert_eq!(methods(&definition, CONSUMER), consumer);
	}

	#[test]
	fn mistakes_are_told_all_at_once() {
		let told =
			error("T = D, requires: f, max_consumers: \"1\", buffer_size: 1, buffer_size: 2");
		assert!(told.contains("did you mean `require`?"), "{told}");
		assert!(told.contains("`max_consumers` takes an integer"), "{told}");
		assert!(told.contains("`buffer_size` is already set"), "{told}");
	}

	#[test]
	fn a_prefix_overlaps_with_no_prefix() {
		let told = error("T = D, online_when: f, consumer online_when: g");
		assert!(told.contains("already set"), "{told}");
	}

	#[test]
	fn a_key_of_the_hidden_side_needs_its_prefix() {
		let told = error("producer T = D, criteria: c");
		assert!(told.contains("`consumer criteria: …`"), "{told}");
		let definition = parsed("producer T = D, consumer criteria: c, require: f");
		assert_eq!(methods(&definition, CONSUMER), ["with_criteria", "require"]);
		assert!(error("T = D, consumer max_consumers: 3").contains("belongs to the producer"));
		assert!(error("T = D, producr require: f").contains("did you mean `producer`?"));
	}

	#[test]
	fn what_is_missing_is_named() {
		assert!(error("").contains("Name = DatumType"));
		assert!(error("pub T").contains("`T = DatumType`"));
		assert!(error("T =").contains("datum type is missing"));
		assert!(error("T = , \"x\"").contains("datum type is missing"));
		assert!(error("T = D, \"\"").contains("not empty"));
		assert!(error("T = D, 7").contains("a string or the path"));
		assert!(error("T = D, require: f, \"x\"").contains("right after the type"));
		assert!(error("T<A> = D").contains("no type parameters"));
		assert!(error("both T = D").contains("found `both`"));
	}
}
