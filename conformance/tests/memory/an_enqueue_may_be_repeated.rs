//! The id makes an enqueue idempotent, for as long as the id is known.

use bytes::Bytes;
use tideway_engine::jobs::Start;
use tideway_engine::jobs::call::Enqueued;

use crate::world::*;

#[test]
fn the_same_job_is_a_duplicate_and_another_of_its_id_a_conflict() {
    let mut world = World::new();
    assert_eq!(world.enqueue(&[plain(1)]), [Enqueued::Inserted]);
    let before = world.model.clone();
    world.now += 5;
    let mut later = plain(1);
    later.start = Start::After(ms(5));
    let mut other = plain(1);
    other.payload = Bytes::from_static(b"other");
    assert_eq!(
        world.enqueue(&[plain(1), later, other]),
        [
            Enqueued::Duplicate,
            Enqueued::Duplicate,
            Enqueued::IdConflict
        ]
    );
    assert!(world.model == before);
}

#[test]
fn one_bad_job_leaves_its_neighbours_alone() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let mut other = plain(1);
    other.payload = Bytes::new();
    assert_eq!(
        world.enqueue(&[
            plain(2),
            other,
            waiting(3, &[77]),
            waiting(4, &[2]),
            waiting(5, &[5])
        ]),
        [
            Enqueued::Inserted,
            Enqueued::IdConflict,
            Enqueued::UnknownWait(id(77)),
            Enqueued::Inserted,
            Enqueued::UnknownWait(id(5)),
        ]
    );
    assert_eq!(ids(&world.claim(A, 9)), [1, 2]);
}

#[test]
fn an_id_is_known_until_its_record_is_pruned() {
    let mut world = World::new();
    let short = job(1, |spec| spec.keep.succeeded = ms(1));
    world.enqueue(std::slice::from_ref(&short));
    let got = world.claim(A, 1);
    world.settle(&got[0], done());
    world.now += 59_999;
    assert_eq!(world.prune(), 0);
    assert_eq!(
        world.enqueue(std::slice::from_ref(&short)),
        [Enqueued::Duplicate]
    );
    world.now += 1;
    assert_eq!(world.prune(), 1);
    assert_eq!(world.enqueue(&[short]), [Enqueued::Inserted]);
}
