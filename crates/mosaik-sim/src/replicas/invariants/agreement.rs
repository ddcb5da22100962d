//! State machine safety (Raft §5.4.3), per formation: no two members apply
//! different entries at one index.

use {
	crate::linearizability::models::log::Prefix,
	mosaik_proto::{
		groups::{
			entry::{Entry, EntryKind},
			types::{FormationId, LogIndex, Seq, Term},
		},
		wire,
	},
	std::collections::BTreeMap,
};

/// What was applied where, and the commands of each formation.
#[derive(Debug, Default)]
pub struct Agreement {
	applied: BTreeMap<(FormationId, LogIndex), (Term, u64)>,
	/// The values of each formation, by their index.
	values: BTreeMap<FormationId, BTreeMap<Seq, u64>>,
}

impl Agreement {
	/// A member applied an entry.
	///
	/// # Errors
	/// When another one applied something else there.
	pub fn applied(&mut self, formation: FormationId, entry: &Entry) -> Result<(), String> {
		let bytes = wire::try_serialize(entry).unwrap_or_default();
		let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
			(hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
		});
		let key = (formation, entry.pos.index);
		let known = *self.applied.entry(key).or_insert((entry.pos.term, hash));
		if known != (entry.pos.term, hash) {
			let index = entry.pos.index;
			return Err(format!(
				"agreement: two entries are applied at {index} of {formation}: {entry:?}, and \
				 one of term {}",
				known.0
			));
		}
		if let EntryKind::Commands(batch) = &entry.kind {
			let first = entry.seq_end - batch.len() as u64 + 1;
			let values = self.values.entry(formation).or_default();
			for (seq, envelope) in (first..).zip(batch.iter()) {
				let bytes = <[u8; 8]>::try_from(&envelope.payload[..]).unwrap_or_default();
				values.insert(seq, u64::from_le_bytes(bytes));
			}
		}
		Ok(())
	}

	/// A member was given a state instead of entries.
	///
	/// # Errors
	/// When it is not what those entries would have given.
	pub fn restored(&self, formation: FormationId, shows: Prefix) -> Result<(), String> {
		let length = usize::try_from(shows.length).unwrap_or(usize::MAX);
		let agreed: Prefix = self.values(formation).take(length).collect();
		if agreed == shows {
			return Ok(());
		}
		Err(format!(
			"agreement: a snapshot of {formation} shows {shows:?} instead of {agreed:?}"
		))
	}

	/// The commands of a formation, in order.
	pub fn values(&self, formation: FormationId) -> impl Iterator<Item = u64> {
		let values = self.values.get(&formation);
		values
			.into_iter()
			.flat_map(|values| values.values().copied())
	}

	/// The formations in which something was applied.
	pub fn formations(&self) -> impl Iterator<Item = FormationId> {
		let mut last = None;
		let keys = self.applied.keys().map(|(formation, _)| *formation);
		keys.filter(move |formation| last.replace(*formation) != Some(*formation))
	}
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::groups::types::LogPos};

	#[test]
	fn another_entry_at_an_index_is_noticed() {
		let entry = |term| Entry {
			pos: LogPos { term, index: 7 },
			seq_end: 0,
			kind: EntryKind::Noop,
		};
		let mut agreement = Agreement::default();
		let formation = FormationId::from(1);
		assert_eq!(agreement.applied(formation, &entry(1)), Ok(()));
		assert_eq!(agreement.applied(formation, &entry(1)), Ok(()));
		assert_eq!(agreement.applied(FormationId::from(2), &entry(2)), Ok(()));
		assert!(agreement.applied(formation, &entry(2)).is_err());
	}
}
