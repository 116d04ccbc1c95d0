//! A row that somebody or some disk has damaged blocks nobody and stays visible. One of another release waits for it.

use tideway::jobs::JobStore;
use tideway_engine::jobs::call::{ClaimReq, Control, Limit, Scope};
use tideway_engine::jobs::{NewJob, Reason, Record, State};
use tideway_postgres::Postgres;

use crate::world::{LEASE, World, block_on, id, job, name, plain, record, request, sound};

const SECOND: &str = "id = '00000000-0000-0000-0000-000000000002'";

fn enqueue(store: &Postgres, jobs: &[NewJob]) {
    block_on(store.enqueue(jobs)).unwrap();
}

fn claim(store: &Postgres, req: &ClaimReq) -> Vec<u128> {
    let jobs = block_on(store.claim(req)).unwrap().jobs;
    jobs.iter().map(|job: &Record| job.id().as_u128()).collect()
}

/// With a limit that nothing meets, claims go the long way.
fn limit(store: &Postgres) {
    let limit = Limit {
        running: Some(100),
        ..Limit::default()
    };
    let control = Control::Limit(Scope::Queue(name("mail")), limit);
    block_on(store.control(&control)).unwrap();
}

fn damaged(set: &str, limited: bool) {
    let world = World::new();
    let store = world.open();
    enqueue(&store, &[plain(1), plain(2), plain(3)]);
    if limited {
        limit(&store);
    }
    world.sql(&format!("UPDATE {{s}}.job SET {set} WHERE {SECOND}"));
    assert_eq!(claim(&store, &request(7, 1, 10)), [1, 3], "{set}");
    let job = record(&store, 2).unwrap();
    assert_eq!(
        (job.state, job.reason),
        (State::Dead, Some(Reason::Corrupt)),
        "{set}"
    );
    assert_eq!(&*job.spec.queue, "mail");
    sound(&store);
}

#[test]
fn whose_specification_is_none() {
    damaged("spec = '\\x00ff'", false);
    damaged("spec = '\\x00ff'", true);
}

#[test]
fn whose_specification_another_release_packed_before_it_was_damaged() {
    damaged("spec = set_byte(spec, 0, 2), more = '{'", false);
}

fn of_another_release(limited: bool) {
    let world = World::new();
    let store = world.open();
    let expires = job(2, |spec| spec.expiry = Some(LEASE * 3));
    enqueue(&store, &[plain(1), expires, plain(3)]);
    if limited {
        limit(&store);
    }
    let pack = |version: u8| {
        world.sql(&format!(
            "UPDATE {{s}}.job SET spec = set_byte(spec, 0, {version}) WHERE {SECOND}"
        ));
    };
    pack(2);
    assert_eq!(claim(&store, &request(7, 1, 10)), [1, 3]);
    let left = record(&store, 2).unwrap();
    assert_eq!((left.state, left.reason), (State::Pending, None));
    assert_eq!((left.attempt, left.returns), (0, 1));
    sound(&store);

    // The other release, which can read it.
    pack(1);
    sound(&store);
    world.wait(29_999);
    assert_eq!(claim(&store, &request(8, 1, 10)), [0; 0]);
    world.wait(1);
    assert_eq!(claim(&store, &request(8, 2, 10)), [id(2).as_u128()]);
    sound(&store);
}

#[test]
fn whose_specification_another_release_packed_waits_for_it() {
    of_another_release(false);
    of_another_release(true);
}
