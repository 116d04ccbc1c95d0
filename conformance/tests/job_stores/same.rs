//! Random calls, made of a store and of the model in memory at the same times: every answer is the same, and so is every
//! record after it.

use proptest::prelude::*;
use tideway::jobs::{JobStore, StoreError};
use tideway_conformance::jobs::{Harness, TestClock};
use tideway_engine::Wall;
use tideway_engine::jobs::call::{CronCas, Cursor, Filter, Settle};
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{SUSPECT, State};
use tideway_memory::Model;

use crate::calls::{Call, LEASE, Mix, beats, charges, request, settles};
use crate::short::{ms, name};

struct Run<H: Harness> {
    harness: H,
    clock: TestClock,
    store: H::Store,
    mix: Mix,
    model: Model,
    seqs: [u64; 3],
}

impl<H: Harness> Run<H> {
    fn new(harness: H, mix: Mix) -> Self {
        let store = on(&harness, harness.open());
        Self {
            clock: harness.clock().expect("a clock that the test moves"),
            store: store.expect("an open store"),
            harness,
            mix,
            model: Model::new(),
            seqs: [1; 3],
        }
    }

    /// The answer of the store.
    fn ask<T: Send>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> T {
        on(&self.harness, call).expect("an answer")
    }

    fn step(&mut self, call: Call) -> Result<(), TestCaseError> {
        let now = self.clock.now();
        match call {
            Call::Enqueue(jobs) => {
                let got = self.ask(self.store.enqueue(&jobs));
                prop_assert_eq!(got, self.model.enqueue(&jobs, now));
            }
            Call::Claim(owner, back, limit, bytes) => {
                let at = usize::from(owner);
                let seq = self.seqs[at].saturating_sub(back);
                let req = request(
                    owner,
                    seq,
                    [("push", SUSPECT, 1), ("mail", 1, 9)],
                    limit,
                    bytes,
                );
                let got = self.ask(self.store.claim(&req));
                prop_assert_eq!(got, self.model.claim(&req, now));
                self.seqs[at] += u64::from(back == 0);
            }
            Call::Settle(items) => {
                self.settle(&settles(self.mix, &self.model, items), now)?;
            }
            Call::Reap(strike) => self.reap(strike, now)?,
            Call::Beat(items) => {
                let beats = beats(self.mix, &self.model, items);
                let got = self.ask(self.store.heartbeat(&beats, LEASE));
                prop_assert_eq!(got, self.model.heartbeat(&beats, LEASE, now));
            }
            Call::Control(control) => {
                let mut got = self.ask(self.store.control(&control));
                let mut want = self.model.control(&control, now);
                prop_assert_eq!(got.next.take().is_some(), want.next.take().is_some());
                prop_assert_eq!(got, want);
            }
            Call::Cron(prev, next, rev, jobs) => {
                let cas = CronCas {
                    key: name("tick"),
                    prev: prev.map(Wall),
                    next: Cell {
                        slot: Wall(next),
                        rev,
                        spec: "@daily".into(),
                        last_job: jobs.first().map(|job| job.spec.id),
                    },
                    jobs,
                };
                let got = self.ask(self.store.cron_cas(&cas));
                prop_assert_eq!(got, self.model.cron_cas(&cas, now));
                let got = self.ask(self.store.cron_cell(&cas.key));
                prop_assert_eq!(got, self.model.cron_cell(&cas.key, now));
            }
            Call::Prune(limit) => {
                let got = self.ask(self.store.prune(limit));
                prop_assert_eq!(got, self.model.prune(limit, now));
            }
            Call::List(state, limit) => self.list(state, limit, now)?,
            Call::Wait(time) => {
                let by = ms(time.unsigned_abs());
                match time < 0 {
                    true => self.clock.set_back(by),
                    false => self.clock.advance(by),
                }
            }
        }
        self.compare()
    }

    fn settle(&mut self, settles: &[Settle], now: Wall) -> Result<(), TestCaseError> {
        let got = self.ask(self.store.settle(settles));
        prop_assert_eq!(got, self.model.settle(settles, now));
        Ok(())
    }

    fn reap(&mut self, strike: bool, now: Wall) -> Result<(), TestCaseError> {
        let all = self.ask(self.store.expired(&Cursor::default(), 100));
        prop_assert_eq!(&all, &self.model.expired(&Cursor::default(), 100, now));
        self.settle(&charges(&all.items, strike), now)
    }

    /// All pages of it, each from the cursor its own store gave.
    fn list(&self, state: Option<State>, limit: u32, now: Wall) -> Result<(), TestCaseError> {
        let filter = Filter {
            state,
            ..Filter::default()
        };
        let (mut ours, mut theirs) = (Cursor::default(), Cursor::default());
        loop {
            let got = self.ask(self.store.list(&filter, &ours, limit));
            let want = self.model.list(&filter, &theirs, limit, now);
            prop_assert_eq!((got.items, got.now), (want.items, want.now));
            prop_assert_eq!(got.next.is_some(), want.next.is_some());
            let (Some(next), Some(other)) = (got.next, want.next) else {
                return Ok(());
            };
            (ours, theirs) = (next, other);
        }
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let (filter, from) = (Filter::default(), Cursor::default());
        let got = self.ask(self.store.list(&filter, &from, 1000));
        let want = self.model.list(&filter, &from, 1000, self.clock.now());
        prop_assert_eq!(got.items, want.items);
        let got = self.ask(self.store.stats());
        prop_assert_eq!(got, self.model.stats(self.clock.now()));
        let audit = self.ask(self.store.audit());
        prop_assert!(audit.flaws.is_empty(), "{:#?}", audit.flaws);
        Ok(())
    }
}

/// Runs the calls on a fresh store.
pub(crate) fn same<H: Harness>(
    harness: H,
    mix: Mix,
    calls: Vec<Call>,
) -> Result<(), TestCaseError> {
    let mut run = Run::new(harness, mix);
    for call in calls {
        run.step(call)?;
    }
    Ok(())
}

/// What `task` comes to on the runtime of the harness.
fn on<H: Harness, T: Send>(harness: &H, task: impl Future<Output = T> + Send) -> T {
    let mut out = None;
    harness.block_on(Box::pin(async { out = Some(task.await) }));
    out.expect("it ran to its end")
}

/// A property over calls of this mix on stores that the harness opens: so many cases, unless `PROPTEST_CASES` is not 256.
macro_rules! property {
    ($($name:ident: $cases:literal cases of $mix:expr, on $harness:expr;)+) => {
        $(
            proptest::proptest! {
                #![proptest_config(proptest::test_runner::Config {
                    cases: $cases * proptest::test_runner::Config::default().cases / 256,
                    failure_persistence: None,
                    ..Default::default()
                })]

                #[test]
                fn $name(calls in proptest::collection::vec($crate::calls::any_call($mix), 1..60)) {
                    $crate::same::same($harness, $mix, calls)?;
                }
            }
        )+
    };
}

pub(crate) use property;
