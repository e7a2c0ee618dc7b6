//! Files that are no link, no pipe and no device, for the owner's eyes only.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use super::error::{FileStoreError, FileStoreErrorKind};

pub(super) fn open(options: &mut OpenOptions, path: &Path) -> Result<File, FileStoreError> {
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

/// From the first moment on.
#[cfg(unix)]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Without O_NONBLOCK a pipe in the file's place would hold the thread for ever.
    options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
}

#[cfg(not(unix))]
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}
