//! Random calls on a few jobs, made of the store and of the model in memory at the same times: every answer
//! is the same, and so is every record after it.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tideway::jobs::JobStore;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    Beat, ClaimReq, Control, CronCas, Cursor, Filter, Lane, Limit, Scope, Select, Settle,
};
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{
    Conflict, Failure, Fence, Hold, Id, NewJob, Outcome, Owner, Reason, SUSPECT, Start, State,
    Unique, WaitFailed,
};
use tideway_memory::Model;
use tideway_redis::{Redis, Tags};

use crate::world::{Time, block_on, fresh, id_in, job_in, ms, name, net, url};

const LEASE: Duration = ms(200);
const WINDOW: Duration = ms(100);
const JOBS: u128 = 16;

#[derive(Clone, Debug)]
enum Call {
    Enqueue(Vec<NewJob>),
    /// Owner, claims back from the next number, most jobs, most bytes.
    Claim(u8, u64, u32, usize),
    Settle(Vec<(Pick, Outcome, Option<Bytes>, Vec<NewJob>)>),
    Beat(Vec<(Pick, Option<Bytes>)>),
    /// Settles all leases that have run out.
    Reap(bool),
    Control(Control),
    /// The slot seen, or none, and the next one.
    Cron(Option<i64>, i64, u32, Vec<NewJob>),
    Prune(u32),
    List(Option<State>, u32),
    Wait(i64),
}

/// A job, and whether the fence is wrong.
#[derive(Clone, Copy, Debug)]
struct Pick(u128, bool);

/// What the calls may hold. With a tag for each queue, a call is a step in each: only one item a call has one order.
#[derive(Clone, Copy, Debug)]
struct Mix {
    rates: bool,
    tags: Tags,
}

impl Mix {
    fn one(self) -> bool {
        self.tags == Tags::One
    }

    fn most(self, items: usize) -> usize {
        if self.one() { items } else { 2 }
    }
}

/// Even jobs are mail, odd ones are pushed.
fn queue_of(n: u128) -> &'static str {
    ["mail", "push"][(n % 2) as usize]
}

fn id(n: u128) -> Id {
    id_in(queue_of(n), n)
}

fn new_job(mix: Mix) -> impl Strategy<Value = NewJob> {
    let hold = prop_oneof![
        Just(Hold::UntilStart),
        Just(Hold::UntilDone),
        (1..300_u64).prop_map(|n| Hold::For(ms(n))),
    ];
    let conflict = prop_oneof![
        Just(Conflict::Keep),
        Just(Conflict::Replace),
        Just(Conflict::Reschedule)
    ];
    let unique = prop::option::weighted(0.4, (0..2_u8, hold, conflict));
    let group = prop::option::weighted(0.5, 0..2_u8);
    let waits = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec(0..JOBS, 1..4),
    ];
    let start = prop_oneof![
        Just(Start::Now),
        (0..80_u64).prop_map(|n| Start::After(ms(n)))
    ];
    let expiry = prop::option::weighted(0.1, (1..300_u64).prop_map(ms))
        .prop_map(move |expiry| expiry.filter(|_| mix.one()));
    let rest = (start, expiry, any::<bool>(), 0..2_u8);
    (0..JOBS, unique, group, waits, rest).prop_map(|(n, unique, group, waits, rest)| {
        let (start, expiry, run, band) = rest;
        let mut new = job_in(queue_of(n), n, |spec| {
            spec.band = band;
            spec.expiry = expiry;
            spec.strikes = 2;
            spec.keep.succeeded = ms(0);
            spec.keep.failed = ms(90_000);
            spec.group = group.map(|n| name(["x", "y"][usize::from(n)]));
            spec.unique = unique.map(|(n, hold, conflict)| Unique {
                key: name(["k", "l"][usize::from(n)]),
                hold,
                conflict,
            });
            spec.waits = waits.into_iter().map(id).collect();
            if run {
                spec.wait_failed = WaitFailed::Run;
            }
        });
        if n % 4 == 3 {
            // Large.
            new.payload = Bytes::from(vec![7; 3000]);
        }
        new.start = start;
        new
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let after = || (0..50_u64).prop_map(ms);
    let failure = || Failure::new("no luck");
    prop_oneof![
        4 => Just(Outcome::Succeeded(Bytes::from_static(b"ok"))),
        2 => after().prop_map(move |after| Outcome::Retry { after, failure: failure() }),
        1 => Just(Outcome::Dead { reason: Reason::Fatal, failure: failure() }),
        1 => Just(Outcome::Cancelled),
        1 => after().prop_map(Outcome::Snoozed),
        1 => (after(), any::<bool>()).prop_map(|(after, unknown)| Outcome::Released { after, unknown }),
        1 => Just(Outcome::Abandoned),
        1 => Just(Outcome::Lapsed),
        1 => (after(), any::<bool>()).prop_map(|(after, strike)| Outcome::Crashed { after, strike }),
    ]
}

fn control(mix: Mix) -> impl Strategy<Value = Control> {
    let select = move || {
        let ids = prop::collection::vec(0..JOBS, 1..mix.most(4))
            .prop_map(|ids| Select::Ids(ids.into_iter().map(id).collect()));
        let filter = (state(), 1..5_u32).prop_map(|(state, limit)| Select::Filter {
            filter: Filter {
                state,
                ..Filter::default()
            },
            after: Cursor::default(),
            limit,
        });
        let one = ids.clone();
        let filter =
            (one, filter).prop_map(move |(ids, filter)| if mix.one() { filter } else { ids });
        prop_oneof![3 => ids, 1 => filter]
    };
    let start = || (0..50_u64).prop_map(|n| Start::After(ms(n)));
    let queue = || any::<bool>().prop_map(|push| name(if push { "push" } else { "mail" }));
    let group = any::<bool>().prop_map(|x| name(if x { "x" } else { "y" }));
    let scope = prop_oneof![
        queue().prop_map(Scope::Queue),
        queue().prop_map(Scope::EachGroup),
        (queue(), group).prop_map(|(queue, group)| Scope::Group(queue, group)),
    ];
    let limit = (prop::option::of(0..4_u32), prop::option::of(0..4_u32)).prop_map(
        move |(running, rate)| Limit {
            running,
            rate: rate.filter(|_| mix.rates).map(|n| (n, WINDOW)),
        },
    );
    prop_oneof![
        2 => select().prop_map(Control::Cancel),
        1 => (select(), start()).prop_map(|(select, start)| Control::Reschedule(select, start)),
        2 => (select(), start()).prop_map(|(select, start)| Control::Revive(select, start)),
        1 => select().prop_map(Control::Delete),
        1 => queue().prop_map(Control::Pause),
        2 => queue().prop_map(Control::Resume),
        4 => (scope, limit).prop_map(move |(scope, limit)| match mix.tags {
            Tags::One => Control::Limit(scope, limit),
            Tags::PerQueue => Control::Resume(name("mail")),
        }),
    ]
}

fn state() -> impl Strategy<Value = Option<State>> {
    prop::option::of(prop::sample::select(State::ALL.to_vec()))
}

/// With rates, time only goes on: a clock that goes back makes a log of claims stricter than the rule says,
/// and each store in its own way.
fn call(mix: Mix) -> impl Strategy<Value = Call> {
    let new_job = move || new_job(mix);
    let pick = || (0..JOBS, prop::bool::weighted(0.1)).prop_map(|(n, wrong)| Pick(n, wrong));
    let then = prop_oneof![9 => Just(Vec::new()), 1 => prop::collection::vec(new_job(), 1..3)];
    let progress = || prop::option::of((0..3_u8).prop_map(|n| Bytes::from(vec![n])));
    let back = if mix.rates { 0..1_i64 } else { -90..0_i64 };
    let wait = prop_oneof![6 => 1..120_i64, 2 => 150..250_i64, 1 => Just(60_000_i64), 1 => back];
    let item = (
        pick(),
        outcome(),
        prop::option::weighted(0.2, (0..3_u8).prop_map(|n| Bytes::from(vec![n]))),
        then,
    );
    prop_oneof![
        5 => prop::collection::vec(new_job(), 1..mix.most(6)).prop_map(Call::Enqueue),
        6 => (0..3_u8, prop_oneof![8 => Just(0_u64), 1 => 1..3_u64], 0..7_u32, if mix.one() { 0..40_usize } else { 99_999..100_000 })
            .prop_map(|(owner, back, limit, bytes)| Call::Claim(owner, back, limit, bytes)),
        5 => prop::collection::vec(item, 1..mix.most(6)).prop_map(Call::Settle),
        2 => prop::collection::vec((pick(), progress()), 1..4).prop_map(Call::Beat),
        1 => any::<bool>().prop_map(move |strike| if mix.one() { Call::Reap(strike) } else { Call::Wait(1) }),
        3 => control(mix).prop_map(Call::Control),
        1 => (prop::option::of(0..3_i64), 0..3_i64, 0..2_u32, prop::collection::vec(new_job(), 0..2))
            .prop_map(|(prev, next, rev, jobs)| Call::Cron(prev, next, rev, jobs)),
        1 => (if mix.one() { 0..5_u32 } else { 99..100 }).prop_map(Call::Prune),
        1 => (state(), 0..4_u32).prop_map(|(state, limit)| Call::List(state, limit)),
        4 => wait.prop_map(Call::Wait),
    ]
}

struct Run {
    time: Time,
    store: Redis,
    model: Model,
    seqs: [u64; 3],
}

impl Run {
    fn new(tags: Tags) -> Self {
        let time = Time::new();
        let options = fresh().clock(time.clock()).tags(tags);
        Self {
            store: block_on(Redis::open(net(), &url(), options)).unwrap(),
            time,
            model: Model::new(),
            seqs: [1; 3],
        }
    }

    fn fence(&self, Pick(n, wrong): Pick) -> Fence {
        let job = self.model.job(id(n));
        Fence {
            token: job.map_or(1, |job| job.token) + u64::from(wrong),
            owner: job.and_then(|job| job.owner).unwrap_or(Owner(0)),
        }
    }

    fn step(&mut self, call: Call) -> Result<(), TestCaseError> {
        let now = self.time.now();
        match call {
            Call::Enqueue(jobs) => {
                let got = block_on(self.store.enqueue(&jobs)).unwrap();
                prop_assert_eq!(got, self.model.enqueue(&jobs, now));
            }
            Call::Claim(owner, back, limit, bytes) => {
                let at = usize::from(owner);
                let lane = |queue, band, max| {
                    let queue = name(queue);
                    (Lane { queue, band }, max)
                };
                let req = ClaimReq {
                    owner: Owner(u128::from(owner)),
                    seq: self.seqs[at].saturating_sub(back),
                    lanes: vec![
                        lane("mail", 0, 2),
                        lane("push", 0, 9),
                        lane("mail", SUSPECT, 1),
                        lane("push", SUSPECT, 1),
                        lane("mail", 1, 9),
                    ],
                    limit,
                    max_bytes: bytes,
                    lease: LEASE,
                };
                let got = block_on(self.store.claim(&req)).unwrap();
                prop_assert_eq!(got, self.model.claim(&req, now));
                self.seqs[at] += u64::from(back == 0);
            }
            Call::Settle(items) => {
                let settles = items
                    .into_iter()
                    .map(|(pick, outcome, progress, then)| Settle {
                        id: id(pick.0),
                        fence: self.fence(pick),
                        outcome,
                        progress,
                        then,
                    });
                self.settle(&settles.collect::<Vec<_>>(), now)?;
            }
            Call::Reap(strike) => self.reap(strike, now)?,
            Call::Beat(items) => {
                let beats = items.into_iter().map(|(pick, progress)| Beat {
                    id: id(pick.0),
                    fence: self.fence(pick),
                    progress,
                });
                let beats: Vec<_> = beats.collect();
                let got = block_on(self.store.heartbeat(&beats, LEASE)).unwrap();
                prop_assert_eq!(got, self.model.heartbeat(&beats, LEASE, now));
            }
            Call::Control(control) => {
                let mut got = block_on(self.store.control(&control)).unwrap();
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
                let got = block_on(self.store.cron_cas(&cas)).unwrap();
                prop_assert_eq!(got, self.model.cron_cas(&cas, now));
                let got = block_on(self.store.cron_cell(&cas.key)).unwrap();
                prop_assert_eq!(got, self.model.cron_cell(&cas.key, now));
            }
            Call::Prune(limit) => {
                let got = block_on(self.store.prune(limit)).unwrap();
                prop_assert_eq!(got, self.model.prune(limit, now));
            }
            Call::List(state, limit) => self.list(state, limit, now)?,
            Call::Wait(time) => self.time.wait(time),
        }
        self.compare()
    }

    fn settle(&mut self, settles: &[Settle], now: Wall) -> Result<(), TestCaseError> {
        let got = block_on(self.store.settle(settles)).unwrap();
        prop_assert_eq!(got, self.model.settle(settles, now));
        Ok(())
    }

    fn reap(&mut self, strike: bool, now: Wall) -> Result<(), TestCaseError> {
        let all = block_on(self.store.expired(&Cursor::default(), 100)).unwrap();
        prop_assert_eq!(&all, &self.model.expired(&Cursor::default(), 100, now));
        let after = Duration::ZERO;
        let settles = all.items.iter().map(|one| Settle {
            id: one.id,
            fence: one.fence,
            outcome: Outcome::Crashed { after, strike },
            progress: None,
            then: Vec::new(),
        });
        self.settle(&settles.collect::<Vec<_>>(), now)
    }

    /// All pages of it, each from the cursor its own store gave.
    fn list(&self, state: Option<State>, limit: u32, now: Wall) -> Result<(), TestCaseError> {
        let filter = Filter {
            state,
            ..Filter::default()
        };
        let (mut ours, mut theirs) = (Cursor::default(), Cursor::default());
        loop {
            let got = block_on(self.store.list(&filter, &ours, limit)).unwrap();
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
        let got = block_on(self.store.list(&filter, &from, 1000)).unwrap();
        let want = self.model.list(&filter, &from, 1000, self.time.now());
        prop_assert_eq!(got.items, want.items);
        let got = block_on(self.store.stats()).unwrap();
        prop_assert_eq!(got, self.model.stats(self.time.now()));
        let audit = block_on(self.store.audit()).unwrap();
        prop_assert!(audit.flaws.is_empty(), "{:#?}", audit.flaws);
        Ok(())
    }
}

fn same(tags: Tags, calls: Vec<Call>) -> Result<(), TestCaseError> {
    let mut run = Run::new(tags);
    for call in calls {
        run.step(call)?;
    }
    Ok(())
}

fn all(rates: bool, tags: Tags) -> impl Strategy<Value = Vec<Call>> {
    prop::collection::vec(call(Mix { rates, tags }), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn they_do_while_time_goes_on(calls in all(true, Tags::One)) {
        same(Tags::One, calls)?;
    }

    #[test]
    fn they_do_when_the_clock_goes_back(calls in all(false, Tags::One)) {
        same(Tags::One, calls)?;
    }

    #[test]
    fn they_do_with_a_tag_for_each_queue(calls in all(true, Tags::PerQueue)) {
        same(Tags::PerQueue, calls)?;
    }
}
