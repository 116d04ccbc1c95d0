//! What handlers wrote about themselves.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// A start or finish of a handler.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) attempt: u32,
    pub(crate) token: u64,
    pub(crate) at_ms: i64,
}

impl Line {
    pub(crate) fn is_start(&self) -> bool {
        self.event == "start"
    }
}

/// All lines of a journal; none if it was not begun. A line that crosses a page of the file may be seen before
/// its end is there.
pub(crate) fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")));
    lines.collect()
}

/// The lines of one worker's life.
pub(crate) struct Life {
    /// Whether it was killed, and so might leave jobs behind.
    pub(crate) killed: bool,
    pub(crate) lines: Vec<Line>,
}

/// The starts of each job in the order of their tokens, and whether that worker was killed.
///
/// Panics unless every start but the last was that of a killed worker, under a token of its own.
pub(crate) fn starts(lives: &[Life]) -> BTreeMap<&str, Vec<(u64, bool)>> {
    let mut starts: BTreeMap<&str, Vec<(u64, bool)>> = BTreeMap::new();
    for life in lives {
        for line in life.lines.iter().filter(|line| line.is_start()) {
            starts
                .entry(&line.id)
                .or_default()
                .push((line.token, life.killed));
        }
    }
    for (id, starts) in &mut starts {
        starts.sort_unstable();
        for pair in starts.windows(2) {
            assert!(
                pair[0].0 < pair[1].0,
                "{id}: a token was given twice: {starts:?}"
            );
            assert!(
                pair[0].1,
                "{id}: started again though its worker lived: {starts:?}"
            );
        }
    }
    starts
}
