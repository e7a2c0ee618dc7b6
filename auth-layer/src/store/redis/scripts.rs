use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::ConnectionManager;
use ::redis::{FromRedisValue, Pipeline, RedisError, Script, ScriptInvocation, pipe};

use super::fields::{self, Fields};
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;
use crate::store::{
    Dead, LIST_LIMIT, RevokedBy, Rotated, Rotation, Selection, Session, StoreError, StoreErrorKind,
};

/// The verbs, each a script on one key.
#[derive(Clone)]
pub(super) struct Scripts {
    manager: ConnectionManager,
    insert: Arc<Script>,
    rotate: Arc<Script>,
    revoke: Arc<Script>,
    feed: Arc<Script>,
}

impl Scripts {
    pub(super) fn new(manager: ConnectionManager) -> Self {
        let script = |code| Arc::new(Script::new(code));
        Self {
            manager,
            insert: script(include_str!("insert.lua")),
            rotate: script(include_str!("rotate.lua")),
            revoke: script(REVOKE),
            feed: script(include_str!("feed.lua")),
        }
    }

    /// The index first: it may name sessions that are not there, and never lacks one that is.
    pub(super) async fn insert(&self, session: &Session) -> Result<(), StoreError> {
        let expires_at = expires_at(session);
        let subject = subject_key(&session.subject);
        let mut index = pipe();
        index.atomic();
        for (command, arguments) in [
            ("ZADD", [expires_at.to_string(), session.id.to_string()]),
            (
                "ZREMRANGEBYSCORE",
                [
                    "-inf".to_owned(),
                    format!("({}", session.created_at.as_millis()),
                ],
            ),
            ("PEXPIREAT", [expires_at.to_string(), "NX".to_owned()]),
            ("PEXPIREAT", [expires_at.to_string(), "GT".to_owned()]),
        ] {
            index.cmd(command).arg(&subject).arg(&arguments).ignore();
        }
        self.ask_all::<()>(&index).await.map_err(unavailable)?;
        let mut call = self.insert.key(key(session.id));
        call.arg(expires_at);
        for (name, value) in fields::write(session) {
            call.arg(name).arg(value);
        }
        match self.ask(&call).await.map_err(unavailable)? {
            1 => Ok(()),
            _ => Err(StoreErrorKind::Conflict.into()),
        }
    }

    pub(super) async fn rotate(&self, it: &Rotation) -> Result<Rotated, StoreError> {
        let forgiven_since = it.forgiven_since().map(|it| it.as_millis().to_string());
        let ip = it.ip.map(|it| it.to_string());
        let mut call = self.rotate.key(key(it.session));
        call.arg(it.generation)
            .arg(it.presented.as_bytes())
            .arg(it.child.as_bytes())
            .arg(u8::from(it.keyed))
            .arg(it.now.as_millis())
            .arg(it.now.plus(it.idle).as_millis())
            .arg(optional(forgiven_since.as_deref()))
            .arg(optional(it.client_id.as_deref()))
            .arg(optional(ip.as_deref()))
            .arg(optional(it.user_agent.as_deref()))
            .arg(it.jkt.as_ref().map_or(&[][..], |it| it.as_bytes()))
            .arg(u8::from(it.keep_bound));
        let mut is_repeat = false;
        let (number, fields) = match self.ask(&call).await {
            Err(error) if it.keyed && is_lost(&error) => {
                is_repeat = true;
                self.ask(&call).await
            }
            result => result,
        }
        .map_err(unavailable)?;
        let rotated = decided(it, number, &fields, is_repeat)?;
        if matches!(&rotated, Rotated::Decided(outcome, _) if outcome.is_reuse()) {
            self.remember(&[it.session], it.now).await;
        }
        Ok(rotated)
    }

    /// Asked again after its answer was lost, it also returns what was revoked at the same time by
    /// the same cause: better told twice than never.
    pub(super) async fn revoke(
        &self,
        selection: &Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let call = |id: SessionId, is_repeat: bool, pipe: &mut Pipeline| {
            pipe.cmd("EVALSHA")
                .arg(self.revoke.get_hash())
                .arg(1)
                .arg(key(id))
                .arg(now.as_millis())
                .arg(by.as_str())
                .arg(u8::from(is_repeat));
        };
        let load = |pipe: &mut Pipeline| {
            pipe.cmd("SCRIPT").arg("LOAD").arg(REVOKE).ignore();
        };
        let revoked = self.each(selection, load, call).await?;
        let ids: Vec<_> = revoked.iter().map(|it| it.id).collect();
        for ids in ids.chunks(AT_ONCE) {
            self.remember(ids, now).await;
        }
        Ok(revoked)
    }

    /// For those who were not listening. It is a key of its own, so not one step with the
    /// revocation: who was told of that must not be told that it failed.
    async fn remember(&self, ids: &[SessionId], now: Timestamp) {
        let mut call = self.feed.key(FEED);
        call.arg(REACHES_BACK.as_millis() as u64)
            .arg(now.as_millis());
        for id in ids {
            call.arg(id.to_string());
        }
        let result = match self.ask::<()>(&call).await {
            Err(error) if is_lost(&error) => self.ask(&call).await,
            result => result,
        };
        if let Err(error) = result {
            tracing::warn!(
                target: "auth_layer::store", %error, sessions = ids.len(),
                "revoked, but who was not listening will not hear of it"
            );
        }
    }

    pub(super) async fn revoked_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut read = pipe();
        let range = read.cmd("ZRANGE").arg(FEED).arg(since.as_millis());
        range.arg("+inf").arg("BYSCORE");
        let (ids,): (Vec<String>,) = self.ask_all(&read).await.map_err(unavailable)?;
        Ok(ids.iter().filter_map(|it| it.parse().ok()).collect())
    }

    pub(super) async fn list(
        &self,
        selection: &Selection,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let call = |id, _, pipe: &mut Pipeline| {
            pipe.cmd("HGETALL").arg(key(id));
        };
        let mut sessions = self.each(selection, |_| (), call).await?;
        sessions.retain(|it| it.is_alive(now));
        sessions.sort_by_key(|it| (std::cmp::Reverse(it.created_at), it.id));
        sessions.truncate(LIST_LIMIT);
        Ok(sessions)
    }

    /// The sessions that `call` answers with, for each one that is selected. What was lost is asked
    /// once more, with the word that it is.
    async fn each(
        &self,
        selection: &Selection,
        prepare: impl Fn(&mut Pipeline),
        call: impl Fn(SessionId, bool, &mut Pipeline),
    ) -> Result<Vec<Session>, StoreError> {
        let mut sessions = Vec::new();
        for ids in self.ids(selection).await?.chunks(AT_ONCE) {
            let calls = |is_repeat| {
                let mut pipe = pipe();
                prepare(&mut pipe);
                ids.iter().for_each(|id| call(*id, is_repeat, &mut pipe));
                pipe
            };
            let first = calls(false);
            let again = calls(true);
            let answers: Vec<Fields> = match self.ask_all(&first).await {
                Err(error) if is_lost(&error) => self.ask_all(&again).await,
                result => result,
            }
            .map_err(unavailable)?;
            for (id, fields) in ids.iter().zip(&answers) {
                if !fields.is_empty() {
                    sessions.push(fields::session(*id, fields)?);
                }
            }
        }
        sessions.retain(|it| selection.contains(it));
        Ok(sessions)
    }

    async fn ids(&self, selection: &Selection) -> Result<Vec<SessionId>, StoreError> {
        let (subject, keep) = match selection {
            Selection::One(id) => return Ok(vec![*id]),
            Selection::Subject(subject) => (subject, None),
            Selection::Others { subject, keep } => (subject, Some(*keep)),
        };
        let mut index = pipe();
        index.cmd("ZRANGE").arg(subject_key(subject)).arg(0).arg(-1);
        let (ids,): (Vec<String>,) = match self.ask_all(&index).await {
            Err(error) if is_lost(&error) => self.ask_all(&index).await,
            result => result,
        }
        .map_err(unavailable)?;
        let ids = ids.iter().filter_map(|it| it.parse().ok());
        Ok(ids.filter(|it| Some(*it) != keep).collect())
    }

    async fn ask<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, RedisError> {
        call.invoke_async(&mut self.manager.clone()).await
    }

    async fn ask_all<T: FromRedisValue>(&self, calls: &Pipeline) -> Result<T, RedisError> {
        calls.query_async(&mut self.manager.clone()).await
    }
}

const REVOKE: &str = include_str!("revoke.lua");

/// The sessions that were revoked, by when.
const FEED: &str = "auth_revoked";

/// Longer than any access token that is not dangerously long, whatever clocks say.
const REACHES_BACK: Duration = Duration::from_secs(25 * 3600);

/// How many sessions of a subject are asked for in one go: others come in between.
const AT_ONCE: usize = 256;

fn decided(
    it: &Rotation,
    number: u8,
    fields: &Fields,
    is_repeat: bool,
) -> Result<Rotated, StoreError> {
    if fields.is_empty() {
        return Ok(Rotated::Dead(Dead::Unknown));
    }
    let session = fields::session(it.session, fields)?;
    if number != 0 {
        return Ok(Rotated::Decided(fields::outcome(number)?, session));
    }
    // Better twice than never: the answer that told of this reuse was lost.
    if let (true, Some([found])) = (is_repeat, fields.get("found").map(Vec::as_slice))
        && session.chain.revoked_at == Some(it.now)
    {
        return Ok(Rotated::Decided(
            fields::outcome(found.wrapping_sub(b'0'))?,
            session,
        ));
    }
    match session.admit(it) {
        Err(dead) => Ok(Rotated::Dead(dead)),
        Ok(()) => Err(StoreErrorKind::Damaged.into()),
    }
}

/// Whether the connection was lost, and with it the answer.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

fn unavailable(error: RedisError) -> StoreError {
    tracing::warn!(target: "auth_layer::store", %error, "redis did not do what it was asked to");
    StoreError::new(StoreErrorKind::Unavailable, error)
}

fn key(id: SessionId) -> String {
    format!("auth_session:{{{id}}}")
}

fn subject_key(subject: &str) -> String {
    format!("auth_subject:{subject}")
}

/// In milliseconds; what Redis takes, and a score has exactly.
fn expires_at(session: &Session) -> i64 {
    const FOREVER: i64 = 1 << 53;
    session.chain.absolute_expires_at.as_millis().min(FOREVER)
}

/// Tells what is empty from what is not there.
fn optional(text: Option<&str>) -> String {
    text.map_or(String::new(), |it| format!("={it}"))
}
