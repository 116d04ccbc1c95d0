//! One kind of store call: at most one in flight, repeated as it is until the store answers.

use std::sync::Arc;
use std::time::Duration;

use crate::rng::Rng;
use crate::time::Mono;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// The state of one kind of call. Every call is idempotent, so a failed one is simply sent again, the same
/// to the byte: a claim keeps its number.
#[derive(Debug)]
pub(super) struct Line<R> {
    request: Option<Arc<R>>,
    /// When the request was sent first.
    since: Mono,
    failures: u32,
    /// When to send it again; `None` while it is in flight.
    again: Option<Mono>,
}

impl<R> Line<R> {
    pub(super) const fn new() -> Self {
        Self {
            request: None,
            since: Mono::START,
            failures: 0,
            again: None,
        }
    }

    pub(super) const fn idle(&self) -> bool {
        self.request.is_none()
    }

    /// Takes a request to send now; the caller sends what it returns.
    pub(super) fn send(&mut self, now: Mono, request: R) -> Arc<R> {
        let request = Arc::new(request);
        self.request = Some(request.clone());
        self.since = now;
        self.again = None;
        request
    }

    /// The request, if it is time to send it again.
    pub(super) fn resend(&mut self, now: Mono) -> Option<Arc<R>> {
        if self.again? > now {
            return None;
        }
        self.again = None;
        self.request.clone()
    }

    /// What is asked, until [`done`](Self::done).
    pub(super) fn asked(&self) -> Option<&R> {
        self.request.as_deref()
    }

    /// The store answered: the request, and when it was sent first.
    pub(super) fn done(&mut self) -> Option<(Arc<R>, Mono)> {
        self.failures = 0;
        self.again = None;
        Some((self.request.take()?, self.since))
    }

    /// The store did not answer. Returns the wait, or `None` if nothing was in flight.
    pub(super) fn failed(&mut self, now: Mono, rng: &mut Rng) -> Option<Duration> {
        self.request.as_ref()?;
        let longest = FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Half of it random: a fleet that lost its store does not come back at once.
        let half = longest.as_millis() as u64 / 2;
        let wait = Duration::from_millis(half + rng.below(half + 1));
        self.again = Some(now.plus(wait));
        Some(wait)
    }

    /// Little time is left: a repeat that waits goes now, the next ones soon.
    pub(super) fn hurry(&mut self, now: Mono) {
        self.failures = 0;
        self.again = self.again.map(|at| at.min(now));
    }

    pub(super) const fn deadline(&self) -> Option<Mono> {
        self.again
    }

    /// How often in a row the store did not answer.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}
