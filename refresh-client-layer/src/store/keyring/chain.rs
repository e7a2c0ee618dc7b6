use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyring_core::{CredentialStore, Entry, Error};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::{KeyringStoreError, KeyringStoreErrorKind};
use crate::clock;
use crate::store::StoredTokens;

/// A record in one entry of a keychain, or in several that the main one names.
///
/// Each part begins with a mark that only this writing of it has, so that parts of two writings are
/// never taken for one record. All of this blocks.
#[derive(Clone)]
pub(super) struct Chain {
    store: Option<Arc<CredentialStore>>,
    service: String,
    account: String,
}

/// What the main entry holds in place of a long record.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Head {
    parts: usize,
    shelf: Shelf,
    mark: String,
}

/// Where the parts are: never where those of the record before are.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Shelf {
    A,
    B,
}

impl Chain {
    pub(super) fn new(
        store: Option<Arc<CredentialStore>>,
        service: String,
        account: String,
    ) -> Self {
        Self {
            store,
            service,
            account,
        }
    }

    pub(super) fn read(&self) -> Result<Option<StoredTokens>, KeyringStoreError> {
        let mut before = None;
        loop {
            let Some(main) = secret(&self.main()?)? else {
                return Ok(None);
            };
            let Some(head) = Head::parse(&main) else {
                return parsed(&main).map(Some);
            };
            if let Some(json) = self.collect(&head)? {
                return parsed(&json).map(Some);
            }
            // Somebody has written meanwhile, unless nothing has changed.
            if before.as_ref() == Some(&head) {
                return Err(KeyringStoreError::damaged(None));
            }
            before = Some(head);
        }
    }

    pub(super) fn write(&self, record: &StoredTokens) -> Result<(), KeyringStoreError> {
        let json = record.to_json();
        let old = self.head()?;
        if json.len() <= LONGEST {
            self.main()?.set_secret(&json)?;
        } else {
            let shelf = match &old {
                Some(Head {
                    shelf: Shelf::A, ..
                }) => Shelf::B,
                _ => Shelf::A,
            };
            let head = self.spread(&json, shelf)?;
            self.main()?
                .set_secret(&serde_json::to_vec(&head).unwrap_or_default())?;
        }
        old.map_or(Ok(()), |old| self.sweep(old.shelf))
    }

    /// The main entry first: without it there is no record.
    pub(super) fn remove(&self) -> Result<(), KeyringStoreError> {
        delete(&self.main()?)?;
        self.sweep(Shelf::A)?;
        self.sweep(Shelf::B)
    }

    fn head(&self) -> Result<Option<Head>, KeyringStoreError> {
        let main = secret(&self.main()?)?;
        Ok(main.and_then(|main| Head::parse(&main)))
    }

    fn spread(&self, json: &[u8], shelf: Shelf) -> Result<Head, KeyringStoreError> {
        let head = Head {
            parts: json.len().div_ceil(LONGEST),
            shelf,
            mark: URL_SAFE_NO_PAD.encode(clock::random_bytes::<12>()),
        };
        if head.parts > MOST_PARTS {
            return Err(KeyringStoreErrorKind::TooLong.into());
        }
        for (number, part) in json.chunks(LONGEST).enumerate() {
            let marked = Zeroizing::new([head.mark.as_bytes(), part].concat());
            self.part(shelf, number)?.set_secret(&marked)?;
        }
        Ok(head)
    }

    /// `None` if a part is of another writing.
    fn collect(&self, head: &Head) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringStoreError> {
        let mut json = Zeroizing::new(Vec::new());
        for number in 0..head.parts.min(MOST_PARTS) {
            let part = secret(&self.part(head.shelf, number)?)?;
            match part
                .as_ref()
                .and_then(|it| it.strip_prefix(head.mark.as_bytes()))
            {
                Some(part) => json.extend_from_slice(part),
                None => return Ok(None),
            }
        }
        Ok(Some(json))
    }

    /// Removes all parts of one shelf, the last one first: what a crash leaves is found again from the
    /// first one on.
    fn sweep(&self, shelf: Shelf) -> Result<(), KeyringStoreError> {
        let mut parts = Vec::new();
        for number in 0..MOST_PARTS {
            let part = self.part(shelf, number)?;
            if secret(&part)?.is_none() {
                break;
            }
            parts.push(part);
        }
        parts.iter().rev().try_for_each(delete)
    }

    fn main(&self) -> Result<Entry, KeyringStoreError> {
        self.entry(&self.account)
    }

    fn part(&self, shelf: Shelf, number: usize) -> Result<Entry, KeyringStoreError> {
        let shelf = match shelf {
            Shelf::A => 'a',
            Shelf::B => 'b',
        };
        self.entry(&format!("{}#{shelf}{number}", self.account))
    }

    fn entry(&self, account: &str) -> Result<Entry, KeyringStoreError> {
        let entry = match &self.store {
            Some(store) => store.build(&self.service, account, None),
            None => Entry::new(&self.service, account),
        };
        Ok(entry?)
    }
}

impl Head {
    fn parse(main: &[u8]) -> Option<Self> {
        serde_json::from_slice(main).ok()
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.account, self.service)
    }
}

fn secret(entry: &Entry) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringStoreError> {
    match entry.get_secret() {
        Ok(secret) => Ok(Some(Zeroizing::new(secret))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn delete(entry: &Entry) -> Result<(), KeyringStoreError> {
    match entry.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn parsed(json: &[u8]) -> Result<StoredTokens, KeyringStoreError> {
    StoredTokens::from_json(json).map_err(|why| KeyringStoreError::damaged(Some(why)))
}

/// With the mark, 16 characters, less than the 2,560 bytes of Windows.
const LONGEST: usize = 2_500;

/// Nobody's tokens are longer.
const MOST_PARTS: usize = 64;
