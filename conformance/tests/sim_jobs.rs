//! A thousand worlds of workers and producers whose store, network, clocks and handlers fail, on the real
//! driver. A share of them is run twice, and must be the same to the byte.
//!
//! `TIDEWAY_SEED=7 cargo test -p tideway-conformance --test sim_jobs no_job -- --nocapture` runs one of them
//! again; `TIDEWAY_SIM_SEEDS=5000` runs more, `TIDEWAY_SIM_TWICE=1` all of them twice.

#[path = "sim_jobs/ask.rs"]
mod ask;
#[path = "sim_jobs/fleet.rs"]
mod fleet;
#[path = "sim_jobs/hub.rs"]
mod hub;
#[path = "sim_jobs/jobs.rs"]
mod jobs;
#[path = "sim_jobs/node.rs"]
mod node;
#[path = "sim_jobs/oracle.rs"]
mod oracle;
#[path = "sim_jobs/plan.rs"]
mod plan;
#[path = "sim_jobs/post.rs"]
mod post;
#[path = "sim_jobs/producer.rs"]
mod producer;
#[path = "sim_jobs/watch.rs"]
mod watch;
#[path = "sim_jobs/wire.rs"]
mod wire;
#[path = "sim_jobs/world.rs"]
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oracle::Tally;
use plan::Plan;
use world::Outcome;

const SEEDS: u64 = 1_000;
/// One seed in so many is run twice.
const TWICE: u64 = 16;
/// Runs spent on making a failure smaller.
const SHRINKS: u32 = 300;

#[test]
fn no_job_is_lost_or_run_against_the_rules_in_any_world() {
    if let Some(seed) = number("TIDEWAY_SEED") {
        return replay(seed);
    }
    let begun = Instant::now();
    let seeds = number("TIDEWAY_SIM_SEEDS").unwrap_or(SEEDS);
    let twice = number("TIDEWAY_SIM_TWICE").map_or(TWICE, |_| 1);
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for first in 0..threads {
            let total = &total;
            scope.spawn(move || {
                for seed in (first..seeds).step_by(threads as usize) {
                    let outcome = checked(seed, seed % twice == 0);
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    total.add(seed, &outcome);
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{seeds} seeds in {:?}: {total:#?}", begun.elapsed());
    total.bites(seeds);
}

/// Runs the world that the environment asks for.
fn replay(seed: u64) {
    let plan = Plan::asked(seed);
    println!("{plan}");
    let begun = Instant::now();
    let outcome = attempt(&plan);
    println!("{:?}: {outcome:#?}", begun.elapsed());
    assert_eq!(outcome.flaws, [""; 0], "{plan}");
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// Runs a world, twice if asked; a failure is made small and printed.
fn checked(seed: u64, twice: bool) -> Outcome {
    let plan = Plan::draw(seed);
    let outcome = attempt(&plan);
    if !outcome.flaws.is_empty() {
        let (plan, outcome) = shrunk(plan, outcome);
        let flaws = outcome.flaws.join("\n");
        panic!("{plan}\n{flaws}\nrun it again with\n  {}", plan.command());
    }
    if twice {
        let again = attempt(&plan);
        let same = outcome == again;
        assert!(
            same,
            "the replay differs, so something is not simulated: {plan}\n{outcome:?}\n{again:?}"
        );
    }
    outcome
}

/// A panic is a flaw, too.
fn attempt(plan: &Plan) -> Outcome {
    let run = catch_unwind(AssertUnwindSafe(|| world::run(plan)));
    run.unwrap_or_else(|panic| Outcome {
        flaws: vec![format!("panicked: {}", text(&*panic))],
        ..Outcome::default()
    })
}

fn text(panic: &(dyn Any + Send)) -> String {
    let known = panic.downcast_ref::<String>().cloned();
    let known = known.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    known.unwrap_or_else(|| "with a value that is no text".to_owned())
}

/// The smallest plan found that still fails.
fn shrunk(mut plan: Plan, mut outcome: Outcome) -> (Plan, Outcome) {
    let mut left = SHRINKS;
    'smaller: while left > 0 {
        for smaller in plan.smaller() {
            if left == 0 {
                break;
            }
            left -= 1;
            let again = attempt(&smaller);
            if !again.flaws.is_empty() {
                (plan, outcome) = (smaller, again);
                continue 'smaller;
            }
        }
        break;
    }
    (plan, outcome)
}

/// All worlds together.
#[derive(Debug, Default)]
struct Total {
    tally: Tally,
    starts: u64,
    calls: u64,
    lost: u64,
    deaths: u64,
    /// The longest wait for the last end, and whose.
    longest: (Duration, u64),
    digest: u64,
}

impl Total {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.tally.add(&outcome.tally);
        self.starts += outcome.starts;
        self.calls += outcome.calls;
        self.lost += outcome.lost;
        self.deaths += outcome.deaths;
        self.longest = self.longest.max((outcome.took, seed));
        self.digest ^= outcome.digest.1;
    }

    /// Worlds in which nothing goes wrong, or nothing goes well, test nothing.
    fn bites(&self, seeds: u64) {
        let Tally {
            inserted,
            gone,
            claimed,
            repeated,
            applied,
            already,
            fenced,
            lost,
            crashes,
            lapses,
            buried,
            hits,
            superseded,
            ..
        } = self.tally;
        let often = [inserted, claimed, applied, self.starts, self.lost];
        assert!(often.iter().all(|count| *count > seeds), "{self:#?}");
        let some = [
            gone,
            repeated,
            already,
            fenced,
            lost,
            crashes,
            lapses,
            buried,
            hits,
            superseded,
            self.deaths,
        ];
        assert!(some.iter().all(|count| *count > 0), "{self:#?}");
    }
}
