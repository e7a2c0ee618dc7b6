//! The laws of token stores, and stores that break them.

use refresh_client_layer::test_util::check_store;
use refresh_client_layer::{MemoryStore, StoreError, StoredTokens, TokenSet, TokenStore, Version};

use crate::support::records::{begun, next};

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
    /// `UPDATE .. WHERE version = $1`.
    TakesNothingIfEmpty,
    /// `INSERT .. ON CONFLICT UPDATE`.
    TakesInPlaceOfNothingSeen,
    ComparesTheGeneration,
    TakesAll,
    TakesHigherGenerations,
    ForgetsTheKey,
    ForgetsTheSignIn,
    ReturnsWhatItWasGiven,
    RemovesAll,
    RemovesNothing,
    CutsTokens,
    CutsGenerations,
}

impl TokenStore for Broken {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.0.load().await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let stored = self.0.load().await?;
        let version = stored.as_ref().map(StoredTokens::version);
        let generation = |record: Option<&StoredTokens>| record.map(|it| it.tokens().generation());
        let is_newer = generation(new) > generation(stored.as_ref());
        let (seen, new) = match (self.1, new) {
            (Fault::TakesNothingIfEmpty, Some(_)) if stored.is_none() => return Ok(None),
            (Fault::TakesInPlaceOfNothingSeen, new) if seen.is_none() => (version, new.cloned()),
            (Fault::ComparesTheGeneration, new) if version.as_ref() == seen && !is_newer => {
                let is_removal = new.is_none();
                (seen.copied(), if is_removal { None } else { stored })
            }
            (Fault::TakesAll, new) => (version, new.cloned()),
            (Fault::TakesHigherGenerations, new) if is_newer => (version, new.cloned()),
            (Fault::RemovesAll, None) => (version, None),
            (Fault::RemovesNothing, None) => return Ok(stored),
            (fault, new) => (seen.copied(), new.map(|new| spoilt(fault, new))),
        };
        let stored = self.0.replace(seen.as_ref(), new.as_ref()).await?;
        Ok(match self.1 {
            Fault::ReturnsWhatItWasGiven => new,
            _ => stored,
        })
    }
}

fn spoilt(fault: Fault, record: &StoredTokens) -> StoredTokens {
    let tokens = record.tokens();
    let (access, refresh) = (
        tokens.access_token().secret(),
        tokens.refresh_token().secret(),
    );
    let generation = tokens.generation();
    let keyed = |spoilt| match record.idempotency_key() {
        Some(key) => begun(&spoilt, key),
        None => spoilt,
    };
    let with = |access: &str, generation| {
        let tokens = TokenSet::new(access, refresh).with_generation(generation);
        keyed(next(record, &tokens))
    };
    match fault {
        Fault::ForgetsTheKey => next(record, tokens),
        Fault::ForgetsTheSignIn => keyed(StoredTokens::new(tokens.clone())),
        Fault::CutsTokens if access.len() > 255 => with(&access[..255], generation),
        Fault::CutsGenerations => with(access, generation.min(i32::MAX as u64)),
        _ => record.clone(),
    }
}

#[tokio::test]
async fn a_store_that_breaks_its_word_is_told_how() {
    for (fault, told) in [
        (
            Fault::TakesNothingIfEmpty,
            "a change returns what is stored",
        ),
        (
            Fault::TakesInPlaceOfNothingSeen,
            "what is stored is returned",
        ),
        (
            Fault::ComparesTheGeneration,
            "a change returns what is stored",
        ),
        (Fault::TakesAll, "what is stored is returned"),
        (Fault::TakesHigherGenerations, "what is stored is returned"),
        (Fault::ForgetsTheKey, "the idempotency key"),
        (Fault::ForgetsTheSignIn, "the sign-in"),
        (Fault::ReturnsWhatItWasGiven, "what is stored is returned"),
        (Fault::RemovesAll, "what is stored is returned"),
        (Fault::RemovesNothing, "a change returns what is stored"),
        (Fault::CutsTokens, "the access token"),
        (Fault::CutsGenerations, "the generation"),
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
