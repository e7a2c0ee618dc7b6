use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, RedisError, Script, cmd, pipe};

use super::fields::{self, Fields};
use super::link::{Link, is_lost};
use super::recent::{Recent, is_recent};
use super::time::ServerTime;
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;
use crate::store::{
    Dead, LIST_LIMIT, RevokedBy, Rotated, Rotation, Selection, Session, StoreError, StoreErrorKind,
};

/// The verbs, each a script on one key.
#[derive(Clone)]
pub(super) struct Scripts {
    pub(super) link: Link,
    pub(super) recent: Recent,
    time: ServerTime,
    insert: Arc<Script>,
    index: Arc<Script>,
    next_epoch: Arc<Script>,
    rotate: Arc<Script>,
    revoke: Arc<Script>,
}

impl Scripts {
    pub(super) fn new(link: Link) -> Self {
        let script = |code| Arc::new(Script::new(code));
        Self {
            recent: Recent::new(link.clone()),
            time: ServerTime::new(link.clone()),
            link,
            insert: script(include_str!("insert.lua")),
            index: script(include_str!("index.lua")),
            next_epoch: script(include_str!("next_epoch.lua")),
            rotate: script(include_str!("rotate.lua")),
            revoke: script(REVOKE),
        }
    }

    /// The session first: the epoch is checked in the step that makes it one of its subject's, where a revocation finds it. A
    /// session without that step has no owner, as its tokens were not handed out.
    pub(super) async fn insert(
        &self,
        session: &Session,
        epoch: Option<u64>,
    ) -> Result<(), StoreError> {
        let expires_at = expires_at(session);
        let mut call = self.insert.key(key(session.id));
        call.arg(expires_at);
        for (name, value) in fields::write(session) {
            call.arg(name).arg(value);
        }
        if self.link.ask::<u8>(&call).await.map_err(unavailable)? != 1 {
            return Err(StoreErrorKind::Conflict.into());
        }
        let mut call = self.index.key(subject_key(&session.subject));
        call.arg(session.id.to_string())
            .arg(expires_at)
            .arg(session.created_at.as_millis())
            .arg(optional(epoch.map(|it| it.to_string()).as_deref()));
        match self.link.ask(&call).await.map_err(unavailable)? {
            1 => Ok(()),
            _ => {
                let mut forget = cmd("UNLINK");
                forget.arg(key(session.id));
                // Without effect it expires by itself.
                let _ = self.link.ask_one::<()>(&forget).await;
                Err(StoreErrorKind::Revoked.into())
            }
        }
    }

    pub(super) async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        let mut read = cmd("ZSCORE");
        read.arg(subject_key(subject)).arg(EPOCH);
        let score: Option<f64> = match self.link.ask_one(&read).await {
            Err(error) if is_lost(&error) => self.link.ask_one(&read).await,
            result => result,
        }
        .map_err(unavailable)?;
        Ok(score.map_or(0, |it| it as u64 - EPOCH_ZERO))
    }

    /// Before the index is read: a session that is not in it then is not added any more by a sign-in that began before.
    async fn next_epoch(&self, subject: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut call = self.next_epoch.key(subject_key(subject));
        call.arg(now.plus(EPOCH_KEPT).as_millis());
        match self.link.ask(&call).await {
            Err(error) if is_lost(&error) => self.link.ask(&call).await,
            result => result,
        }
        .map_err(unavailable)
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
        call.arg(self.time.in_future(it.timeout).await.map_err(unavailable)?);
        call.arg(it.tag_key_id.map_or(String::new(), |it| it.to_string()));
        let (answer, is_repeat) = self.link.ask_patiently(&call, it.keyed).await;
        let (number, fields): (u8, Fields) = answer.map_err(unavailable)?;
        if number == TOO_LATE {
            self.time.forget();
            return Err(StoreErrorKind::Unavailable.into());
        }
        if is_recent(&fields, it.now) {
            self.recent.add(&[it.session], it.now).await;
        }
        decided(it, number, &fields, is_repeat)
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
        if let Some(subject) = selection.subject() {
            self.next_epoch(subject, now).await?;
        }
        let mut revoked = Vec::new();
        for ids in self.ids(selection).await?.chunks(AT_ONCE) {
            let them = self.each(ids, load, call).await?;
            let recent = them.iter().filter(|(_, it)| is_recent(it, now));
            let recent: Vec<_> = recent.map(|(id, _)| *id).collect();
            self.recent.add(&recent, now).await;
            for (id, fields) in them.iter().filter(|(_, it)| it.contains_key("subject")) {
                revoked.push(fields::session(*id, fields)?);
            }
        }
        revoked.retain(|it| selection.contains(it));
        Ok(revoked)
    }

    pub(super) async fn list(
        &self,
        selection: &Selection,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let call = |id, _, pipe: &mut Pipeline| {
            pipe.cmd("HGETALL").arg(key(id));
        };
        let mut sessions = Vec::new();
        for ids in self.ids(selection).await?.chunks(AT_ONCE) {
            for (id, fields) in self.each(ids, |_| (), call).await? {
                sessions.push(fields::session(id, &fields)?);
            }
        }
        sessions.retain(|it| selection.contains(it) && it.is_alive(now));
        sessions.sort_by_key(|it| (std::cmp::Reverse(it.created_at), it.id));
        sessions.truncate(LIST_LIMIT);
        Ok(sessions)
    }

    /// What `call` answers with for each session, unless that is nothing. What was lost is asked
    /// once more, with the word that it is.
    async fn each(
        &self,
        ids: &[SessionId],
        prepare: impl Fn(&mut Pipeline),
        call: impl Fn(SessionId, bool, &mut Pipeline),
    ) -> Result<Vec<(SessionId, Fields)>, StoreError> {
        let calls = |is_repeat| {
            let mut pipe = pipe();
            prepare(&mut pipe);
            ids.iter().for_each(|id| call(*id, is_repeat, &mut pipe));
            pipe
        };
        let first = calls(false);
        let again = calls(true);
        let answers: Vec<Fields> = match self.link.ask_all(&first).await {
            Err(error) if is_lost(&error) => self.link.ask_all(&again).await,
            result => result,
        }
        .map_err(unavailable)?;
        let answers = ids.iter().copied().zip(answers);
        Ok(answers.filter(|(_, it)| !it.is_empty()).collect())
    }

    async fn ids(&self, selection: &Selection) -> Result<Vec<SessionId>, StoreError> {
        let (subject, keep) = match selection {
            Selection::One(id) => return Ok(vec![*id]),
            Selection::Subject(subject) => (subject, None),
            Selection::Others { subject, keep } => (subject, Some(*keep)),
        };
        let mut index = cmd("ZRANGE");
        index.arg(subject_key(subject)).arg(0).arg(-1);
        let ids: Vec<String> = match self.link.ask_one(&index).await {
            Err(error) if is_lost(&error) => self.link.ask_one(&index).await,
            result => result,
        }
        .map_err(unavailable)?;
        let ids = ids.iter().filter_map(|it| it.parse().ok());
        Ok(ids.filter(|it| Some(*it) != keep).collect())
    }
}

const REVOKE: &str = include_str!("revoke.lua");

/// The member of a subject's set that is no session; its score counts from beyond the time of any session.
const EPOCH: &str = "epoch";
const EPOCH_ZERO: u64 = 1 << 52;
/// For how long a subject's epoch outlives its last revocation and session, and so a sign-in may take.
const EPOCH_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The outcome of a script that Redis reached after its caller was refused.
const TOO_LATE: u8 = 8;

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
    let is_repeat = is_repeat && session.chain.revoked_at == Some(it.now);
    if let (true, Some([found])) = (is_repeat, fields.get("found").map(Vec::as_slice)) {
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

pub(super) fn unavailable(error: RedisError) -> StoreError {
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
