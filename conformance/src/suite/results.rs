//! What came of each case, one line each in `target/conformance/<runtime>.tsv`, of job stores in
//! `target/conformance/jobs/<store>.tsv`; the program `matrix` makes tables of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Kept(Duration),
    /// It does not.
    Broken(Duration),
    /// It was begun and took the process with it.
    Died,
    /// It was not asked of this one; the note says why.
    Skipped,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What came of it.
    pub verdict: Verdict,
    /// What was measured.
    pub note: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, took) = match self.verdict {
            Verdict::Kept(took) => ("kept", took),
            Verdict::Broken(took) => ("broken", took),
            Verdict::Died => ("died", Duration::ZERO),
            Verdict::Skipped => ("skipped", Duration::ZERO),
        };
        write!(f, "{word}\t{}\t{}", took.as_millis(), self.note)
    }
}

/// The lines of a file, by case. Lines of another form are passed over.
#[must_use]
pub fn read(file: &Path) -> BTreeMap<String, Line> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let mut cells = line.splitn(4, '\t');
        let (case, word, millis, note) =
            (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        let took = Duration::from_millis(millis.parse().ok()?);
        let verdict = match word {
            "kept" => Verdict::Kept(took),
            "broken" => Verdict::Broken(took),
            "died" => Verdict::Died,
            "skipped" => Verdict::Skipped,
            _ => return None,
        };
        let note = note.to_owned();
        Some((case.to_owned(), Line { verdict, note }))
    };
    text.lines().filter_map(line).collect()
}

/// One writer at a time: the cases of a suite are threads of one process.
static FILE: Mutex<()> = Mutex::new(());

/// Replaces one line, in the directory beside Cargo's own for test files.
pub(crate) fn write(
    test_files: Option<&str>,
    suite: &str,
    case: &str,
    verdict: Verdict,
    note: &str,
) {
    let Some(target) = test_files.and_then(|dir| Path::new(dir).parent()) else {
        return;
    };
    let _one = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let file: PathBuf = target.join("conformance").join(format!("{suite}.tsv"));
    let mut lines = read(&file);
    let note = note.replace(['\t', '\n'], " ");
    lines.insert(case.to_owned(), Line { verdict, note });
    let text: String = lines
        .iter()
        .map(|(case, line)| format!("{case}\t{line}\n"))
        .collect();
    let directory = file.parent().unwrap_or(target);
    let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&file, text));
    if let Err(error) = written {
        eprintln!("the result of {case} is not in {}: {error}", file.display());
    }
}
