//! Random calls on a few jobs. After each: the structure is sound, nothing is lost or leased twice, a repeat
//! changes nothing, a batch is its items one by one, and a claim is what a plain search finds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{ClaimReq, Claimed, Control, Enqueued, Settle, Settled};
use tideway_engine::jobs::{Id, Kind, NewJob, Record, State};
use tideway_memory::Model;

use crate::calls::{Call, LEASE, Mix, beats, call, charges, request, settles};
use crate::plain_search::Plain;

const MIX: Mix = Mix {
    rates: true,
    back: true,
    homed: false,
    apart: false,
};

struct Run {
    model: Model,
    now: i64,
    plain: Plain,
    /// The clock went back: the log of a rate is then stricter than the search.
    went_back: bool,
    seqs: [u64; 3],
    known: u64,
    tokens: BTreeMap<Id, u64>,
}

impl Run {
    fn new() -> Self {
        Self {
            model: Model::new(),
            now: 1_000_000,
            plain: Plain::default(),
            went_back: false,
            seqs: [1; 3],
            known: 0,
            tokens: BTreeMap::new(),
        }
    }

    fn records(&self) -> BTreeMap<Id, Record> {
        let all = self
            .model
            .list(&Default::default(), &Default::default(), 1000, Wall(0));
        all.items.into_iter().map(|job| (job.id(), job)).collect()
    }

    fn step(&mut self, call: Call) -> Result<(), TestCaseError> {
        let now = Wall(self.now);
        let before = self.model.clone();
        match call {
            Call::Enqueue(jobs) => self.enqueue(&before, &jobs)?,
            Call::Claim(owner, back, limit, bytes) => {
                let at = usize::from(owner);
                let seq = self.seqs[at].saturating_sub(back);
                let req = request(owner, seq, [("mail", 0, 9), ("mail", 1, 9)], limit, bytes);
                let claimed = self.model.claim(&req, now);
                self.claimed(&before, &req, &claimed, back == 0)?;
                self.seqs[at] += u64::from(back == 0);
            }
            Call::Settle(items) => {
                let settles = settles(MIX, &self.model, items);
                self.settle(&before, &settles)?;
            }
            Call::Reap(strike) => {
                let all = self.model.expired(&Default::default(), 100, now).items;
                let out = self.settle(&before, &charges(&all, strike))?;
                for one in out {
                    prop_assert!(matches!(one, Settled::Applied(_)), "reaped: {one:?}");
                }
            }
            Call::Beat(items) => {
                let beats = beats(MIX, &self.model, items);
                let out = self.model.heartbeat(&beats, LEASE, now);
                let mut single = before;
                let singles = beats
                    .iter()
                    .flat_map(|one| single.heartbeat(std::slice::from_ref(one), LEASE, now));
                prop_assert_eq!(&out, &singles.collect::<Vec<_>>());
                prop_assert!(single == self.model, "a batch of beats is not its items");
                let mut again = self.model.clone();
                prop_assert_eq!(again.heartbeat(&beats, LEASE, now), out);
            }
            Call::Control(control) => {
                let out = self.model.control(&control, now);
                self.plain.control(&control);
                if let Control::Delete(_) = &control {
                    self.known -= out.done.len() as u64;
                }
            }
            Call::Prune(limit) => {
                let pruned = self.model.prune(limit, now);
                prop_assert!(pruned <= u64::from(limit));
                self.known -= (before.len() - self.model.len()) as u64;
            }
            Call::Cron(..) | Call::List(..) => unreachable!("`call` makes none"),
            Call::Wait(time) => {
                self.now += time;
                self.went_back |= time < 0;
            }
        }
        self.check()
    }

    fn enqueue(&mut self, before: &Model, jobs: &[NewJob]) -> Result<(), TestCaseError> {
        let now = Wall(self.now);
        let out = self.model.enqueue(jobs, now);
        let inserted =
            |one: &&Enqueued| matches!(one, Enqueued::Inserted | Enqueued::Superseded(_));
        self.known += out.iter().filter(inserted).count() as u64;
        let mut single = before.clone();
        let singles = jobs.iter().flat_map(|one| {
            let one = std::slice::from_ref(one);
            let (out, after) = (single.enqueue(one, now), single.clone());
            let again = single.enqueue(one, now);
            assert!(single == after, "{out:?} again is {again:?}");
            out
        });
        prop_assert_eq!(&out, &singles.collect::<Vec<_>>());
        prop_assert!(single == self.model, "a batch of jobs is not its items");
        // One that was refused for what came later in its batch may be accepted when it is repeated.
        let refused =
            |one: &Enqueued| matches!(one, Enqueued::UniqueHit(_) | Enqueued::UnknownWait(_));
        if !out.iter().any(refused) {
            single.enqueue(jobs, now);
            prop_assert!(single == self.model, "a repeated enqueue changed something");
        }
        Ok(())
    }

    fn claimed(
        &mut self,
        before: &Model,
        req: &ClaimReq,
        claimed: &Claimed,
        new: bool,
    ) -> Result<(), TestCaseError> {
        let mut again = self.model.clone();
        let repeat = again.claim(req, Wall(self.now));
        let newest = self.seqs[usize::try_from(req.owner.0).unwrap()] - u64::from(!new);
        if req.seq == newest {
            prop_assert_eq!(&repeat, claimed);
        } else {
            prop_assert!(claimed.jobs.is_empty(), "an older claim took jobs");
        }
        prop_assert!(again == self.model, "a repeated claim changed something");
        if !new {
            return Ok(());
        }
        // A job that was forgotten and enqueued again begins anew.
        self.tokens
            .retain(|id, _| before.job(*id).is_some_and(|job| job.token > 0));
        for job in &claimed.jobs {
            let old = before.job(job.id()).unwrap();
            // It may have waited for one that this very claim found expired.
            let ready = matches!(old.state, State::Pending | State::Waiting);
            prop_assert!(ready, "{} was {:?}", job.id(), old.state);
            prop_assert!(old.run_at <= Wall(self.now), "{} is early", job.id());
            prop_assert_eq!(job.token, old.token + 1);
            let newer = self.tokens.insert(job.id(), job.token) < Some(job.token);
            prop_assert!(newer, "a token twice");
            for (scope, running) in self.running(job) {
                let max = self.plain.limit(&scope.0, scope.1.as_deref()).running;
                prop_assert!(
                    max.is_none_or(|max| running <= max as usize),
                    "{scope:?}: {running}"
                );
            }
        }
        let mut jobs: BTreeMap<_, _> = self.records();
        // What expires within a claim may make others claimable: the search leaves that to the audit.
        let ended = |job: &Record| before.job(job.id()).unwrap().ended_at != job.ended_at;
        let expired = jobs.values().any(ended);
        for (id, job) in &mut jobs {
            *job = before.job(*id).unwrap().clone();
        }
        if self.went_back || expired {
            claimed
                .jobs
                .iter()
                .for_each(|job| self.plain.claimed(job, self.now));
            return Ok(());
        }
        let want = self.plain.claim(&mut jobs, req, self.now);
        let got: Vec<Id> = claimed.jobs.iter().map(Record::id).collect();
        prop_assert_eq!(got, want, "a plain search finds others");
        let due = self.plain.next_due(&jobs, req, self.now);
        prop_assert_eq!(claimed.next_due, due);
        Ok(())
    }

    /// How many run of the job's queue and of its group.
    fn running(&self, job: &Record) -> Vec<((String, Option<String>), usize)> {
        let all = self.records();
        let count = |group: Option<&str>| {
            let same = |other: &&Record| {
                let grouped = group.is_none() || other.spec.group.as_deref() == group;
                other.state == State::Running && other.spec.queue == job.spec.queue && grouped
            };
            let key = (job.spec.queue.to_string(), group.map(str::to_owned));
            (key, all.values().filter(same).count())
        };
        let group = job.spec.group.as_deref();
        group
            .map(|_| count(group))
            .into_iter()
            .chain([count(None)])
            .collect()
    }

    fn settle(
        &mut self,
        before: &Model,
        settles: &[Settle],
    ) -> Result<Vec<Settled>, TestCaseError> {
        let now = Wall(self.now);
        let out = self.model.settle(settles, now);
        self.known += (self.model.len() - before.len()) as u64;
        let mut single = before.clone();
        let singles = settles
            .iter()
            .flat_map(|one| single.settle(std::slice::from_ref(one), now));
        prop_assert_eq!(&out, &singles.collect::<Vec<_>>());
        prop_assert!(single == self.model, "a batch of settles is not its items");
        // A lease that is marked as abandoned has not ended: two words on it are no repeat of each other.
        let abandoned = |one: &Settled| *one == Settled::Applied(Kind::Abandon);
        let again = single.settle(settles, now);
        if !out.iter().any(abandoned) {
            prop_assert!(single == self.model, "a repeated settle changed something");
            for (first, again) in out.iter().zip(&again) {
                match first {
                    Settled::Applied(kind) => prop_assert_eq!(*again, Settled::Already(*kind)),
                    // A follow-up job of a later item may be what an earlier one did not find.
                    _ => prop_assert!(!matches!(again, Settled::Applied(_))),
                }
            }
        }
        Ok(out)
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let audit = self.model.audit();
        prop_assert!(audit.flaws.is_empty(), "{:#?}", audit.flaws);
        let stats = self.model.stats(Wall(self.now)).queues;
        let sum: u64 = stats
            .into_iter()
            .map(|mut queue| {
                State::ALL
                    .map(|state| *queue.count(state))
                    .iter()
                    .sum::<u64>()
            })
            .sum();
        prop_assert_eq!(sum, self.known, "a job was lost or made");
        let waits_are_open = self.records().into_values().all(|job| {
            job.state != State::Waiting || job.waits.iter().all(|id| self.model.job(*id).is_some())
        });
        prop_assert!(waits_are_open);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases * 3 / 2))]

    #[test]
    fn they_do(calls in prop::collection::vec(call(MIX), 1..60)) {
        let mut run = Run::new();
        for call in calls {
            run.step(call)?;
        }
    }
}

/// The generator reaches what it is there for; else the property above would prove little.
#[test]
fn random_calls_reach_every_kind_of_end() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..300 {
        let calls = prop::collection::vec(call(MIX), 60)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut run = Run::new();
        for call in calls {
            run.step(call).unwrap();
            for job in run.records().values() {
                let reason = job.reason.map(|reason| format!("{reason:?}"));
                let reason =
                    reason.map(|text| text.split('(').next().unwrap_or_default().to_owned());
                seen.insert(format!("{:?} {reason:?}", job.state));
                seen.insert(format!("{:?}", job.settled));
            }
        }
    }
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let reached = [
        "Waiting None",
        "Pending None",
        "Running None",
        "Succeeded None",
        "Dead Some(\"Crash\")",
        "Dead Some(\"Expired\")",
        "Dead Some(\"Fatal\")",
        "Cancelled Some(\"Asked\")",
        "Cancelled Some(\"Superseded\")",
        "Cancelled Some(\"Wait\")",
        "Some(Snooze)",
        "Some(Release)",
        "Some(Lapse)",
        "Some(Crash)",
        "Some(Stop)",
    ];
    for one in reached {
        assert!(seen.contains(&one), "never {one}: {seen:#?}");
    }
}
