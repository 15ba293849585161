//! Small files that must survive a crash whole: written beside, synced, renamed, and the folder synced.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gimmetime_clock::source;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Replaces `path` by `bytes`, readable for its owner only; after a crash either the old or the new content is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = write_beside(path, bytes)?;
    std::fs::rename(&beside, path)?;
    sync_folder(path)
}

/// [`replace`], and what was there before is called `previous` from then on.
pub(crate) fn replace_keeping(path: &Path, previous: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = write_beside(path, bytes)?;
    match renameat_with(CWD, &beside, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => std::fs::rename(&beside, previous)?,
        // There is nothing to keep, or the file system cannot exchange.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS) => std::fs::rename(&beside, path)?,
        Err(error) => return Err(error.into()),
    }
    sync_folder(path)
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(beside)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// [`replace`] with a value as JSON.
pub(crate) fn replace_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    replace(path, &bytes)
}

/// The value in a JSON file; None if there is no file, an error of kind `InvalidData` if it cannot be read as one.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("cannot read `{}`: {error}", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Calls `beside` `path` from now on, unless something is called so already: that stays, and `beside` goes.
pub(crate) fn keep_first(beside: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, beside, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => std::fs::remove_file(beside),
        // The file system cannot tell.
        Err(Errno::INVAL | Errno::NOSYS) => std::fs::rename(beside, path),
        renamed => Ok(renamed?),
    }
}

/// Makes a folder only its owner may enter, with those above it.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Renames a file that cannot be used to `<name>.<why>-<unix seconds>`, so that nothing is lost; returns the new name.
pub(crate) fn keep_aside(path: &Path, why: &str) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{why}-{}", source::wall().unix_seconds()));
    let aside = path.with_file_name(name);
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_what_is_not_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        assert!(read_json::<u32>(&path).unwrap().is_none());
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let aside = keep_aside(&path, "corrupt").unwrap();
        assert!(!path.exists());
        assert_eq!(std::fs::read(aside).unwrap(), b"{");
    }

    #[test]
    fn what_came_first_keeps_its_name_and_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gimmetime");
        for word in ["first", "second"] {
            let beside = folder.path().join(word);
            std::fs::write(&beside, word).unwrap();
            keep_first(&beside, &path).unwrap();
            assert!(!beside.exists());
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    }
}
