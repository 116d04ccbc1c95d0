//! A record as the scripts keep it, and back. One that cannot be read in full is read as far as it can, so that
//! it stays visible. Numbers are little-endian, times milliseconds in a double, ids big-endian.
//!
//! | field | what |
//! |---|---|
//! | `s` | what never changes: flags, band, strikes, how long it is kept (after success, after failure), digest, queue, kind, group?, unique?, expiry?, waits?, and the packed `Spec` |
//! | `m` | what changes: state, settled, reason, flags, `run_at`, `enqueued_at`, attempt, lease?, end?, counts?, the reason's id? |
//! | extra | progress, result, errors and what is still waited for, each with its length; empty if there is none |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tideway_engine::Wall;
use tideway_engine::jobs::{
    Conflict, Failure, Hold, Id, Kind, Name, NewJob, Owner, Reason, Record, Spec, Start, State,
    Unreadable, WaitFailed, later,
};

/// Times are kept as doubles: all beyond this is for ever.
const EVER: f64 = 9_007_199_254_740_992.0;

mod flag {
    pub(super) const CANCEL: u16 = 1;
    pub(super) const ABANDONED: u16 = 2;
    pub(super) const MOVED: u16 = 4;
    pub(super) const LEASED: u16 = 64;
    pub(super) const COUNTED: u16 = 128;

    pub(super) const UNIQUE: u8 = 1;
    pub(super) const GROUP: u8 = 2;
    pub(super) const WAITS: u8 = 4;
    pub(super) const RUN: u8 = 8;
    pub(super) const EXPIRY: u8 = 16;
}

/// The row of this code: one more than the core's, since 0 is none.
pub(crate) fn kind(code: u8) -> Option<Kind> {
    Kind::of(code.checked_sub(1)?)
}

/// The code of a reason, and the id that belongs to it.
pub(crate) fn reason(reason: Reason) -> (u8, Option<Id>) {
    match reason {
        Reason::Attempts => (1, None),
        Reason::RetryUntil => (2, None),
        Reason::Fatal => (3, None),
        Reason::Crash => (4, None),
        Reason::Expired => (5, None),
        Reason::Corrupt => (6, None),
        Reason::Asked => (7, None),
        Reason::Superseded(id) => (8, Some(id)),
        Reason::Wait(id) => (9, Some(id)),
        // A reason of a newer core: dead is dead.
        _ => (3, None),
    }
}

pub(crate) fn id(id: Id) -> [u8; 16] {
    id.as_u128().to_be_bytes()
}

pub(crate) fn owner(owner: Owner) -> [u8; 16] {
    owner.0.to_be_bytes()
}

/// Whole milliseconds, rounded up.
pub(crate) fn millis(time: Duration) -> f64 {
    wall(later(Wall(0), time))
}

pub(crate) fn wall(time: Wall) -> f64 {
    (time.0 as f64).clamp(-EVER, EVER)
}

/// A time as kept.
pub(crate) fn time(millis: f64) -> Wall {
    if millis >= EVER {
        Wall(i64::MAX)
    } else {
        Wall(millis as i64)
    }
}

fn duration(millis: f64) -> Duration {
    if millis >= EVER {
        return Duration::from_millis(i64::MAX as u64);
    }
    Duration::from_millis(millis.max(0.0) as u64)
}

fn name(out: &mut Vec<u8>, name: &Name) {
    // A name has at most 200 bytes.
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

/// What never changes of a job.
pub(crate) fn pack(new: &NewJob) -> Vec<u8> {
    let spec = &*new.spec;
    let parts = [
        (flag::UNIQUE, spec.unique.is_some()),
        (flag::GROUP, spec.group.is_some()),
        (flag::WAITS, !spec.waits.is_empty()),
        (flag::RUN, spec.wait_failed == WaitFailed::Run),
        (flag::EXPIRY, spec.expiry.is_some()),
    ];
    let parts = parts.into_iter().filter(|(_, there)| *there);
    let mut out = Vec::with_capacity(160);
    out.extend([
        parts.fold(0, |all, (one, _)| all | one),
        spec.band,
        spec.strikes,
    ]);
    for end in [State::Succeeded, State::Dead] {
        out.extend(millis(spec.kept(end)).to_le_bytes());
    }
    out.extend(new.digest().to_le_bytes());
    name(&mut out, &spec.queue);
    name(&mut out, &spec.kind);
    if let Some(group) = &spec.group {
        name(&mut out, group);
    }
    if let Some(unique) = &spec.unique {
        name(&mut out, &unique.key);
        let time = match unique.hold {
            Hold::For(time) => millis(time),
            Hold::UntilStart | Hold::UntilDone => 0.0,
        };
        out.push(unique.hold.code());
        out.extend(time.to_le_bytes());
        out.push(match unique.conflict {
            Conflict::Keep => 0,
            Conflict::Replace => 1,
            Conflict::Reschedule => 2,
        });
    }
    if let Some(expiry) = spec.expiry {
        out.extend(millis(expiry).to_le_bytes());
    }
    if !spec.waits.is_empty() {
        out.push(u8::try_from(spec.waits.len()).unwrap_or(u8::MAX));
        out.extend(spec.waits.iter().flat_map(|one| id(*one)));
    }
    spec.pack(&mut out);
    out
}

/// When a job starts; 16 is added to the code of one that belongs to another tag.
pub(crate) fn start(start: Start, elsewhere: bool, told: &[u8]) -> Vec<u8> {
    let (code, time) = match start {
        Start::Now => (0, 0.0),
        Start::After(delay) => (1, millis(delay)),
        Start::At(time) => (2, wall(time)),
    };
    let mut out = Vec::with_capacity(9 + told.len());
    out.push(code + if elsewhere { 16 } else { 0 });
    out.extend(time.to_le_bytes());
    out.extend_from_slice(told);
    out
}

/// A job as a script shows it.
pub(crate) struct Shown {
    pub(crate) id: Vec<u8>,
    pub(crate) changing: Vec<u8>,
    pub(crate) fixed: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) extra: Vec<u8>,
}

/// A record that was read.
pub(crate) struct Stored {
    pub(crate) job: Record,
    /// Why it was not read in full.
    pub(crate) flaw: Option<Unreadable>,
}

/// Damaged outside of the packed specification.
const DAMAGED: Unreadable = Unreadable::Damaged(0);

/// Reads what a script showed, and shares names with `beside`; `None` if there is no such job.
pub(crate) fn read(shown: Shown, beside: Option<&Spec>) -> Option<Stored> {
    let bits: [u8; 16] = shown.id.try_into().ok()?;
    let id = Id::from_u128(u128::from_be_bytes(bits));
    let (spec, digest, mut flaw) = fixed(&shown.fixed, id, beside);
    let mut job = blank(spec, shown.payload, digest);
    if changing(&mut job, &shown.changing).is_none() {
        job.state = State::Dead;
        job.reason = Some(Reason::Corrupt);
        flaw = Some(DAMAGED);
    }
    if extra(&mut job, &shown.extra).is_none() {
        flaw = Some(DAMAGED);
    }
    Some(Stored { job, flaw })
}

fn blank(spec: Spec, payload: Vec<u8>, digest: u64) -> Record {
    let mut job = Record::unclaimed(Arc::new(spec), payload.into(), digest, Wall(0), Wall(0));
    job.state = State::Dead;
    job
}

/// The specification and digest, or what is known of them.
fn fixed(bytes: &[u8], id: Id, beside: Option<&Spec>) -> (Spec, u64, Option<Unreadable>) {
    let read = header(bytes).ok_or(DAMAGED).and_then(|header| {
        let spec = Spec::unpack_beside(header.packed, beside)?;
        let agrees = spec.id == id
            && spec.queue.as_bytes() == header.queue
            && spec.kind.as_bytes() == header.kind
            && spec.group.as_ref().map(|group| group.as_bytes()) == header.group;
        if agrees {
            Ok((spec, header.digest))
        } else {
            Err(DAMAGED)
        }
    });
    match read {
        Ok((spec, digest)) => (spec, digest, None),
        Err(flaw) => {
            let (spec, digest) = replacement(bytes, id);
            (spec, digest, Some(flaw))
        }
    }
}

/// The specification of a job on its way.
pub(crate) fn spec(fixed: &[u8]) -> Option<Spec> {
    Spec::unpack(header(fixed)?.packed).ok()
}

/// What the scripts read too, and the packed specification behind it.
struct Header<'a> {
    digest: u64,
    queue: &'a [u8],
    kind: &'a [u8],
    group: Option<&'a [u8]>,
    packed: &'a [u8],
}

fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let mut from = Reader(bytes);
    let parts = from.byte()?;
    from.take(2 + 16)?;
    let digest = u64::from_le_bytes(from.array()?);
    let (queue, kind) = (from.short()?, from.short()?);
    let group = if parts & flag::GROUP != 0 {
        Some(from.short()?)
    } else {
        None
    };
    if parts & flag::UNIQUE != 0 {
        from.short()?;
        from.take(10)?;
    }
    if parts & flag::EXPIRY != 0 {
        from.take(8)?;
    }
    if parts & flag::WAITS != 0 {
        let count = from.byte()?;
        from.take(16 * usize::from(count))?;
    }
    Some(Header {
        digest,
        queue,
        kind,
        group,
        packed: from.0,
    })
}

/// A specification and digest made of what the scripts read too, as far as that goes.
fn replacement(bytes: &[u8], id: Id) -> (Spec, u64) {
    let mut spec = Spec {
        strikes: 1,
        ..Spec::new(id, Name::readable(""), Name::readable(""))
    };
    let mut digest = 0;
    let mut fill = || {
        let mut from = Reader(bytes);
        let parts = from.byte()?;
        spec.band = from.byte()?.min(Spec::BANDS - 1);
        spec.strikes = from.byte()?.max(1);
        spec.keep.succeeded = duration(from.double()?);
        spec.keep.failed = duration(from.double()?);
        digest = u64::from_le_bytes(from.array()?);
        spec.queue = from.name()?;
        spec.kind = from.name()?;
        if parts & flag::GROUP != 0 {
            spec.group = Some(from.name()?);
        }
        Some(())
    };
    // What is left out stays as it was.
    let _ = fill();
    (spec, digest)
}

fn changing(job: &mut Record, bytes: &[u8]) -> Option<()> {
    let mut from = Reader(bytes);
    let state = State::of(from.byte()?)?;
    let settled = from.byte()?;
    let reason = from.byte()?;
    let flags = u16::from_le_bytes(from.array()?);
    job.settled = kind(settled);
    job.run_at = time(from.double()?);
    job.enqueued_at = time(from.double()?);
    job.attempt = from.count()?;
    if flags & flag::LEASED != 0 {
        job.token = from.double()? as u64;
        job.owner = Some(Owner(u128::from_be_bytes(from.array()?)));
        job.seq = from.double()? as u64;
        job.lease = duration(from.double()?);
        job.lease_until = time(from.double()?);
        job.started_at = Some(time(from.double()?));
    }
    if state.ended() {
        job.ended_at = Some(time(from.double()?));
    }
    if flags & flag::COUNTED != 0 {
        job.failures = from.count()?;
        job.crashes = from.count()?;
        job.strikes = from.count()?;
        job.snoozes = from.count()?;
        job.returns = from.count()?;
        job.delay = duration(from.double()?);
    }
    job.cancel = flags & flag::CANCEL != 0;
    job.abandoned = flags & flag::ABANDONED != 0;
    job.moved = flags & flag::MOVED != 0;
    job.reason = match reason {
        0 => None,
        1 => Some(Reason::Attempts),
        2 => Some(Reason::RetryUntil),
        3 => Some(Reason::Fatal),
        4 => Some(Reason::Crash),
        5 => Some(Reason::Expired),
        6 => Some(Reason::Corrupt),
        7 => Some(Reason::Asked),
        8 => Some(Reason::Superseded(from.id()?)),
        9 => Some(Reason::Wait(from.id()?)),
        _ => return None,
    };
    job.state = state;
    Some(())
}

fn extra(job: &mut Record, bytes: &[u8]) -> Option<()> {
    if bytes.is_empty() {
        return Some(());
    }
    let mut from = Reader(bytes);
    job.progress = Bytes::copy_from_slice(from.part()?);
    job.result = Bytes::copy_from_slice(from.part()?);
    let mut errors = Reader(from.part()?);
    while !errors.0.is_empty() {
        let attempt = errors.count()?;
        let at = time(errors.double()?);
        let length = u16::from_le_bytes(errors.array()?);
        let text = errors.take(usize::from(length))?;
        job.errors.push(Failure {
            attempt,
            at,
            text: String::from_utf8_lossy(text).into(),
        });
    }
    let mut waits = Reader(from.part()?);
    while !waits.0.is_empty() {
        job.waits.push(waits.id()?);
    }
    Some(())
}

/// Bytes that were not read yet.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn double(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    pub(crate) fn count(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn id(&mut self) -> Option<Id> {
        let bits = self.array().map(u128::from_be_bytes);
        bits.map(Id::from_u128)
    }

    pub(crate) fn name(&mut self) -> Option<Name> {
        let text = std::str::from_utf8(self.short()?).ok()?;
        Name::new(text).ok()
    }

    /// What follows its length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// What follows its length.
    pub(crate) fn part(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        self.take(usize::try_from(length).ok()?)
    }
}
