//! What an exchange holds besides its state: the part that a [`Cx`](super::Cx) lends to a stage.

use std::time::Duration;

use http::StatusCode;
use tideway_engine::{Now, Rng, Timers};

use super::Slot;
use super::line::RequestLine;
use crate::{Request, Response};

/// How many stages keep their slot without an allocation.
pub(super) const INLINE_SLOTS: usize = 7;

/// Who writes `Date`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dated {
    Here,
    /// The driver offers to, where that is the plainest of heads.
    Offered,
    /// The driver has to.
    ByDriver,
}

/// What a [`Cx`] lends to a stage.
pub(super) struct Core {
    pub(super) line: RequestLine,
    pub(super) request: Option<Request>,
    pub(super) response: Option<Response>,
    pub(super) status: Option<StatusCode>,
    pub(super) bytes_out: u64,
    pub(super) timers: Timers<5>,
    pub(super) body_in_limit: Option<Duration>,
    pub(super) body_out_limit: Option<Duration>,
    pub(super) panicked: bool,
    pub(super) close: bool,
    pub(super) date: Dated,
    pub(super) cause: Option<String>,
    pub(super) rng: Option<Box<Rng>>,
    pub(super) slots: [Slot; INLINE_SLOTS],
    pub(super) more: Vec<Slot>,
    pub(super) last: Now,
}

impl Core {
    pub(super) fn slot(&mut self, stage: usize) -> &mut Slot {
        if stage < INLINE_SLOTS {
            return &mut self.slots[stage];
        }
        let index = stage - INLINE_SLOTS;
        if self.more.len() <= index {
            self.more.resize_with(index + 1, Slot::default);
        }
        &mut self.more[index]
    }
}
