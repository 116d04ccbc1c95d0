//! A tokio timer on the driver's clock. It fires up to a millisecond late, never early.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tideway::Mono;
use tideway_driver::{Sleep, clock};

pin_project! {
    /// A timer that can be moved.
    #[derive(Debug)]
    pub struct TokioSleep {
        #[pin]
        inner: tokio::time::Sleep,
    }
}

impl TokioSleep {
    /// Must be called in the context of a runtime.
    pub(crate) fn new(at: Mono) -> Self {
        let inner = tokio::time::sleep_until(clock::instant(at).into());
        Self { inner }
    }
}

impl Future for TokioSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().inner.poll(cx)
    }
}

impl Sleep for TokioSleep {
    fn reset(self: Pin<&mut Self>, at: Mono) {
        self.project().inner.reset(clock::instant(at).into());
    }
}
