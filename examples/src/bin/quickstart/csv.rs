//! All notes as CSV (RFC 4180), streamed: memory is that of one batch, however many notes there are.

use std::convert::Infallible;
use std::fmt::Write as _;

use futures_util::{StreamExt as _, stream};
use tideway::bytes::Bytes;
use tideway::extract::State;
use tideway::{Body, IntoResponse, Wall};

use crate::store::{Note, Store};

const BATCH: usize = 100;

/// The first line.
pub(crate) const HEAD: &str = "id,title,text,tags,created,updated\r\n";

/// What a CSV file is sent with.
pub(crate) const HEADERS: [(&str, &str); 2] = [
    ("content-type", "text/csv; charset=utf-8; header=present"),
    ("content-disposition", "attachment; filename=\"notes.csv\""),
];

/// Newest first. Notes that are added meanwhile are not in it.
pub(crate) async fn export(State(store): State<Store>) -> impl IntoResponse {
    let head = Bytes::from_static(HEAD.as_bytes());
    let batches = stream::iter(scan(store));
    let body = stream::once(async { head }).chain(batches);
    (HEADERS, Body::stream(body.map(Ok::<_, Infallible>)))
}

fn scan(store: Store) -> impl Iterator<Item = Bytes> + Send {
    let mut before = u64::MAX;
    std::iter::from_fn(move || {
        let batch = batch(&store, before, BATCH)?;
        before = batch.last;
        Some(batch.rows.into())
    })
}

/// Some rows.
pub(crate) struct Batch {
    pub(crate) rows: String,
    pub(crate) count: usize,
    /// The id of the last of them.
    pub(crate) last: u64,
}

/// The rows of up to `count` notes with a smaller id than `before`, newest first; `None` after the last.
pub(crate) fn batch(store: &Store, before: u64, count: usize) -> Option<Batch> {
    let notes = store.before(before, count);
    let last = notes.last()?.id;
    let mut rows = String::new();
    notes.iter().for_each(|note| row(&mut rows, note));
    Some(Batch {
        rows,
        count: notes.len(),
        last,
    })
}

fn row(out: &mut String, note: &Note) {
    let _ = write!(out, "{},", note.id);
    for text in [&note.title, &note.text, &note.tags.join(" ")] {
        cell(out, text);
        out.push(',');
    }
    let _ = write!(
        out,
        "{},{}\r\n",
        rfc3339(note.created),
        rfc3339(note.updated)
    );
}

/// One field, quoted where it must be (RFC 4180 §2). What a spreadsheet would run as a formula gets an
/// apostrophe in front, which makes it text.
fn cell(out: &mut String, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let quoted = formula || text.contains([',', '"', '\r', '\n']);
    if quoted {
        out.push('"');
    }
    if formula {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    if quoted {
        out.push('"');
    }
}

fn rfc3339(millis: i64) -> String {
    String::from_utf8_lossy(&tideway::rfc3339(Wall(millis))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        let mut out = String::new();
        cell(&mut out, text);
        out
    }

    #[test]
    fn a_field_is_quoted_where_it_must_be() {
        assert_eq!(one("plain text"), "plain text");
        assert_eq!(one(""), "");
        assert_eq!(one("a,b"), "\"a,b\"");
        assert_eq!(one("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(one("two\nlines"), "\"two\nlines\"");
    }

    #[test]
    fn a_formula_becomes_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "＝1"] {
            assert_eq!(one(formula), format!("\"'{formula}\""));
        }
        assert_eq!(one("=a\",\"b"), "\"'=a\"\",\"\"b\"");
    }
}
