//! The phases that every queue goes through.

use std::future::Future;
use std::time::Duration;

use crate::args::{Args, Mode};
use crate::run::Run;
use crate::server::Server;
use crate::watch::{Watch, percentile, print, rates};
use crate::work::Work;

/// Callers of [`Mode::Single`] in its second part.
const CALLERS: usize = 50;
/// How long a worker has to settle before the first job of [`Mode::Pickup`].
const SETTLE: Duration = Duration::from_secs(1);

/// A queue on a server. A clone is another handle on it.
pub trait Queue: Clone + Send + Sync + 'static {
    /// Enqueues all of them in one call, or as near to it as the queue has.
    fn push(&self, batch: Vec<Work>) -> impl Future<Output = ()> + Send;

    /// Enqueues one.
    fn push_one(&self, work: Work) -> impl Future<Output = ()> + Send;

    /// Works until all have run ([`Run::ran`] of the handler, [`Run::all`]) and are acknowledged.
    fn work(&self, run: &'static Run) -> impl Future<Output = ()> + Send;

    /// Checks what the queue itself says of its jobs, and tells numbers of its own.
    fn check(&self) -> impl Future<Output = Vec<(String, f64)>> + Send {
        async { Vec::new() }
    }
}

/// The runtime that the command line asks for.
///
/// # Panics
/// If it does not start.
#[must_use]
pub fn runtime(args: &Args) -> tokio::runtime::Runtime {
    let mut runtime = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    runtime.enable_all().build().expect("tokio starts")
}

/// Goes through the phases of the mode and prints the line of results.
///
/// # Panics
/// If the mode is none of every queue's, or a job did not run.
pub async fn main(name: &str, args: &Args, queue: impl Queue) {
    let server = Server::new(&args.url, args.pid);
    let numbers = match args.mode {
        Mode::Batch => batch(args, &server, queue).await,
        Mode::Single => single(args, &server, queue).await,
        Mode::Pickup => pickup(args, queue).await,
        Mode::Claim => panic!("{name} cannot be asked for single claims"),
    };
    print(name, &numbers);
}

async fn batch(args: &Args, server: &Server, queue: impl Queue) -> Vec<(String, f64)> {
    let jobs = args.jobs;
    let run = Run::begin(jobs);
    let before = server.memory();
    let watch = Watch::start(server);
    let mut from = 0;
    while from < jobs {
        let to = jobs.min(from + args.batch);
        queue
            .push((from..to).map(|n| Work::new(n, 0)).collect())
            .await;
        from = to;
    }
    let enqueue = watch.lap();
    let after = server.memory();
    run.time(Watch::start(server));
    queue.work(run).await;
    let execute = run.lap();
    let mut numbers = rates("enqueue", jobs, &enqueue);
    numbers.extend(rates("execute", jobs, &execute));
    let mut both = enqueue;
    both.wall += execute.wall;
    both.cpu += execute.cpu;
    both.server += execute.server;
    both.bytes += execute.bytes;
    both.commands += execute.commands;
    numbers.extend(rates("both", jobs, &both));
    if let (Some(before), Some(after)) = (before, after) {
        let memory = after.saturating_sub(before) as f64 / jobs as f64;
        numbers.push(("memory".to_owned(), memory));
    }
    numbers.push(("twice".to_owned(), run.twice() as f64));
    numbers.extend(queue.check().await);
    numbers
}

async fn single(args: &Args, server: &Server, queue: impl Queue) -> Vec<(String, f64)> {
    let watch = Watch::start(server);
    for number in 0..args.jobs {
        queue.push_one(Work::new(number, 0)).await;
    }
    let mut numbers = rates("one", args.jobs, &watch.lap());
    let each = args.jobs.div_ceil(CALLERS);
    let watch = Watch::start(server);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let queue = queue.clone();
            tokio::spawn(async move {
                for number in 0..each {
                    queue.push_one(Work::new(caller * each + number, 0)).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a caller enqueues");
    }
    numbers.extend(rates("many", each * CALLERS, &watch.lap()));
    numbers
}

async fn pickup(args: &Args, queue: impl Queue) -> Vec<(String, f64)> {
    let run = Run::begin(args.jobs);
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.work(run).await }
    });
    tokio::time::sleep(SETTLE).await;
    let mut made = Vec::with_capacity(args.jobs);
    let mut pushes = Vec::with_capacity(args.jobs);
    let mut due = tokio::time::Instant::now();
    for number in 0..args.jobs {
        // Uneven, so that no poll interval falls in step with it.
        due += match args.gap {
            Duration::ZERO => Duration::from_millis(50 + number as u64 * 37 % 50),
            gap => gap,
        };
        tokio::time::sleep_until(due).await;
        let now = run.now();
        made.push(now);
        // One that takes longer than the gap does not hold up the next.
        let queue = queue.clone();
        pushes.push(tokio::spawn(async move {
            queue.push_one(Work::new(number, now)).await;
            run.accepted(number);
        }));
    }
    for push in pushes {
        push.await.expect("each is enqueued");
    }
    worker.await.expect("the worker ends");
    let (mut made, mut accepted) = run.waits(&made);
    let mut numbers = vec![("twice".to_owned(), run.twice() as f64)];
    for (what, values) in [("pickup", &mut accepted), ("since_call", &mut made)] {
        for (name, part) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            numbers.push((format!("{what}_{name}_ms"), percentile(values, part)));
        }
    }
    numbers
}
