//! The file: one line of JSON per changed record, appended and synced. It knows no rule of jobs.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use tideway::jobs::{Id, Record, StoreError};

/// Records as a call left them; `None` for one that is forgotten.
pub(super) type Changes = BTreeMap<Id, Option<Record>>;

pub(super) fn apply(records: &mut BTreeMap<Id, Record>, changes: Changes) {
    for (id, change) in changes {
        match change {
            Some(job) => records.insert(id, job),
            None => records.remove(&id),
        };
    }
}

pub(super) struct Journal(File);

impl Journal {
    /// Opens the file and reads it. A last line without an end was never acknowledged: it is cut off.
    pub(super) fn open(path: &Path) -> Result<(Self, BTreeMap<Id, Record>), StoreError> {
        let wrong =
            |error: io::Error| StoreError::Fatal(format!("{}: {error}", path.display()).into());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(path).map_err(wrong)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(wrong)?;
        let end = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut records = BTreeMap::new();
        for (n, line) in text[..end]
            .split_inclusive(|byte| *byte == b'\n')
            .enumerate()
        {
            let change: (Id, Option<Record>) = serde_json::from_slice(line)
                .map_err(|error| wrong(io::Error::other(format!("line {}: {error}", n + 1))))?;
            apply(&mut records, Changes::from([change]));
        }
        file.set_len(end as u64).map_err(wrong)?;
        Ok((Self(file), records))
    }

    /// Appends the changes and waits until they are on the disk: all of them, or none.
    pub(super) fn append(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for change in changes {
            serde_json::to_writer(&mut text, &change).map_err(fatal)?;
            text.push(b'\n');
        }
        let end = self.0.metadata().map_err(fatal)?.len();
        let written = self.0.write_all(&text).and_then(|()| self.0.sync_data());
        written.map_err(|error| {
            // What is half written was never acknowledged. If it cannot be cut off, opening fails on it.
            let _ = self.0.set_len(end);
            fatal(error)
        })
    }
}

fn fatal(error: impl std::fmt::Display) -> StoreError {
    StoreError::Fatal(error.to_string().into())
}
