//! The stop-watch: wall time, processor time of this process and of the server, bytes and commands. And the
//! line of results.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::server::{Server, Spent};

/// Begins now.
#[derive(Debug)]
pub struct Watch {
    server: Server,
    spent: Spent,
    cpu: Duration,
    wall: Instant,
}

/// What a phase took.
#[derive(Debug, Clone, Copy)]
pub struct Lap {
    /// On the clock.
    pub wall: Duration,
    /// On all processors, in the kernel too, in this process.
    pub cpu: Duration,
    /// In the server.
    pub server: Duration,
    /// Between the two.
    pub bytes: u64,
    /// Commands of Redis.
    pub commands: u64,
}

impl Watch {
    /// Starts it.
    #[must_use]
    pub fn start(server: &Server) -> Self {
        Self {
            server: server.clone(),
            spent: server.spent(),
            cpu: cpu(),
            wall: Instant::now(),
        }
    }

    /// What has passed since.
    #[must_use]
    pub fn lap(&self) -> Lap {
        let (wall, cpu) = (self.wall.elapsed(), cpu() - self.cpu);
        let spent = self.server.spent();
        Lap {
            wall,
            cpu,
            server: spent.cpu.saturating_sub(self.spent.cpu),
            // A socket that was closed meanwhile counts no longer.
            bytes: spent.bytes.saturating_sub(self.spent.bytes),
            commands: spent.commands - self.spent.commands,
        }
    }
}

/// The numbers of a phase of so many jobs.
#[must_use]
pub fn rates(phase: &str, jobs: usize, lap: &Lap) -> Vec<(String, f64)> {
    let jobs = jobs as f64;
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / jobs;
    [
        ("per_s", jobs / lap.wall.as_secs_f64()),
        ("client_us", micros(lap.cpu)),
        ("server_us", micros(lap.server)),
        ("cpu_us", micros(lap.cpu + lap.server)),
        ("bytes", lap.bytes as f64 / jobs),
        ("commands", lap.commands as f64 / jobs),
    ]
    .into_iter()
    // Of a server that counts none.
    .filter(|(key, value)| *key != "commands" || *value > 0.0)
    .map(|(key, value)| (format!("{phase}_{key}"), value))
    .collect()
}

/// Prints the line of results.
pub fn print(peer: &str, numbers: &[(String, f64)]) {
    let mut line = Map::new();
    line.insert("peer".into(), peer.into());
    for (key, value) in numbers {
        line.insert(key.clone(), json!(value));
    }
    println!("{}", Value::Object(line));
}

/// That which `part` of the values do not exceed; 0 of none.
#[must_use]
pub fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * part).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.5), 100.0);
        assert_eq!(percentile(&mut values, 0.99), 198.0);
        assert_eq!(percentile(&mut [], 0.5), 0.0);
    }
}
