//! The laws of token stores, and stores that break them.

use refresh_client_layer::test_util::check_store;
use refresh_client_layer::{
    IdempotencyKey, MemoryStore, StoreError, StoredTokens, TokenSet, TokenStore,
};

#[tokio::test]
async fn the_memory_store_keeps_its_word() {
    let store = MemoryStore::new();
    check_store(|| store.clone()).await;
}

/// A memory store with one thing wrong.
#[derive(Clone)]
struct Broken(MemoryStore, Fault);

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// `UPDATE .. WHERE generation < $1`.
    TakesNothingIfEmpty,
    TakesTheSame,
    TakesAll,
    KeepsTheKey,
    ForgetsTheKey,
    ReturnsOnesOwnKey,
    BeginsWhatIsOver,
    ClearsAll,
    ClearsNothing,
    CutsTokens,
    CutsGenerations,
}

impl TokenStore for Broken {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        let kept = self.0.load().await?;
        Ok(match self.1 {
            Fault::ForgetsTheKey => kept.map(|it| StoredTokens::new(it.tokens().clone())),
            _ => kept,
        })
    }

    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        let kept = self.0.load().await?;
        let mut tokens = tokens.clone();
        match (self.1, &kept) {
            (Fault::TakesNothingIfEmpty, None) => return Ok(false),
            (Fault::TakesAll, _) => self.0.clear(u64::MAX).await?,
            (Fault::TakesTheSame, Some(kept)) if !kept.is_newer_than(tokens.generation()) => {
                self.0.clear(u64::MAX).await?;
            }
            (Fault::CutsTokens, _) if tokens.access_token().secret().len() > 255 => {
                let cut = tokens.access_token().secret()[..255].to_owned();
                let generation = tokens.generation();
                let refresh = tokens.refresh_token().secret().to_owned();
                tokens = TokenSet::new(cut, refresh).with_generation(generation);
            }
            (Fault::CutsGenerations, _) => {
                let cut = tokens.generation().min(i32::MAX as u64);
                tokens = tokens.with_generation(cut);
            }
            _ => {}
        }
        let is_saved = self.0.save(&tokens).await?;
        if let (Fault::KeepsTheKey, Some(key)) =
            (self.1, kept.and_then(|it| it.idempotency_key().cloned()))
        {
            self.0.begin(tokens.generation(), key).await?;
        }
        Ok(is_saved)
    }

    async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let kept = self.0.begin(generation, key.clone()).await?;
        let Some(kept) = kept else {
            return Ok(None);
        };
        let current = kept.tokens().generation();
        match self.1 {
            Fault::ReturnsOnesOwnKey if current == generation => {
                let mut own = StoredTokens::new(kept.tokens().clone());
                own.begin(generation, key);
                Ok(Some(own))
            }
            Fault::BeginsWhatIsOver => self.0.begin(current, key).await,
            _ => Ok(Some(kept)),
        }
    }

    async fn clear(&self, up_to: u64) -> Result<(), StoreError> {
        match self.1 {
            Fault::ClearsAll => self.0.clear(u64::MAX).await,
            Fault::ClearsNothing => Ok(()),
            _ => self.0.clear(up_to).await,
        }
    }
}

#[tokio::test]
async fn a_store_that_breaks_its_word_is_told_how() {
    for (fault, told) in [
        (Fault::TakesNothingIfEmpty, "take the place of nothing"),
        (Fault::TakesTheSame, "the same generation changes nothing"),
        (Fault::TakesAll, "generation changes nothing"),
        (Fault::KeepsTheKey, "new tokens come without a key"),
        (Fault::ForgetsTheKey, "the key is kept with the tokens"),
        (Fault::ReturnsOnesOwnKey, "the first key counts"),
        (Fault::BeginsWhatIsOver, "another generation sets no key"),
        (Fault::ClearsAll, "outlives a sign-out"),
        (Fault::ClearsNothing, "no refresh of nothing can begin"),
        (Fault::CutsTokens, "the access token is kept as it is"),
        (Fault::CutsGenerations, "the generation is kept"),
    ] {
        let store = Broken(MemoryStore::new(), fault);
        let checked = tokio::spawn(async move { check_store(|| store.clone()).await }).await;
        let panic = checked.expect_err("it is found").into_panic();
        let said = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        let said = said.expect("a panic with a message");
        assert!(said.contains(told), "{said}");
    }
}
