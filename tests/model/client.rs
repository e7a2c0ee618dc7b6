//! The real `TokenManager`, held still at each thing that it asks of the world. What it does next is
//! a function of what it has been told, so it runs once for each story and is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use refresh_client_layer::{
    AccessToken, IdempotencyKey, RefreshError, RefreshErrorKind, RefreshRequest, Refresher,
    StoreError, StoredTokens, TokenError, TokenManager, TokenSet, TokenStore,
};
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
    Saved(bool),
    Cleared,
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
    Begin { generation: u8 },
    Save(Token),
    Clear { up_to: u8 },
    Send(Token, Whose),
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
        let world = World { desk };
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
        kept.map(|kept| {
            let mut stored = StoredTokens::new(write(kept.token));
            if let Some(key) = kept.key {
                let secret = BASE64_URL_SAFE_NO_PAD.encode([key.0; 32]);
                let key = IdempotencyKey::from_secret(&secret).unwrap();
                stored.begin(stored.tokens().generation(), key);
            }
            stored
        })
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

    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        let token = read(tokens.refresh_token().secret());
        assert_eq!(tokens.generation(), generation(token));
        match self.wish(Wish::Save(token)).await {
            Told::Saved(saved) => Ok(saved),
            other => panic!("{other:?} is no answer to save"),
        }
    }

    async fn begin(
        &self,
        generation: u64,
        _own: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let generation = u8::try_from(generation - 1).unwrap();
        Ok(self.kept(Wish::Begin { generation }).await)
    }

    async fn clear(&self, up_to: u64) -> Result<(), StoreError> {
        let up_to = u8::try_from(up_to - 1).unwrap();
        self.wish(Wish::Clear { up_to }).await;
        Ok(())
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
