//! What becomes of a stolen refresh token.

use auth_layer::issue::SessionEvent;
use http::StatusCode;
use refresh_client_layer::{EndReason, Event};

use crate::device::{Device, call_plainly, refresh_plainly};
use crate::server::Premises;
use crate::{Result, Story};

pub(crate) async fn owner_first(
    story: &mut Story,
    premises: &Premises,
    mut alice: Device,
) -> Result<()> {
    story.step("A thief copies Alice's refresh token; she refreshes before he uses it");
    alice.take_events();
    let stolen = alice.refresh_token().await?;
    let access = alice.session.force_refresh().await?;
    premises.counts.take_events();
    let (status, loot) = refresh_plainly(premises, &stolen).await?;
    story.say(format_args!("the thief is answered {status}"));
    story.check(
        "he gets nothing",
        status == StatusCode::UNAUTHORIZED && loot.is_none(),
    )?;
    check_detection(story, premises)?;
    let refused = call_plainly(premises, access.secret()).await?;
    story.check(
        "Alice's own access token is dead at once",
        refused == StatusCode::UNAUTHORIZED,
    )?;
    check_signed_out(story, "Alice", &mut alice).await
}

pub(crate) async fn thief_first(story: &mut Story, premises: &Premises) -> Result<()> {
    story.step("A thief copies Dave's refresh token and is faster than he");
    let mut dave = Device::sign_in(premises, "dave").await?;
    let stolen = dave.refresh_token().await?;
    let (_, loot) = refresh_plainly(premises, &stolen).await?;
    let loot = loot.ok_or("the thief got no tokens, which nobody could have kept from him")?;
    let access = loot.access_token().secret();
    story.say(format_args!(
        "the thief calls the API: {}",
        call_plainly(premises, access).await?
    ));
    premises.counts.take_events();
    let ended = dave.session.force_refresh().await.is_err();
    story.check("Dave's next refresh is refused", ended)?;
    check_detection(story, premises)?;
    let refused = call_plainly(premises, access).await?;
    story.check(
        "the thief's access token is dead at once",
        refused == StatusCode::UNAUTHORIZED,
    )?;
    let (refused, _) = refresh_plainly(premises, loot.refresh_token().secret()).await?;
    story.check(
        "so is his refresh token",
        refused == StatusCode::UNAUTHORIZED,
    )?;
    check_signed_out(story, "Dave", &mut dave).await
}

fn check_detection(story: &Story, premises: &Premises) -> Result<()> {
    let events = premises.counts.take_events();
    let detected = events
        .iter()
        .filter(|it| matches!(it, SessionEvent::ReuseDetected { .. }));
    Ok(story.check("the theft is reported, once", detected.count() == 1)?)
}

async fn check_signed_out(story: &Story, name: &str, device: &mut Device) -> Result<()> {
    // The first call may still bring the refusal of the server; after it nothing is sent.
    let is_out = match device.call().await {
        Ok(call) => call.status == StatusCode::UNAUTHORIZED,
        Err(_) => true,
    };
    let ends = |it: &Event| {
        matches!(
            it,
            Event::SessionEnded {
                reason: EndReason::Refused,
                ..
            }
        )
    };
    let told = device.take_events().iter().filter(|it| ends(it)).count();
    Ok(story.check(
        format_args!("{name} is asked to sign in again, once"),
        is_out && told == 1,
    )?)
}
