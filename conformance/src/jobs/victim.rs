//! A second process that works on the store of a case until it is killed: this test program, run again for
//! that one test. It says on its standard error what the store has acknowledged; the case that killed it judges.

use std::env;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tideway_engine::jobs::{Fence, Id, Outcome, Owner};

use super::Cx;
use super::fixture::job;
use super::worker::{end, fence};
use crate::suite::claim::fail;

/// Tells the second process what it is: the namespace of the store.
const NAMESPACE: &str = "TIDEWAY_JOBS_NAMESPACE";

/// It ends by itself after this, should nobody kill it.
const LIFE: Duration = Duration::from_secs(20);

/// Begins each line of what it says.
const MARK: &str = "acknowledged ";

/// The namespace to work in, if this process is the second one.
pub(super) fn role() -> Option<String> {
    env::var(NAMESPACE).ok()
}

/// Something the store has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Enqueued(Id),
    Claimed(Id, Fence),
    /// It succeeded, with its id as the result and this follow-up job.
    Settled(Id, Fence, Id),
}

/// Enqueues, claims and settles until it is killed.
pub(super) async fn work(cx: &Cx) {
    let begun = Instant::now();
    let worker = cx.worker();
    while begun.elapsed() < LIFE {
        let new: Vec<_> = (0..5).map(|_| job("mail").build()).collect();
        for id in cx.add_all(&new).await {
            say(format_args!("enqueued {id}"));
        }
        let claimed = worker.claim("mail", 3).await;
        for leased in &claimed {
            let fence = shown(fence(leased));
            say(format_args!("claimed {} {fence}", leased.id()));
        }
        for leased in &claimed {
            let next = job("maps").build();
            let (id, then) = (leased.id(), next.spec.id);
            let mut settle = end(leased, Outcome::Succeeded(result(id)));
            settle.then = vec![next];
            cx.settle(&[settle]).await;
            let fence = shown(fence(leased));
            say(format_args!("settled {id} {fence} {then}"));
        }
    }
}

/// What the job of this id returns.
pub(super) fn result(id: Id) -> Bytes {
    id.to_string().into()
}

fn shown(fence: Fence) -> String {
    format!("{} {}", fence.token, fence.owner.0)
}

fn say(what: impl Display) {
    // Past the capture of the test runner. One call, so that no line is cut by the kill.
    let line = format!("{MARK}{what}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn heard(line: &str) -> Option<Said> {
    let words: Vec<&str> = line.strip_prefix(MARK)?.split(' ').collect();
    let id = |at: usize| words.get(at)?.parse::<Id>().ok();
    let fence = || {
        Some(Fence {
            token: words.get(2)?.parse().ok()?,
            owner: Owner(words.get(3)?.parse().ok()?),
        })
    };
    match *words.first()? {
        "enqueued" => Some(Said::Enqueued(id(1)?)),
        "claimed" => Some(Said::Claimed(id(1)?, fence()?)),
        "settled" => Some(Said::Settled(id(1)?, fence()?, id(4)?)),
        _ => None,
    }
}

/// The second process; it never outlives this.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `test` of this program as the second process, kills it when it has said so much, and returns all it
/// said before it died. Blocks the thread.
pub(super) fn kill_after(said: usize, test: &str, namespace: &str) -> Vec<Said> {
    let spawned = env::current_exe().and_then(|program| {
        Command::new(program)
            .args([test, "--exact", "--test-threads=1"])
            .env(NAMESPACE, namespace)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    });
    let mut victim = match spawned {
        Ok(child) => Victim(child),
        Err(error) => fail(
            "this test program runs a second time",
            error.to_string(),
            "only a process of its own can be killed",
        ),
    };
    let lines = victim
        .0
        .stderr
        .take()
        .map(|out| BufReader::new(out).lines());
    let mut all = Vec::new();
    let mut other = String::new();
    // What is in the pipe when it dies is still read.
    for line in lines.into_iter().flatten().map_while(Result::ok) {
        match heard(&line) {
            Some(one) => all.push(one),
            None => other += &format!("\n            {line}"),
        }
        if all.len() == said {
            let _ = victim.0.kill();
        }
    }
    if all.len() < said {
        fail(
            format!("the second process works until it is killed, after {said} acknowledgements"),
            format!("it ended after {}:{other}", all.len()),
            "it runs the same test; `Harness::open_at` opens the store there",
        );
    }
    all
}
