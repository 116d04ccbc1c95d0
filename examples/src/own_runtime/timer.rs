//! A timer: an entry in the runtime's table while somebody waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tideway::Mono;
use tideway_driver::{Sleep, clock};

use super::Own;

/// Completes at its instant, never before.
pub struct Timer {
    rt: Own,
    at: Mono,
    id: u64,
}

impl Timer {
    pub(super) fn new(rt: Own, at: Mono) -> Self {
        let id = rt.id();
        Self { rt, at, id }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= clock::now().mono {
            return Poll::Ready(());
        }
        self.rt.set_timer((self.at, self.id), cx.waker().clone());
        Poll::Pending
    }
}

impl Sleep for Timer {
    /// The next poll sets it anew.
    fn reset(mut self: Pin<&mut Self>, at: Mono) {
        self.rt.unset_timer((self.at, self.id));
        self.at = at;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.rt.unset_timer((self.at, self.id));
    }
}
