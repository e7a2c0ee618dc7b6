use std::collections::HashMap;
use std::error::Error;

use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Chain, CustomClaims, Outcome, RevokedBy, Session, StoreError, StoreErrorKind};

/// The fields of a session's hash.
pub(super) type Fields = HashMap<String, Vec<u8>>;

/// What is not there has no field.
pub(super) fn write(it: &Session) -> Vec<(&'static str, Vec<u8>)> {
    let time = |at: Timestamp| at.as_millis().to_string().into_bytes();
    let chain = &it.chain;
    let mut fields = vec![
        ("subject", it.subject.clone().into_bytes()),
        ("scopes", it.scopes.to_string().into_bytes()),
        ("claims", it.claims.to_json().into_bytes()),
        ("auth_time", time(it.auth_time)),
        ("created_at", time(it.created_at)),
        ("generation", chain.generation.to_string().into_bytes()),
        ("current_hash", chain.current.as_bytes().to_vec()),
        ("rotated_at", time(chain.rotated_at)),
        ("idle_expires_at", time(chain.idle_expires_at)),
        ("absolute_expires_at", time(chain.absolute_expires_at)),
    ];
    let mut optional = |name, value: Option<Vec<u8>>| fields.extend(value.map(|it| (name, it)));
    optional("client_id", it.client_id.clone().map(String::into_bytes));
    optional("jkt", it.jkt.map(|it| it.as_bytes().to_vec()));
    optional("label", it.label.clone().map(String::into_bytes));
    optional(
        "previous_hash",
        chain.previous.map(|it| it.as_bytes().to_vec()),
    );
    optional(
        "tag_key_id",
        chain.tag_key_id.map(|it| it.to_string().into_bytes()),
    );
    optional("revoked_at", chain.revoked_at.map(time));
    optional("revoked_by", it.revoked_by.map(|it| it.as_str().into()));
    optional("ip", it.ip.map(|it| it.to_string().into_bytes()));
    optional("user_agent", it.user_agent.clone().map(String::into_bytes));
    fields
}

/// The session of that id.
pub(super) fn session(id: SessionId, fields: &Fields) -> Result<Session, StoreError> {
    read(id, &Reader(fields)).map_err(|error| StoreError::new(StoreErrorKind::Damaged, error))
}

/// The outcome of that number, as the script has it.
pub(super) fn outcome(number: u8) -> Result<Outcome, StoreError> {
    match number {
        1 => Ok(Outcome::Advanced),
        2 => Ok(Outcome::Replayed),
        3 => Ok(Outcome::Late),
        4 => Ok(Outcome::Forked),
        5 => Ok(Outcome::Stale),
        6 => Ok(Outcome::Future),
        7 => Ok(Outcome::Kept),
        _ => Err(StoreErrorKind::Damaged.into()),
    }
}

type Cause = Box<dyn Error + Send + Sync>;

fn read(id: SessionId, fields: &Reader<'_>) -> Result<Session, Cause> {
    let current = TokenHash::from_bytes(fields.bytes("current_hash")?.ok_or(MISSING)?);
    let created_at = fields.time("created_at")?;
    let subject = fields.text("subject")?.ok_or(MISSING)?;
    let mut session = Session::new(id, subject, current, created_at, Default::default());
    session.client_id = fields.text("client_id")?.map(str::to_owned);
    session.jkt = fields.bytes("jkt")?.map(Thumbprint::from_bytes);
    session.scopes = fields.text("scopes")?.ok_or(MISSING)?.parse()?;
    session.label = fields.text("label")?.map(str::to_owned);
    session.claims = CustomClaims::from_json(fields.text("claims")?.ok_or(MISSING)?)?;
    session.auth_time = fields.time("auth_time")?;
    session.ip = fields.text("ip")?.map(str::parse).transpose()?;
    session.user_agent = fields.text("user_agent")?.map(str::to_owned);
    session.chain = chain(current, fields)?;
    session.revoked_by = fields.text("revoked_by")?.and_then(RevokedBy::from_word);
    Ok(session)
}

fn chain(current: TokenHash, fields: &Reader<'_>) -> Result<Chain, Cause> {
    let rotated_at = fields.time("rotated_at")?;
    let mut chain = Chain::new(current, rotated_at, Default::default(), Default::default());
    chain.generation = fields.text("generation")?.ok_or(MISSING)?.parse()?;
    chain.previous = fields.bytes("previous_hash")?.map(TokenHash::from_bytes);
    chain.tag_key_id = fields.text("tag_key_id")?.map(str::parse).transpose()?;
    chain.idle_expires_at = fields.time("idle_expires_at")?;
    chain.absolute_expires_at = fields.time("absolute_expires_at")?;
    if fields.0.contains_key("revoked_at") {
        chain.revoked_at = Some(fields.time("revoked_at")?);
    }
    Ok(chain)
}

struct Reader<'a>(&'a Fields);

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, Cause> {
        let bytes = self.0.get(name).map(Vec::as_slice);
        Ok(bytes.map(std::str::from_utf8).transpose()?)
    }

    fn time(&self, name: &str) -> Result<Timestamp, Cause> {
        let millis = self.text(name)?.ok_or(MISSING)?.parse()?;
        Ok(Timestamp::from_millis(millis))
    }

    fn bytes(&self, name: &str) -> Result<Option<[u8; 32]>, Cause> {
        let bytes = self.0.get(name).map(|it| it[..].try_into());
        Ok(bytes.transpose()?)
    }
}

const MISSING: &str = "a field is missing";
