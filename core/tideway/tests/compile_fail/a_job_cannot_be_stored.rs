//! A job is stored as JSON, so it must serialise.

use tideway::jobs::{Job, JobCx, JobResult};

struct Mail;

impl Job for Mail {
    const NAME: &'static str = "mail";

    async fn run(self, _: JobCx) -> JobResult {
        Ok(())
    }
}

fn main() {}
