//! Signing in, and access tokens that die all the time.

use std::time::Duration;

use http::StatusCode;
use refresh_client_layer::Event;
use tokio::time::sleep;

use crate::device::{Call, Device, log_in};
use crate::server::{ACCESS_TTL, Premises};
use crate::{Result, Story};

pub(crate) async fn sign_in(story: &mut Story, premises: &Premises) -> Result<Device> {
    story.step("Alice signs in");
    let device = Device::sign_in(premises, "alice").await?;
    story.say(format_args!(
        "the server is {}, its sessions are in SQLite",
        premises.url("")
    ));
    story.say(format_args!(
        "alice holds an access token for {ACCESS_TTL:?} and a refresh token"
    ));
    let refresh_token = device.refresh_token().await?;
    let in_database = premises.database_holds(refresh_token.as_bytes())?;
    story.check("the database holds no token", !in_database)?;
    Ok(device)
}

pub(crate) async fn call(story: &mut Story, premises: &Premises, device: &Device) -> Result<()> {
    story.step("She calls the API while her token lives");
    let calls = device.call_at_once(20).await;
    tell_calls(story, &calls)?;
    story.check(
        "no refresh was needed",
        premises.counts.take_refreshes() == 0,
    )?;
    Ok(())
}

pub(crate) async fn expire(story: &mut Story, premises: &Premises, device: &Device) -> Result<()> {
    story.step("Her token expires; then 100 requests leave at once");
    sleep(ACCESS_TTL + Duration::from_secs(1)).await;
    let calls = device.call_at_once(100).await;
    tell_calls(story, &calls)?;
    let (refreshes, refused) = (
        premises.counts.take_refreshes(),
        premises.counts.take_refused(),
    );
    story.say(format_args!(
        "/refresh was called {refreshes} time(s), the API refused {refused}"
    ));
    story.check("exactly one refresh for all of them", refreshes == 1)?;
    story.check("no request was sent with a dead token", refused == 0)?;
    Ok(())
}

pub(crate) async fn expire_unnoticed(story: &mut Story, premises: &Premises) -> Result<()> {
    story.step("Bob's client believes that its token lives for an hour: 100 times 401");
    let tokens = log_in(premises, "bob")
        .await?
        .expires_in(Duration::from_secs(3600));
    let device = Device::with(premises, tokens, &premises.url("/refresh"))?;
    sleep(ACCESS_TTL + Duration::from_secs(1)).await;
    let calls = device.call_at_once(100).await;
    tell_calls(story, &calls)?;
    let retries = calls.iter().flatten().filter(|call| call.is_retry).count();
    let (refreshes, refused) = (
        premises.counts.take_refreshes(),
        premises.counts.take_refused(),
    );
    story.say(format_args!(
        "the API refused {refused}, {retries} were sent again"
    ));
    story.check(
        "every refused request was sent again, once",
        retries as u64 == refused && refused > 0,
    )?;
    story.check("exactly one refresh for all of them", refreshes == 1)?;
    Ok(())
}

pub(crate) async fn refresh_ahead(
    story: &mut Story,
    premises: &Premises,
    device: &mut Device,
) -> Result<()> {
    story.step("For three lifetimes Alice calls every 20 ms");
    sleep(ACCESS_TTL + Duration::from_secs(1)).await;
    device.take_events();
    premises.counts.take_refreshes();
    let mut calls = Vec::new();
    for _ in 0..3 * ACCESS_TTL.as_millis() / 20 {
        calls.push(device.call().await);
        sleep(Duration::from_millis(20)).await;
    }
    tell_calls(story, &calls)?;
    let (refreshes, refused) = (
        premises.counts.take_refreshes(),
        premises.counts.take_refused(),
    );
    let events = device.take_events();
    let noted = events
        .iter()
        .filter(|it| matches!(it, Event::Refreshed { .. }))
        .count();
    story.say(format_args!(
        "{refreshes} refreshes, each ahead of its time, in the background"
    ));
    story.check("the API never answered 401", refused == 0)?;
    story.check(
        "her client knows of every refresh",
        refreshes == noted as u64 && refreshes >= 3,
    )?;
    Ok(())
}

pub(crate) fn tell_calls(story: &Story, calls: &[Result<Call>]) -> Result<()> {
    let ok = calls
        .iter()
        .flatten()
        .filter(|call| call.status == StatusCode::OK);
    let slowest = ok.clone().map(|call| call.took).max().unwrap_or_default();
    story.say(format_args!(
        "{} of {} answered 200, the slowest after {slowest:.1?}",
        ok.clone().count(),
        calls.len()
    ));
    Ok(story.check("no caller saw a failure", ok.count() == calls.len())?)
}
