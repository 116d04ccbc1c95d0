//! What schedules may be written, what they are called, and single dates worth a test of their own.

mod dates;
mod missed;
mod shifts;

use proptest::prelude::*;

use super::*;

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn wrong(text: &str, message: &str) {
    let error = Schedule::parse(text).expect_err(text).to_string();
    assert_eq!(error, message, "{text}");
}

/// A civil time as the wall clock of `zone` shows it, in that zone's first reading of it.
fn at(text: &str, zone: &str) -> Wall {
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
    let local: jiff::civil::DateTime = text.parse().unwrap();
    Wall(zone.to_timestamp(local).unwrap().as_millisecond())
}

fn slots(schedule: &Schedule, after: Wall, number: usize) -> Vec<Wall> {
    let next = |slot: &Wall| schedule.after(*slot);
    std::iter::successors(next(&after), next)
        .take(number)
        .collect()
}

#[test]
fn one_meaning_has_one_text() {
    for (text, spec) in [
        ("*/5 * * * *", "*/5 * * * *"),
        ("*/1 * */1 * *", "* * * * *"),
        (
            " 0,1,2,3,10-20/5 9-17/8 1 JAN,mar-Jun fri-SUN ",
            "0-3,10,15,20 9,17 1 1,3-6 0,5-6",
        ),
        ("5 4 * * 7", "5 4 * * 0"),
        ("5 4 * * 0-7", "5 4 * * 0-6"),
        ("5 4 L * *", "5 4 L * *"),
        ("5 4 l,1 * *", "5 4 1,L * *"),
        ("5 4 * * FRI#2,fril,1,MON#1", "5 4 * * 1,5#2,5L"),
        ("00 09 * * *", "0 9 * * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ] {
        assert_eq!(schedule(text).spec(), format!("{spec} UTC vixie"), "{text}");
    }
    for (text, spec) in [
        ("90s", "90s"),
        ("120s", "2m"),
        ("1500ms", "1500ms"),
        ("48h", "2d"),
    ] {
        assert_eq!(
            schedule(&format!("@every {text}")).spec(),
            format!("@every {spec}")
        );
    }
    let seconds = |text| Schedule::with_seconds(text).unwrap().spec();
    assert_eq!(seconds("0 5 4 * * *"), schedule("5 4 * * *").spec());
    assert_eq!(seconds("*/20 5 4 * * *"), "*/20 5 4 * * * UTC vixie");
    let zoned = schedule("5 4 * * *").zone("america/new_york").unwrap();
    assert_eq!(
        zoned.dst(DstRule::Skip).spec(),
        "5 4 * * * America/New_York skip"
    );
}

#[test]
fn what_is_wrong_is_named_with_what_to_write() {
    wrong(
        "",
        "0 fields instead of 5: write minute, hour, day of month, month, weekday; seconds only where they are asked for",
    );
    wrong(
        "0 0 9 * * *",
        "6 fields instead of 5: write minute, hour, day of month, month, weekday; seconds only where they are asked for",
    );
    let five = Schedule::with_seconds("0 9 * * *").unwrap_err();
    assert_eq!(
        five.to_string(),
        "5 fields instead of 6: write second, minute, hour, day of month, month, weekday"
    );
    wrong(
        "@reboot",
        "unknown \"@reboot\": write @hourly, @daily, @weekly, @monthly, @yearly or @every 90s",
    );
    wrong(
        "@every",
        "unknown \"@every\": write @hourly, @daily, @weekly, @monthly, @yearly or @every 90s",
    );
    wrong(
        "@every 5 apples",
        "@every: unknown unit \" apples\": use ms, s, m, h or d, as in 10s",
    );
    wrong(
        "@every 999ms",
        "@every wants a duration from 1s to 366d: for a rarer job write a date, as in 0 0 1 1 *",
    );
    wrong(
        "@every 367d",
        "@every wants a duration from 1s to 366d: for a rarer job write a date, as in 0 0 1 1 *",
    );
    wrong(
        "0 24 * * *",
        "hour: \"24\" is no value here: write 0-23, *, */2, 9-17 or a list of such",
    );
    wrong(
        "0 9 0 * *",
        "day of month: \"0\" is no value here: write 1-31, *, */2, 1-7, L or a list of such",
    );
    wrong(
        "0 9 * MON *",
        "month: \"MON\" is no value here: write 1-12, JAN-DEC, *, */3 or a list of such",
    );
    wrong(
        "0 9 * * 8",
        "weekday: \"8\" is no value here: write 0-7, SUN-SAT, *, MON-FRI, FRI#2 (the second), FRIL (the last) or a list of such",
    );
    wrong(
        "0 9 * * 1#6",
        "weekday: \"1#6\" is no value here: write 0-7, SUN-SAT, *, MON-FRI, FRI#2 (the second), FRIL (the last) or a list of such",
    );
    wrong(
        "0 22-4 * * *",
        "hour: \"22-4\" ends before it begins: split it in two, as in 22-23,0-4",
    );
    wrong(
        "*/90 * * * *",
        "minute: \"*/90\" has no usable step: write */5 or 10-59/5; for every 90 minutes @every 90m",
    );
    wrong(
        "5/10 * * * *",
        "minute: \"5/10\" has no usable step: write */5 or 10-59/5; for every 90 minutes @every 90m",
    );
    wrong(
        "*/0 * * * *",
        "minute: \"*/0\" has no usable step: write */5 or 10-59/5; for every 90 minutes @every 90m",
    );
    wrong(
        "*,5 * * * *",
        "minute: \"*,5\" has a * beside other values: write the * alone, or only the values",
    );
    wrong(
        "0 9 *,L * *",
        "day of month: \"*,L\" has a * beside other values: write the * alone, or only the values",
    );
    wrong(
        &"1,".repeat(300),
        "longer than 512 bytes: write ranges and steps, as in 0-30/5",
    );
    let zone = schedule("@daily").zone("Europe/Berln").unwrap_err();
    assert_eq!(
        zone.to_string(),
        "unknown time zone \"Europe/Berln\": write an IANA name, as in Europe/Berlin, or UTC"
    );
    for name in ["", "Etc/Unknown", "../etc/passwd", "localtime"] {
        assert!(schedule("@daily").zone(name).is_err(), "{name}");
    }
    for text in [
        "? * * * *",
        "+1 * * * *",
        "1- * * * *",
        "-1 * * * *",
        ", * * * *",
        "1,,2 * * * *",
        "*-5 * * * *",
        "١ * * * *",
        "0 0 15W * *",
        "0 0 * * #2",
        "0 0 * * L",
        "0 0 * * 1-5L",
    ] {
        assert!(Schedule::parse(text).is_err(), "{text}");
    }
    assert!(size_of::<CronError>() <= 32);
}

#[test]
fn a_date_that_never_comes_is_refused() {
    for date in [
        "30 2 *",
        "31 4,6,9,11 *",
        "30,31 2 *",
        "*/30 2 */6",
        "* 2 MON#5,TUE#5",
    ] {
        let parsed = Schedule::parse(&format!("0 0 {date}"));
        // 29 February has a Monday every 28 years; the others never come, but for */30, which is the 1st.
        let comes = date.contains('#') || date.starts_with('*');
        assert_eq!(parsed.err(), (!comes).then_some(CronError::Never), "{date}");
    }
}

#[test]
fn every_counts_from_1970_whoever_counts() {
    let every = schedule("@every 90s");
    assert_eq!(
        slots(&every, Wall(-1), 3),
        [Wall(0), Wall(90_000), Wall(180_000)]
    );
    assert_eq!(every.after(Wall(-90_001)), Some(Wall(-90_000)));
    assert_eq!(every.after(Wall(i64::MAX)), None);
    assert_eq!(
        every.after(Wall(i64::MIN)).map(|slot| slot.0 % 90_000),
        Some(0)
    );
    let zoned = every.clone().zone("Asia/Tokyo").unwrap().dst(DstRule::Skip);
    assert_eq!(
        (zoned.after(Wall(0)), zoned.spec()),
        (every.after(Wall(0)), every.spec())
    );
}

#[test]
fn the_ends_of_time_are_silent() {
    for text in ["* * * * *", "0 0 29 2 *"] {
        for zone in ["UTC", "America/New_York", "Asia/Kathmandu"] {
            let schedule = schedule(text).zone(zone).unwrap();
            assert_eq!(schedule.after(Wall(i64::MAX)), None);
            assert_eq!(
                schedule.after(at("9999-12-29T23:59", "UTC")).is_some(),
                text.starts_with('*')
            );
            // Before jiff's first year there is nothing, and after it all is well.
            let early = slots(&schedule, Wall(i64::MIN), 3);
            assert!(
                early.is_sorted_by(|a, b| a < b) && early.len() == 3,
                "{text} {zone}"
            );
        }
    }
}

proptest! {
    #[test]
    fn the_canonical_text_means_the_same(text in prop_oneof![
        "\\PC{0,40}",
        "[0-9*/,L#A-Z-]{1,8}( [0-9*/,L#A-Z-]{1,8}){4,5}",
        "[0-9]{1,2}(,[0-9]-[1-5][0-9](/[2-9])?)? (\\*|\\*/[0-9]) [1-9](,L)? ([1-9]|FEB-OCT) ([0-7]|MON,FRI#[1-5]|\\*/2)",
    ]) {
        for parsed in [Schedule::parse(&text), Schedule::with_seconds(&text)].into_iter().flatten() {
            let spec = parsed.spec();
            let fields = spec.trim_end_matches(" UTC vixie");
            let again = Schedule::parse(fields).or_else(|_| Schedule::with_seconds(fields));
            let again = again.unwrap_or_else(|error| panic!("{text}, {spec}: {error}"));
            prop_assert_eq!(&again.spec(), &spec);
            prop_assert_eq!(slots(&again, Wall(0), 50), slots(&parsed, Wall(0), 50));
        }
    }
}
