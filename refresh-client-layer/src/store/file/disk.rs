use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use super::error::{FileStoreError, FileStoreErrorKind};
use crate::store::StoredTokens;

/// The three files of a store. All of this blocks.
pub(super) struct Disk {
    path: PathBuf,
    /// What is to become the file. One name will do, since only the holder of the lock writes; what
    /// a crash has left there does not pile up.
    new: PathBuf,
    lock: PathBuf,
}

/// The right to change the file, until it is dropped or the process ends.
pub(super) struct Locked<'a> {
    disk: &'a Disk,
    _lock: File,
}

impl Disk {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            new: beside(&path, ".new"),
            lock: beside(&path, ".lock"),
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn read(&self) -> Result<Option<StoredTokens>, FileStoreError> {
        let file = match regular(OpenOptions::new().read(true), &self.path) {
            Ok(file) => file,
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
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

    /// Waits for its turn, within bounds: a thread that waits for ever would keep its runtime from
    /// shutting down.
    pub(super) fn lock(&self) -> Result<Locked<'_>, FileStoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let lock = regular(&mut options, &self.lock)?;
        for _ in 0..MOST_NAPS {
            match lock.try_lock() {
                Ok(()) => {
                    return Ok(Locked {
                        disk: self,
                        _lock: lock,
                    });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(NAP),
                Err(TryLockError::Error(why)) => {
                    return Err(FileStoreError::io(&self.lock, "lock", why));
                }
            }
        }
        Err(FileStoreError::new(FileStoreErrorKind::Locked, &self.lock))
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
        fs::remove_file(&self.disk.path)
            .and_then(|()| self.sync_folder())
            .map_err(|why| FileStoreError::io(&self.disk.path, "remove", why))
    }

    fn write_beside(&self, tokens: &StoredTokens) -> io::Result<()> {
        match fs::remove_file(&self.disk.new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = private(options.write(true).create_new(true)).open(&self.disk.new)?;
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

/// Opens an ordinary file: no link, no pipe, no device.
fn regular(options: &mut OpenOptions, path: &Path) -> Result<File, FileStoreError> {
    let is_link = || fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    // Not the guard on Unix, where the flags are, but a better word than the system's.
    if is_link() {
        return Err(FileStoreError::new(FileStoreErrorKind::NotAFile, path));
    }
    let cannot = |why| FileStoreError::io(path, "open", why);
    let file = private(options).open(path).map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err(FileStoreError::new(FileStoreErrorKind::NotAFile, path));
    }
    Ok(file)
}

/// For the owner's eyes only, from the first moment on.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Without O_NONBLOCK a pipe in the file's place would hold the thread for ever.
    options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Nobody's tokens are longer; what is cut off no longer parses.
const LONGEST_FILE: u64 = 1024 * 1024;

const NAP: Duration = Duration::from_millis(5);

/// 5 seconds.
const MOST_NAPS: u32 = 1000;
