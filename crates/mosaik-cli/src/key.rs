//! Files with a node's key: 64 hexadecimal characters, readable by their owner
//! only.

use {
	crate::text,
	mosaik::SecretKey,
	std::{
		fs::{self, File, OpenOptions},
		io::{self, ErrorKind, Write},
		path::{Path, PathBuf},
	},
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
	#[error("the key file {} cannot be read", .0.display())]
	Read(PathBuf, #[source] io::Error),
	#[error("the key file {} cannot be made", .0.display())]
	Create(PathBuf, #[source] io::Error),
	#[error(
		"{} is no key file: expected 64 hexadecimal characters; \
		 move it away to have a new key made",
		.0.display()
	)]
	Format(PathBuf),
	#[cfg(unix)]
	#[error(
		"the key file {path} can be read by other users, who could then pass for this node: \
		 run `chmod 600 {path}`",
		path = .0.display()
	)]
	Exposed(PathBuf),
	#[error("there is no home directory to keep the key in: name a file by --key-file")]
	NoHome,
}

/// The key in the file; where there is none, a new one is put there.
pub(crate) fn load_or_create(file: &Path) -> Result<SecretKey, KeyError> {
	match fs::read_to_string(file) {
		Ok(text) => {
			check_permissions(file)?;
			text.trim()
				.parse()
				.map_err(|_| KeyError::Format(file.to_owned()))
		}
		Err(error) if error.kind() == ErrorKind::NotFound => {
			let key = SecretKey::generate();
			create(file, &key).map_err(|error| KeyError::Create(file.to_owned(), error))?;
			Ok(key)
		}
		Err(error) => Err(KeyError::Read(file.to_owned(), error)),
	}
}

/// Where the key `name` is kept if nothing else is said.
pub(crate) fn default_file(name: &str) -> Result<PathBuf, KeyError> {
	let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
	let state = state.filter(|dir| dir.is_absolute());
	let home = || Some(std::env::home_dir()?.join(".local/state"));
	let folder = state.or_else(home).ok_or(KeyError::NoHome)?;
	Ok(folder.join("mosaik").join(format!("{name}.key")))
}

fn create(file: &Path, key: &SecretKey) -> io::Result<()> {
	if let Some(folder) = file.parent() {
		fs::create_dir_all(folder)?;
	}
	let mut file = create_private(file)?;
	writeln!(file, "{}", text::hex(&key.to_bytes()))?;
	file.sync_all()
}

fn create_private(file: &Path) -> io::Result<File> {
	let mut options = OpenOptions::new();
	options.write(true).create_new(true);
	#[cfg(unix)]
	std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
	options.open(file)
}

#[cfg(unix)]
fn check_permissions(file: &Path) -> Result<(), KeyError> {
	use std::os::unix::fs::PermissionsExt;
	let metadata = fs::metadata(file).map_err(|error| KeyError::Read(file.to_owned(), error))?;
	if metadata.permissions().mode() & 0o077 != 0 {
		return Err(KeyError::Exposed(file.to_owned()));
	}
	Ok(())
}

#[cfg(not(unix))]
fn check_permissions(_: &Path) -> Result<(), KeyError> {
	Ok(())
}
