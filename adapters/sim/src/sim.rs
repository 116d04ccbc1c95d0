//! The simulation as a test sees it: what runs, for how long, and what goes wrong.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake};
use std::time::Duration;

use tideway::Now;

use crate::digest::Record;
use crate::host::Host;
use crate::link::Link;
use crate::stalled::{Stalled, Why};
use crate::world::{Advance, MAIN, World};

/// Polls and events at one instant; more mean that time does not go on.
const BUSY: usize = 100_000;
/// How many of the last polls a busy simulation names.
const LAST: usize = 8;
/// Virtual time one call may take.
const LIMIT: Duration = Duration::from_secs(30 * 86_400);

/// Hosts, a network and a clock, all made up. Dropping it drops every task.
pub struct Sim {
    world: Arc<World>,
    running: AtomicBool,
    limit: Duration,
}

impl Sim {
    /// An empty simulation at one nanosecond, 2026-01-01T00:00:00Z. Everything left to chance in it
    /// follows from `seed`: the order of ready tasks, faults, and the seeds of its hosts.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            world: Arc::new(World::new(seed)),
            running: AtomicBool::new(false),
            limit: LIMIT,
        }
    }

    /// Polls ready tasks in the order they became ready, not in one drawn from the seed.
    #[must_use]
    pub fn fifo(self) -> Self {
        self.world.with(|state| state.fifo = true);
        self
    }

    /// How much virtual time one [`Sim::block_on`] may take before it is given up as
    /// [`Why::Late`]. Default: 30 days.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The host of that name, switched on if it is new.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        let id = self.world.with(|state| state.host(name));
        Host::new(self.world.clone(), id)
    }

    /// Runs until `future` is done.
    ///
    /// # Panics
    ///
    /// If the simulation stalls; with a task that panics; from inside a simulation.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        match self.block_on(future) {
            Ok(value) => value,
            Err(stalled) => panic!("{stalled}"),
        }
    }

    /// Runs until `future` is done.
    ///
    /// # Errors
    ///
    /// [`Stalled`] if that can never be, is not within the limit, or if time stops.
    ///
    /// # Panics
    ///
    /// With a task that panics; from inside a simulation.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Stalled> {
        let mut future = pin!(future);
        let mut done = None;
        let until = self.now().mono.plus(self.limit).as_nanos();
        let end = self.drive(until, &mut |cx| {
            let polled = future.as_mut().poll(cx);
            polled.map(|value| done = Some(value)).is_ready()
        })?;
        let why = match end {
            End::Later => Why::Late,
            End::Nothing | End::Done => Why::Idle,
        };
        done.ok_or_else(|| self.world.with(|state| state.stalled(why, &[])))
    }

    /// Runs everything for this long, whether or not there is anything to do.
    ///
    /// # Errors
    ///
    /// [`Stalled`] if time stops.
    ///
    /// # Panics
    ///
    /// With a task that panics; from inside a simulation.
    pub fn run_for(&self, duration: Duration) -> Result<(), Stalled> {
        let until = self.now().mono.plus(duration).as_nanos();
        self.drive(until, &mut |_| false)?;
        self.world.with(|state| state.now = until.max(state.now));
        Ok(())
    }

    /// Spawns on the host named `test`.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.host("test").spawn_named("spawned by the test", task);
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        self.world.with(|state| state.now())
    }

    /// Moves the wall clock of all hosts, forward or back, by this many milliseconds.
    pub fn jump_wall(&self, millis: i64) {
        self.world.with(|state| {
            state.record(Record::Wall, [millis as u64, 0]);
            state.wall_jump = state.wall_jump.saturating_add(millis);
        });
    }

    /// How paths behave that [`Sim::link`] does not name, also those under way.
    pub fn default_link(&self, link: Link) {
        self.world.with(|state| state.net.set_default_link(link));
    }

    /// How the path between two hosts behaves; or a host's to itself.
    pub fn link(&self, a: &Host, b: &Host, link: Link) {
        self.world
            .with(|state| state.net.set_link(a.id(), b.id(), link));
    }

    /// Cuts the path between two hosts. Packets, those under way included, wait for [`Sim::heal`];
    /// neither end is told.
    pub fn partition(&self, a: &Host, b: &Host) {
        self.world.with(|state| state.cut(a.id(), b.id()));
    }

    /// Ends a partition; what waited is sent on in its order.
    pub fn heal(&self, a: &Host, b: &Host) {
        self.world.with(|state| state.heal(a.id(), b.id()));
    }

    /// Switches a host off: its tasks are dropped, its ports unbound, its connections reset. What
    /// is spawned on it from now on is dropped.
    pub fn crash(&self, host: &Host) {
        let tasks = self.world.with(|state| {
            let id = host.id();
            state.record(Record::Crash, [id as u64, 0]);
            state.hosts[id].up = false;
            state.unplug(id);
            state.take_tasks(id)
        });
        drop(tasks);
    }

    /// Switches a crashed host on again, with nothing running on it.
    pub fn restart(&self, host: &Host) {
        self.world.with(|state| state.hosts[host.id()].up = true);
    }

    /// A number that stands for every byte sent, every timer fired and every task polled so far, in
    /// their order: equal for equal runs.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.world.with(|state| state.digest.value())
    }

    /// How many spawned tasks have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.world.with(|state| state.tasks.len())
    }

    /// The spawned tasks that have not ended, as `host/number name`.
    #[must_use]
    pub fn task_names(&self) -> Vec<String> {
        let name = |state: &mut crate::world::State| {
            let tasks = state.tasks.values();
            tasks.map(|task| task.name.to_string()).collect()
        };
        self.world.with(name)
    }

    /// How many connections are open at one end at least.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.world.with(|state| state.net.connections())
    }

    /// Runs until `main` says it is done, or nothing is left to do up to `until`.
    fn drive(
        &self,
        until: u64,
        main: &mut dyn FnMut(&mut Context<'_>) -> bool,
    ) -> Result<End, Stalled> {
        assert!(
            !self.running.swap(true, Ordering::Acquire),
            "a simulation cannot be run from inside itself"
        );
        let _running = Running(&self.running);
        let world = &self.world;
        let wake = world.waker(MAIN);
        wake.wake_by_ref();
        let mut at_this_instant = 0;
        let mut last = VecDeque::with_capacity(LAST);
        loop {
            while let Some(id) = world.next_ready() {
                at_this_instant += 1;
                if last.len() == LAST {
                    last.pop_front();
                }
                last.push_back(id);
                if at_this_instant > BUSY {
                    let last: Vec<u64> = last.into();
                    return Err(world.with(|state| state.stalled(Why::Busy, &last)));
                }
                if id != MAIN {
                    world.poll_task(id);
                } else if main(&mut Context::from_waker(&wake.awake())) {
                    return Ok(End::Done);
                }
            }
            match world.advance(until) {
                Advance::Event { moved: true } => at_this_instant = 0,
                Advance::Event { moved: false } => at_this_instant += 1,
                Advance::Later => return Ok(End::Later),
                Advance::Nothing => return Ok(End::Nothing),
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.clear();
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sim({} tasks at {:?})", self.tasks(), self.now().mono)
    }
}

/// How a drive ended.
enum End {
    /// The main future is done.
    Done,
    /// The next event is later than asked for.
    Later,
    /// There is no next event.
    Nothing,
}

struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
