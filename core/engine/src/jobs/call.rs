//! The values of the port between workers and stores: what each call takes and gives. Nothing here
//! waits or stores; `tideway::jobs::JobStore` is the trait that speaks these.

use std::time::Duration;

use bytes::Bytes;

use super::cron::Cell;
use super::record::{Record, State};
use super::step::{Fence, Kind, Outcome, Refused};
use super::{Id, IdError, Name, NewJob, Owner, Start};
use crate::time::Wall;

/// What became of one enqueued job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Enqueued {
    /// It is in the store.
    Inserted,
    /// The same job was there already: a repeat after a lost reply.
    Duplicate,
    /// Another job has this id; nothing was inserted.
    IdConflict,
    /// This job holds its unique key; nothing was inserted, nor is the id remembered: the same enqueue again, when
    /// the holder has gone, is `Inserted`.
    UniqueHit(Id),
    /// It is in the store, and this pending holder of its unique key was cancelled for it.
    Superseded(Id),
    /// It waits for this id, which is neither in the store nor earlier in the batch; nothing was inserted.
    UnknownWait(Id),
}

/// A queue and a band of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The queue.
    pub queue: Name,
    /// The band; [`SUSPECT`](super::SUSPECT) for jobs that have crashed.
    pub band: u8,
}

/// Asks for due jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimReq {
    /// The claiming incarnation.
    pub owner: Owner,
    /// Counts the owner's claims from 1. A repeat of the newest returns the same jobs and claims nothing
    /// more; an older one claims nothing.
    pub seq: u64,
    /// Where to look, in this order, and at most how many from each. A lane may be there more than once (a worker
    /// that serves lanes in turn asks so): each time it gives up to its number more.
    pub lanes: Vec<(Lane, u32)>,
    /// At most this many jobs.
    pub limit: u32,
    /// At most this many bytes of payload and progress; the first job is given whatever its size.
    pub max_bytes: usize,
    /// How long the leases last from the store's now.
    pub lease: Duration,
}

impl ClaimReq {
    /// A store remembers the number of an owner's newest claim at least this long.
    pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
}

/// Claimed jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// Running, under the asked lease, with their new tokens; in lane order, each lane by `run_at`, then id.
    pub jobs: Vec<Record>,
    /// When the earliest job of these lanes that was not claimed falls due; `None` if there is none
    /// that time alone will make due. In the past if more could have been claimed.
    pub next_due: Option<Wall>,
    /// The store's clock.
    pub now: Wall,
}

/// Ends one lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Settle {
    /// Whose.
    pub id: Id,
    /// Which lease.
    pub fence: Fence,
    /// How.
    pub outcome: Outcome,
    /// The handler's last checkpoint: if it is new, or if the job may go on from it.
    pub progress: Option<Bytes>,
    /// Inserted with it, atomically, if and only if it is applied. A store that declares so may insert those for other
    /// queues a moment later, or with the next `prune` if the caller dies in between.
    pub then: Vec<NewJob>,
}

impl Settle {
    /// Without a checkpoint, and without jobs that follow.
    #[must_use]
    pub const fn new(id: Id, fence: Fence, outcome: Outcome) -> Self {
        Self {
            id,
            fence,
            outcome,
            progress: None,
            then: Vec::new(),
        }
    }
}

/// What became of one settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It was applied as this row; another than asked where a cancel request overrode a retry.
    Applied(Kind),
    /// This lease was settled before, as this: a repeat after a lost reply.
    Already(Kind),
    /// Another claim holds or held the job since; nothing changed.
    Fenced,
    /// There is no such job; nothing changed.
    NotFound,
    /// Its lease has not run out (by the reaper), or the job is in no state for it; nothing changed.
    Refused,
}

impl From<Result<Kind, Refused>> for Settled {
    /// What [`step`](super::step) said, as the answer of a store.
    fn from(stepped: Result<Kind, Refused>) -> Self {
        match stepped {
            Ok(kind) => Settled::Applied(kind),
            Err(Refused::Settled(kind)) => Settled::Already(kind),
            Err(Refused::Fenced) => Settled::Fenced,
            Err(_) => Settled::Refused,
        }
    }
}

/// Extends one lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Whose.
    pub id: Id,
    /// Which lease.
    pub fence: Fence,
    /// The handler's checkpoint, if it is new. Beats have no number: one that is late on its way puts its
    /// checkpoint in the place of that of a newer beat of the same lease. A worker sends the newest again with every
    /// settle but a success; only the job of a worker that dies in between goes on from the older one, which a
    /// handler can do as well.
    pub progress: Option<Bytes>,
}

/// What became of one beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Beaten {
    /// The lease is extended.
    Alive {
        /// Someone asked the job to stop.
        cancel: bool,
    },
    /// The lease is lost: the handler should stop, its result will not count.
    Lost,
}

/// A lease that has run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Whose.
    pub id: Id,
    /// Which lease.
    pub fence: Fence,
    /// When it ran out.
    pub lease_until: Wall,
    /// How long it had been.
    pub lease: Duration,
    /// The job's crashes so far, as they count (0 if its progress moved since).
    pub crashes: u32,
    /// How many other jobs last held by the same owner, under a lease or crashed with it, have as many
    /// crashes or more.
    pub peers_at_or_above: u32,
    /// Its worker said that it might still run.
    pub abandoned: bool,
}

impl Expired {
    /// The lease of `job`, of which `peers` other jobs of its owner crashed as often; `None` if nobody holds it.
    #[must_use]
    pub fn of(job: &Record, peers: u32) -> Option<Self> {
        Some(Self {
            id: job.id(),
            fence: job.fence()?,
            lease_until: job.lease_until,
            lease: job.lease,
            crashes: job.crashes_when_held()?,
            peers_at_or_above: peers,
            abandoned: job.abandoned,
        })
    }

    /// The lease of `job`, beside all jobs that its owner last held, itself among them: how often some had crashed
    /// when it held them, and how many those are. `None` if nobody holds it.
    #[must_use]
    pub fn among(job: &Record, held: impl IntoIterator<Item = (u32, u64)>) -> Option<Self> {
        let crashes = job.crashes_when_held()?;
        let as_often = held.into_iter().filter(|(other, _)| *other >= crashes);
        let all = as_often.fold(0_u64, |all, (_, n)| all.saturating_add(n));
        // Itself not counted.
        let peers = all.saturating_sub(1);
        Self::of(job, u32::try_from(peers).unwrap_or(u32::MAX))
    }
}

/// Where a listing goes on; opaque, made by the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub Option<Box<str>>);

/// For stores that list by id: the cursor is the text of the last id looked at.
impl Cursor {
    /// The page behind `id`.
    #[must_use]
    pub fn behind(id: Id) -> Self {
        Self(Some(id.to_string().into()))
    }

    /// The id that the page goes on behind; `None` from the beginning.
    ///
    /// # Errors
    ///
    /// [`IdError`] if it was made by no store of this kind: its page is empty, and the last.
    pub fn id(&self) -> Result<Option<Id>, IdError> {
        self.0.as_deref().map(str::parse).transpose()
    }

    /// Cuts items that are in order of their ids, one more than fit if there are so many, to a page of at most
    /// `limit` (at least 1); where the next page begins.
    pub fn cut<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> Id) -> (Vec<T>, Option<Self>) {
        let limit = limit.max(1) as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next = last.map(|item| Self::behind(id(item)));
        (items, next)
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
    /// The store's clock.
    pub now: Wall,
}

/// Which jobs: those that agree with every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this queue.
    pub queue: Option<Name>,
    /// Of this kind.
    pub kind: Option<Name>,
    /// In this state.
    pub state: Option<State>,
    /// Of this group.
    pub group: Option<Name>,
}

impl Filter {
    /// Whether `job` is one of them.
    #[must_use]
    pub fn matches(&self, job: &Record) -> bool {
        let spec = &job.spec;
        self.queue.as_ref().is_none_or(|queue| *queue == spec.queue)
            && self.kind.as_ref().is_none_or(|kind| *kind == spec.kind)
            && self.state.is_none_or(|state| state == job.state)
            && (self.group.is_none() || self.group == spec.group)
    }
}

/// The jobs a [`Control`] speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// These.
    Ids(Vec<Id>),
    /// One page of those that match, by id.
    Filter {
        /// Which.
        filter: Filter,
        /// Where to go on.
        after: Cursor,
        /// At most how many that match; 0 counts as 1. A store may look at so many records only, so a page may be
        /// short, or empty, and not the last: [`ControlOut::next`] says.
        limit: u32,
    },
}

/// What a person or program asks of the store.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Control {
    /// Ends them if they do not run; asks them to stop if they do.
    Cancel(Select),
    /// Makes pending ones due at another time.
    Reschedule(Select, Start),
    /// Runs dead or cancelled ones again as if they were enqueued now: counts, expiry and the time for retries
    /// start anew. One whose unique key is held now is left.
    Revive(Select, Start),
    /// Forgets ended ones: no other call finds them. An enqueue does, until [`Record::known_until`]: the same job
    /// again is still a [`Duplicate`](Enqueued::Duplicate), another of its id a conflict.
    Delete(Select),
    /// No claim begun after this returned takes from the queue.
    Pause(Name),
    /// Claims take from the queue again.
    Resume(Name),
    /// Limits running jobs and their rate; replaces the limit of the scope.
    Limit(Scope, Limit),
}

/// What a limit applies to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All of a queue.
    Queue(Name),
    /// Each group of a queue that has no limit of its own.
    EachGroup(Name),
    /// One group of a queue.
    Group(Name, Name),
}

/// At most so many at once, at most so many in a time. Neither set means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// At most this many running.
    pub running: Option<u32>,
    /// At most this many claims in any window: (claims, window).
    pub rate: Option<(u32, Duration)>,
}

impl Limit {
    /// Whether more may start where `running` run and `taken` claims are in the window.
    #[must_use]
    pub fn room(&self, running: u64, taken: u64) -> Room {
        let slots = self
            .running
            .map(|most| u64::from(most).saturating_sub(running));
        if slots == Some(0) {
            return Room::Shut;
        }
        let claims = match self.rate {
            Some((0, _)) => return Room::Shut,
            Some((n, _)) if taken >= u64::from(n) => {
                return Room::After(taken - u64::from(n) + 1);
            }
            Some((n, _)) => Some(u64::from(n) - taken),
            None => None,
        };
        Room::Open([slots, claims].into_iter().flatten().min())
    }
}

/// Whether more may start under a [`Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many; `None` for as many as there are.
    Open(Option<u64>),
    /// One, when so many of the oldest claims have left the window.
    After(u64),
    /// None, before one that runs ends or somebody changes the limit.
    Shut,
}

/// What a [`Control`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlOut {
    /// The jobs it changed.
    pub done: Vec<Id>,
    /// Those it left as they were, and why.
    pub left: Vec<(Id, Left)>,
    /// Where a filter goes on; `None` after the last page.
    pub next: Option<Cursor>,
}

/// Why a [`Control`] left a job as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// There is no such job.
    NotFound,
    /// It is in this state.
    State(State),
    /// This job holds its unique key.
    UniqueHit(Id),
}

/// Moves a cron cell and enqueues what falls due with it, atomically, if the cell's slot is still `prev` and
/// its `rev` is not higher than that of `next`. A store that declares so may enqueue the jobs a moment later, as
/// [`Settle::then`].
#[derive(Clone, Debug, PartialEq)]
pub struct CronCas {
    /// The entry.
    pub key: Name,
    /// The cell's slot as last seen; `None` if there was no cell.
    pub prev: Option<Wall>,
    /// The cell as it shall be.
    pub next: Cell,
    /// What falls due; enqueued as by `enqueue`, a unique conflict is no error.
    pub jobs: Vec<NewJob>,
}

impl CronCas {
    /// Whether it moves a cell that is so now.
    #[must_use]
    pub fn fits(&self, cell: Option<&Cell>) -> bool {
        let newer = cell.is_some_and(|cell| cell.rev > self.next.rev);
        cell.map(|cell| cell.slot) == self.prev && !newer
    }
}

/// What became of a [`CronCas`].
#[derive(Clone, Debug, PartialEq)]
pub struct CronOut {
    /// Whether this call moved the cell.
    pub won: bool,
    /// The cell now.
    pub cell: Option<Cell>,
    /// The store's clock.
    pub now: Wall,
}

/// One queue in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Its name.
    pub queue: Name,
    /// Waiting for other jobs.
    pub waiting: u64,
    /// In a lane, due or not.
    pub pending: u64,
    /// Under a lease.
    pub running: u64,
    /// Ended well and not yet pruned.
    pub succeeded: u64,
    /// Dead and not yet pruned.
    pub dead: u64,
    /// Cancelled and not yet pruned.
    pub cancelled: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// The earliest `run_at` of its pending jobs.
    pub oldest: Option<Wall>,
}

impl QueueStats {
    /// No job at all.
    #[must_use]
    pub const fn empty(queue: Name) -> Self {
        Self {
            queue,
            waiting: 0,
            pending: 0,
            running: 0,
            succeeded: 0,
            dead: 0,
            cancelled: 0,
            paused: false,
            oldest: None,
        }
    }

    /// The count of `state`.
    pub const fn count(&mut self, state: State) -> &mut u64 {
        match state {
            State::Waiting => &mut self.waiting,
            State::Pending => &mut self.pending,
            State::Running => &mut self.running,
            State::Succeeded => &mut self.succeeded,
            State::Dead => &mut self.dead,
            State::Cancelled => &mut self.cancelled,
        }
    }
}

/// All queues in numbers, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// One per queue that has a record or is paused.
    pub queues: Vec<QueueStats>,
    /// The store's clock.
    pub now: Wall,
}

/// A hint that something may be worth a look. May be dropped, repeated, reordered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// A job of this queue may be due, now or at some time. Sent for whatever puts jobs into its lanes or lets them
    /// be claimed: enqueues, follow-up jobs and those of a cron slot, settles that put a job back or end what others
    /// wait for, a reschedule, revival, resume, a new limit, and under a limit every end of a lease.
    Queue(Name),
    /// Someone asked these running jobs to stop.
    Cancel(Vec<Id>),
}

/// What a structural check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// How many records were looked at.
    pub checked: u64,
    /// What is wrong, for a person; empty if all is well.
    pub flaws: Vec<String>,
}

/// What a store can do, and what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// What an acknowledged call survives.
    pub durability: Durability,
    /// Unique keys.
    pub unique: bool,
    /// `cron_cas`.
    pub cron: bool,
    /// Limits on running jobs and rates.
    pub limits: bool,
    /// Jobs that wait for jobs.
    pub waits: bool,
    /// `list` and controls by filter.
    pub list: bool,
    /// `wakeups` yields hints.
    pub wakeups: bool,
    /// The most items one call takes; larger batches are split by the caller.
    pub max_batch: u32,
    /// The largest payload in bytes.
    pub max_payload: usize,
}

impl Default for Caps {
    /// Declares nothing; 1000 items and 1 MiB at most.
    fn default() -> Self {
        Self {
            durability: Durability::Memory,
            unique: false,
            cron: false,
            limits: false,
            waits: false,
            list: false,
            wakeups: false,
            max_batch: 1000,
            max_payload: 1 << 20,
        }
    }
}

/// What an acknowledged call survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing: it is gone with the process.
    Memory,
    /// The death of the process that called. A server that dies may forget what it acknowledged in its last
    /// seconds; how many, the backend says.
    Delayed,
    /// The death of any process, the server's too.
    Process,
    /// The loss of power.
    Power,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_of_two_limits_counts() {
        let limit = |running, rate: Option<u32>| Limit {
            running,
            rate: rate.map(|n| (n, Duration::from_secs(1))),
        };
        for (asked, running, taken, room) in [
            (limit(None, None), 9, 9, Room::Open(None)),
            (limit(Some(3), None), 1, 9, Room::Open(Some(2))),
            (limit(Some(3), None), 3, 0, Room::Shut),
            (limit(Some(3), None), 4, 0, Room::Shut),
            (limit(None, Some(5)), 9, 4, Room::Open(Some(1))),
            (limit(None, Some(5)), 9, 5, Room::After(1)),
            (limit(None, Some(5)), 9, 7, Room::After(3)),
            (limit(None, Some(0)), 0, 0, Room::Shut),
            (limit(Some(3), Some(5)), 1, 1, Room::Open(Some(2))),
            (limit(Some(3), Some(5)), 0, 3, Room::Open(Some(2))),
            (limit(Some(3), Some(5)), 3, 5, Room::Shut),
        ] {
            let got = asked.room(running, taken);
            assert_eq!(got, room, "{asked:?}, {running}, {taken}");
        }
    }
}
