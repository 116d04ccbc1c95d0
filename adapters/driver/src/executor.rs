//! HTTP/2 streams as tasks, each with its own deadline around it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use pin_project_lite::pin_project;
use tideway::Mono;

use crate::pulse::Pulse;
use crate::{Runtime, Sleep};

/// Where a service call leaves the pulse of the stream that hyper spawns right after, on the same thread: on another one
/// hyper may be spawning what writes for a stream that became a socket.
#[derive(Clone, Default)]
pub(crate) struct Next(Arc<Mutex<Option<Left>>>);

type Left = (ThreadId, Arc<Pulse>);

impl Next {
    pub(crate) fn leave(&self, pulse: Arc<Pulse>) {
        let left = (thread::current().id(), pulse);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
    }

    fn take(&self) -> Option<Arc<Pulse>> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = left.take_if(|(thread, _)| *thread == thread::current().id());
        here.map(|(_, pulse)| pulse)
    }
}

/// hyper's executor: spawns every stream with the pulse its service call left.
pub(crate) struct Streams<R> {
    rt: R,
    connection: Arc<Pulse>,
    next: Next,
}

impl<R: Clone> Clone for Streams<R> {
    fn clone(&self) -> Self {
        Self::new(self.rt.clone(), self.connection.clone(), self.next.clone())
    }
}

impl<R> Streams<R> {
    pub(crate) fn new(rt: R, connection: Arc<Pulse>, next: Next) -> Self {
        Self {
            rt,
            connection,
            next,
        }
    }
}

impl<R, F> hyper::rt::Executor<F> for Streams<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        match self.next.take() {
            Some(pulse) => self.rt.spawn(StreamTask {
                stream: Some(stream),
                sleep: None,
                armed: None,
                rt: self.rt.clone(),
                pulse,
                _ended: EndStream(self.connection.clone()),
            }),
            None => self.rt.spawn(stream),
        }
    }
}

/// Counts the stream as ended, whatever became of it.
pub(crate) struct EndStream(pub(crate) Arc<Pulse>);

impl Drop for EndStream {
    fn drop(&mut self) {
        self.0.end_stream();
    }
}

pin_project! {
    /// A stream's task. A deadline that the stream itself does not see, because its body waits for the
    /// peer's window, drops it, and hyper resets the stream.
    struct StreamTask<R, F>
    where
        R: Runtime,
    {
        #[pin]
        stream: Option<F>,
        // Made only for a stream that is still there after its first poll.
        #[pin]
        sleep: Option<R::Sleep>,
        armed: Option<Mono>,
        rt: R,
        pulse: Arc<Pulse>,
        _ended: EndStream,
    }
}

impl<R, F> Future for StreamTask<R, F>
where
    R: Runtime,
    F: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let now = this.rt.now();
            this.pulse.set_now(now);
            let Some(stream) = this.stream.as_mut().as_pin_mut() else {
                return Poll::Ready(());
            };
            if stream.poll(cx).is_ready() {
                this.stream.set(None);
                return Poll::Ready(());
            }
            let Some(at) = this.pulse.deadline() else {
                return Poll::Pending;
            };
            if at <= now.mono {
                this.stream.set(None);
                return Poll::Ready(());
            }
            match this.sleep.as_mut().as_pin_mut() {
                None => this.sleep.set(Some(this.rt.sleep_until(at))),
                Some(sleep) if this.armed.is_none_or(|armed| at < armed) => sleep.reset(at),
                Some(_) => {}
            }
            if this.armed.is_none_or(|armed| at < armed) {
                *this.armed = Some(at);
            }
            match this.sleep.as_mut().as_pin_mut().map(|sleep| sleep.poll(cx)) {
                Some(Poll::Ready(())) => *this.armed = None,
                _ => return Poll::Pending,
            }
        }
    }
}
