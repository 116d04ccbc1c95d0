//! The cron entries of a pool: every worker evaluates them, the store lets one win each slot.

use std::sync::Arc;
use std::time::Duration;

use super::super::call::{CronCas, CronOut};
use super::super::cron::{Cell, Entry, Firing, Overlap, Plan, plan};
use super::super::{Conflict, Hold, Name, NewJob, Start, Unique};
use super::line::Line;
use super::{CronJob, Note, Output, Pool};
use crate::rng::Rng;
use crate::time::Mono;

/// An entry that does not fire is looked at again after this: a rollout may have ended.
const AGAIN: Duration = Duration::from_secs(60);

/// All entries.
#[derive(Debug)]
pub(super) struct Crontab(Vec<Job>);

#[derive(Debug)]
struct Job {
    job: CronJob,
    /// The cell as last seen; `None` if it has not been read.
    cell: Option<Option<Cell>>,
    line: Line<Request>,
    next: Mono,
}

#[derive(Debug)]
enum Request {
    Cell,
    Swap(Arc<CronCas>),
}

impl Crontab {
    pub(super) fn new(jobs: &[CronJob]) -> Self {
        let job = |job: &CronJob| Job {
            job: job.clone(),
            cell: None,
            line: Line::new(),
            next: Mono::START,
        };
        Self(jobs.iter().map(job).collect())
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        let at = |job: &Job| {
            if job.line.idle() {
                Some(job.next)
            } else {
                job.line.deadline()
            }
        };
        self.0.iter().filter_map(at).min()
    }

    pub(super) fn failed(
        &mut self,
        key: &Name,
        now: Mono,
        rng: &mut Rng,
    ) -> (Option<Duration>, u32) {
        match self.0.iter_mut().find(|job| job.job.entry.key == *key) {
            Some(job) => (job.line.failed(now, rng), job.line.failures()),
            None => (None, 0),
        }
    }
}

impl Pool {
    pub(super) fn cron(&mut self) {
        for at in 0..self.cron.0.len() {
            let job = &mut self.cron.0[at];
            if let Some(request) = job.line.resend(self.now) {
                let key = job.job.entry.key.clone();
                self.out.push_back(match &*request {
                    Request::Cell => Output::CronCell(key),
                    Request::Swap(cas) => Output::CronCas(cas.clone()),
                });
            } else if job.line.idle() && self.now >= job.next {
                self.evaluate(at);
            }
        }
    }

    /// Asks for the cell if it is not known or the store's clock is not; else does what the entry plans.
    fn evaluate(&mut self, at: usize) {
        let now = self.now;
        let store = self.store_now();
        let job = &mut self.cron.0[at];
        let key = job.job.entry.key.clone();
        let (Some(cell), Some(store)) = (&job.cell, store) else {
            job.line.send(now, Request::Cell);
            self.out.push_back(Output::CronCell(key));
            return;
        };
        match plan(&job.job.entry, cell.as_ref(), store) {
            Plan::Swap { prev, next, fire } => {
                let cas = Arc::new(CronCas {
                    key,
                    prev,
                    next,
                    jobs: fire
                        .iter()
                        .map(|firing| occurrence(&job.job, firing))
                        .collect(),
                });
                job.line.send(now, Request::Swap(cas.clone()));
                self.out.push_back(Output::CronCas(cas));
            }
            Plan::Wait { until } => {
                let wait = until.0.saturating_sub(store.0).max(1);
                // Clocks drift apart: look again in an hour at the latest.
                let wait =
                    Duration::from_millis(wait.unsigned_abs()).min(Duration::from_secs(3600));
                job.next = now.plus(wait);
            }
            plan => {
                let text = match plan {
                    Plan::Outdated { rev } => format!("revision {rev} has taken over"),
                    Plan::Conflict { spec } => {
                        format!("another schedule has the same revision: {spec}; raise one of them")
                    }
                    _ => "it has no further date".into(),
                };
                job.next = now.plus(AGAIN);
                job.cell = None;
                self.out.push_back(Output::Note(Note::Cron(key, text)));
            }
        }
    }

    pub(super) fn cron_answer(&mut self, key: &Name, out: CronOut) {
        let Some(at) = self.cron.0.iter().position(|job| job.job.entry.key == *key) else {
            return;
        };
        let job = &mut self.cron.0[at];
        let Some((request, _)) = job.line.done() else {
            return;
        };
        self.store = Some((out.now, self.now));
        job.cell = Some(out.cell);
        job.next = self.now;
        let fired = matches!(&*request, Request::Swap(cas) if out.won && !cas.jobs.is_empty());
        self.hungry |= fired;
    }
}

/// The job of one slot.
fn occurrence(cron: &CronJob, firing: &Firing) -> NewJob {
    let CronJob { entry, job } = cron;
    let mut spec = (*job.spec).clone();
    spec.id = firing.id;
    spec.queue = entry.queue.clone();
    match entry.overlap {
        Overlap::Allow => {}
        Overlap::Skip => spec.unique = Some(held(entry, Hold::UntilDone)),
        Overlap::BufferOne => {
            spec.unique = Some(held(entry, Hold::UntilStart));
            // With a limit of one running job on this group.
            spec.group = Some(entry.key.clone());
        }
    }
    NewJob {
        spec: Arc::new(spec),
        payload: job.payload.clone(),
        start: Start::At(firing.slot),
    }
}

fn held(entry: &Entry, hold: Hold) -> Unique {
    Unique {
        key: entry.key.clone(),
        hold,
        conflict: Conflict::Keep,
    }
}
