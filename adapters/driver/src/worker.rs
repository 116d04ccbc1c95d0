//! The loop of a worker: carries out what the pure [`Pool`] asks and tells it what came of it. Every
//! rule (when to claim, retry, beat, reap, stop) is the pool's.

mod job;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_channel::mpsc;
use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Either, select};
use futures_util::stream::FuturesUnordered;
use tideway::jobs::call::{Control, Limit, Scope, Wake};
use tideway::jobs::cron::Overlap;
use tideway::jobs::pool::{
    Call, ConfigError, CronJob, Input, Note, Output, Pool, PoolConfig, PoolReport, Run,
};
use tideway::jobs::{DynJobStore, Id, JobState, JobStore as _, Kinds, StoreError};
use tideway::pipeline::Pipeline;
use tideway::{BoxFuture, Mono};
use tideway_engine::{Keyed, Map, Rng};

use crate::stop::{Phase, Seat, Stop};
use crate::{Runtime, Sleep as _};

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// The app has no job store.
    #[error("the app has no job store: give it one with `App::store`")]
    NoStore,
    /// Its settings.
    #[error("a worker cannot start: {0}")]
    Config(#[from] ConfigError),
}

/// The most inputs it takes before it looks at what they ask for.
const AT_ONCE: usize = 512;
/// How often it asks running jobs for checkpoints.
const CHECKPOINTS: Duration = Duration::from_millis(500);

/// A worker about to run.
pub struct Worker<R: Runtime> {
    rt: R,
    app: Arc<Pipeline>,
    kinds: Arc<Kinds>,
    store: DynJobStore,
    pool: Pool,
    /// How long a store call may take before it counts as lost.
    patience: Duration,
    calls: FuturesUnordered<BoxFuture<'static, Input>>,
    /// Bounded by the slots: a handler sends one message in its life.
    inbox: mpsc::UnboundedSender<job::Ended>,
    mail: mpsc::UnboundedReceiver<job::Ended>,
    wakes: Option<Pin<Box<dyn Stream<Item = Wake> + Send>>>,
    running: Map<Id, Handle>,
    sleep: Pin<Box<R::Sleep>>,
    /// What it is set to; `None` once it has fired: it is not asked again until it is set anew.
    asleep_until: Option<Mono>,
    next_checkpoints: Mono,
    seat: Seat,
    told: Phase,
    /// What the overlap rules of the crontab need of the store.
    limits: Vec<Control>,
}

/// A running job as the worker knows it.
struct Handle {
    run: Run,
    state: JobState,
    abort: AbortHandle,
}

impl<R: Runtime> Worker<R> {
    /// A worker for the jobs of `app`; the first call of `stop` drains it, the second drops what still runs.
    ///
    /// # Errors
    ///
    /// [`WorkError`]; a store that does not answer is no error, it is asked again for ever.
    pub fn new(
        rt: R,
        app: Arc<Pipeline>,
        mut config: PoolConfig,
        stop: &Stop,
    ) -> Result<Self, WorkError> {
        let kinds = Kinds::of(&app).ok_or(WorkError::NoStore)?.clone();
        let store = kinds.jobs().store().clone();
        config.cron.extend_from_slice(kinds.cron());
        let limits = config.cron.iter().filter_map(one_at_a_time).collect();
        config.max_batch = config.max_batch.min(store.caps().max_batch.max(1));
        let mut rng = Rng::new(&rt.seed());
        let now = rt.now().mono;
        let patience = (config.lease / 3).clamp(Duration::from_secs(1), Duration::from_secs(10));
        let pool = Pool::new(config, &rng.fork(), now)?;
        let (inbox, mail) = mpsc::unbounded();
        let wakes = store.wakeups(pool.owner());
        Ok(Self {
            sleep: Box::pin(rt.sleep_until(now)),
            asleep_until: Some(now),
            next_checkpoints: now,
            running: Map::with_hasher(Keyed::from_seed(&rng.fork())),
            calls: FuturesUnordered::new(),
            seat: stop.seat(),
            told: Phase::Running,
            rt,
            app,
            kinds,
            store,
            pool,
            patience,
            inbox,
            mail,
            wakes: Some(wakes),
            limits,
        })
    }

    /// Runs until the stop is over.
    pub async fn run(mut self) -> PoolReport {
        for limit in std::mem::take(&mut self.limits) {
            let set = set_limit(self.rt.clone(), self.store.clone(), limit);
            self.calls.push(Box::pin(set));
        }
        loop {
            while let Some(output) = self.pool.poll() {
                if let Output::Stopped(report) = output {
                    return report;
                }
                self.carry_out(output);
            }
            self.arm();
            poll_fn(|cx| self.listen(cx)).await;
        }
    }

    /// Sets the one timer: moved only when it must fire earlier, or has fired.
    fn arm(&mut self) {
        let next = self.pool.poll_timeout().map(|(at, _)| at);
        let checkpoints = (!self.running.is_empty()).then_some(self.next_checkpoints);
        let next = next.into_iter().chain(checkpoints).min();
        if let Some(at) = next
            && self.asleep_until != next
        {
            self.asleep_until = next;
            self.sleep.as_mut().reset(at);
        }
    }

    /// Feeds the pool whatever is there; pending if nothing is.
    fn listen(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.rt.now().mono;
        let mut fed = false;
        self.seat.register(cx);
        let phase = self.seat.phase();
        if phase > self.told {
            self.told = phase;
            fed = true;
            let input = if phase == Phase::Forced {
                Input::Force
            } else {
                Input::Stop
            };
            self.pool.input(now, input);
        }
        for _ in 0..AT_ONCE {
            let Poll::Ready(Some(ended)) = self.mail.poll_next_unpin(cx) else {
                break;
            };
            fed = true;
            self.job_ended(now, ended);
        }
        while let Poll::Ready(Some(input)) = self.calls.poll_next_unpin(cx) {
            fed = true;
            self.pool.input(now, input);
        }
        while let Some(wakes) = &mut self.wakes {
            match wakes.as_mut().poll_next(cx) {
                Poll::Ready(Some(wake)) => {
                    fed = true;
                    self.pool.input(now, Input::Wake(wake));
                }
                Poll::Ready(None) => self.wakes = None,
                Poll::Pending => break,
            }
        }
        if self.asleep_until.is_some() && self.sleep.as_mut().poll(cx).is_ready() {
            self.asleep_until = None;
            if now >= self.next_checkpoints {
                self.checkpoints(now);
            }
            fed = true;
            self.pool.input(now, Input::Tick);
        }
        if fed { Poll::Ready(()) } else { Poll::Pending }
    }

    fn job_ended(&mut self, now: Mono, ended: job::Ended) {
        let job::Ended { run, end } = ended;
        let known = self.running.get(&run.id);
        if known.is_some_and(|handle| handle.run == run)
            && let Some(handle) = self.running.remove(&run.id)
            && let Some(progress) = handle.state.take_checkpoint()
        {
            self.pool.input(now, Input::Checkpoint { run, progress });
        }
        self.pool.input(
            now,
            match end {
                Some(end) => Input::Ended { run, end },
                None => Input::Dropped { run },
            },
        );
    }

    fn checkpoints(&mut self, now: Mono) {
        self.next_checkpoints = now.plus(CHECKPOINTS);
        for handle in self.running.values() {
            if let Some(progress) = handle.state.take_checkpoint() {
                let run = handle.run;
                self.pool.input(now, Input::Checkpoint { run, progress });
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        let store = self.store.clone();
        match output {
            Output::Claim(req) => self.call(Call::Claim, async move {
                store.claim(&req).await.map(Input::Claimed)
            }),
            Output::Settle(settles) => self.call(Call::Settle, async move {
                store.settle(&settles).await.map(Input::Settled)
            }),
            Output::Beat(beats, lease) => self.call(Call::Beat, async move {
                store.heartbeat(&beats, lease).await.map(Input::Beaten)
            }),
            Output::Expired(after, limit) => self.call(Call::Expired, async move {
                store.expired(&after, limit).await.map(Input::Expired)
            }),
            Output::CronCell(key) => self.call(Call::Cron(key.clone()), async move {
                let out = store.cron_cell(&key).await?;
                Ok(Input::Cron(key, out))
            }),
            Output::CronCas(cas) => self.call(Call::Cron(cas.key.clone()), async move {
                let out = store.cron_cas(&cas).await?;
                Ok(Input::Cron(cas.key.clone(), out))
            }),
            Output::Prune(limit) => self.call(Call::Prune, async move {
                store.prune(limit).await.map(Input::Pruned)
            }),
            Output::Start(run, record) => self.start(run, record),
            Output::Cancel(id) => {
                if let Some(handle) = self.running.get(&id) {
                    handle.state.cancel();
                }
            }
            Output::Abort(id) => {
                if let Some(handle) = self.running.get(&id) {
                    handle.abort.abort();
                }
            }
            Output::Note(note) => log(&note),
            // Ends the loop before it comes here.
            Output::Stopped(_) => {}
        }
    }

    /// Sends a call to the store; no answer in time counts as a lost one, which is asked again.
    fn call(
        &mut self,
        call: Call,
        answer: impl Future<Output = Result<Input, StoreError>> + Send + 'static,
    ) {
        let patience = self.patience;
        let late = self.rt.sleep_until(self.rt.now().mono.plus(patience));
        self.calls.push(Box::pin(async move {
            match select(pin!(answer), pin!(late)).await {
                Either::Left((Ok(input), _)) => input,
                Either::Left((Err(error), _)) => Input::Failed(call, error.to_string()),
                Either::Right(_) => Input::Failed(call, format!("no answer in {patience:?}")),
            }
        }));
    }

    fn start(&mut self, run: Run, record: tideway::jobs::Record) {
        let Some(running) = self.kinds.start(&self.app, record) else {
            let end = tideway::jobs::pool::End::Unknown;
            let now = self.rt.now().mono;
            self.pool.input(now, Input::Ended { run, end });
            return;
        };
        if self.running.is_empty() {
            self.next_checkpoints = self.rt.now().mono.plus(CHECKPOINTS);
        }
        let (abort, work) = job::job(run, running.work, self.inbox.clone());
        let state = running.state;
        self.running.insert(run.id, Handle { run, state, abort });
        self.rt.spawn(work);
    }
}

/// The limit that lets one job of a cron entry run at a time, if its overlap rule says so.
fn one_at_a_time(cron: &CronJob) -> Option<Control> {
    let entry = &cron.entry;
    let scope = Scope::Group(entry.queue.clone(), entry.key.clone());
    let limit = Limit {
        running: Some(1),
        rate: None,
    };
    (entry.overlap == Overlap::BufferOne).then_some(Control::Limit(scope, limit))
}

/// Sets a limit, however long the store takes to answer.
async fn set_limit<R: Runtime>(rt: R, store: DynJobStore, limit: Control) -> Input {
    loop {
        match store.control(&limit).await {
            Ok(_) => return Input::Tick,
            Err(error @ StoreError::Unsupported(_)) => {
                tracing::warn!(target: "tideway::jobs", %error, ?limit, "jobs of a cron entry may overlap");
                return Input::Tick;
            }
            Err(_) => {
                let again = rt.now().mono.plus(Duration::from_secs(1));
                rt.sleep_until(again).await;
            }
        }
    }
}

fn log(note: &Note) {
    match note {
        Note::CallFailed {
            call,
            error,
            wait,
            failures,
        } => {
            tracing::warn!(target: "tideway::jobs", ?call, error, ?wait, failures, "the job store did not answer; asked again");
        }
        Note::LeaseLost(id) => {
            tracing::warn!(target: "tideway::jobs", %id, "lease lost; the job is being stopped, its result will not count");
        }
        Note::Leaked(id) => {
            tracing::error!(target: "tideway::jobs", %id, "the job cannot be stopped: it blocks its thread; its slot is lost until it ends");
        }
        Note::Reaped { id, strike } => {
            tracing::warn!(target: "tideway::jobs", %id, strike, "its worker is gone; the job goes back to its queue");
        }
        Note::Unknown(id, wait) => {
            tracing::warn!(target: "tideway::jobs", %id, ?wait, "no handler of its kind here; given back");
        }
        Note::Fenced(id) => {
            tracing::warn!(target: "tideway::jobs", %id, "its end came too late: the job has been claimed again");
        }
        Note::Cron(key, why) => {
            tracing::warn!(target: "tideway::jobs", %key, why, "the schedule does not fire");
        }
        other => tracing::info!(target: "tideway::jobs", note = ?other),
    }
}
