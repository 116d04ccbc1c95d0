//! An async-io timer on the driver's clock. Never early.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Timer;
use tideway::Mono;
use tideway_driver::{Sleep, clock};

/// A timer that can be moved.
#[derive(Debug)]
pub struct AsyncSleep {
    timer: Timer,
    /// async-io's own timer is pending for ever once it has fired; this one stays ready.
    fired: bool,
}

impl AsyncSleep {
    pub(crate) fn new(at: Mono) -> Self {
        Self {
            timer: Timer::at(clock::instant(at)),
            fired: false,
        }
    }
}

impl Future for AsyncSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.fired {
            ready!(Pin::new(&mut self.timer).poll(cx));
            self.fired = true;
        }
        Poll::Ready(())
    }
}

impl Sleep for AsyncSleep {
    fn reset(mut self: Pin<&mut Self>, at: Mono) {
        self.timer.set_at(clock::instant(at));
        self.fired = false;
    }
}
