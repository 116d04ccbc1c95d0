//! What a reaper needs to charge a dead worker's jobs, and no live one's.

use bytes::Bytes;
use tideway_engine::jobs::SUSPECT;
use tideway_engine::jobs::call::{Beat, Cursor};

use crate::world::*;

#[test]
fn leases_are_listed_by_id_page_by_page_once_they_ran_out() {
    let mut world = World::new();
    let all: Vec<_> = (1..=5).map(plain).collect();
    world.enqueue(&all);
    let got = world.claim(A, 5);
    world.now += 29_999;
    assert!(world.expired().is_empty());
    world.beat(&got[2]);
    world.now += 1;
    let mut seen = Vec::new();
    let mut from = Cursor::default();
    loop {
        let page = world.model.expired(&from, 2, world.wall());
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|one| one.id.as_u128()));
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(seen, [1, 2, 4, 5]);
    let one = &world.expired()[0];
    assert_eq!(one.fence, fence(&got[0]));
    assert_eq!((one.lease, one.lease_until), (LEASE, got[0].lease_until));
}

#[test]
fn a_lease_of_a_clock_that_was_ahead_counts_as_run_out() {
    let mut world = World::new();
    world.enqueue(&[plain(1)]);
    let got = world.claim(A, 1);
    world.now -= 1;
    assert_eq!(world.expired().len(), 1);
    // Also after the store has been used since.
    world.claim(B, 1);
    assert_eq!(world.expired().len(), 1);
    world.beat(&got[0]);
    assert!(world.expired().is_empty());
}

#[test]
fn peers_are_those_of_the_same_owner_with_as_many_crashes_before() {
    let mut world = World::new();
    world.enqueue(&[plain(1), plain(2), plain(3)]);
    let got = world.claim(A, 2);
    world.claim(B, 1);
    world.now += 30_000;
    let peers = |world: &World| {
        let all = world.expired();
        all.iter()
            .map(|one| (one.crashes, one.peers_at_or_above))
            .collect::<Vec<_>>()
    };
    assert_eq!(peers(&world), [(0, 1), (0, 1), (0, 0)]);
    // One that has been charged still counts, as it was before.
    world.settle(&got[0], crashed());
    assert_eq!(peers(&world), [(0, 1), (0, 0)]);
    world.settle(&got[1], done());

    // The suspect beside a fresh job: the fresh one has a peer above, the suspect has none.
    world.enqueue(&[plain(4)]);
    let mut req = world.request(A, 9);
    req.lanes.insert(0, (lane(SUSPECT), 9));
    let got = world.ask(&req).jobs;
    assert_eq!(ids(&got), [1, 4]);
    world.now += 30_000;
    let ours = |world: &World| peers(world)[..1].to_vec();
    assert_eq!(ours(&world), [(1, 0)]);
    assert_eq!(peers(&world).last(), Some(&(0, 1)));
    // Progress clears it.
    let beat = Beat {
        id: id(1),
        fence: fence(&got[0]),
        progress: Some(Bytes::from_static(b"half")),
    };
    let now = world.wall();
    world.model.heartbeat(&[beat], ms(0), now);
    assert_eq!(ours(&world), [(0, 1)]);
}
