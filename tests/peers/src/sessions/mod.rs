//! Rotations per second of each store, in turn with the engine's own limit.

mod load;
mod pgbench;
mod postgres;
mod redis;
mod redis_benchmark;
mod sqlite;

use std::time::Duration;

use auth_layer::store::{MemoryStore, SessionStore};

pub(crate) use self::load::{Seat, rate, session, sign_in};
pub(crate) use self::postgres::Database;
pub(crate) use self::sqlite::{Folder, GroupCommit};

use crate::BoxError;
use crate::report::{Bar, Report};
use crate::rounds::{Effort, Series};
use crate::stores::Stores;

pub(crate) const CALLERS: [usize; 3] = [1, 16, 64];

/// What the engine does without the store, for as many callers.
pub(crate) trait Engine {
    const NAME: &'static str;

    async fn rate(&mut self, callers: usize, turn: Duration) -> Result<f64, BoxError>;
}

pub(crate) fn run(stores: Stores<'_>, effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    runtime()?.block_on(async {
        report.title("sessions: rotations per second, median (min..max)");
        report.row(&[&"store, callers", &"store", &"engine", &"ratio"]);
        if stores.has("memory") {
            memory(effort, report).await?;
        }
        if stores.has("postgres") {
            let ratio = postgres::run(effort, report).await?;
            let what = "postgres / pgbench at 64 callers";
            report.hold(what, &ratio, Bar::AtLeast(1.5));
        }
        if stores.has("sqlite") {
            let ratio = sqlite::run(effort, report).await?;
            let what = "sqlite / group commit at 64 callers";
            report.hold(what, &ratio, Bar::AtLeast(0.7));
        }
        if stores.has("redis") {
            let ratio = redis::run(effort, report).await?;
            let what = "redis / redis-benchmark at 64 callers";
            report.hold(what, &ratio, Bar::AtLeast(1.0));
        }
        Ok(())
    })
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// The ratio at most callers.
async fn compare<S: SessionStore + Clone, E: Engine>(
    name: &str,
    store: &S,
    engine: &mut E,
    effort: Effort,
    report: &Report,
) -> Result<Series, BoxError> {
    let mut ratio = Series::default();
    for callers in CALLERS {
        let mut seats = sign_in(store, callers).await?;
        let (mut ours, mut theirs) = (Series::default(), Series::default());
        for _ in 0..effort.rounds {
            theirs.push(engine.rate(callers, effort.turn).await?);
            ours.push(rate(store, &mut seats, effort.turn).await?);
        }
        ratio = ours.over(&theirs);
        let name = format!("{name}, {callers}");
        let theirs = format!("{} {theirs}", E::NAME);
        report.row(&[&name, &ours, &theirs, &ratio]);
    }
    Ok(ratio)
}

async fn memory(effort: Effort, report: &Report) -> Result<(), BoxError> {
    let store = std::sync::Arc::new(MemoryStore::default());
    for callers in CALLERS {
        let mut seats = sign_in(&store, callers).await?;
        let mut ours = Series::default();
        for _ in 0..effort.rounds.min(3) {
            ours.push(rate(&store, &mut seats, effort.turn / 4).await?);
        }
        report.row(&[&format!("memory, {callers}"), &ours]);
    }
    Ok(())
}
