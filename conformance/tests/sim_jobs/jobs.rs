//! The jobs of a world: kinds whose values say what their handlers do.

use std::future::pending;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tideway::Needs;
use tideway::jobs::retry::Retry;
use tideway::jobs::{Job, JobCx, JobError, JobResult, Keep};

use crate::node::block_thread;
use crate::watch::Desk;

/// The kind of which there is one job, and which nobody survives.
pub(crate) const POISON: &str = "poison";

/// What a handler does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Act {
    Return,
    Sleep(u64),
    /// Goes on where it was, with a checkpoint at every step.
    Steps(u64, u64),
    /// Fails so many times.
    Fail(u32),
    /// Asks for a retry at a time of its own.
    RetryAfter(u64),
    Fatal,
    /// Puts itself off so many times.
    Snooze(u32),
    Panic,
    /// Hears no wish that it stop.
    Hang,
    /// Returns when it is asked to stop.
    Obey,
    /// Blocks its thread.
    Block(u64),
    /// Takes down its process.
    Kill,
    /// Brings another job.
    Then,
}

/// `Work<0>` is plain, `Work<1>` has a timeout, `Work<2>` an expiry and a short retention.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Work<const KIND: usize>(pub(crate) Act, pub(crate) u64);

/// The queues there are.
pub(crate) const QUEUES: [&str; 3] = ["a", "b", "cron"];

impl<const KIND: usize> Job for Work<KIND> {
    const NAME: &'static str = ["plain", "timed", "brief"][KIND];
    const QUEUE: &'static str = QUEUES[KIND % 2];
    const TIMEOUT: Option<Duration> = [None, Some(Duration::from_secs(2)), None][KIND];
    const EXPIRY: Option<Duration> = [None, None, Some(Duration::from_secs(20))][KIND];

    fn retry() -> Retry {
        let retry = Retry::exp(Duration::from_millis(100), 3).full_jitter();
        retry.cap(Duration::from_secs(4)).attempts(3 + KIND as u32)
    }

    fn keep() -> Keep {
        match KIND {
            2 => Keep {
                succeeded: Keep::LEAST,
                failed: Keep::LEAST,
            },
            _ => Keep::default(),
        }
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Arc<Desk>>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        act(self.0, &cx).await
    }
}

/// Takes down its process each time it runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Poison;

impl Job for Poison {
    const NAME: &'static str = POISON;
    const QUEUE: &'static str = QUEUES[0];

    async fn run(self, cx: JobCx) -> JobResult {
        act(Act::Kill, &cx).await
    }
}

/// By the clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tick(pub(crate) u64);

impl Job for Tick {
    const NAME: &'static str = "tick";
    const QUEUE: &'static str = QUEUES[2];

    fn retry() -> Retry {
        Retry::fixed(Duration::from_millis(500)).attempts(3)
    }

    async fn run(self, cx: JobCx) -> JobResult {
        act(Act::Sleep(self.0), &cx).await
    }
}

async fn act(act: Act, cx: &JobCx) -> JobResult {
    let desk = cx.service::<Arc<Desk>>().ok_or("nobody watches")?;
    let _here = desk.start(cx);
    let sleep = |millis| cx.clock().sleep(Duration::from_millis(millis));
    match act {
        Act::Return => {}
        Act::Sleep(millis) => sleep(millis).await,
        Act::Steps(steps, millis) => {
            for step in cx.progress_json().unwrap_or(0)..steps {
                sleep(millis).await;
                cx.checkpoint_json(&(step + 1))?;
            }
            cx.set_result(&steps)?;
        }
        Act::Fail(times) if cx.failures() < times => return Err("not yet".into()),
        Act::RetryAfter(millis) if cx.failures() == 0 => {
            let delay = Duration::from_millis(millis);
            return Err(JobError::retry_after(delay, "in a moment"));
        }
        Act::Fatal => return Err(JobError::fatal("never")),
        // Its token counts its starts.
        Act::Snooze(times) if cx.token() <= u64::from(times) => {
            return Err(JobError::snooze(Duration::from_millis(300)));
        }
        Act::Fail(_) | Act::RetryAfter(_) | Act::Snooze(_) => {}
        // Without the hook, which would print it.
        Act::Panic => std::panic::resume_unwind(Box::new("as the test wants it")),
        Act::Hang => pending().await,
        Act::Obey => {
            cx.cancelled().await;
            return Err("asked to stop".into());
        }
        Act::Block(millis) => {
            sleep(50).await;
            block_thread(Duration::from_millis(millis));
            yield_now().await;
        }
        Act::Kill => {
            sleep(20).await;
            desk.kill();
            pending::<()>().await;
        }
        Act::Then => {
            for _ in 0..2 {
                cx.then(cx.jobs().enqueue(Work::<0>(Act::Sleep(100), 0)))?;
            }
        }
    }
    Ok(())
}

async fn yield_now() {
    let mut first = true;
    let turn = std::future::poll_fn(|cx| {
        if std::mem::take(&mut first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    turn.await;
}
