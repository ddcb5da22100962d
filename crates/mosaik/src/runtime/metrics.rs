//! Labels of metrics: ids in their short hex form.

use {
	metrics::Label,
	mosaik_proto::id::{Digest, ShortFmtExt},
};

/// The labels of a metric's handle. Made once per handle, never per event.
pub(crate) fn labels(ids: &[(&'static str, &Digest)]) -> Vec<Label> {
	ids.iter()
		.map(|(name, id)| Label::new(*name, id.short().to_string()))
		.collect()
}
