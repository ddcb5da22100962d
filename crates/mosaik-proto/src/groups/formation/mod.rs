//! How a formation comes to be, and how two of one group become one.
//!
//! Nobody configures who founds a group. A node that finds nobody who belongs to
//! one founds a *formation* after a while; since two nodes may do so before they
//! meet, formations carry random ids and are told apart everywhere, and when two
//! of one group meet, the lesser one [yields](merge) to the other. Where that is
//! not good enough, [`Bootstrap::Expect`] makes a second formation impossible
//! below twice as many nodes, by [pledges](pledge).

pub mod info;
pub mod merge;
pub mod pledge;
pub mod seeker;

use {crate::PeerId, std::num::NonZeroUsize};

/// Who may found the group. Anything but [`Auto`](Self::Auto) is a part of the
/// group's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Bootstrap {
	/// Whoever finds nobody. Duplicates can come to be; they are found and
	/// resolved when they meet.
	#[default]
	Auto,
	/// So many nodes together, each of which promises itself to one founding only.
	/// Two formations cannot come to be among fewer than twice as many nodes. At most
	/// [`MAX_VOTERS`](super::config::MAX_VOTERS).
	Expect(NonZeroUsize),
	/// This node only.
	Founder(PeerId),
	/// Not this node: it joins what others founded. For nodes that come back and
	/// must not begin anew, and for nodes at the edge.
	JoinOnly,
}
