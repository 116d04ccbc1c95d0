//! Which of the passed slots fire, under each policy.

use super::*;

const HOUR: i64 = 3_600_000;
const NONE: [i64; 0] = [];

fn fires(text: &str, last: Option<i64>, now: i64, missed: Missed) -> (Vec<i64>, Option<i64>) {
    let due = due(&schedule(text), last.map(Wall), Wall(now), missed);
    let slots = due.slots.into_iter().map(|slot| slot.0).collect();
    (slots, due.next.map(|next| next.0))
}

#[test]
fn a_first_look_fires_nothing() {
    for missed in [Missed::Skip, Missed::RunOnce, Missed::All(9)] {
        assert_eq!(
            fires("@hourly", None, HOUR, missed),
            (vec![], Some(2 * HOUR))
        );
    }
}

#[test]
fn a_slot_that_has_just_come_fires_under_every_policy() {
    for missed in [Missed::Skip, Missed::RunOnce, Missed::All(1)] {
        for late in [0, 1, 60_000] {
            let wanted = (vec![2 * HOUR], Some(3 * HOUR));
            assert_eq!(
                fires("@hourly", Some(HOUR), 2 * HOUR + late, missed),
                wanted
            );
        }
        assert_eq!(
            fires("@hourly", Some(HOUR), 2 * HOUR - 1, missed),
            (vec![], Some(2 * HOUR))
        );
        assert_eq!(fires("@hourly", Some(2 * HOUR), 2 * HOUR, missed).0, NONE);
    }
}

#[test]
fn a_night_off_is_as_the_policy_says() {
    let night = |missed| fires("@hourly", Some(0), 8 * HOUR + 60_001, missed).0;
    assert_eq!(night(Missed::Skip), NONE);
    assert_eq!(night(Missed::RunOnce), [8 * HOUR]);
    assert_eq!(night(Missed::All(3)), [6 * HOUR, 7 * HOUR, 8 * HOUR]);
    assert_eq!(
        night(Missed::All(100)),
        (1..=8).map(|n| n * HOUR).collect::<Vec<_>>()
    );
    assert_eq!(night(Missed::All(0)), NONE);
}

#[test]
fn years_off_are_capped() {
    let ten_years = 315_360_000_000;
    let seconds = schedule("@every 1s");
    let all = due(
        &seconds,
        Some(Wall(0)),
        Wall(ten_years),
        Missed::All(u32::MAX),
    );
    assert_eq!(all.slots.len(), MAX_AT_ONCE as usize);
    assert_eq!(all.slots.last(), Some(&Wall(ten_years)));
    assert_eq!(all.slots.first(), Some(&Wall(ten_years - 99_000)));
}

#[test]
fn a_slot_ahead_is_settled() {
    let ahead = fires("@hourly", Some(3 * HOUR), HOUR, Missed::All(9));
    assert_eq!(ahead, (vec![], Some(4 * HOUR)));
}

proptest! {
    #[test]
    fn the_newest_are_those_of_a_walk(
        text in prop::sample::select(vec!["*/7 * * * *", "@hourly", "30 1 * * *", "*/5 1 1 * *", "@every 90s"]),
        last in -1_000_000_000..2_000_000_000_000_i64,
        passed in 0..200_000_000_i64,
        most in 0..150_u32,
    ) {
        let schedule = schedule(text).zone("America/New_York").unwrap();
        let now = Wall(last + passed);
        let mut walk = Vec::new();
        let mut slot = schedule.after(Wall(last));
        while let Some(found) = slot.filter(|slot| *slot <= now) {
            walk.push(found);
            slot = schedule.after(found);
        }
        let all = due(&schedule, Some(Wall(last)), now, Missed::All(most));
        prop_assert_eq!(all.next, slot);
        let newest = walk.len().saturating_sub(most.min(MAX_AT_ONCE) as usize);
        prop_assert_eq!(&all.slots, &walk[newest..]);
        let once = due(&schedule, Some(Wall(last)), now, Missed::RunOnce).slots;
        prop_assert_eq!(once.last(), walk.last());
    }
}
