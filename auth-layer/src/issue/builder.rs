use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::background::Background;
use super::claims::{ClaimsSource, ErasedClaims};
use super::cleanup::Cleanup;
use super::issuer::{Core, Sink};
use super::{IssuerConfigError, Random, SessionEvent, SystemRandom, TokenIssuer};
use crate::clock::{Clock, SystemClock};
use crate::keys::SigningKeys;
use crate::refresh_token::RefreshSecrets;
use crate::revocation::Revocations;
use crate::store::{ErasedStore, FeedListener};
use crate::verify::{Verifier, VerifierBuilder};

/// Configures a [`TokenIssuer`]. Issuer and audience are required; all else is safe as it is.
#[must_use = "nothing is issued before `build`"]
pub struct TokenIssuerBuilder {
    keys: SigningKeys,
    secrets: RefreshSecrets,
    store: Arc<dyn ErasedStore>,
    claims: Option<Arc<dyn ErasedClaims>>,
    claims_timeout: Duration,
    issuer: String,
    audiences: Vec<String>,
    default_client_id: Option<String>,
    access_ttl: Duration,
    long_access_tokens: bool,
    idle: Duration,
    absolute: Duration,
    repeat_leeway: Duration,
    keep_bound: bool,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    revocations: Option<Revocations>,
    sink: Option<Sink>,
    cleanup: Option<Duration>,
}

impl TokenIssuerBuilder {
    pub(super) fn new(
        keys: SigningKeys,
        secrets: RefreshSecrets,
        store: Arc<dyn ErasedStore>,
    ) -> Self {
        Self {
            keys,
            secrets,
            store,
            claims: None,
            claims_timeout: Duration::from_secs(10),
            issuer: String::new(),
            audiences: Vec::new(),
            default_client_id: None,
            access_ttl: Duration::from_secs(15 * 60),
            long_access_tokens: false,
            idle: 14 * DAY,
            absolute: 90 * DAY,
            repeat_leeway: Duration::ZERO,
            keep_bound: false,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            revocations: None,
            sink: None,
            cleanup: Some(HOUR),
        }
    }

    /// Its name, the `iss` of its access tokens: an `https` URL without query and fragment
    /// (RFC 8414 s2), if others are to discover it.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Whom its access tokens are for, beside those named before.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Sets the `client_id` claim of access tokens whose session belongs to no OAuth client, if the
    /// request names none either: RFC 9068 s2.2 requires the claim. Give the id under which your own
    /// application is known, if it has one. Default: the issuer's name, which cannot be the id of a
    /// registered client by accident.
    pub fn default_client_id(mut self, id: impl Into<String>) -> Self {
        self.default_client_id = Some(id.into());
        self
    }

    /// How long an access token lives, in whole seconds up to an hour. Default: 15 minutes.
    pub fn access_ttl(mut self, ttl: Duration) -> Self {
        self.access_ttl = ttl;
        self
    }

    /// Lets access tokens live longer than an hour. Dangerous: where revocations do not reach, a
    /// stolen one is good for that long.
    pub fn dangerously_long_access_tokens(mut self) -> Self {
        self.long_access_tokens = true;
        self
    }

    /// How long a session may stay unused. Default: 14 days.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// How long a session lasts at most, however much it is used. Default: 90 days.
    pub fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = absolute;
        self
    }

    /// How long after a rotation the same request without an idempotency key gets the same answer,
    /// up to 60 s. Default: not at all, its second use is taken for theft. For browsers and servers
    /// that race themselves and send no key.
    pub fn repeat_leeway(mut self, leeway: Duration) -> Self {
        self.repeat_leeway = leeway;
        self
    }

    /// Gives a session that is [bound to a key](super::NewSession::bound_to) the same refresh token
    /// again instead of a new one: whoever steals it lacks the key, so that its second use tells
    /// nothing. Older tokens, of a time when they were replaced, still end the session. Default: all
    /// are replaced.
    pub fn keep_bound_tokens(mut self) -> Self {
        self.keep_bound = true;
        self
    }

    /// Asks `source` for the claims of each access token, at sign-in and before each rotation. Default: those that the session
    /// started with.
    pub fn claims_source(mut self, source: impl ClaimsSource) -> Self {
        self.claims = Some(Arc::new(source));
        self
    }

    /// How long the source of claims may take. After that the client is told to come back, as when it
    /// is [unavailable](super::ClaimsError::unavailable). Default: 10 s.
    pub fn claims_timeout(mut self, timeout: Duration) -> Self {
        self.claims_timeout = timeout;
        self
    }

    /// Notes ended sessions here, for verifiers that have it already. It must remember them for
    /// `access_ttl` and their leeway. Default: one of its own.
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Tells `sink` what happens to sessions. It is called in the middle of a request, outside of
    /// all locks, and should be quick.
    pub fn on_event(mut self, sink: impl Fn(&SessionEvent) + Send + Sync + 'static) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// How often it forgets sessions that are past their absolute deadline, give or take half as much.
    /// Default: every hour. It takes a thousand at a time, so that refreshes come in between.
    pub fn cleanup_every(mut self, interval: Duration) -> Self {
        self.cleanup = Some(interval);
        self
    }

    /// Forgets no session by itself: for who calls [`TokenIssuer::delete_expired`], or leaves that to
    /// another process.
    pub fn without_cleanup(mut self) -> Self {
        self.cleanup = None;
        self
    }

    /// Tells the time by `clock`. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Draws chance from `random`. Default: [`SystemRandom`].
    pub fn random(mut self, random: impl Random) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// The issuer.
    ///
    /// # Errors
    /// When issuer or audience are missing, a duration is out of its range, or the refresh secret is
    /// also a signing key.
    pub fn build(self) -> Result<TokenIssuer, IssuerConfigError> {
        self.check_durations()?;
        if self.secrets.any(|it| self.keys.shares_secret_with(it)) {
            return Err(IssuerConfigError::SharedSecret);
        }
        let longest = self.access_ttl.saturating_add(LONGEST_VERIFIER_LEEWAY);
        let revocations = self
            .revocations
            .unwrap_or_else(|| Revocations::new(longest));
        let names = Names {
            default_client_id: self
                .default_client_id
                .unwrap_or_else(|| self.issuer.clone()),
            issuer: self.issuer,
            audiences: self.audiences,
        };
        let verifier = names
            .verifier_builder(&self.keys, &revocations, &self.clock)
            .build()
            .map_err(|_| names.missing())?;
        let listener = FeedListener::new(revocations.clone(), self.clock.clone());
        let cleanup = Cleanup {
            store: self.store.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        };
        let background = Background::new(listener, cleanup.clone(), self.cleanup);
        Ok(TokenIssuer::new(Core {
            keys: self.keys,
            secrets: self.secrets,
            store: self.store,
            claims: self.claims,
            claims_timeout: self.claims_timeout,
            names,
            access_ttl: self.access_ttl,
            idle: self.idle,
            absolute: self.absolute,
            repeat_leeway: self.repeat_leeway,
            keep_bound: self.keep_bound,
            clock: self.clock,
            random: self.random,
            revocations,
            sink: self.sink,
            verifier,
            cleanup,
            background,
        }))
    }

    fn check_durations(&self) -> Result<(), IssuerConfigError> {
        if self.access_ttl < Duration::from_secs(1) {
            Err(IssuerConfigError::AccessTtlTooShort)
        } else if self.access_ttl > HOUR && !self.long_access_tokens {
            Err(IssuerConfigError::AccessTtlTooLong)
        } else if self.access_ttl > self.idle {
            Err(IssuerConfigError::AccessOutlivesIdle)
        } else if self.idle > self.absolute {
            Err(IssuerConfigError::IdleOutlivesAbsolute)
        } else if self.repeat_leeway > LONGEST_REPEAT_LEEWAY {
            Err(IssuerConfigError::RepeatLeewayTooLong)
        } else if self.cleanup.is_some_and(|it| it < SHORTEST_CLEANUP) {
            Err(IssuerConfigError::CleanupTooOften)
        } else if self.forgets_too_soon() {
            Err(IssuerConfigError::RevocationsForgetTooSoon)
        } else {
            Ok(())
        }
    }
}

impl TokenIssuerBuilder {
    fn forgets_too_soon(&self) -> bool {
        let longest = self.revocations.as_ref().map(Revocations::longest);
        longest.is_some_and(|it| it < self.access_ttl)
    }
}

impl fmt::Debug for TokenIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuerBuilder")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

/// Who issues, and for whom.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    /// The client of access tokens for which no other is known.
    pub(super) default_client_id: String,
}

impl Names {
    pub(super) fn verifier_builder(
        &self,
        keys: &SigningKeys,
        revocations: &Revocations,
        clock: &Arc<dyn Clock>,
    ) -> VerifierBuilder {
        let named = Verifier::builder()
            .keys(keys.key_set())
            .issuer(&self.issuer)
            .revocations(revocations.clone())
            .shared_clock(clock.clone());
        self.audiences.iter().fold(named, VerifierBuilder::audience)
    }

    /// What a verifier, which needs the same, has missed.
    fn missing(&self) -> IssuerConfigError {
        if self.issuer.is_empty() {
            IssuerConfigError::NoIssuer
        } else {
            IssuerConfigError::NoAudience
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SHORTEST_CLEANUP: Duration = Duration::from_secs(1);
const LONGEST_REPEAT_LEEWAY: Duration = Duration::from_secs(60);
const LONGEST_VERIFIER_LEEWAY: Duration = Duration::from_secs(300);
