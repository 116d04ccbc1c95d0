//! The stop-watch: wall time and the processor time of the whole process, and allocations if they are
//! counted. And the line of results.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Begins now.
#[derive(Debug)]
pub struct Watch {
    wall: Instant,
    cpu: Duration,
    allocations: u64,
}

/// What a phase took.
#[derive(Debug, Clone, Copy)]
pub struct Lap {
    /// On the clock.
    pub wall: Duration,
    /// On all processors, in the kernel too.
    pub cpu: Duration,
    /// Calls of the allocator; 0 if nobody counts.
    pub allocations: u64,
}

impl Watch {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self {
            allocations: bench_common::allocations(),
            cpu: cpu(),
            wall: Instant::now(),
        }
    }

    /// What has passed since.
    #[must_use]
    pub fn lap(&self) -> Lap {
        Lap {
            wall: self.wall.elapsed(),
            cpu: cpu() - self.cpu,
            allocations: bench_common::allocations() - self.allocations,
        }
    }
}

/// Prints the line of results: jobs per second of each phase and of both together, and what else there is.
pub fn report(
    peer: &str,
    store: &str,
    jobs: usize,
    enqueue: Lap,
    execute: Lap,
    more: &[(&str, f64)],
) {
    let rate = |time: Duration| jobs as f64 / time.as_secs_f64();
    let per_job = |count: u64| count as f64 / jobs as f64;
    let mut line = Map::new();
    for (key, value) in [("peer", peer), ("store", store)] {
        line.insert(key.into(), value.into());
    }
    let numbers = [
        ("jobs", jobs as f64),
        ("enqueue_per_s", rate(enqueue.wall)),
        ("execute_per_s", rate(execute.wall)),
        ("total_per_s", rate(enqueue.wall + execute.wall)),
        ("enqueue_per_cpu_s", rate(enqueue.cpu)),
        ("execute_per_cpu_s", rate(execute.cpu)),
        ("total_per_cpu_s", rate(enqueue.cpu + execute.cpu)),
        ("enqueue_allocations", per_job(enqueue.allocations)),
        ("execute_allocations", per_job(execute.allocations)),
    ];
    for (key, value) in numbers.into_iter().chain(more.iter().copied()) {
        line.insert(key.into(), json!(value));
    }
    println!("{}", Value::Object(line));
}

/// Processor time of this process, user and kernel.
fn cpu() -> Duration {
    // SAFETY: the call only fills the struct it is given.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut used);
        used
    };
    let time = |part: libc::timeval| Duration::new(part.tv_sec as u64, 1000 * part.tv_usec as u32);
    time(used.ru_utime) + time(used.ru_stime)
}
