//! Properties of the step table over random histories, and its snapshot.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::rng::{Rng, Seed};
use crate::time::Wall;

pub(super) fn job() -> Record {
    let mut ids = Ids::new(Rng::new(&Seed::from_u64(1)));
    let queue = Name::new("mail").unwrap();
    let new = NewJob {
        spec: Arc::new(Spec {
            band: 3,
            ..Spec::new(ids.next(Wall(0), &queue), queue, Name::new("send").unwrap())
        }),
        payload: Bytes::from_static(b"{}"),
        start: Start::Now,
    };
    Record::accepted(&new, Vec::new(), Wall(0))
}

fn fence(job: &Record) -> Fence {
    Fence {
        token: job.token,
        owner: job.owner.unwrap_or(Owner(0)),
    }
}

const LEASE: Duration = Duration::from_secs(2);

fn claim(job: &mut Record, owner: u128, now: Wall) -> Result<Kind, Refused> {
    let owner = Owner(owner);
    step(
        job,
        &Event::Claim {
            owner,
            seq: 1,
            lease: LEASE,
        },
        now,
    )
}

fn settle(job: &mut Record, outcome: &Outcome, now: Wall) -> Result<Kind, Refused> {
    let fence = fence(job);
    step(
        job,
        &Event::Settle {
            fence,
            outcome,
            progress: None,
        },
        now,
    )
}

fn crash(strike: bool) -> Outcome {
    Outcome::Crashed {
        after: Duration::ZERO,
        strike,
    }
}

#[test]
fn the_table_is_as_documented() {
    let table = crate::render(JOB_TABLE);
    assert_eq!(
        include_str!("step.md"),
        table,
        "step.md should be:\n{table}"
    );
}

#[test]
fn a_finish_after_the_lapse_and_before_the_reap_applies() {
    let mut job = job();
    claim(&mut job, 1, Wall(0)).unwrap();
    let late = Wall(10_000);
    assert!(job.lapsed(late));
    assert_eq!(
        settle(&mut job, &Outcome::Succeeded(Bytes::new()), late),
        Ok(Kind::Succeed)
    );
    assert_eq!(job.payload.len(), 0);
}

#[test]
fn a_late_beat_saves_a_job_from_an_older_page() {
    let mut job = job();
    claim(&mut job, 1, Wall(0)).unwrap();
    let beat = Event::Beat {
        fence: fence(&job),
        lease: LEASE,
        progress: None,
    };
    assert_eq!(step(&mut job, &beat, Wall(2_500)), Ok(Kind::Beat));
    let before = job.clone();
    assert_eq!(
        settle(&mut job, &crash(true), Wall(2_600)),
        Err(Refused::Early)
    );
    assert_eq!(job, before);
}

#[test]
fn a_lease_further_ahead_than_it_lasts_counts_as_lapsed() {
    let mut job = job();
    claim(&mut job, 1, Wall(1_000_000)).unwrap_or_else(|why| panic!("{why}"));
    assert!(!job.lapsed(Wall(1_000_000)));
    assert!(job.lapsed(Wall(999_999)), "the clock went back");
}

#[test]
fn the_third_strike_buries_and_progress_starts_the_count_anew() {
    let mut job = job();
    for strikes in 1..=2 {
        claim(&mut job, 1, Wall(0)).unwrap();
        assert_eq!(settle(&mut job, &crash(true), Wall(5_000)), Ok(Kind::Crash));
        assert_eq!((job.strikes, job.band()), (strikes, SUSPECT));
        job.run_at = Wall(0);
    }
    claim(&mut job, 1, Wall(0)).unwrap();
    let progress = Bytes::from_static(b"half");
    let beat = Event::Beat {
        fence: fence(&job),
        lease: LEASE,
        progress: Some(&progress),
    };
    step(&mut job, &beat, Wall(0)).unwrap();
    assert_eq!(settle(&mut job, &crash(true), Wall(5_000)), Ok(Kind::Crash));
    assert_eq!((job.strikes, job.crashes), (1, 1));
    for last in [Kind::Crash, Kind::Bury] {
        job.run_at = Wall(0);
        claim(&mut job, 1, Wall(0)).unwrap();
        assert_eq!(settle(&mut job, &crash(true), Wall(5_000)), Ok(last));
    }
    assert_eq!((job.state, job.reason), (State::Dead, Some(Reason::Crash)));
}

#[test]
fn an_abandoned_job_waits_for_its_lease_and_is_no_crash() {
    let mut job = job();
    claim(&mut job, 1, Wall(0)).unwrap();
    assert_eq!(
        settle(&mut job, &Outcome::Abandoned, Wall(10)),
        Ok(Kind::Abandon)
    );
    assert_eq!(
        settle(&mut job, &crash(true), Wall(1_999)),
        Err(Refused::Early)
    );
    assert_eq!(settle(&mut job, &crash(true), Wall(2_000)), Ok(Kind::Lapse));
    assert_eq!(
        (job.attempt, job.crashes, job.state),
        (0, 0, State::Pending)
    );
}

#[test]
fn an_abandoned_job_that_was_cancelled_is_stopped_when_its_lease_is_out() {
    for outcome in [Outcome::Lapsed, crash(false), crash(true)] {
        let mut job = job();
        Arc::make_mut(&mut job.spec).strikes = 1;
        claim(&mut job, 1, Wall(0)).unwrap();
        settle(&mut job, &Outcome::Abandoned, Wall(10)).unwrap();
        step(&mut job, &Event::Cancel, Wall(11)).unwrap();
        assert_eq!(
            settle(&mut job, &outcome, Wall(1_999)),
            Err(Refused::Early),
            "{outcome:?}"
        );
        assert_eq!(settle(&mut job, &outcome, Wall(2_000)), Ok(Kind::Stop));
        assert_eq!(
            (job.state, job.reason, job.flaws()),
            (State::Cancelled, Some(Reason::Asked), vec![])
        );
    }
}

#[test]
fn a_charge_of_a_lease_that_lasts_is_early_though_somebody_cancelled() {
    let mut job = job();
    claim(&mut job, 1, Wall(0)).unwrap();
    step(&mut job, &Event::Cancel, Wall(1)).unwrap();
    let before = job.clone();
    assert_eq!(
        settle(&mut job, &crash(false), Wall(1_999)),
        Err(Refused::Early)
    );
    assert_eq!(job, before);
}

#[test]
fn a_revival_is_a_new_start_for_whatever_counts_from_the_enqueue() {
    let mut job = job();
    Arc::make_mut(&mut job.spec).expiry = Some(Duration::from_secs(1));
    assert_eq!(
        step(&mut job, &Event::Expire, Wall(1_000)),
        Ok(Kind::Expire)
    );
    let revive = Event::Revive(Start::After(Duration::from_millis(100)));
    assert_eq!(step(&mut job, &revive, Wall(60_000)), Ok(Kind::Revive));
    assert_eq!((job.enqueued_at, job.run_at), (Wall(60_000), Wall(60_100)));
    assert_eq!(job.expires_at(), Some(Wall(61_000)));
}

#[test]
fn a_cancel_overrides_a_retry_but_not_a_success() {
    for (outcome, kind) in [
        (
            Outcome::Retry {
                after: Duration::ZERO,
                failure: Failure::new("no"),
            },
            Kind::Stop,
        ),
        (Outcome::Snoozed(Duration::ZERO), Kind::Stop),
        (crash(false), Kind::Stop),
        (Outcome::Succeeded(Bytes::new()), Kind::Succeed),
    ] {
        let mut job = job();
        claim(&mut job, 1, Wall(0)).unwrap();
        assert_eq!(step(&mut job, &Event::Cancel, Wall(1)), Ok(Kind::Cancel));
        assert_eq!(settle(&mut job, &outcome, Wall(5_000)), Ok(kind));
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let delay = (0_u64..3_000).prop_map(Duration::from_millis);
    prop_oneof![
        Just(Outcome::Succeeded(Bytes::from_static(b"ok"))),
        delay.clone().prop_map(|after| Outcome::Retry {
            after,
            failure: Failure::new("no")
        }),
        Just(Outcome::Dead {
            reason: Reason::Fatal,
            failure: Failure::new("no")
        }),
        Just(Outcome::Cancelled),
        delay.clone().prop_map(Outcome::Snoozed),
        (delay.clone(), any::<bool>())
            .prop_map(|(after, unknown)| Outcome::Released { after, unknown }),
        Just(Outcome::Abandoned),
        Just(Outcome::Lapsed),
        (delay, any::<bool>()).prop_map(|(after, strike)| Outcome::Crashed { after, strike }),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Claim(u8),
    /// With the fence of the n-th claim.
    Beat(usize, Option<u8>),
    Settle(usize, Outcome),
    Cancel,
    Expire,
    Reschedule(u16),
    Revive,
}

fn acts() -> impl Strategy<Value = Vec<(u16, Act)>> {
    let act = prop_oneof![
        4 => any::<u8>().prop_map(Act::Claim),
        2 => (0_usize..4, any::<Option<u8>>()).prop_map(|(n, progress)| Act::Beat(n, progress)),
        4 => (0_usize..4, outcomes()).prop_map(|(n, outcome)| Act::Settle(n, outcome)),
        1 => Just(Act::Cancel),
        1 => Just(Act::Expire),
        1 => any::<u16>().prop_map(Act::Reschedule),
        1 => Just(Act::Revive),
    ];
    prop::collection::vec((0_u16..4_000, act), 0..60)
}

proptest! {
    #[test]
    fn whatever_happens_a_job_stays_sound(acts in acts()) {
        let mut job = job();
        let mut now = Wall(0);
        let mut fences: Vec<Fence> = vec![Fence { token: 0, owner: Owner(9) }];
        for (wait, act) in acts {
            now = Wall(now.0 + i64::from(wait));
            let before = job.clone();
            let newest = |n: usize, fences: &[Fence]| fences[fences.len().saturating_sub(1 + n)];
            let applied = match &act {
                Act::Claim(owner) => step(&mut job, &Event::Claim { owner: Owner(u128::from(*owner)), seq: 1, lease: LEASE }, now),
                Act::Beat(n, progress) => {
                    let progress = progress.map(|p| Bytes::from(vec![p]));
                    let fence = newest(*n, &fences);
                    step(&mut job, &Event::Beat { fence, lease: LEASE, progress: progress.as_ref() }, now)
                }
                Act::Settle(n, outcome) => {
                    let fence = newest(*n, &fences);
                    let event = Event::Settle { fence, outcome, progress: None };
                    let first = step(&mut job, &event, now);
                    // A repeat changes nothing, whatever became of the first.
                    if !matches!(outcome, Outcome::Abandoned) {
                        let after = job.clone();
                        prop_assert!(step(&mut job, &event, now).is_err());
                        prop_assert_eq!(&job, &after);
                    }
                    first
                }
                Act::Cancel => step(&mut job, &Event::Cancel, now),
                Act::Expire => step(&mut job, &Event::Expire, now),
                Act::Reschedule(after) => step(&mut job, &Event::Reschedule(Start::After(Duration::from_millis(u64::from(*after)))), now),
                Act::Revive => step(&mut job, &Event::Revive(Start::Now), now),
            };
            match applied {
                Err(_) => prop_assert_eq!(&job, &before, "a refused event changed something"),
                Ok(kind) => {
                    prop_assert_eq!(next_state(before.state, kind), Some(job.state));
                    if kind == Kind::Claim {
                        prop_assert_eq!(job.token, before.token + 1);
                        prop_assert!(before.run_at <= now, "claimed early");
                        fences.push(fence(&job));
                    } else {
                        prop_assert_eq!(job.token, before.token);
                    }
                    if let Act::Beat(..) | Act::Settle(..) = act {
                        prop_assert_eq!(before.state, State::Running);
                    }
                }
            }
            prop_assert!(job.errors.len() <= Record::MAX_ERRORS);
            prop_assert_eq!(job.state.ended(), job.ended_at.is_some());
            prop_assert!(job.strikes <= u32::from(job.spec.strikes));
            prop_assert_eq!(job.reason.is_some(), matches!(job.state, State::Dead | State::Cancelled));
        }
    }
}

#[test]
fn a_digest_is_stored_so_it_never_changes() {
    assert_eq!(job().digest, 0x4cef_92d5_9273_7997);
}
