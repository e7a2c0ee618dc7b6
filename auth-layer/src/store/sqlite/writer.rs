use std::error::Error as _;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoints::Checkpoints;
use super::failure;
use super::file::File;
use super::hand::Hand;
use super::open::{self, Cause, SqliteOpenErrorKind};
use super::queue::{Queue, Reply};
use crate::store::rotation::LONGEST_WAIT;
use crate::store::ticket::Ticket;
use crate::store::{StoreError, StoreErrorKind};

/// The way to the one thread that writes: what waits goes into one transaction.
#[derive(Clone, Debug)]
pub(super) struct Writer(Queue<Job>);

type Job = Box<dyn FnOnce(&mut Hand<'_>) -> Result<Answer, StoreError> + Send>;
/// Tells whoever waits, once it is on the disk.
type Answer = Box<dyn FnOnce() + Send>;

impl Writer {
    /// Opens the file on the thread that will write to it.
    pub(super) async fn open(file: File) -> Result<Self, Cause> {
        let checkpoints = Checkpoints::spawn(file.clone())?;
        let (opened, result) = oneshot::channel();
        let queue = Queue::spawn("sqlite-writer", move |waiting| match open::open(&file) {
            Ok(connection) => {
                if opened.send(Ok(())).is_ok() {
                    Task::new(file, waiting, checkpoints).run(connection);
                }
            }
            Err(cause) => drop(opened.send(Err(cause))),
        })?;
        match result.await {
            Ok(opened) => opened.map(|()| Self(queue)),
            Err(_) => Err(SqliteOpenErrorKind::Failed.into()),
        }
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Hand<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_within(LONGEST_WAIT, work).await
    }

    /// Does the work unless its caller was refused before the transaction reached it. A caller whose work is in the
    /// transaction waits for the commit, however long the disk takes.
    pub(super) async fn write_within<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(&mut Hand<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let job = |reply: Reply<T>, ticket: Ticket| -> Job {
            Box::new(move |hand| {
                if !ticket.begin() {
                    return Ok(Box::new(|| ()));
                }
                match work(hand) {
                    // A taken id or a damaged row concerns one caller; any other failure the whole batch.
                    Err(error) if error.kind() == StoreErrorKind::Unavailable => Err(error),
                    done => Ok(Box::new(move || drop(reply.send(done)))),
                }
            })
        };
        self.0.ask(timeout, job).await
    }
}

struct Task {
    file: File,
    waiting: mpsc::Receiver<Job>,
    batch: Vec<Job>,
    checkpoints: Checkpoints,
}

impl Task {
    fn new(file: File, waiting: mpsc::Receiver<Job>, checkpoints: Checkpoints) -> Self {
        let batch = Vec::with_capacity(BATCH);
        Self {
            file,
            waiting,
            batch,
            checkpoints,
        }
    }

    /// Until nobody is left to ask. What was left half done on a connection that failed is gone with
    /// it, and the next batch connects anew.
    fn run(mut self, first: Connection) {
        let mut first = Some(first);
        while self.receive(0) {
            let connection = first.take().map_or_else(|| self.file.write(), Ok);
            if let Err(error) = connection
                .map_err(failure::of)
                .and_then(|on| self.serve(&on))
            {
                self.batch.clear();
                let cause = error.source().map(tracing::field::display);
                tracing::warn!(target: "auth_layer::store", cause, "sessions were not written");
            }
        }
    }

    fn serve(&mut self, on: &Connection) -> Result<(), StoreError> {
        let mut hand = Hand::new(on).map_err(failure::of)?;
        loop {
            let written = self.batch.len();
            self.commit(&mut hand)?;
            self.checkpoints.count(written);
            if !self.receive(written) {
                return Ok(());
            }
        }
    }

    /// Takes all that wait, once somebody does. Those who were just answered mostly come again: they
    /// have a moment to do so, since the next commit comes after a whole `fsync`.
    fn receive(&mut self, answered: usize) -> bool {
        for _ in 0..PATIENCE {
            if self.waiting.len() >= answered {
                break;
            }
            thread::yield_now();
        }
        self.waiting.blocking_recv_many(&mut self.batch, BATCH) > 0
    }

    /// Answers once everything is on the disk. If that fails nothing happened to anybody, and
    /// dropping what waits tells the callers so.
    fn commit(&mut self, hand: &mut Hand<'_>) -> Result<(), StoreError> {
        hand.begin().map_err(failure::of)?;
        let answers = self.batch.drain(..).map(|job| job(hand));
        let answers = answers.collect::<Result<Vec<_>, _>>()?;
        hand.commit().map_err(failure::of)?;
        answers.into_iter().for_each(|tell| tell());
        Ok(())
    }
}

/// How many are committed together at most.
pub(super) const BATCH: usize = 512;
/// How often others have a turn before less is committed than the last time.
const PATIENCE: usize = 64;
