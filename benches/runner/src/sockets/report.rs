//! A cell as a Markdown table.

use super::cell::Cell;
use super::options::Options;
use super::run::Row;
use crate::table::{number, spread};

/// The table of `rows`; the first row is whom the others are compared with.
pub(crate) fn cell(cell: &Cell, rows: &[Row], options: &Options) -> String {
    let unit = cell.unit();
    let mut out = format!(
        "\n#### {}\n\n{} pairs of {} s.\n\n| server | {unit} per server-CPU-second | first ÷ this | \
         µs of the server | µs of the load |\n|---|---:|---:|---:|---:|\n",
        cell.name, options.pairs, options.seconds
    );
    let Some(first) = rows.first() else {
        return out;
    };
    for row in rows {
        let ratios: Vec<f64> = first
            .rates
            .iter()
            .zip(&row.rates)
            .map(|(ours, other)| ours / other)
            .collect();
        let (Some(rate), Some(ratio), Some(busy), Some(load)) = (
            spread(&row.rates),
            spread(&ratios),
            spread(&row.busy),
            spread(&row.load),
        ) else {
            continue;
        };
        let ratio = if row.name == first.name {
            String::new()
        } else {
            let (low, high) = quartiles(&ratios);
            format!("{low:.2} – **{:.3}** – {high:.2}", ratio.median)
        };
        out.push_str(&format!(
            "| {} | {} – **{}** – {} | {ratio} | {:.2} | {:.2} |\n",
            row.name,
            number(rate.min),
            number(rate.median),
            number(rate.max),
            busy.median * 1e6,
            load.median * 1e6,
        ));
    }
    out
}

/// The first and the third.
fn quartiles(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: usize| sorted[(sorted.len() - 1) * part / 4];
    (at(1), at(3))
}
