//! The whole story on this machine: sign-in, expiry, refresh, faults, theft, log-out. Every step
//! checks itself.

mod device;
mod faults;
mod leaving;
mod life;
mod server;
mod story;
mod theft;
mod wire;

use std::error::Error;
use std::process::ExitCode;

use crate::server::Premises;
use crate::story::Story;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        println!("usage: tour\n\nShows and checks what the two libraries do together.");
        return ExitCode::from(if std::env::args().any(|it| it == "--help") {
            0
        } else {
            2
        });
    }
    match tell().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn tell() -> Result<()> {
    let mut story = Story::default();
    let folder = tempfile::tempdir()?;
    let premises = Premises::new(folder.path())?;
    let server = premises.open().await?;

    let mut alice = life::sign_in(&mut story, &premises).await?;
    life::call(&mut story, &premises, &alice).await?;
    life::expire(&mut story, &premises, &alice).await?;
    life::expire_unnoticed(&mut story, &premises).await?;
    life::refresh_ahead(&mut story, &premises, &mut alice).await?;
    faults::lose_an_answer(&mut story, &premises).await?;
    let server = faults::restart(&mut story, &premises, server, &alice).await?;
    theft::owner_first(&mut story, &premises, alice).await?;
    theft::thief_first(&mut story, &premises).await?;
    leaving::here(&mut story, &premises).await?;
    leaving::everywhere(&mut story, &premises, &server).await?;
    story.end();
    Ok(())
}
