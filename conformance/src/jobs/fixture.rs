//! Jobs for tests, in one line each. Ids are real ones: of this process they grow in the order they
//! were made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tideway_engine::jobs::retry::Retry;
use tideway_engine::jobs::{
    Conflict, Hold, Id, Ids, Keep, Name, NewJob, Owner, Spec, Start, Unique, WaitFailed,
};
use tideway_engine::{Rng, Seed, Wall};

/// A job of `queue`, due at once, of kind `send` with the payload `{}`.
///
/// ```
/// use std::time::Duration;
/// use tideway_conformance::jobs::fixture::job;
/// use tideway_engine::jobs::Hold;
///
/// let new = job("mail")
///     .kind("welcome")
///     .band(1)
///     .delay(Duration::from_secs(5))
///     .unique("user:7", Hold::UntilDone)
///     .build();
/// assert!(new.check(1024).is_ok());
/// ```
pub fn job(queue: &str) -> JobBuilder {
    JobBuilder {
        spec: Spec::new(id(queue), name(queue), name("send")),
        payload: Bytes::from_static(b"{}"),
        start: Start::Now,
    }
}

/// `count` jobs of `queue`.
#[must_use]
pub fn jobs(queue: &str, count: usize) -> Vec<NewJob> {
    (0..count).map(|_| job(queue).build()).collect()
}

/// A fresh id for a job of `queue`.
#[must_use]
pub fn id(queue: &str) -> Id {
    draw(|maker, wall| maker.ids.next(wall, queue))
}

/// A fresh owner: another incarnation of a worker.
#[must_use]
pub fn owner() -> Owner {
    draw(|maker, _| Owner::draw(&mut maker.rng))
}

/// `text` as a name.
///
/// # Panics
///
/// If it is none.
#[must_use]
pub fn name(text: &str) -> Name {
    match Name::new(text) {
        Ok(name) => name,
        Err(error) => panic!("{text:?}: {error}"),
    }
}

struct Maker {
    ids: Ids,
    rng: Rng,
}

static MAKER: Mutex<Option<Maker>> = Mutex::new(None);

fn draw<T>(draw: impl FnOnce(&mut Maker, Wall) -> T) -> T {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let mut maker = MAKER.lock().unwrap_or_else(PoisonError::into_inner);
    let maker = maker.get_or_insert_with(|| {
        // Two processes of a test must not draw the same ids.
        let seed = now.as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
        let mut rng = Rng::new(&Seed::from_u64(seed));
        Maker {
            ids: Ids::new(Rng::new(&rng.fork())),
            rng,
        }
    });
    draw(maker, Wall(now.as_millis() as i64))
}

/// A job in the making; [`job`] begins one.
#[derive(Clone, Debug)]
#[must_use = "`build` makes the job"]
pub struct JobBuilder {
    spec: Spec,
    payload: Bytes,
    start: Start,
}

impl JobBuilder {
    /// Under this id instead of a fresh one.
    pub fn id(mut self, id: Id) -> Self {
        self.spec.id = id;
        self
    }

    /// What to run.
    pub fn kind(mut self, kind: &str) -> Self {
        self.spec.kind = name(kind);
        self
    }

    /// Its priority: 0 first.
    pub fn band(mut self, band: u8) -> Self {
        self.spec.band = band;
        self
    }

    /// What the handler is given.
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Due this long after the store accepts it.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.start = Start::After(delay);
        self
    }

    /// Due at this time on the store's clock.
    pub fn at(mut self, time: Wall) -> Self {
        self.start = Start::At(time);
        self
    }

    /// When to try again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.spec.retry = retry;
        self
    }

    /// Dead after so many strikes.
    pub fn strikes(mut self, strikes: u8) -> Self {
        self.spec.strikes = strikes;
        self
    }

    /// How long an attempt may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout = Some(timeout);
        self
    }

    /// Not started later than this after the enqueue.
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.spec.expiry = Some(expiry);
        self
    }

    /// The only one of `key`; a second one is not inserted unless
    /// [`on_conflict`](JobBuilder::on_conflict) says so.
    pub fn unique(mut self, key: &str, hold: Hold) -> Self {
        self.spec.unique = Some(Unique {
            key: name(key),
            hold,
            conflict: Conflict::Keep,
        });
        self
    }

    /// What it does if its unique key is held.
    pub fn on_conflict(mut self, conflict: Conflict) -> Self {
        if let Some(unique) = &mut self.spec.unique {
            unique.conflict = conflict;
        }
        self
    }

    /// Whose share it counts against.
    pub fn group(mut self, group: &str) -> Self {
        self.spec.group = Some(name(group));
        self
    }

    /// Not before these have ended.
    pub fn waits_for(mut self, ids: impl IntoIterator<Item = Id>) -> Self {
        self.spec.waits = ids.into_iter().collect();
        self
    }

    /// What becomes of it if one of those fails.
    pub fn wait_failed(mut self, then: WaitFailed) -> Self {
        self.spec.wait_failed = then;
        self
    }

    /// How long its record is kept.
    pub fn keep(mut self, succeeded: Duration, failed: Duration) -> Self {
        self.spec.keep = Keep { succeeded, failed };
        self
    }

    /// What travels with it.
    pub fn header(mut self, key: &str, value: &str) -> Self {
        self.spec.headers.push((name(key), value.into()));
        self
    }

    /// The job.
    #[must_use]
    pub fn build(self) -> NewJob {
        NewJob {
            spec: Arc::new(self.spec),
            payload: self.payload,
            start: self.start,
        }
    }
}
