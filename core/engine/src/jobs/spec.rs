//! A job as it is enqueued: what never changes afterwards, the payload, and when to start.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::call::Enqueued;
use super::record::State;
use super::retry::Retry;
use super::step::Kind;
use super::{Id, Name};
use crate::map::FoldHasher;
use crate::time::Wall;

/// The band of jobs that have crashed a process: each queue's own lane for them, claimed apart.
pub const SUSPECT: u8 = u8::MAX;

/// What is fixed at enqueue. Stores keep it packed and hand it back whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Its id.
    pub id: Id,
    /// Which queue it waits in.
    pub queue: Name,
    /// What to run.
    pub kind: Name,
    /// Its priority within the queue: 0 first, less than [`Spec::BANDS`].
    #[serde(default)]
    pub band: u8,
    /// When to try again, and how often.
    pub retry: Retry,
    /// How many strikes (crashes that were its own doing) end it; at least 1.
    pub strikes: u8,
    /// How long one attempt may take; `None` for no limit.
    #[serde(default, with = "millis", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Not started later than this after the enqueue; `None` for never.
    #[serde(default, with = "millis", skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Duration>,
    /// At most one job of its key at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// Whose share it counts against: limits on running jobs and rates apply to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Jobs that must have ended before it may start; at most [`Spec::MAX_WAITS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Id>,
    /// What becomes of it when a job it waits for ends dead or cancelled.
    #[serde(default)]
    pub wait_failed: WaitFailed,
    /// How long its record is kept after the end.
    #[serde(default)]
    pub keep: Keep,
    /// What travels with it: request id, `traceparent`; at most [`Spec::MAX_HEADERS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(Name, Box<str>)>,
}

/// What becomes of a job when one it waits for fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFailed {
    /// It ends cancelled.
    #[default]
    Cancel,
    /// It runs all the same.
    Run,
}

/// How long an ended job's record is kept: at least 60 s whatever is asked, so that a repeated
/// enqueue of its id finds it; a deleted one leaves its id for that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// After success; default 24 h.
    #[serde(with = "millis_always")]
    pub succeeded: Duration,
    /// After it died or was cancelled; default 30 days.
    #[serde(with = "millis_always")]
    pub failed: Duration,
}

impl Keep {
    /// An id is remembered at least this long after its end.
    pub const LEAST: Duration = Duration::from_secs(60);
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            succeeded: Duration::from_secs(24 * 3600),
            failed: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// At most one job per queue and key is in the hold set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// The key; scoped to the queue.
    pub key: Name,
    /// How long the key is held. Retry, snooze and release never take it again.
    pub hold: Hold,
    /// What a second job of the key does.
    #[serde(default)]
    pub conflict: Conflict,
}

/// How long a unique key is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Until it is claimed for the first time, or ends before.
    UntilStart,
    /// Until it ends.
    UntilDone,
    /// For this long from the enqueue, whatever becomes of the job.
    For(#[serde(with = "millis_always")] Duration),
}

impl Hold {
    /// The number that stores keep for it. What ends a hold ends those of lower numbers too.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Hold::UntilStart => 0,
            Hold::UntilDone => 1,
            Hold::For(_) => 2,
        }
    }

    /// When time ends it, taken at `now`.
    #[must_use]
    pub fn until(self, now: Wall) -> Option<Wall> {
        match self {
            Hold::UntilStart | Hold::UntilDone => None,
            Hold::For(time) => Some(later(now, time)),
        }
    }

    /// The highest [`code`](Self::code) of the holds that end when `kind` has led to `state`; `None` if none does.
    #[must_use]
    pub const fn ends(kind: Kind, state: State) -> Option<u8> {
        match (state.ended(), kind) {
            (true, _) => Some(Hold::UntilDone.code()),
            (false, Kind::Claim) => Some(Hold::UntilStart.code()),
            _ => None,
        }
    }
}

/// What an enqueue does that finds its unique key held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Nothing: the holder stays, the new job is not inserted.
    #[default]
    Keep,
    /// The holder, if still pending, ends cancelled; the new job takes record and hold.
    Replace,
    /// As `Replace`, with the holder's payload: only the start changes.
    Reschedule,
}

/// When a job may start, on the store's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// At once.
    #[default]
    Now,
    /// This long after the store accepts it.
    After(Duration),
    /// Not before.
    At(Wall),
}

impl Start {
    /// The time it stands for when the store's clock reads `now`.
    #[must_use]
    pub fn at(self, now: Wall) -> Wall {
        match self {
            Start::Now => now,
            Start::After(delay) => later(now, delay),
            Start::At(time) => time,
        }
    }
}

/// `delay` after `now` in whole milliseconds, rounded up: a job is late rather than early.
#[must_use]
pub fn later(now: Wall, delay: Duration) -> Wall {
    let millis = i64::try_from(whole_millis(delay)).unwrap_or(i64::MAX);
    Wall(now.0.saturating_add(millis))
}

/// Whole milliseconds, rounded up, as every time is stored; the most there are for what 64 bits do not hold.
pub(super) fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// What ended by time at or before this may be forgotten at `now`, if a store keeps it beside the jobs: unique
/// holds, ids of deleted jobs. They count until their time and stand a minute longer, so that a clock that
/// goes back by less than that finds them as they were and answers as it did.
#[must_use]
pub fn forgettable(now: Wall) -> Wall {
    Wall(now.0.saturating_sub(60_000))
}

/// A job on its way into a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// What never changes.
    pub spec: Arc<Spec>,
    /// What the handler is given.
    pub payload: Bytes,
    /// When it may start.
    pub start: Start,
}

impl NewJob {
    /// A stable fingerprint of the job as enqueued: a second enqueue of an id is a duplicate if this
    /// agrees, a conflict if not. The start does not count: a repeat may be later.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = FoldHasher::fixed();
        let spec = &*self.spec;
        for name in [&spec.queue, &spec.kind] {
            hasher.write(name.as_bytes());
        }
        hasher.write_u8(spec.band);
        if let Some(unique) = &spec.unique {
            hasher.write(unique.key.as_bytes());
        }
        if let Some(group) = &spec.group {
            hasher.write(group.as_bytes());
        }
        for id in &spec.waits {
            hasher.write(&id.as_u128().to_be_bytes());
        }
        hasher.write(&self.payload);
        hasher.finish()
    }

    /// What becomes of it where the job of its id has the fingerprint `known`.
    #[must_use]
    pub fn met(&self, known: u64) -> Enqueued {
        if known == self.digest() {
            Enqueued::Duplicate
        } else {
            Enqueued::IdConflict
        }
    }

    /// Whether every store can keep it.
    ///
    /// # Errors
    ///
    /// [`InvalidJob`] says what to change. `max_payload` is the configured cap in bytes.
    pub fn check(&self, max_payload: usize) -> Result<(), InvalidJob> {
        let spec = &*self.spec;
        if self.payload.len() > max_payload {
            return Err(InvalidJob::Payload {
                size: self.payload.len(),
                max: max_payload,
            });
        }
        if spec.band >= Spec::BANDS {
            return Err(InvalidJob::Band);
        }
        let retry = spec.retry.check();
        retry.map_err(|error| InvalidJob::Retry(Box::new(error)))?;
        if spec.strikes == 0 {
            return Err(InvalidJob::Strikes);
        }
        if spec.waits.len() > Spec::MAX_WAITS {
            return Err(InvalidJob::Waits(spec.waits.len()));
        }
        let headers: usize = spec.headers.iter().map(|(k, v)| k.len() + v.len()).sum();
        if spec.headers.len() > Spec::MAX_HEADERS || headers > Spec::MAX_HEADER_BYTES {
            return Err(InvalidJob::Headers);
        }
        if spec.id.shard() != super::shard_of(&spec.queue) {
            return Err(InvalidJob::Shard);
        }
        let hold = match spec.unique.as_ref().map(|unique| unique.hold) {
            Some(Hold::For(time)) => Some(time),
            _ => None,
        };
        let delay = match self.start {
            Start::After(delay) if delay > Duration::ZERO => Some(delay),
            _ => None,
        };
        let times = [
            ("timeout", spec.timeout),
            ("expiry", spec.expiry),
            ("unique hold", hold),
            ("delay", delay),
        ];
        for (what, time) in times {
            if time.is_some_and(|time| time < Duration::from_millis(1)) {
                return Err(InvalidJob::TooShort(what));
            }
        }
        Ok(())
    }
}

impl Spec {
    /// A plain job: first in its queue, retried as by default, ended by its third strike, and nothing else.
    #[must_use]
    pub fn new(id: Id, queue: Name, kind: Name) -> Self {
        Self {
            id,
            queue,
            kind,
            band: 0,
            retry: Retry::default(),
            strikes: 3,
            timeout: None,
            expiry: None,
            unique: None,
            group: None,
            waits: Vec::new(),
            wait_failed: WaitFailed::default(),
            keep: Keep::default(),
            headers: Vec::new(),
        }
    }

    /// How long its record is kept after it ended in `state`.
    #[must_use]
    pub fn kept(&self, state: State) -> Duration {
        let asked = match state {
            State::Succeeded => self.keep.succeeded,
            _ => self.keep.failed,
        };
        asked.max(Keep::LEAST)
    }

    /// How many bands a queue has.
    pub const BANDS: u8 = 8;
    /// The most jobs one job may wait for.
    pub const MAX_WAITS: usize = 100;
    /// The most headers.
    pub const MAX_HEADERS: usize = 16;
    /// The most bytes of headers, names and values together.
    pub const MAX_HEADER_BYTES: usize = 4096;
}

/// Why a job cannot be enqueued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJob {
    /// The payload is over the cap.
    #[error(
        "the payload has {size} bytes, the cap is {max}: store it elsewhere and enqueue a reference, or raise the cap"
    )]
    Payload {
        /// Its size in bytes.
        size: usize,
        /// The configured cap in bytes.
        max: usize,
    },
    /// There is no such band.
    #[error("there is no such band: use 0 (first) to {last}", last = Spec::BANDS - 1)]
    Band,
    /// Its retry policy is none.
    #[error("its retry policy: {0}")]
    Retry(Box<super::retry::RetryError>),
    /// No strike allowed means it could never start.
    #[error("strikes is 0: allow at least 1")]
    Strikes,
    /// It waits for this many jobs.
    #[error("it waits for {0} jobs, the cap is {max}: chain them through jobs in between", max = Spec::MAX_WAITS)]
    Waits(usize),
    /// Too many headers, or too large ones.
    #[error("its headers are more than {n} or larger than {b} bytes in all", n = Spec::MAX_HEADERS, b = Spec::MAX_HEADER_BYTES)]
    Headers,
    /// The id was made for another queue.
    #[error("its id was made for another queue: take ids from `Ids::next` with the queue's name")]
    Shard,
    /// A duration that would be zero milliseconds.
    #[error("its {0} is under a millisecond: stores keep whole milliseconds")]
    TooShort(&'static str),
}

/// `Option<Duration>` as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde asks for this signature")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.serialize_some(&super::whole_millis(*time)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

/// `Duration` as whole milliseconds.
mod millis_always {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(super::whole_millis(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
