//! One node's file in the rendezvous folder, and what it reads of the others.

use {
	mosaik_proto::{EndpointAddr, PeerId, id::NetworkId, wire},
	rand::seq::SliceRandom,
	std::{
		fs::{self, File, Metadata, TryLockError},
		io::{self, Read, Write},
		path::{Path, PathBuf},
		time::Duration,
	},
};

/// The largest file in bytes: some eighty addresses.
const MAX_FILE: usize = 4096;
/// How many addresses are written at most.
const MAX_ADDRS: usize = 64;
/// How many names of a folder are looked at.
const MAX_NAMES: usize = 4096;
/// How many live peers are returned, chosen at random.
const MAX_PEERS: usize = 256;
/// After which a half-written file is nobody's.
const HALF_WRITTEN: Duration = Duration::from_secs(60);
/// How often to begin anew when the folder disappears underneath.
const ATTEMPTS: usize = 5;

/// What begins every file, and changes with its format.
const MAGIC: &[u8] = b"mosaik host 1\n";

/// A node's presence on this host, which ends with the value.
#[derive(Debug)]
pub(super) struct Presence {
	pub(super) folder: PathBuf,
	addr: EndpointAddr,
	pub(super) own: Own,
}

/// The file whose lock we hold.
#[derive(Debug)]
pub(super) struct Own {
	/// Open for the lock.
	_locked: File,
	pub(super) identity: Identity,
}

impl Presence {
	/// Makes `addr` known to the network's other processes on this host.
	pub(super) fn announce(
		base: &Path,
		network: &NetworkId,
		addr: EndpointAddr,
	) -> io::Result<Self> {
		let folder = base.join(network.to_string());
		let own = write(&folder, &addr)?;
		Ok(Self { folder, addr, own })
	}

	/// Replaces the address, and the file if it has gone missing.
	pub(super) fn update(&mut self, addr: EndpointAddr) -> io::Result<()> {
		if addr != self.addr || self.is_lost() {
			self.own = write(&self.folder, &addr)?;
			self.addr = addr;
		}
		Ok(())
	}

	/// Whether the path holds no live file. Another process's with our identity
	/// is live: the two must not fight over the name.
	fn is_lost(&self) -> bool {
		let path = self.path();
		match fs::symlink_metadata(&path) {
			Ok(found) if Identity::of(&found) == self.own.identity => false,
			Ok(_) => !File::open(&path).is_ok_and(|file| is_locked(&file)),
			Err(_) => true,
		}
	}

	pub(super) fn path(&self) -> PathBuf {
		self.folder.join(self.addr.id.to_string())
	}

	/// The live others. Removes what dead processes left.
	pub(super) fn peers(&self) -> io::Result<Vec<EndpointAddr>> {
		let names = fs::read_dir(&self.folder)?
			.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
		let mut names: Vec<String> = names.take(MAX_NAMES).collect();
		// So that in a crowd everyone finds somebody else.
		names.shuffle(&mut rand::rng());
		let others = names.iter().filter_map(|name| self.read(name));
		Ok(others.take(MAX_PEERS).collect())
	}

	fn read(&self, name: &str) -> Option<EndpointAddr> {
		let path = self.folder.join(name);
		// Opening something else than a file could block.
		let found = fs::symlink_metadata(&path).ok().filter(Metadata::is_file)?;
		if name.starts_with('.') {
			remove_half_written(&path, &found);
			return None;
		}
		let id = parse_name(name).filter(|id| *id != self.addr.id)?;
		let file = File::open(&path).ok()?;
		if !is_locked(&file) {
			remove_dead(&path, &file);
			return None;
		}
		decode(file).filter(|addr| addr.id == id && !addr.is_empty())
	}
}

impl Drop for Presence {
	fn drop(&mut self) {
		let path = self.path();
		let ours = fs::symlink_metadata(&path)
			.is_ok_and(|found| Identity::of(&found) == self.own.identity);
		if ours {
			let _ = fs::remove_file(&path);
		}
		// Fails as long as others are there.
		let _ = fs::remove_dir(&self.folder);
	}
}

/// Writes a locked file and puts it in its place.
fn write(folder: &Path, addr: &EndpointAddr) -> io::Result<Own> {
	let mut attempt = 1;
	loop {
		match try_write(folder, addr) {
			// The last of the others has just left and removed the folder.
			Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {
				attempt += 1;
			}
			result => return result,
		}
	}
}

fn try_write(folder: &Path, addr: &EndpointAddr) -> io::Result<Own> {
	match fs::create_dir(folder) {
		Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
		_ => {}
	}
	let name = addr.id.to_string();
	let draft = folder.join(format!(".{name}.{:016x}", rand::random::<u64>()));
	let mut file = File::create_new(&draft)?;
	// Locked before anyone can find it, complete before it has its name.
	let placed = file
		.try_lock()
		.map_err(io::Error::from)
		.and_then(|()| file.write_all(&encode(addr)))
		.and_then(|()| fs::rename(&draft, folder.join(name)))
		.and_then(|()| file.metadata());
	match placed {
		Ok(found) => Ok(Own {
			_locked: file,
			identity: Identity::of(&found),
		}),
		Err(error) => {
			let _ = fs::remove_file(&draft);
			Err(error)
		}
	}
}

pub(super) fn encode(addr: &EndpointAddr) -> Vec<u8> {
	let addrs = addr
		.addrs
		.iter()
		.filter(|addr| addr.is_ip())
		.take(MAX_ADDRS);
	let addr = EndpointAddr::from_parts(addr.id, addrs.cloned());
	let body = wire::try_serialize(&addr)
		// Every field of an address has a length.
		.expect("an address always has an encoding");
	[MAGIC, &body].concat()
}

fn decode(file: File) -> Option<EndpointAddr> {
	let mut bytes = Vec::new();
	let limit = u64::try_from(MAX_FILE).ok()? + 1;
	file.take(limit).read_to_end(&mut bytes).ok()?;
	if bytes.len() > MAX_FILE {
		return None;
	}
	wire::deserialize(bytes.strip_prefix(MAGIC)?).ok()
}

fn parse_name(name: &str) -> Option<PeerId> {
	// A peer id has other spellings, which are not names of files.
	name.parse()
		.ok()
		.filter(|id: &PeerId| id.to_string() == name)
}

/// Whether somebody holds the lock, that is, whether the owner lives.
fn is_locked(file: &File) -> bool {
	// Shared, so that two readers do not take each other for the owner.
	matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Removes a file whose lock we have just taken.
fn remove_dead(path: &Path, file: &File) {
	let Ok(opened) = file.metadata() else {
		return;
	};
	// A restarted owner may have put its new file here. One that does so between
	// this check and the removal notices with its next look.
	let same =
		fs::symlink_metadata(path).is_ok_and(|found| Identity::of(&found) == Identity::of(&opened));
	if same {
		let _ = fs::remove_file(path);
	}
}

/// Removes what a process left that died while it wrote.
fn remove_half_written(path: &Path, found: &Metadata) {
	let age = found.modified().ok().and_then(|at| at.elapsed().ok());
	if age.is_some_and(|age| age > HALF_WRITTEN)
		&& let Ok(file) = File::open(path)
		&& !is_locked(&file)
	{
		remove_dead(path, &file);
	}
}

/// Tells a file from another that later has the same path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
	device: u64,
	inode: u64,
}

impl Identity {
	#[cfg(unix)]
	fn of(file: &Metadata) -> Self {
		use std::os::unix::fs::MetadataExt;
		Self {
			device: file.dev(),
			inode: file.ino(),
		}
	}

	#[cfg(not(unix))]
	fn of(_: &Metadata) -> Self {
		Self {
			device: 0,
			inode: 0,
		}
	}
}
