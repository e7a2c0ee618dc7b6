use std::time::Duration;

use http::StatusCode;

/// What goes wrong, as the test wants.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) lost: u32,
    pub(super) failing: Option<(u32, StatusCode)>,
    pub(super) refresh_delay: Duration,
    pub(super) request_delay: Duration,
    pub(super) refuses_late: bool,
}

impl Faults {
    /// The status with which the present refresh fails.
    pub(super) fn fail(&mut self) -> Option<StatusCode> {
        let (left, status) = self.failing.as_mut()?;
        *left = left.checked_sub(1)?;
        Some(*status)
    }

    /// True if the answer to the present refresh is lost.
    pub(super) fn lose(&mut self) -> bool {
        let is_lost = self.lost > 0;
        self.lost = self.lost.saturating_sub(1);
        is_lost
    }
}
