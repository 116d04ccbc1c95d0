//! A worker frozen (SIGSTOP) for three leases: another takes its job over, and what the first then
//! has to say of it does not count.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::site::{RUNTIMES, Site, measuring, until};

#[test]
fn the_worker_that_was_frozen_is_fenced() {
    let _quiet = measuring();
    thread::scope(|scope| {
        for runtime in RUNTIMES {
            scope.spawn(|| frozen(runtime));
        }
    });
}

fn frozen(runtime: &str) {
    let site = Site::new();
    // Long enough that the second one still runs when the first one wakes.
    site.enqueue(&["--kind", "sleep", "--ms", "5000"]);
    let mut first = site.work("first", runtime, &["--lease", "2"]);
    until("it starts", || first.starts() == 1);
    first.signal(Signal::STOP);
    let mut second = site.work("second", runtime, &["--lease", "2"]);
    thread::sleep(Duration::from_secs(6));
    assert_eq!(second.starts(), 1, "{runtime}: taken over");
    first.signal(Signal::CONT);
    until("the first finishes, too late", || {
        first.journal().len() == 2
    });
    let job = site.job();
    assert_eq!(
        (&job["state"], &job["token"]),
        (&"running".into(), &2.into()),
        "{runtime}: {job}"
    );
    site.drained();
    let job = site.job();
    assert_eq!(job["state"], "succeeded", "{runtime}: {job}");
    assert_eq!(
        (&job["token"], &job["result"]["token"]),
        (&2.into(), &2.into()),
        "{runtime}: {job}"
    );
    assert_eq!(
        (&job["attempt"], &job["crashes"]),
        (&2.into(), &1.into()),
        "{runtime}: {job}"
    );
    // It goes on working as if nothing had happened.
    second.stop();
    site.enqueue(&["--kind", "ok"]);
    site.drained();
    first.stop();
    // Which of the two it says depends on what it learns first.
    let log = first.log();
    let fenced = ["its end came too late", "lease lost"];
    assert!(
        fenced.iter().any(|what| log.contains(what)),
        "{runtime}: {log}"
    );
    site.sound();
}
