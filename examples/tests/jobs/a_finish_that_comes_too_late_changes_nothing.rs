//! A worker frozen (SIGSTOP) for three leases: another takes its job over, and what the first then
//! has to say of it does not count.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::site::{RUNTIMES, Site, Store, measuring, on_every_store, until};

on_every_store!(the_worker_that_was_frozen_is_fenced);

fn the_worker_that_was_frozen_is_fenced(store: Store) {
    let _quiet = measuring();
    let late: Vec<bool> = thread::scope(|scope| {
        let twice = RUNTIMES.iter().chain(&RUNTIMES);
        let frozen: Vec<_> = twice
            .map(|runtime| scope.spawn(|| frozen(store, runtime)))
            .collect();
        let joined = frozen
            .into_iter()
            .map(|frozen| frozen.join().expect("it held"));
        joined.collect()
    });
    // Most do; whether one does is a race between the handler and the news that its lease is lost.
    assert!(
        late.contains(&true),
        "no handler finished before it was dropped"
    );
}

/// Whether the frozen handler finished, too late; else it was dropped before it could.
fn frozen(store: Store, runtime: &str) -> bool {
    let site = Site::new(store);
    // Long enough that the second one still runs when the first one wakes.
    site.enqueue(&["--kind", "sleep", "--ms", "5000"]);
    let mut first = site.work("first", runtime, &["--lease", "2"]);
    until("it starts", || first.starts() == 1);
    first.signal(Signal::STOP);
    let mut second = site.work("second", runtime, &["--lease", "2"]);
    thread::sleep(Duration::from_secs(6));
    assert_eq!(second.starts(), 1, "{runtime}: taken over");
    first.signal(Signal::CONT);
    until("the first learns that it lost its lease", || {
        let log = first.log();
        log.contains("its end came too late") || log.contains("lease lost")
    });
    site.drained();
    let job = site.job();
    assert_eq!(job["state"], "succeeded", "{runtime}: {job}");
    let tokens = (&job["token"], &job["result"]["token"]);
    assert_eq!(tokens, (&2.into(), &2.into()), "{runtime}: {job}");
    let counts = (&job["attempt"], &job["crashes"]);
    assert_eq!(counts, (&2.into(), &1.into()), "{runtime}: {job}");
    // It goes on working as if nothing had happened.
    second.stop();
    site.enqueue(&["--kind", "ok"]);
    site.drained();
    first.stop();
    site.sound();
    first
        .journal()
        .iter()
        .any(|line| line.token == 1 && !line.is_start())
}
