use std::error::Error as _;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, query};
use tokio::sync::{mpsc, oneshot};

use super::rotations;
use super::statements::{self, unavailable};
use crate::clock::Timestamp;
use crate::store::{RevokedBy, Rotated, Rotation, Selection, Session, StoreError, StoreErrorKind};

/// The way to the one task that writes.
#[derive(Clone, Debug)]
pub(super) struct Writer(mpsc::Sender<Job>);

impl Writer {
    pub(super) fn spawn(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let task = Task {
            connection: Some(connection),
            options,
        };
        tokio::spawn(task.run(waiting));
        Self(jobs)
    }

    pub(super) async fn insert(&self, session: Session) -> Result<(), StoreError> {
        self.ask(|reply| Job::Insert(Box::new(session), reply))
            .await
    }

    pub(super) async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.ask(|reply| Job::Rotate(Box::new(rotation), reply))
            .await
    }

    pub(super) async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.ask(|reply| Job::Revoke(selection, by, now, reply))
            .await
    }

    pub(super) async fn delete_expired(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.ask(|reply| Job::DeleteExpired(before, limit, reply))
            .await
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(job(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreErrorKind::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreErrorKind::Unavailable,
        })?;
        match tokio::time::timeout(LONGEST_WAIT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(StoreErrorKind::Unavailable.into()),
        }
    }
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
enum Job {
    Insert(Box<Session>, Reply<()>),
    Rotate(Box<Rotation>, Reply<Rotated>),
    Revoke(Selection, RevokedBy, Timestamp, Reply<Vec<Session>>),
    DeleteExpired(Timestamp, u32, Reply<u64>),
}

/// How many jobs may wait: above, callers are turned away rather than kept for seconds.
const QUEUE: usize = 16 * 1024;
/// How many are committed together at most.
pub(super) const BATCH: usize = 512;
const LONGEST_WAIT: Duration = Duration::from_secs(10);

struct Task {
    /// None after a failure: the next batch connects anew, and what was left half done is gone.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
}

impl Task {
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.commit(batch.drain(..)).await;
            // Whoever was answered may ask again at once, and need not wait for one more commit.
            tokio::task::yield_now().await;
        }
        if let Some(connection) = self.connection {
            let _ = connection.close().await;
        }
    }

    /// Answers once everything is on the disk. If that fails nothing happened to anybody, and
    /// dropping what waits tells the callers so.
    async fn commit(&mut self, jobs: impl Iterator<Item = Job>) {
        match self.write(jobs).await {
            Ok(answers) => answers.into_iter().for_each(|send| send()),
            Err(error) => {
                self.connection = None;
                let cause = error.source().map(tracing::field::display);
                tracing::warn!(target: "auth_layer::store", cause, "sessions were not written");
            }
        }
    }

    async fn write(&mut self, jobs: impl Iterator<Item = Job>) -> Result<Vec<Answer>, StoreError> {
        let on = self.connected().await?;
        query("BEGIN IMMEDIATE")
            .execute(&mut *on)
            .await
            .map_err(unavailable)?;
        let mut answers = Vec::new();
        let mut rotations = Vec::new();
        for job in jobs {
            answers.push(match job {
                Job::Rotate(it, reply) => {
                    rotations.push((it, reply));
                    continue;
                }
                Job::Insert(it, reply) => answer(reply, statements::insert(on, &it).await)?,
                Job::Revoke(which, by, now, reply) => {
                    answer(reply, statements::revoke(on, &which, by, now).await)?
                }
                Job::DeleteExpired(before, limit, reply) => {
                    answer(reply, statements::delete_expired(on, before, limit).await)?
                }
            });
        }
        if !rotations.is_empty() {
            rotate(on, rotations, &mut answers).await?;
        }
        query("COMMIT").execute(on).await.map_err(unavailable)?;
        Ok(answers)
    }

    async fn connected(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        Ok(match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await.map_err(unavailable)?),
        })
    }
}

async fn rotate(
    on: &mut SqliteConnection,
    waiting: Vec<(Box<Rotation>, Reply<Rotated>)>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    let (asked, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    let asked: Vec<_> = asked.iter().map(|it| &**it).collect();
    let rotated = match rotations::rotate(on, &asked).await {
        Err(error) if error.kind() == StoreErrorKind::Damaged => one_by_one(on, &asked).await,
        rotated => rotated?,
    };
    for (reply, rotated) in replies.into_iter().zip(rotated) {
        answers.push(answer(reply, rotated)?);
    }
    Ok(())
}

/// The damage is where one of them is, and harms nobody else.
async fn one_by_one(
    on: &mut SqliteConnection,
    asked: &[&Rotation],
) -> Vec<Result<Rotated, StoreError>> {
    let mut rotated = Vec::new();
    for it in asked.chunks(1) {
        match rotations::rotate(on, it).await {
            Ok(one) => rotated.extend(one),
            Err(error) => rotated.push(Err(error)),
        }
    }
    rotated
}

type Answer = Box<dyn FnOnce() + Send>;

/// A taken id or a damaged row concerns one caller; any other failure the whole batch.
fn answer<T: Send + 'static>(
    reply: Reply<T>,
    result: Result<T, StoreError>,
) -> Result<Answer, StoreError> {
    match result {
        Err(error) if error.kind() == StoreErrorKind::Unavailable => Err(error),
        result => Ok(Box::new(move || drop(reply.send(result)))),
    }
}
