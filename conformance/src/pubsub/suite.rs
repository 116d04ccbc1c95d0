//! Runs a case on a broker and writes down what came of it.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tideway::BoxFuture;

use super::harness::Erased;
use super::{CASES, Cx, Harness};
use crate::suite::results::{self, Verdict};

/// Tells slow from never.
const LIMIT: Duration = Duration::from_secs(60);

/// One guarantee.
pub struct Case {
    /// The chapter it belongs to.
    pub chapter: &'static str,
    /// The sentence, with underscores.
    pub name: &'static str,
    #[doc(hidden)]
    pub run: for<'a> fn(&'a Cx) -> BoxFuture<'a, Came>,
}

/// What came of a case that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It holds.
    Kept,
    /// It was not asked, for this reason.
    Skipped(&'static str),
}

/// A case that needs nothing of its harness.
impl From<()> for Came {
    fn from((): ()) -> Self {
        Came::Kept
    }
}

/// A broker under test; [`pubsub_suite!`](crate::pubsub_suite) makes one for each case.
pub struct Suite {
    name: &'static str,
    results: Option<&'static str>,
    harness: Arc<dyn Erased>,
}

impl Suite {
    /// The suite over `harness`. `results` is Cargo's directory for test files.
    pub fn new(name: &'static str, results: Option<&'static str>, harness: impl Harness) -> Self {
        Self {
            name,
            results,
            harness: Arc::new(harness),
        }
    }

    /// Runs the case of this name and writes down its result.
    ///
    /// # Panics
    ///
    /// As the case does, or if there is none of this name.
    pub fn case(self, name: &str) {
        let Some(case) = CASES.iter().find(|case| case.name == name) else {
            panic!("no case is called {name:?}");
        };
        let (results, suite) = (self.results, format!("pubsub/{}", self.name));
        let write = |verdict, note: &str| results::write(results, &suite, name, verdict, note);
        write(Verdict::Died, "");
        let begun = Instant::now();
        match self.judge(case) {
            Ok(Came::Kept) => write(Verdict::Kept(begun.elapsed()), ""),
            Ok(Came::Skipped(why)) => {
                println!("SKIPPED {name}: {why}");
                write(Verdict::Skipped, why);
            }
            Err(panic) => {
                write(Verdict::Broken(begun.elapsed()), "");
                resume_unwind(panic);
            }
        }
    }

    /// Runs `case`; an error is what it panicked with.
    ///
    /// # Errors
    ///
    /// The panic of the case, or of a limit in time.
    pub fn judge(self, case: &'static Case) -> Result<Came, Box<dyn Any + Send>> {
        let (tell, told) = mpsc::channel();
        let named = thread::Builder::new().name(case.name.to_owned());
        let thread = named.spawn(move || {
            let cx = Cx::new(self.harness.clone());
            self.harness.block_on(Box::pin(async {
                let came = (case.run)(&cx).await;
                let _ = tell.send(came);
            }));
        });
        let thread = thread.map_err(|error| Box::new(error.to_string()) as Box<dyn Any + Send>)?;
        match told.recv_timeout(LIMIT) {
            Ok(came) => thread.join().map(|()| came),
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => Err(panic),
                Ok(()) => Err(Box::new("`block_on` returned before its task ended")),
            },
            Err(RecvTimeoutError::Timeout) => Err(Box::new(format!(
                "\n  expected: the case ends within {LIMIT:?}\n    actual: it still runs\n       \
                 why: a call that never answers holds up its caller for ever\n"
            ))),
        }
    }
}
