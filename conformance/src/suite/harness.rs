//! The runtime under test: how the suite starts servers on it, and how a case is run and reported.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use tideway::BoxFuture;
use tideway_driver::Runtime;

use super::claim::{LIMIT, fail};
use super::results::{self, Verdict};
use super::site::SiteBuilder;

/// A runtime under test. [`adapter_suite!`](crate::adapter_suite) makes it.
pub struct Harness<R> {
    name: &'static str,
    results: Option<&'static str>,
    runtime: Arc<dyn Fn() -> R + Send + Sync>,
    block_on: Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl<R> Clone for Harness<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            block_on: self.block_on.clone(),
            notes: self.notes.clone(),
            ..*self
        }
    }
}

/// Cases run beside each other, but for those that measure the process: they run alone.
static TURN: RwLock<()> = RwLock::new(());

impl<R: Runtime> Harness<R> {
    /// A harness around `runtime`, which is called inside of what `block_on` runs. Each server gets
    /// a thread and a call of `block_on` of its own. `results` is Cargo's directory for test files.
    pub fn new(
        name: &'static str,
        results: Option<&'static str>,
        runtime: impl Fn() -> R + Send + Sync + 'static,
        block_on: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            results,
            runtime: Arc::new(runtime),
            block_on: Arc::new(block_on),
            notes: Arc::default(),
        }
    }

    /// Runs one case, `alone` or beside others, and writes its result down.
    ///
    /// # Panics
    ///
    /// As the case does.
    pub fn case(&self, name: &'static str, alone: bool, case: impl FnOnce(&Self)) {
        let (_shared, _alone) = if alone {
            (
                None,
                Some(TURN.write().unwrap_or_else(PoisonError::into_inner)),
            )
        } else {
            (
                Some(TURN.read().unwrap_or_else(PoisonError::into_inner)),
                None,
            )
        };
        let write = |verdict| {
            let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            results::write(self.results, self.name, name, verdict, &notes.join("; "));
        };
        write(Verdict::Died);
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| case(self)));
        let took = begun.elapsed();
        write(match &outcome {
            Ok(()) => Verdict::Kept(took),
            Err(_) => Verdict::Broken(took),
        });
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }

    /// Says something that belongs into the table of results, such as what was measured.
    pub fn note(&self, note: String) {
        println!("{}: {note}", self.name);
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(note);
    }

    /// A server yet to be started.
    #[must_use]
    pub fn site(&self) -> SiteBuilder<R> {
        SiteBuilder::new(self.clone())
    }

    /// Runs `task` on the runtime, in a thread of its own, to its value.
    ///
    /// # Panics
    ///
    /// If `task` does, or if it takes longer than [`LIMIT`].
    #[track_caller]
    pub fn on_runtime<F, T>(&self, task: impl FnOnce(R) -> F + Send + 'static) -> T
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let (tell, told) = mpsc::channel();
        let thread = self.spawn(move |rt| async move {
            let _ = tell.send(task(rt).await);
        });
        match told.recv_timeout(LIMIT) {
            Ok(value) => {
                returns(&thread);
                value
            }
            Err(RecvTimeoutError::Timeout) => fail(
                format!("the task ends within {LIMIT:?}"),
                "it is still running",
                "a wake-up was lost, or a timer never fires",
            ),
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => fail(
                    "`block_on` runs the task to its end",
                    "it returned before",
                    "the suite cannot test a runtime that drops its main task",
                ),
            },
        }
    }

    /// Runs `task` in a thread of its own, which ends when `block_on` returns.
    pub(super) fn spawn<F>(
        &self,
        task: impl FnOnce(R) -> F + Send + 'static,
    ) -> thread::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (runtime, block_on) = (self.runtime.clone(), self.block_on.clone());
        let run = move || {
            block_on(Box::pin(async move {
                let rt = runtime();
                task(rt).await;
            }));
        };
        let named = thread::Builder::new().name(format!("{} under test", self.name));
        named.spawn(run).expect("a thread can be started")
    }
}

/// Waits for `block_on` to return: a runtime that hangs after its main task never stops a program.
#[track_caller]
fn returns(thread: &thread::JoinHandle<()>) {
    let begun = Instant::now();
    while !thread.is_finished() {
        if begun.elapsed() > LIMIT {
            fail(
                format!("`block_on` returns within {LIMIT:?} of its task's end"),
                "it still runs",
                "a program on this runtime would never end",
            );
        }
        thread::sleep(std::time::Duration::from_millis(1));
    }
}
