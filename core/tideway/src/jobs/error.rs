//! `JobError`: why a job did not succeed, and what follows from it.

use std::fmt::{self, Write};
use std::time::Duration;

use super::End;
use crate::BoxError;

/// Why a job did not succeed: it failed and is tried again, or never again, or it put itself off.
///
/// Any error becomes one with `?`, and is tried again by the rule of the job.
///
/// ```
/// use std::time::Duration;
/// use tideway::jobs::{JobError, JobResult};
///
/// fn charge(status: u16) -> JobResult {
///     match status {
///         200 => Ok(()),
///         404 => Err(JobError::fatal("the account is gone")),
///         425 => Err(JobError::snooze(Duration::from_secs(60))),
///         429 => Err(JobError::retry_after(Duration::from_secs(9), "too many requests")),
///         _ => Err("the bank is closed".into()),
///     }
/// }
///
/// assert_eq!(charge(404).unwrap_err().to_string(), "fatal: the account is gone");
/// assert_eq!(charge(500).unwrap_err().to_string(), "the bank is closed");
/// ```
///
/// The record keeps the text of the whole chain of sources, cut to 1 KiB. It is no
/// [`Error`](std::error::Error) itself, since it is made of any.
pub struct JobError(Kind);

enum Kind {
    Failed {
        error: BoxError,
        after: Option<Duration>,
    },
    Fatal(BoxError),
    Snooze(Duration),
}

impl JobError {
    /// It failed, and is tried again by the rule of the job.
    pub fn retry(error: impl Into<BoxError>) -> Self {
        Self(Kind::Failed {
            error: error.into(),
            after: None,
        })
    }

    /// It failed, and is tried again after `delay`, if its rule leaves it another attempt.
    pub fn retry_after(delay: Duration, error: impl Into<BoxError>) -> Self {
        Self(Kind::Failed {
            error: error.into(),
            after: Some(delay),
        })
    }

    /// It failed, and no other attempt can help: it ends dead.
    pub fn fatal(error: impl Into<BoxError>) -> Self {
        Self(Kind::Fatal(error.into()))
    }

    /// It did not fail: it wants to run again after `delay`, and this attempt does not count. A delay under
    /// [`End::SHORTEST_SNOOZE`], zero included, counts as that, so that no job spins.
    #[must_use]
    pub fn snooze(delay: Duration) -> Self {
        Self(Kind::Snooze(delay))
    }

    pub(super) fn into_end(self) -> End {
        match self.0 {
            Kind::Failed { error, after } => End::Failed {
                text: chain(&*error),
                after,
            },
            Kind::Fatal(error) => End::Fatal {
                text: chain(&*error),
            },
            Kind::Snooze(delay) => End::Snoozed(delay),
        }
    }
}

impl<E: Into<BoxError>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Failed { error, .. } => f.write_str(&chain(&**error)),
            Kind::Fatal(error) => write!(f, "fatal: {}", chain(&**error)),
            Kind::Snooze(delay) => write!(f, "put off by {delay:?}"),
        }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobError({self})")
    }
}

/// The error and its sources; no source that the text before it quotes already.
fn chain(error: &dyn std::error::Error) -> String {
    /// A chain that leads back to itself must end somewhere.
    const LONGEST: usize = 32;
    let mut text = error.to_string();
    let sources = std::iter::successors(error.source(), |error| error.source());
    for source in sources.take(LONGEST) {
        let part = source.to_string();
        if !text.ends_with(&part) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {part}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Outer {
        text: &'static str,
        source: std::fmt::Error,
    }

    #[test]
    fn the_text_names_every_source_once() {
        let source = std::fmt::Error;
        let quoted = format!("cannot print: {source}").leak();
        for text in ["cannot print", quoted] {
            let end = JobError::from(Outer { text, source }).into_end();
            let wanted = End::Failed {
                text: quoted.to_owned(),
                after: None,
            };
            assert_eq!(end, wanted);
        }
    }
}
