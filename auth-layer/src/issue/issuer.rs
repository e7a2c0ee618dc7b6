use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::background::Background;
use super::builder::{Names, TokenIssuerBuilder};
use super::claims::ErasedClaims;
use super::cleanup::Cleanup;
use super::mint::Access;
use super::{
    ClaimsError, IssueError, NewSession, Random, RefreshError, RefreshRequest, SessionEvent,
    TokenPair,
};
use crate::clock::{Clock, Timestamp};
use crate::keys::SigningKeys;
use crate::refresh_token::{RefreshSecrets, RefreshToken, SessionId};
use crate::revocation::Revocations;
use crate::store::{
    CustomClaims, ErasedStore, FeedStatus, RevokedBy, Selection, Session, SessionStore, StoreError,
    StoreErrorKind,
};
use crate::verify::{Verifier, VerifierBuilder};

/// Starts sessions, refreshes and ends them. Clones share everything.
///
/// What ends a session here also puts it on [`revocations`](Self::revocations): its access tokens
/// die now, wherever a [`verifier`](Self::verifier) of this issuer checks them, and within a second
/// [at other nodes](crate::guide::several_machines) of the same store.
///
/// Beside it run a task that hears what other nodes revoke, and one that
/// [cleans up](TokenIssuerBuilder::cleanup_every). They begin when it is built on a tokio runtime, else
/// when it is first used on one, and end with the last clone.
///
/// A rotation or revocation that was begun is carried through, even if its future is dropped: a client that hangs up
/// cannot keep reuse from being reported.
///
/// # Panics
/// Its methods panic outside a tokio runtime.
#[derive(Clone)]
pub struct TokenIssuer(Arc<Core>);

pub(super) struct Core {
    pub(super) keys: SigningKeys,
    pub(super) secrets: RefreshSecrets,
    pub(super) store: Arc<dyn ErasedStore>,
    /// None for those that are kept with the session.
    pub(super) claims: Option<Arc<dyn ErasedClaims>>,
    pub(super) claims_timeout: Duration,
    pub(super) names: Names,
    pub(super) access_ttl: Duration,
    pub(super) idle: Duration,
    pub(super) absolute: Duration,
    pub(super) repeat_leeway: Duration,
    pub(super) keep_bound: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) revocations: Revocations,
    pub(super) sink: Option<Sink>,
    pub(super) verifier: Verifier,
    pub(super) cleanup: Cleanup,
    pub(super) background: Background,
}

pub(super) type Sink = Arc<dyn Fn(&SessionEvent) + Send + Sync>;

impl TokenIssuer {
    /// Configures an issuer that signs with `keys`, makes refresh tokens with `secrets` and keeps
    /// its sessions in `store`.
    pub fn builder(
        keys: SigningKeys,
        secrets: RefreshSecrets,
        store: impl SessionStore,
    ) -> TokenIssuerBuilder {
        TokenIssuerBuilder::new(keys, secrets, Arc::new(store))
    }

    /// Begins a sign-in of `subject`: call it before a password or another proof is checked, and [`start`](Self::start) what
    /// it returns after that. If all sessions of the subject were revoked in between, as by a change of the password, no session
    /// starts.
    ///
    /// ```
    /// # use auth_layer::issue::{IssueErrorKind, TokenIssuer};
    /// # async fn example(issuer: TokenIssuer) -> Result<(), Box<dyn std::error::Error>> {
    /// let sign_in = issuer.begin_sign_in("alice").await?;
    /// // Meanwhile, as the old password is checked, another request changes it:
    /// issuer.revoke_all("alice").await?;
    /// let error = issuer.start(sign_in.label("Firefox on Linux")).await.unwrap_err();
    /// assert_eq!(error.kind(), IssueErrorKind::Revoked);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin_sign_in(
        &self,
        subject: impl Into<String>,
    ) -> Result<NewSession, StoreError> {
        let mut session = NewSession::new(subject);
        session.epoch = Some(self.core().store.epoch(&session.subject).await?);
        Ok(session)
    }

    /// Starts a session: call it once you know who signed in.
    ///
    /// A session of [`begin_sign_in`](Self::begin_sign_in) starts only if those of its subject were not revoked meanwhile. One of
    /// [`NewSession::new`] starts in any case, and survives a revocation that came after the check of a password and before
    /// this call.
    ///
    /// # Errors
    /// When the sessions of the subject were revoked since the sign-in began, the store does not take it, the source of claims refuses the subject or is unavailable, or there is no randomness.
    pub async fn start(&self, session: NewSession) -> Result<TokenPair, IssueError> {
        let core = self.core().clone();
        carry_through(async move { core.start(session).await })
            .await
            .unwrap_or_else(|cancelled| {
                Err(StoreError::new(StoreErrorKind::Unavailable, cancelled).into())
            })
    }

    /// Takes a refresh token for a new pair.
    ///
    /// The source of claims is asked before the rotation, and only if the token can bring a pair: while it is unavailable no
    /// token is used up, and reuse is still found. A caller that goes away before the rotation has rotated nothing.
    ///
    /// # Errors
    /// When there is none; [`RefreshErrorKind`](super::RefreshErrorKind) says why, and the client
    /// should be told less.
    pub async fn refresh(&self, request: RefreshRequest) -> Result<TokenPair, RefreshError> {
        self.core().clone().refresh(request).await
    }

    /// Ends the session of a refresh token, however old the token is: a log-out. False if nothing
    /// was to be ended, as the session is over or nobody here made the token.
    ///
    /// # Errors
    /// When the store does not answer; the session may go on.
    pub async fn revoke(&self, token: &RefreshToken) -> Result<bool, StoreError> {
        match self.0.secrets.open(token.expose()) {
            Ok(it) => self
                .end(Selection::One(it.session()), RevokedBy::Token)
                .await
                .map(is_any),
            Err(_) => Ok(false),
        }
    }

    /// Ends a session. False if it is over already.
    ///
    /// # Errors
    /// When the store does not answer; the session may go on.
    pub async fn revoke_session(&self, sid: SessionId) -> Result<bool, StoreError> {
        self.end(Selection::One(sid), RevokedBy::Application)
            .await
            .map(is_any)
    }

    /// Ends all sessions of `subject`, and returns how many: [when a password
    /// changes](crate::issue#when-a-password-changes), say.
    ///
    /// # Errors
    /// When the store does not answer; the sessions may go on.
    pub async fn revoke_all(&self, subject: &str) -> Result<usize, StoreError> {
        self.end(
            Selection::Subject(subject.to_owned()),
            RevokedBy::Application,
        )
        .await
    }

    /// Ends all sessions of `subject` but `keep`, and returns how many: "sign out everywhere else".
    ///
    /// # Errors
    /// When the store does not answer; the sessions may go on.
    pub async fn revoke_others(&self, subject: &str, keep: SessionId) -> Result<usize, StoreError> {
        let subject = subject.to_owned();
        self.end(Selection::Others { subject, keep }, RevokedBy::Application)
            .await
    }

    /// The sessions of `subject` that are alive, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self, subject: &str) -> Result<Vec<Session>, StoreError> {
        let core = self.core();
        let which = Selection::Subject(subject.to_owned());
        core.store.list(which, core.clock.now()).await
    }

    /// Forgets sessions that are ten minutes past their absolute deadline, a thousand at a time, and
    /// returns how many. It also does so [by itself](TokenIssuerBuilder::cleanup_every).
    ///
    /// # Errors
    /// When the store does not answer; what was forgotten until then stays forgotten.
    pub async fn delete_expired(&self) -> Result<u64, StoreError> {
        self.core().cleanup.once().await
    }

    /// How it stands with what other processes revoke: for readiness probes.
    pub fn feed_status(&self) -> FeedStatus {
        self.core().background.feed_status()
    }

    /// A verifier of this issuer's access tokens, for the same process: it shares the keys, the
    /// clock and the revocations.
    pub fn verifier(&self) -> Verifier {
        self.0.verifier.clone()
    }

    /// As [`verifier`](Self::verifier), for those who want
    /// [claims of their own](VerifierBuilder::claims) or other settings besides.
    pub fn verifier_builder(&self) -> VerifierBuilder {
        let Core {
            names,
            keys,
            revocations,
            clock,
            ..
        } = &*self.0;
        names.verifier_builder(keys, revocations, clock)
    }

    /// Where ended sessions are noted.
    pub fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }

    /// The keys that it signs with.
    pub fn signing_keys(&self) -> &SigningKeys {
        &self.0.keys
    }

    /// Its name, the `iss` of its access tokens.
    pub fn name(&self) -> &str {
        &self.0.names.issuer
    }

    pub(super) fn new(core: Core) -> Self {
        core.background.run();
        Self(Arc::new(core))
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        self.0.background.run();
        &self.0
    }

    pub(super) async fn end(&self, which: Selection, by: RevokedBy) -> Result<usize, StoreError> {
        let core = self.core().clone();
        let now = core.clock.now();
        carry_through(async move { core.revoke(which, by, now).await })
            .await
            .unwrap_or_else(|error| Err(StoreError::new(StoreErrorKind::Unavailable, error)))
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("issuer", &self.0.names.issuer)
            .field("audiences", &self.0.names.audiences)
            .finish_non_exhaustive()
    }
}

impl Core {
    async fn start(&self, new: NewSession) -> Result<TokenPair, IssueError> {
        let now = self.clock.now();
        let mut id = [0; 16];
        let mut s = Zeroizing::new([0; 32]);
        self.random.fill(&mut id)?;
        self.random.fill(&mut *s)?;
        let first = self.secrets.first(SessionId::from_bytes(id), s);
        let lifetimes = (self.idle, self.absolute);
        let mut session = Session {
            client_id: new.client_id,
            jkt: new.jkt,
            scopes: new.scopes,
            label: new.label,
            claims: new.claims,
            auth_time: new.auth_time.unwrap_or(now),
            ip: new.ip,
            user_agent: new.user_agent,
            ..Session::new(
                SessionId::from_bytes(id),
                new.subject,
                first.hash,
                now,
                lifetimes,
            )
        };
        session.chain.tag_key_id = Some(first.tag_key_id);
        let asked = self.first_claims(&session).await?;
        let claims = asked.as_ref().unwrap_or(&session.claims);
        let access = Access {
            scopes: session.scopes.clone(),
            client_id: None,
            audiences: &[],
        };
        let pair = self.pair(&session, first.token, access, claims, now)?;
        let (sid, subject) = (session.id, session.subject.clone());
        self.store.insert(session, new.epoch).await?;
        self.tell(SessionEvent::Started { sid, subject });
        Ok(pair)
    }

    /// What the source says of a session that is about to begin. None if there is no source.
    async fn first_claims(&self, session: &Session) -> Result<Option<CustomClaims>, IssueError> {
        let Some(source) = &self.claims else {
            return Ok(None);
        };
        match timeout(self.claims_timeout, source.ask(session)).await {
            Ok(claims) => Ok(Some(claims?)),
            Err(elapsed) => Err(ClaimsError::unavailable(elapsed).into()),
        }
    }

    pub(super) async fn revoke(
        &self,
        which: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let sessions = self.store.revoke(which, by, now).await?;
        self.revoked(&sessions, by, now);
        Ok(sessions.len())
    }

    /// What follows once the store has revoked.
    pub(super) fn revoked(&self, sessions: &[Session], by: RevokedBy, now: Timestamp) {
        for session in sessions {
            let (sid, subject) = (session.id, session.subject.clone());
            self.revocations.revoke_session(&sid.to_string(), now);
            self.tell(SessionEvent::Revoked { sid, subject, by });
        }
    }

    pub(super) fn tell(&self, event: SessionEvent) {
        event.trace();
        event.count();
        if let Some(sink) = &self.sink {
            sink(&event);
        }
    }
}

fn is_any(count: usize) -> bool {
    count > 0
}

/// Runs `work` to its end, whether or not anybody waits for it.
pub(super) async fn carry_through<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    let result = tokio::spawn(work.in_current_span()).await;
    result.map_err(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(cancelled) => cancelled,
    })
}
