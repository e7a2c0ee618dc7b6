use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use auth_layer::issue::{NewSession, SessionEvent, TokenPair};
use auth_layer::{Algorithm, SessionId, TokenIssuer};
use examples::Keys;
use refresh_client_layer::{Event, Events, Refresher as _, TokenManagers, TokenSet};

use crate::departures::Departures;
use crate::options::Options;
use crate::seal::Seal;
use crate::store::{self, UpstreamTokens};
use crate::upstream::Upstream;

/// Each session of the gateway, and the one at the upstream that belongs to it. They begin and end
/// together.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) issuer: TokenIssuer,
    pub(crate) managers: TokenManagers<SessionId>,
    departures: Departures,
    upstream: Upstream,
}

impl Sessions {
    /// # Errors
    /// A sentence when the store or the keys cannot be used.
    pub(crate) async fn open(
        options: &Options,
        upstream: Upstream,
    ) -> Result<Self, Box<dyn Error>> {
        let mut seal = None;
        let keys = || {
            let keys = keys(options)?;
            seal = Some(Seal::new(&*keys.derive("upstream tokens")?)?);
            Ok(keys)
        };
        let issuer = options.store.issuer(keys).await?;
        let seal = Arc::new(seal.ok_or("no keys were read")?);
        let cells = store::open(&options.store, options.absolute.into());
        let cells = cells
            .await
            .map_err(|error| format!("the store cannot be opened: {error}"))?;
        let managers = TokenManagers::builder({
            let upstream = upstream.clone();
            move |sid| {
                let (cells, seal) = (cells.clone(), seal.clone());
                let session = upstream
                    .session()
                    .store(UpstreamTokens { sid, cells, seal });
                async { Ok(Some(session)) }
            }
        })
        .build();
        let departures = Departures::new(managers.clone());
        let issuer = issuer
            // For themselves: whoever shares the keys is the same gateway.
            .issuer("gateway")
            .audience("gateway")
            .access_ttl(options.access_ttl.into())
            .idle(options.idle.into())
            .absolute(options.absolute.into())
            .on_event({
                let departures = departures.clone();
                move |event| {
                    if let SessionEvent::Revoked { sid, .. } = event {
                        departures.begin(*sid);
                    }
                }
            })
            .build()?;
        let sessions = Self {
            issuer,
            managers,
            departures,
            upstream,
        };
        let events = sessions.managers.events();
        drop(tokio::spawn(sessions.clone().follow(events)));
        Ok(sessions)
    }

    /// Begins a session of both.
    ///
    /// # Errors
    /// When a store does not take it: then neither has begun.
    pub(crate) async fn start(
        &self,
        new: NewSession,
        tokens: TokenSet,
    ) -> Result<TokenPair, Box<dyn Error + Send + Sync>> {
        let upstream = tokens.refresh_token().clone();
        let begun = match self.issuer.start(new).await {
            Ok(pair) => match self.sign_in(pair.session(), tokens).await {
                Ok(()) => return Ok(pair),
                Err(error) => {
                    self.end(pair.session()).await;
                    error
                }
            },
            Err(error) => error.into(),
        };
        if let Err(error) = self.upstream.refresh.revoke(upstream).await {
            tracing::warn!(%error, "a session that did not begin goes on at the upstream");
        }
        Err(begun)
    }

    /// Ends a session of the gateway, and thereby that of the upstream.
    pub(crate) async fn end(&self, sid: SessionId) {
        if let Err(error) = self.issuer.revoke_session(sid).await {
            tracing::warn!(%sid, %error, "a session was not ended");
        }
    }

    /// Waits until the upstream was told of all sessions that have ended so far.
    pub(crate) async fn settled(&self) {
        self.departures.settled().await;
    }

    /// Not before the store has the tokens: other gateways look for them there.
    async fn sign_in(
        &self,
        sid: SessionId,
        tokens: TokenSet,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.managers.sign_in(&sid, tokens).await?;
        match self.managers.get(&sid).await? {
            Some(manager) if manager.flush(Duration::from_secs(30)).await => Ok(()),
            _ => Err("the store did not take the tokens".into()),
        }
    }

    /// Ends the sessions of the gateway that have ended at the upstream.
    async fn follow(self, mut events: Events<(SessionId, Event)>) {
        while let Some((sid, event)) = events.recv().await {
            if let Event::SessionEnded { .. } = event {
                self.end(sid).await;
            }
        }
    }
}

fn keys(options: &Options) -> Result<Keys, Box<dyn Error>> {
    match options.store.keys_file("gateway") {
        None => Keys::generate(Algorithm::EdDSA),
        Some(default) => {
            Keys::open_or_create(options.keys.as_ref().unwrap_or(&default), Algorithm::EdDSA)
        }
    }
}
