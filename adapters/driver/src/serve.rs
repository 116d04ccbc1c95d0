//! The socket loop: accept, spawn, and the one way to stop.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use futures_util::task::AtomicWaker;
use tideway::jobs::pool::{PoolConfig, PoolReport};
use tideway::pipeline::Pipeline;
use tideway::ws::Hub;
use tideway::{App, Rng};

use crate::connection::{Shared, connection};
use crate::dial::Dials;
use crate::stop::{Phase, Stop};
use crate::tasks::RuntimeTasks;
use crate::worker::Worker;
use crate::{Listener, Options, Runtime};

/// What a stopped server has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections accepted in its life.
    pub accepted: u64,
    /// Connections that were still busy at the drain deadline, or when the stop was forced, and were cut.
    pub cut: usize,
    /// What its worker did, if the app has one ([`App::worker`]).
    pub jobs: Option<PoolReport>,
}

impl Report {
    /// What a program's `main` returns: an exit status of 0 says that nothing was cut.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Interrupted`] if the stop was forced, by its deadline or by a second stop, and
    /// connections were cut.
    pub fn into_result(self) -> io::Result<()> {
        match self.cut {
            0 => Ok(()),
            cut => Err(io::Error::new(
                io::ErrorKind::Interrupted,
                format!(
                    "the stop was forced: {cut} of {} connections were busy and were cut; a longer \
                     TIDEWAY_DRAIN lets them end",
                    self.accepted
                ),
            )),
        }
    }
}

/// Serves `app` on `on` until `stop`.
///
/// A stop is: readiness false, [`Options::lame_duck`] more of accepting, no accept, connections drain to
/// [`Options::drain`], what is left is cut; jobs drain beside them; the sockets that the app opened to other servers are
/// closed. A second stop cuts at once.
///
/// Fails only if the app cannot be built: bad routes, missing services.
pub async fn serve<R: Runtime, L: Listener>(
    rt: R,
    app: App,
    on: L,
    options: Options,
    stop: Stop,
) -> io::Result<Report> {
    let mut rng = Rng::new(&rt.seed());
    let dials = Dials::default();
    let pipeline = pipeline(&rt, app.seed(rng.fork()), &dials)?;
    let worker = worker(&rt, &pipeline, &stop)?;
    let tended = tend(&rt, &pipeline);
    let served = run(&rt, pipeline.clone(), on, options, stop, rng, &dials);
    let Either::Right((mut report, _)) = select(pin!(tended), pin!(served)).await;
    if let Some(worker) = worker {
        // It drains beside the connections, under deadlines of its own.
        report.jobs = worker.await.ok();
    }
    tracing::info!(target: "tideway", accepted = report.accepted, cut = report.cut, "stopped");
    Ok(report)
}

async fn run<R: Runtime, L: Listener>(
    rt: &R,
    pipeline: Arc<Pipeline>,
    mut on: L,
    options: Options,
    stop: Stop,
    mut rng: Rng,
    dials: &Dials,
) -> Report {
    let (drain, lame_duck, cap) = (options.drain, options.lame_duck, options.max_connections);
    let shared = Arc::new(Shared {
        pipeline: pipeline.clone(),
        options,
        // The connections' own: they learn of a stop only when the lame-duck time is over.
        stop: Stop::new(),
    });
    let live = Arc::new(Live::default());
    let mut report = Report::default();
    let mut backoff = BACKOFF_FIRST;
    {
        let ending = async {
            stop.reached(Phase::Draining).await;
            pipeline.set_ready(false);
            if lame_duck > Duration::ZERO {
                let over = rt.sleep_until(rt.now().mono.plus(lame_duck));
                select(pin!(over), pin!(stop.reached(Phase::Forced))).await;
            }
        };
        let mut ending = pin!(ending);
        loop {
            let next = async {
                live.below(cap).await;
                on.accept().await
            };
            match select(ending.as_mut(), pin!(next)).await {
                Either::Left(_) => break,
                Either::Right((Ok((stream, peer)), _)) => {
                    backoff = BACKOFF_FIRST;
                    report.accepted += 1;
                    // Spawned as it is: a block around it would hold its kilobyte twice.
                    let alive = Alive::new(&live);
                    let shared = shared.clone();
                    rt.spawn(connection(
                        rt.clone(),
                        shared,
                        stream,
                        peer,
                        rng.fork(),
                        alive,
                    ));
                }
                Either::Right((Err(error), _)) if is_of_one_connection(&error) => {}
                Either::Right((Err(error), _)) => {
                    // Out of descriptors or memory: waiting lets connections end.
                    tracing::error!(target: "tideway", %error, wait = ?backoff, "accept failed");
                    let pause = rt.sleep_until(rt.now().mono.plus(backoff));
                    backoff = (backoff * 2).min(BACKOFF_LAST);
                    if let Either::Left(_) = select(ending.as_mut(), pin!(pause)).await {
                        break;
                    }
                }
            }
        }
    }
    drop(on);
    shared.stop.stop();
    let drained = rt.now().mono.plus(drain);
    let (limit, forced) = (
        pin!(rt.sleep_until(drained)),
        pin!(stop.reached(Phase::Forced)),
    );
    if let Either::Right(_) = select(pin!(live.below(1)), select(limit, forced)).await {
        report.cut = live.count.load(Ordering::Acquire);
        let again = stop.phase() == Phase::Forced;
        let cause = if again {
            "asked again"
        } else {
            "drain deadline"
        };
        tracing::warn!(target: "tideway", cause, cut = report.cut, ?drain, "stop forced");
        shared.stop.force();
        // Cut connections end at their next poll; the bound is for one whose handler blocks its thread.
        let bound = rt.sleep_until(rt.now().mono.plus(Duration::from_secs(1)));
        select(pin!(live.below(1)), pin!(bound)).await;
    }
    dials.end(rt, drained, &stop).await;
    report
}

pub(crate) fn pipeline<R: Runtime>(rt: &R, app: App, dials: &Dials) -> io::Result<Arc<Pipeline>> {
    let tasks = Arc::new(RuntimeTasks {
        rt: rt.clone(),
        dials: dials.clone(),
    });
    app.pipeline(tasks).map_err(io::Error::other)
}

/// Starts the app's worker, if it has one.
fn worker<R: Runtime>(
    rt: &R,
    app: &Arc<Pipeline>,
    stop: &Stop,
) -> io::Result<Option<oneshot::Receiver<PoolReport>>> {
    let Some(config) = app.context().get::<PoolConfig>() else {
        return Ok(None);
    };
    let worker =
        Worker::new(rt.clone(), app.clone(), config.clone(), stop).map_err(io::Error::other)?;
    let (tell, told) = oneshot::channel();
    rt.spawn(async move {
        // Nobody listens if the server was dropped.
        let _ = tell.send(worker.run().await);
    });
    Ok(Some(told))
}

/// Has a task tend the app's rooms once they need it, until this is dropped.
async fn tend<R: Runtime>(rt: &R, app: &Pipeline) -> Infallible {
    let (_keep, over) = oneshot::channel::<()>();
    if let Some(hub) = app.context().get::<Hub>().cloned() {
        hub.needs_tending().await;
        rt.spawn(async move {
            select(pin!(hub.tend()), over).await;
        });
    }
    pending().await
}

const BACKOFF_FIRST: Duration = Duration::from_millis(5);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// Errors that a connection brought with it, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How many connections are open.
#[derive(Default)]
pub(crate) struct Live {
    count: AtomicUsize,
    waker: AtomicWaker,
}

impl Live {
    /// Completes when fewer than `cap` are open.
    pub(crate) async fn below(&self, cap: usize) {
        poll_fn(|cx| {
            if self.count.load(Ordering::Acquire) < cap {
                return Poll::Ready(());
            }
            self.waker.register(cx.waker());
            if self.count.load(Ordering::Acquire) < cap {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// One open connection; also if its task panics or is dropped with the runtime.
pub(crate) struct Alive(Arc<Live>);

impl Alive {
    pub(crate) fn new(live: &Arc<Live>) -> Self {
        live.count.fetch_add(1, Ordering::AcqRel);
        Self(live.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.waker.wake();
    }
}
