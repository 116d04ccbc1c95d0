//! Judges a case of a backend's suite in a thread of its own, and writes down what came of it.

use std::any::Any;
use std::borrow::Cow;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::suite::results::{self, Verdict};

/// Tells slow from never.
const LIMIT: Duration = Duration::from_secs(60);

/// What came of a case that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It holds.
    Kept,
    /// It was not asked, for this reason.
    Skipped(Cow<'static, str>),
}

/// A case that needs nothing of its harness.
impl From<()> for Came {
    fn from((): ()) -> Self {
        Came::Kept
    }
}

/// What a case came to, or what it panicked with.
pub type Judged = Result<Came, Box<dyn Any + Send>>;

/// Runs the case called `name`: `work` blocks on it and sends what came of it. `held_up` is who would wait for ever if it
/// never ended.
///
/// # Errors
///
/// The panic of the case, or of a limit in time.
pub(crate) fn judge(
    name: &str,
    held_up: &str,
    work: impl FnOnce(Sender<Came>) + Send + 'static,
) -> Judged {
    let (tell, told) = mpsc::channel();
    let named = thread::Builder::new().name(name.to_owned());
    let thread = named.spawn(move || work(tell));
    let thread = thread.map_err(|error| Box::new(error.to_string()) as Box<dyn Any + Send>)?;
    match told.recv_timeout(LIMIT) {
        // Joined, so that the backend is closed before the next one opens.
        Ok(came) => thread.join().map(|()| came),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => Err(panic),
            Ok(()) => Err(Box::new("`block_on` returned before its task ended")),
        },
        Err(RecvTimeoutError::Timeout) => Err(Box::new(format!(
            "\n  expected: the case ends within {LIMIT:?}\n    actual: it still runs\n       \
             why: a call that never answers holds up its {held_up} for ever\n"
        ))),
    }
}

/// Has the case called `name` judged, and writes the result down for `suite`.
///
/// # Panics
///
/// As the case does.
pub(crate) fn record(
    results: Option<&'static str>,
    suite: &str,
    name: &str,
    judged: impl FnOnce() -> Judged,
) {
    let write = |verdict, note: &str| results::write(results, suite, name, verdict, note);
    write(Verdict::Died, "");
    let begun = Instant::now();
    match judged() {
        Ok(Came::Kept) => write(Verdict::Kept(begun.elapsed()), ""),
        Ok(Came::Skipped(why)) => {
            println!("SKIPPED {name}: {why}");
            write(Verdict::Skipped, &why);
        }
        Err(panic) => {
            write(Verdict::Broken(begun.elapsed()), "");
            resume_unwind(panic);
        }
    }
}
