//! What SQLite does without the store: one thread, a transaction of so many rotations after the other, each transaction
//! durable (WAL, `synchronous=FULL`). The sessions take turns, whatever their place in the file.
//!
//! usage: group-commit FILE ROTATIONS_A_TRANSACTION SECONDS; prints rotations per second

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior, params};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, together, seconds] = &arguments[..] else {
        return Err("usage: group-commit FILE ROTATIONS_A_TRANSACTION SECONDS".into());
    };
    let mut on = Connection::open(file)?;
    on.pragma_update(None, "journal_mode", "wal")?;
    on.pragma_update(None, "synchronous", "full")?;
    // As many bytes as the store's.
    let page: i64 = on.pragma_query_value(None, "page_size", |row| row.get(0))?;
    on.pragma_update(None, "wal_autocheckpoint", 16_000 * 1_024 / page)?;
    on.pragma_update(None, "cache_size", -64 * 1_024)?;
    let together = together.parse()?;
    let mut sessions = sessions(&on)?;
    let turn = Duration::from_secs(seconds.parse()?);
    let (begin, mut count) = (now(), 0_u64);
    while begin.elapsed() < turn {
        commit(&mut on, &mut sessions, together)?;
        count += together as u64;
    }
    println!("{}", count as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

struct Session {
    id: [u8; 16],
    generation: i64,
    current: [u8; 32],
}

/// In no order.
fn sessions(on: &Connection) -> Result<VecDeque<Session>> {
    let mut find =
        on.prepare("SELECT id, generation, current_hash FROM auth_session ORDER BY random()")?;
    let found = find.query_map([], |row| {
        Ok(Session {
            id: row.get(0)?,
            generation: row.get(1)?,
            current: row.get(2)?,
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Rotates so many sessions, those that have waited longest.
fn commit(on: &mut Connection, sessions: &mut VecDeque<Session>, together: usize) -> Result<()> {
    let transaction = on.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for _ in 0..together {
        let mut session = sessions.pop_front().ok_or("no sessions")?;
        let mut child = [0; 32];
        child[24..].copy_from_slice(&session.generation.to_be_bytes());
        let mut rotate = transaction.prepare_cached(include_str!("../../statements/sqlite.sql"))?;
        let it = params![
            session.id,
            session.generation,
            session.current,
            child,
            true,
            NOW,
            NOW + IDLE,
            None::<i64>
        ];
        let (outcome, generation) = rotate.query_row(it, |row| {
            row.get_ref(2)?.as_str()?;
            row.get::<_, i64>(3)?;
            Ok((row.get::<_, i64>(0)?, row.get(1)?))
        })?;
        if outcome != 1 {
            return Err(format!("did not advance: {outcome}").into());
        }
        session.generation = generation;
        session.current = child;
        sessions.push_back(session);
    }
    Ok(transaction.commit()?)
}

const NOW: i64 = 1_800_000_000_001;
const IDLE: i64 = 14 * 24 * 3_600_000;

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here is real time"
)]
fn now() -> Instant {
    Instant::now()
}
