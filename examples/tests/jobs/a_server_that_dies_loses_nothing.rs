//! The server of the store itself killed (`kill -9`) and started again, five times while jobs run: workers go on by
//! themselves, and nothing that was accepted is lost or done twice, but for what the store declares that its server
//! may forget.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tideway_conformance::servers::{Persistence, PostgresServer, RedisServer};

use crate::journal::{Life, starts};
use crate::site::{RUNTIMES, Site, Worker, full, loading, until, within};

#[test]
fn postgres() {
    let _alone = loading();
    let mut server = PostgresServer::start().expect("PostgreSQL");
    let site = Site::at(&server.url(), false);
    dies_five_times(&site, Duration::ZERO, || {
        server.kill();
        // Long enough that every worker has met a refused connection.
        thread::sleep(Duration::from_millis(500));
        server.restart().expect("PostgreSQL again");
    });
}

#[test]
fn redis() {
    on_redis(Persistence::Always, Duration::ZERO);
}

#[test]
fn redis_that_may_forget_two_seconds() {
    on_redis(Persistence::EverySecond, Duration::from_millis(2500));
}

fn on_redis(persistence: Persistence, forgets: Duration) {
    let _alone = loading();
    let mut server = RedisServer::start(persistence).expect("Redis");
    let site = Site::at(&server.url(), false);
    dies_five_times(&site, forgets, || {
        server.kill();
        thread::sleep(Duration::from_millis(500));
        server.restart().expect("Redis again");
    });
}

/// `forgets` is how much of its past the server may lose: a job that started in that time before a death may do so again.
fn dies_five_times(site: &Site, forgets: Duration, mut dies: impl FnMut()) {
    let jobs = if full() { 10_000 } else { 2_000 };
    let count = jobs.to_string();
    let ids = site.enqueue(&["--kind", "sleep", "--ms", "20", "--count", &count]);
    assert_eq!(ids.len(), jobs);
    // All of them are kept from here on.
    thread::sleep(forgets);
    // A lease that outlives the outage: whatever starts twice is the store's doing.
    let args = ["--lease", "20", "--slots", "4"];
    let mut workers: Vec<Worker> = (0..4)
        .map(|n| site.work(&format!("worker-{n}"), RUNTIMES[n % RUNTIMES.len()], &args))
        .collect();
    let started = |workers: &[Worker]| workers.iter().map(Worker::starts).sum::<usize>();
    let mut deaths = Vec::new();
    for death in 1..=5 {
        until("the jobs go on", || started(&workers) >= jobs * death / 7);
        deaths.push(wall());
        dies();
        let open = wall();
        let mut waiting: Vec<&Worker> = workers.iter().collect();
        until("every worker starts jobs again", || {
            waiting.retain(|worker| {
                let last = worker.journal().into_iter().rfind(|line| line.is_start());
                last.is_none_or(|line| Duration::from_millis(line.at_ms.unsigned_abs()) < open)
            });
            // Where this takes long, the others may have left it nothing to start.
            waiting.is_empty() || started(&workers) >= jobs
        });
        let took = wall().saturating_sub(open);
        println!("death {death}: all four workers go on {took:?} after the server does");
        assert!(took <= within(Duration::from_secs(2)), "{took:?}");
    }
    site.drained();
    let mut lives = Vec::new();
    for worker in &mut workers {
        worker.stop();
        lives.push(worker.life());
    }
    assert_eq!(site.stats(), [0, 0, jobs as u64, 0, 0]);
    site.sound();
    if !forgets.is_zero() {
        return only_the_last_were_forgotten(&lives, jobs, &deaths, forgets);
    }
    // Nobody was killed, so nothing may have started twice.
    let starts = starts(&lives);
    assert_eq!(starts.len(), jobs);
    for job in site.list(&[]) {
        assert_eq!(
            (&job["attempt"], &job["crashes"]),
            (&1.into(), &0.into()),
            "{job}"
        );
    }
}

fn only_the_last_were_forgotten(
    lives: &[Life],
    jobs: usize,
    deaths: &[Duration],
    forgets: Duration,
) {
    let lines = lives.iter().flat_map(|life| &life.lines);
    let mut starts: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for line in lines.filter(|line| line.is_start()) {
        let at = Duration::from_millis(line.at_ms.unsigned_abs());
        starts.entry(&line.id).or_default().push(at);
    }
    assert_eq!(starts.len(), jobs);
    let mut again = 0;
    for (id, starts) in &mut starts {
        starts.sort_unstable();
        for at in &starts[..starts.len() - 1] {
            // What it answered at its death is heard a little later.
            let heard = Duration::from_millis(500);
            let before =
                |death: &Duration| (*at..=*at + forgets + heard).contains(&(*death + heard));
            assert!(
                deaths.iter().any(before),
                "{id} started again, and no server had died: {at:?}, deaths {deaths:?}"
            );
            again += 1;
        }
    }
    println!("{again} of {jobs} jobs started again");
}

fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
}
