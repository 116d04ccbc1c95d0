//! The calls that must be fast: one function of `schema.sql` each, one round trip.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Beat, Beaten, ClaimReq, Claimed, Enqueued, Settle, Settled};
use tideway_engine::jobs::{Id, Kind, NewJob, Outcome, Record, Start};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::row;
use crate::sql::{Bits, Param};

/// The function for jobs without unique keys or waits.
pub(crate) const ENQUEUE: &str =
    "SELECT id, digest FROM {s}.enqueue_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

/// In the order of [`row::COLUMNS`]: to name them would take the server a tenth of a claim.
pub(crate) const CLAIM: &str = "SELECT * FROM {s}.claim_1($1, $2, $3, $4, $5, $6, $7, $8, $9)";
pub(crate) const SUCCEED: &str = "SELECT codes, hints FROM {s}.succeed_1($1, $2, $3, $4, $5, $6)";
pub(crate) const BEAT: &str = "SELECT id, cancel FROM {s}.beat_1($1, $2, $3, $4, $5, $6)";

/// Jobs of different ids, as columns.
#[derive(Default)]
pub(crate) struct New<'a> {
    ids: Vec<Bits>,
    queues: Vec<&'a str>,
    kinds: Vec<&'a str>,
    groups: Vec<Option<&'a str>>,
    bands: Vec<i16>,
    ats: Vec<Option<i64>>,
    delays: Vec<i64>,
    digests: Vec<i64>,
    keeps: Vec<i64>,
    expiries: Vec<Option<i64>>,
    specs: Vec<Vec<u8>>,
    payloads: Vec<Option<&'a [u8]>>,
    clock: Option<i64>,
}

/// Whether [`ENQUEUE`] takes them.
pub(crate) fn plain(jobs: &[NewJob]) -> bool {
    jobs.iter()
        .all(|job| job.spec.unique.is_none() && job.spec.waits.is_empty())
}

impl<'a> New<'a> {
    pub(crate) fn of(jobs: &'a [NewJob], clock: Option<Wall>) -> Self {
        // In one order, whoever inserts: two who insert the same jobs wait for each other, not in a circle.
        let first: BTreeMap<Id, &NewJob> =
            jobs.iter().rev().map(|job| (job.spec.id, job)).collect();
        let mut new = Self {
            clock: clock.map(|time| time.0),
            ..Self::default()
        };
        for job in first.values() {
            let spec = &*job.spec;
            new.ids.push(row::id(spec.id));
            new.queues.push(&spec.queue);
            new.kinds.push(&spec.kind);
            new.groups.push(spec.group.as_deref());
            new.bands.push(i16::from(spec.band));
            let (at, delay) = match job.start {
                Start::Now => (None, 0),
                Start::After(delay) => (None, row::millis(delay)),
                Start::At(time) => (Some(time.0), 0),
            };
            new.ats.push(at);
            new.delays.push(delay);
            new.digests.push(job.digest() as i64);
            new.keeps.push(row::keep(spec));
            new.expiries.push(spec.expiry.map(row::millis));
            new.specs.push(row::pack(spec));
            new.payloads
                .push((!job.payload.is_empty()).then_some(&*job.payload));
        }
        new
    }

    pub(crate) fn params(&self) -> [Param<'_>; 13] {
        [
            (&self.ids, Type::UUID_ARRAY),
            (&self.queues, Type::TEXT_ARRAY),
            (&self.kinds, Type::TEXT_ARRAY),
            (&self.groups, Type::TEXT_ARRAY),
            (&self.bands, Type::INT2_ARRAY),
            (&self.ats, Type::INT8_ARRAY),
            (&self.delays, Type::INT8_ARRAY),
            (&self.digests, Type::INT8_ARRAY),
            (&self.keeps, Type::INT8_ARRAY),
            (&self.expiries, Type::INT8_ARRAY),
            (&self.specs, Type::BYTEA_ARRAY),
            (&self.payloads, Type::BYTEA_ARRAY),
            (&self.clock, Type::INT8),
        ]
    }
}

/// What [`ENQUEUE`] returned; `None` if a job was neither inserted nor there.
pub(crate) fn enqueued(
    jobs: &[NewJob],
    rows: &[Row],
) -> Result<Option<Vec<Enqueued>>, tokio_postgres::Error> {
    let mut there: BTreeMap<Id, u64> = BTreeMap::new();
    for row in rows {
        let id = Id::from_u128(row.try_get::<_, Bits>(0)?.0);
        let Some(digest) = row.try_get::<_, Option<i64>>(1)? else {
            return Ok(None);
        };
        there.insert(id, digest as u64);
    }
    let outcome = |job: &NewJob| match there.entry(job.spec.id) {
        Entry::Vacant(new) => {
            new.insert(job.digest());
            Enqueued::Inserted
        }
        Entry::Occupied(known) => job.met(*known.get()),
    };
    // Without a row for any, the digests need not be computed again, unless an id comes twice.
    Ok(Some(
        if rows.is_empty() && distinct(jobs.iter().map(|job| job.spec.id)) {
            vec![Enqueued::Inserted; jobs.len()]
        } else {
            jobs.iter().map(outcome).collect()
        },
    ))
}

/// Whether no id comes twice.
pub(crate) fn distinct(ids: impl Iterator<Item = Id>) -> bool {
    let mut all: Vec<Id> = ids.collect();
    all.sort_unstable();
    all.windows(2).all(|pair| pair[0] != pair[1])
}

/// A claim as columns.
pub(crate) struct Asked<'a> {
    owner: Bits,
    seq: i64,
    queues: Vec<&'a str>,
    bands: Vec<i16>,
    maxes: Vec<i64>,
    most: i64,
    bytes: i64,
    lease: i64,
    clock: Option<i64>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(req: &'a ClaimReq, clock: Option<Wall>) -> Self {
        Self {
            owner: Bits(req.owner.0),
            seq: req.seq as i64,
            queues: req.lanes.iter().map(|(lane, _)| &*lane.queue).collect(),
            bands: req
                .lanes
                .iter()
                .map(|(lane, _)| i16::from(lane.band))
                .collect(),
            maxes: req.lanes.iter().map(|(_, max)| i64::from(*max)).collect(),
            most: i64::from(req.limit),
            bytes: i64::try_from(req.max_bytes).unwrap_or(i64::MAX),
            lease: row::millis(req.lease),
            clock: clock.map(|time| time.0),
        }
    }

    pub(crate) fn params(&self) -> [Param<'_>; 9] {
        [
            (&self.owner, Type::UUID),
            (&self.seq, Type::INT8),
            (&self.queues, Type::TEXT_ARRAY),
            (&self.bands, Type::INT2_ARRAY),
            (&self.maxes, Type::INT8_ARRAY),
            (&self.most, Type::INT8),
            (&self.bytes, Type::INT8),
            (&self.lease, Type::INT8),
            (&self.clock, Type::INT8),
        ]
    }
}

/// What a claim returned, and the jobs of it that cannot be read.
pub(crate) fn claimed(
    req: &ClaimReq,
    rows: &[Row],
) -> Result<(Claimed, Vec<Id>), tokio_postgres::Error> {
    let mut out = Claimed {
        jobs: Vec::with_capacity(rows.len()),
        next_due: None,
        now: Wall(0),
    };
    let mut flawed = Vec::new();
    let mut repeat = false;
    for row in rows {
        if row.try_get::<_, Option<Bits>>(0)?.is_none() {
            out.now = Wall(row.try_get(2)?);
            out.next_due = row.try_get::<_, Option<i64>>(7)?.map(Wall);
            repeat = row.try_get::<_, i16>(17)? == 1;
            continue;
        }
        let stored = row::read(row)?;
        if stored.flaw.is_some() {
            flawed.push(stored.job.id());
        } else {
            out.jobs.push(stored.job);
        }
    }
    if repeat {
        crate::tx::claim::sort(&mut out.jobs, req);
    } else {
        // What one statement updated comes in no order that is promised.
        for lane in out.jobs.chunk_by_mut(same_lane) {
            lane.sort_by_key(|job| (job.run_at, job.id()));
        }
    }
    Ok((out, flawed))
}

fn same_lane(a: &Record, b: &Record) -> bool {
    a.spec.queue == b.spec.queue && a.band() == b.band()
}

/// Leases of different jobs, as columns.
#[derive(Default)]
pub(crate) struct Leases<'a> {
    ids: Vec<Bits>,
    tokens: Vec<i64>,
    owners: Vec<Bits>,
    values: Vec<Option<&'a [u8]>>,
    clock: Option<i64>,
    forget: bool,
    lease: i64,
    /// Where each was in the call.
    at: Vec<usize>,
}

impl<'a> Leases<'a> {
    /// `None` if one of them is no plain success.
    pub(crate) fn successes(
        settles: &'a [Settle],
        clock: Option<Wall>,
        forget: bool,
    ) -> Option<Self> {
        let mut leases = Self {
            clock: clock.map(|time| time.0),
            forget,
            ..Self::default()
        };
        let mut order: Vec<usize> = (0..settles.len()).collect();
        order.sort_unstable_by_key(|at| settles[*at].id);
        for at in order {
            let settle = &settles[at];
            let Outcome::Succeeded(result) = &settle.outcome else {
                return None;
            };
            if settle.progress.is_some() || !settle.then.is_empty() {
                return None;
            }
            leases.ids.push(row::id(settle.id));
            leases.tokens.push(settle.fence.token as i64);
            leases.owners.push(Bits(settle.fence.owner.0));
            leases
                .values
                .push((!result.is_empty()).then_some(&**result));
            leases.at.push(at);
        }
        let twice = leases.ids.windows(2).any(|pair| pair[0] == pair[1]);
        (!twice).then_some(leases)
    }

    pub(crate) fn of_success(&self) -> [Param<'_>; 6] {
        [
            (&self.ids, Type::UUID_ARRAY),
            (&self.tokens, Type::INT8_ARRAY),
            (&self.owners, Type::UUID_ARRAY),
            (&self.values, Type::BYTEA_ARRAY),
            (&self.forget, Type::BOOL),
            (&self.clock, Type::INT8),
        ]
    }

    /// What [`SUCCEED`] returned, in the order of the call.
    pub(crate) fn settled(&self, row: &Row) -> Result<Vec<Settled>, tokio_postgres::Error> {
        let mut out = vec![Settled::Applied(Kind::Succeed); self.ids.len()];
        let codes: Option<Vec<i16>> = row.try_get(0)?;
        for (at, code) in self.at.iter().zip(codes.unwrap_or_default()) {
            out[*at] = match code {
                -1 => Settled::Applied(Kind::Succeed),
                -2 => Settled::NotFound,
                -3 => Settled::Fenced,
                code => row::kind(code).map_or(Settled::Refused, Settled::Already),
            };
        }
        Ok(out)
    }

    /// As many beats of different jobs as there are from `beats[from]` on, by id, and where the next ones begin.
    pub(crate) fn beats(
        beats: &'a [Beat],
        from: usize,
        lease: Duration,
        clock: Option<Wall>,
    ) -> (Self, usize) {
        let mut first: BTreeMap<Id, usize> = BTreeMap::new();
        let mut end = from;
        while end < beats.len() && !first.contains_key(&beats[end].id) {
            first.insert(beats[end].id, end);
            end += 1;
        }
        let mut leases = Self {
            clock: clock.map(|time| time.0),
            lease: row::millis(lease),
            ..Self::default()
        };
        for at in first.into_values() {
            let beat = &beats[at];
            leases.ids.push(row::id(beat.id));
            leases.tokens.push(beat.fence.token as i64);
            leases.owners.push(Bits(beat.fence.owner.0));
            leases.values.push(beat.progress.as_deref());
            leases.at.push(at);
        }
        (leases, end)
    }

    pub(crate) fn of_beat(&self) -> [Param<'_>; 6] {
        [
            (&self.ids, Type::UUID_ARRAY),
            (&self.tokens, Type::INT8_ARRAY),
            (&self.owners, Type::UUID_ARRAY),
            (&self.values, Type::BYTEA_ARRAY),
            (&self.lease, Type::INT8),
            (&self.clock, Type::INT8),
        ]
    }

    /// Writes what [`BEAT`] returned to where the beats were in the call.
    pub(crate) fn beaten(
        &self,
        rows: &[Row],
        out: &mut [Beaten],
    ) -> Result<(), tokio_postgres::Error> {
        let mut alive = BTreeMap::new();
        for row in rows {
            alive.insert(row.try_get::<_, Bits>(0)?.0, row.try_get(1)?);
        }
        for (id, at) in self.ids.iter().zip(&self.at) {
            if let Some(cancel) = alive.get(&id.0) {
                out[*at] = Beaten::Alive { cancel: *cancel };
            }
        }
        Ok(())
    }
}
