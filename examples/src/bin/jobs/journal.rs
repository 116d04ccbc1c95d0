//! The journal: one JSON line per start and finish of a handler, so that a run can be judged from
//! outside of the store. Times are milliseconds since 1970.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use tideway::jobs::JobCx;

/// Where handlers write what they do; nowhere unless asked.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<File>);

#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    id: String,
    kind: &'a str,
    attempt: u32,
    token: u64,
    at_ms: i64,
}

impl Journal {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        match file {
            Ok(file) => Ok(Self(Some(file))),
            Err(error) => Err(format!("the journal {}: {error}", path.display())),
        }
    }

    pub(crate) fn start(&self, cx: &JobCx) -> io::Result<()> {
        self.line("start", cx)
    }

    pub(crate) fn finish(&self, cx: &JobCx) -> io::Result<()> {
        self.line("finish", cx)
    }

    /// One `write` per line, in append mode: several processes may share the file, and a killed one
    /// leaves no half line.
    fn line(&self, event: &'static str, cx: &JobCx) -> io::Result<()> {
        let Some(mut file) = self.0.as_ref() else {
            return Ok(());
        };
        let line = Line {
            event,
            id: cx.id().to_string(),
            kind: cx.kind(),
            attempt: cx.attempt(),
            token: cx.token(),
            at_ms: cx.clock().now().wall.0,
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        file.write_all(&line)
    }
}
