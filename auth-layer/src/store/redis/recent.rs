use std::sync::Arc;
use std::time::Duration;

use ::redis::{RedisError, Script, cmd};

use super::fields::Fields;
use super::link::{Link, is_lost};
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;

/// The sessions that were revoked lately, for those who were not listening.
///
/// It is a key of its own, so not one step with the revocation: where the second step is lost, the
/// next one that finds the session revoked takes it.
#[derive(Clone)]
pub(super) struct Recent {
    link: Link,
    add: Arc<Script>,
}

impl Recent {
    pub(super) fn new(link: Link) -> Self {
        let add = Arc::new(Script::new(include_str!("recent.lua")));
        Self { link, add }
    }

    /// Who was told that a session is revoked must not be told that it failed.
    pub(super) async fn add(&self, ids: &[SessionId], now: Timestamp) {
        if ids.is_empty() {
            return;
        }
        let result = match self.try_add(ids, now).await {
            Err(error) if is_lost(&error) => self.try_add(ids, now).await,
            result => result,
        };
        if let Err(error) = result {
            tracing::warn!(
                target: "auth_layer::store", %error, sessions = ids.len(),
                "revoked, but who was not listening will not hear of it"
            );
        }
    }

    pub(super) async fn try_add(
        &self,
        ids: &[SessionId],
        now: Timestamp,
    ) -> Result<(), RedisError> {
        let mut call = self.add.key(KEY);
        call.arg(REACHES_BACK.as_millis() as u64)
            .arg(now.as_millis());
        for id in ids {
            call.arg(id.to_string());
        }
        self.link.ask(&call).await
    }

    /// The first `limit` since `from` in the order of their times, without the first `skip`, and
    /// when each was revoked.
    pub(super) async fn page(
        &self,
        from: Timestamp,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>, RedisError> {
        let mut read = cmd("ZRANGE");
        read.arg(KEY)
            .arg(from.as_millis())
            .arg("+inf")
            .arg("BYSCORE");
        read.arg("LIMIT").arg(skip).arg(limit).arg("WITHSCORES");
        let page: Vec<(String, f64)> = self.link.ask_one(&read).await?;
        let timed = |(id, at)| (id, Timestamp::from_millis(at as i64));
        Ok(page.into_iter().map(timed).collect())
    }
}

/// Whether that session was revoked so lately that somebody may have to hear of it.
pub(super) fn is_recent(session: &Fields, now: Timestamp) -> bool {
    let at = session.get("revoked_at").map(Vec::as_slice);
    let at = at.and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
    at.is_some_and(|it| now < Timestamp::from_millis(it).plus(REACHES_BACK))
}

const KEY: &str = "auth_revoked";

/// Longer than any access token that is not dangerously long, whatever clocks say.
const REACHES_BACK: Duration = Duration::from_secs(25 * 3600);
