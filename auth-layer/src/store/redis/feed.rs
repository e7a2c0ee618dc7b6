use std::time::Duration;

use ::redis::aio::PubSub;
use ::redis::{Client, RedisResult};
use futures_util::StreamExt as _;

use super::link::Link;
use super::recent::Recent;
use super::scripts::{Scripts, unavailable};
use crate::store::{FeedListener, StoreError, StoreErrorKind};

/// Hears each revocation from Redis itself, and catches up now and then.
pub(super) async fn subscribe(
    client: &Client,
    scripts: &Scripts,
    to: &FeedListener,
    primary_only: bool,
) -> Result<(), StoreError> {
    let mut news = subscription(client).await?;
    loop {
        if primary_only {
            leads_to_primary(&scripts.link).await?;
        }
        catch_up(&scripts.recent, to).await?;
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
        catch_up(&scripts.recent, to).await?;
        tokio::time::sleep(OFTEN).await;
    }
}

pub(super) async fn subscription(client: &Client) -> Result<PubSub, StoreError> {
    let subscribing = async {
        let mut news = client.get_async_pubsub().await?;
        news.subscribe(CHANNEL).await?;
        Ok(news)
    };
    in_time(subscribing).await
}

pub(super) const CHANNEL: &str = "auth_revoked";

const SELDOM: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_millis(500);
const LONGEST_ANSWER: Duration = Duration::from_secs(2);

/// A primary that was demoted goes on answering. What it knows is what it is told, if it is.
async fn leads_to_primary(link: &Link) -> Result<(), StoreError> {
    if link.hello().await.map_err(unavailable)?.is_replica() {
        link.replace();
        return Err(StoreError::new(
            StoreErrorKind::Unavailable,
            "the server is not a primary any more",
        ));
    }
    Ok(())
}

/// Those of one time have no order that a page could begin in: it skips those that were read.
async fn catch_up(recent: &Recent, to: &FeedListener) -> Result<(), StoreError> {
    let catch_up = to.catch_up();
    let (mut from, mut skip) = (catch_up.since(), 0);
    loop {
        let page = recent.page(from, skip, PAGE).await.map_err(unavailable)?;
        for (id, at) in &page {
            if let Ok(id) = id.parse() {
                catch_up.revoked(id, *at);
            }
        }
        let Some((_, last)) = page.last().filter(|_| page.len() == PAGE) else {
            break;
        };
        let of_last = page.iter().rev().take_while(|(_, at)| at == last).count();
        skip = if *last == from { skip + PAGE } else { of_last };
        from = *last;
    }
    catch_up.done();
    Ok(())
}

const PAGE: usize = 4_096;

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
