use std::sync::{Arc, Mutex, PoisonError};

use auth_layer::SessionId;
use refresh_client_layer::TokenManagers;
use tokio::sync::watch;

/// Sessions that are being ended at the upstream.
#[derive(Clone)]
pub(crate) struct Departures {
    managers: TokenManagers<SessionId>,
    /// Each closed when its session is gone.
    under_way: Arc<Mutex<Vec<watch::Receiver<()>>>>,
}

impl Departures {
    pub(crate) fn new(managers: TokenManagers<SessionId>) -> Self {
        Self {
            managers,
            under_way: Arc::default(),
        }
    }

    /// Ends a session at the upstream, whoever waits for it.
    pub(crate) fn begin(&self, sid: SessionId) {
        let (gone, is_gone) = watch::channel(());
        let managers = self.managers.clone();
        drop(tokio::spawn(async move {
            match managers.sign_out(&sid).await {
                Ok(end) => {
                    tracing::info!(%sid, told = end.is_revoked(), "signed out at the upstream")
                }
                Err(error) => tracing::warn!(%sid, %error, "not signed out at the upstream"),
            }
            drop(gone);
        }));
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|it| it.has_changed().is_ok());
        under_way.push(is_gone);
    }

    /// Waits for all that have begun.
    pub(crate) async fn settled(&self) {
        let under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for mut departure in under_way {
            while departure.changed().await.is_ok() {}
        }
    }
}
