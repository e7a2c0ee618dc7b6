use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::FileStoreError;
use super::lock::{Held, LockFile};
use super::ordinary;
use crate::store::StoredTokens;
use crate::store::blocking::Caller;

/// The files of a store. All of this blocks.
pub(super) struct Disk {
    path: PathBuf,
    /// What is to become the file. One name will do, since only the holder of the lock writes; what
    /// a crash has left there does not pile up.
    new: PathBuf,
    lock: LockFile,
    /// Held by the one who refreshes, where there may be only one.
    pub(super) refresh_lock: LockFile,
}

/// The right to change the file, until it is dropped or the process ends.
pub(super) struct Locked<'a> {
    disk: &'a Disk,
    _lock: Held,
}

impl Disk {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            new: beside(&path, ".new"),
            lock: LockFile::new(beside(&path, ".lock")),
            refresh_lock: LockFile::new(beside(&path, ".refresh")),
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing is there only if its folder is: that may be unmounted, with the tokens in it.
    pub(super) fn read(&self) -> Result<Option<StoredTokens>, FileStoreError> {
        let file = match ordinary::open(OpenOptions::new().read(true), &self.path) {
            Ok(file) => file,
            Err(error) if error.is(ErrorKind::NotFound) && self.has_folder() => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut json = Zeroizing::new(Vec::new());
        file.take(LONGEST_FILE)
            .read_to_end(&mut json)
            .map_err(|why| FileStoreError::io(&self.path, "read", why))?;
        match StoredTokens::from_json(&json) {
            Ok(tokens) => Ok(Some(tokens)),
            Err(why) => Err(FileStoreError::damaged(&self.path, why)),
        }
    }

    pub(super) fn lock(&self, caller: &Caller) -> Result<Locked<'_>, FileStoreError> {
        Ok(Locked {
            _lock: self.lock.lock(caller)?,
            disk: self,
        })
    }

    fn has_folder(&self) -> bool {
        self.path.parent().is_none_or(Path::is_dir)
    }
}

impl Locked<'_> {
    /// The old file or the new one is there at any moment, and after `Ok` the new one for good.
    pub(super) fn write(&self, tokens: &StoredTokens) -> Result<(), FileStoreError> {
        self.write_beside(tokens)
            .map_err(|why| FileStoreError::io(&self.disk.new, "write", why))?;
        fs::rename(&self.disk.new, &self.disk.path)
            .and_then(|()| self.sync_folder())
            .map_err(|why| FileStoreError::io(&self.disk.path, "replace", why))
    }

    pub(super) fn remove(&self) -> Result<(), FileStoreError> {
        for path in [&self.disk.new, &self.disk.path] {
            remove(path).map_err(|why| FileStoreError::io(path, "remove", why))?;
        }
        self.sync_folder()
            .map_err(|why| FileStoreError::io(&self.disk.path, "remove", why))
    }

    fn write_beside(&self, tokens: &StoredTokens) -> io::Result<()> {
        remove(&self.disk.new)?;
        let mut options = OpenOptions::new();
        let mut file =
            ordinary::private(options.write(true).create_new(true)).open(&self.disk.new)?;
        file.write_all(&tokens.to_json())?;
        file.sync_all()
    }

    /// Makes the change of names durable.
    fn sync_folder(&self) -> io::Result<()> {
        match self.disk.path.parent() {
            Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
            // Elsewhere a folder cannot be opened, and need not be.
            _ => Ok(()),
        }
    }
}

impl Deref for Locked<'_> {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        self.disk
    }
}

/// Also if it is not there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Nobody's tokens are longer; what is cut off no longer parses.
const LONGEST_FILE: u64 = 1024 * 1024;
