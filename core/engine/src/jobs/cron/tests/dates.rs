//! Dates against a scan of all days: leap years, last days, n-th weekdays, and the two meanings of
//! a day of month beside a weekday.

use jiff::civil::{Date, date};

use super::*;

/// Midnight in UTC on `date`.
fn midnight(date: Date) -> Wall {
    at(&format!("{date}T00:00"), "UTC")
}

#[test]
fn the_year_2100_has_no_29_february() {
    let leap = schedule("0 0 29 2 *");
    let years = [2092, 2096, 2104, 2108].map(|year| midnight(date(year, 2, 29)));
    assert_eq!(slots(&leap, midnight(date(2091, 1, 1)), 4), years);
    // Its Mondays are 28 years apart, but 40 around it.
    let monday = schedule("0 0 */28 2 MON#5");
    let found = slots(&monday, midnight(date(2030, 1, 1)), 4);
    assert_eq!(
        found,
        [2044, 2072, 2112, 2140].map(|year| midnight(date(year, 2, 29)))
    );
}

#[test]
fn two_restricted_fields_mean_either_and_a_star_means_both() {
    let day = |day| midnight(date(2024, 9, day));
    let begin = midnight(date(2024, 8, 31));
    let either = schedule("0 0 13 9 FRI");
    assert_eq!(slots(&either, begin, 4), [6, 13, 20, 27].map(day));
    let thirteenth = schedule("0 0 14 9 FRI");
    assert_eq!(slots(&thirteenth, begin, 5), [6, 13, 14, 20, 27].map(day));
    let both = schedule("0 0 */2 9 FRI");
    assert_eq!(slots(&both, begin, 2), [13, 27].map(day));
}

#[derive(Clone, Debug)]
struct Days {
    text: String,
    day: (bool, Vec<i8>, bool),
    month: Vec<i8>,
    weekday: (bool, Vec<i8>, Vec<(i8, i8)>),
}

fn days() -> impl Strategy<Value = Days> {
    let day = prop_oneof![
        Just(("*".to_owned(), (true, (1..=31).collect(), false))),
        (2..=30_i8).prop_map(|n| (
            format!("*/{n}"),
            (true, (1..=31).step_by(n as usize).collect(), false)
        )),
        (prop::collection::vec(1..=31_i8, 1..4), any::<bool>()).prop_map(|(days, last)| (
            join(&days) + if last { ",L" } else { "" },
            (false, days, last)
        )),
    ];
    let month = prop_oneof![
        Just(("*".to_owned(), (1..=12).collect::<Vec<i8>>())),
        prop::collection::vec(1..=12_i8, 1..4).prop_map(|months| (join(&months), months)),
        Just(("2".to_owned(), vec![2])),
    ];
    // 0 stands for the last.
    let nth = || (0..=6_i8, 0..=5_i8);
    let weekday = prop_oneof![
        Just(("*".to_owned(), (true, (0..=6).collect(), vec![]))),
        (2..=6_i8).prop_map(|n| (
            format!("*/{n}"),
            (true, (0..=6).step_by(n as usize).collect(), vec![])
        )),
        (
            prop::collection::vec(0..=7_i8, 0..3),
            prop::collection::vec(nth(), 1..3)
        )
            .prop_map(|(days, nths)| {
                let named = nths.iter().map(|(day, n)| {
                    if *n == 0 {
                        format!("{day}L")
                    } else {
                        format!("{day}#{n}")
                    }
                });
                let text = days
                    .iter()
                    .map(i8::to_string)
                    .chain(named)
                    .collect::<Vec<_>>()
                    .join(",");
                (
                    text,
                    (false, days.iter().map(|day| day % 7).collect(), nths),
                )
            }),
    ];
    (day, month, weekday).prop_map(|((d, day), (m, month), (w, weekday))| {
        let text = format!("0 0 {d} {m} {w}");
        Days {
            text,
            day,
            month,
            weekday,
        }
    })
}

fn join(values: &[i8]) -> String {
    values
        .iter()
        .map(i8::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

impl Days {
    fn holds(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        let last = date.day() == date.days_in_month();
        let by_day = self.day.1.contains(&date.day()) || (self.day.2 && last);
        let nth = |&(day, n): &(i8, i8)| {
            let nth = if n == 0 { -1 } else { n };
            day == weekday
                && date
                    .nth_weekday_of_month(nth, date.weekday())
                    .is_ok_and(|nth| nth == date)
        };
        let by_weekday = self.weekday.1.contains(&weekday) || self.weekday.2.iter().any(nth);
        let days = if self.day.0 || self.weekday.0 {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        };
        self.month.contains(&date.month()) && days
    }
}

proptest! {
    #[test]
    fn dates_are_those_of_a_scan(days in days(), year in 1970..2130_i16) {
        let first = date(year, 1, 1);
        let last = date(year + 42, 1, 1);
        let wanted = first.series(jiff::Span::new().days(1)).take_while(|date| *date < last);
        let wanted: Vec<Wall> = wanted.filter(|date| days.holds(*date)).map(midnight).take(200).collect();
        match Schedule::parse(&days.text) {
            Err(CronError::Never) => prop_assert!(wanted.is_empty(), "{}", days.text),
            parsed => {
                let found = slots(&parsed.unwrap(), Wall(midnight(first).0 - 1), wanted.len());
                prop_assert_eq!(found, wanted, "{}", days.text);
            }
        }
    }
}
