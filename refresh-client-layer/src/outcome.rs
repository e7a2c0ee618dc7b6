/// What the layer did with a request; in the extensions of every response.
///
/// ```
/// # use refresh_client_layer::Outcome;
/// # fn count(response: &http::Response<()>, retries: &mut u32) {
/// if let Some(outcome) = response.extensions().get::<Outcome>() {
///     *retries += outcome.attempts() - 1;
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    attempts: u32,
    has_waited: bool,
    not_retried: Option<NotRetried>,
}

/// Why a response that asks for a fresher token was handed to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotRetried {
    /// The request was none of the layer's business: `SkipAuth`, an `Authorization` of the caller's
    /// own, or an origin that may not see the token.
    PassedThrough,
    /// Nobody was signed in when the request was sent.
    NoToken,
    /// The body can be read only once.
    BodyNotReplayable,
    /// More of a streamed body had been sent than may be kept: see
    /// [`ReplayCap`](crate::replay::ReplayCap).
    BodyPastCap,
    /// The request said so: [`NoReplay`](crate::replay::NoReplay).
    OptedOut,
    /// The response came, after redirects, from an origin that may not see the token.
    ForeignResponse,
    /// The request was redirected, and its method is none that may be carried out twice (RFC 9110 section
    /// 9.2.2): the first hop may have accepted it. A redirect to the very same URL cannot be seen.
    Redirected,
    /// The session is over.
    SessionEnded,
    /// Another sign-in took place while the request was under way: a request belongs to the sign-in under
    /// which it began.
    SignInChanged,
    /// Too many new tokens have been refused lately.
    TooManyRefreshes,
    /// This was the retry.
    AlreadyRetried,
}

impl Outcome {
    /// How often the request was sent: 1, or 2 after a retry; one more where a server wanted a nonce in
    /// the [proof](crate::dpop).
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// True if the request was sent twice.
    pub fn is_retry(&self) -> bool {
        self.attempts > 1
    }

    /// True if the request waited for a refresh, its own or another's.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Why the request was not sent again although the response asks for a fresher token; `None`
    /// for any other response.
    pub fn not_retried(&self) -> Option<NotRetried> {
        self.not_retried
    }

    pub(crate) fn new() -> Self {
        Self {
            attempts: 0,
            has_waited: false,
            not_retried: None,
        }
    }

    pub(crate) fn sent(&mut self) {
        self.attempts += 1;
    }

    pub(crate) fn waited(&mut self) {
        self.has_waited = true;
    }

    pub(crate) fn refused(&mut self, why: NotRetried) {
        self.not_retried = Some(why);
    }
}
