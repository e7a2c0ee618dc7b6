use http_body::Body;

use super::tape::{Mode, Tape};

/// For those who hold a tape without knowing its stream.
pub(super) trait Held: Send + Sync {
    fn turn(&self, mode: Mode) -> Mode;
    fn is_over(&self) -> bool;
}

impl<B> Held for Tape<B>
where
    B: Body + Send + Unpin,
    B::Data: Clone + Send,
    B::Error: Send,
{
    fn turn(&self, mode: Mode) -> Mode {
        Tape::turn(self, mode)
    }

    fn is_over(&self) -> bool {
        Tape::is_over(self)
    }
}
