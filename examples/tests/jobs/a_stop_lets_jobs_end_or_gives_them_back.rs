//! SIGTERM: jobs that end in time do, the others are back in their queue as if never started.

use std::time::Duration;

use crate::site::{RUNTIMES, Site, Store, Worker, measuring, on_every_store, until, within};

on_every_store!(
    fifty_jobs_of_a_second_are_done_in_a_second_and_a_half,
    fifty_jobs_of_a_minute_are_given_back_in_three_seconds_and_a_fifth
);

fn fifty(site: &Site, runtime: &str, ms: &str, args: &[&str]) -> Worker {
    site.enqueue(&["--kind", "sleep", "--ms", ms, "--count", "50"]);
    let args = [&["--slots", "50", "--lease", "2"], args].concat();
    let worker = site.work("worker", runtime, &args);
    until("all have started", || worker.starts() == 50);
    worker
}

fn fifty_jobs_of_a_second_are_done_in_a_second_and_a_half(store: Store) {
    let _quiet = measuring();
    for runtime in RUNTIMES {
        let site = Site::new(store);
        let mut worker = fifty(&site, runtime, "1000", &[]);
        let took = worker.stop();
        assert_eq!(site.stats(), [0, 0, 50, 0, 0], "{runtime}");
        assert!(
            took <= within(Duration::from_millis(1_500)),
            "{runtime}: {took:?}"
        );
        site.sound();
    }
}

fn fifty_jobs_of_a_minute_are_given_back_in_three_seconds_and_a_fifth(store: Store) {
    let _quiet = measuring();
    for runtime in RUNTIMES {
        let site = Site::new(store);
        let mut worker = fifty(&site, runtime, "60000", &["--soft", "1", "--hard", "3"]);
        let took = worker.stop();
        assert!(
            took <= within(Duration::from_millis(3_200)),
            "{runtime}: {took:?}"
        );
        assert_eq!(site.stats(), [50, 0, 0, 0, 0], "{runtime}");
        for job in site.list(&[]) {
            assert_eq!(
                (&job["attempt"], &job["crashes"]),
                (&0.into(), &0.into()),
                "{job}"
            );
        }
        site.sound();
    }
}
