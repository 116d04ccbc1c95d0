//! A job says how it ended.

use serde::{Deserialize, Serialize};
use tideway::jobs::{Job, JobCx};

#[derive(Serialize, Deserialize)]
struct Mail;

impl Job for Mail {
    const NAME: &'static str = "mail";

    async fn run(self, _: JobCx) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
