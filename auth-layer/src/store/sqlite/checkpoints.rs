use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{io, thread};

use rusqlite::Connection;

use super::file::File;

/// The thread that moves what was committed from the log to its place in the file. The one that writes
/// would do so itself now and then, and everybody would wait for it.
pub(super) struct Checkpoints {
    due: SyncSender<()>,
    since: usize,
}

impl Checkpoints {
    /// Ends when this is dropped.
    pub(super) fn spawn(file: File) -> io::Result<Self> {
        let (due, asked) = sync_channel(0);
        let thread = thread::Builder::new().name("sqlite-checkpoint".to_owned());
        thread.spawn(move || run(&file, &asked))?;
        Ok(Self { due, since: 0 })
    }

    /// So many more were written, in a page each or less. Nothing is asked of a thread that is busy: in
    /// the pause after it the one that writes can begin its log anew.
    pub(super) fn count(&mut self, written: usize) {
        self.since += written;
        if self.since >= EVERY {
            self.since = 0;
            let _ = self.due.try_send(());
        }
    }
}

/// What fails here is left to the thread that writes, and to the next time.
fn run(file: &File, asked: &Receiver<()>) {
    let mut connection = None;
    while asked.recv().is_ok() {
        let checkpoint = connection.take().map_or_else(|| file.write(), Ok);
        connection = checkpoint.and_then(checkpointed).ok();
    }
}

fn checkpointed(on: Connection) -> rusqlite::Result<Connection> {
    on.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(on)
}

/// Well before the log is as long as `file` lets it become.
pub(super) const EVERY: usize = 4_000;
