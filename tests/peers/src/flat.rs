//! Whether a rotation costs the same among a thousand sessions and among a million.

use auth_layer::refresh_token::SessionId;
use auth_layer::store::{PostgresStore, SessionStore, SqliteStore};

use crate::BoxError;
use crate::report::{Bar, Report};
use crate::rounds::{Effort, Series};
use crate::sessions::{Database, Folder, Seat, rate, runtime};
use crate::stores::Stores;

const CALLERS: usize = 64;
const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;

pub(crate) fn run(stores: Stores<'_>, effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    runtime()?.block_on(async {
        report.title("flat: rotations per second at 64 callers, of sessions drawn from all, median (min..max)");
        report.row(&[&"store", &"1,000 sessions", &"1,000,000 sessions", &"ratio"]);
        if stores.has("postgres") {
            let ratio = postgres(effort, report).await?;
            report.hold("postgres, 1,000 / 1,000,000 sessions", &ratio, Bar::AtMost(1.3));
        }
        if stores.has("sqlite") {
            let ratio = sqlite(effort, report).await?;
            report.hold("sqlite, 1,000 / 1,000,000 sessions", &ratio, Bar::AtMost(1.3));
        }
        Ok(())
    })
}

async fn postgres(effort: Effort, report: &Report) -> Result<Series, BoxError> {
    let small = Database::create("auth_peers_few").await?;
    let large = Database::create("auth_peers_many").await?;
    let (few, many) = (
        PostgresStore::connect(small.url()).await?,
        PostgresStore::connect(large.url()).await?,
    );
    let seats = [
        seats(small.fill(FEW).await?),
        seats(large.fill(MANY).await?),
    ];
    small.checkpoint().await?;
    let ratio = compare("postgres", [few, many], seats, effort, report).await;
    small.drop().await?;
    large.drop().await?;
    ratio
}

async fn sqlite(effort: Effort, report: &Report) -> Result<Series, BoxError> {
    let folder = Folder::create()?;
    let (few, many) = (
        SqliteStore::open(folder.file("few.db")).await?,
        SqliteStore::open(folder.file("many.db")).await?,
    );
    let seats = [
        seats(folder.fill("few.db", FEW).await?),
        seats(folder.fill("many.db", MANY).await?),
    ];
    compare("sqlite", [few, many], seats, effort, report).await
}

/// Every caller has its share of all sessions.
fn seats(ids: Vec<SessionId>) -> Vec<Seat> {
    (0..CALLERS)
        .map(|caller| Seat::of(ids.iter().copied().skip(caller).step_by(CALLERS)))
        .collect()
}

async fn compare<S: SessionStore + Clone>(
    name: &str,
    [few, many]: [S; 2],
    [mut of_few, mut of_many]: [Vec<Seat>; 2],
    effort: Effort,
    report: &Report,
) -> Result<Series, BoxError> {
    let (mut small, mut large) = (Series::default(), Series::default());
    for _ in 0..effort.rounds {
        small.push(rate(&few, &mut of_few, effort.turn).await?);
        large.push(rate(&many, &mut of_many, effort.turn).await?);
    }
    let ratio = small.over(&large);
    report.row(&[&name, &small, &large, &ratio]);
    Ok(ratio)
}
