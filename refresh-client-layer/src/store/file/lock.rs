use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::error::{FileStoreError, FileStoreErrorKind};
use super::ordinary;
use crate::store::blocking::Caller;

/// An advisory lock of the system, on an empty file of its own. That of a process that died is
/// free.
pub(in crate::store) struct LockFile {
    path: PathBuf,
}

/// Ends with its drop, or with the process.
pub(in crate::store) struct Held {
    _file: File,
}

impl LockFile {
    pub(in crate::store) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// `None` if somebody else has it.
    #[clippy::msrv = "1.89"] // `File::try_lock`; Cargo.toml says it of the feature
    pub(in crate::store) fn try_lock(&self) -> Result<Option<Held>, FileStoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let file = ordinary::open(&mut options, &self.path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(why)) => Err(FileStoreError::io(&self.path, "lock", why)),
        }
    }

    /// Waits for its turn, within bounds: a thread that waits for ever would keep its runtime from
    /// shutting down. Fails if the caller has gone away meanwhile.
    pub(in crate::store) fn lock(&self, caller: &Caller) -> Result<Held, FileStoreError> {
        for _ in 0..MOST_NAPS {
            let held = self.try_lock()?;
            if caller.is_gone() {
                break;
            }
            match held {
                Some(held) => return Ok(held),
                None => thread::sleep(NAP),
            }
        }
        Err(self.is_locked())
    }

    /// The error of somebody who will not wait any longer.
    pub(in crate::store) fn is_locked(&self) -> FileStoreError {
        FileStoreError::new(FileStoreErrorKind::Locked, &self.path)
    }
}

const NAP: Duration = Duration::from_millis(5);

/// 5 seconds.
const MOST_NAPS: u32 = 1000;
