//! Random calls on few jobs, keys, groups and owners, so that they meet.
#![allow(
    dead_code,
    reason = "each test program that shares this file uses a part of it"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tideway_engine::jobs::call::{
    Beat, ClaimReq, Control, Cursor, Expired, Filter, Lane, Limit, Scope, Select, Settle,
};
use tideway_engine::jobs::{
    Conflict, Failure, Fence, Hold, Id, NewJob, Outcome, Owner, Reason, SUSPECT, Start, State,
    Unique, WaitFailed, shard_of,
};
use tideway_memory::Model;

use crate::short::{job, ms, name};

pub(crate) const LEASE: Duration = ms(200);
/// Of every rate: the log forgets what has left the window, so a longer one could not see it.
const WINDOW: Duration = ms(100);
const JOBS: u128 = 16;

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Enqueue(Vec<NewJob>),
    /// Owner, claims back from the next number, most jobs, most bytes.
    Claim(u8, u64, u32, usize),
    Settle(Vec<Item>),
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

/// Whose lease ends, how, with what checkpoint, and what comes with it.
pub(crate) type Item = (Pick, Outcome, Option<Bytes>, Vec<NewJob>);

/// A job, and whether the fence is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick(pub(crate) u128, pub(crate) bool);

impl Pick {
    /// The current lease of its job, or a later one.
    fn fence(self, mix: Mix, model: &Model) -> Fence {
        let Self(n, wrong) = self;
        let job = model.job(mix.id(n));
        Fence {
            token: job.map_or(1, |job| job.token) + u64::from(wrong),
            owner: job.and_then(|job| job.owner).unwrap_or(Owner(0)),
        }
    }
}

/// The claim numbered `seq` of `owner`. Its last two lanes are other ones for stores and for the model alone: where one
/// is asked twice, a store may order a repeat by lanes.
pub(crate) fn request(
    owner: u8,
    seq: u64,
    last: [(&str, u8, u32); 2],
    limit: u32,
    max_bytes: usize,
) -> ClaimReq {
    let first = [("mail", 0, 2), ("push", 0, 9), ("mail", SUSPECT, 1)];
    let lanes = first.into_iter().chain(last).map(|(queue, band, max)| {
        let queue = name(queue);
        (Lane { queue, band }, max)
    });
    ClaimReq {
        owner: Owner(u128::from(owner)),
        seq,
        lanes: lanes.collect(),
        limit,
        max_bytes,
        lease: LEASE,
    }
}

pub(crate) fn settles(mix: Mix, model: &Model, items: Vec<Item>) -> Vec<Settle> {
    let settles = items.into_iter().map(|(pick, outcome, progress, then)| {
        let fence = pick.fence(mix, model);
        Settle {
            progress,
            then,
            ..Settle::new(mix.id(pick.0), fence, outcome)
        }
    });
    settles.collect()
}

pub(crate) fn beats(mix: Mix, model: &Model, items: Vec<(Pick, Option<Bytes>)>) -> Vec<Beat> {
    let beats = items.into_iter().map(|(pick, progress)| Beat {
        id: mix.id(pick.0),
        fence: pick.fence(mix, model),
        progress,
    });
    beats.collect()
}

/// Charges all of these.
pub(crate) fn charges(expired: &[Expired], strike: bool) -> Vec<Settle> {
    let after = Duration::ZERO;
    let outcome = Outcome::Crashed { after, strike };
    let charges = expired
        .iter()
        .map(|one| Settle::new(one.id, one.fence, outcome.clone()));
    charges.collect()
}

/// What the calls may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// Limits may have a rate.
    pub(crate) rates: bool,
    /// The clock may go back. Beside rates it makes a log of claims stricter than the rule says, and each store in its
    /// own way.
    pub(crate) back: bool,
    /// Each job belongs to a queue, as its id says; else a number is now of one and now of another.
    pub(crate) homed: bool,
    /// Each queue is a place of its own, and a call a step in each: only one item a call has one order.
    pub(crate) apart: bool,
}

impl Mix {
    fn most(self, items: usize) -> usize {
        if self.apart { 2 } else { items }
    }

    /// The id of job `n`.
    pub(crate) fn id(self, n: u128) -> Id {
        match self.homed {
            // Even ones are mail, odd ones are pushed.
            true => id_in(["mail", "push"][(n % 2) as usize], n),
            false => crate::short::id(n),
        }
    }
}

/// An id of `queue` for job `n`.
pub(crate) fn id_in(queue: &str, n: u128) -> Id {
    Id::from_u128(n << 64 | u128::from(shard_of(queue)) << 50)
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
        .prop_map(move |expiry| expiry.filter(|_| !mix.apart));
    let rest = (start, expiry, any::<bool>(), 0..2_u8, any::<bool>());
    (0..JOBS, unique, group, waits, rest).prop_map(move |(n, unique, group, waits, rest)| {
        let (start, expiry, run, band, push) = rest;
        let mut new = job(n, |spec| {
            spec.id = mix.id(n);
            if if mix.homed { n % 2 == 1 } else { push } {
                spec.queue = name("push");
            }
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
            spec.waits = waits.into_iter().map(|n| mix.id(n)).collect();
            if run {
                spec.wait_failed = WaitFailed::Run;
            }
        });
        if n % 4 == 3 {
            // Stores keep large ones elsewhere.
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
            .prop_map(move |ids| Select::Ids(ids.into_iter().map(|n| mix.id(n)).collect()));
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
            (one, filter).prop_map(move |(ids, filter)| if mix.apart { ids } else { filter });
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
        4 => (scope, limit).prop_map(move |(scope, limit)| match mix.apart {
            false => Control::Limit(scope, limit),
            true => Control::Resume(name("mail")),
        }),
    ]
}

fn state() -> impl Strategy<Value = Option<State>> {
    prop::option::of(prop::sample::select(State::ALL.to_vec()))
}

/// What a store is asked all day.
pub(crate) fn call(mix: Mix) -> impl Strategy<Value = Call> {
    let new_job = move || new_job(mix);
    let pick = || (0..JOBS, prop::bool::weighted(0.1)).prop_map(|(n, wrong)| Pick(n, wrong));
    // Where queues are apart, a job of another one that is refused is found out after those that wait for it.
    let accepted = move |mut jobs: Vec<NewJob>| {
        let last = jobs.len() - 1;
        for job in &mut jobs[..last] {
            if mix.apart {
                let spec = Arc::make_mut(&mut job.spec);
                (spec.unique, spec.waits) = (None, Vec::new());
            }
        }
        jobs
    };
    let then = prop::collection::vec(new_job(), 1..3).prop_map(accepted);
    let then = prop_oneof![9 => Just(Vec::new()), 1 => then];
    let progress = || prop::option::of((0..3_u8).prop_map(|n| Bytes::from(vec![n])));
    let back = if mix.back { -90..0_i64 } else { 0..1_i64 };
    let wait = prop_oneof![6 => 1..120_i64, 2 => 150..250_i64, 1 => Just(60_000_i64), 1 => back];
    let item = (
        pick(),
        outcome(),
        prop::option::weighted(0.2, (0..3_u8).prop_map(|n| Bytes::from(vec![n]))),
        then,
    );
    prop_oneof![
        5 => prop::collection::vec(new_job(), 1..mix.most(6)).prop_map(Call::Enqueue),
        6 => (0..3_u8, prop_oneof![8 => Just(0_u64), 1 => 1..3_u64], 0..7_u32, if mix.apart { 99_999..100_000 } else { 0..40_usize })
            .prop_map(|(owner, back, limit, bytes)| Call::Claim(owner, back, limit, bytes)),
        5 => prop::collection::vec(item, 1..mix.most(6)).prop_map(Call::Settle),
        2 => prop::collection::vec((pick(), progress()), 1..4).prop_map(Call::Beat),
        1 => any::<bool>().prop_map(move |strike| if mix.apart { Call::Wait(1) } else { Call::Reap(strike) }),
        3 => control(mix).prop_map(Call::Control),
        1 => (if mix.apart { 99..100 } else { 0..5_u32 }).prop_map(Call::Prune),
        4 => wait.prop_map(Call::Wait),
    ]
}

/// These, and schedules and pages too.
pub(crate) fn any_call(mix: Mix) -> impl Strategy<Value = Call> {
    let slot = (
        prop::option::of(0..3_i64),
        0..3_i64,
        0..2_u32,
        prop::collection::vec(new_job(mix), 0..2),
    );
    prop_oneof![
        27 => call(mix),
        1 => slot.prop_map(|(prev, next, rev, jobs)| Call::Cron(prev, next, rev, jobs)),
        1 => (state(), 0..4_u32).prop_map(|(state, limit)| Call::List(state, limit)),
    ]
}
