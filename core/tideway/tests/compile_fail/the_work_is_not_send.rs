//! A job may move between threads whenever it waits.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tideway::jobs::{Job, JobCx, JobResult};

#[derive(Serialize, Deserialize)]
struct Mail;

impl Job for Mail {
    const NAME: &'static str = "mail";

    async fn run(self, cx: JobCx) -> JobResult {
        let shared = Rc::new(1);
        cx.cancelled().await;
        drop(shared);
        Ok(())
    }
}

fn main() {}
