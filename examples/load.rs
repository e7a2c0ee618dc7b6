use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use refresh_client_layer::{Event, Events, Outcome};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

/// How many requests, and how fast, as flags.
#[derive(Args, Clone, Copy, Debug)]
pub struct Load {
    /// How many requests.
    #[arg(short, default_value_t = 100)]
    n: u64,
    /// How many of them at once.
    #[arg(short, value_name = "CONCURRENCY", default_value_t = 10)]
    c: u64,
    /// How long from the start of one request to that of the next.
    #[arg(long, default_value = "0ms")]
    every: humantime::Duration,
}

/// What came of one request.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the programs say which, and there is no fourth"
)]
pub enum Answer {
    /// It was served.
    Served(Option<Outcome>),
    /// It was refused for want of a good token.
    Refused(Option<Outcome>),
    /// Anything else.
    Failed(Box<dyn Error + Send + Sync>),
}

impl Load {
    /// Sends them all and counts.
    ///
    /// # Errors
    /// When `send` panics.
    pub async fn send<F, Fut>(self, send: F) -> Result<Counts, tokio::task::JoinError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send,
    {
        let work = Arc::new(Work {
            load: self,
            send,
            next: AtomicU64::new(0),
            begin: Instant::now(),
            counts: Counts::default(),
        });
        let worker = |_| {
            let work = work.clone();
            tokio::spawn(async move { work.on().await })
        };
        for worker in (0..self.c.max(1)).map(worker).collect::<Vec<_>>() {
            worker.await?;
        }
        Ok(work.counts.clone())
    }
}

struct Work<F> {
    load: Load,
    send: F,
    next: AtomicU64,
    begin: Instant,
    counts: Counts,
}

impl<F, Fut> Work<F>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Answer>,
{
    /// Takes the next request until there is none.
    async fn on(&self) {
        loop {
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            if turn >= self.load.n {
                return;
            }
            let wait = Duration::from(self.load.every) * u32::try_from(turn).unwrap_or(u32::MAX);
            sleep_until(self.begin + wait).await;
            self.counts.note((self.send)().await);
        }
    }
}

/// What came of all requests.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<[AtomicU64; 4]>);

const OK: usize = 0;
const REFUSED: usize = 1;
const ERRORS: usize = 2;
const RETRIES: usize = 3;

impl Counts {
    fn note(&self, answer: Answer) {
        let (which, outcome) = match answer {
            Answer::Served(outcome) => (OK, outcome),
            Answer::Refused(outcome) => (REFUSED, outcome),
            Answer::Failed(error) => {
                eprintln!("a request failed: {}", crate::chain(&*error));
                (ERRORS, None)
            }
        };
        self.add(which);
        if outcome.is_some_and(|outcome| outcome.is_retry()) {
            self.add(RETRIES);
        }
    }

    fn add(&self, which: usize) {
        self.0[which].fetch_add(1, Ordering::Relaxed);
    }

    /// All of them, with the refreshes among the events so far.
    pub fn to_json(&self, refused: &str, events: &mut Events) -> Value {
        let count = |which: usize| self.0[which].load(Ordering::Relaxed);
        let refreshes = std::iter::from_fn(|| events.try_recv())
            .filter(|event| matches!(event, Event::Refreshed { .. }))
            .count();
        json!({
            "ok": count(OK),
            refused: count(REFUSED),
            "errors": count(ERRORS),
            "refreshes": refreshes,
            "retries": count(RETRIES),
        })
    }
}
