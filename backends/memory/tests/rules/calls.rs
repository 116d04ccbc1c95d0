//! Random calls on few jobs, keys, groups and owners, so that they meet.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tideway_engine::jobs::call::{Control, Limit, Scope, Select};
use tideway_engine::jobs::{
    Conflict, Failure, Hold, NewJob, Outcome, Reason, Start, Unique, WaitFailed,
};

use crate::world::{id, job, ms, name};

pub(crate) const LEASE: Duration = ms(200);
/// Of every rate: the log forgets what has left the window, so a longer one could not see it.
const WINDOW: Duration = ms(100);

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Enqueue(Vec<NewJob>),
    /// Owner, claims back from the next number, most jobs, most bytes.
    Claim(u8, u64, u32, usize),
    Settle(Vec<(Pick, Outcome, Vec<NewJob>)>),
    Beat(Vec<(Pick, Option<Bytes>)>),
    /// Settles all leases that have run out.
    Reap(bool),
    Control(Control),
    Prune(u32),
    Wait(i64),
}

/// A job, and whether the fence is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick(pub(crate) u128, pub(crate) bool);

const JOBS: u128 = 16;

fn new_job() -> impl Strategy<Value = NewJob> {
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
    let expiry = prop::option::weighted(0.1, (1..300_u64).prop_map(ms));
    let rest = (start, expiry, any::<bool>(), 0..2_u8, any::<bool>());
    (0..JOBS, unique, group, waits, rest).prop_map(|(n, unique, group, waits, rest)| {
        let (start, expiry, run, band, push) = rest;
        let mut new = job(n, |spec| {
            if push {
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
            spec.waits = waits.into_iter().map(id).collect();
            if run {
                spec.wait_failed = WaitFailed::Run;
            }
        });
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

fn control() -> impl Strategy<Value = Control> {
    let select = || {
        prop::collection::vec(0..JOBS, 1..4)
            .prop_map(|ids| Select::Ids(ids.into_iter().map(id).collect()))
    };
    let start = || (0..50_u64).prop_map(|n| Start::After(ms(n)));
    let queue = || any::<bool>().prop_map(|push| name(if push { "push" } else { "mail" }));
    let group = any::<bool>().prop_map(|x| name(if x { "x" } else { "y" }));
    let scope = prop_oneof![
        queue().prop_map(Scope::Queue),
        queue().prop_map(Scope::EachGroup),
        (queue(), group).prop_map(|(queue, group)| Scope::Group(queue, group)),
    ];
    let limit =
        (prop::option::of(0..4_u32), prop::option::of(0..4_u32)).prop_map(|(running, rate)| {
            Limit {
                running,
                rate: rate.map(|n| (n, WINDOW)),
            }
        });
    prop_oneof![
        2 => select().prop_map(Control::Cancel),
        1 => (select(), start()).prop_map(|(select, start)| Control::Reschedule(select, start)),
        2 => (select(), start()).prop_map(|(select, start)| Control::Revive(select, start)),
        1 => select().prop_map(Control::Delete),
        1 => queue().prop_map(Control::Pause),
        2 => queue().prop_map(Control::Resume),
        4 => (scope, limit).prop_map(|(scope, limit)| Control::Limit(scope, limit)),
    ]
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    let pick = || (0..JOBS, prop::bool::weighted(0.1)).prop_map(|(n, wrong)| Pick(n, wrong));
    let then = prop_oneof![9 => Just(Vec::new()), 1 => prop::collection::vec(new_job(), 1..3)];
    let progress = prop::option::of((0..3_u8).prop_map(|n| Bytes::from(vec![n])));
    let wait =
        prop_oneof![6 => 1..120_i64, 2 => 150..250_i64, 1 => Just(60_000_i64), 1 => -90..0_i64];
    prop_oneof![
        5 => prop::collection::vec(new_job(), 1..6).prop_map(Call::Enqueue),
        6 => (0..3_u8, prop_oneof![8 => Just(0_u64), 1 => 1..3_u64], 0..7_u32, 0..40_usize)
            .prop_map(|(owner, back, limit, bytes)| Call::Claim(owner, back, limit, bytes)),
        5 => prop::collection::vec((pick(), outcome(), then), 1..6).prop_map(Call::Settle),
        2 => prop::collection::vec((pick(), progress), 1..4).prop_map(Call::Beat),
        1 => any::<bool>().prop_map(Call::Reap),
        3 => control().prop_map(Call::Control),
        1 => (0..5_u32).prop_map(Call::Prune),
        4 => wait.prop_map(Call::Wait),
    ]
}
