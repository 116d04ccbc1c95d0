//! One job that takes its process down, among two thousand others, and a loop that restarts the worker.

use serde_json::json;

use crate::site::{Site, Store, loading, on_every_store};

on_every_store!(it_is_dead_after_at_most_five_deaths_of_the_process);

fn it_is_dead_after_at_most_five_deaths_of_the_process(store: Store) {
    let _alone = loading();
    let site = Site::new(store);
    let before = site.enqueue(&["--kind", "ok:1000", "--ms", "5"]);
    let poison = site.enqueue(&["--kind", "abort"]);
    let after = site.enqueue(&["--kind", "ok:1000", "--ms", "5"]);
    let (mut deaths, mut lives) = (0, Vec::new());
    loop {
        let name = format!("worker-{deaths}");
        let mut worker = site.work(&name, "tokio", &["--lease", "2", "--slots", "8"]);
        let mut left = true;
        while left && worker.ended().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let [pending, running, ..] = site.stats();
            left = pending + running > 0;
        }
        if worker.ended().is_none() {
            worker.stop();
            lives.push(worker.life());
            break;
        }
        worker.died();
        lives.push(worker.life());
        deaths += 1;
        assert!(
            deaths <= 5,
            "the process died {deaths} times: {:?}",
            site.stats()
        );
    }
    println!("{deaths} deaths");
    assert_eq!(before.len() + after.len(), 2_000);
    assert_eq!(site.stats(), [0, 0, 2_000, 1, 0]);
    let dead = site.ask(&["dead"]);
    assert_eq!(dead[0]["id"], json!(poison[0]));
    assert_eq!(dead[0]["reason"], "crash");
    crate::journal::starts(&lives);
    site.sound();
}
