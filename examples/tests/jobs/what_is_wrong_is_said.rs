//! Commands for people: what they print, and what they say of a mistake.

use std::os::unix::fs::FileExt as _;

use serde_json::json;

use crate::site::{Site, Store};

#[track_caller]
fn refused(site: &Site, args: &[&str], code: i32, says: &str) {
    let out = site.output(args);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {errors}");
    assert!(errors.contains(says), "{args:?} says:\n{errors}not: {says}");
    assert!(out.stdout.is_empty(), "{args:?}");
}

#[test]
fn a_mistake_in_the_arguments_is_2_and_says_what_to_write() {
    let site = Site::new(Store::Sqlite);
    for (args, says) in [
        (
            &["enqueue", "--kind", "nap"][..],
            "use one of ok, fail, panic, hang, abort, sleep",
        ),
        (&["enqueue", "--kind", "ok:many"], "write ok:COUNT"),
        (
            &["enqueue", "--delay", "soon"],
            "write a whole number and a unit",
        ),
        (&["work", "--cron", "* * 31 2 *"], "--cron"),
        (&["work", "--lease=-1"], "--lease"),
        (&["list", "--state", "lost"], "use one of waiting, pending"),
        (&["pause", ""], "empty"),
    ] {
        refused(&site, args, 2, says);
    }
    // The last `--store` counts.
    for (store, says) in [
        ("redis:x", "the server is missing: redis://HOST:PORT"),
        ("mysql://x", "write sqlite:PATH"),
        ("sqlite:", "the path is missing"),
        ("memory:", "lives in one process"),
    ] {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_jobs"))
            .args(["--store", store, "stats"])
            .output()
            .expect("the program starts");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{store}: {errors}");
        assert!(errors.contains(says), "{store}: {errors}");
    }
}

#[test]
fn a_store_that_cannot_be_used_is_1_and_says_why() {
    let site = Site::new(Store::Sqlite);
    refused(
        &site,
        &["stats"],
        1,
        "sqlite:jobs.db: there is no such file",
    );
    refused(&site, &["work", "--slots", "0"], 1, "slots is 0");
    refused(
        &site,
        &["work", "--soft", "2", "--hard", "1"],
        1,
        "hard must not be less than soft",
    );
    refused(
        &site,
        &["enqueue", "--band", "8"],
        1,
        "there is no such band: use 0 (first) to 7",
    );
    site.enqueue(&[]);
    // SQLite's header: four bytes at 60 are the version of the schema.
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(site.path("jobs.db"));
    let file = file.expect("the store is a file");
    file.write_all_at(&99_u32.to_be_bytes(), 60)
        .expect("written");
    for command in ["stats", "work", "enqueue"] {
        refused(&site, &[command], 1, "schema version 99");
    }
    std::fs::write(
        site.path("jobs.db"),
        "this is no database, whatever its name",
    )
    .expect("written");
    refused(&site, &["stats"], 1, "sqlite:jobs.db: ");
}

#[test]
fn every_kind_ends_as_it_says_and_the_dead_run_again() {
    let site = Site::new(Store::Sqlite);
    let ids = site.enqueue(&[
        "--kind", "ok:3", "--kind", "fail:2", "--kind", "panic", "--count", "1",
    ]);
    assert_eq!(ids.len(), 6);
    assert_eq!(site.stats(), [6, 0, 0, 0, 0]);
    let run = site.ask(&["run", "--kind", "ok", "--count", "2"]);
    let counts = json!({"pending": 0, "running": 0, "succeeded": 5, "dead": 3, "cancelled": 0});
    assert_eq!(run, counts);
    let dead = site.ask(&["dead"]);
    let dead = dead.as_array().expect("a list");
    for job in dead {
        assert_eq!(
            (&job["attempt"], &job["reason"]),
            (&3.into(), &"attempts".into()),
            "{job}"
        );
        let text = job["errors"][2]["text"].as_str().expect("a text");
        assert!(text.contains("as its kind says"), "{text}");
    }
    assert_eq!(dead.len(), 3);
    let revived = site.ask(&["retry-dead"]);
    assert_eq!(revived["revived"].as_array().map(Vec::len), Some(3));
    assert_eq!(site.stats(), [3, 0, 5, 0, 0]);
    site.sound();
}

#[test]
fn a_pause_keeps_jobs_until_they_are_resumed() {
    let site = Site::new(Store::Sqlite);
    assert_eq!(site.enqueue(&["--unique", "k", "--count", "2"]).len(), 2);
    assert_eq!(site.stats(), [1, 0, 0, 0, 0]);
    assert_eq!(
        site.ask(&["pause"]),
        json!({"queue": "default", "paused": true})
    );
    let stats = site.output(&["stats"]);
    let text = String::from_utf8_lossy(&stats.stdout);
    assert!(text.contains("the queue `default` is paused"), "{text}");
    let mut worker = site.work("worker", "smol", &[]);
    assert_eq!(site.enqueue(&["--delay", "0.5"]).len(), 1);
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(worker.starts(), 0);
    assert_eq!(
        site.ask(&["resume"]),
        json!({"queue": "default", "paused": false})
    );
    site.drained();
    assert_eq!(worker.starts(), 2);
    worker.stop();
    site.sound();
}

#[test]
fn a_run_in_memory_needs_no_file() {
    for runtime in crate::site::RUNTIMES {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_jobs"))
            .args(["--store", "memory:", "--runtime", runtime, "--json"])
            .args([
                "run", "--count", "500", "--kind", "ok", "--kind", "fail:1", "--slots", "50",
            ])
            .output()
            .expect("the program starts");
        assert!(
            out.status.success(),
            "{runtime}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let counts: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!(
            (&counts["succeeded"], &counts["dead"]),
            (&500.into(), &1.into())
        );
    }
}
