use std::io;

use rusqlite::Connection;

use super::failure;
use super::file::File;
use super::queue::{Queue, Reply};
use crate::store::StoreError;
use crate::store::rotation::LONGEST_WAIT;
use crate::store::ticket::Ticket;

/// The way to the one thread that reads.
#[derive(Clone, Debug)]
pub(super) struct Reader(Queue<Look>);

type Look = Box<dyn FnOnce(rusqlite::Result<&Connection>) + Send>;

impl Reader {
    /// Opens the file when it is asked for something.
    pub(super) fn spawn(file: File) -> io::Result<Self> {
        let queue = Queue::<Look>::spawn("sqlite-reader", move |mut waiting| {
            let mut connection: Option<Connection> = None;
            while let Some(look) = waiting.blocking_recv() {
                look(match &mut connection {
                    Some(connection) => Ok(connection),
                    none => file.read().map(|it| &*none.insert(it)),
                });
            }
        })?;
        Ok(Self(queue))
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let job = |reply: Reply<T>, ticket: Ticket| -> Look {
            Box::new(move |on| {
                if ticket.begin() {
                    drop(reply.send(on.map_err(failure::of).and_then(look)));
                }
            })
        };
        self.0.ask(LONGEST_WAIT, job).await
    }
}
