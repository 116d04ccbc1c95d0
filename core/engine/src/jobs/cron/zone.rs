//! From local times to instants: a time zone as spans of constant offset, and what each DST rule
//! makes of the gaps and folds between them. Seconds since 1970.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::DstRule;
use super::fields::{Fields, YEARS};

/// The first slot at or after the instant `from`.
///
/// The slots are a set that does not depend on `from`, so any worker finds the same ones however it
/// got there.
pub(super) fn first_from(
    fields: &Fields,
    zone: &TimeZone,
    rule: DstRule,
    from: i64,
) -> Option<i64> {
    // Two days are more than any wall clock is behind: its reading must be a date too.
    let from = from.max(Timestamp::MIN.as_second() + 2 * 86_400);
    let last = from.saturating_add(i64::from(YEARS) * 366 * 86_400);
    let follows_the_clock = rule == DstRule::Vixie && fields.follows_the_clock();
    for span in spans(zone, from)? {
        if span.begins > last {
            break;
        }
        // The wall clock showed nothing between the two: what was due there is due now.
        let (stopped, resumed) = (span.begins + span.before, span.begins + span.offset);
        let gap = rule == DstRule::Vixie && !follows_the_clock && span.begins >= from;
        if gap
            && fields
                .first_from(stopped)
                .is_some_and(|local| local < resumed)
        {
            return Some(span.begins);
        }
        // What the wall clock shows for the second time counts only for those who follow it.
        let new = if follows_the_clock {
            resumed
        } else {
            resumed.max(stopped)
        };
        let local = fields.first_from(new.max(from + span.offset))?;
        if local - span.offset < span.ends {
            return Some(local - span.offset);
        }
    }
    None
}

/// From one shift of the wall clock to the next.
struct Span {
    begins: i64,
    ends: i64,
    /// What the wall clock is ahead of UTC.
    offset: i64,
    /// What it was ahead until the span began.
    before: i64,
}

/// The span that holds `from`, and all later ones.
fn spans(zone: &TimeZone, from: i64) -> Option<impl Iterator<Item = Span>> {
    let at = |second: i64| Timestamp::from_second(second).ok();
    let offset = |second: i64| Some(i64::from(zone.to_offset(at(second)?).seconds()));
    // Shifts are at whole seconds, so one before the next second is one up to this second.
    let shift = zone
        .preceding(at(from + 1)?)
        .next()
        .map(|shift| shift.timestamp().as_second());
    let mut begins = shift.unwrap_or(Timestamp::MIN.as_second());
    let mut before = offset(begins - 1).or_else(|| offset(begins))?;
    let mut current = Some(offset(from)?);
    let mut later = zone.following(at(from)?);
    Some(std::iter::from_fn(move || {
        let offset = current?;
        let next = later.next();
        let ends = next
            .as_ref()
            .map_or(i64::MAX, |shift| shift.timestamp().as_second());
        let span = Span {
            begins,
            ends,
            offset,
            before,
        };
        (begins, before) = (ends, offset);
        current = next.map(|shift| shift.offset().seconds().into());
        Some(span)
    }))
}
