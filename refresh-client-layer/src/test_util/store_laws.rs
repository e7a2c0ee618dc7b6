use futures_util::future::join_all;

use crate::store::{SignInId, StoredTokens, TokenStore};
use crate::tokens::{IdempotencyKey, TokenSet};

/// Holds a [`TokenStore`] of your own to what the trait says.
///
/// Each call of `open` gives a store of the same record, as another process would have it. There must be
/// none in the beginning, and there is none in the end.
///
/// ```
/// use refresh_client_layer::MemoryStore;
/// use refresh_client_layer::test_util::check_store;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = MemoryStore::new();
/// check_store(|| store.clone()).await;
/// # }
/// ```
///
/// # Panics
///
/// If the store fails, or breaks its word: the message says how.
pub async fn check_store<S: TokenStore>(open: impl Fn() -> S) {
    for length in [16, 9_000] {
        let laws = Laws {
            open: &open,
            length,
        };
        laws.records().await;
        laws.conflicts().await;
        laws.races().await;
    }
}

/// Every look and every change is made by another store of the record.
struct Laws<'a, F> {
    open: &'a F,
    /// Of an access token.
    length: usize,
}

impl<S: TokenStore, F: Fn() -> S> Laws<'_, F> {
    async fn records(&self) {
        assert!(self.load().await.is_none(), "there is no record yet");
        let first = self.record(3);
        self.changes(None, Some(&first)).await;
        let keyed = first.with_key(Some(IdempotencyKey::random()));
        self.changes(Some(&first), Some(&keyed)).await;
        // A generation has 64 bits: that of a sign-in is in milliseconds.
        let next = self.record(LATE);
        self.changes(Some(&keyed), Some(&next)).await;
        let of_old = self.record(1);
        self.changes(Some(&next), Some(&of_old)).await;
        self.changes(Some(&of_old), None).await;
        self.changes(None, None).await;
        self.changes(None, Some(&of_old)).await;
        self.changes(Some(&of_old), None).await;
    }

    async fn conflicts(&self) {
        let [stored, other, new] = [3, 4, 5].map(|generation| self.record(generation));
        let keyed = stored.with_key(Some(IdempotencyKey::random()));
        self.keeps(None, Some(&stored), Some(&new)).await;
        self.keeps(None, Some(&stored), None).await;
        self.changes(None, Some(&stored)).await;
        for seen in [None, Some(&other), Some(&keyed)] {
            self.keeps(Some(&stored), seen, Some(&new)).await;
            self.keeps(Some(&stored), seen, None).await;
        }
        self.changes(Some(&stored), None).await;
    }

    async fn races(&self) {
        for seen in [None, Some(self.record(9))] {
            let new: Vec<_> = (1..=8).map(|generation| self.record(generation)).collect();
            let changes = new.iter().map(|new| self.replace(seen.as_ref(), Some(new)));
            let returned = join_all(changes).await;
            let winner = self.load().await.expect("one of several changes is made");
            let is_one = new.iter().any(|it| it.version() == winner.version());
            assert!(is_one, "one of several changes is made");
            for stored in returned {
                let stored = stored.expect("what is stored is returned, whatever it is");
                let is_winner = stored.version() == winner.version();
                assert!(
                    is_winner,
                    "of several changes at once one is made, and returned to all"
                );
            }
            let last = self.record(9);
            match seen {
                None => self.changes(Some(&winner), Some(&last)).await,
                Some(_) => self.changes(Some(&winner), None).await,
            }
        }
    }

    /// The record is `seen`, so that it is changed.
    async fn changes(&self, seen: Option<&StoredTokens>, new: Option<&StoredTokens>) {
        let returned = self.replace(seen, new).await;
        self.assert_is(
            new,
            returned.as_ref(),
            "a change returns what is stored then",
        );
        let stored = self.load().await;
        self.assert_is(
            new,
            stored.as_ref(),
            "a record that is as it was seen is replaced",
        );
    }

    /// The record is not `seen`, so that it is kept.
    async fn keeps(
        &self,
        kept: Option<&StoredTokens>,
        seen: Option<&StoredTokens>,
        new: Option<&StoredTokens>,
    ) {
        let returned = self.replace(seen, new).await;
        self.assert_is(
            kept,
            returned.as_ref(),
            "what is stored is returned, whatever it is",
        );
        let stored = self.load().await;
        self.assert_is(
            kept,
            stored.as_ref(),
            "a record that is not as it was seen is kept",
        );
    }

    fn assert_is(&self, wanted: Option<&StoredTokens>, found: Option<&StoredTokens>, law: &str) {
        let (Some(wanted), Some(found)) = (wanted, found) else {
            assert_eq!(wanted.is_some(), found.is_some(), "{law}");
            return;
        };
        let (kept, given) = (found.tokens(), wanted.tokens());
        assert_eq!(
            kept.generation(),
            given.generation(),
            "{law}: the generation"
        );
        let access = kept.access_token().secret() == given.access_token().secret();
        assert!(access, "{law}: the access token");
        let refresh = kept.refresh_token().secret() == given.refresh_token().secret();
        assert!(refresh, "{law}: the refresh token");
        let key = found.idempotency_key() == wanted.idempotency_key();
        assert!(key, "{law}: the idempotency key");
        let sign_in = found.sign_in() == wanted.sign_in();
        assert!(sign_in, "{law}: the sign-in");
    }

    fn record(&self, generation: u64) -> StoredTokens {
        let length = self.length;
        let (access, refresh) = (format!("{generation:0length$}"), format!("r-{generation}"));
        let sign_in = SignInId::of(&TokenSet::new("first", format!("first-{}", generation % 2)));
        let tokens = TokenSet::new(access, refresh).with_generation(generation);
        StoredTokens::of(sign_in, tokens, None)
    }

    async fn load(&self) -> Option<StoredTokens> {
        (self.open)().load().await.expect(FAILED)
    }

    async fn replace(
        &self,
        seen: Option<&StoredTokens>,
        new: Option<&StoredTokens>,
    ) -> Option<StoredTokens> {
        let seen = seen.map(StoredTokens::version);
        let store = (self.open)();
        store.replace(seen.as_ref(), new).await.expect(FAILED)
    }
}

const FAILED: &str = "a store that is well does what it is asked";
/// Milliseconds since 1970, in the year 2096.
const LATE: u64 = 4_000_000_000_000;
