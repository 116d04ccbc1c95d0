//! Samples as Markdown tables: a row per variant, a column per endpoint.

use crate::endpoint::Endpoint;
use crate::measure::Sample;
use crate::options::Kind;
use crate::peer::Variant;

/// Least, middle and greatest of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// The spread of `values`, `None` when there are none.
pub(crate) fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    };
    Some(Spread { min, median, max })
}

/// The table of everything counted as `what`, `None` when nothing was.
pub(crate) fn table(samples: &[Sample], kind: Kind, what: &str) -> Option<String> {
    let mine: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.kind == kind && sample.what == what)
        .collect();
    let columns: Vec<Endpoint> = Endpoint::ALL
        .into_iter()
        .filter(|e| mine.iter().any(|s| s.endpoint == *e))
        .collect();
    let mut rows: Vec<Variant> = Vec::new();
    for sample in &mine {
        if !rows.contains(&sample.variant) {
            rows.push(sample.variant);
        }
    }
    rows.sort_by_key(|variant| variant.all_stages);
    if rows.is_empty() {
        return None;
    }
    let mut out = format!("### {what}\n\n|");
    let heads = columns.iter().map(|column| match kind {
        Kind::Rss => "after one request".to_owned(),
        _ => column.name().to_owned(),
    });
    for head in std::iter::once(String::new()).chain(heads) {
        out.push_str(&format!(" {head} |"));
    }
    out.push_str(&format!("\n|---|{}\n", "---:|".repeat(columns.len())));
    for variant in rows {
        out.push_str(&format!("| {} |", variant.label()));
        for column in &columns {
            let found = mine
                .iter()
                .find(|s| s.variant == variant && s.endpoint == *column);
            let cell = found
                .and_then(|sample| spread(&sample.values))
                .map_or_else(String::new, cell);
            out.push_str(&format!(" {cell} |"));
        }
        out.push('\n');
    }
    Some(out)
}

fn cell(spread: Spread) -> String {
    if spread.min == spread.max {
        return number(spread.median);
    }
    format!(
        "{} – **{}** – {}",
        number(spread.min),
        number(spread.median),
        number(spread.max)
    )
}

/// Grouped thousands above a hundred, two decimals below.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_count_has_its_median_between() {
        let spread = spread(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.5, 4.0));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(number(1_234_567.0), "1 234 567");
        assert_eq!(number(6.0), "6.00");
    }
}
