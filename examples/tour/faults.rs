//! What networks and machines do.

use std::time::Duration;

use auth_layer::issue::SessionEvent;
use http::StatusCode;
use tokio::time::sleep;

use crate::device::{Device, log_in};
use crate::server::{ACCESS_TTL, Premises, Server};
use crate::wire::Wire;
use crate::{Result, Story};

pub(crate) async fn lose_an_answer(story: &mut Story, premises: &Premises) -> Result<()> {
    story.step("The server rotates Carol's token, and the answer is lost on the wire");
    let wire = Wire::to(premises.address()).await?;
    let tokens = log_in(premises, "carol").await?;
    let device = Device::with(premises, tokens, &wire.url("/refresh"))?;
    premises.counts.take_events();
    wire.lose_next_answer();
    let lost = device.session.force_refresh().await;
    story.check(
        "the same refresh is sent again, and no caller sees a failure",
        lost.is_ok(),
    )?;
    let events = premises.counts.take_events();
    let count = |is: fn(&SessionEvent) -> bool| events.iter().filter(|it| is(it)).count();
    let rotations = count(|it| matches!(it, SessionEvent::Refreshed { .. }));
    let repeats = count(|it| matches!(it, SessionEvent::Replayed { .. }));
    story.say(format_args!(
        "{rotations} rotation, {repeats} repeat with the same idempotency key"
    ));
    story.check(
        "the repeat got the same child",
        (rotations, repeats) == (1, 1),
    )?;
    sleep(ACCESS_TTL + Duration::from_secs(1)).await;
    let call = device.call().await?;
    story.check("the session is alive", call.status == StatusCode::OK)?;
    Ok(())
}

pub(crate) async fn restart(
    story: &mut Story,
    premises: &Premises,
    server: Server,
    device: &Device,
) -> Result<Server> {
    story.step("The server's plug is pulled, and it comes back");
    drop(server);
    story.check(
        "a call fails as a network fault",
        device.call().await.is_err(),
    )?;
    let server = premises.open().await?;
    sleep(ACCESS_TTL + Duration::from_secs(1)).await;
    story.check(
        "the next one works: the session was on the disk",
        device.call().await?.status == StatusCode::OK,
    )?;
    premises.counts.take_refreshes();
    Ok(server)
}
