//! A file in a directory of its own, time that the test sets, and short ways to ask.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tideway::jobs::{JobStore, StoreClock};
use tideway_conformance::jobs::TestClock;
use tideway_engine::jobs::call::{ClaimReq, Enqueued, Settled};
use tideway_engine::jobs::{NewJob, Record};
use tideway_sqlite::{Options, Sqlite};

#[path = "../job_stores/short.rs"]
mod short;

pub(crate) use short::*;

/// Waits on this thread, with no runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(out) => return out,
            Poll::Pending => std::thread::park(),
        }
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    time: TestClock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            time: TestClock::default(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("jobs.db")
    }

    pub(crate) fn clock(&self) -> StoreClock {
        self.time.store_clock()
    }

    pub(crate) fn wait(&self, millis: u64) {
        self.time.advance(ms(millis));
    }

    pub(crate) fn options(&self) -> Options {
        Options::default().clock(self.clock())
    }

    pub(crate) fn open(&self) -> Sqlite {
        Sqlite::open(self.path(), self.options()).unwrap()
    }

    /// A connection past the store, as a shell or a broken disk would have it.
    pub(crate) fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

pub(crate) fn enqueue(store: &Sqlite, jobs: &[NewJob]) -> Vec<Enqueued> {
    block_on(store.enqueue(jobs)).unwrap()
}

pub(crate) fn claim(store: &Sqlite, req: &ClaimReq) -> Vec<Record> {
    block_on(store.claim(req)).unwrap().jobs
}

pub(crate) fn settle(store: &Sqlite, job: &Record) -> Settled {
    block_on(store.settle(&[success(job)])).unwrap()[0]
}

pub(crate) fn record(store: &Sqlite, n: u128) -> Record {
    block_on(store.jobs(&[id(n)])).unwrap().remove(0).unwrap()
}

/// The file agrees with itself.
pub(crate) fn sound(store: &Sqlite) {
    let none: Vec<String> = Vec::new();
    assert_eq!(block_on(store.audit()).unwrap().flaws, none);
}

/// This test program again, running only the test `role`, which finds `World::path` in the variable
/// `JOBS_DB`.
pub(crate) fn child(
    program: &std::path::Path,
    role: &str,
    db: &std::path::Path,
) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command
        .args(["--exact", role, "--nocapture", "--test-threads=1"])
        .env("JOBS_DB", db)
        .env("JOBS_ROLE", role)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped());
    command
}

/// The file, if this process was started by [`child`] for `role`.
pub(crate) fn as_child(role: &str) -> Option<PathBuf> {
    let ours = std::env::var("JOBS_ROLE").is_ok_and(|is| is == role);
    ours.then(|| std::env::var_os("JOBS_DB").unwrap().into())
}
