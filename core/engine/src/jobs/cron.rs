//! Cron schedules: read from text, checked, and turned into slots. A slot is a `Wall` that follows
//! from the schedule alone, never from when somebody looked. Reads no clock, and time zones only
//! from the database inside the binary.

mod cell;
mod fields;
mod missed;
mod parse;
mod zone;

use std::fmt;
use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::duration::parse_duration;
use crate::time::Wall;

pub use cell::{Cell, Entry, Firing, Overlap, Plan, job_id, plan};
pub use missed::{Due, LATE, MAX_AT_ONCE, Missed, due};
pub use parse::{CronError, Field};

use fields::Fields;

/// When something happens again and again.
///
/// Five fields as in crontab(5): minute, hour, day of month, month, weekday. Each is `*`, a value,
/// a range `1-5`, either with a step (`*/15`, `9-17/2`), or a list of values and ranges. Months and
/// weekdays have English names; weekday 0 and 7 are Sunday; `L` is the last day of the month,
/// `FRI#2` the second Friday and `FRIL` the last. Or a word: `@hourly`, `@daily`, `@weekly` (Sunday),
/// `@monthly`, `@yearly`, `@every 90s`.
///
/// If day of month and weekday are both restricted, either will do (`0 0 13 * FRI`: every 13th and
/// every Friday). A field that begins with `*` is not restricted, and then both must match
/// (`0 0 */2 * FRI`: Fridays with an odd date).
///
/// ```
/// use tideway_engine::Wall;
/// use tideway_engine::jobs::cron::Schedule;
///
/// let weekdays = Schedule::parse("30 9 * * MON-FRI")?.zone("Europe/Berlin")?;
/// assert_eq!(weekdays.spec(), "30 9 * * 1-5 Europe/Berlin vixie");
/// // 1 January 1970 was a Thursday; Berlin was an hour ahead of UTC.
/// assert_eq!(weekdays.after(Wall(0)), Some(Wall(8 * 3_600_000 + 30 * 60_000)));
///
/// let wrong = Schedule::parse("60 9 * * *").unwrap_err();
/// assert_eq!(wrong.to_string(), "minute: \"60\" is no value here: write 0-59, *, */5, 0-30/5 or a list of such");
/// # Ok::<(), tideway_engine::jobs::cron::CronError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
    rule: DstRule,
}

#[derive(Clone, Debug)]
enum Times {
    Fields(Fields),
    /// Whole multiples of this many milliseconds since 1970.
    Every(i64),
}

/// What happens to local times that a shift of the clock leaves out or brings twice.
///
/// Examples are for New York, where the clock goes from 02:00 to 03:00 on 10 March 2024 and from
/// 02:00 back to 01:00 on 3 November 2024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DstRule {
    /// What Vixie's cron does. Schedules at a time of day (neither minute nor hour nor second
    /// begins with `*`) run once a day: what the shift leaves out runs at the instant of the shift
    /// (`30 2 * * *` at 03:00 on 10 March; `0,30 2 * * *` too, and once), what it brings twice runs
    /// the first time (`30 1 * * *` at 01:30 before the shift on 3 November). The others follow the
    /// clock: `*/30 * * * *` is half an hour apart in spring and in autumn, by leaving out 02:00 and
    /// 02:30 and running twice at 01:00 and 01:30; `*/30 2 * * *` does not run on 10 March.
    ///
    /// The day is the one that was left out: `30 23 * * SAT` in Nuuk runs on Sunday at 00:00, the
    /// instant of the shift, when the clock goes there from Saturday 23:00.
    #[default]
    Vixie,
    /// Each local time at most once, and never another: `30 2 * * *` does not run on 10 March,
    /// `30 1 * * *` runs once on 3 November, and `*/30 * * * *` is silent for the repeated hour.
    Skip,
}

impl Schedule {
    /// Reads five fields or a word with `@`; in UTC and by Vixie's rule until said otherwise.
    ///
    /// # Errors
    ///
    /// [`CronError`] names the field and says what to write. A date that no calendar has
    /// (`0 0 30 2 *`) is refused too.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let trimmed = text.trim_ascii();
        if let Some(duration) = trimmed.strip_prefix("@every ") {
            return Self::every(parse_duration(duration.trim_ascii())?);
        }
        if trimmed.starts_with('@') {
            return Self::of(parse::fields(parse::word(trimmed)?, false)?);
        }
        Self::of(parse::fields(text, false)?)
    }

    /// Reads six fields: as in [`Schedule::parse`], with the second first.
    ///
    /// # Errors
    ///
    /// As for [`Schedule::parse`].
    pub fn with_seconds(text: &str) -> Result<Self, CronError> {
        Self::of(parse::fields(text, true)?)
    }

    /// Every whole multiple of `period` since the start of 1970 in UTC, whoever counts: `@every 90s`.
    /// Rounded down to milliseconds; no zone and no rule changes it.
    ///
    /// # Errors
    ///
    /// [`CronError::EveryRange`] under a second or over 366 days.
    pub fn every(period: Duration) -> Result<Self, CronError> {
        const LONGEST: Duration = Duration::from_secs(366 * 86_400);
        let allowed = (Duration::from_secs(1)..=LONGEST).contains(&period);
        match i64::try_from(period.as_millis()) {
            Ok(millis) if allowed => Ok(Self::new(Times::Every(millis))),
            _ => Err(CronError::EveryRange),
        }
    }

    fn of(fields: Fields) -> Result<Self, CronError> {
        fields.first_from(0).ok_or(CronError::Never)?;
        Ok(Self::new(Times::Fields(fields)))
    }

    fn new(times: Times) -> Self {
        Self {
            times,
            zone: TimeZone::UTC,
            rule: DstRule::default(),
        }
    }

    /// The same fields on the clocks of a zone: `Europe/Berlin`, in any case. Default UTC.
    ///
    /// # Errors
    ///
    /// [`CronError::Zone`] if the database in this binary does not have it.
    pub fn zone(self, iana: &str) -> Result<Self, CronError> {
        let zone = TimeZoneDatabase::bundled().get(iana).ok();
        // The name is part of the spec; `Etc/Unknown` is found, but has none.
        match zone.filter(|zone| zone.iana_name().is_some()) {
            Some(zone) => Ok(Self { zone, ..self }),
            None => Err(CronError::Zone(parse::quote(iana))),
        }
    }

    /// The same with another rule for shifts of the clock. Default [`DstRule::Vixie`].
    #[must_use]
    pub fn dst(self, rule: DstRule) -> Self {
        Self { rule, ..self }
    }

    /// The first slot after `instant`, which need not be a slot itself.
    ///
    /// None if there is none in the next 112 years: [`DstRule::Skip`] can leave nothing of a
    /// schedule whose every date lies in a gap.
    #[must_use]
    pub fn after(&self, instant: Wall) -> Option<Wall> {
        match &self.times {
            Times::Every(period) => {
                let passed = instant.0.rem_euclid(*period);
                instant.0.checked_add(period - passed).map(Wall)
            }
            Times::Fields(fields) => {
                let from = instant.0.div_euclid(1_000) + 1;
                let slot = zone::first_from(fields, &self.zone, self.rule, from)?;
                slot.checked_mul(1_000).map(Wall)
            }
        }
    }

    /// The canonical text: fields as numbers, zone and rule. Schedules with equal ones have equal slots.
    #[must_use]
    pub fn spec(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.times {
            Times::Fields(fields) => {
                let zone = self.zone.iana_name().unwrap_or("UTC");
                write!(f, "{fields} {zone} {}", self.rule)
            }
            Times::Every(millis) => {
                let units = [
                    (86_400_000, "d"),
                    (3_600_000, "h"),
                    (60_000, "m"),
                    (1_000, "s"),
                ];
                let whole = units.into_iter().find(|(unit, _)| millis % unit == 0);
                let (unit, name) = whole.unwrap_or((1, "ms"));
                write!(f, "@every {}{name}", millis / unit)
            }
        }
    }
}

impl fmt::Display for DstRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DstRule::Vixie => "vixie",
            DstRule::Skip => "skip",
        })
    }
}

#[cfg(test)]
mod tests;
