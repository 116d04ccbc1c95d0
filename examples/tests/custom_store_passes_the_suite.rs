//! The job store of our own keeps what it declares: one macro line says so.

use std::path::PathBuf;

use tideway::BoxFuture;
use tideway_conformance::jobs::{Harness, OpenError, TestClock};
use tideway_examples::custom_store::FileStore;

struct OnFile {
    clock: TestClock,
    dir: tempfile::TempDir,
}

impl OnFile {
    fn new() -> Self {
        Self {
            clock: TestClock::default(),
            dir: tempfile::tempdir().expect("a directory for the file"),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("jobs.journal")
    }
}

impl Harness for OnFile {
    type Store = FileStore;

    async fn open(&self) -> Result<FileStore, OpenError> {
        Ok(FileStore::open(&self.path(), self.clock.store_clock())?)
    }

    fn clock(&self) -> Option<TestClock> {
        Some(self.clock.clone())
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        smol::block_on(task);
    }
}

tideway_conformance::job_store_suite! {
    name: custom_store,
    harness: OnFile::new(),
    levels: [L0, Batch, Time],
}

#[test]
fn what_was_answered_is_there_when_the_file_is_opened_again_and_half_a_line_is_not() {
    use std::io::Write as _;
    use tideway::jobs::JobStore as _;
    use tideway_conformance::jobs::fixture::job;

    let harness = OnFile::new();
    let jobs = [job("mail").build(), job("mail").build()];
    smol::block_on(async {
        let store = harness.open().await.expect("a fresh file");
        store.enqueue(&jobs).await.expect("enqueued");
        drop(store);
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(harness.path())
            .expect("the file");
        file.write_all(b"[\"0190").expect("half a line");
        let store = harness.open().await.expect("the half line is cut off");
        let ids = jobs.each_ref().map(|job| job.spec.id);
        let found = store.jobs(&ids).await.expect("answered");
        assert_eq!(found.iter().flatten().count(), 2);
        store.enqueue(&jobs).await.expect("a line after the cut");
    });
}
