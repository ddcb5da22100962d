//! The folder in which processes of one user meet.
//!
//! It must be the user's own: in a folder of somebody else's, they could show us
//! peers of their choice and hide the real ones.

use std::{
	ffi::OsString,
	fs, io,
	path::{Path, PathBuf},
};

/// Why the folder cannot be used. Peers on this host are then found by other
/// means, more slowly; trying again may help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HostError {
	/// It is a symbolic link, which somebody may have put there.
	#[error("{0} is a symbolic link")]
	Symlink(PathBuf),
	/// It is something else than a folder.
	#[error("{0} is not a folder")]
	NotAFolder(PathBuf),
	/// It belongs to another user.
	#[error("{path} belongs to user {owner}, not to user {user}")]
	ForeignOwner {
		/// The folder.
		path: PathBuf,
		/// Whose it is.
		owner: u32,
		/// Who we are.
		user: u32,
	},
	/// Others may write to it.
	#[error("{0} is writable by others")]
	WritableByOthers(PathBuf),
	/// The operating system has no file locks that others can read past.
	#[error("not supported on this system")]
	#[cfg_attr(unix, expect(dead_code, reason = "for other systems"))]
	Unsupported,
	/// A file operation failed.
	#[error("a file operation failed")]
	Io(#[from] io::Error),
}

/// The user's folder, made if need be: the first usable candidate.
pub(super) fn find() -> Result<PathBuf, HostError> {
	let user = user()?;
	let mut result = Err(HostError::Io(io::ErrorKind::NotFound.into()));
	for folder in candidates(|name| std::env::var_os(name), user, &std::env::temp_dir()) {
		result = prepare_for(&folder, user);
		if result.is_ok() {
			break;
		}
	}
	result
}

/// Where to look, best first.
///
/// A folder named by the user is the only one. Else all processes of the user
/// must come to the same answer, also those that a service manager or `cron`
/// starts without the session's variables, hence `/run/user`.
fn candidates(
	env: impl Fn(&str) -> Option<OsString>,
	user: u32,
	temp: &Path,
) -> impl Iterator<Item = PathBuf> {
	let var = |name| {
		env(name)
			.filter(|value| !value.is_empty())
			.map(PathBuf::from)
	};
	let named = var("MOSAIK_RUNTIME_DIR");
	let session = var("XDG_RUNTIME_DIR")
		.unwrap_or_else(|| format!("/run/user/{user}").into())
		.join("mosaik");
	let others = [session, temp.join(format!("mosaik-{user}"))];
	let others = if named.is_some() { None } else { Some(others) };
	named.into_iter().chain(others.into_iter().flatten())
}

/// Makes the folder, or checks the one that is there.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, HostError> {
	prepare_for(folder, user()?)
}

#[cfg(unix)]
fn prepare_for(folder: &Path, user: u32) -> Result<PathBuf, HostError> {
	use std::os::unix::fs::{DirBuilderExt, MetadataExt};

	let made = fs::DirBuilder::new().mode(0o700).create(folder);
	if let Err(error) = made
		&& error.kind() != io::ErrorKind::AlreadyExists
	{
		return Err(error.into());
	}
	// Of the path itself, not of what a link points to.
	let found = fs::symlink_metadata(folder)?;
	let path = folder.to_path_buf();
	if found.is_symlink() {
		return Err(HostError::Symlink(path));
	}
	if !found.is_dir() {
		return Err(HostError::NotAFolder(path));
	}
	let owner = found.uid();
	if owner != user {
		return Err(HostError::ForeignOwner { path, owner, user });
	}
	if found.mode() & 0o022 != 0 {
		return Err(HostError::WritableByOthers(path));
	}
	Ok(path)
}

/// The user whose files this process makes, by looking at one.
///
/// The owner of `/proc/self` would be simpler and is wrong for processes that
/// changed their user.
#[cfg(unix)]
fn user() -> Result<u32, HostError> {
	use std::os::unix::fs::MetadataExt;

	let name = format!(".mosaik-{:016x}", rand::random::<u64>());
	let path = std::env::temp_dir().join(name);
	let probe = fs::File::create_new(&path).and_then(|file| file.metadata());
	let _ = fs::remove_file(&path);
	// Without a writable temporary folder, the next best answer.
	let found = probe.or_else(|_| fs::metadata("/proc/self"))?;
	Ok(found.uid())
}

// Windows locks forbid reading, too: the scheme would need a second file.
#[cfg(not(unix))]
fn prepare_for(_: &Path, _: u32) -> Result<PathBuf, HostError> {
	Err(HostError::Unsupported)
}

#[cfg(not(unix))]
fn user() -> Result<u32, HostError> {
	Err(HostError::Unsupported)
}

#[cfg(all(test, unix))]
mod tests {
	use {super::*, std::os::unix::fs::PermissionsExt};

	fn listed(vars: &[(&str, &str)]) -> Vec<String> {
		let env = |name: &str| {
			let found = vars.iter().find(|(key, _)| *key == name);
			found.map(|(_, value)| value.into())
		};
		let paths = candidates(env, 7, Path::new("/tmp"));
		paths.map(|path| path.display().to_string()).collect()
	}

	#[test]
	fn a_named_folder_is_the_only_one_and_the_session_comes_before_temp() {
		assert_eq!(
			listed(&[("MOSAIK_RUNTIME_DIR", "/a"), ("XDG_RUNTIME_DIR", "/b")]),
			["/a"]
		);
		assert_eq!(
			listed(&[("XDG_RUNTIME_DIR", "/b")]),
			["/b/mosaik", "/tmp/mosaik-7"]
		);
		assert_eq!(
			listed(&[("XDG_RUNTIME_DIR", "")]),
			["/run/user/7/mosaik", "/tmp/mosaik-7"]
		);
	}

	#[test]
	fn the_folder_is_made_private_and_found_again() {
		let temp = tempfile::tempdir().unwrap();
		let folder = temp.path().join("meet");
		prepare(&folder).unwrap();
		let mode = fs::metadata(&folder).unwrap().permissions().mode();
		assert_eq!(mode & 0o777, 0o700);
		prepare(&folder).unwrap();
	}

	#[test]
	fn what_others_may_have_prepared_is_refused() {
		let temp = tempfile::tempdir().unwrap();
		let link = temp.path().join("link");
		std::os::unix::fs::symlink(temp.path(), &link).unwrap();
		assert!(matches!(prepare(&link), Err(HostError::Symlink(_))));

		let file = temp.path().join("file");
		fs::write(&file, "").unwrap();
		assert!(matches!(prepare(&file), Err(HostError::NotAFolder(_))));

		let open = temp.path().join("open");
		fs::create_dir(&open).unwrap();
		fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
		assert!(matches!(
			prepare(&open),
			Err(HostError::WritableByOthers(_))
		));

		let user = user().unwrap();
		let foreign = prepare_for(temp.path(), user + 1);
		assert!(matches!(foreign, Err(HostError::ForeignOwner { owner, .. }) if owner == user));
	}
}
