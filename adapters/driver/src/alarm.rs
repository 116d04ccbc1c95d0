//! When the one timer of a task fires. It is moved only to an earlier time: a deadline that moves on costs nothing, and
//! the timer is set anew once it fires.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tideway::Mono;

use crate::Sleep;

/// Timers may fire a hair before the clock agrees; within this they are asked.
const SLACK: Duration = Duration::from_millis(2);

/// What a task knows of its timer.
pub(crate) struct Alarm {
    /// When it fires; `None` once it has.
    at: Option<Mono>,
    /// Whether it knows the task's waker.
    known: bool,
}

impl Alarm {
    /// Of a timer that fires at `first` and was not polled.
    pub(crate) fn new(first: Mono) -> Self {
        Self {
            at: Some(first),
            known: false,
        }
    }

    /// The task has another waker.
    pub(crate) fn forget_waker(&mut self) {
        self.known = false;
    }

    /// Sees to it that the task is woken at `next` at the latest. Ready: the timer has fired, look again.
    pub(crate) fn poll<S: Sleep>(
        &mut self,
        next: Option<Mono>,
        now: Mono,
        mut sleep: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if let Some(next) = next
            && self.at.is_none_or(|at| next < at)
        {
            sleep.as_mut().reset(next);
            *self = Self::new(next);
        }
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        if self.known && now.plus(SLACK) < at {
            return Poll::Pending;
        }
        self.known = true;
        sleep.poll(cx).map(|()| self.at = None)
    }
}
