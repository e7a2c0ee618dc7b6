use std::future::Future;
use std::hash::Hash;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Shared as SharedFuture, WeakShared};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::family::Families;
use super::loader::{LoadError, LoadErrorKind, SessionLoader};
use super::shelf::Slot;
use super::shelves::{Full, Shelves};
use crate::clock::{self, Now};
use crate::event::{Announcer, EndReason, Event};
use crate::manager::{
    BuildErrorKind, RefreshUnavailable, SessionEnded, TokenError, TokenManager,
    TokenManagerBuilder, UnavailableKind, backoff,
};

/// What the clones of managers have in common.
pub(super) struct Shared<K> {
    pub(super) shelves: Shelves<K>,
    pub(super) loader: AnyLoader<K>,
    pub(super) families: Arc<Families>,
    pub(super) announcer: Arc<Announcer<(K, Event)>>,
    pub(super) runtime: Option<Handle>,
    pub(super) load_timeout: Duration,
}

/// What a key stands for.
pub(crate) type Loaded = Result<Option<TokenManager>, TokenError>;

/// One call of the loader, polled by those who wait for it and gone with the last of them.
pub(super) type Load = SharedFuture<Boxed<Loaded>>;
pub(super) type WeakLoad = WeakShared<Boxed<Loaded>>;

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The loader is left alone for a while.
pub(super) struct Failure {
    error: TokenError,
    in_a_row: u32,
    retry_at: Instant,
}

enum Found {
    Now(Loaded),
    Later(Load),
}

impl<K> Shared<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// What the key stands for; `Err` with the wait for it.
    pub(super) fn find(self: &Arc<Self>, key: &K) -> Result<Loaded, Boxed<Loaded>> {
        let now = Now::read().monotonic;
        let found = self.shelves.look(key, now, |slot| slot.read(now)).flatten();
        match found.map_or_else(|| self.begin(key, now), Ok) {
            Ok(Found::Now(loaded)) => Ok(loaded),
            Ok(Found::Later(load)) => Err(Box::pin(patiently(self.load_timeout, load))),
            Err(Full) => Ok(Err(RefreshUnavailable::new(
                UnavailableKind::TooManySessions,
            )
            .into())),
        }
    }

    /// Forgets that the key could not be loaded.
    pub(super) fn forgive(&self, key: &K) {
        let now = Now::read().monotonic;
        let old = self.shelves.look(key, now, |slot| match slot {
            Slot::Failed(_) => Some(mem::replace(slot, Slot::Nobody)),
            _ => None,
        });
        drop(old);
    }

    /// Has the key loaded, unless somebody else does.
    fn begin(self: &Arc<Self>, key: &K, now: Instant) -> Result<Found, Full> {
        let work: Boxed<Loaded> = Box::pin(self.clone().load(key.clone()));
        let load = work.shared();
        self.shelves.fill(key, now, |slot| {
            let failures = slot.as_ref().map_or(0, |slot| slot.failures());
            match (slot.and_then(|slot| slot.read(now)), load.downgrade()) {
                (None, Some(weak)) => {
                    let slot = Slot::Loading {
                        load: weak,
                        failures,
                    };
                    (Found::Later(load), Some(slot))
                }
                (Some(found), _) => (found, None),
                (None, None) => (Found::Later(load), None),
            }
        })
    }

    async fn load(self: Arc<Self>, key: K) -> Loaded {
        let work = async { self.loader.0.load(key.clone()).await };
        let loaded = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(builder))) => self.equip(&key, builder).map(Some),
            Ok(Err(error)) => Err(unloadable(error)),
            Err(_panic) => Err(RefreshUnavailable::new(UnavailableKind::Panicked).into()),
        };
        if let Err(error) = &loaded {
            tracing::warn!(%error, "a session could not be loaded");
        }
        let now = Now::read().monotonic;
        let old = self.shelves.look(&key, now, |slot| {
            let next = Slot::loaded(loaded.clone(), slot.failures(), now);
            mem::replace(slot, next)
        });
        drop(old);
        loaded
    }

    /// Makes a session one of these.
    fn equip(&self, key: &K, builder: TokenManagerBuilder) -> Result<TokenManager, TokenError> {
        if !builder.has_store() {
            return Err(unbuilt(BuildErrorKind::NoStore.into()));
        }
        let (announcer, key) = (self.announcer.clone(), key.clone());
        builder
            .wrap_refresher(|refresher| self.families.join(refresher))
            .also_tell(move |event| announcer.tell((key.clone(), event)))
            .runtime_or(self.runtime.clone())
            .build()
            .map_err(unbuilt)
    }
}

impl Slot {
    /// `None` if the loader has to be asked.
    fn read(&self, now: Instant) -> Option<Found> {
        match self {
            Self::Loading { load, .. } => load.upgrade().map(Found::Later),
            // Perhaps somebody has signed in elsewhere.
            Self::Here(manager) if manager.is_over() && manager.is_spare() => None,
            Self::Here(manager) => Some(Found::Now(Ok(Some(manager.clone())))),
            Self::Failed(failure) if now < failure.retry_at => {
                let error = match &failure.error {
                    TokenError::RefreshUnavailable(error) => {
                        error.backing_off(failure.retry_at - now).into()
                    }
                    error => error.clone(),
                };
                Some(Found::Now(Err(error)))
            }
            Self::Failed(_) | Self::Nobody => None,
        }
    }

    fn loaded(loaded: Loaded, failures: u32, now: Instant) -> Self {
        match loaded {
            Ok(Some(manager)) => Self::Here(manager),
            Ok(None) => Self::Nobody,
            Err(error) => Self::Failed(Failure {
                error,
                in_a_row: failures + 1,
                retry_at: now + backoff::delay(failures + 1, None, clock::jitter()),
            }),
        }
    }

    fn failures(&self) -> u32 {
        match self {
            Self::Loading { failures, .. } => *failures,
            Self::Failed(failure) => failure.in_a_row,
            Self::Here(_) | Self::Nobody => 0,
        }
    }
}

/// Any [`SessionLoader`].
pub(super) struct AnyLoader<K>(Arc<dyn Erased<K>>);

impl<K: Send + 'static> AnyLoader<K> {
    pub(super) fn new(loader: impl SessionLoader<K>) -> Self {
        Self(Arc::new(loader))
    }
}

trait Erased<K>: Send + Sync {
    fn load(&self, key: K) -> Work<'_>;
}

impl<K: Send + 'static, L: SessionLoader<K>> Erased<K> for L {
    fn load(&self, key: K) -> Work<'_> {
        Box::pin(SessionLoader::load(self, key))
    }
}

type Work<'a> =
    Pin<Box<dyn Future<Output = Result<Option<TokenManagerBuilder>, LoadError>> + Send + 'a>>;

/// By the clock of whoever waits: that of the first may go away.
async fn patiently(timeout: Duration, load: Load) -> Loaded {
    let late = || Err(RefreshUnavailable::new(UnavailableKind::TimedOut).into());
    clock::within(timeout, load).await.unwrap_or_else(late)
}

fn unloadable(error: LoadError) -> TokenError {
    match error.kind() {
        LoadErrorKind::Final => SessionEnded::new(EndReason::Lost).into(),
        LoadErrorKind::Transient => {
            RefreshUnavailable::because(UnavailableKind::NotLoaded, error).into()
        }
    }
}

fn unbuilt(error: crate::manager::BuildError) -> TokenError {
    RefreshUnavailable::because(UnavailableKind::Configuration, error).into()
}
