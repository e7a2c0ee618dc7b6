use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use refresh_client_layer::{FileStore, HttpRefresher, Refresher, TokenManager, TokenStore as _};
use tower_service::Service;

/// The session that a program goes on with, as flags.
#[derive(Args, Clone, Debug)]
pub struct SignedIn {
    /// Where to refresh.
    #[arg(long, value_name = "URL")]
    refresh: String,
    /// How to ask for it: JSON, or the form of OAuth 2.0.
    #[arg(long, value_enum, default_value = "json")]
    grant: Grant,
    /// The OAuth 2.0 client.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The server knows no idempotency keys: send none, and let processes on one file take turns.
    #[arg(long)]
    plain: bool,
    /// A JSON file with `access_token`, `refresh_token` and perhaps `expires_in`, as a log-in
    /// answers; it is updated.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Grant {
    Json,
    Oauth2,
}

impl SignedIn {
    /// The session, refreshed over `http`, for requests to `api`.
    ///
    /// # Errors
    /// A sentence when a URL is none, or when the file is missing, cannot be read or is damaged; it is
    /// left as it is.
    pub async fn session<S, B>(&self, http: S, api: &str) -> Result<TokenManager, Box<dyn Error>>
    where
        S: Service<http::Request<B>>,
        HttpRefresher<S, B>: Refresher,
    {
        let refresher = match self.grant {
            Grant::Json => HttpRefresher::json(&self.refresh, http),
            Grant::Oauth2 => HttpRefresher::oauth2(&self.refresh, http),
        };
        let refresher = match &self.client_id {
            Some(id) => refresher.client_id(id),
            None => refresher,
        };
        let session = TokenManager::builder(refresher)
            .store(self.store().await?)
            .origin(api);
        let session = match self.plain {
            true => session.without_idempotency_key(),
            false => session,
        };
        Ok(session.build()?)
    }

    /// Ends the program in order: waits for a refresh under way and until its tokens are in the file.
    ///
    /// # Errors
    /// A sentence when that takes longer than 30 seconds, or when the file cannot be written.
    pub async fn close(&self, session: &TokenManager) -> Result<(), Box<dyn Error>> {
        if session.close(Duration::from_secs(30)).await {
            return Ok(());
        }
        let path = self.tokens.display();
        Err(
            format!("{path} may not hold the newest tokens: sign in again if they are refused")
                .into(),
        )
    }

    async fn store(&self) -> Result<FileStore, Box<dyn Error>> {
        let store = FileStore::new(&self.tokens);
        let kept = store.load().await;
        if kept.map_err(|error| -> Box<dyn Error> { error })?.is_none() {
            let path = self.tokens.display();
            return Err(format!("{path} does not exist: sign in and save the answer there").into());
        }
        Ok(store)
    }
}
