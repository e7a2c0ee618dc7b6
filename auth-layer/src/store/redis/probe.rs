use std::time::Duration;

use ::redis::{Client, cmd};

use super::link::Link;
use super::open::{RedisOpenError, RedisOpenErrorKind};
use super::scripts::Scripts;
use super::{feed, open};
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{RevokedBy, Rotation, Selection, Session, StoreError};

/// Sees that the server is new enough, and that its user may do what an issuer does.
pub(super) async fn issuing(scripts: &Scripts, client: &Client) -> Result<(), RedisOpenError> {
    is_new_enough(&scripts.link).await?;
    let mut version = cmd("SET");
    version.arg(VERSION_KEY).arg(VERSION).arg(&["NX", "GET"]);
    is_known(scripts.link.ask_one(&version).await?)?;
    each_verb(scripts).await.map_err(open::by_a_store)?;
    scripts.recent.try_add(&[], LONG_AGO).await?;
    let publish = cmd("PUBLISH").arg(feed::CHANNEL).arg("").to_owned();
    scripts.link.ask_one::<()>(&publish).await?;
    follows(scripts, client).await
}

/// The same for who only follows the feed.
pub(super) async fn reading(scripts: &Scripts, client: &Client) -> Result<(), RedisOpenError> {
    is_new_enough(&scripts.link).await?;
    let version = cmd("GET").arg(VERSION_KEY).to_owned();
    is_known(scripts.link.ask_one(&version).await?)?;
    follows(scripts, client).await
}

async fn is_new_enough(link: &Link) -> Result<(), RedisOpenError> {
    let version = link.hello().await?.version();
    let major = version.and_then(|it| it.split('.').next()?.parse::<u32>().ok());
    match major {
        Some(..OLDEST) => Err(RedisOpenErrorKind::Outdated.into()),
        _ => Ok(()),
    }
}

fn is_known(version: Option<String>) -> Result<(), RedisOpenError> {
    match version.map(|it| it.parse::<u32>()) {
        None | Some(Ok(..=VERSION)) => Ok(()),
        Some(_) => Err(RedisOpenErrorKind::Newer.into()),
    }
}

/// On a session that is over before it begins: Redis keeps nothing of it.
async fn each_verb(scripts: &Scripts) -> Result<(), StoreError> {
    let id = SessionId::from_bytes([0; 16]);
    let hash = TokenHash::from_bytes([0; 32]);
    let at_once = (Duration::ZERO, Duration::ZERO);
    let over = Session::new(id, id.to_string(), hash, LONG_AGO, at_once);
    let rotation = Rotation::new(id, 0, hash, hash, LONG_AGO);
    scripts
        .insert(&over, Some(scripts.epoch(&over.subject).await?))
        .await?;
    scripts.rotate(&rotation).await?;
    for selection in [Selection::One(id), Selection::Subject(over.subject)] {
        let by = RevokedBy::Token;
        scripts.revoke(&selection, by, LONG_AGO).await?;
        scripts.list(&selection, LONG_AGO).await?;
    }
    Ok(())
}

async fn follows(scripts: &Scripts, client: &Client) -> Result<(), RedisOpenError> {
    scripts.recent.page(LONG_AGO, 0, 1).await?;
    feed::subscription(client).await.map_err(open::by_a_store)?;
    Ok(())
}

/// A layout that old versions of this crate do not know gets another number.
const VERSION: u32 = 1;
const VERSION_KEY: &str = "auth_schema";

/// Scripts that say what they are, and conditions of expiry.
const OLDEST: u32 = 7;

const LONG_AGO: Timestamp = Timestamp::from_millis(1);
