//! A payload of another version of the program fails its attempt, with the place and the reason: a
//! fixed deployment can still read it. It never runs, and never panics.

use serde::{Deserialize, Serialize};
use tideway::jobs::{End, Job, JobCx, JobResult};
use tideway::testing::jobs::TestJob;

#[derive(Serialize, Deserialize)]
struct Mail {
    to: Vec<String>,
}

impl Job for Mail {
    const NAME: &'static str = "mail";

    async fn run(self, cx: JobCx) -> JobResult {
        cx.set_result(&self.to.len())?;
        Ok(())
    }
}

fn text(payload: &'static [u8]) -> String {
    let job = Mail { to: Vec::new() };
    match TestJob::new(job).payload(payload).run().end {
        End::Failed { text, after: None } => text,
        end => panic!("{end:?}"),
    }
}

#[test]
fn the_text_says_where_and_why() {
    let text = text(br#"{"to":["ann",7]}"#);
    assert!(
        text.starts_with("the payload is no `mail`: to[1]: invalid type: integer `7`"),
        "{text}"
    );
}

#[test]
fn whatever_the_bytes_are() {
    for payload in [
        &b""[..],
        b"{",
        b"\xff\xfe",
        br#"{"to":[]} and more"#,
        b"null",
    ] {
        let text = text(payload);
        assert!(text.starts_with("the payload is no `mail`: "), "{text}");
    }
}

#[test]
fn a_field_more_is_no_harm() {
    let job = Mail { to: Vec::new() };
    let run = TestJob::new(job)
        .payload(&br#"{"to":["ann"],"cc":[]}"#[..])
        .run();
    assert_eq!(run.result::<usize>(), 1);
}
