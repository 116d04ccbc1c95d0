//! A job as a store keeps it: its specification and everything that changes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::call::Lane;
use super::step::{Fence, Kind};
use super::{Id, NewJob, Owner, SUSPECT, Spec};
use crate::time::Wall;

/// One record. Scheduled, ready and retrying are no states: they follow from `run_at` and `attempt`, so
/// there is no promotion between two lists in which a job could be lost.
///
/// It serialises, so that a store may keep it whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was enqueued.
    pub spec: Arc<Spec>,
    /// What the handler is given; dropped at success.
    pub payload: Bytes,
    /// [`NewJob::digest`] of what was enqueued.
    pub digest: u64,
    /// Where it is.
    pub state: State,
    /// Why it ended as it did; `None` unless dead or cancelled.
    pub reason: Option<Reason>,
    /// Not claimed before this, on the store's clock.
    pub run_at: Wall,
    /// Claims so far, refunded ones apart. The first is 1.
    pub attempt: u32,
    /// Attempts that failed: what the retry rule counts.
    pub failures: u32,
    /// Leases that ran out unsettled, since its progress last moved.
    pub crashes: u32,
    /// Crashes that were its own doing.
    pub strikes: u32,
    /// How often it was put off by its handler.
    pub snoozes: u32,
    /// How often it was given back by a worker that does not know its kind; resets at a start.
    pub returns: u32,
    /// The delay before its last retry, for backoffs that grow from it.
    pub delay: Duration,
    /// +1 per claim, never less: with the owner, the fence of a lease.
    pub token: u64,
    /// Who claimed it last. Kept after the settle, so that a repeat of it is recognised.
    pub owner: Option<Owner>,
    /// The claim it came with.
    pub seq: u64,
    /// When its lease runs out.
    pub lease_until: Wall,
    /// How long each beat extends the lease.
    pub lease: Duration,
    /// How the last lease ended.
    pub settled: Option<Kind>,
    /// Someone asked it to stop.
    pub cancel: bool,
    /// Its worker stopped hard and could not prove that the handler did.
    pub abandoned: bool,
    /// Its progress changed since it last crashed.
    pub moved: bool,
    /// What it still waits for.
    pub waits: Vec<Id>,
    /// Its last failures, oldest first; at most [`Record::MAX_ERRORS`].
    pub errors: Vec<Failure>,
    /// The handler's checkpoint; survives retries.
    pub progress: Bytes,
    /// What it returned.
    pub result: Bytes,
    /// When the store accepted it, or when it was last revived. Its id tells when it was made.
    pub enqueued_at: Wall,
    /// When it was last claimed.
    pub started_at: Option<Wall>,
    /// When it ended.
    pub ended_at: Option<Wall>,
}

impl Record {
    /// The most failures kept.
    pub const MAX_ERRORS: usize = 8;

    /// The record of `new`, accepted at `now`; waiting if there is something left to wait for.
    #[must_use]
    pub fn accepted(new: &NewJob, waits: Vec<Id>, now: Wall) -> Self {
        let (spec, payload) = (new.spec.clone(), new.payload.clone());
        let mut job = Self::unclaimed(spec, payload, new.digest(), new.start.at(now), now);
        if !waits.is_empty() {
            job.state = State::Waiting;
            job.waits = waits;
        }
        job
    }

    /// The record of a job that is pending and was never claimed: nothing else is known of it.
    #[must_use]
    pub const fn unclaimed(
        spec: Arc<Spec>,
        payload: Bytes,
        digest: u64,
        run_at: Wall,
        enqueued_at: Wall,
    ) -> Self {
        Self {
            spec,
            payload,
            digest,
            state: State::Pending,
            reason: None,
            run_at,
            attempt: 0,
            failures: 0,
            crashes: 0,
            strikes: 0,
            snoozes: 0,
            returns: 0,
            delay: Duration::ZERO,
            token: 0,
            owner: None,
            seq: 0,
            lease_until: Wall(0),
            lease: Duration::ZERO,
            settled: None,
            cancel: false,
            abandoned: false,
            moved: false,
            waits: Vec::new(),
            errors: Vec::new(),
            progress: Bytes::new(),
            result: Bytes::new(),
            enqueued_at,
            started_at: None,
            ended_at: None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.spec.id
    }

    /// Its current or last lease; `None` if it was never claimed.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        Some(Fence {
            token: self.token,
            owner: self.owner?,
        })
    }

    /// The lane it waits in: its band's, or the suspects' if it has crashed.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane {
            queue: self.spec.queue.clone(),
            band: self.band(),
        }
    }

    /// The band it waits in now.
    #[must_use]
    pub fn band(&self) -> u8 {
        if self.crashes > 0 {
            SUSPECT
        } else {
            self.spec.band
        }
    }

    /// When it is too late to start it.
    #[must_use]
    pub fn expires_at(&self) -> Option<Wall> {
        self.spec
            .expiry
            .map(|expiry| super::later(self.enqueued_at, expiry))
    }

    /// Until when an enqueue finds its id, even if the record is deleted: a repeat after a lost reply must not
    /// insert it again. `None` before its end.
    #[must_use]
    pub fn known_until(&self) -> Option<Wall> {
        Some(super::later(self.ended_at?, super::Keep::LEAST))
    }

    /// When a store may forget it; `None` before its end.
    #[must_use]
    pub fn forget_at(&self) -> Option<Wall> {
        Some(super::later(self.ended_at?, self.spec.kept(self.state)))
    }

    /// Its crashes, as they counted when its last owner held it: the measure of who is guilty when that owner
    /// died. `None` if it is neither running nor just charged with that death.
    #[must_use]
    pub fn crashes_when_held(&self) -> Option<u32> {
        match (self.state, self.settled) {
            (State::Running, _) if self.moved => Some(0),
            (State::Running, _) => Some(self.crashes),
            (State::Pending, Some(Kind::Crash)) => Some(self.crashes.saturating_sub(1)),
            _ => None,
        }
    }

    /// Whether its lease has run out by the store's clock `now`. One that ends later than a lease
    /// lasts was written before the clock went back: it counts as lapsed.
    #[must_use]
    pub fn lapsed(&self, now: Wall) -> bool {
        self.lease_until <= now || self.lease_until > super::later(now, self.lease)
    }

    /// What is wrong with it by itself, for audits: nothing, unless a store or somebody else damaged it.
    #[must_use]
    pub fn flaws(&self) -> Vec<&'static str> {
        let state = self.state;
        let ended_badly = matches!(state, State::Dead | State::Cancelled);
        let held = self.owner.is_some() && self.settled.is_none();
        let all = [
            (
                state != State::Waiting || !self.waits.is_empty(),
                "it waits for nothing",
            ),
            (
                state != State::Pending || self.waits.is_empty(),
                "it is pending and waits for a job",
            ),
            (
                ended_badly == self.reason.is_some(),
                "only an end that was none of its doing has a reason",
            ),
            (
                state.ended() == self.ended_at.is_some(),
                "only an end has a time of end",
            ),
            (
                state != State::Running || held,
                "its lease is nobody's or settled",
            ),
            (
                (self.token > 0) == self.owner.is_some(),
                "its token disagrees with its owner",
            ),
            (
                state != State::Succeeded || self.payload.is_empty(),
                "its payload outlives its success",
            ),
            (
                self.errors.len() <= Self::MAX_ERRORS,
                "it keeps too many failures",
            ),
        ];
        let wrong = all.into_iter().filter(|(right, _)| !right);
        wrong.map(|(_, flaw)| flaw).collect()
    }
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For other jobs to end; in no lane.
    Waiting,
    /// In its lane, due at `run_at`.
    Pending,
    /// Under a lease.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly; `reason` says why.
    Dead,
    /// Ended because someone asked.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [State; 6] = [
        State::Waiting,
        State::Pending,
        State::Running,
        State::Succeeded,
        State::Dead,
        State::Cancelled,
    ];

    /// The number that stores keep for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            State::Waiting => 0,
            State::Pending => 1,
            State::Running => 2,
            State::Succeeded => 3,
            State::Dead => 4,
            State::Cancelled => 5,
        }
    }

    /// The state that has this [`code`](Self::code).
    #[must_use]
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether nothing but a person starts it again.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, State::Succeeded | State::Dead | State::Cancelled)
    }

    /// As stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Pending => "pending",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Dead => "dead",
            State::Cancelled => "cancelled",
        }
    }
}

/// Why a job is dead or cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Every attempt failed.
    Attempts,
    /// It failed, and no retry could start in the time its rule allows.
    RetryUntil,
    /// The handler said that no retry can help.
    Fatal,
    /// It took down its process too often.
    Crash,
    /// It was too late to start it.
    Expired,
    /// Its record could not be read.
    Corrupt,
    /// A person or program asked.
    Asked,
    /// A newer job of the same unique key took its place.
    Superseded(Id),
    /// This job, for which it waited, failed.
    Wait(Id),
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which attempt.
    pub attempt: u32,
    /// When it was settled, on the store's clock.
    pub at: Wall,
    /// What went wrong, at most [`Failure::MAX`] bytes.
    pub text: Box<str>,
}

impl Failure {
    /// The longest text, in bytes.
    pub const MAX: usize = 1024;

    /// A failure of the attempt that is running. The text is cut, never refused; the store fills in the
    /// attempt and the time.
    #[must_use]
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        let bytes = text.as_ref();
        // Cut before decoding, so that a huge text is not copied; a replacement character is three bytes.
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(Self::MAX + 4)]);
        let mut end = text.len().min(Self::MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            attempt: 0,
            at: Wall(0),
            text: text[..end].into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jobs::Name;

    #[test]
    fn codes_are_those_of_stores_that_exist() {
        for (code, state) in (0..).zip(State::ALL) {
            assert_eq!((state.code(), State::of(code)), (code, Some(state)));
        }
        assert_eq!(State::of(6), None);
        let ends = [
            (0, Kind::Succeed),
            (1, Kind::Retry),
            (2, Kind::Die),
            (3, Kind::Stop),
            (4, Kind::Snooze),
            (5, Kind::Release),
            (6, Kind::Abandon),
            (7, Kind::Lapse),
            (8, Kind::Crash),
            (9, Kind::Bury),
        ];
        for (code, kind) in ends {
            assert_eq!((kind.code(), Kind::of(code)), (Some(code), Some(kind)));
        }
        assert_eq!((Kind::Claim.code(), Kind::of(10)), (None, None));
    }

    #[test]
    fn each_flaw_is_told() {
        let name = || Name::new("mail").expect("a name");
        let spec = Spec::new(Id::from_u128(1), name(), name());
        let payload = Bytes::from_static(b"{}");
        let well = Record::unclaimed(Arc::new(spec), payload, 0, Wall(0), Wall(0));
        assert!(well.flaws().is_empty());
        type Damage = fn(&mut Record);
        let damages: [Damage; 8] = [
            |job| job.state = State::Waiting,
            |job| job.waits.push(Id::from_u128(2)),
            |job| job.reason = Some(Reason::Asked),
            |job| job.ended_at = Some(Wall(0)),
            |job| job.state = State::Running,
            |job| job.token = 1,
            |job| {
                (job.state, job.ended_at) = (State::Succeeded, Some(Wall(0)));
            },
            |job| job.errors = vec![Failure::new("it"); Record::MAX_ERRORS + 1],
        ];
        let mut told = std::collections::BTreeSet::new();
        for (at, damage) in damages.into_iter().enumerate() {
            let mut job = well.clone();
            damage(&mut job);
            let flaws = job.flaws();
            assert_eq!(flaws.len(), 1, "damage {at}: {flaws:?}");
            told.extend(flaws);
        }
        assert_eq!(told.len(), damages.len());
    }

    proptest! {
        #[test]
        fn any_text_makes_a_failure_that_is_not_too_long(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let failure = Failure::new(&bytes);
            prop_assert!(failure.text.len() <= Failure::MAX);
            if bytes.len() <= Failure::MAX / 3 {
                prop_assert_eq!(&*failure.text, String::from_utf8_lossy(&bytes));
            }
        }
    }
}
