use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use refresh_client_layer::{IdempotencyKey, StoreError, StoredTokens, TokenSet, TokenStore};

/// Keeps the tokens of one process in a file, readable by its owner only. A crash leaves the old
/// file or the new one.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    /// One change at a time.
    turn: Mutex<()>,
}

impl TokenFile {
    /// Opens `path`, which must hold tokens: an answer of a log-in, or what was stored before.
    ///
    /// # Errors
    /// A sentence when the file cannot be read or is damaged; it is left as it is.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, String> {
        let path = path.into();
        match read(&path) {
            Ok(Some(_)) => Ok(Self {
                path,
                turn: Mutex::default(),
            }),
            Ok(None) => Err(format!(
                "{} does not exist: sign in and save the answer there",
                path.display()
            )),
            Err(error) => Err(error),
        }
    }

    fn change<T>(
        &self,
        change: impl FnOnce(Option<StoredTokens>) -> (Option<StoredTokens>, T),
    ) -> Result<T, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, result) = change(read(&self.path)?);
        match kept {
            Some(tokens) => write(&self.path, &tokens)?,
            None => fs::remove_file(&self.path)?,
        }
        Ok(result)
    }
}

impl TokenStore for TokenFile {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        Ok(read(&self.path)?)
    }

    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        self.change(|kept| match kept {
            Some(kept) if !kept.is_older_than(tokens.generation()) => (Some(kept), false),
            _ => (Some(StoredTokens::new(tokens.clone())), true),
        })
    }

    async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.change(|mut kept| {
            if let Some(kept) = &mut kept {
                kept.begin(generation, key);
            }
            (kept.clone(), kept)
        })
    }

    async fn clear(&self, up_to: u64) -> Result<(), StoreError> {
        match read(&self.path)? {
            Some(kept) if !kept.is_newer_than(up_to) => Ok(fs::remove_file(&self.path)?),
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<Option<StoredTokens>, String> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    StoredTokens::from_json(&json).map(Some).map_err(|error| {
        format!(
            "{} is damaged ({error}); it is left as it is: restore it or sign in anew",
            path.display()
        )
    })
}

/// Writes beside the file, makes it durable, then takes the file's place.
fn write(path: &Path, tokens: &StoredTokens) -> Result<(), StoreError> {
    let folder = path
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // Created with mode 0600 under a random name.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&tokens.to_json())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}
