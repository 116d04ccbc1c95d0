//! One run: which jobs ran, how often and how late, and when the last of them did.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::watch::{Lap, Watch};
use crate::work::Work;

/// Of this process.
static RUN: OnceLock<Run> = OnceLock::new();

/// The run of this process.
///
/// # Panics
/// Before it has begun.
pub fn run() -> &'static Run {
    RUN.get().expect("a run has begun")
}

/// A run of so many jobs, each with its number.
#[derive(Debug)]
pub struct Run {
    begun: Instant,
    runs: Vec<AtomicU8>,
    left: AtomicUsize,
    last: Notify,
    /// Per job, in nanoseconds of the run: when it started, and when its enqueue returned.
    started: Vec<AtomicU64>,
    accepted: Vec<AtomicU64>,
    watch: Mutex<Option<Watch>>,
    lap: Mutex<Option<Lap>>,
}

impl Run {
    pub(crate) fn begin(jobs: usize) -> &'static Self {
        let zeros = || (0..jobs).map(|_| AtomicU64::new(0)).collect();
        RUN.get_or_init(|| Self {
            begun: Instant::now(),
            runs: (0..jobs).map(|_| AtomicU8::new(0)).collect(),
            left: AtomicUsize::new(jobs),
            last: Notify::new(),
            started: zeros(),
            accepted: zeros(),
            watch: Mutex::new(None),
            lap: Mutex::new(None),
        })
    }

    /// Nanoseconds since it began.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// The handler: `work` runs. True once all have run.
    ///
    /// # Panics
    /// If there is no such job.
    pub fn ran(&self, work: &Work) -> bool {
        std::hint::black_box(work);
        self.ran_number(work.number)
    }

    /// As [`Run::ran`], of that number.
    ///
    /// # Panics
    /// If there is no such job.
    pub fn ran_number(&self, number: usize) -> bool {
        if self.runs[number].fetch_add(1, Relaxed) > 0 {
            return self.left.load(Relaxed) == 0;
        }
        self.started[number].store(self.now(), Relaxed);
        let all = self.left.fetch_sub(1, Relaxed) == 1;
        if all {
            self.last.notify_one();
        }
        all
    }

    /// Until all have run. For one waiter.
    pub async fn all(&self) {
        self.last.notified().await;
    }

    /// The enqueue of a job returned.
    pub(crate) fn accepted(&self, number: usize) {
        self.accepted[number].store(self.now(), Relaxed);
    }

    pub(crate) fn time(&self, watch: Watch) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch);
    }

    /// Ends the timed part, the first time it is called. A worker that takes seconds to stop calls this when
    /// [`Run::all`] is over; for the others it is called when they have stopped.
    pub fn finish(&self) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lap = self.lap.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(watch), None) = (&*watch, &*lap) {
            *lap = Some(watch.lap());
        }
    }

    pub(crate) fn lap(&self) -> Lap {
        self.finish();
        let lap = self.lap.lock().unwrap_or_else(PoisonError::into_inner);
        lap.expect("the timed part has begun")
    }

    /// How many runs there were beyond one for each job.
    ///
    /// # Panics
    /// If a job did not run.
    #[must_use]
    pub fn twice(&self) -> usize {
        let runs = self.runs.iter().map(|runs| runs.load(Relaxed));
        let missing = runs.clone().filter(|runs| *runs == 0).count();
        assert_eq!(missing, 0, "jobs that did not run");
        runs.map(|runs| usize::from(runs) - 1).sum()
    }

    /// Milliseconds from each job's `at` to its start, and from its acceptance (0 if it started before).
    pub(crate) fn waits(&self, made: &[u64]) -> (Vec<f64>, Vec<f64>) {
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let since = |from: u64, job: usize| self.started[job].load(Relaxed).saturating_sub(from);
        let jobs = 0..self.started.len();
        let made = jobs.clone().map(|job| millis(since(made[job], job)));
        let accepted = jobs.map(|job| millis(since(self.accepted[job].load(Relaxed), job)));
        (made.collect(), accepted.collect())
    }
}
