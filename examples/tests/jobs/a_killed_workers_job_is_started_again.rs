//! `kill -9` of the only worker in the middle of a job.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::site::{RUNTIMES, Site, Store, measuring, on_every_store, until};

on_every_store!(within_two_leases_as_a_second_attempt_after_one_crash);

fn within_two_leases_as_a_second_attempt_after_one_crash(store: Store) {
    let _quiet = measuring();
    for runtime in RUNTIMES {
        let site = Site::new(store);
        site.enqueue(&["--kind", "sleep", "--ms", "300"]);
        let mut first = site.work("first", runtime, &["--lease", "2"]);
        until("it starts", || first.starts() == 1);
        first.kill();
        let killed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        let mut second = site.work("second", runtime, &["--lease", "2"]);
        site.drained();
        let lines = second.journal();
        let [start, finish] = &lines[..] else {
            panic!("{runtime}: {lines:?}");
        };
        assert_eq!((&*start.event, &*start.kind), ("start", "sleep"));
        assert_eq!((start.attempt, start.token), (2, 2));
        assert_eq!(
            (&*finish.event, finish.attempt, finish.token),
            ("finish", 2, 2)
        );
        let at = Duration::from_millis(start.at_ms.unsigned_abs());
        let waited = at.saturating_sub(killed);
        assert!(waited <= Duration::from_secs(4), "{runtime}: {waited:?}");
        let job = site.job();
        assert_eq!(
            (&job["state"], &job["crashes"]),
            (&"succeeded".into(), &1.into())
        );
        second.stop();
        site.sound();
    }
}
