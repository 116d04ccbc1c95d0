//! Wall-clock time as HTTP and RFC 3339 write it, by integer arithmetic on the proleptic
//! Gregorian calendar, always UTC. Years outside 0000..=9999 become the nearest instant inside.

use crate::time::Wall;

/// Length of every [`http_date`].
const HTTP: usize = 29;
/// Length of every [`rfc3339`].
const RFC: usize = 24;

/// The date for `Date`, `Last-Modified` and `Expires`: IMF-fixdate (RFC 9110 §5.6.7).
///
/// ```
/// use tideway_engine::{Wall, http_date};
///
/// assert_eq!(&http_date(Wall(784_111_777_000)), b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[must_use]
pub fn http_date(wall: Wall) -> [u8; HTTP] {
    let date = Civil::of(wall);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[date.weekday as usize]);
    two(&mut text, 5, date.day);
    text[8..11].copy_from_slice(MONTHS[date.month as usize - 1]);
    two(&mut text, 12, date.year / 100);
    two(&mut text, 14, date.year % 100);
    two(&mut text, 17, date.hour);
    two(&mut text, 20, date.minute);
    two(&mut text, 23, date.second);
    text
}

/// The date for logs and JSON: RFC 3339 with milliseconds and `Z`. It sorts as text.
///
/// ```
/// use tideway_engine::{Wall, rfc3339};
///
/// assert_eq!(&rfc3339(Wall(784_111_777_004)), b"1994-11-06T08:49:37.004Z");
/// ```
#[must_use]
pub fn rfc3339(wall: Wall) -> [u8; RFC] {
    let date = Civil::of(wall);
    let mut text = *b"1970-01-01T00:00:00.000Z";
    two(&mut text, 0, date.year / 100);
    two(&mut text, 2, date.year % 100);
    two(&mut text, 5, date.month);
    two(&mut text, 8, date.day);
    two(&mut text, 11, date.hour);
    two(&mut text, 14, date.minute);
    two(&mut text, 17, date.second);
    text[20] = b'0' + (date.milli / 100) as u8;
    two(&mut text, 21, date.milli % 100);
    text
}

static DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
static MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

const DAY: i64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01. Years are counted from March, so a leap day comes last.
const EPOCH: i64 = 719_468;
/// 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z.
const FIRST: i64 = -719_528 * DAY;
const LAST: i64 = 2_932_897 * DAY - 1;

struct Civil {
    year: u32,
    /// 1 to 12.
    month: u32,
    /// 1 to 31.
    day: u32,
    /// Days after Thursday, because 1970 began on one.
    weekday: u32,
    hour: u32,
    minute: u32,
    second: u32,
    milli: u32,
}

impl Civil {
    fn of(wall: Wall) -> Self {
        let millis = wall.0.clamp(FIRST, LAST);
        let (days, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY) as u32);
        // 400 years are 146 097 days; one era earlier, so that January of year 0 is not negative.
        let shifted = (days + EPOCH + 146_097) as u32;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        // Leap days: one per 4 years, none per 100, one per 400.
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        // Five months from March are 153 days, again and again.
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Self {
            year: era * 400 + year + u32::from(month <= 2) - 400,
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            weekday: days.rem_euclid(7) as u32,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1_000 % 60,
            milli: rest % 1_000,
        }
    }
}

/// Writes a number below 100 as two digits.
fn two(text: &mut [u8], at: usize, number: u32) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn http(millis: i64) -> String {
        String::from_utf8(http_date(Wall(millis)).to_vec()).unwrap()
    }

    fn rfc(millis: i64) -> String {
        String::from_utf8(rfc3339(Wall(millis)).to_vec()).unwrap()
    }

    /// The way back, by counting days the slow way.
    fn parse(text: &str) -> i64 {
        let number = |at: std::ops::Range<usize>| text[at].parse::<i64>().unwrap();
        let (year, month, day) = (number(0..4), number(5..7), number(8..10));
        let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let before =
            |year: i64| year * 365 + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
        let lengths = [
            31,
            28 + i64::from(leap(year)),
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        let days =
            before(year) - before(1970) + lengths[..month as usize - 1].iter().sum::<i64>() + day
                - 1;
        let seconds = number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
        days * DAY + seconds * 1000 + number(20..23)
    }

    #[test]
    fn known_dates() {
        assert_eq!(http(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http(951_782_400_000), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(http(951_868_799_999), "Tue, 29 Feb 2000 23:59:59 GMT");
        assert_eq!(http(4_107_542_400_000), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(http(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
        assert_eq!(rfc(1_795_395_723_004), "2026-11-23T01:02:03.004Z");
    }

    #[test]
    fn far_dates_stay_inside_the_format() {
        assert_eq!(rfc(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(http(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(rfc(i64::MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(http(i64::MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
    }

    proptest! {
        #[test]
        fn the_way_back_leads_home(millis in FIRST..=LAST) {
            prop_assert_eq!(parse(&rfc(millis)), millis);
        }

        #[test]
        fn text_sorts_as_time(a in FIRST..=LAST, b in FIRST..=LAST) {
            prop_assert_eq!(a.cmp(&b), rfc(a).cmp(&rfc(b)));
        }

        #[test]
        fn both_forms_agree(millis: i64) {
            let (http, rfc) = (http(millis), rfc(millis));
            let month = MONTHS.iter().position(|m| m[..] == http.as_bytes()[8..11]).unwrap() + 1;
            let again = format!("{}-{month:02}-{}T{}", &http[12..16], &http[5..7], &http[17..25]);
            prop_assert_eq!(again, &rfc[..19]);
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_its_eve() {
        for day in -719_528..-719_528 + 150_000 {
            assert_eq!(parse(&rfc(day * DAY)), day * DAY);
        }
    }
}
