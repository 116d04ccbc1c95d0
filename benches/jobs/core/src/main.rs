//! The pure core of our jobs, on one thread without a runtime: `step` alone; the pool's loop over the model;
//! a worker that has nothing to do for an hour.

mod idle;
mod looped;
mod stepped;

use bench_jobs::Lap;

fn main() {
    let args = bench_jobs::args();
    match args.store.as_str() {
        "step" => stepped::run(args.jobs),
        "pool" => looped::run(args.jobs, args.slots as u32),
        "idle" => idle::run(),
        other => panic!("no part {other}"),
    }
}

/// Prints the line of results.
fn report(part: &str, transitions: usize, lap: Lap, per_job: usize) {
    let count = transitions as f64;
    println!(
        "{{\"part\":\"{part}\",\"transitions_per_cpu_s\":{},\"ns\":{},\"allocations\":{},\"per_job\":{per_job}}}",
        count / lap.cpu.as_secs_f64(),
        lap.cpu.as_nanos() as f64 / count,
        lap.allocations as f64 / count,
    );
}
