//! What an exchange holds besides its state: the part that a [`Cx`](super::Cx) lends to a stage.

use std::time::Duration;

use http::StatusCode;
use tideway_engine::{Mono, Now, Rng, Timers};

use super::line::RequestLine;
use super::{Deadline, Slot};
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

const HANDLER: usize = Deadline::Handler as usize;
const BODY_IN: usize = Deadline::BodyIn as usize;

/// A handler waits for its body as long as so many silences of *body in*, and a millisecond more for
/// each byte that came: a trickle never holds it for ever.
const SILENCES: u32 = 4;

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
    pub(super) upload: Upload,
    pub(super) panicked: bool,
    pub(super) close: bool,
    pub(super) date: Dated,
    pub(super) cause: Option<String>,
    pub(super) rng: Option<Box<Rng>>,
    pub(super) slots: [Slot; INLINE_SLOTS],
    pub(super) more: Vec<Slot>,
    pub(super) last: Now,
}

/// How the deadline of a handler stands still while it waits for the request body.
#[derive(Default)]
pub(super) struct Upload {
    /// Since when it does, and what it was.
    standing: Option<(Mono, Mono)>,
    /// How long it has before.
    waited: Duration,
    /// The bytes that came.
    bytes: u64,
}

impl Core {
    /// The request body is waited for: *body in* runs. In its place the deadline of a handler that waits
    /// (`handling`) stands still, as long as the client is not too slow on the whole. Where *body in*
    /// has no limit the handler's runs on, or nothing would.
    pub(super) fn await_body(&mut self, now: Mono, handling: bool) {
        let Some(mut limit) = self.body_in_limit else {
            return;
        };
        // One that is due already is late by itself, and will say so.
        if let Some(at) = self.timers.get(HANDLER).filter(|at| handling && *at > now) {
            self.timers.clear(HANDLER);
            let upload = &mut self.upload;
            upload.standing = Some((now, at));
            let bought = Duration::from_millis(upload.bytes);
            let most = limit.saturating_mul(SILENCES).saturating_add(bought);
            limit = limit.min(most.saturating_sub(upload.waited));
        }
        if self.timers.get(BODY_IN).is_none() {
            self.timers.set(BODY_IN, now.plus(limit));
        }
    }

    /// It is waited for no longer: `bytes` came, or its end.
    #[inline]
    pub(super) fn body_came(&mut self, now: Mono, bytes: usize) {
        self.timers.clear(BODY_IN);
        let upload = &mut self.upload;
        if let Some((since, at)) = upload.standing.take() {
            let waited = now.since(since);
            self.timers.set(HANDLER, at.plus(waited));
            upload.waited += waited;
        }
        upload.bytes += bytes as u64;
    }

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
