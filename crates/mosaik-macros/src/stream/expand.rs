//! The code `stream!` stands for.

use {
	super::{CONSUMER, Call, Definition, Id, PRODUCER, SIDES},
	crate::id,
	proc_macro2::{Ident, Span, TokenStream},
	quote::{format_ident, quote},
};

/// Names of a side in the generated code.
struct Names {
	/// `producer`
	open: Ident,
	/// `online_producer`
	open_online: Ident,
	/// `Producer`, the handle and the trait's associated type.
	handle: Ident,
	/// `StreamProducer`
	trait_name: Ident,
}

const TRAITS: [(&str, &str); 2] = [
	("Producer", "StreamProducer"),
	("Consumer", "StreamConsumer"),
];

impl Names {
	fn of(side: usize) -> Self {
		let (handle, trait_name) = TRAITS[side];
		Self {
			open: format_ident!("{}", SIDES[side]),
			open_online: format_ident!("online_{}", SIDES[side]),
			handle: format_ident!("{handle}"),
			trait_name: format_ident!("{trait_name}"),
		}
	}
}

/// The unit struct, and an impl for each side.
pub(crate) fn expand(krate: &TokenStream, definition: &Definition) -> TokenStream {
	let Definition {
		attrs, vis, name, ..
	} = definition;
	let sides = [PRODUCER, CONSUMER].map(|side| expand_side(krate, definition, side));
	quote! {
		#(#attrs)*
		#[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy)]
		#vis struct #name;

		#(#sides)*
	}
}

fn expand_side(krate: &TokenStream, definition: &Definition, side: usize) -> TokenStream {
	let Definition {
		attrs, name, datum, ..
	} = definition;
	// What is compiled out with the struct must not leave its impls behind.
	let cfgs: Vec<_> = attrs
		.iter()
		.filter(|attr| attr.path().is_ident("cfg"))
		.collect();
	let Names {
		open,
		open_online,
		handle,
		trait_name,
	} = Names::of(side);
	// Not visible to the user's expressions.
	let network = Ident::new("network", Span::mixed_site());
	let opened = Ident::new("opened", Span::mixed_site());

	let build = build(krate, definition, side, &network);
	let future = quote! {
		impl ::core::future::Future<Output = #krate::streams::#handle<#datum>>
			+ ::core::marker::Send + ::core::marker::Sync + 'static
	};
	// Opened before the future is made: it then owns all it needs, and no
	// subscription waits for the first poll.
	let wait = quote! {
		async move {
			let online = #opened.when().online();
			online.await;
			#opened
		}
	};

	if definition.public[side] {
		quote! {
			#(#cfgs)*
			impl #krate::streams::#trait_name for #name {
				type #handle = #krate::streams::#handle<#datum>;

				fn #open(#network: &#krate::Network) -> Self::#handle {
					#build
				}

				fn #open_online(#network: &#krate::Network) -> #future {
					let #opened = <Self as #krate::streams::#trait_name>::#open(#network);
					#wait
				}
			}
		}
	} else {
		let reason = "the side of a stream that other crates do not see";
		quote! {
			#(#cfgs)*
			#[allow(dead_code, private_interfaces, unreachable_pub, reason = #reason)]
			impl #name {
				pub(crate) fn #open(#network: &#krate::Network) -> #krate::streams::#handle<#datum> {
					#build
				}

				pub(crate) fn #open_online(#network: &#krate::Network) -> #future + use<> {
					let #opened = Self::#open(#network);
					#wait
				}
			}
		}
	}
}

/// The handle, by the builder.
fn build(
	krate: &TokenStream,
	definition: &Definition,
	side: usize,
	network: &Ident,
) -> TokenStream {
	let datum = &definition.datum;
	let open = format_ident!("{}", SIDES[side]);
	let id = match &definition.id {
		Id::Derived => None,
		Id::Name(name) => Some(id::expand(krate, name)),
		Id::Value(value) => Some(quote!(#value)),
	};
	let with_id = id.map(|id| quote!(.with_stream_id(#id)));
	let calls = definition.calls[side]
		.iter()
		.map(|Call { method, value }| quote!(.#method(#value)));
	let build = quote! {
		#krate::Network::streams(#network).#open::<#datum>() #with_id #(#calls)* .build()
	};
	if side == PRODUCER {
		// A second producer of the stream on this node shares the first.
		quote!(#krate::__private::shared_producer(#build))
	} else {
		build
	}
}
