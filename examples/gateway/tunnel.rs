use std::time::Duration;

use auth_layer::{Claims, Revocations};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

/// Two connections that have left HTTP, as WebSockets do.
pub(crate) struct Tunnel {
    pub(crate) front: OnUpgrade,
    pub(crate) back: OnUpgrade,
    pub(crate) claims: Claims,
    pub(crate) revocations: Revocations,
}

impl Tunnel {
    /// Carries what comes, until a side is done or the session is over.
    pub(crate) async fn run(self) {
        let Ok((front, back)) = tokio::try_join!(self.front, self.back) else {
            return;
        };
        let (mut front, mut back) = (TokioIo::new(front), TokioIo::new(back));
        tokio::select! {
            // How it ended is between the two.
            _ = copy_bidirectional(&mut front, &mut back) => {}
            () = revoked(&self.claims, &self.revocations) => {}
        }
    }
}

async fn revoked(claims: &Claims, revocations: &Revocations) {
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    while !revocations.is_revoked(claims) {
        pace.tick().await;
    }
}
