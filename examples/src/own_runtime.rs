//! A runtime of our own for Tideway: one thread, one epoll, no async library.
//!
//! It shows what an adapter is: the three traits of `tideway_driver`, and nothing of HTTP. It passes the
//! adapter suite (`tests/own_runtime_passes_the_suite.rs`). It is an example: a server that wants all its
//! cores takes tokio or smol.
//!
//! Tasks, timers and readiness are three tables of one [`Own`]; [`block_on`] turns it: run what is
//! woken, then wait for the sooner of the next event and the next timer.

mod executor;
mod socket;
mod timer;

use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use tideway::{Mono, Now, Seed};
use tideway_driver::{Bound, Runtime, clock};

pub use executor::{Own, block_on};
pub use socket::{Listening, Socket};
pub use timer::Timer;

/// A panic while a table is locked tears none: each is changed by one call.
fn locked<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime for Own {
    type Stream = Socket;
    type Listener = Listening;
    type Sleep = Timer;

    fn now(&self) -> Now {
        clock::now()
    }

    fn seed(&self) -> Seed {
        let mut seed = Seed([0; 32]);
        getrandom::fill(&mut seed.0).expect("the operating system has entropy");
        seed
    }

    fn sleep_until(&self, at: Mono) -> Timer {
        Timer::new(self.clone(), at)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.start(Box::pin(task));
    }

    /// On a thread of its own, for the length of `work`.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let slot = Arc::new(Mutex::new((None, None::<Waker>)));
        let theirs = slot.clone();
        thread::spawn(move || {
            let value = catch_unwind(AssertUnwindSafe(work));
            let waker = {
                let mut slot = locked(&theirs);
                slot.0 = Some(value);
                slot.1.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        let value = poll_fn(|cx| {
            let mut slot = locked(&slot);
            slot.1 = Some(cx.waker().clone());
            slot.0.take().map_or(Poll::Pending, Poll::Ready)
        });
        value.await.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn listen(&self, on: Bound) -> io::Result<Listening> {
        Listening::new(self, on)
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<Socket> {
        let host = host.to_owned();
        let stream = self.blocking(move || TcpStream::connect((host, port)));
        let stream = stream.await?;
        stream.set_nonblocking(true)?;
        Socket::new(self, stream.into())
    }
}
