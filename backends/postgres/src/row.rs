//! A record as a row of `job`, and back. What cannot be read in full is read as far as it can, so that it
//! stays visible; a claim ends it, or leaves it to the release that packed it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tideway_engine::Wall;
use tideway_engine::jobs::{
    Failure, Id, Kind, Name, Owner, Reason, Record, Spec, State, Unreadable, later,
};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::sql::{Bits, Param};

/// What every reading statement selects, in the order [`read`] expects: that of the table, so that a function which
/// returns its rows can be asked for `*`.
pub(crate) const COLUMNS: &str = "id, digest, run_at, token, enqueued_at, keep, seq, lease_until, lease, started_at, \
    ended_at, prune_at, expires_at, owner, attempt, crashes, returns, state, band, links, settled, flags, parked, \
    queue, kind, grp, waits, more, spec, payload, progress, result";

/// Bits of `job.links`.
pub(crate) mod links {
    /// It has, or had, a unique key.
    pub(crate) const UNIQUE: i16 = 1;
    /// Jobs wait, or waited, for it.
    pub(crate) const WAITERS: i16 = 2;
    /// It has a group.
    pub(crate) const GROUP: i16 = 4;
}

/// A row that was read.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) job: Record,
    pub(crate) parked: bool,
    pub(crate) links: i16,
    /// Its spec could not be read, or disagrees with the columns.
    pub(crate) flaw: Option<Unreadable>,
}

/// Damaged outside of the packed specification.
const DAMAGED: Unreadable = Unreadable::Damaged(0);

/// What few jobs have, as JSON in `job.more`.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct More {
    #[serde(skip_serializing_if = "is_zero")]
    failures: u32,
    #[serde(skip_serializing_if = "is_zero")]
    strikes: u32,
    #[serde(skip_serializing_if = "is_zero")]
    snoozes: u32,
    /// In milliseconds.
    #[serde(skip_serializing_if = "is_zero_long")]
    delay: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Failure>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for this signature"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for this signature"
)]
fn is_zero_long(n: &i64) -> bool {
    *n == 0
}

/// Reads the columns of [`COLUMNS`].
pub(crate) fn read(row: &Row) -> Result<Stored, tokio_postgres::Error> {
    let mut flaw = None;
    let id = Id::from_u128(row.try_get::<_, Bits>(0)?.0);
    let queue: &str = row.try_get(23)?;
    let flags = row.try_get::<_, Option<i16>>(21)?.unwrap_or_default();
    let spec = match Spec::unpack(row.try_get(28)?) {
        Ok(spec) if spec.id == id && spec.queue == queue => spec,
        other => {
            flaw = Some(other.err().unwrap_or(DAMAGED));
            replacement(row, id)?
        }
    };
    let more: Option<&[u8]> = row.try_get(27)?;
    let more = more
        .map(serde_json::from_slice::<More>)
        .transpose()
        .unwrap_or_else(|_| {
            flaw = Some(DAMAGED);
            None
        });
    let more = more.unwrap_or_default();
    let state = u8::try_from(row.try_get::<_, i16>(17)?).ok();
    let state = state.and_then(State::of).unwrap_or_else(|| {
        flaw = Some(DAMAGED);
        State::Dead
    });
    let settled: Option<i16> = row.try_get(20)?;
    let waits: Option<&[u8]> = row.try_get(26)?;
    let (waits, _) = waits.unwrap_or_default().as_chunks::<16>();
    let job = Record {
        payload: bytes(row, 29)?,
        digest: row.try_get::<_, i64>(1)? as u64,
        state,
        reason: more.reason,
        run_at: Wall(row.try_get(2)?),
        attempt: row.try_get::<_, i32>(14)? as u32,
        failures: more.failures,
        crashes: count(row, 15)?,
        strikes: more.strikes,
        snoozes: more.snoozes,
        returns: count(row, 16)?,
        delay: Duration::from_millis(more.delay.unsigned_abs()),
        token: row.try_get::<_, i64>(3)? as u64,
        owner: row
            .try_get::<_, Option<Bits>>(13)?
            .map(|bits| Owner(bits.0)),
        seq: row.try_get::<_, Option<i64>>(6)?.unwrap_or_default() as u64,
        lease_until: Wall(row.try_get::<_, Option<i64>>(7)?.unwrap_or_default()),
        lease: Duration::from_millis(
            row.try_get::<_, Option<i64>>(8)?
                .unwrap_or_default()
                .unsigned_abs(),
        ),
        settled: settled.and_then(kind),
        cancel: flags & 1 != 0,
        abandoned: flags & 2 != 0,
        moved: flags & 4 != 0,
        waits: waits
            .iter()
            .map(|id| Id::from_u128(u128::from_be_bytes(*id)))
            .collect(),
        errors: more.errors,
        progress: bytes(row, 30)?,
        result: bytes(row, 31)?,
        enqueued_at: Wall(row.try_get(4)?),
        started_at: row.try_get::<_, Option<i64>>(9)?.map(Wall),
        ended_at: row.try_get::<_, Option<i64>>(10)?.map(Wall),
        spec: Arc::new(spec),
    };
    Ok(Stored {
        parked: row.try_get(22)?,
        links: row.try_get(19)?,
        flaw,
        job,
    })
}

fn count(row: &Row, at: usize) -> Result<u32, tokio_postgres::Error> {
    Ok(row.try_get::<_, Option<i32>>(at)?.unwrap_or_default() as u32)
}

fn bytes(row: &Row, at: usize) -> Result<Bytes, tokio_postgres::Error> {
    let bytes: Option<&[u8]> = row.try_get(at)?;
    Ok(bytes.map_or_else(Bytes::new, Bytes::copy_from_slice))
}

/// A specification made from the columns.
fn replacement(row: &Row, id: Id) -> Result<Spec, tokio_postgres::Error> {
    let enqueued_at: i64 = row.try_get(4)?;
    let expires_at: Option<i64> = row.try_get(12)?;
    Ok(Spec {
        band: u8::try_from(row.try_get::<_, i16>(18)?).unwrap_or_default(),
        strikes: 1,
        expiry: expires_at
            .map(|until| Duration::from_millis(until.saturating_sub(enqueued_at).unsigned_abs())),
        group: row.try_get::<_, Option<&str>>(25)?.map(Name::readable),
        ..Spec::new(
            id,
            Name::readable(row.try_get(23)?),
            Name::readable(row.try_get(24)?),
        )
    })
}

pub(crate) fn kind(code: i16) -> Option<Kind> {
    Kind::of(u8::try_from(code).ok()?)
}

pub(crate) fn settled(kind: Kind) -> Option<i16> {
    kind.code().map(i16::from)
}

pub(crate) fn state(state: State) -> i16 {
    i16::from(state.code())
}

pub(crate) fn id(id: Id) -> Bits {
    Bits(id.as_u128())
}

/// Whole milliseconds, rounded up.
pub(crate) fn millis(time: Duration) -> i64 {
    later(Wall(0), time).0
}

pub(crate) fn pack(spec: &Spec) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    spec.pack(&mut out);
    out
}

/// How long the record is kept after a success.
pub(crate) fn keep(spec: &Spec) -> i64 {
    millis(spec.kept(State::Succeeded))
}

fn some(n: u32) -> Option<i32> {
    (n > 0).then(|| i32::try_from(n).unwrap_or(i32::MAX))
}

fn more(job: &Record) -> Option<Vec<u8>> {
    let more = More {
        failures: job.failures,
        strikes: job.strikes,
        snoozes: job.snoozes,
        delay: millis(job.delay),
        reason: job.reason,
        errors: job.errors.clone(),
    };
    (more != More::default()).then(|| serde_json::to_vec(&more).unwrap_or_default())
}

fn ids(ids: &[Id]) -> Option<Vec<u8>> {
    let bytes = || {
        ids.iter()
            .flat_map(|id| id.as_u128().to_be_bytes())
            .collect()
    };
    (!ids.is_empty()).then(bytes)
}

/// Nothing is stored for no bytes.
fn filled(bytes: &Bytes) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(&**bytes)
}

/// Rows as columns: an array each, for `unnest`.
macro_rules! columns {
    ($($name:ident: $ty:ty = $sql:ident, $from:expr;)+) => {
        #[derive(Default)]
        pub(crate) struct Rows<'a> { $($name: Vec<$ty>,)+ }

        impl<'a> Rows<'a> {
            /// In this order [`Rows::params`] has them.
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            pub(crate) fn push(&mut self, stored: &'a Stored) {
                $(let value: fn(&'a Stored) -> $ty = $from; self.$name.push(value(stored));)+
            }

            pub(crate) fn params(&self) -> Vec<Param<'_>> {
                vec![$((&self.$name, Type::$sql)),+]
            }
        }
    };
}

columns! {
    id: Bits = UUID_ARRAY, |row| id(row.job.id());
    digest: i64 = INT8_ARRAY, |row| row.job.digest as i64;
    run_at: i64 = INT8_ARRAY, |row| row.job.run_at.0;
    token: i64 = INT8_ARRAY, |row| row.job.token as i64;
    enqueued_at: i64 = INT8_ARRAY, |row| row.job.enqueued_at.0;
    keep: i64 = INT8_ARRAY, |row| keep(&row.job.spec);
    seq: Option<i64> = INT8_ARRAY, |row| row.job.owner.map(|_| row.job.seq as i64);
    lease_until: Option<i64> = INT8_ARRAY, |row| row.job.owner.map(|_| row.job.lease_until.0);
    lease: Option<i64> = INT8_ARRAY, |row| row.job.owner.map(|_| millis(row.job.lease));
    started_at: Option<i64> = INT8_ARRAY, |row| row.job.started_at.map(|time| time.0);
    ended_at: Option<i64> = INT8_ARRAY, |row| row.job.ended_at.map(|time| time.0);
    prune_at: Option<i64> = INT8_ARRAY, |row| row.job.forget_at().map(|time| time.0);
    expires_at: Option<i64> = INT8_ARRAY, |row| row.job.expires_at().map(|time| time.0);
    owner: Option<Bits> = UUID_ARRAY, |row| row.job.owner.map(|owner| Bits(owner.0));
    attempt: i32 = INT4_ARRAY, |row| i32::try_from(row.job.attempt).unwrap_or(i32::MAX);
    crashes: Option<i32> = INT4_ARRAY, |row| some(row.job.crashes);
    returns: Option<i32> = INT4_ARRAY, |row| some(row.job.returns);
    state: i16 = INT2_ARRAY, |row| state(row.job.state);
    band: i16 = INT2_ARRAY, |row| i16::from(row.job.band());
    links: i16 = INT2_ARRAY, |row| row.links;
    settled: Option<i16> = INT2_ARRAY, |row| row.job.settled.and_then(settled);
    flags: Option<i16> = INT2_ARRAY, |row| flags(&row.job);
    parked: bool = BOOL_ARRAY, |row| row.parked;
    queue: &'a str = TEXT_ARRAY, |row| &row.job.spec.queue;
    kind: &'a str = TEXT_ARRAY, |row| &row.job.spec.kind;
    grp: Option<&'a str> = TEXT_ARRAY, |row| row.job.spec.group.as_deref();
    waits: Option<Vec<u8>> = BYTEA_ARRAY, |row| ids(&row.job.waits);
    more: Option<Vec<u8>> = BYTEA_ARRAY, |row| more(&row.job);
    spec: Vec<u8> = BYTEA_ARRAY, |row| pack(&row.job.spec);
    payload: Option<&'a [u8]> = BYTEA_ARRAY, |row| filled(&row.job.payload);
    progress: Option<&'a [u8]> = BYTEA_ARRAY, |row| filled(&row.job.progress);
    result: Option<&'a [u8]> = BYTEA_ARRAY, |row| filled(&row.job.result);
}

fn flags(job: &Record) -> Option<i16> {
    let bits = i16::from(job.cancel) | i16::from(job.abandoned) << 1 | i16::from(job.moved) << 2;
    (bits != 0).then_some(bits)
}

/// What a write-back never changes: of a row that cannot be read it would destroy what a person might save.
const FIXED: [&str; 7] = ["id", "digest", "keep", "queue", "kind", "grp", "spec"];

/// Inserts [`Rows`] where there are none yet, and returns the ids of those.
pub(crate) fn insert() -> String {
    let names = Rows::NAMES.join(", ");
    format!(
        "INSERT INTO {{s}}.job ({names}) SELECT {names} FROM unnest({}) AS n ({names}) ON CONFLICT (id) DO NOTHING \
         RETURNING id",
        places()
    )
}

/// Writes [`Rows`] back.
pub(crate) fn update() -> String {
    let names = Rows::NAMES.join(", ");
    let set: Vec<String> = Rows::NAMES
        .iter()
        .filter(|name| !FIXED.contains(name))
        .map(|name| format!("{name} = n.{name}"))
        .collect();
    format!(
        "UPDATE {{s}}.job AS j SET {} FROM unnest({}) AS n ({names}) WHERE j.id = n.id",
        set.join(", "),
        places()
    )
}

fn places() -> String {
    let all: Vec<String> = (1..=Rows::NAMES.len()).map(|n| format!("${n}")).collect();
    all.join(", ")
}

/// The first column of each row.
pub(crate) fn firsts<'r, T: FromSql<'r>>(rows: &'r [Row]) -> Result<Vec<T>, tokio_postgres::Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}
