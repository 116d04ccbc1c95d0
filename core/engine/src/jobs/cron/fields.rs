//! The fields of a cron expression as sets, and the first local time they match. Pure calendar
//! arithmetic in seconds since 1970 on a wall clock; zones and shifts are not known here.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// How far a search goes. A date and its weekday meet again after at most 40 years (29 February
/// around 2100), so what is not found by then is never found.
pub(super) const YEARS: i16 = 28 * 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) second: Set,
    pub(super) minute: Set,
    pub(super) hour: Set,
    pub(super) day: Set,
    /// `L` among the days of the month.
    pub(super) last_day: bool,
    pub(super) month: Set,
    /// Sunday is 0.
    pub(super) weekday: Set,
    /// `#` and `L` by weekday: bit n - 1 for the n-th of the month, [`LAST`] for the last.
    pub(super) nth: [u8; 7],
}

/// In [`Fields::nth`]: the last one of the month, be it the fourth or the fifth.
pub(super) const LAST: u8 = 1 << 5;

/// The values of one field, bit n for value n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) bits: u64,
    /// Whether it was written as `*` or `*/n`, which changes what two other rules do.
    pub(super) star: bool,
}

impl Fields {
    /// Whether it means "each time the clock shows this" rather than "at this time of the day".
    pub(super) fn follows_the_clock(&self) -> bool {
        self.second.star || self.minute.star || self.hour.star
    }

    /// The first match at or after `local`; none within [`YEARS`] or before the year 10000.
    pub(super) fn first_from(&self, local: i64) -> Option<i64> {
        let from = Offset::UTC.to_datetime(Timestamp::from_second(local).ok()?);
        let last_year = from.year().saturating_add(YEARS);
        let mut date = self.date_from(from.date(), last_year)?;
        if date == from.date() {
            if let Some(time) = self.time_from(from.time()) {
                return seconds(date.to_datetime(time));
            }
            date = self.date_from(date.tomorrow().ok()?, last_year)?;
        }
        seconds(date.to_datetime(self.time_from(Time::midnight())?))
    }

    fn time_from(&self, from: Time) -> Option<Time> {
        let [hour, minute, second] =
            [from.hour(), from.minute(), from.second()].map(i8::cast_unsigned);
        let (first_minute, first_second) = (self.minute.first_from(0)?, self.second.first_from(0)?);
        let mut next = self.hour.first_from(hour)?;
        if next == hour {
            if self.minute.first_from(minute) == Some(minute)
                && let Some(second) = self.second.first_from(second)
            {
                return time(hour, minute, second);
            }
            if let Some(minute) = self.minute.first_from(minute + 1) {
                return time(hour, minute, first_second);
            }
            next = self.hour.first_from(hour + 1)?;
        }
        time(next, first_minute, first_second)
    }

    fn date_from(&self, from: Date, last_year: i16) -> Option<Date> {
        let (mut year, mut month, mut day) = (from.year(), from.month(), from.day());
        while year <= last_year {
            let Some(next) = self.month.first_from(month.cast_unsigned()) else {
                (year, month, day) = (year.checked_add(1)?, 1, 1);
                continue;
            };
            let next = next.cast_signed();
            if next > month {
                (month, day) = (next, 1);
            }
            let first = Date::new(year, month, 1).ok()?;
            if let Some(day) = self.days(first).first_from(day.cast_unsigned()) {
                return Date::new(year, month, day.cast_signed()).ok();
            }
            (month, day) = (month + 1, 1);
        }
        None
    }

    /// The matching days of the month that begins on `first`.
    fn days(&self, first: Date) -> Set {
        let length = first.days_in_month();
        let mut weekday = first.weekday().to_sunday_zero_offset();
        let (mut by_day, mut by_weekday) = (self.day.bits & ((2 << length) - 1), 0_u64);
        if self.last_day {
            by_day |= 1 << length;
        }
        for day in 1..=length {
            let nth = self.nth[weekday as usize];
            let last = nth & LAST != 0 && day + 7 > length;
            if self.weekday.bits >> weekday & 1 == 1 || nth >> ((day - 1) / 7) & 1 == 1 || last {
                by_weekday |= 1 << day;
            }
            weekday = (weekday + 1) % 7;
        }
        // crontab(5): if both are restricted, that is, neither begins with `*`, either will do.
        let bits = if self.day.star || self.weekday.star {
            by_day & by_weekday
        } else {
            by_day | by_weekday
        };
        Set { bits, star: false }
    }
}

impl Set {
    fn first_from(self, from: u8) -> Option<u8> {
        let left = self.bits.checked_shr(from.into())?;
        (left != 0).then(|| from + left.trailing_zeros() as u8)
    }
}

fn time(hour: u8, minute: u8, second: u8) -> Option<Time> {
    let [hour, minute, second] = [hour, minute, second].map(u8::cast_signed);
    Time::new(hour, minute, second, 0).ok()
}

fn seconds(local: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(local).ok()?.as_second())
}

/// The canonical text: numbers in order, five fields unless seconds matter.
impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on_the_minute = Set {
            bits: 1,
            star: false,
        };
        if self.second != on_the_minute {
            write!(f, "{} ", list(self.second, &[]))?;
        }
        let last_day = if self.last_day {
            vec!["L".to_owned()]
        } else {
            vec![]
        };
        let mut nths = Vec::new();
        for (weekday, nth) in self.nth.iter().enumerate() {
            let numbered = (1..=5).filter(|n| nth >> (n - 1) & 1 == 1);
            nths.extend(numbered.map(|n| format!("{weekday}#{n}")));
            nths.extend((nth & LAST != 0).then(|| format!("{weekday}L")));
        }
        let (minute, hour, month) = (self.minute, self.hour, self.month);
        let [minute, hour, month] = [minute, hour, month].map(|set| list(set, &[]));
        let (day, weekday) = (list(self.day, &last_day), list(self.weekday, &nths));
        write!(f, "{minute} {hour} {day} {month} {weekday}")
    }
}

/// `*`, `*/5` or `1,3-5,8`, and what else belongs into the same list.
fn list(set: Set, more: &[String]) -> String {
    let mut values = (0..64_u32).filter(|n| set.bits >> n & 1 == 1);
    if set.star {
        // A star is never alone in its set: a step that leaves one value is refused.
        let step = values.next().zip(values.next()).map_or(1, |(a, b)| b - a);
        return if step == 1 {
            "*".into()
        } else {
            format!("*/{step}")
        };
    }
    let mut parts: Vec<String> = Vec::new();
    let mut values = values.peekable();
    while let Some(from) = values.next() {
        let mut to = from;
        while let Some(next) = values.next_if_eq(&(to + 1)) {
            to = next;
        }
        parts.push(if to == from {
            from.to_string()
        } else {
            format!("{from}-{to}")
        });
    }
    parts.extend_from_slice(more);
    parts.join(",")
}
