//! Why a simulation cannot go on.

use std::fmt;

use tideway::Mono;

/// A simulation that cannot go on. Its message names who waits for what.
#[derive(Clone)]
pub struct Stalled(Box<Report>);

/// What kind of standstill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// All tasks wait, no timer is set, nothing is under way.
    Idle,
    /// Tasks keep waking each other while time stands still.
    Busy,
    /// Timers fire on and on, but what is waited for has not come within the time allowed.
    Late,
}

#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) at: Mono,
    pub(crate) why: Why,
    /// Waiting tasks; of a busy simulation, those polled last.
    pub(crate) tasks: Vec<String>,
    /// The timer that fired last, when, and by whom it had been set.
    pub(crate) last_timer: Option<(Mono, String)>,
    /// Packets that a partition holds back.
    pub(crate) held: usize,
}

impl Stalled {
    pub(crate) fn new(report: Report) -> Self {
        Self(Box::new(report))
    }

    /// What kind of standstill it is.
    #[must_use]
    pub fn why(&self) -> Why {
        self.0.why
    }

    /// When it stalled.
    #[must_use]
    pub fn at(&self) -> Mono {
        self.0.at
    }

    /// The waiting tasks; of a busy simulation, those polled last. Each is `host/number name`, and
    /// `main` is the future the test itself waits for.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.0.tasks
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            seed,
            at,
            why,
            tasks,
            last_timer,
            held,
        } = &*self.0;
        let why = match why {
            Why::Idle => "nothing can run and no timer is set; waiting",
            Why::Busy => "time stands still, tasks keep waking each other; last polled",
            Why::Late => "only timers go on, past the limit of the simulation; waiting",
        };
        let tasks = tasks.join(", ");
        write!(f, "seed {seed} stalled at {at:?}: {why}: {tasks}")?;
        match last_timer {
            Some((at, by)) => write!(f, "; the last timer fired at {at:?}, set by {by}")?,
            None => f.write_str("; no timer ever fired")?,
        }
        if *held > 0 {
            write!(f, "; {held} packets are held by partitions: heal them")?;
        }
        Ok(())
    }
}

/// As `Display`, so that `unwrap` in a test says it all.
impl fmt::Debug for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Stalled {}
