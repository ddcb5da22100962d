//! Names to digests at compile time, as `Digest::from(&str)` does at run time.

use {proc_macro2::TokenStream, quote::quote, syn::LitStr};

/// A constant expression for the digest of `name`.
pub(crate) fn expand(krate: &TokenStream, name: &LitStr) -> TokenStream {
	let bytes = digest(&name.value());
	quote!(#krate::Digest::from_bytes([#(#bytes),*]))
}

/// Decodes 64 hexadecimal characters, hashes anything else.
fn digest(name: &str) -> [u8; 32] {
	decode_hex(name.as_bytes()).unwrap_or_else(|| *blake3::hash(name.as_bytes()).as_bytes())
}

fn decode_hex(text: &[u8]) -> Option<[u8; 32]> {
	let digit = |c: u8| char::from(c).to_digit(16);
	let mut bytes = [0; 32];
	if text.len() != 64 {
		return None;
	}
	for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
		*byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
	}
	Some(bytes)
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::id::Digest};

	#[test]
	fn compile_time_and_run_time_agree() {
		let hex = Digest::from("a").to_string();
		let almost = "g".repeat(64);
		for name in [
			"",
			"a",
			"acme.ticks",
			"ü",
			&hex,
			&hex.to_uppercase(),
			&hex[1..],
			&almost,
		] {
			assert_eq!(digest(name), *Digest::from(name).as_bytes(), "{name}");
		}
	}
}
