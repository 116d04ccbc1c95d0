//! The calls of the port and their answers as values, so that they can be delayed, repeated and judged.

use std::time::Duration;

use tideway::Wall;
use tideway::jobs::call::{
    AuditReport, Beat, Beaten, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut, Cursor,
    Enqueued, Expired, Filter, Page, Settle, Settled, Stats,
};
use tideway::jobs::{Id, Name, NewJob, Record};
use tideway_memory::Model;

/// A call.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Enqueue(Vec<NewJob>),
    Claim(ClaimReq),
    Settle(Vec<Settle>),
    Beat(Vec<Beat>, Duration),
    Expired(Cursor, u32),
    Cas(CronCas),
    Cell(Name),
    Control(Control),
    List(Filter, Cursor, u32),
    Prune(u32),
    Stats,
    Jobs(Vec<Id>),
    Audit,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Enqueue(Vec<Enqueued>),
    Claim(Claimed),
    Settle(Vec<Settled>),
    Beat(Vec<Beaten>),
    Expired(Page<Expired>),
    Cron(CronOut),
    Control(ControlOut),
    List(Page<Record>),
    Prune(u64),
    Stats(Stats),
    Jobs(Vec<Option<Record>>),
    Audit(AuditReport),
}

impl Ask {
    /// How many kinds there are.
    pub(crate) const KINDS: usize = 13;

    pub(crate) const fn kind(&self) -> usize {
        match self {
            Ask::Enqueue(_) => 0,
            Ask::Claim(_) => 1,
            Ask::Settle(_) => 2,
            Ask::Beat(..) => 3,
            Ask::Expired(..) => 4,
            Ask::Cas(_) => 5,
            Ask::Cell(_) => 6,
            Ask::Control(_) => 7,
            Ask::List(..) => 8,
            Ask::Prune(_) => 9,
            Ask::Stats => 10,
            Ask::Jobs(_) => 11,
            Ask::Audit => 12,
        }
    }

    pub(crate) const fn reads(&self) -> bool {
        matches!(
            self,
            Ask::Expired(..)
                | Ask::Cell(_)
                | Ask::List(..)
                | Ask::Stats
                | Ask::Jobs(_)
                | Ask::Audit
        )
    }

    /// What the model answers at `now`.
    pub(crate) fn put(&self, model: &mut Model, now: Wall) -> Answer {
        match self {
            Ask::Enqueue(jobs) => Answer::Enqueue(model.enqueue(jobs, now)),
            Ask::Claim(req) => Answer::Claim(model.claim(req, now)),
            Ask::Settle(settles) => Answer::Settle(model.settle(settles, now)),
            Ask::Beat(beats, lease) => Answer::Beat(model.heartbeat(beats, *lease, now)),
            Ask::Expired(after, limit) => Answer::Expired(model.expired(after, *limit, now)),
            Ask::Cas(cas) => Answer::Cron(model.cron_cas(cas, now)),
            Ask::Cell(key) => Answer::Cron(model.cron_cell(key, now)),
            Ask::Control(control) => Answer::Control(model.control(control, now)),
            Ask::List(filter, after, limit) => Answer::List(model.list(filter, after, *limit, now)),
            Ask::Prune(limit) => Answer::Prune(model.prune(*limit, now)),
            Ask::Stats => Answer::Stats(model.stats(now)),
            Ask::Jobs(ids) => Answer::Jobs(model.jobs(ids)),
            Ask::Audit => Answer::Audit(model.audit()),
        }
    }

    /// The jobs it may insert.
    pub(crate) fn new_jobs(&self) -> Vec<&NewJob> {
        match self {
            Ask::Enqueue(jobs) => jobs.iter().collect(),
            Ask::Settle(settles) => settles.iter().flat_map(|settle| &settle.then).collect(),
            Ask::Cas(cas) => cas.jobs.iter().collect(),
            _ => Vec::new(),
        }
    }
}
