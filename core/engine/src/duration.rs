//! Durations as people write them in configuration: a whole number and a unit, nothing else.

use std::time::Duration;

/// Reads `250ms`, `10s`, `5m`, `2h` or `7d`.
///
/// Strict on purpose: a wrong time-out in production costs more than a refused start. No sign, no
/// space, no fraction, no second part (`90m`, not `1h30m`).
///
/// # Errors
///
/// [`DurationError`] quotes what was wrong; show it with the name of the setting.
///
/// ```
/// use std::time::Duration;
/// use tideway_engine::parse_duration;
///
/// assert_eq!(parse_duration("250ms")?, Duration::from_millis(250));
/// let wrong = parse_duration("5 apples").unwrap_err();
/// assert_eq!(wrong.to_string(), "unknown unit \" apples\": use ms, s, m, h or d, as in 10s");
/// # Ok::<(), tideway_engine::DurationError>(())
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(DurationError::NoNumber(quote(text)));
    }
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(DurationError::NoUnit(quote(text))),
        _ => return Err(DurationError::UnknownUnit(quote(unit))),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(millis))
        .map(Duration::from_millis)
        .ok_or_else(|| DurationError::TooLong(quote(text)))
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing was written.
    #[error("empty: write a whole number and a unit, as in 10s")]
    Empty,
    /// It does not begin with a digit; quotes the text.
    #[error("{0:?} does not begin with a digit: write a whole number and a unit, as in 10s")]
    NoNumber(Box<str>),
    /// A number with no unit; quotes the text.
    #[error("{0:?} has no unit: add ms, s, m, h or d, as in 10s")]
    NoUnit(Box<str>),
    /// What follows the number is no unit; quotes what follows.
    #[error("unknown unit {0:?}: use ms, s, m, h or d, as in 10s")]
    UnknownUnit(Box<str>),
    /// More milliseconds than 64 bits hold; quotes the text.
    #[error("{0:?} is too long: the longest is {max}d", max = u64::MAX / 86_400_000)]
    TooLong(Box<str>),
}

/// At most 40 characters of the text, so that a pasted file does not fill the log.
fn quote(text: &str) -> Box<str> {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_name_what_was_wrong() {
        let says = |text| parse_duration(text).unwrap_err().to_string();
        let texts = [
            "",
            "5",
            "+5s",
            "-1s",
            " 5s",
            "5 apples",
            "5s ",
            "1h30m",
            "1.5s",
            "5S",
            "٣s",
            "99999999999999999999s",
            "18446744073709551615d",
        ];
        insta::assert_snapshot!(texts.map(says).join("\n"), @r#"
        empty: write a whole number and a unit, as in 10s
        "5" has no unit: add ms, s, m, h or d, as in 10s
        "+5s" does not begin with a digit: write a whole number and a unit, as in 10s
        "-1s" does not begin with a digit: write a whole number and a unit, as in 10s
        " 5s" does not begin with a digit: write a whole number and a unit, as in 10s
        unknown unit " apples": use ms, s, m, h or d, as in 10s
        unknown unit "s ": use ms, s, m, h or d, as in 10s
        unknown unit "h30m": use ms, s, m, h or d, as in 10s
        unknown unit ".5s": use ms, s, m, h or d, as in 10s
        unknown unit "S": use ms, s, m, h or d, as in 10s
        "٣s" does not begin with a digit: write a whole number and a unit, as in 10s
        "99999999999999999999s" is too long: the longest is 213503982334d
        "18446744073709551615d" is too long: the longest is 213503982334d
        "#);
    }

    #[test]
    fn a_long_text_is_cut_short_in_the_message() {
        let text = "é".repeat(10_000);
        assert!(parse_duration(&text).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn the_error_is_small() {
        assert!(size_of::<DurationError>() <= 32);
    }

    proptest! {
        #[test]
        fn every_unit_counts(number in 0..1_u64 << 32) {
            for (unit, millis) in [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)] {
                prop_assert_eq!(
                    parse_duration(&format!("{number}{unit}")),
                    Ok(Duration::from_millis(number * millis))
                );
            }
        }

        #[test]
        fn nothing_else_is_a_duration(text: String) {
            let digits = text.trim_end_matches(|c: char| "msmhd".contains(c));
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                prop_assert!(parse_duration(&text).is_err());
            }
        }
    }
}
