use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::tokens::InvalidTokens;

/// Why a [`FileStore`](super::FileStore) could not do what it was asked; the text says what to do.
///
/// It names the file and repeats nothing that is in it.
#[derive(Debug)]
pub struct FileStoreError {
    kind: FileStoreErrorKind,
    path: PathBuf,
    what: &'static str,
    source: Option<Source>,
}

/// The kinds of [`FileStoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileStoreErrorKind {
    /// The file holds something else than tokens. It was left as it is.
    Damaged,
    /// A symbolic link, a folder, a pipe or a device is in the place of a file.
    NotAFile,
    /// Another process has held the lock for 5 seconds.
    Locked,
    /// The system refused; the source says why.
    Io,
}

#[derive(Debug)]
enum Source {
    Io(io::Error),
    Tokens(InvalidTokens),
}

impl FileStoreError {
    /// What went wrong.
    pub fn kind(&self) -> FileStoreErrorKind {
        self.kind
    }

    /// The file it is about: that of the store, or one of those beside it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn new(kind: FileStoreErrorKind, path: &Path) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            what: "",
            source: None,
        }
    }

    pub(super) fn io(path: &Path, what: &'static str, why: io::Error) -> Self {
        Self {
            what,
            source: Some(Source::Io(why)),
            ..Self::new(FileStoreErrorKind::Io, path)
        }
    }

    pub(super) fn damaged(path: &Path, why: InvalidTokens) -> Self {
        Self {
            source: Some(Source::Tokens(why)),
            ..Self::new(FileStoreErrorKind::Damaged, path)
        }
    }

    pub(super) fn is(&self, kind: io::ErrorKind) -> bool {
        matches!(&self.source, Some(Source::Io(error)) if error.kind() == kind)
    }
}

impl fmt::Display for FileStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match (self.kind, &self.source) {
            (FileStoreErrorKind::Damaged, Some(Source::Tokens(why))) => write!(
                f,
                "{path} is damaged and was left as it is: restore it, or remove it and sign in anew \
                 ({why})"
            ),
            (FileStoreErrorKind::NotAFile, _) => write!(
                f,
                "{path} is no regular file, and links are not followed: remove it, or give the path \
                 of the file itself"
            ),
            (FileStoreErrorKind::Locked, _) => write!(
                f,
                "{path} has been locked for 5 seconds: look for a process that is stopped or hangs"
            ),
            (_, Some(Source::Io(why))) if why.kind() == io::ErrorKind::NotFound => write!(
                f,
                "cannot {} {path}: see that its folder exists and is mounted ({why})",
                self.what
            ),
            (_, Some(Source::Io(why))) => write!(f, "cannot {} {path}: {why}", self.what),
            (_, _) => write!(f, "cannot use {path}"),
        }
    }
}

impl Error for FileStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(Source::Io(why)) => Some(why),
            Some(Source::Tokens(why)) => Some(why),
            None => None,
        }
    }
}
