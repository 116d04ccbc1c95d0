//! The text of a cron expression, read strictly: what other readers take in different ways is
//! refused, with the field's name and what to write instead.

use std::fmt;

use crate::duration::DurationError;

use super::fields::{Fields, LAST, Set};

/// More than any honest expression needs; a longer one is refused unread.
const LONGEST: usize = 512;

/// Why a text is not a schedule. Shown to the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// Five or six fields were wanted.
    #[error("{found} fields instead of {wanted}: write {names}", names = layout(*.wanted))]
    Count {
        /// Fields wanted.
        wanted: u8,
        /// Fields found.
        found: u32,
    },
    /// The text is longer than 512 bytes.
    #[error("longer than {LONGEST} bytes: write ranges and steps, as in 0-30/5")]
    TooLong,
    /// A word with `@` that is none of ours; quotes it.
    #[error("unknown {0:?}: write @hourly, @daily, @weekly, @monthly, @yearly or @every 90s")]
    Word(Box<str>),
    /// `@every` without a duration that can be read.
    #[error("@every: {0}")]
    Every(#[from] DurationError),
    /// `@every` with less than a second or more than a year.
    #[error(
        "@every wants a duration from 1s to 366d: for a rarer job write a date, as in 0 0 1 1 *"
    )]
    EveryRange,
    /// A part of a field is no value of it; quotes the part.
    #[error("{0}: {1:?} is no value here: write {wanted}", wanted = .0.wants())]
    Value(Field, Box<str>),
    /// A range that ends before it begins; quotes it.
    #[error("{0}: {1:?} ends before it begins: split it in two, as in {parts}", parts = .0.split())]
    Backwards(Field, Box<str>),
    /// A step that is no number, is zero, has no range to step through, or steps out of it at once.
    #[error("{0}: {1:?} has no usable step: write {wanted}", wanted = .0.step())]
    Step(Field, Box<str>),
    /// `*` beside other values, which would make them meaningless; quotes the field.
    #[error("{0}: {1:?} has a * beside other values: write the * alone, or only the values")]
    Star(Field, Box<str>),
    /// A date that no calendar has, such as 30 February.
    #[error("no such date ever comes: check day of month, month and weekday")]
    Never,
    /// The zone is not in the IANA database; quotes it.
    #[error("unknown time zone {0:?}: write an IANA name, as in Europe/Berlin, or UTC")]
    Zone(Box<str>),
}

/// A field of a cron expression, by its name in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// 0 to 59; only where seconds were asked for.
    Second,
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31, or `L`.
    Day,
    /// 1 to 12, or JAN to DEC.
    Month,
    /// 0 to 7, or SUN to SAT; 0 and 7 are Sunday.
    Weekday,
}

/// Five fields, or six with the seconds first.
pub(super) fn fields(text: &str, seconds: bool) -> Result<Fields, CronError> {
    let text = short(text)?;
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let wanted = if seconds { 6 } else { 5 };
    let (second, [minute, hour, day, month, weekday]) = match (seconds, &parts[..]) {
        (false, &[a, b, c, d, e]) => ("0", [a, b, c, d, e]),
        (true, &[second, a, b, c, d, e]) => (second, [a, b, c, d, e]),
        _ => {
            let found = parts.len() as u32;
            return Err(CronError::Count { wanted, found });
        }
    };
    let mut fields = Fields {
        second: Field::Second.read(second)?,
        minute: Field::Minute.read(minute)?,
        hour: Field::Hour.read(hour)?,
        day: Set::default(),
        last_day: false,
        month: Field::Month.read(month)?,
        weekday: Set::default(),
        nth: [0; 7],
    };
    let (days, last): (Vec<_>, Vec<_>) =
        split(day).partition(|part| !part.eq_ignore_ascii_case("L"));
    fields.last_day = !last.is_empty();
    fields.day = Field::Day.read_beside(day, &days, fields.last_day)?;

    let (plain, nths): (Vec<_>, Vec<_>) = split(weekday).partition(|part| nth(part).is_none());
    fields.weekday = Field::Weekday.read_beside(weekday, &plain, !nths.is_empty())?;
    // 7 is another name of Sunday.
    fields.weekday.bits = (fields.weekday.bits | fields.weekday.bits >> 7) & 0x7f;
    for part in nths {
        let wrong = || CronError::Value(Field::Weekday, quote(part));
        let (weekday, which) = nth(part).ok_or_else(wrong)?;
        let weekday = Field::Weekday.value(weekday).ok_or_else(wrong)? as usize % 7;
        let bit = match which {
            "" => LAST,
            "1" | "2" | "3" | "4" | "5" => 1 << (which.as_bytes()[0] - b'1'),
            _ => return Err(wrong()),
        };
        if fields.weekday.bits >> weekday & 1 == 0 {
            fields.nth[weekday] |= bit;
        }
    }
    Ok(fields)
}

/// The five fields that a word with `@` stands for.
pub(super) fn word(text: &str) -> Result<&'static str, CronError> {
    Ok(match short(text)?.trim_ascii() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => return Err(CronError::Word(quote(other))),
    })
}

fn short(text: &str) -> Result<&str, CronError> {
    (text.len() <= LONGEST)
        .then_some(text)
        .ok_or(CronError::TooLong)
}

fn split(field: &str) -> impl Iterator<Item = &str> {
    field.split(',')
}

/// `FRI#2` in two, and `FRIL` or `5L` with nothing as the number.
fn nth(part: &str) -> Option<(&str, &str)> {
    part.split_once('#')
        .or_else(|| Some((part.strip_suffix(['L', 'l'])?, "")))
}

impl Field {
    fn read(self, field: &str) -> Result<Set, CronError> {
        self.read_beside(field, &split(field).collect::<Vec<_>>(), false)
    }

    /// The set of `parts`, taken from `field`, in which there is `more` besides.
    fn read_beside(self, field: &str, parts: &[&str], more: bool) -> Result<Set, CronError> {
        let mut set = Set::default();
        for part in parts {
            set.star |= part.starts_with('*');
            set.bits |= self.part(part)?;
        }
        if set.star && (parts.len() > 1 || more) {
            return Err(CronError::Star(self, quote(field)));
        }
        Ok(set)
    }

    /// `*`, `5`, `1-5`, and `*/5` or `0-30/5`.
    fn part(self, part: &str) -> Result<u64, CronError> {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(range, step)| (range, Some(step)));
        let value = |text| {
            self.value(text)
                .ok_or_else(|| CronError::Value(self, quote(part)))
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.least(), self.greatest()),
            None => (value(range)?, value(range)?),
            Some((from, to)) => {
                let (from, mut to) = (value(from)?, value(to)?);
                // FRI-SUN is as good as 5-7.
                if self == Field::Weekday && to == 0 && from > 0 {
                    to = 7;
                }
                (from, to)
            }
        };
        if to < from {
            return Err(CronError::Backwards(self, quote(part)));
        }
        let step = match step {
            None => 1,
            // `5/10` is 5 to some, 5,15,25,… to others; `*/90` every hour, not every 90 minutes.
            Some(step) => number(step)
                .filter(|step| (1..=to - from).contains(step))
                .ok_or_else(|| CronError::Step(self, quote(part)))?,
        };
        Ok((from..=to)
            .step_by(step.into())
            .fold(0, |bits, n| bits | 1 << n))
    }

    fn value(self, text: &str) -> Option<u8> {
        let same = |name: &&str| name.eq_ignore_ascii_case(text);
        let named = self.names().iter().position(same).map(|at| at as u8);
        let value = named.map(|at| at + self.least()).or_else(|| number(text))?;
        let greatest = if self == Field::Weekday {
            7
        } else {
            self.greatest()
        };
        (self.least()..=greatest).contains(&value).then_some(value)
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Field::Month => &[
                "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
            ],
            Field::Weekday => &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
            _ => &[],
        }
    }

    fn least(self) -> u8 {
        u8::from(matches!(self, Field::Day | Field::Month))
    }

    fn greatest(self) -> u8 {
        match self {
            Field::Second | Field::Minute => 59,
            Field::Hour => 23,
            Field::Day => 31,
            Field::Month => 12,
            Field::Weekday => 6,
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Field::Second | Field::Minute => "0-59, *, */5, 0-30/5 or a list of such",
            Field::Hour => "0-23, *, */2, 9-17 or a list of such",
            Field::Day => "1-31, *, */2, 1-7, L or a list of such",
            Field::Month => "1-12, JAN-DEC, *, */3 or a list of such",
            Field::Weekday => {
                "0-7, SUN-SAT, *, MON-FRI, FRI#2 (the second), FRIL (the last) or a list of such"
            }
        }
    }

    fn split(self) -> &'static str {
        match self {
            Field::Second | Field::Minute => "50-59,0-10",
            Field::Hour => "22-23,0-4",
            Field::Day => "25-31,1-5",
            Field::Month => "11-12,1-2",
            Field::Weekday => "5-6,0-1",
        }
    }

    fn step(self) -> &'static str {
        match self {
            Field::Second | Field::Minute => "*/5 or 10-59/5; for every 90 minutes @every 90m",
            Field::Hour => "*/2 or 8-23/2; for every 36 hours @every 36h",
            Field::Day => "*/2 or 1-15/2; for every 40 days @every 40d",
            Field::Month => "*/3 or 1-12/3",
            Field::Weekday => "*/2 or 1-5/2",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Second => "second",
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::Day => "day of month",
            Field::Month => "month",
            Field::Weekday => "weekday",
        })
    }
}

/// One or two digits; no sign, which `parse` would take.
fn number(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 2;
    digits.then(|| text.parse().ok())?
}

fn layout(wanted: u8) -> &'static str {
    if wanted == 5 {
        "minute, hour, day of month, month, weekday; seconds only where they are asked for"
    } else {
        "second, minute, hour, day of month, month, weekday"
    }
}

pub(super) fn quote(text: &str) -> Box<str> {
    text.chars().take(40).collect::<String>().into()
}
