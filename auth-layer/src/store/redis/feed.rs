use std::time::Duration;

use ::redis::aio::PubSub;
use ::redis::{Client, RedisResult};
use futures_util::StreamExt as _;

use super::scripts::Scripts;
use crate::store::{FeedListener, StoreError, StoreErrorKind};

/// Hears each revocation from Redis itself, and catches up now and then.
pub(super) async fn subscribe(
    client: &Client,
    scripts: &Scripts,
    to: &FeedListener,
) -> Result<(), StoreError> {
    let mut news = in_time(subscription(client)).await?;
    loop {
        catch_up(scripts, to).await?;
        in_time(news.ping::<()>()).await?;
        if tokio::time::timeout(SELDOM, hear(&mut news, to))
            .await
            .is_ok()
        {
            return Err(StoreErrorKind::Unavailable.into());
        }
    }
}

/// Asks again and again: for a connection that cannot be subscribed with.
pub(super) async fn poll(scripts: &Scripts, to: &FeedListener) -> Result<(), StoreError> {
    loop {
        catch_up(scripts, to).await?;
        tokio::time::sleep(OFTEN).await;
    }
}

const SELDOM: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_millis(500);
const LONGEST_ANSWER: Duration = Duration::from_secs(2);
const CHANNEL: &str = "auth_revoked";

async fn subscription(client: &Client) -> RedisResult<PubSub> {
    let mut news = client.get_async_pubsub().await?;
    news.subscribe(CHANNEL).await?;
    Ok(news)
}

async fn catch_up(scripts: &Scripts, to: &FeedListener) -> Result<(), StoreError> {
    let catch_up = to.catch_up();
    for id in scripts.revoked_since(catch_up.since()).await? {
        to.revoked(id);
    }
    catch_up.done();
    Ok(())
}

/// Ends when the connection is lost.
async fn hear(news: &mut PubSub, to: &FeedListener) {
    let mut news = news.on_message();
    while let Some(message) = news.next().await {
        if let Ok(id) = String::from_utf8_lossy(message.get_payload_bytes()).parse() {
            to.revoked(id);
        }
    }
}

async fn in_time<T>(work: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(LONGEST_ANSWER, work).await {
        Ok(result) => result.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error)),
        Err(late) => Err(StoreError::new(StoreErrorKind::Unavailable, late)),
    }
}
