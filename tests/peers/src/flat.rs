//! Whether a rotation costs the same among a thousand sessions and among a million.

use auth_layer::refresh_token::SessionId;
use auth_layer::store::{PostgresStore, SessionStore, SqliteStore};

use crate::BoxError;
use crate::report::{Bar, Report};
use crate::rounds::{Effort, Series};
use crate::sessions::{CALLERS, Database, Engine as _, Folder, GroupCommit, Seat, rate, runtime};
use crate::stores::Stores;

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;

pub(crate) fn run(stores: Stores<'_>, effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    runtime()?.block_on(async {
        report.title("flat: rotations per second, of sessions drawn from all, median (min..max)");
        report.row(&[
            &"store, callers",
            &"1,000 sessions",
            &"1,000,000 sessions",
            &"ratio",
        ]);
        if stores.has("postgres") {
            postgres(effort, report).await?;
        }
        if stores.has("sqlite") {
            sqlite(effort, report).await?;
        }
        Ok(())
    })
}

async fn postgres(effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    let small = Database::create("auth_peers_few").await?;
    let large = Database::create("auth_peers_many").await?;
    let (few, many) = (
        PostgresStore::connect(small.url()).await?,
        PostgresStore::connect(large.url()).await?,
    );
    let sessions = [small.fill(FEW).await?, large.fill(MANY).await?];
    small.checkpoint().await?;
    let compared = compare("postgres", [few, many], sessions, effort, report).await;
    small.drop().await?;
    large.drop().await?;
    compared
}

async fn sqlite(effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    let folder = Folder::create()?;
    let (few, many) = (
        SqliteStore::open(folder.file("few.db")).await?,
        SqliteStore::open(folder.file("many.db")).await?,
    );
    let sessions = [
        folder.fill("few.db", FEW).await?,
        folder.fill("many.db", MANY).await?,
    ];
    compare("sqlite", [few, many], sessions, effort, report).await?;
    engine(&folder, effort, report).await
}

/// How flat SQLite itself is, without callers and threads of ours: for comparison.
async fn engine(folder: &Folder, effort: Effort, report: &Report) -> Result<(), BoxError> {
    let mut engines = [
        GroupCommit::of(folder.file("few.db")),
        GroupCommit::of(folder.file("many.db")),
    ];
    for callers in CALLERS {
        let mut rates = [Series::default(), Series::default()];
        for _ in 0..effort.rounds {
            for (engine, rates) in engines.iter_mut().zip(&mut rates) {
                rates.push(engine.rate(callers, effort.turn).await?);
            }
        }
        let [small, large] = rates;
        let name = format!("{}, {callers}", GroupCommit::NAME);
        report.row(&[&name, &small, &large, &small.over(&large)]);
    }
    Ok(())
}

/// Every caller has its share of all sessions.
async fn compare<S: SessionStore + Clone>(
    name: &str,
    [few, many]: [S; 2],
    sessions: [Vec<SessionId>; 2],
    effort: Effort,
    report: &mut Report,
) -> Result<(), BoxError> {
    let [mut of_few, mut of_many] = sessions.map(|ids| vec![Seat::of(ids)]);
    for callers in CALLERS {
        Seat::deal(&mut of_few, callers);
        Seat::deal(&mut of_many, callers);
        let (mut small, mut large) = (Series::default(), Series::default());
        for _ in 0..effort.rounds {
            small.push(rate(&few, &mut of_few, effort.turn).await?);
            large.push(rate(&many, &mut of_many, effort.turn).await?);
        }
        let ratio = small.over(&large);
        let name = format!("{name}, {callers}");
        report.row(&[&name, &small, &large, &ratio]);
        let what = format!("{name} callers, 1,000 / 1,000,000 sessions");
        report.hold(&what, &ratio, Bar::AtMost(1.3));
    }
    Ok(())
}
