use futures_util::future::join_all;

use crate::store::{StoredTokens, TokenStore};
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
        laws.generations().await;
        laws.keys().await;
        laws.sign_out().await;
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
    async fn generations(&self) {
        assert!(self.load().await.is_none(), "there is no record yet");
        assert!(self.save(3).await, "tokens take the place of nothing");
        assert!(!self.save(3).await, "the same generation changes nothing");
        assert!(!self.save(2).await, "a lower generation changes nothing");
        assert!(self.save(5).await, "a higher generation is stored");
        let kept = self.load().await.expect("what was stored is there");
        self.assert_whole(&kept, 5);
        // Of a sign-in, in milliseconds.
        assert!(self.save(LATE).await, "a generation has 64 bits");
        let kept = self.load().await.expect("what was stored is there");
        self.assert_whole(&kept, LATE);
        self.clear(LATE).await;
    }

    async fn keys(&self) {
        let (first, second) = (IdempotencyKey::random(), IdempotencyKey::random());
        let none = self.begin(3, &first).await;
        assert!(none.is_none(), "no refresh of nothing can begin");
        self.save(3).await;
        let kept = self.begin(2, &second).await.expect(RETURNED);
        let key = kept.idempotency_key();
        assert!(key.is_none(), "a refresh of another generation sets no key");
        for key in [&first, &second] {
            let kept = self.begin(3, key).await.expect(RETURNED);
            let counts = kept.idempotency_key() == Some(&first);
            assert!(counts, "the first key counts and is returned");
            self.assert_whole(&kept, 3);
        }
        assert!(!self.save(3).await, "the same generation changes nothing");
        let kept = self.load().await.expect("what was stored is there");
        let key = kept.idempotency_key();
        assert!(key == Some(&first), "the key is kept with the tokens");
        self.save(4).await;
        let kept = self.load().await.expect("what was stored is there");
        let key = kept.idempotency_key();
        assert!(key.is_none(), "new tokens come without a key");
        self.clear(4).await;
    }

    async fn sign_out(&self) {
        self.save(7).await;
        self.clear(6).await;
        let kept = self.load().await;
        assert!(kept.is_some(), "a higher generation outlives a sign-out");
        self.clear(7).await;
        assert!(self.load().await.is_none(), "a sign-out forgets the tokens");
        self.clear(7).await;
        assert!(self.save(1).await, "tokens take the place of nothing");
        self.clear(u64::MAX).await;
        assert!(self.load().await.is_none(), "a sign-out forgets the tokens");
    }

    async fn races(&self) {
        let taken = join_all((0..8).map(|_| self.save(1))).await;
        let winners = taken.into_iter().filter(|is_taken| *is_taken).count();
        assert_eq!(
            winners, 1,
            "one of those with the same generation is stored"
        );
        let keys: Vec<_> = (0..8).map(|_| IdempotencyKey::random()).collect();
        let seen = join_all(keys.iter().map(|key| self.begin(1, key))).await;
        let seen: Vec<_> = seen.into_iter().map(|it| it.expect(RETURNED)).collect();
        let agree = seen
            .iter()
            .all(|it| it.idempotency_key() == seen[0].idempotency_key());
        assert!(agree, "all who begin a refresh at once get the same key");
        self.clear(1).await;
    }

    fn assert_whole(&self, kept: &StoredTokens, generation: u64) {
        let (kept, given) = (kept.tokens(), self.tokens(generation));
        assert_eq!(kept.generation(), generation, "the generation is kept");
        let access = kept.access_token().secret() == given.access_token().secret();
        assert!(access, "the access token is kept as it is");
        let refresh = kept.refresh_token().secret() == given.refresh_token().secret();
        assert!(refresh, "the refresh token is kept as it is");
    }

    fn tokens(&self, generation: u64) -> TokenSet {
        let length = self.length;
        let (access, refresh) = (format!("{generation:0length$}"), format!("r-{generation}"));
        TokenSet::new(access, refresh).with_generation(generation)
    }

    async fn load(&self) -> Option<StoredTokens> {
        (self.open)().load().await.expect(FAILED)
    }

    async fn save(&self, generation: u64) -> bool {
        let tokens = self.tokens(generation);
        (self.open)().save(&tokens).await.expect(FAILED)
    }

    async fn begin(&self, generation: u64, key: &IdempotencyKey) -> Option<StoredTokens> {
        let store = (self.open)();
        store.begin(generation, key.clone()).await.expect(FAILED)
    }

    async fn clear(&self, up_to: u64) {
        (self.open)().clear(up_to).await.expect(FAILED);
    }
}

const FAILED: &str = "a store that is well does what it is asked";
/// Milliseconds since 1970, in the year 2096.
const LATE: u64 = 4_000_000_000_000;
const RETURNED: &str = "what is stored is returned, whatever it is";
