//! `Job`: a kind of background job as a type. Never an object: its value is the payload.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tideway_engine::jobs::Keep;
use tideway_engine::jobs::retry::Retry;

use super::{JobCx, JobError, UniqueBy};
use crate::context::Needs;

/// What a job's `run` returns: that it succeeded, or why not.
pub type JobResult<T = ()> = Result<T, JobError>;

/// A kind of background job. The value is the payload, stored as JSON; the constants and functions
/// say how it is run.
///
/// ```
/// use std::time::Duration;
/// use serde::{Deserialize, Serialize};
/// use tideway::Needs;
/// use tideway::jobs::{Job, JobCx, JobError, JobResult, UniqueBy, Retry};
///
/// struct Mailer;
/// # impl Mailer { async fn send(&self, _: &str, _: &str) -> Result<u64, std::io::Error> { Ok(7) } }
///
/// #[derive(Serialize, Deserialize)]
/// struct Welcome {
///     to: String,
/// }
///
/// impl Job for Welcome {
///     const NAME: &'static str = "welcome";
///     const QUEUE: &'static str = "mail";
///     const TIMEOUT: Option<Duration> = Some(Duration::from_secs(30));
///
///     fn retry() -> Retry {
///         Retry::exp(Duration::from_secs(1), 2).full_jitter().attempts(8)
///     }
///
///     fn unique(&self) -> Option<UniqueBy> {
///         Some(UniqueBy::key(&self.to))
///     }
///
///     fn needs(needs: &mut Needs) {
///         needs.service::<Mailer>();
///     }
///
///     async fn run(self, cx: JobCx) -> JobResult {
///         let mailer = cx.service::<Mailer>().ok_or("no mailer")?;
///         if !self.to.contains('@') {
///             return Err(JobError::fatal(format!("`{}` is no address", self.to)));
///         }
///         // The key tells the mail service a repeat of this attempt from a new one.
///         let receipt = mailer.send(&self.to, &cx.fence()).await?;
///         cx.set_result(&receipt)?;
///         Ok(())
///     }
/// }
///
/// use tideway::testing::jobs::TestJob;
/// let run = TestJob::new(Welcome { to: "ann@example.org".into() }).provide(Mailer).run();
/// assert_eq!(run.result::<u64>(), 7);
/// ```
///
/// It runs at least once, and may run again: after a failure, or when its worker died. What must not
/// happen twice is guarded with [`JobCx::fence`].
///
/// An app that runs it names it with [`App::job`](crate::App::job); what is wrong with the constants and
/// functions is found there, when the app is built. An app that only enqueues it need not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no job",
    label = "not a `Job`",
    note = "implement `tideway::jobs::Job` for `{Self}`: a `NAME` and an `async fn run(self, cx: JobCx) -> JobResult`"
)]
pub trait Job: Payload + Send + Sized + 'static {
    /// What stores and people know the kind by; never reused for another kind.
    const NAME: &'static str;

    /// The queue it waits in.
    const QUEUE: &'static str = "default";

    /// Its priority within the queue, 0 first, at most 7.
    const BAND: u8 = 0;

    /// How often it may be the only suspect when its process dies, before it ends dead.
    const STRIKES: u8 = 3;

    /// How long one attempt may take; `None`, the default, for no limit. Then it is asked to stop, see
    /// [`JobCx::cancelled`], and the attempt has failed.
    const TIMEOUT: Option<Duration> = None;

    /// Not started later than this after it was enqueued; `None`, the default, for never too late.
    const EXPIRY: Option<Duration> = None;

    /// When it runs again after a failure, and how often.
    #[must_use]
    fn retry() -> Retry {
        Retry::default()
    }

    /// How long its record is kept after its end.
    #[must_use]
    fn keep() -> Keep {
        Keep::default()
    }

    /// The key of which there shall be one job at a time; `None`, the default, for as many as are enqueued.
    fn unique(&self) -> Option<UniqueBy> {
        None
    }

    /// Whose share of the queue it counts against: a tenant, an account. Limits apply to it.
    fn group(&self) -> Option<String> {
        None
    }

    /// Declares services that must have been provided, so that a missing one is found at start.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// Does the work. A panic is a failed attempt. A value to keep is given to [`JobCx::set_result`].
    fn run(self, cx: JobCx) -> impl Future<Output = JobResult> + Send;
}

/// What a store can keep of a job: anything that becomes JSON and comes back. You never implement it; derive
/// serde's two traits.
// A trait of its own: for two bounds on `Job` the compiler advises to seal the trait.
pub trait Payload: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Payload for T {}
