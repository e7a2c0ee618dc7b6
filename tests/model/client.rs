//! The real `TokenManager`, held still at each thing that it asks of the world. What it does next is
//! a function of what it has been told, so it runs once for each story and is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use refresh_client_layer::{
    AccessToken, IdempotencyKey, RefreshError, RefreshErrorKind, RefreshRequest, Refresher,
    StoreError, StoredTokens, TokenError, TokenManager, TokenSet, TokenStore, Version,
};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::message::{Answer, Kept, Key, Token};

/// A manager, known by what it has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tab(u16);

impl Tab {
    /// As the program starts.
    pub(crate) const CLOSED: Self = Self(0);
}

/// What a manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    /// Someone wants a newer token.
    Wanted,
    Kept(Option<Kept>),
    Answered(Answer),
    /// No answer, until it gives up.
    Silence,
    /// It has this token, and nothing is going on.
    AtRest(Token),
}

/// What a manager waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wish {
    Load,
    Replace {
        seen: Option<Kept>,
        new: Option<New>,
    },
    Send(Token, Whose),
}

/// What is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct New {
    pub(crate) token: Token,
    /// A key that the manager draws.
    pub(crate) is_keyed: bool,
}

/// Which idempotency key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// One that the storage told it.
    Stored(Key),
    /// One that it drew itself and that the storage has not confirmed.
    Own,
    Nobodys,
}

/// What whoever wanted a token got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Good(Token),
    Unavailable,
    Ended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Does {
    pub(crate) wish: Option<Wish>,
    pub(crate) verdict: Option<Verdict>,
}

pub(crate) struct Clients {
    stories: Vec<(Vec<Told>, Does)>,
    known: HashMap<(Tab, Told), Tab>,
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self {
            stories: vec![(Vec::new(), Does::default())],
            known: HashMap::new(),
        }
    }

    pub(crate) fn does(&self, tab: Tab) -> Does {
        self.stories[usize::from(tab.0)].1
    }

    /// How often it wanted a token in vain, since it last had one.
    pub(crate) fn tries(&self, tab: Tab) -> usize {
        let told = &self.stories[usize::from(tab.0)].0;
        told.iter().filter(|it| **it == Told::Wanted).count()
    }

    pub(crate) fn tell(&mut self, tab: Tab, told: Told) -> Tab {
        if let Some(known) = self.known.get(&(tab, told)) {
            return *known;
        }
        let mut story = self.stories[usize::from(tab.0)].0.clone();
        story.push(told);
        let mut does = play(&story);
        // A manager that gets a token forgets how it got it (`State::change`).
        if let (None, Some(Verdict::Good(token))) = (does.wish, does.verdict) {
            story = vec![Told::AtRest(token)];
            does = play(&story);
            assert_eq!(
                (does.wish, does.verdict),
                (None, Some(Verdict::Good(token)))
            );
        }
        let known = self.stories.iter().position(|it| it.0 == story);
        let next = known.unwrap_or_else(|| {
            self.stories.push((story, does));
            self.stories.len() - 1
        });
        let next = Tab(u16::try_from(next).unwrap());
        self.known.insert((tab, told), next);
        next
    }

    /// How many stories a manager really went through.
    pub(crate) fn cases(&self) -> usize {
        self.stories.len()
    }
}

fn play(story: &[Told]) -> Does {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let mut played = Played::new();
        for told in story {
            played.tell(*told).await;
        }
        played.does()
    })
}

struct Played {
    manager: TokenManager,
    wishes: mpsc::UnboundedReceiver<(Wish, oneshot::Sender<Told>)>,
    open: Option<(Wish, oneshot::Sender<Told>)>,
    verdict: Arc<Mutex<Option<Verdict>>>,
}

impl Played {
    fn new() -> Self {
        let (desk, wishes) = mpsc::unbounded_channel();
        let world = World {
            desk,
            told: Arc::default(),
        };
        let manager = TokenManager::builder(world.clone())
            .store(world)
            .origin("https://api.example")
            .build()
            .unwrap();
        Self {
            manager,
            wishes,
            open: None,
            verdict: Arc::default(),
        }
    }

    async fn tell(&mut self, told: Told) {
        match told {
            Told::Wanted => {
                // Nothing that it waits for is left: neither a back-off nor a budget.
                tokio::time::advance(Duration::from_secs(600)).await;
                let manager = self.manager.clone();
                self.ask(async move { manager.force_refresh().await });
            }
            Told::AtRest(token) => {
                let manager = self.manager.clone();
                self.ask(async move { manager.access_token().await });
                self.settle().await;
                self.answer(Told::Kept(Some(Kept { token, key: None })));
            }
            Told::Silence => tokio::time::advance(Duration::from_secs(31)).await,
            answer => self.answer(answer),
        }
        self.settle().await;
    }

    fn ask(
        &mut self,
        token: impl Future<Output = Result<AccessToken, TokenError>> + Send + 'static,
    ) {
        let verdict = self.verdict.clone();
        *verdict.lock().unwrap() = None;
        drop(tokio::spawn(async move {
            let came = match token.await {
                Ok(token) => Verdict::Good(read(token.secret())),
                Err(TokenError::RefreshUnavailable(_)) => Verdict::Unavailable,
                Err(_) => Verdict::Ended,
            };
            *verdict.lock().unwrap() = Some(came);
        }));
    }

    fn answer(&mut self, told: Told) {
        let (_, waiting) = self.open.take().unwrap();
        waiting.send(told).unwrap();
    }

    /// Lets everything run that can.
    async fn settle(&mut self) {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        self.open.take_if(|(_, waiting)| waiting.is_closed());
        if let Ok(wish) = self.wishes.try_recv() {
            assert!(self.open.is_none(), "it wants two things at once");
            self.open = Some(wish);
        }
    }

    fn does(&self) -> Does {
        Does {
            wish: self.open.as_ref().map(|(wish, _)| *wish),
            verdict: *self.verdict.lock().unwrap(),
        }
    }
}

/// Storage and network of a manager: each call waits until the story goes on.
#[derive(Clone)]
struct World {
    desk: mpsc::UnboundedSender<(Wish, oneshot::Sender<Told>)>,
    /// By their versions.
    told: Arc<Mutex<HashMap<Version, Kept>>>,
}

impl World {
    async fn wish(&self, wish: Wish) -> Told {
        let (waiting, told) = oneshot::channel();
        self.desk.send((wish, waiting)).unwrap();
        told.await.unwrap()
    }

    async fn kept(&self, wish: Wish) -> Option<StoredTokens> {
        let Told::Kept(kept) = self.wish(wish).await else {
            panic!("no answer to {wish:?}");
        };
        let kept = kept?;
        let stored = record(kept);
        self.told.lock().unwrap().insert(stored.version(), kept);
        Some(stored)
    }

    fn whose(key: Option<&IdempotencyKey>) -> Whose {
        let Some(key) = key else {
            return Whose::Nobodys;
        };
        // One that the storage told it has one byte only.
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(key.secret()).unwrap();
        match bytes.iter().all(|it| *it == bytes[0]) {
            true => Whose::Stored(Key(bytes[0])),
            false => Whose::Own,
        }
    }
}

impl TokenStore for World {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        Ok(self.kept(Wish::Load).await)
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let seen = seen.map(|seen| self.told.lock().unwrap()[seen]);
        let new = new.map(|new| {
            let token = read(new.tokens().refresh_token().secret());
            assert_eq!(new.tokens().generation(), generation(token));
            let is_keyed = new.idempotency_key().is_some();
            New { token, is_keyed }
        });
        Ok(self.kept(Wish::Replace { seen, new }).await)
    }
}

impl Refresher for World {
    async fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, RefreshError> {
        let token = read(request.refresh_token().secret());
        let whose = Self::whose(request.idempotency_key());
        match self.wish(Wish::Send(token, whose)).await {
            Told::Answered(Answer::Child(child)) => Ok(write(child)),
            Told::Answered(Answer::Superseded) => Err(RefreshError::new(
                RefreshErrorKind::Superseded,
                "superseded",
            )),
            Told::Answered(Answer::InvalidGrant) => {
                Err(RefreshError::new(RefreshErrorKind::Refused, "refused"))
            }
            other => panic!("{other:?} is no answer"),
        }
    }
}

/// All are of one sign-in.
fn record(kept: Kept) -> StoredTokens {
    let tokens = write(kept.token);
    let [sign_in, key] =
        [0, kept.key.unwrap_or(Key(0)).0].map(|byte| BASE64_URL_SAFE_NO_PAD.encode([byte; 32]));
    let json = json!({
        "access_token": tokens.access_token().secret(),
        "refresh_token": tokens.refresh_token().secret(),
        "generation": tokens.generation(),
        "sign_in": sign_in,
        "idempotency_key": kept.key.map(|_| key),
    });
    StoredTokens::from_json(json.to_string().as_bytes()).unwrap()
}

/// A client does not look into its tokens: the name will do.
fn write(token: Token) -> TokenSet {
    let text = format!("{}.{}", token.generation, token.name);
    TokenSet::new(text.clone(), text).with_generation(generation(token))
}

fn read(text: &str) -> Token {
    let (generation, name) = text.split_once('.').unwrap();
    Token {
        generation: generation.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

/// The client counts from 1.
fn generation(token: Token) -> u64 {
    u64::from(token.generation) + 1
}
