//! What a peer says about itself, and its signature under it.

use {
	super::Error,
	crate::{
		EndpointAddr, PeerId, SecretKey, Signature,
		id::{FunctionId, GroupId, NetworkId, ShortFmtExt, StreamId, Tag, TicketClass, UniqueId},
		tickets::{Expiration, InvalidTicket, Ticket, TicketValidator, validate_all},
		wire,
	},
	chrono::{DateTime, Utc},
	serde::{Deserialize, Deserializer, Serialize, Serializer},
	std::{
		collections::{BTreeMap, BTreeSet},
		fmt,
		hash::{Hash, Hasher},
		ops::Deref,
		sync::{Arc, OnceLock},
		time::Duration,
	},
};

/// Separates signatures of entries from anything else a node's key signs.
const SIGNATURE_CONTEXT: &str = "mosaik 2026-11 peer entry signature v1";

/// When an entry's owner started and when it last changed the entry, by the
/// owner's own clock.
///
/// Versions of one peer are compared with each other, never with anybody's
/// clock: a wrong clock makes the times wrong, not the order. An owner that
/// meets a version of itself that is not older than its own steps over it.
#[derive(
	Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PeerEntryVersion(pub(crate) u64, pub(crate) u64);

impl PeerEntryVersion {
	/// The version of an owner that started and updated at these moments, in
	/// milliseconds since the Unix epoch.
	pub const fn from_millis(started: u64, updated: u64) -> Self {
		Self(started, updated)
	}

	/// When the owner started.
	pub fn started_at(&self) -> DateTime<Utc> {
		from_millis(self.0)
	}

	/// When the owner last changed the entry.
	pub fn updated_at(&self) -> DateTime<Utc> {
		from_millis(self.1)
	}

	/// The start in milliseconds: what tells incarnations of a peer apart.
	pub const fn started_ms(&self) -> u64 {
		self.0
	}

	/// The version that follows this one at `wall_ms`: greater in any case.
	#[must_use]
	pub fn next(self, wall_ms: u64) -> Self {
		Self(self.0, wall_ms.max(self.1.saturating_add(1)))
	}
}

impl fmt::Display for PeerEntryVersion {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{}:{}", self.0, self.1)
	}
}

/// The moment, as near as the calendar can express it.
fn from_millis(millis: u64) -> DateTime<Utc> {
	i64::try_from(millis)
		.ok()
		.and_then(DateTime::from_timestamp_millis)
		.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What a peer says about itself: its address, what it offers, its tickets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerEntry {
	network: NetworkId,
	version: PeerEntryVersion,
	protocol: semver::Version,
	address: EndpointAddr,
	tags: BTreeSet<Tag>,
	streams: BTreeSet<StreamId>,
	functions: BTreeSet<FunctionId>,
	groups: BTreeSet<GroupId>,
	tickets: BTreeMap<UniqueId, Ticket>,
}

/// The version of the protocol that entries of this build carry.
fn protocol_version() -> semver::Version {
	semver::Version::new(0, 5, 0)
}

macro_rules! id_sets {
	($($field:ident, $id:ty, $add:ident, $remove:ident, $what:literal;)*) => {
		impl PeerEntry {
			$(
				#[doc = concat!("Adds ", $what, ", one or many.")]
				#[must_use]
				pub fn $add<V>(mut self, ids: impl IntoIterOrSingle<$id, V>) -> Self {
					self.$field.extend(ids.iterator());
					self
				}

				#[doc = concat!("Removes ", $what, ", one or many.")]
				#[must_use]
				pub fn $remove<V>(mut self, ids: impl IntoIterOrSingle<$id, V>) -> Self {
					for id in ids.iterator() {
						self.$field.remove(&id);
					}
					self
				}

				#[doc = concat!("The ", $what, " of the peer.")]
				pub const fn $field(&self) -> &BTreeSet<$id> {
					&self.$field
				}
			)*
		}
	};
}

id_sets! {
	tags, Tag, add_tags, remove_tags, "tags";
	streams, StreamId, add_streams, remove_streams, "streams it produces";
	functions, FunctionId, add_functions, remove_functions, "functions it handles";
	groups, GroupId, add_groups, remove_groups, "groups it takes part in";
}

impl PeerEntry {
	/// The entry of a peer of which only the address is known.
	pub fn new(network: NetworkId, address: impl Into<EndpointAddr>) -> Self {
		Self {
			network,
			version: PeerEntryVersion::default(),
			protocol: protocol_version(),
			address: address.into(),
			tags: BTreeSet::new(),
			streams: BTreeSet::new(),
			functions: BTreeSet::new(),
			groups: BTreeSet::new(),
			tickets: BTreeMap::new(),
		}
	}

	/// The peer.
	pub const fn id(&self) -> &PeerId {
		&self.address.id
	}

	/// The network it belongs to.
	pub const fn network_id(&self) -> &NetworkId {
		&self.network
	}

	/// Where it can be reached.
	pub const fn address(&self) -> &EndpointAddr {
		&self.address
	}

	/// The version of mosaik's protocol it speaks.
	pub const fn protocol_version(&self) -> &semver::Version {
		&self.protocol
	}

	/// Which of two entries of one peer is newer.
	pub const fn update_version(&self) -> PeerEntryVersion {
		self.version
	}

	/// When the peer started, by its own clock.
	pub fn started_at(&self) -> DateTime<Utc> {
		self.version.started_at()
	}

	/// When the peer last changed its entry, by its own clock.
	pub fn updated_at(&self) -> DateTime<Utc> {
		self.version.updated_at()
	}

	/// How long the peer has been running, zero if its clock is ahead of ours.
	#[expect(
		clippy::disallowed_methods,
		reason = "a getter for people, no core uses it"
	)]
	pub fn uptime(&self) -> Duration {
		(Utc::now() - self.started_at())
			.to_std()
			.unwrap_or_default()
	}

	/// Whether this entry replaces `other`, an entry of the same peer.
	pub fn is_newer_than(&self, other: &Self) -> bool {
		self.version > other.version
	}

	/// The tickets it carries, by id.
	pub const fn tickets(&self) -> &BTreeMap<UniqueId, Ticket> {
		&self.tickets
	}

	/// The tickets of one class.
	pub fn tickets_of(&self, class: TicketClass) -> impl Iterator<Item = &Ticket> {
		self.tickets
			.values()
			.filter(move |ticket| ticket.class == class)
	}

	/// The tickets of one class that pass a check.
	pub fn valid_tickets(
		&self,
		class: TicketClass,
		is_valid: impl Fn(&[u8]) -> bool,
	) -> impl Iterator<Item = &Ticket> {
		self.tickets_of(class)
			.filter(move |ticket| is_valid(ticket.data()))
	}

	/// Whether a ticket of the class passes a check.
	pub fn has_valid_ticket(&self, class: TicketClass, is_valid: impl Fn(&[u8]) -> bool) -> bool {
		self.valid_tickets(class, is_valid).next().is_some()
	}

	/// Until when the peer satisfies `validator`, by its longest valid ticket.
	///
	/// # Errors
	/// When none of its tickets is valid.
	pub fn validate_ticket(
		&self,
		validator: &dyn TicketValidator,
	) -> Result<Expiration, InvalidTicket> {
		validate_all([validator], self)
	}

	/// Until when the peer satisfies all of `validators`; `None` without any.
	///
	/// # Errors
	/// When one of them has no valid ticket of the peer.
	pub fn validate_tickets(
		&self,
		validators: &[impl AsRef<dyn TicketValidator>],
	) -> Result<Option<Expiration>, InvalidTicket> {
		let earliest = validate_all(validators.iter().map(AsRef::as_ref), self)?;
		Ok((!validators.is_empty()).then_some(earliest))
	}

	/// Adds a ticket.
	#[must_use]
	pub fn add_ticket(mut self, ticket: Ticket) -> Self {
		self.tickets.insert(ticket.id(), ticket);
		self
	}

	/// Removes the ticket with this id.
	#[must_use]
	pub fn remove_ticket(mut self, id: UniqueId) -> Self {
		self.tickets.remove(&id);
		self
	}

	/// Removes all tickets of a class.
	#[must_use]
	pub fn remove_tickets_of(mut self, class: TicketClass) -> Self {
		self.tickets.retain(|_, ticket| ticket.class != class);
		self
	}

	/// Replaces the address.
	///
	/// # Errors
	/// When it is the address of another peer.
	pub fn update_address(mut self, address: EndpointAddr) -> Result<Self, Error> {
		if address.id != self.address.id {
			return Err(Error::PeerIdChanged(self.address.id, address.id));
		}
		self.address = address;
		Ok(self)
	}

	/// Sets the version: what the owner does before it signs.
	#[must_use]
	pub const fn with_version(mut self, version: PeerEntryVersion) -> Self {
		self.version = version;
		self
	}

	/// The hash of all of the entry.
	pub fn digest(&self) -> blake3::Hash {
		let mut hasher = blake3::Hasher::new_derive_key(SIGNATURE_CONTEXT);
		wire::try_serialize_to_writer(self, &mut hasher)
			// Every field has a length, and a hasher takes any byte.
			.expect("an entry always has an encoding");
		hasher.finalize()
	}

	/// Signs the entry.
	///
	/// # Errors
	/// When the key is not that of the peer the entry describes.
	pub fn sign(self, key: &SecretKey) -> Result<SignedPeerEntry, Error> {
		if key.public() != self.address.id {
			return Err(Error::InvalidSecretKey(self.address.id, key.public()));
		}
		let signature = key.sign(self.digest().as_bytes());
		let signed = SignedPeerEntry::unverified(self, signature);
		// We have just made the signature: no need to check it.
		let _ = signed.0.verified.set(true);
		Ok(signed)
	}
}

impl From<&PeerEntry> for PeerId {
	fn from(entry: &PeerEntry) -> Self {
		*entry.id()
	}
}

/// An entry with its owner's signature. Cheap to clone.
///
/// Entries that were decoded have yet to be [verified](Self::verify); those in
/// a catalog have been.
#[derive(Clone)]
pub struct SignedPeerEntry(Arc<Signed>);

struct Signed {
	entry: PeerEntry,
	signature: Signature,
	encoded_len: usize,
	verified: OnceLock<bool>,
}

impl SignedPeerEntry {
	fn unverified(entry: PeerEntry, signature: Signature) -> Self {
		let encoded_len = postcard::experimental::serialized_size(&entry)
			.unwrap_or(usize::MAX)
			.saturating_add(Signature::LENGTH);
		Self(Arc::new(Signed {
			entry,
			signature,
			encoded_len,
			verified: OnceLock::new(),
		}))
	}

	/// Checks the signature, once: the answer is remembered.
	///
	/// # Errors
	/// When the entry was not signed by the peer it describes.
	pub fn verify(&self) -> Result<(), Error> {
		let check = || {
			let digest = self.0.entry.digest();
			self.id()
				.verify(digest.as_bytes(), &self.0.signature)
				.is_ok()
		};
		if *self.0.verified.get_or_init(check) {
			Ok(())
		} else {
			Err(Error::InvalidSignature)
		}
	}

	/// The size of the encoding in bytes.
	pub fn encoded_len(&self) -> usize {
		self.0.encoded_len
	}

	/// The entry without the signature.
	pub fn into_unsigned(self) -> PeerEntry {
		Arc::try_unwrap(self.0).map_or_else(|shared| shared.entry.clone(), |signed| signed.entry)
	}
}

impl Deref for SignedPeerEntry {
	type Target = PeerEntry;

	fn deref(&self) -> &PeerEntry {
		&self.0.entry
	}
}

impl AsRef<PeerEntry> for SignedPeerEntry {
	fn as_ref(&self) -> &PeerEntry {
		self
	}
}

impl AsRef<Signature> for SignedPeerEntry {
	fn as_ref(&self) -> &Signature {
		&self.0.signature
	}
}

impl PartialEq for SignedPeerEntry {
	fn eq(&self, other: &Self) -> bool {
		Arc::ptr_eq(&self.0, &other.0)
			|| (self.0.signature == other.0.signature && self.0.entry == other.0.entry)
	}
}

impl Eq for SignedPeerEntry {}

impl Hash for SignedPeerEntry {
	fn hash<H: Hasher>(&self, state: &mut H) {
		self.0.entry.hash(state);
	}
}

impl fmt::Debug for SignedPeerEntry {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(
			f,
			"SignedPeerEntry({} {})",
			self.id().short(),
			self.update_version()
		)
	}
}

impl From<SignedPeerEntry> for PeerEntry {
	fn from(signed: SignedPeerEntry) -> Self {
		signed.into_unsigned()
	}
}

impl From<&SignedPeerEntry> for PeerEntry {
	fn from(signed: &SignedPeerEntry) -> Self {
		signed.0.entry.clone()
	}
}

impl From<SignedPeerEntry> for (PeerEntry, Signature) {
	fn from(signed: SignedPeerEntry) -> Self {
		let signature = signed.0.signature;
		(signed.into_unsigned(), signature)
	}
}

impl From<&SignedPeerEntry> for PeerId {
	fn from(signed: &SignedPeerEntry) -> Self {
		*signed.id()
	}
}

impl Serialize for SignedPeerEntry {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		(&self.0.entry, &self.0.signature).serialize(serializer)
	}
}

impl<'de> Deserialize<'de> for SignedPeerEntry {
	fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		let (entry, signature) = Deserialize::deserialize(deserializer)?;
		Ok(Self::unverified(entry, signature))
	}
}

/// One item or several of them: what setters of tags, peers and streams take.
///
/// `V` tells the two apart for the compiler and never needs to be named.
pub trait IntoIterOrSingle<T, V> {
	/// The items.
	fn iterator(self) -> impl Iterator<Item = T>;
}

/// Marks a single item, see [`IntoIterOrSingle`].
#[derive(Debug)]
pub struct Single;

/// Marks a collection of items, see [`IntoIterOrSingle`].
#[derive(Debug)]
pub struct Many;

impl<T, I: Into<T>> IntoIterOrSingle<T, Single> for I {
	fn iterator(self) -> impl Iterator<Item = T> {
		std::iter::once(self.into())
	}
}

impl<T, I: IntoIterator<Item: Into<T>>> IntoIterOrSingle<T, Many> for I {
	fn iterator(self) -> impl Iterator<Item = T> {
		self.into_iter().map(Into::into)
	}
}

#[cfg(test)]
mod tests {
	use {super::*, crate::id::Digest, bytes::Bytes};

	fn key(n: u8) -> SecretKey {
		SecretKey::from_bytes(&[n; 32])
	}

	fn entry(n: u8) -> PeerEntry {
		PeerEntry::new("net".into(), key(n).public())
	}

	#[test]
	fn a_signature_survives_the_wire_and_a_change_does_not() {
		let signed = entry(1).add_tags("a").sign(&key(1)).unwrap();
		let bytes = wire::try_serialize(&signed).unwrap();
		assert_eq!(bytes.len(), signed.encoded_len());
		let back: SignedPeerEntry = wire::deserialize(&bytes).unwrap();
		assert_eq!(back, signed);
		back.verify().unwrap();

		let (entry, signature) = signed.into();
		let forged = SignedPeerEntry::unverified(entry.add_tags("b"), signature);
		assert!(matches!(forged.verify(), Err(Error::InvalidSignature)));
	}

	#[test]
	fn only_the_owner_signs_and_moves() {
		assert!(matches!(
			entry(1).sign(&key(2)),
			Err(Error::InvalidSecretKey(..))
		));
		let elsewhere = EndpointAddr::from(key(2).public());
		assert!(matches!(
			entry(1).update_address(elsewhere),
			Err(Error::PeerIdChanged(..))
		));
	}

	#[test]
	fn one_or_many() {
		let tags: [Tag; 2] = ["a".into(), "b".into()];
		let one = entry(1).add_tags("a");
		assert_eq!(one.tags().len(), 1);
		let many = one
			.add_tags(tags)
			.add_tags(["c", "d"])
			.remove_tags("a")
			.remove_tags(&tags[1..]);
		assert_eq!(many.tags(), &["c", "d"].map(Tag::from).into());
	}

	#[test]
	fn a_version_always_grows() {
		let version = PeerEntryVersion(5, 10);
		assert_eq!(version.next(20), PeerEntryVersion(5, 20));
		assert_eq!(version.next(3), PeerEntryVersion(5, 11));
		assert!(PeerEntryVersion(6, 0) > PeerEntryVersion(5, u64::MAX));
		assert_eq!(
			PeerEntryVersion(u64::MAX, 0).started_at(),
			DateTime::<Utc>::MAX_UTC
		);
	}

	/// Takes tickets whose first byte is the hour in which they expire.
	struct Hours(TicketClass);

	impl TicketValidator for Hours {
		fn class(&self) -> TicketClass {
			self.0
		}

		fn signature(&self) -> UniqueId {
			self.0
		}

		fn validate(&self, ticket: &[u8], _: &PeerEntry) -> Result<Expiration, InvalidTicket> {
			let hour = *ticket.first().ok_or(InvalidTicket)?;
			let at = DateTime::from_timestamp(i64::from(hour) * 3600, 0).ok_or(InvalidTicket)?;
			Ok(Expiration::At(at))
		}
	}

	#[test]
	fn the_longest_ticket_counts_and_the_earliest_validator_ends_it() {
		let (a, b) = (Digest::from("a"), Digest::from("b"));
		let ticket = |class, hour: u8| Ticket::new(class, Bytes::copy_from_slice(&[hour]));
		let peer = entry(1)
			.add_ticket(ticket(a, 1))
			.add_ticket(ticket(a, 9))
			.add_ticket(Ticket::new(a, Bytes::new()))
			.add_ticket(ticket(b, 5));
		let validators: [Box<dyn TicketValidator>; 2] = [Box::new(Hours(a)), Box::new(Hours(b))];
		let at = |hour: i64| Expiration::At(DateTime::from_timestamp(hour * 3600, 0).unwrap());
		assert_eq!(peer.validate_ticket(&*validators[0]), Ok(at(9)));
		assert_eq!(peer.validate_tickets(&validators), Ok(Some(at(5))));
		let without_b = peer.remove_tickets_of(b);
		assert_eq!(without_b.validate_tickets(&validators), Err(InvalidTicket));
		let none: [Box<dyn TicketValidator>; 0] = [];
		assert_eq!(without_b.validate_tickets(&none), Ok(None));
	}
}
