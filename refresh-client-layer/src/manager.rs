//! One session: its tokens, and the one refresh that may run at a time. It knows nothing of HTTP.

pub(crate) mod backoff;
mod budget;
mod build_error;
mod builder;
mod endings;
mod error;
mod flight;
mod news;
mod persist;
mod shared;
mod sign_out;
mod state;
mod state_mut;
mod wait;
mod want;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

pub use self::build_error::{BuildError, BuildErrorKind};
pub use self::builder::TokenManagerBuilder;
pub use self::error::{RefreshUnavailable, SessionEnded, TokenError, UnavailableKind};
pub use self::sign_out::SignOut;

pub(crate) use self::wait::{Pending, Wait};
pub(crate) use self::want::{Epoch, Lease, Verdict};

use self::shared::Shared;
use self::state::Session;
use self::want::{Opening, Want};
use crate::clock::{self, Now};
use crate::event::{EndReason, Events, is_in_callback};
use crate::origin::Origins;
use crate::refresh::{Refresher, SessionId};
use crate::tokens::{AccessToken, InvalidTokens, TokenSet};

/// One session: holds its tokens, refreshes them when they are needed, once, and tells everybody.
///
/// Clones are handles to the same session. However many of them ask at once, one refresh runs at a
/// time, in a task of its own, and all get its result. A failed one is not repeated at once.
///
/// ```
/// use refresh_client_layer::{RefreshError, RefreshRequest, TokenManager, TokenSet};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = TokenManager::builder(|_: RefreshRequest| async {
///     Ok::<_, RefreshError>(TokenSet::new("access-2", "refresh-2"))
/// })
/// .tokens(TokenSet::new("access-1", "refresh-1"))
/// .origin("https://api.example")
/// .build()?;
///
/// assert_eq!(session.access_token().await?.secret(), "access-1");
/// assert_eq!(session.force_refresh().await?.secret(), "access-2");
/// session.sign_out().await;
/// assert!(session.access_token().await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenManager {
    shared: Arc<Shared>,
}

impl TokenManager {
    /// Starts to configure a session whose tokens come from `refresher`.
    pub fn builder(refresher: impl Refresher) -> TokenManagerBuilder {
        TokenManagerBuilder::new(refresher)
    }

    /// A token that is good for a request now, after a refresh if need be.
    ///
    /// # Errors
    ///
    /// [`TokenError::SessionEnded`] if somebody has to sign in, else
    /// [`TokenError::RefreshUnavailable`].
    pub async fn access_token(&self) -> Result<AccessToken, TokenError> {
        signed_in(self.lease(self.epoch()).verdict().await?)
    }

    /// A token newer than the present one, for servers that say in their own way that it is dead.
    ///
    /// # Errors
    ///
    /// As [`access_token`](Self::access_token); soon after a failed refresh it fails at once.
    pub async fn force_refresh(&self) -> Result<AccessToken, TokenError> {
        let (epoch, generation) = {
            let state = self.shared.state();
            (state.epoch, state.generation)
        };
        signed_in(self.renew(epoch, generation).verdict().await?)
    }

    /// Begins a session with tokens from a log-in, instead of the present one if there is one.
    ///
    /// A refresh that is under way is of no consequence any more. The store learns of the tokens in
    /// the background; [`flush`](Self::flush) waits for it.
    ///
    /// # Errors
    ///
    /// If a token is empty or has characters that a header cannot carry, such as the line feed at the
    /// end of a file. Nothing changes then.
    pub fn sign_in(&self, tokens: TokenSet) -> Result<(), InvalidTokens> {
        tokens.check()?;
        self.shared.state_mut().sign_in(tokens, Now::read());
        self.shared.publish();
        if let Some(runtime) = self.shared.runtime() {
            let shared = self.shared.clone();
            drop(runtime.spawn(async move {
                if !shared.persist().await {
                    shared.persist_later();
                }
            }));
        }
        Ok(())
    }

    /// Ends the session: here at once, in the store, and at the server if it answers within 5
    /// seconds. The work goes on if the future is dropped.
    pub async fn sign_out(&self) -> SignOut {
        let leaving = sign_out::end(&self.shared);
        let work = sign_out::finish(self.shared.clone(), leaving);
        match self.shared.runtime() {
            Some(runtime) => runtime.spawn(work).await.unwrap_or_default(),
            None => work.await,
        }
    }

    /// Waits for the refresh that is under way, if there is one, and until the store holds what this manager
    /// holds. A program does so before it ends, as a refresh that is cut off may cost the session.
    ///
    /// Returns false if that takes longer than `limit`, or if the store fails; it is then tried again later.
    /// Within a refresher or an event callback it does not wait.
    pub async fn flush(&self, limit: Duration) -> bool {
        if flight::is_inside(&self.shared) || is_in_callback() {
            return self.is_saved();
        }
        let shared = self.shared.clone();
        let work = async move {
            shared.landed().await;
            shared.persist().await
        };
        // A write that its caller gave up would overtake a later one.
        let work = async {
            match Handle::try_current() {
                Ok(runtime) => runtime.spawn(work).await.unwrap_or(false),
                Err(_) => work.await,
            }
        };
        clock::within(limit, work).await.unwrap_or(false)
    }

    /// Forbids further refreshes, for good and for all clones, then does what [`flush`](Self::flush) does. What
    /// needs a new token from now on fails with [`UnavailableKind::Closed`]; tokens that are alive are used.
    pub async fn close(&self, limit: Duration) -> bool {
        self.shared.state_mut().is_closed = true;
        self.flush(limit).await
    }

    /// What happens to the session from now on.
    pub fn events(&self) -> Events {
        self.shared.announcer.subscribe()
    }

    /// The present sign-in, which what begins now belongs to.
    pub(crate) fn epoch(&self) -> Epoch {
        self.shared.state().epoch
    }

    /// What to send with a request of the sign-in `epoch`.
    pub(crate) fn lease(&self, epoch: Epoch) -> Pending {
        if flight::is_inside(&self.shared) {
            return reentrant();
        }
        let now = Now::read();
        if let Some(lease) = self.shared.state().fresh(epoch, now) {
            return Pending::Ready(Ok(Some(lease)));
        }
        let opening = self.shared.state().open(epoch, now);
        match opening {
            Ok(Opening::Use(lease)) => Pending::Ready(Ok(lease)),
            Ok(Opening::UseAndRefresh(lease, mut want)) => {
                // Whatever comes of it is for later requests.
                self.shared.start(&mut want);
                Pending::Ready(Ok(Some(lease)))
            }
            Ok(Opening::Wait(want)) => Pending::new(&self.shared, want),
            Err(ended) => Pending::Ready(Err(ended.into())),
        }
    }

    /// What a request that is ready to be sent carries: `lease`, unless there is a newer token by now.
    pub(crate) fn newest(&self, epoch: Epoch, lease: Lease) -> Result<Lease, SessionEnded> {
        self.shared.state().newest(epoch, lease)
    }

    /// Errs once the sign-in `epoch` has been signed out or replaced.
    pub(crate) fn check_epoch(&self, epoch: Epoch) -> Result<(), SessionEnded> {
        self.shared.state().check_epoch(epoch)
    }

    /// What to send instead of the token of `generation`, which was refused.
    pub(crate) fn renew(&self, epoch: Epoch, generation: u64) -> Pending {
        if flight::is_inside(&self.shared) {
            return reentrant();
        }
        Pending::new(&self.shared, Want::newer_than(epoch, generation))
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.shared.settings.origins
    }

    /// Tells it from all others that live.
    pub(crate) fn id(&self) -> SessionId {
        self.shared.id()
    }

    /// Waits until the store was told what this manager holds.
    pub(crate) async fn persist(&self) -> bool {
        self.shared.persist().await
    }

    /// True while a refresh runs, or the store does not know everything yet.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.shared.state();
        state.current().is_some() || !state.is_saved()
    }

    /// True if nobody else has this manager, no refresh runs, and the store knows all that this one
    /// knows.
    pub(crate) fn is_spare(&self) -> bool {
        Arc::strong_count(&self.shared) == 1 && self.is_saved()
    }

    fn is_saved(&self) -> bool {
        self.shared.state().is_saved()
    }

    /// True if nobody is signed in, as far as is known here.
    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.shared.state().session,
            Session::Empty | Session::Ended(_)
        )
    }

    fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl fmt::Debug for TokenManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager")
            .field("generation", &self.shared.state().generation)
            .field("origins", self.origins())
            .finish_non_exhaustive()
    }
}

fn signed_in(lease: Option<Lease>) -> Result<AccessToken, TokenError> {
    match lease {
        Some(lease) => Ok(lease.token),
        None => Err(SessionEnded::new(EndReason::NeverSignedIn).into()),
    }
}

fn reentrant() -> Pending {
    let error = RefreshUnavailable::new(UnavailableKind::Reentrant);
    Pending::Ready(Err(error.into()))
}
