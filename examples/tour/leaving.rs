//! Log-out, here and everywhere.

use http::StatusCode;

use crate::device::{Device, call_plainly, refresh_plainly};
use crate::server::{Premises, Server};
use crate::{Result, Story};

pub(crate) async fn here(story: &mut Story, premises: &Premises) -> Result<()> {
    story.step("Erin has two devices and logs out on one");
    let (phone, laptop) = (
        Device::sign_in(premises, "erin").await?,
        Device::sign_in(premises, "erin").await?,
    );
    let refresh = phone.refresh_token().await?;
    let access = phone.session.access_token().await?;
    story.say(format_args!(
        "her phone's token is good: {}",
        call_plainly(premises, access.secret()).await?
    ));
    let sign_out = phone.session.sign_out().await;
    story.check("the server confirms the log-out", sign_out.is_revoked())?;
    let refused = call_plainly(premises, access.secret()).await?;
    story.check(
        "the phone's access token is unusable at once",
        refused == StatusCode::UNAUTHORIZED,
    )?;
    let (refused, _) = refresh_plainly(premises, &refresh).await?;
    story.check(
        "so is its refresh token",
        refused == StatusCode::UNAUTHORIZED,
    )?;
    story.check(
        "nothing more is sent from the phone",
        phone.call().await.is_err(),
    )?;
    story.check(
        "the laptop is still in",
        laptop.call().await?.status == StatusCode::OK,
    )?;
    Ok(())
}

pub(crate) async fn everywhere(
    story: &mut Story,
    premises: &Premises,
    server: &Server,
) -> Result<()> {
    story.step("Frank changes his password: all his sessions end");
    let mut devices = Vec::new();
    for _ in 0..3 {
        devices.push(Device::sign_in(premises, "frank").await?);
    }
    let listed = server.issuer.list("frank").await?.len();
    let ended = server.issuer.revoke_all("frank").await?;
    story.say(format_args!("{listed} sessions were listed, {ended} ended"));
    let mut inside = 0;
    for device in &devices {
        inside += usize::from(
            device
                .call()
                .await
                .is_ok_and(|call| call.status == StatusCode::OK),
        );
    }
    story.check(
        "every device is out at once",
        (listed, ended, inside) == (3, 3, 0),
    )?;
    Ok(())
}
