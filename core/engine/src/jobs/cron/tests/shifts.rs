//! Shifts of the clock against an oracle that goes through the instants one by one, knows nothing of
//! spans, and applies the rule to what the wall clock shows.

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::Offset;

use super::*;

/// Half an hour, midnight, a whole day left out, a day that ends in a gap, two hours, a month of
/// winter time in summer.
const ZONES: [&str; 9] = [
    "America/New_York",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "America/Nuuk",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Europe/Dublin",
];

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

/// A schedule as the oracle knows it.
struct Known<'a> {
    matches: Box<dyn Fn(i64) -> bool + 'a>,
    star: bool,
    rule: DstRule,
    /// The latest the wall clock has shown, in seconds since it showed the start of 1970.
    shown: Option<i64>,
    slots: Vec<Wall>,
}

impl<'a> Known<'a> {
    fn new(star: bool, rule: DstRule, matches: impl Fn(i64) -> bool + 'a) -> Self {
        let matches = Box::new(matches);
        Self {
            matches,
            star,
            rule,
            shown: None,
            slots: Vec::new(),
        }
    }

    /// At `second` the clock shows `shows`; it is looked at every `step` seconds.
    fn look(&mut self, second: i64, shows: i64, step: i64) {
        let shown = *self.shown.get_or_insert(shows - step);
        let mut fires = false;
        if self.star && self.rule == DstRule::Vixie {
            fires = (self.matches)(shows);
        } else if shows > shown {
            let left_out = self.rule == DstRule::Vixie;
            let from = if left_out { shown + step } else { shows };
            fires = (from..=shows).step_by(step as usize).any(&self.matches);
        }
        if fires {
            self.slots.push(Wall(second * 1_000));
        }
        self.shown = Some(shown.max(shows));
    }
}

/// What the wall clock of `zone` shows at `second`, in seconds since it showed the start of 1970.
fn shows(zone: &TimeZone, second: i64) -> i64 {
    let local = zone.to_datetime(Timestamp::from_second(second).unwrap());
    Offset::UTC.to_timestamp(local).unwrap().as_second()
}

/// Hour and minute.
fn clock(shows: i64) -> (i64, i64) {
    (shows.rem_euclid(86_400) / 3600, shows.rem_euclid(3600) / 60)
}

fn civil(second: i64) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_second(second).unwrap())
}

#[track_caller]
fn same(schedule: &Schedule, begin: Timestamp, wanted: &[Wall]) {
    let found = slots(schedule, Wall(begin.as_millisecond() - 1), wanted.len());
    let differ = found.iter().zip(wanted).find(|(a, b)| a != b);
    let show = |wall: &Wall| {
        Timestamp::from_millisecond(wall.0)
            .unwrap()
            .to_zoned(schedule.zone.clone())
    };
    if let Some((found, wanted)) = differ {
        panic!(
            "{}: found {}, wanted {}",
            schedule.spec(),
            show(found),
            show(wanted)
        );
    }
    assert_eq!(found.len(), wanted.len(), "{}", schedule.spec());
}

/// All instants from 2000 to 2037, by the quarter of an hour, on which all shifts and slots here are.
#[test]
fn forty_years_are_as_the_oracle_says() {
    const STEP: i64 = 15 * 60;
    type Matches = fn(i64) -> bool;
    let texts: [(&str, bool, Matches); 10] = [
        ("30 2 * * *", false, |t| clock(t) == (2, 30)),
        ("0 0 * * *", false, |t| clock(t) == (0, 0)),
        ("@daily", false, |t| clock(t) == (0, 0)),
        ("@hourly", true, |t| clock(t).1 == 0),
        ("*/15 * * * *", true, |_| true),
        ("*/30 2 * * *", true, |t| {
            clock(t).0 == 2 && clock(t).1 % 30 == 0
        }),
        ("0,30 0-3 * * *", false, |t| {
            clock(t).0 < 4 && clock(t).1 % 30 == 0
        }),
        ("15 1 * * *", false, |t| clock(t) == (1, 15)),
        ("30 23 * * SAT", false, |t| {
            clock(t) == (23, 30) && civil(t).weekday() == Weekday::Saturday
        }),
        ("0 12 30 12 *", false, |t| {
            clock(t) == (12, 0) && (civil(t).month(), civil(t).day()) == (12, 30)
        }),
    ];
    let (begin, end) = (
        at("2000-01-01T00:00", "UTC").0 / 1000,
        at("2038-01-01T00:00", "UTC").0 / 1000,
    );
    for name in &ZONES[..6] {
        let zone = zone(name);
        let mut known: Vec<(Schedule, Known<'_>)> = Vec::new();
        for (text, star, matches) in texts {
            for rule in [DstRule::Vixie, DstRule::Skip] {
                let schedule = schedule(text).zone(name).unwrap().dst(rule);
                known.push((schedule, Known::new(star, rule, matches)));
            }
        }
        for second in (begin..end).step_by(STEP as usize) {
            let shows = shows(&zone, second);
            for (_, known) in &mut known {
                known.look(second, shows, STEP);
            }
        }
        for (schedule, known) in known {
            assert!(
                known.slots.len() >= 36,
                "{}: {} slots",
                schedule.spec(),
                known.slots.len()
            );
            same(
                &schedule,
                Timestamp::from_second(begin).unwrap(),
                &known.slots,
            );
        }
    }
}

/// A field with its values: minute or hour.
fn field(count: i64) -> impl Strategy<Value = (String, bool, Vec<i64>)> {
    prop_oneof![
        Just(("*".to_owned(), true, (0..count).collect())),
        (2..count).prop_map(move |n| (
            format!("*/{n}"),
            true,
            (0..count).step_by(n as usize).collect()
        )),
        (0..count, 0..count, 1..4_i64).prop_map(move |(a, b, n)| {
            let (a, b) = (a.min(b), a.max(b));
            let stepped = (a..=b).step_by(n as usize).collect();
            let text = if n <= b - a {
                format!("{a}-{b}/{n}")
            } else {
                format!("{a}")
            };
            (text, false, if n <= b - a { stepped } else { vec![a] })
        }),
        prop::collection::vec(0..4.min(count), 1..3).prop_map(|values| {
            let text = values
                .iter()
                .map(i64::to_string)
                .collect::<Vec<_>>()
                .join(",");
            (text, false, values)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every minute of the two days around a shift, any hours and minutes.
    #[test]
    fn around_a_shift_all_is_as_the_oracle_says(
        name in prop::sample::select(ZONES.to_vec()),
        shift in 0..70_usize,
        hour in field(24),
        minute in field(60),
        skip: bool,
        looks in prop::collection::vec(0..2 * 86_400_000_i64, 20),
    ) {
        let (zone, rule) = (zone(name), if skip { DstRule::Skip } else { DstRule::Vixie });
        let year_2000 = Timestamp::from_second(946_684_800).unwrap();
        let shift = zone.following(year_2000).nth(shift).map_or(year_2000, |shift| shift.timestamp());
        let (begin, end) = (shift.as_second() - 86_400, shift.as_second() + 86_400);
        let text = format!("{} {} * * *", minute.0, hour.0);
        let schedule = schedule(&text).zone(name).unwrap().dst(rule);
        let mut known = Known::new(minute.1 || hour.1, rule, |t| hour.2.contains(&clock(t).0) && minute.2.contains(&clock(t).1));
        for second in (begin..end).step_by(60) {
            known.look(second, shows(&zone, second), 60);
        }
        same(&schedule, Timestamp::from_second(begin).unwrap(), &known.slots);
        // The answer does not depend on where one comes from.
        for look in looks {
            let from = Wall(begin * 1000 + look);
            let wanted = known.slots.iter().find(|slot| **slot > from);
            if let Some(wanted) = wanted {
                prop_assert_eq!(schedule.after(from), Some(*wanted));
            }
        }
    }

    #[test]
    fn slots_increase_from_any_instant(
        name in prop::sample::select(ZONES.to_vec()),
        hour in field(24),
        minute in field(60),
        second in field(60),
        skip: bool,
        from in -4_000_000_000_000..8_000_000_000_000_i64,
    ) {
        let text = format!("{} {} {} * * *", second.0, minute.0, hour.0);
        let schedule = Schedule::with_seconds(&text).unwrap().zone(name).unwrap();
        let schedule = schedule.dst(if skip { DstRule::Skip } else { DstRule::Vixie });
        let found = slots(&schedule, Wall(from), 60);
        prop_assert_eq!(found.len(), 60);
        prop_assert!(found[0] > Wall(from) && found.is_sorted_by(|a, b| a < b));
        for pair in found.windows(2) {
            prop_assert_eq!(schedule.after(Wall(pair[1].0 - 1)), Some(pair[1]));
        }
    }
}

#[test]
fn the_examples_of_the_rules() {
    let new_york = |text: &str, rule| schedule(text).zone("America/New_York").unwrap().dst(rule);
    let shows = |schedule: &Schedule, from: &str, number| -> Vec<String> {
        let zone = zone("America/New_York");
        let show = |slot: Wall| {
            Timestamp::from_millisecond(slot.0)
                .unwrap()
                .to_zoned(zone.clone())
        };
        let from = Wall(at(from, "America/New_York").0 - 1);
        let shown = slots(schedule, from, number).into_iter().map(show);
        shown
            .map(|time| time.strftime("%d %H:%M %Z").to_string())
            .collect()
    };
    let (spring, autumn) = ("2024-03-10T00:00", "2024-11-03T01:00");
    let vixie = |text| new_york(text, DstRule::Vixie);
    let skip = |text| new_york(text, DstRule::Skip);
    assert_eq!(
        shows(&vixie("30 2 * * *"), spring, 2),
        ["10 03:00 EDT", "11 02:30 EDT"]
    );
    assert_eq!(
        shows(&vixie("0,30 2 * * *"), spring, 2),
        ["10 03:00 EDT", "11 02:00 EDT"]
    );
    assert_eq!(
        shows(&vixie("30 2,3 * * *"), spring, 2),
        ["10 03:00 EDT", "10 03:30 EDT"]
    );
    assert_eq!(
        shows(&vixie("0 3 * * *"), spring, 2),
        ["10 03:00 EDT", "11 03:00 EDT"]
    );
    assert_eq!(shows(&vixie("*/30 2 * * *"), spring, 1), ["11 02:00 EDT"]);
    let halves = Schedule::with_seconds("*/30 30 2 * * *").unwrap();
    let halves = halves.zone("America/New_York").unwrap();
    assert_eq!(shows(&halves, spring, 1), ["11 02:30 EDT"]);
    assert_eq!(shows(&skip("30 2 * * *"), spring, 1), ["11 02:30 EDT"]);
    assert_eq!(
        shows(&vixie("30 1 * * *"), autumn, 2),
        ["03 01:30 EDT", "04 01:30 EST"]
    );
    assert_eq!(
        shows(&skip("30 1 * * *"), autumn, 2),
        ["03 01:30 EDT", "04 01:30 EST"]
    );
    let halves = [
        "03 01:00 EDT",
        "03 01:30 EDT",
        "03 01:00 EST",
        "03 01:30 EST",
        "03 02:00 EST",
    ];
    assert_eq!(shows(&vixie("*/30 * * * *"), autumn, 5), halves);
    assert_eq!(
        shows(&skip("*/30 * * * *"), autumn, 3),
        ["03 01:00 EDT", "03 01:30 EDT", "03 02:00 EST"]
    );
}

#[test]
fn a_schedule_whose_every_date_is_in_a_gap_never_comes() {
    let always = schedule("30 2 * 3 SUN#2").zone("America/New_York").unwrap();
    let from = at("2024-01-01T00:00", "UTC");
    assert_eq!(slots(&always, from, 100).len(), 100);
    assert_eq!(always.dst(DstRule::Skip).after(from), None);
}
