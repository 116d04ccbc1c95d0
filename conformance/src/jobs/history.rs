//! Calls and replies that several clients made, with their times, and the search for an order in
//! which one client alone would have got the same replies from the specification.
//!
//! Such an order must keep what is visible from outside: a call that was answered before another was
//! sent comes before it (Herlihy and Wing, 1990). The search is that of Wing and Gong (1993), with the
//! states already seen remembered (Lowe, 2017); windows are small, so it ends.

use std::collections::BTreeSet;
use std::time::Instant;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beat, Beaten, ClaimReq, Control, ControlOut, Enqueued, Select, Settle, Settled,
};
use tideway_engine::jobs::{Id, Name, NewJob, Record, Start, State};
use tideway_memory::Model;

use super::Cx;
use super::cx::{LONG, sure};
use super::worker::timeless;

/// A call as a client makes it.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Enqueue(Vec<NewJob>),
    Claim(ClaimReq),
    Settle(Vec<Settle>),
    Beat(Vec<Beat>),
    Control(Control),
    Jobs(Vec<Id>),
    /// Of one queue, by state.
    Counts(Name),
}

/// What it was answered, without the times of a clock.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Enqueued(Vec<Enqueued>),
    Claimed(Vec<Record>, bool),
    Settled(Vec<Settled>),
    Beaten(Vec<Beaten>),
    Controlled(ControlOut),
    Jobs(Vec<Option<Record>>),
    Counts([u64; 6]),
}

/// One call and its reply.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) client: usize,
    pub(super) sent: Instant,
    pub(super) answered: Instant,
    pub(super) call: Call,
    pub(super) said: Said,
}

impl Call {
    /// Makes it, and gives the records of a claim as they came.
    pub(super) async fn make(self, cx: &Cx, client: usize) -> (Entry, Vec<Record>) {
        let sent = Instant::now();
        let mut claimed = Vec::new();
        let said = match &self {
            Call::Enqueue(jobs) => Said::Enqueued(cx.enqueue(jobs).await),
            Call::Claim(req) => {
                let got = cx.claim(req).await;
                claimed.clone_from(&got.jobs);
                claim(got.jobs, got.next_due)
            }
            Call::Settle(settles) => Said::Settled(cx.settle(settles).await),
            Call::Beat(beats) => Said::Beaten(cx.heartbeat(beats, LONG).await),
            Call::Control(control) => Said::Controlled(cx.control(control.clone()).await),
            Call::Jobs(ids) => jobs(cx.records(ids).await),
            Call::Counts(queue) => {
                let store = cx.store();
                let stats = sure("stats", || tideway::jobs::JobStore::stats(&store)).await;
                counts(stats, queue)
            }
        };
        let entry = Entry {
            client,
            sent,
            answered: Instant::now(),
            call: self,
            said,
        };
        (entry, claimed)
    }

    fn ask(&self, model: &mut Model, now: Wall) -> Said {
        match self {
            Call::Enqueue(jobs) => Said::Enqueued(model.enqueue(jobs, now)),
            Call::Claim(req) => {
                let got = model.claim(req, now);
                claim(got.jobs, got.next_due)
            }
            Call::Settle(settles) => Said::Settled(model.settle(settles, now)),
            Call::Beat(beats) => Said::Beaten(model.heartbeat(beats, LONG, now)),
            Call::Control(control) => Said::Controlled(model.control(control, now)),
            Call::Jobs(ids) => jobs(model.jobs(ids)),
            Call::Counts(queue) => counts(model.stats(now), queue),
        }
    }
}

impl Entry {
    /// What the specification may be after this claim, if it did not see some of the jobs that were enqueued or put
    /// back by calls that had not been answered when it was sent. Its word on what is due next is as old as its look.
    fn after_an_early_look(&self, model: &Model, history: &[Entry], now: Wall) -> Vec<Model> {
        let (Call::Claim(req), Said::Claimed(got, _)) = (&self.call, &self.said) else {
            return Vec::new();
        };
        let under_way = history
            .iter()
            .filter(|other| other.answered > self.sent && other.sent < self.answered);
        let touched: BTreeSet<Id> = under_way.flat_map(Entry::touches).collect();
        let touched: Vec<Id> = touched.into_iter().collect();
        let records = model.jobs(&touched);
        let pending = records.into_iter().flatten();
        let late: Vec<Record> = pending.filter(|job| job.state == State::Pending).collect();
        let mut after = Vec::new();
        for missed in 1..1_u32 << late.len().min(16) {
            let missed = late
                .iter()
                .enumerate()
                .filter(|(n, _)| missed & 1 << n != 0);
            let missed: Vec<&Record> = missed.map(|(_, job)| job).collect();
            let mut model = model.clone();
            // Out of its sight, and back again.
            for job in &missed {
                model.control(&at(job.id(), Wall(i64::MAX)), now);
            }
            let claimed = model.claim(req, now);
            for job in &missed {
                model.control(&at(job.id(), job.run_at), now);
            }
            if matches!(claim(claimed.jobs, None), Said::Claimed(jobs, _) if jobs == *got) {
                after.push(model);
            }
        }
        after
    }
}

impl Entry {
    /// The jobs that somebody else may not see, or not get, while it is under way: those it makes pending, and those
    /// that it takes.
    fn touches(&self) -> Vec<Id> {
        let mut ids = self.call.puts();
        if let Said::Claimed(jobs, _) = &self.said {
            ids.extend(jobs.iter().map(Record::id));
        }
        ids
    }
}

impl Call {
    /// The jobs it may make pending.
    fn puts(&self) -> Vec<Id> {
        match self {
            Call::Enqueue(jobs) => jobs.iter().map(|job| job.spec.id).collect(),
            Call::Settle(settles) => settles.iter().map(|settle| settle.id).collect(),
            _ => Vec::new(),
        }
    }
}

fn at(id: Id, time: Wall) -> Control {
    Control::Reschedule(Select::Ids(vec![id]), Start::At(time))
}

fn claim(jobs: Vec<Record>, next: Option<Wall>) -> Said {
    Said::Claimed(jobs.into_iter().map(timeless).collect(), next.is_some())
}

fn jobs(jobs: Vec<Option<Record>>) -> Said {
    Said::Jobs(jobs.into_iter().map(|job| job.map(timeless)).collect())
}

fn counts(stats: tideway_engine::jobs::call::Stats, queue: &Name) -> Said {
    let found = stats.queues.into_iter().find(|one| one.queue == *queue);
    Said::Counts(found.map_or([0; 6], |one| {
        [
            one.waiting,
            one.pending,
            one.running,
            one.succeeded,
            one.dead,
            one.cancelled,
        ]
    }))
}

/// Whether some order of `history`, in which one call follows another if it was sent after the
/// other's reply, gives all its replies, from an empty specification. At most 64 entries. With `early_looks` a claim
/// may have missed what was still under way when it was sent, on its way in or out.
pub(super) fn is_linearizable(history: &[Entry], now: Wall, early_looks: bool) -> bool {
    assert!(history.len() <= 64, "{} calls in one window", history.len());
    let all = u64::MAX >> (64 - history.len().max(1));
    let mut seen: Vec<(u64, Model)> = Vec::new();
    let mut open = vec![(0_u64, Model::new())];
    while let Some((done, model)) = open.pop() {
        if done == all || history.is_empty() {
            return true;
        }
        let left = || {
            let left = history.iter().enumerate();
            left.filter(move |(n, _)| done & 1 << n == 0)
        };
        // What was sent after another's reply cannot come before it.
        let Some(first) = left().map(|(_, entry)| entry.answered).min() else {
            return true;
        };
        for (n, entry) in left().filter(|(_, entry)| entry.sent <= first) {
            let mut next = model.clone();
            let mut after = Vec::new();
            if entry.call.ask(&mut next, now) == entry.said {
                after.push(next);
            }
            if early_looks {
                after.extend(entry.after_an_early_look(&model, history, now));
            }
            for model in after {
                let state = (done | 1 << n, model);
                if !seen.contains(&state) {
                    seen.push(state.clone());
                    open.push(state);
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tideway_engine::jobs::Owner;
    use tideway_engine::jobs::call::Lane;

    use super::*;
    use crate::jobs::fixture::{job, name};

    /// Makes entries: client, seconds it was sent and answered at, call and reply.
    fn entries() -> impl Fn(usize, u64, u64, Call, Said) -> Entry {
        let base = Instant::now();
        let at = move |seconds| base + Duration::from_secs(seconds);
        move |client, from, to, call, said| Entry {
            client,
            sent: at(from),
            answered: at(to),
            call,
            said,
        }
    }

    /// A claim of two jobs.
    fn claim_of_two(owner: u128) -> Call {
        let lane = Lane {
            queue: name("mail"),
            band: 0,
        };
        Call::Claim(ClaimReq {
            owner: Owner(owner),
            seq: 1,
            lanes: vec![(lane, 2)],
            limit: 2,
            max_bytes: 1 << 20,
            lease: LONG,
        })
    }

    /// An enqueue, and a look at the job that began and ended at these seconds and found it or not.
    fn history(from: u64, to: u64, found: bool) -> Vec<Entry> {
        let entry = entries();
        let new = job("mail").build();
        let id = new.spec.id;
        let mut model = Model::new();
        let enqueue = Call::Enqueue(vec![new]);
        let look = Call::Jobs(vec![id]);
        let before = look.ask(&mut model, Wall(0));
        let said = enqueue.ask(&mut model, Wall(0));
        let after = look.ask(&mut model, Wall(0));
        vec![
            entry(0, 10, 20, enqueue, said),
            entry(1, from, to, look, if found { after } else { before }),
        ]
    }

    #[test]
    fn a_stale_or_early_read_is_found_and_an_overlapping_one_may_be_either() {
        for (from, to, found, expected) in [
            (21, 30, true, true),
            (21, 30, false, false),
            (1, 9, false, true),
            (1, 9, true, false),
            (15, 30, false, true),
            (15, 30, true, true),
        ] {
            let history = history(from, to, found);
            assert_eq!(
                is_linearizable(&history, Wall(0), false),
                expected,
                "{from} to {to}, found: {found}"
            );
        }
        assert!(is_linearizable(&[], Wall(0), false));
    }

    /// A first job is there. From 10 to `enqueued` seconds a second is enqueued, and then both are seen pending,
    /// before a claim of two that was sent at 12 is answered the first alone.
    fn short_claim(enqueued: u64) -> Vec<Entry> {
        let entry = entries();
        let new = || job("mail").at(Wall(0)).build();
        let (one, two) = (new(), new());
        let look = Call::Jobs(vec![one.spec.id, two.spec.id]);
        let claim = claim_of_two(1);
        let (one, two) = (Call::Enqueue(vec![one]), Call::Enqueue(vec![two]));
        // What each says, if the claim looked before the second was there.
        let (mut early, mut both) = (Model::new(), Model::new());
        let first = one.ask(&mut early, Wall(0));
        let claimed = claim.ask(&mut early, Wall(0));
        one.ask(&mut both, Wall(0));
        let second = two.ask(&mut both, Wall(0));
        let seen = look.ask(&mut both, Wall(0));
        vec![
            entry(0, 0, 1, one, first),
            entry(0, 10, enqueued, two, second),
            entry(1, 15, 16, look, seen),
            entry(2, 12, 30, claim, claimed),
        ]
    }

    #[test]
    fn a_claim_that_looks_early_misses_only_what_was_still_under_way() {
        let strict = |history: &[Entry]| is_linearizable(history, Wall(0), false);
        let early = |history: &[Entry]| is_linearizable(history, Wall(0), true);
        let under_way = short_claim(14);
        assert!(!strict(&under_way) && early(&under_way));
        // Begun after the enqueue was answered, it has no excuse.
        let answered = short_claim(11);
        assert!(!strict(&answered) && !early(&answered));
    }

    /// A job is there. From `from` seconds to 30 a claim takes it; another, from 12 to 13, gets nothing; then it is seen
    /// pending.
    fn passed_over(from: u64) -> Vec<Entry> {
        let entry = entries();
        let one = job("mail").at(Wall(0)).build();
        let look = Call::Jobs(vec![one.spec.id]);
        let one = Call::Enqueue(vec![one]);
        let mut model = Model::new();
        let first = one.ask(&mut model, Wall(0));
        let seen = look.ask(&mut model, Wall(0));
        let took = claim_of_two(1).ask(&mut model, Wall(0));
        let none = claim_of_two(2).ask(&mut model, Wall(0));
        vec![
            entry(0, 0, 1, one, first),
            entry(1, from, 30, claim_of_two(1), took),
            entry(2, 12, 13, claim_of_two(2), none),
            entry(2, 14, 15, look, seen),
        ]
    }

    #[test]
    fn a_claim_that_looks_early_passes_over_what_another_is_taking() {
        let strict = |history: &[Entry]| is_linearizable(history, Wall(0), false);
        let early = |history: &[Entry]| is_linearizable(history, Wall(0), true);
        let taking = passed_over(10);
        assert!(!strict(&taking) && early(&taking));
        // Nobody took it yet.
        let later = passed_over(20);
        assert!(!strict(&later) && !early(&later));
    }
}
