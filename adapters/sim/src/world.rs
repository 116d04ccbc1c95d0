//! What a simulation is made of: tasks, a clock, events in order of time, hosts. One lock holds it
//! all; wakers run and futures drop only outside of it, for both may come back in.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use tideway::{Mono, Now, Rng, Seed, Wall};

use crate::digest::{Digest, Record};
use crate::net::{Net, Packet};
use crate::stalled::{Report, Stalled, Why};

/// The future the test itself waits for; every other task has a higher number.
pub(crate) const MAIN: u64 = 0;
/// 2026-01-01T00:00:00Z, where wall time starts.
const WALL: i64 = 1_767_225_600_000;

pub(crate) struct World {
    state: Mutex<State>,
    ready: Arc<Ready>,
}

pub(crate) struct State {
    pub(crate) now: u64,
    pub(crate) wall_jump: i64,
    /// In order of time, then of making. The second number only breaks ties.
    pub(crate) events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    pub(crate) tasks: BTreeMap<u64, Task>,
    next_task: u64,
    /// The task being polled.
    current: u64,
    pub(crate) hosts: Vec<HostState>,
    pub(crate) net: Net,
    pub(crate) digest: Digest,
    pub(crate) fifo: bool,
    /// Draws the order of ready tasks; apart from the network's, so that neither disturbs the other.
    order: Rng,
    /// Draws what hosts are given.
    boot: Rng,
    seed: u64,
    last_timer: Option<(u64, Arc<str>)>,
    /// To be woken once the lock is free.
    pub(crate) wakes: Vec<Waker>,
    /// To be dropped once the lock is free.
    pub(crate) trash: Vec<Waker>,
}

pub(crate) enum Event {
    Timer { waker: Waker, owner: Arc<str> },
    Packet(Packet),
}

pub(crate) struct HostState {
    pub(crate) name: Arc<str>,
    pub(crate) up: bool,
    pub(crate) rng: Rng,
    pub(crate) next_port: u16,
}

pub(crate) struct Task {
    pub(crate) host: usize,
    pub(crate) name: Arc<str>,
    /// `None` while it is polled.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    wake: Arc<TaskWake>,
}

/// The tasks that can run.
pub(crate) struct Ready(Mutex<VecDeque<u64>>);

pub(crate) struct TaskWake {
    id: u64,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            lock(&self.ready.0).push_back(self.id);
        }
    }
}

/// What the passing of time has brought.
pub(crate) enum Advance {
    /// An event; whether the clock moved for it.
    Event { moved: bool },
    /// Events, but not yet.
    Later,
    /// Nothing, and nothing ever will.
    Nothing,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut root = Rng::new(&Seed::from_u64(seed));
        let (order, net, boot) = (root.fork(), root.fork(), root.fork());
        let state = State {
            now: Mono::START.as_nanos(),
            wall_jump: 0,
            events: BTreeMap::new(),
            next_event: 0,
            tasks: BTreeMap::new(),
            next_task: MAIN + 1,
            current: MAIN,
            hosts: Vec::new(),
            net: Net::new(&net),
            digest: Digest::new(seed),
            fifo: false,
            order: Rng::new(&order),
            boot: Rng::new(&boot),
            seed,
            last_timer: None,
            wakes: Vec::new(),
            trash: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            ready: Arc::new(Ready(Mutex::default())),
        }
    }

    /// Changes the state, then wakes whom that concerns.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        let wakes = std::mem::take(&mut state.wakes);
        let trash = std::mem::take(&mut state.trash);
        drop(state);
        for waker in wakes {
            waker.wake();
        }
        drop(trash);
        result
    }

    /// The waker of a task by its number; its first wake is up to the caller.
    pub(crate) fn waker(&self, id: u64) -> Arc<TaskWake> {
        Arc::new(TaskWake {
            id,
            queued: AtomicBool::new(false),
            ready: self.ready.clone(),
        })
    }

    /// A task on a crashed host is dropped at once: the machine is off.
    pub(crate) fn spawn(
        &self,
        host: usize,
        name: &str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
        let refused = self.with(|state| {
            if !state.hosts[host].up {
                return Some(future);
            }
            let id = state.next_task;
            state.next_task += 1;
            state.record(Record::Spawn, [id, host as u64]);
            let wake = self.waker(id);
            state.wakes.push(wake.clone().into());
            let task = Task {
                host,
                name: format!("{}/{id} {name}", state.hosts[host].name).into(),
                future: Some(future),
                wake,
            };
            state.tasks.insert(id, task);
            None
        });
        drop(refused);
    }

    /// Takes the next task to run off the queue: any, as the seed says, or the first.
    pub(crate) fn next_ready(&self) -> Option<u64> {
        self.with(|state| {
            let mut ready = lock(&self.ready.0);
            let at = match ready.len() {
                0 => return None,
                1 => 0,
                _ if state.fifo => 0,
                n => state.order.below(n as u64) as usize,
            };
            let id = if state.fifo {
                ready.pop_front()?
            } else {
                ready.swap_remove_back(at)?
            };
            state.record(Record::Poll, [id, 0]);
            Some(id)
        })
    }

    /// Polls a task that was ready; one that has gone meanwhile is passed over.
    pub(crate) fn poll_task(&self, id: u64) {
        let taken = self.with(|state| {
            let task = state.tasks.get_mut(&id)?;
            let future = task.future.take()?;
            state.current = id;
            Some((future, task.wake.clone()))
        });
        let Some((mut future, wake)) = taken else {
            return;
        };
        let waker = wake.awake();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        let pending = matches!(&polled, Ok(poll) if poll.is_pending());
        let rest = self.with(|state| {
            state.current = MAIN;
            match state.tasks.get_mut(&id) {
                Some(task) if pending => {
                    task.future = Some(future);
                    (None, None)
                }
                _ => (Some(future), state.tasks.remove(&id)),
            }
        });
        drop(rest);
        if let Err(panic) = polled {
            resume_unwind(panic);
        }
    }

    /// Moves time to the next event and lets it happen, unless that is after `until`.
    pub(crate) fn advance(&self, until: u64) -> Advance {
        self.with(|state| match state.events.first_entry() {
            None => Advance::Nothing,
            Some(next) if next.key().0 > until => Advance::Later,
            Some(next) => {
                let ((at, _), event) = next.remove_entry();
                let moved = at > state.now;
                state.now = at.max(state.now);
                state.happen(event);
                Advance::Event { moved }
            }
        })
    }

    /// Drops every task, as when the power goes off.
    pub(crate) fn clear(&self) {
        let tasks = self.with(|state| {
            for host in &mut state.hosts {
                host.up = false;
            }
            std::mem::take(&mut state.tasks)
        });
        drop(tasks);
    }
}

impl State {
    pub(crate) fn now(&self) -> Now {
        let millis = (self.now / 1_000_000) as i64;
        Now {
            mono: Mono::from_nanos(self.now),
            wall: Wall(WALL.saturating_add(millis).saturating_add(self.wall_jump)),
        }
    }

    pub(crate) fn record(&mut self, what: Record, numbers: [u64; 2]) {
        self.digest.record(what, self.now, numbers);
    }

    /// The host of that name, made if it is new.
    pub(crate) fn host(&mut self, name: &str) -> usize {
        let known = self.hosts.iter().position(|host| *host.name == *name);
        known.unwrap_or_else(|| {
            self.hosts.push(HostState {
                name: name.into(),
                up: true,
                rng: Rng::new(&self.boot.fork()),
                next_port: 49_152,
            });
            self.hosts.len() - 1
        })
    }

    /// The host of that name or address.
    pub(crate) fn find_host(&self, name: &str) -> Option<usize> {
        let named = self.hosts.iter().position(|host| *host.name == *name);
        named.or_else(|| {
            let ip: Ipv4Addr = name.parse().ok()?;
            (0..self.hosts.len()).find(|host| host_ip(*host) == ip)
        })
    }

    /// Puts an event in its place; returns that place.
    pub(crate) fn schedule(&mut self, at: u64, event: Event) -> (u64, u64) {
        let key = (at, self.next_event);
        self.next_event += 1;
        self.events.insert(key, event);
        key
    }

    /// Sets a timer for the task being polled.
    pub(crate) fn set_timer(&mut self, at: u64, waker: Waker) -> (u64, u64) {
        let owner = match self.tasks.get(&self.current) {
            Some(task) => task.name.clone(),
            None => "main".into(),
        };
        self.schedule(at, Event::Timer { waker, owner })
    }

    /// Takes a timer out; `None` if it has fired.
    pub(crate) fn unset_timer(&mut self, key: (u64, u64)) -> Option<Waker> {
        match self.events.remove(&key) {
            Some(Event::Timer { waker, .. }) => Some(waker),
            _ => None,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Timer { waker, owner } => {
                self.record(Record::Timer, [0, 0]);
                self.last_timer = Some((self.now, owner));
                self.wakes.push(waker);
            }
            Event::Packet(packet) => self.arrive(packet),
        }
    }

    /// Takes a host's tasks out, to be dropped by the caller outside the lock.
    pub(crate) fn take_tasks(&mut self, host: usize) -> Vec<Task> {
        let of_host = self.tasks.iter().filter(|(_, task)| task.host == host);
        let ids: Vec<u64> = of_host.map(|(id, _)| *id).collect();
        ids.iter().filter_map(|id| self.tasks.remove(id)).collect()
    }

    /// Why it cannot go on. `polled` are the last tasks of a busy simulation.
    pub(crate) fn stalled(&self, why: Why, polled: &[u64]) -> Stalled {
        let name = |id: &u64| match self.tasks.get(id) {
            Some(task) => task.name.to_string(),
            None if *id == MAIN => "main".to_owned(),
            None => format!("{id} (gone)"),
        };
        let waiting = [MAIN].into_iter().chain(self.tasks.keys().copied());
        Stalled::new(Report {
            seed: self.seed,
            at: Mono::from_nanos(self.now),
            why,
            tasks: match why {
                Why::Busy => polled.iter().map(name).collect(),
                Why::Idle | Why::Late => waiting.map(|id| name(&id)).collect(),
            },
            last_timer: (self.last_timer.as_ref())
                .map(|(at, by)| (Mono::from_nanos(*at), by.to_string())),
            held: self.net.held(),
        })
    }
}

impl TaskWake {
    /// Its waker, armed: from here on the next wake queues the task again.
    pub(crate) fn awake(self: &Arc<Self>) -> Waker {
        self.queued.store(false, Ordering::Release);
        self.clone().into()
    }
}

/// The address of a host by its number.
pub(crate) fn host_ip(host: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0001 + host as u32)
}

/// A panic in a task must not hide behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
