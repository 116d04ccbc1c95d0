//! A record as a row of `job`, and back. A row that cannot be read in full is read as far as it can,
//! so that it stays visible; a claim ends it, or leaves it to the release that packed it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};
use tideway_engine::Wall;
use tideway_engine::jobs::{
    Failure, Id, Kind, Name, Owner, Reason, Record, Spec, State, Unreadable, later,
};

/// What every reading statement selects, in the order [`read`] expects.
macro_rules! columns {
    () => {
        "n, id, state, queue, band, kind, grp, run_at, parked, links, token, owner, seq, lease_until, \
         lease, attempt, failures, crashes, strikes, snoozes, returns, delay, settled, flags, digest, \
         enqueued_at, started_at, ended_at, reason, errors, waits, spec, \
         ifnull(payload, (SELECT body.payload FROM body WHERE body.n = job.n)), progress, result, expires_at"
    };
}
pub(crate) use columns;

/// What a claim selects of the due jobs, in the order [`read_unclaimed`] expects.
macro_rules! unclaimed_columns {
    () => {
        "n, id, kind, grp, run_at, links, token, flags, waits, digest, enqueued_at, spec, \
         ifnull(payload, (SELECT body.payload FROM body WHERE body.n = job.n))"
    };
}
pub(crate) use unclaimed_columns;

/// Bits of `job.links`.
pub(crate) mod links {
    /// It has, or had, a unique key.
    pub(crate) const UNIQUE: i64 = 1;
    /// Jobs wait, or waited, for it.
    pub(crate) const WAITERS: i64 = 2;
    /// It has a group.
    pub(crate) const GROUP: i64 = 4;
    /// Its payload is in `body`.
    pub(crate) const BODY: i64 = 8;
}

/// A row that was read.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Its row id.
    pub(crate) n: i64,
    pub(crate) job: Record,
    pub(crate) parked: bool,
    pub(crate) links: i64,
    /// Something in it could not be read, or disagrees with the rest.
    pub(crate) flaw: Option<Unreadable>,
}

/// Damaged outside of the packed specification.
const DAMAGED: Unreadable = Unreadable::Damaged(0);

/// Reads the columns of [`columns`].
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let mut from = Reader { row, flaw: None };
    let id = Id::from_u128(u128::from_be_bytes(from.or(1, [0; 16])));
    let state = from.state(2);
    let flags = from.int(23);
    let reason = from.json(28);
    let errors: Option<Vec<Failure>> = from.json(29);
    let spec = from.spec(id);
    let job = Record {
        payload: from.payload(32),
        digest: from.int(24) as u64,
        state,
        reason,
        run_at: Wall(from.int(7)),
        attempt: from.count(15),
        failures: from.count(16),
        crashes: from.count(17),
        strikes: from.count(18),
        snoozes: from.count(19),
        returns: from.count(20),
        delay: from.millis(21),
        token: from.int(10) as u64,
        owner: from.maybe(11).map(|bits| Owner(u128::from_be_bytes(bits))),
        seq: from.int(12) as u64,
        lease_until: Wall(from.int(13)),
        lease: from.millis(14),
        settled: from.maybe(22).and_then(|code| from.kind(code)),
        cancel: flags & 1 != 0,
        abandoned: flags & 2 != 0,
        moved: flags & 4 != 0,
        waits: from.ids(30),
        errors: errors.unwrap_or_default(),
        progress: from.bytes(33),
        result: from.bytes(34),
        enqueued_at: Wall(from.int(25)),
        started_at: from.maybe(26).map(Wall),
        ended_at: from.maybe(27).map(Wall),
        spec: Arc::new(spec),
    };
    Ok(Stored {
        n: row.get(0)?,
        parked: from.int(8) != 0,
        links: from.int(9),
        flaw: from.flaw,
        job,
    })
}

/// Reads the columns of [`unclaimed_columns`] of a pending job of `queue`. `None` if it was claimed before, or if
/// anything is odd: then the row is to be read in full. `other` is a job that was read before it.
pub(crate) fn read_unclaimed(
    row: &Row<'_>,
    queue: &Name,
    other: Option<&Record>,
) -> rusqlite::Result<Option<Stored>> {
    let (Ok(ValueRef::Blob(id)), Ok(ValueRef::Blob(spec)), Ok(ValueRef::Blob(payload))) =
        (row.get_ref(1), row.get_ref(11), row.get_ref(12))
    else {
        return Ok(None);
    };
    let int = |at| match row.get_ref(at) {
        Ok(ValueRef::Integer(number)) => Some(number),
        _ => None,
    };
    let (Some(run_at), Some(links), Some(0), Some(0), Some(digest), Some(enqueued_at)) =
        (int(4), int(5), int(6), int(7), int(9), int(10))
    else {
        return Ok(None);
    };
    let Ok(spec) = Spec::unpack_beside(spec, other.map(|other| &*other.spec)) else {
        return Ok(None);
    };
    let agrees = spec.queue == *queue
        && *id == self::id(spec.id)
        && is(row, 2, Some(&spec.kind))
        && is(row, 3, spec.group.as_ref())
        && is(row, 8, None);
    Ok(if agrees {
        Some(Stored {
            n: row.get(0)?,
            job: Record::unclaimed(
                Arc::new(spec),
                Bytes::copy_from_slice(payload),
                digest as u64,
                Wall(run_at),
                Wall(enqueued_at),
            ),
            parked: false,
            links,
            flaw: None,
        })
    } else {
        None
    })
}

/// Whether a column holds this text, or nothing.
fn is(row: &Row<'_>, at: usize, name: Option<&Name>) -> bool {
    match row.get_ref(at) {
        Ok(ValueRef::Text(text)) => name.is_some_and(|name| name.as_bytes() == text),
        Ok(ValueRef::Null) => name.is_none(),
        _ => false,
    }
}

struct Reader<'a, 'r> {
    row: &'a Row<'r>,
    flaw: Option<Unreadable>,
}

impl Reader<'_, '_> {
    /// Damage is final: what another release packed and then was damaged is readable for none.
    fn flawed(&mut self, why: Unreadable) {
        if !matches!(self.flaw, Some(Unreadable::Damaged(_))) {
            self.flaw = Some(why);
        }
    }

    fn must(&mut self, right: bool) {
        if !right {
            self.flawed(DAMAGED);
        }
    }

    fn or<T: FromSql>(&mut self, at: usize, other: T) -> T {
        self.row.get(at).unwrap_or_else(|_| {
            self.flawed(DAMAGED);
            other
        })
    }

    fn maybe<T: FromSql>(&mut self, at: usize) -> Option<T> {
        self.or(at, None)
    }

    fn int(&mut self, at: usize) -> i64 {
        self.or(at, 0)
    }

    fn count(&mut self, at: usize) -> u32 {
        self.or(at, 0)
    }

    fn millis(&mut self, at: usize) -> Duration {
        Duration::from_millis(self.int(at).unsigned_abs())
    }

    fn bytes(&mut self, at: usize) -> Bytes {
        match self.row.get_ref(at) {
            Ok(ValueRef::Blob(bytes)) => Bytes::copy_from_slice(bytes),
            Ok(ValueRef::Null) => Bytes::new(),
            _ => {
                self.flawed(DAMAGED);
                Bytes::new()
            }
        }
    }

    fn payload(&mut self, at: usize) -> Bytes {
        let there = !matches!(self.row.get_ref(at), Ok(ValueRef::Null));
        self.must(there);
        self.bytes(at)
    }

    fn text(&mut self, at: usize) -> Option<String> {
        self.maybe(at)
    }

    fn state(&mut self, at: usize) -> State {
        let state = u8::try_from(self.int(at)).ok().and_then(State::of);
        self.must(state.is_some());
        state.unwrap_or(State::Dead)
    }

    fn kind(&mut self, code: i64) -> Option<Kind> {
        let kind = u8::try_from(code).ok().and_then(Kind::of);
        self.must(kind.is_some());
        kind
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, at: usize) -> Option<T> {
        let text = self.text(at)?;
        let value = serde_json::from_str(&text).ok();
        self.must(value.is_some());
        value
    }

    fn ids(&mut self, at: usize) -> Vec<Id> {
        let bytes = self.bytes(at);
        self.must(bytes.len().is_multiple_of(16));
        let (ids, _) = bytes.as_chunks::<16>();
        ids.iter()
            .map(|id| Id::from_u128(u128::from_be_bytes(*id)))
            .collect()
    }

    /// The specification, or one made from the columns.
    fn spec(&mut self, id: Id) -> Spec {
        let packed = match self.row.get_ref(31) {
            Ok(ValueRef::Blob(bytes)) => Spec::unpack(bytes),
            _ => Err(DAMAGED),
        };
        let agrees = |spec: &Spec| {
            spec.id == id
                && is(self.row, 3, Some(&spec.queue))
                && is(self.row, 5, Some(&spec.kind))
                && is(self.row, 6, spec.group.as_ref())
        };
        match packed {
            Ok(spec) if agrees(&spec) => return spec,
            Ok(_) => self.flawed(DAMAGED),
            Err(why) => self.flawed(why),
        }
        let (band, enqueued_at) = (self.int(4), self.int(25));
        let expires_at: Option<i64> = self.maybe(35);
        let name = |at| Name::readable(self.str(at).unwrap_or_default());
        Spec {
            band: u8::try_from(band).unwrap_or_default(),
            strikes: 1,
            expiry: expires_at.map(|until| {
                let lasts = until.saturating_sub(enqueued_at);
                Duration::from_millis(lasts.unsigned_abs())
            }),
            group: self.str(6).and_then(|text| Name::new(text).ok()),
            ..Spec::new(id, name(3), name(5))
        }
    }

    fn str(&self, at: usize) -> Option<&str> {
        self.row.get_ref(at).ok()?.as_str().ok()
    }
}

pub(crate) fn flags(job: &Record) -> i64 {
    i64::from(job.cancel) | i64::from(job.abandoned) << 1 | i64::from(job.moved) << 2
}

pub(crate) fn id(id: Id) -> [u8; 16] {
    id.as_u128().to_be_bytes()
}

pub(crate) fn owner(owner: Owner) -> [u8; 16] {
    owner.0.to_be_bytes()
}

pub(crate) fn ids(ids: &[Id]) -> Option<Vec<u8>> {
    (!ids.is_empty()).then(|| ids.iter().flat_map(|one| id(*one)).collect())
}

/// Nothing is stored for no bytes.
pub(crate) fn bytes(bytes: &Bytes) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(&**bytes)
}

pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(crate) fn reason(reason: Option<Reason>) -> rusqlite::Result<Option<String>> {
    reason.map(|reason| json(&reason)).transpose()
}

/// Whole milliseconds, rounded up.
pub(crate) fn millis(time: Duration) -> i64 {
    later(Wall(0), time).0
}

/// How long the record is kept after it ended in `state`, in milliseconds that fit a sum.
pub(crate) fn keep(spec: &Spec, state: State) -> i64 {
    millis(spec.kept(state)).min(1 << 60)
}

/// When an ended job's record may go.
pub(crate) fn prune_at(job: &Record) -> Option<i64> {
    let ended = job.ended_at.filter(|_| job.state.ended())?;
    Some(ended.0.saturating_add(keep(&job.spec, job.state)))
}
