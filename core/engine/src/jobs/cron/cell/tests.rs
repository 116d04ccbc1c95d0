//! Workers that plan from stale cells, with clocks of their own, lose replies, restart and roll out
//! a new schedule, against a model of the one thing a store does.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;

fn entry(text: &str, rev: u32) -> Entry {
    Entry {
        key: Name::new("report").unwrap(),
        rev,
        schedule: Schedule::parse(text).unwrap(),
        missed: Missed::All(100),
        overlap: Overlap::Allow,
        queue: Name::new("mail").unwrap(),
    }
}

fn cell(entry: &Entry, slot: i64) -> Cell {
    let (slot, rev, spec) = (Wall(slot), entry.rev, entry.schedule.spec());
    Cell {
        slot,
        rev,
        spec,
        last_job: None,
    }
}

/// The store: one cell, and what it inserted.
#[derive(Default)]
struct Store {
    cell: Option<Cell>,
    /// By `rev`, the slot each began after.
    began: BTreeMap<u32, Wall>,
    fired: Vec<(u32, Firing)>,
}

impl Store {
    fn swap(&mut self, prev: Option<Wall>, next: &Cell, fire: &[Firing]) -> bool {
        let rev = self.cell.as_ref().map_or(0, |cell| cell.rev);
        if self.cell.as_ref().map(|cell| cell.slot) != prev || rev > next.rev {
            return false;
        }
        if fire.is_empty() {
            assert_eq!(
                self.began.insert(next.rev, next.slot),
                None,
                "rev {} begins twice",
                next.rev
            );
        }
        self.fired
            .extend(fire.iter().map(|firing| (next.rev, *firing)));
        self.cell = Some(next.clone());
        true
    }
}

struct Worker {
    entry: Entry,
    /// How far its idea of the store's clock is off, in milliseconds.
    skew: i64,
    seen: Option<Cell>,
    planned: Option<Plan>,
}

#[derive(Clone, Debug)]
enum Act {
    Pass(i64),
    Look(usize),
    Plan(usize),
    Try { worker: usize, reply: bool },
    Restart(usize),
    Deploy(usize),
}

fn act(workers: usize) -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..90_000_i64).prop_map(Act::Pass),
        2 => (0..workers).prop_map(Act::Look),
        4 => (0..workers).prop_map(Act::Plan),
        4 => (0..workers, any::<bool>()).prop_map(|(worker, reply)| Act::Try { worker, reply }),
        1 => (0..workers).prop_map(Act::Restart),
        1 => (0..workers).prop_map(Act::Deploy),
    ]
}

impl Worker {
    fn plan(&mut self, now: i64) {
        self.planned = Some(plan(&self.entry, self.seen.as_ref(), Wall(now + self.skew)));
    }

    fn attempt(&mut self, store: &mut Store, reply: bool) {
        if let Some(Plan::Swap { prev, next, fire }) = &self.planned {
            store.swap(*prev, next, fire);
            if reply {
                self.seen.clone_from(&store.cell);
                self.planned = None;
            }
        }
    }
}

const OLD: &str = "* * * * *";
const NEW: &str = "@every 47s";

fn run(acts: &[Act], skews: &[i64], missed: Missed) -> (Store, i64) {
    let worker = |skew: &i64| {
        let entry = Entry {
            missed,
            ..entry(OLD, 1)
        };
        Worker {
            entry,
            skew: *skew,
            seen: None,
            planned: None,
        }
    };
    let mut workers: Vec<Worker> = skews.iter().map(worker).collect();
    let (mut store, mut now) = (Store::default(), 1_700_000_000_123);
    for act in acts {
        match *act {
            Act::Pass(millis) => now += millis,
            Act::Look(worker) => workers[worker].seen.clone_from(&store.cell),
            Act::Plan(worker) => workers[worker].plan(now),
            Act::Try { worker, reply } => workers[worker].attempt(&mut store, reply),
            Act::Restart(worker) => (workers[worker].seen, workers[worker].planned) = (None, None),
            Act::Deploy(worker) => {
                let entry = Entry {
                    missed,
                    ..entry(NEW, 2)
                };
                let skew = workers[worker].skew;
                workers[worker] = Worker {
                    entry,
                    skew,
                    seen: None,
                    planned: None,
                };
            }
        }
    }
    // Then all is quiet, and everybody plans until nobody has anything to do.
    for turn in 0..10 * skews.len() {
        let worker = &mut workers[turn % skews.len()];
        worker.seen.clone_from(&store.cell);
        worker.plan(now);
        worker.attempt(&mut store, true);
    }
    (store, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_slot_fires_once_whatever_the_workers_do(
        skews in prop::collection::vec(-400..400_i64, 3),
        acts in prop::collection::vec(act(3), 0..120),
    ) {
        let (store, now) = run(&acts, &skews, Missed::All(100));
        let cell = store.cell.unwrap();
        let slots: BTreeSet<Wall> = store.fired.iter().map(|(_, firing)| firing.slot).collect();
        prop_assert_eq!(slots.len(), store.fired.len(), "a slot fired twice");
        let early = store.fired.iter().find(|(_, firing)| firing.slot.0 > now + 400);
        prop_assert_eq!(early, None);
        let last = store.fired.last().map(|(_, firing)| firing.id);
        prop_assert_eq!(cell.last_job, last);
        // Each schedule fired all its slots from where it began to where the cell is.
        for (rev, began) in &store.began {
            let schedule = entry(if *rev == 1 { OLD } else { NEW }, 0).schedule;
            let fired: Vec<Wall> = store.fired.iter().filter(|(by, _)| by == rev).map(|(_, firing)| firing.slot).collect();
            let end = if *rev == cell.rev { cell.slot } else { fired.last().copied().unwrap_or(*began) };
            let mut wanted = Vec::new();
            let mut slot = schedule.after(*began);
            while let Some(found) = slot.filter(|slot| *slot <= end) {
                wanted.push(found);
                slot = schedule.after(found);
            }
            prop_assert_eq!(&fired, &wanted);
            // The newest `rev` left nothing that is due by the slowest clock.
            if *rev == cell.rev {
                prop_assert!(slot.is_none_or(|slot| slot.0 > now - 400), "{:?} is due", slot);
            }
        }
    }

    #[test]
    fn no_slot_fires_twice_under_the_other_policies(
        skews in prop::collection::vec(-400..400_i64, 3),
        acts in prop::collection::vec(act(3), 0..120),
        once: bool,
    ) {
        let (store, _) = run(&acts, &skews, if once { Missed::RunOnce } else { Missed::Skip });
        let slots: Vec<Wall> = store.fired.iter().map(|(_, firing)| firing.slot).collect();
        prop_assert!(slots.is_sorted_by(|a, b| a < b), "{:?}", slots);
    }
}

#[test]
fn a_new_schedule_begins_with_its_first_slot_after_now() {
    let entry = entry(OLD, 1);
    let now = Wall(90 * MINUTE + 1);
    let Plan::Swap {
        prev: None,
        next,
        fire,
    } = plan(&entry, None, now)
    else {
        panic!("no cell, no swap");
    };
    assert_eq!((next.slot, fire.len(), next.last_job), (now, 0, None));
    assert_eq!(
        plan(&entry, Some(&next), now),
        Plan::Wait {
            until: Wall(91 * MINUTE)
        }
    );
    let Plan::Swap { prev, next, fire } = plan(&entry, Some(&next), Wall(91 * MINUTE)) else {
        panic!("the slot is due");
    };
    let (slot, id) = (
        Wall(91 * MINUTE),
        job_id("report", "mail", Wall(91 * MINUTE)),
    );
    assert_eq!(
        (prev, next.slot, next.last_job),
        (Some(now), slot, Some(id))
    );
    assert_eq!(fire, [Firing { slot, id }]);
}

#[test]
fn a_restarted_worker_goes_on_from_the_cell() {
    let (entry, now) = (entry(OLD, 1), Wall(5 * MINUTE + 7));
    let Plan::Swap { fire, .. } = plan(&entry, Some(&cell(&entry, 2 * MINUTE)), now) else {
        panic!("three slots have passed");
    };
    let slots: Vec<i64> = fire.iter().map(|firing| firing.slot.0 / MINUTE).collect();
    assert_eq!(slots, [3, 4, 5]);
}

#[test]
fn a_higher_rev_takes_over_and_a_lower_one_never_fires() {
    let (old, new) = (entry(OLD, 1), entry(NEW, 2));
    let (seen, now) = (cell(&old, 2 * MINUTE), Wall(60 * MINUTE + 7));
    let Plan::Swap { prev, next, fire } = plan(&new, Some(&seen), now) else {
        panic!("it takes over");
    };
    assert_eq!((prev, next.slot, fire.len()), (Some(seen.slot), now, 0));
    assert_eq!(
        plan(&old, Some(&next), Wall(i64::MAX)),
        Plan::Outdated { rev: 2 }
    );
    assert_eq!(
        plan(&new, Some(&next), now),
        Plan::Wait {
            until: new.schedule.after(now).unwrap()
        }
    );
}

#[test]
fn another_schedule_with_the_same_rev_is_a_conflict() {
    let (one, other) = (entry(OLD, 1), entry(NEW, 1));
    let spec = one.schedule.spec();
    assert_eq!(
        plan(&other, Some(&cell(&one, 0)), Wall(9 * MINUTE)),
        Plan::Conflict { spec }
    );
}

#[test]
fn a_clock_that_went_back_a_day_starts_again() {
    let (entry, now) = (entry(OLD, 1), 10 * MINUTE);
    let day = 24 * 60 * MINUTE;
    let wait = plan(&entry, Some(&cell(&entry, now + day)), Wall(now));
    assert_eq!(
        wait,
        Plan::Wait {
            until: Wall(now + day + MINUTE)
        }
    );
    let Plan::Swap { prev, next, fire } =
        plan(&entry, Some(&cell(&entry, now + day + 1)), Wall(now))
    else {
        panic!("the slot cannot be");
    };
    assert_eq!(
        (prev, next.slot, fire.len()),
        (Some(Wall(now + day + 1)), Wall(now), 0)
    );
}

#[test]
fn a_schedule_without_slots_says_so() {
    let mut entry = entry("30 2 * 3 SUN#2", 1);
    let schedule = entry.schedule.zone("America/New_York").unwrap();
    entry.schedule = schedule.dst(super::super::DstRule::Skip);
    let now = 1_700_000_000_000;
    assert_eq!(
        plan(&entry, Some(&cell(&entry, now)), Wall(now)),
        Plan::Never
    );
}

#[test]
fn the_id_of_a_slot_never_changes() {
    // Computed apart, in Python, with a hash that agrees with the published vectors of FNV-1a.
    let id = |key, queue, slot| job_id(key, queue, Wall(slot)).to_string();
    insta::assert_snapshot!(id("report", "mail", 1_700_000_000_000), @"018bcfe5-6800-7a8d-a391-35014ca84adf");
    insta::assert_snapshot!(id("report", "default", 1_700_000_000_000), @"018bcfe5-6800-7a8d-b68d-35014ca84adf");
    insta::assert_snapshot!(id("", "", 0), @"00000000-0000-7004-a327-7a5d16cef02f");
    insta::assert_snapshot!(id("é", "mail", -1), @"00000000-0000-759c-a392-4fda93e6440d");
}

proptest! {
    #[test]
    fn ids_name_slot_and_shard(key in "\\PC{1,20}", queue in "[a-z]{1,9}", slot in 0..1_i64 << 48) {
        let id = job_id(&key, &queue, Wall(slot));
        prop_assert_eq!((id.as_u128() >> 80) as i64, slot);
        prop_assert_eq!((id.as_u128() >> 76 & 0xf, id.as_u128() >> 62 & 0b11), (7, 0b10));
        prop_assert_eq!(id.shard(), shard_of(&queue));
    }

    #[test]
    fn one_flipped_bit_of_key_or_slot_flips_about_half(key in "[a-z]{1,9}", slot: i64, bit in 0..64_u32) {
        let one = hash(&key, Wall(slot));
        let mut other_key = key.clone().into_bytes();
        other_key[0] ^= 1 << (bit % 5);
        let other_key = String::from_utf8(other_key).unwrap();
        for other in [hash(&key, Wall(slot ^ 1 << bit)), hash(&other_key, Wall(slot))] {
            for half in [(one ^ other) as u64, ((one ^ other) >> 64) as u64] {
                prop_assert!((8..=56).contains(&half.count_ones()), "{} bits", half.count_ones());
            }
        }
    }
}

#[test]
fn similar_keys_do_not_collide() {
    let keys = (0..20_000).map(|n| format!("tenant-{n}"));
    let ids: BTreeSet<Id> = keys.map(|key| job_id(&key, "mail", Wall(0))).collect();
    assert_eq!(ids.len(), 20_000);
}
