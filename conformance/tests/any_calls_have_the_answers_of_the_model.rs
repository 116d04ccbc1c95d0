//! The stores that Tideway brings, held against the model in memory by random calls.

#[path = "job_stores/calls.rs"]
mod calls;
#[path = "job_stores/postgres.rs"]
mod postgres;
#[path = "job_stores/redis.rs"]
mod redis;
#[path = "job_stores/same.rs"]
mod same;
#[path = "job_stores/short.rs"]
mod short;
#[path = "job_stores/sqlite.rs"]
mod sqlite;
#[path = "job_stores/tokio_multi.rs"]
mod tokio_multi;

use bytes::Bytes;
use calls::{Call, Mix, Pick};
use postgres::OnPostgres;
use redis::OnRedis;
use same::{property, same};
use sqlite::OnSqlite;
use tideway_conformance::jobs::Harness;
use tideway_engine::jobs::call::{Control, Limit, Scope, Select};
use tideway_engine::jobs::{Conflict, Hold, Outcome, Unique};
use tideway_redis::Tags;
use tideway_sqlite::Synchronous;
use tokio_multi::{net, run};

/// Time goes on.
const ON: Mix = Mix {
    rates: true,
    back: false,
    homed: false,
    apart: false,
};

/// Time goes back too.
const BACK: Mix = Mix {
    rates: false,
    back: true,
    ..ON
};

/// As Redis asks: the id says the queue.
const fn homed(mix: Mix) -> Mix {
    Mix { homed: true, ..mix }
}

fn on_sqlite() -> OnSqlite {
    OnSqlite::new(run).synchronous(Synchronous::Normal)
}

fn on_postgres() -> OnPostgres {
    OnPostgres::new(net, run)
}

fn on_redis(tags: Tags) -> OnRedis {
    OnRedis::new(redis::server, net(), run).tags(tags)
}

property! {
    sqlite_while_time_goes_on: 150 cases of ON, on on_sqlite();
    sqlite_when_the_clock_goes_back: 150 cases of BACK, on on_sqlite();
    postgres_while_time_goes_on: 60 cases of ON, on on_postgres();
    postgres_when_the_clock_goes_back: 60 cases of BACK, on on_postgres();
    redis_while_time_goes_on: 100 cases of homed(ON), on on_redis(Tags::One);
    redis_when_the_clock_goes_back: 100 cases of homed(BACK), on on_redis(Tags::One);
    redis_with_a_tag_for_each_queue: 100 cases of Mix { apart: true, ..homed(ON) }, on on_redis(Tags::PerQueue);
}

/// Two keys of two queues, held for 25 ms: an enqueue of the second finds the clock at their end, one of the first then
/// finds it before. What a store tidies up between must not matter.
fn a_hold_that_ended_counts_again_when_the_clock_goes_back(mix: Mix) -> Vec<Call> {
    let job = |n| {
        let job = short::job(n, |spec| {
            spec.id = mix.id(n);
            spec.queue = short::name(if n % 2 == 0 { "mail" } else { "push" });
            spec.unique = Some(Unique {
                key: short::name("k"),
                hold: Hold::For(short::ms(25)),
                conflict: Conflict::Keep,
            });
        });
        Call::Enqueue(vec![job])
    };
    let enqueue = [job(0), Call::Wait(25), job(1), Call::Wait(-2), job(2)];
    let prune = [Call::Wait(2), Call::Prune(100), Call::Wait(-2), job(4)];
    enqueue.into_iter().chain(prune).collect()
}

/// A late job of a group that may start none: a claim that ends before it by its bytes, and one that comes to it, leave it
/// where it is.
fn a_claim_does_not_look_at_a_closed_group(mix: Mix) -> Vec<Call> {
    let job = |n, late: bool| {
        let job = short::job(n, |spec| {
            spec.id = mix.id(n);
            if late {
                spec.group = Some(short::name("x"));
                spec.expiry = Some(short::ms(1));
            }
        });
        Call::Enqueue(vec![job])
    };
    let none = Limit {
        running: Some(0),
        rate: None,
    };
    let limit = Control::Limit(Scope::EachGroup(short::name("mail")), none);
    let claims = [Call::Claim(0, 0, 2, 0), Call::Claim(0, 0, 2, 40)];
    let jobs = [job(14, true), job(0, false), Call::Wait(1)];
    jobs.into_iter()
        .chain([Call::Control(limit)])
        .chain(claims)
        .collect()
}

/// Two jobs of different queues come with a success, and the second waits for the first.
fn follow_up_jobs_wait_for_one_another(mix: Mix) -> Vec<Call> {
    let job = |n, queue, waits: &[u128]| {
        short::job(n, |spec| {
            spec.id = mix.id(n);
            spec.queue = short::name(queue);
            spec.waits = waits.iter().map(|n| mix.id(*n)).collect();
        })
    };
    let claim = || Call::Claim(0, 0, 1, 99_999);
    let done = |n, then| {
        let succeeded = Outcome::Succeeded(Bytes::new());
        Call::Settle(vec![(Pick(n, false), succeeded, None, then)])
    };
    let both = vec![job(6, "mail", &[]), job(1, "push", &[6])];
    let chain = [claim(), done(6, Vec::new()), claim(), done(1, Vec::new())];
    let first = [Call::Enqueue(vec![job(9, "push", &[])]), claim()];
    first
        .into_iter()
        .chain([done(9, both)])
        .chain(chain)
        .collect()
}

/// A job that was cancelled, and perhaps abandoned before: its last strike comes too early, and then stops it.
fn a_charge_stops_what_was_cancelled(mix: Mix, abandoned: bool) -> Vec<Call> {
    let job = short::job(2, |spec| {
        spec.id = mix.id(2);
        spec.strikes = 1;
    });
    let settle = |outcome| Call::Settle(vec![(Pick(2, false), outcome, None, Vec::new())]);
    let charge = || {
        settle(Outcome::Crashed {
            after: short::ms(0),
            strike: true,
        })
    };
    let mut calls = vec![Call::Enqueue(vec![job]), Call::Claim(0, 0, 1, 99_999)];
    calls.extend(abandoned.then(|| settle(Outcome::Abandoned)));
    let cancel = Control::Cancel(Select::Ids(vec![mix.id(2)]));
    calls.extend([Call::Control(cancel), charge(), Call::Wait(200), charge()]);
    calls
}

fn each_has_the_answers<H: Harness>(mix: Mix, on: impl Fn() -> H) {
    for calls in [
        a_hold_that_ended_counts_again_when_the_clock_goes_back(mix),
        a_claim_does_not_look_at_a_closed_group(mix),
        follow_up_jobs_wait_for_one_another(mix),
        a_charge_stops_what_was_cancelled(mix, false),
        a_charge_stops_what_was_cancelled(mix, true),
    ] {
        same(on(), mix, calls).expect("the same answers");
    }
}

#[test]
fn sqlite_in_cases_that_once_differed() {
    each_has_the_answers(ON, on_sqlite);
}

#[test]
fn postgres_in_cases_that_once_differed() {
    each_has_the_answers(ON, on_postgres);
}

#[test]
fn redis_in_cases_that_once_differed() {
    each_has_the_answers(homed(ON), || on_redis(Tags::One));
    each_has_the_answers(homed(ON), || on_redis(Tags::PerQueue));
}
