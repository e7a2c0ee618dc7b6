use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use auth_layer::issue::{TokenIssuer, TokenIssuerBuilder};
use auth_layer::store::{MemoryStore, PostgresStore, RedisStore, SqliteStore};

use crate::Keys;

/// Where sessions live: `memory`, `sqlite:PATH`, `postgres://...` or `redis://...`.
#[derive(Clone)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the programs of this package know all"
)]
pub enum Store {
    /// In the process.
    Memory,
    /// In a file.
    Sqlite(PathBuf),
    /// At a URL, which may have a password.
    Postgres(String),
    /// At a URL, which may have a password.
    Redis(String),
}

impl Store {
    /// An issuer of sessions that live here, with `keys`. They are asked for once the store is open: where
    /// it does not open, nothing is left behind.
    ///
    /// # Errors
    /// A sentence when the store cannot be opened, or there are no keys.
    pub async fn issuer(
        &self,
        keys: impl FnOnce() -> Result<Keys, Box<dyn Error>>,
    ) -> Result<TokenIssuerBuilder, Box<dyn Error>> {
        let builder = match self {
            Self::Memory => {
                let Keys {
                    signing, refresh, ..
                } = keys()?;
                TokenIssuer::builder(signing, refresh, MemoryStore::new())
            }
            Self::Sqlite(path) => {
                let store = SqliteStore::open(path).await?;
                let Keys {
                    signing, refresh, ..
                } = keys()?;
                TokenIssuer::builder(signing, refresh, store)
            }
            Self::Postgres(url) => {
                let store = PostgresStore::connect(url).await?;
                let Keys {
                    signing, refresh, ..
                } = keys()?;
                TokenIssuer::builder(signing, refresh, store)
            }
            Self::Redis(url) => {
                let store = RedisStore::connect(url).await?;
                let Keys {
                    signing, refresh, ..
                } = keys()?;
                TokenIssuer::builder(signing, refresh, store)
            }
        };
        Ok(builder)
    }

    /// Where the keys of its sessions are unless somebody says otherwise: beside a file, else in one that
    /// is named by the program. `None`: they die with the process, as the sessions do.
    pub fn keys_file(&self, program: &str) -> Option<PathBuf> {
        match self {
            Self::Memory => None,
            Self::Sqlite(path) => Some(path.with_added_extension("keys")),
            Self::Postgres(_) | Self::Redis(_) => {
                Some(Path::new(program).with_added_extension("keys"))
            }
        }
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            Some(("redis" | "rediss" | "redis+unix" | "unix", _)) => {
                Ok(Self::Redis(text.to_owned()))
            }
            _ => Err("give `memory`, `sqlite:PATH`, `postgres://...` or `redis://...`".to_owned()),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "Memory",
            Self::Sqlite(_) => "Sqlite(..)",
            Self::Postgres(_) => "Postgres(..)",
            Self::Redis(_) => "Redis(..)",
        })
    }
}
