//! The export job: writes all notes to a CSV file in the background. It keeps a checkpoint after every batch, so
//! that a retry goes on where the attempt before ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tideway::Needs;
use tideway::jobs::pool::{PoolConfig, Share};
use tideway::jobs::{Id, Job, JobCx, JobError, JobResult, Name, Retry, UniqueBy};

use crate::csv;
use crate::store::Store;

/// Writes all notes to a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Export {
    /// Of which process: the notes are in its memory.
    pub(crate) life: u64,
}

/// How far an export has come.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Progress {
    pub(crate) done: usize,
    pub(crate) total: usize,
    /// Notes with a smaller id are still to be written.
    before: u64,
    /// How long the file is.
    bytes: u64,
}

/// The most attempts of one export.
pub(crate) const ATTEMPTS: u32 = 5;

impl Job for Export {
    const NAME: &'static str = "export notes";
    const QUEUE: &'static str = "exports";

    fn retry() -> Retry {
        Retry::exp(Duration::from_secs(1), 2).attempts(ATTEMPTS)
    }

    /// While one waits or runs, whoever asks for another gets this one.
    fn unique(&self) -> Option<UniqueBy> {
        Some(UniqueBy::key("all notes"))
    }

    fn needs(needs: &mut Needs) {
        needs.service::<Store>();
        needs.service::<Files>();
    }

    async fn run(self, cx: JobCx) -> JobResult {
        let notes = cx.service::<Store>().ok_or("no notes were provided")?;
        let files = cx.service::<Files>().ok_or("no files were provided")?;
        if self.life != files.life {
            return Err(JobError::fatal(
                "the process whose notes it exports is gone",
            ));
        }
        let (mut file, mut at) = files.resume(cx.id(), cx.progress_json())?;
        if at.bytes == 0 {
            at.total = notes.count();
            at.bytes = csv::HEAD.len() as u64;
            file.write_all(csv::HEAD.as_bytes())?;
        }
        while let Some(batch) = csv::batch(notes, at.before, files.batch) {
            if cx.is_cancelled() {
                return Err(JobError::retry("asked to stop half-way"));
            }
            file.write_all(batch.rows.as_bytes())?;
            at.done += batch.count;
            // Notes may have been added or deleted since they were counted.
            at.total = at.total.max(at.done);
            at.before = batch.last;
            at.bytes += batch.rows.len() as u64;
            cx.checkpoint_json(&at)?;
            if let Some(pause) = files.rehearsal {
                cx.clock().sleep(pause).await;
                if cx.attempt() == 1 && at.done * 2 >= at.total {
                    return Err(JobError::retry(
                        "rehearsal: there was no space left half-way",
                    ));
                }
            }
        }
        at.total = at.done;
        cx.checkpoint_json(&at)?;
        files.tidy(cx.id())?;
        Ok(())
    }
}

/// Runs exports, and nothing else.
pub(crate) fn worker() -> PoolConfig {
    PoolConfig {
        slots: 2,
        queues: vec![Share {
            queue: Name::new(Export::QUEUE).expect("a valid name"),
            weight: 1,
        }],
        ..PoolConfig::default()
    }
}

/// The exported files; a clone is the same.
#[derive(Clone)]
pub(crate) struct Files {
    dir: Arc<PathBuf>,
    /// Another in every process.
    pub(crate) life: u64,
    /// How many notes are written at once.
    batch: usize,
    /// A pause after every batch, and a failure half-way through the first attempt.
    rehearsal: Option<Duration>,
}

impl Files {
    /// How many exports are kept.
    const KEPT: usize = 4;

    /// In `dir`, which is made if it is not there.
    pub(crate) fn in_dir(dir: PathBuf, rehearse: bool) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = since.unwrap_or_default().as_micros();
        Ok(Self {
            dir: Arc::new(dir),
            life: u64::try_from(micros).unwrap_or_default() ^ u64::from(std::process::id()),
            batch: if rehearse { 10 } else { 100 },
            rehearsal: rehearse.then_some(Duration::from_millis(100)),
        })
    }

    fn path(&self, id: Id) -> PathBuf {
        self.dir.join(format!("{id}.csv"))
    }

    /// The file of a finished export; an error if it has made room for newer ones.
    pub(crate) fn open(&self, id: Id) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// The file of an export and how far it has come: cut to its checkpoint, or begun anew without one.
    fn resume(&self, id: Id, progress: Option<Progress>) -> io::Result<(File, Progress)> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let mut file = options.open(self.path(id))?;
        let whole = |progress: &Progress| {
            file.metadata()
                .is_ok_and(|file| file.len() >= progress.bytes)
        };
        let progress = progress.filter(whole).unwrap_or(Progress {
            done: 0,
            total: 0,
            before: u64::MAX,
            bytes: 0,
        });
        file.set_len(progress.bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok((file, progress))
    }

    /// Removes the oldest files until there is room for `newest`.
    fn tidy(&self, newest: Id) -> io::Result<()> {
        let newest = self.path(newest);
        let entries = fs::read_dir(&*self.dir)?.filter_map(Result::ok);
        let mut files: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| *path != newest && path.extension().is_some_and(|of| of == "csv"))
            .collect();
        // Ids sort by the time they were made.
        files.sort_unstable();
        files.truncate((files.len() + 1).saturating_sub(Self::KEPT));
        files.iter().try_for_each(fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::in_dir(dir.path().join("exports"), false).expect("made");
        (dir, files)
    }

    #[test]
    fn a_file_is_cut_to_its_checkpoint_and_begun_anew_without_one() {
        let (_dir, files) = files();
        let id = Id::from_u128(7);
        let (mut file, mut at) = files.resume(id, None).expect("made");
        file.write_all(b"head\r\nrow\r\nhalf a r").expect("written");
        (at.done, at.bytes) = (1, 11);
        let (mut file, resumed) = files.resume(id, Some(at.clone())).expect("opened");
        assert_eq!((resumed.done, resumed.bytes), (1, 11));
        file.write_all(b"row\r\n").expect("written");
        let text = fs::read_to_string(files.path(id)).expect("read");
        assert_eq!(text, "head\r\nrow\r\nrow\r\n");
        at.bytes = 99;
        let (_, resumed) = files.resume(id, Some(at)).expect("opened");
        assert_eq!((resumed.done, resumed.bytes), (0, 0));
        assert_eq!(fs::read(files.path(id)).expect("read"), b"");
    }

    #[test]
    fn only_the_newest_files_are_kept() {
        let (_dir, files) = files();
        for n in 1..=6 {
            files.resume(Id::from_u128(n), None).expect("made");
            files.tidy(Id::from_u128(n)).expect("tidied");
        }
        let left = |n| files.open(Id::from_u128(n)).is_ok();
        assert_eq!(
            [1, 2, 3, 4, 5, 6].map(left),
            [false, false, true, true, true, true]
        );
    }
}
