//! Deadlines with names, for the app and per route.

use std::time::Duration;

use crate::pipeline::{Cx, Deadline, Flow, Phases, Stage};

/// The setting: how long a route, or the app, allows. `None` is no limit.
///
/// Before the response head is sent a passed deadline is answered: 503 (`handler`, `total`) or 408
/// (`body in`). After it the exchange is cut: HTTP/1 closes the connection, HTTP/2 resets the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutLimits {
    /// From the request head to the handler's response head. Default 30 s. Stands still while the
    /// handler waits for the request body and `body_in` runs: a long upload is no slow handler.
    pub handler: Option<Duration>,
    /// From the request head to the last byte of the response. Default none: streams may be endless.
    pub total: Option<Duration>,
    /// Without a byte of a request body that the handler waits for. Default 30 s. While `handler`
    /// stands still for it, all these waits together may take four times as long and a second more
    /// for every 1 000 bytes that came, so that a trickle holds no handler for ever.
    pub body_in: Option<Duration>,
    /// Without the peer taking a byte of the response body. Default 30 s.
    pub body_out: Option<Duration>,
}

impl Default for TimeoutLimits {
    fn default() -> Self {
        let half_a_minute = Some(Duration::from_secs(30));
        Self {
            handler: half_a_minute,
            total: None,
            body_in: half_a_minute,
            body_out: half_a_minute,
        }
    }
}

/// Arms the deadlines of [`TimeoutLimits`], the route's, else the app's, else this stage's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts(pub TimeoutLimits);

impl Stage for Timeouts {
    fn name(&self) -> &'static str {
        "timeout"
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        let limits = cx.setting::<TimeoutLimits>().copied().unwrap_or(self.0);
        let start = cx.received().mono;
        if let Some(limit) = limits.handler {
            cx.set_deadline(Deadline::Handler, Some(start.plus(limit)));
        }
        if let Some(limit) = limits.total {
            cx.set_deadline(Deadline::Total, Some(start.plus(limit)));
        }
        cx.set_idle_limits(limits.body_in, limits.body_out);
        Flow::Next
    }
}
