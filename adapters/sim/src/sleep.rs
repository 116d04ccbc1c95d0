//! A timer on the virtual clock: it fires at its very nanosecond.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tideway::Mono;
use tideway_driver::Sleep;

use crate::world::World;

/// A timer that can be moved.
pub struct SimSleep {
    world: Arc<World>,
    at: u64,
    /// Its place among the events, once it has been polled.
    set: Option<(u64, u64)>,
}

impl SimSleep {
    pub(crate) fn new(world: Arc<World>, at: Mono) -> Self {
        let at = at.as_nanos();
        let set = None;
        Self { world, at, set }
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.world.with(|state| {
            // Set anew at each poll: the waker may be another one.
            let old = this.set.take().and_then(|key| state.unset_timer(key));
            state.trash.extend(old);
            if this.at <= state.now().mono.as_nanos() {
                return Poll::Ready(());
            }
            this.set = Some(state.set_timer(this.at, cx.waker().clone()));
            Poll::Pending
        })
    }
}

impl Sleep for SimSleep {
    fn reset(mut self: Pin<&mut Self>, at: Mono) {
        let this = &mut *self;
        this.at = at.as_nanos();
        this.world.with(|state| {
            let waker = this.set.take().and_then(|key| state.unset_timer(key));
            this.set = waker.map(|waker| state.set_timer(this.at, waker));
        });
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(key) = self.set {
            self.world.with(|state| {
                let waker = state.unset_timer(key);
                state.trash.extend(waker);
            });
        }
    }
}

impl std::fmt::Debug for SimSleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimSleep({:?})", Mono::from_nanos(self.at))
    }
}
