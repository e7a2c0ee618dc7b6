//! The log of the process.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::MutexGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Everything that all threads log from `TRACE`, since stores have threads of their own. One test at a
/// time holds it.
pub(crate) struct Log {
    text: Text,
    _turn: MutexGuard<'static, ()>,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Waits until no other test reads the log, and begins with an empty one.
    pub(crate) async fn begin() -> Self {
        static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        static TEXT: OnceLock<Text> = OnceLock::new();

        let log = Self {
            _turn: TURN.lock().await,
            text: TEXT.get_or_init(Text::subscribe).clone(),
        };
        log.take();
        log
    }

    /// Returns what was logged since the last call.
    pub(crate) fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.text.0.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

impl Text {
    fn subscribe() -> Self {
        let text = Self::default();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        subscriber.with_ansi(false).with_writer(text.clone()).init();
        text
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Text {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
