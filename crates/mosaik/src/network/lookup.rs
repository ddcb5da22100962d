//! Lookups that the user adds: where the addresses of a bare id come from.

use {
	iroh::{
		Endpoint,
		address_lookup::{AddressLookup, AddressLookupBuilder, AddressLookupBuilderError},
	},
	std::{
		fmt,
		sync::{Arc, Mutex, PoisonError},
	},
};

type Started = Result<Box<dyn AddressLookup>, AddressLookupBuilderError>;
type Start = Box<dyn FnOnce(&Endpoint) -> Started + Send>;

/// A lookup that is started with the node it is for.
///
/// It can be started once, but what configures a node can be cloned: clones
/// share it, and the first node built has it.
#[derive(Clone)]
pub struct Lookup {
	description: Arc<str>,
	start: Arc<Mutex<Option<Start>>>,
}

impl Lookup {
	pub(super) fn new(builder: impl AddressLookupBuilder) -> Self {
		let description = format!("{builder:?}").into();
		let start = |endpoint: &Endpoint| -> Started {
			Ok(Box::new(builder.into_address_lookup(endpoint)?))
		};
		Self {
			description,
			start: Arc::new(Mutex::new(Some(Box::new(start)))),
		}
	}

	/// Lets an endpoint publish to this and resolve with it.
	pub(super) fn add_to(self, endpoint: &Endpoint) -> Result<(), AddressLookupBuilderError> {
		let start = self
			.start
			.lock()
			.unwrap_or_else(PoisonError::into_inner)
			.take();
		let start = start.ok_or_else(|| {
			AddressLookupBuilderError::from_err_box(
				"mosaik",
				"another node has this lookup: add one to each clone of a builder".into(),
			)
		})?;
		endpoint.address_lookup()?.add_boxed(start(endpoint)?);
		Ok(())
	}
}

impl fmt::Debug for Lookup {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(&self.description)
	}
}
