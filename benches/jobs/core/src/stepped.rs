//! `step` over a thousand records that are claimed, beat for and put off again and again.

use std::hint::black_box;
use std::time::Duration;

use bench_jobs::Watch;
use tideway_engine::Wall;
use tideway_engine::jobs::{Event, Fence, Outcome, Owner, Record, step};

use crate::looped::new_jobs;

const RECORDS: usize = 1000;

pub(crate) fn run(jobs: usize) {
    let now = Wall(1_000_000);
    let mut records: Vec<Record> = new_jobs(0, RECORDS)
        .iter()
        .map(|new| Record::accepted(new, Vec::new(), now))
        .collect();
    let rounds = jobs.div_ceil(RECORDS);
    let watch = Watch::start();
    for round in 0..rounds {
        let now = Wall(now.0 + round as i64);
        for record in &mut records {
            turn(record, now);
        }
    }
    crate::report("step", rounds * RECORDS * 3, watch.lap(), 3);
}

/// Pending → running → running → pending.
fn turn(record: &mut Record, now: Wall) {
    let owner = Owner(7);
    let lease = Duration::from_secs(30);
    let claim = Event::Claim {
        owner,
        seq: 1,
        lease,
    };
    step(record, black_box(&claim), now).expect("claimed");
    let fence = Fence {
        token: record.token,
        owner,
    };
    let beat = Event::Beat {
        fence,
        lease,
        progress: None,
    };
    step(record, black_box(&beat), now).expect("beaten");
    let settle = Event::Settle {
        fence,
        outcome: &Outcome::Snoozed(Duration::from_millis(1)),
        progress: None,
    };
    step(record, black_box(&settle), now).expect("settled");
}
