use std::collections::HashMap;
use std::io;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    Client, Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation, ServerErrorKind, Value,
    cmd,
};
use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout};

/// Whether a call was sent twice, so that the first may have happened.
pub(super) type IsRepeat = bool;

/// A connection that all share. It is replaced when it is lost, and when it leads nowhere.
#[derive(Clone)]
pub(super) struct Link(Arc<Shared>);

struct Shared {
    /// None where the connection is somebody else's.
    client: Option<Client>,
    current: Mutex<Current>,
}

#[derive(Clone)]
struct Current {
    manager: ConnectionManager,
    since: Instant,
}

impl Link {
    /// Connects when it is first used.
    pub(super) fn to(client: Client) -> Result<Self, RedisError> {
        let manager = manager(&client)?;
        Ok(Self::new(Some(client), manager))
    }

    /// Replaced only as the manager itself does it: when it is lost.
    pub(super) fn over(manager: ConnectionManager) -> Self {
        Self::new(None, manager)
    }

    fn new(client: Option<Client>, manager: ConnectionManager) -> Self {
        let since = Instant::now();
        let current = Mutex::new(Current { manager, since });
        Self(Arc::new(Shared { client, current }))
    }

    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        let mut on = self.current().clone();
        let result = in_time(LONGEST_ANSWER, call.invoke_async(&mut on.manager)).await;
        self.replace_if_useless(&on, result)
    }

    /// Waits for the outcome of a script that must not be left in doubt, until the connection is lost. After the usual time
    /// without an answer others get another connection, and so does `again`, if that is safe.
    pub(super) async fn ask_patiently<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        again: bool,
    ) -> (Result<T, RedisError>, IsRepeat) {
        let used = self.current().clone();
        let mut manager = used.manager.clone();
        let mut first = pin!(in_time(SILENT, call.invoke_async(&mut manager)));
        let result = match timeout(LONGEST_ANSWER, &mut first).await {
            Ok(result) => self.replace_if_useless(&used, result),
            Err(_) => {
                self.replace_unless_young(&used);
                if !again {
                    return (first.await, false);
                }
                let second = pin!(self.ask(call));
                return match select(first, second).await {
                    Either::Left((Ok(answer), _)) => (Ok(answer), false),
                    Either::Left((Err(_), second)) => (second.await, true),
                    Either::Right((Ok(answer), _)) => (Ok(answer), true),
                    Either::Right((Err(_), first)) => (first.await, false),
                };
            }
        };
        match result {
            Err(error) if again && is_lost(&error) => (self.ask(call).await, true),
            result => (result, false),
        }
    }

    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        calls: &Pipeline,
    ) -> Result<T, RedisError> {
        let mut on = self.current().clone();
        let result = in_time(LONGEST_ANSWER, calls.query_async(&mut on.manager)).await;
        self.replace_if_useless(&on, result)
    }

    pub(super) async fn ask_one<T: FromRedisValue>(&self, call: &Cmd) -> Result<T, RedisError> {
        let mut on = self.current().clone();
        let result = in_time(LONGEST_ANSWER, call.query_async(&mut on.manager)).await;
        self.replace_if_useless(&on, result)
    }

    /// What the server says of itself. Nothing, if a proxy or the user's rights keep it from that.
    pub(super) async fn hello(&self) -> Result<Hello, RedisError> {
        match self.ask_one(&cmd("HELLO")).await {
            Ok(fields) => Ok(Hello(fields)),
            Err(error) if is_lost(&error) => Err(error),
            Err(_) => Ok(Hello::default()),
        }
    }

    /// What is under way on the connection goes on.
    pub(super) fn replace(&self) {
        let current = self.current().clone();
        self.replace_unless_young(&current);
    }

    fn replace_if_useless<T>(
        &self,
        used: &Current,
        result: Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        if result.as_ref().is_err_and(leads_nowhere) {
            self.replace_unless_young(used);
        }
        result
    }

    /// Many find out at once: the first of them replaces it.
    fn replace_unless_young(&self, used: &Current) {
        let Some(client) = &self.0.client else {
            return;
        };
        if used.since.elapsed() < SETTLES || self.current().since != used.since {
            return;
        }
        let Ok(manager) = manager(client) else {
            return;
        };
        let since = Instant::now();
        let mut current = self.current();
        if current.since == used.since {
            let old = mem::replace(&mut *current, Current { manager, since });
            drop((current, old));
            tracing::info!(target: "auth_layer::store", "the connection to redis is replaced");
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        let current = self.0.current.lock();
        current.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to `HELLO`.
#[derive(Default)]
pub(super) struct Hello(HashMap<String, Value>);

impl Hello {
    pub(super) fn version(&self) -> Option<String> {
        self.text("version")
    }

    pub(super) fn is_replica(&self) -> bool {
        self.text("role").is_some_and(|it| it != "master")
    }

    fn text(&self, name: &str) -> Option<String> {
        ::redis::from_redis_value(self.0.get(name)?.clone()).ok()
    }
}

/// Whether the connection was lost, and with it the answer.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

/// Whether another connection could fare better: nobody answers on this one, or a server that steps
/// down. One that was dropped the manager replaces.
fn leads_nowhere(error: &RedisError) -> bool {
    if is_lost(error) {
        return !error.is_connection_dropped();
    }
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|them| them.iter().any(|(_, it)| it.kind().is_some_and(steps_down)))
}

fn steps_down(kind: ServerErrorKind) -> bool {
    matches!(
        kind,
        ServerErrorKind::ReadOnly
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
    )
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
    timeout(limit, work).await.unwrap_or_else(late)
}

const LONGEST_ANSWER: Duration = Duration::from_secs(2);
/// A server that is silent for this long is taken for a lost connection, also where TCP does not notice.
const SILENT: Duration = Duration::from_secs(30);

/// A connection that is as bad as the one before is not replaced at each call.
const SETTLES: Duration = Duration::from_millis(500);

fn manager(client: &Client) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        // Each call has a limit of its own.
        .set_response_timeout(None)
        .set_max_delay(Duration::from_secs(1))
        .set_number_of_retries(2)
        .set_pipeline_buffer_size(1_024);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
