//! A row that somebody or some disk has damaged blocks nobody and stays visible.

use tideway::jobs::JobStore;
use tideway_engine::jobs::{Reason, Record, State};

use crate::world::{
    LEASE, World, block_on, claim, enqueue, id, job, plain, record, request, settle, sound,
};

fn damaged(sql: &str) {
    let world = World::new();
    let store = world.open();
    enqueue(&store, &[plain(1), plain(2), plain(3)]);
    let changed = world.raw().execute(sql, []).unwrap();
    assert_eq!(changed, 1, "{sql}");

    let jobs = claim(&store, &request(7, 1, 10));
    let ids: Vec<u128> = jobs.iter().map(|job| job.id().as_u128()).collect();
    assert_eq!(ids, [1, 3], "{sql}");

    let job = record(&store, 2);
    assert_eq!(
        (job.state, job.reason),
        (State::Dead, Some(Reason::Corrupt)),
        "{sql}"
    );
    assert_eq!(&*job.spec.queue, "mail");
    let stats = block_on(store.stats()).unwrap();
    assert_eq!((stats.queues[0].dead, stats.queues[0].running), (1, 2));
    sound(&store);

    for job in &jobs {
        settle(&store, job);
    }
    world.wait(31 * 24 * 3600 * 1000);
    assert_eq!(
        block_on(store.prune(10)),
        Ok(3),
        "it goes when its time is over: {sql}"
    );
    sound(&store);
}

#[test]
fn whose_specification_is_none() {
    damaged("UPDATE job SET spec = x'00ff' WHERE id = x'00000000000000000000000000000002'");
}

#[test]
fn whose_specification_another_release_packed_waits_for_it() {
    let world = World::new();
    let store = world.open();
    let expires = job(2, |spec| spec.expiry = Some(LEASE * 3));
    enqueue(&store, &[plain(1), expires, plain(3)]);
    let pack = |as_version: &str| {
        let sql = format!(
            "UPDATE job SET spec = CAST(x'{as_version}' || substr(spec, 2) AS BLOB) WHERE n = 2"
        );
        assert_eq!(world.raw().execute(&sql, []).unwrap(), 1);
    };
    pack("02");
    let ids = |jobs: &[Record]| jobs.iter().map(Record::id).collect::<Vec<_>>();
    assert_eq!(ids(&claim(&store, &request(7, 1, 10))), [id(1), id(3)]);
    let left = record(&store, 2);
    assert_eq!((left.state, left.reason), (State::Pending, None));
    assert_eq!((left.attempt, left.returns), (0, 1));
    sound(&store);

    // The other release, which can read it.
    pack("01");
    world.wait(29_999);
    assert_eq!(ids(&claim(&store, &request(8, 1, 10))), []);
    world.wait(1);
    assert_eq!(ids(&claim(&store, &request(8, 2, 10))), [id(2)]);
    sound(&store);
}

#[test]
fn whose_specification_another_release_packed_before_it_was_damaged() {
    damaged(
        "UPDATE job SET spec = CAST(x'02' || substr(spec, 2) AS BLOB), kind = '', errors = '{' WHERE n = 2",
    );
}

#[test]
fn whose_specification_is_that_of_another() {
    damaged("UPDATE job SET spec = (SELECT spec FROM job WHERE n = 1) WHERE n = 2");
}

#[test]
fn whose_columns_make_no_sense() {
    damaged("UPDATE job SET kind = '', errors = '{', token = 'many' WHERE n = 2");
}

#[test]
fn whose_payload_is_gone() {
    damaged("UPDATE job SET payload = NULL WHERE n = 2");
}

#[test]
fn the_audit_tells_of_one_that_nobody_has_met() {
    let world = World::new();
    let store = world.open();
    enqueue(&store, &[plain(1)]);
    world
        .raw()
        .execute("UPDATE job SET spec = x''", [])
        .unwrap();
    let flaws = block_on(store.audit()).unwrap().flaws;
    assert!(flaws[0].contains("cannot be read"), "{flaws:?}");
}

#[test]
fn the_audit_tells_of_a_wrong_count_a_lost_hold_and_a_lost_waiter() {
    for sql in [
        "UPDATE tally SET n = n + 1",
        "INSERT INTO hold VALUES ('mail', 'k', x'00000000000000000000000000000001', 1, NULL); \
         UPDATE job SET state = 4, reason = '\"fatal\"', ended_at = 1",
        "INSERT INTO waiter VALUES (x'01', x'02')",
        "UPDATE job SET parked = 1",
        "UPDATE job SET band = 3",
        "UPDATE job SET prune_at = 3",
        "INSERT INTO blocked VALUES ('mail', 'x', NULL, 0)",
        "INSERT INTO body VALUES (77, x'00')",
        "INSERT INTO taken VALUES ('mail', 'x', 1, 1)",
    ] {
        let world = World::new();
        let store = world.open();
        enqueue(&store, &[plain(1)]);
        sound(&store);
        world.raw().execute_batch(sql).unwrap();
        let flaws = block_on(store.audit()).unwrap().flaws;
        assert!(!flaws.is_empty(), "not seen: {sql}");
    }
}
