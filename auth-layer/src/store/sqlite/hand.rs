use rusqlite::{Connection, Statement};

use super::rotation::{ADVANCE, FIND};

/// What the thread that writes has at hand: a connection, and what is asked of it all the time.
pub(super) struct Hand<'c> {
    pub(super) on: &'c Connection,
    pub(super) find: Statement<'c>,
    pub(super) advance: Statement<'c>,
    begin: Statement<'c>,
    commit: Statement<'c>,
}

impl<'c> Hand<'c> {
    pub(super) fn new(on: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            on,
            find: on.prepare(FIND)?,
            advance: on.prepare(ADVANCE)?,
            begin: on.prepare("BEGIN IMMEDIATE")?,
            commit: on.prepare("COMMIT")?,
        })
    }

    /// From now on nobody else writes.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.begin.execute([]).map(drop)
    }

    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        self.commit.execute([]).map(drop)
    }
}
