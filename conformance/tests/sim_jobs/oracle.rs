//! What a store may do to its jobs, judged after every call from the records before and after it alone.
//! Knows neither indexes nor workers.

#[path = "oracle/change.rs"]
mod change;
#[path = "oracle/claim.rs"]
mod claim;

use std::collections::{BTreeMap, BTreeSet};

use tideway::Wall;
use tideway::jobs::call::{Control, Enqueued, Limit, Scope};
use tideway::jobs::cron::job_id;
use tideway::jobs::{Hold, Id, Kind, Name, Owner, Record, State};
use tideway_memory::Model;

use crate::ask::{Answer, Ask};

/// The records as they were, and what else is needed of the past. A clone of it goes with a clone of the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) records: BTreeMap<Id, Record>,
    pub(crate) tally: Tally,
    /// Leases that were settled.
    settled: BTreeSet<(Id, u64, Owner)>,
    /// Claims of each job that were not refunded, since its last revival.
    spent: BTreeMap<Id, u32>,
    /// The newest claim of each owner.
    newest: BTreeMap<Owner, u64>,
    /// Deleted jobs, and until when their ids are known.
    deleted: BTreeMap<Id, Wall>,
    paused: BTreeSet<Name>,
    /// Of queues, and of each of their groups.
    limits: BTreeMap<(Name, bool), Limit>,
    /// Claims that count against a rate.
    claims: BTreeMap<(Name, Option<Name>), Vec<Wall>>,
    slots: BTreeMap<Name, Slots>,
    /// The clock at the last call.
    last: Wall,
}

/// The slots of a cron entry.
#[derive(Clone, Debug, Default)]
struct Slots {
    first: Option<Wall>,
    newest: Option<Wall>,
    fired: BTreeSet<Wall>,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) inserted: u64,
    pub(crate) gone: u64,
    pub(crate) claimed: u64,
    pub(crate) repeated: u64,
    pub(crate) applied: u64,
    pub(crate) already: u64,
    pub(crate) fenced: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) crashes: u64,
    pub(crate) lapses: u64,
    pub(crate) buried: u64,
    pub(crate) hits: u64,
    pub(crate) superseded: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.inserted += other.inserted;
        self.gone += other.gone;
        self.claimed += other.claimed;
        self.repeated += other.repeated;
        self.applied += other.applied;
        self.already += other.already;
        self.fenced += other.fenced;
        self.refused += other.refused;
        self.lost += other.lost;
        self.crashes += other.crashes;
        self.lapses += other.lapses;
        self.buried += other.buried;
        self.hits += other.hits;
        self.superseded += other.superseded;
    }
}

/// A job in one line.
pub(crate) fn shown(job: &Record) -> String {
    let Record {
        state,
        reason,
        run_at,
        attempt,
        failures,
        crashes,
        token,
        owner,
        seq,
        lease_until,
        cancel,
        ..
    } = job;
    let (id, kind, band, waits) = (job.id(), &job.spec.kind, job.band(), &job.waits);
    let payload = String::from_utf8_lossy(&job.payload);
    let run_at = run_at.0;
    format!(
        "{id} {kind} {payload} {state:?} {reason:?} band {band} due {run_at} attempt {attempt} failures {failures} \
         crashes {crashes} token {token} {owner:?} seq {seq} until {} cancel {cancel} waits {waits:?}",
        lease_until.0
    )
}

/// A value, but not all of a long one.
pub(crate) fn cut(value: &impl std::fmt::Debug) -> String {
    let mut text = format!("{value:?}");
    if text.len() > 900 {
        let end = (0..900).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// A record that a call changed.
pub(crate) struct Change {
    pub(crate) before: Option<Record>,
    pub(crate) after: Option<Record>,
}

impl Oracle {
    /// Judges one call that was just made, and remembers what it left. Returns what it changed.
    pub(crate) fn judge(
        &mut self,
        model: &Model,
        ask: &Ask,
        answer: &Answer,
        now: Wall,
        flaws: &mut Vec<String>,
    ) -> Vec<Change> {
        if now < self.last {
            // Stores count claims that are ahead of the clock as of now.
            self.claims.clear();
        }
        self.last = now;
        let mut changes = Vec::new();
        for (id, before) in &self.records {
            match model.job(*id) {
                Some(after) if after == before => {}
                after => changes.push(Change {
                    before: Some(before.clone()),
                    after: after.cloned(),
                }),
            }
        }
        let mut seen = BTreeSet::new();
        for new in ask.new_jobs() {
            let id = new.spec.id;
            if let Some(after) = model.job(id)
                && !self.records.contains_key(&id)
                && seen.insert(id)
            {
                let after = Some(after.clone());
                let before = None;
                changes.push(Change { before, after });
            }
        }
        for change in &changes {
            if let Err(flaw) = self.change(model, ask, answer, change, now) {
                let Change { before, after } = change;
                let [before, after] = [before, after].map(|job| job.as_ref().map(shown));
                flaws.push(format!(
                    "{flaw}\n  by {}\n  {before:?}\n  {after:?}",
                    cut(ask)
                ));
            }
        }
        if let (Ask::Claim(req), Answer::Claim(claimed)) = (ask, answer) {
            self.claimed(req, claimed, &changes, now, flaws);
        }
        for change in &changes {
            match (&change.before, &change.after) {
                (_, Some(after)) => {
                    self.tally.inserted += u64::from(change.before.is_none());
                    self.records.insert(after.id(), after.clone());
                }
                (Some(before), None) => {
                    self.tally.gone += 1;
                    self.records.remove(&before.id());
                }
                (None, None) => {}
            }
        }
        if model.len() != self.records.len() {
            let (is, should) = (model.len(), self.records.len());
            flaws.push(format!(
                "{is} records, {should} jobs were accepted and not pruned"
            ));
        }
        if !changes.is_empty() {
            self.unique(flaws);
        }
        self.note(ask, answer, flaws);
        changes
    }

    /// No unique key is held twice.
    fn unique(&self, flaws: &mut Vec<String>) {
        let mut held = BTreeMap::new();
        for (id, job) in &self.records {
            let Some(unique) = &job.spec.unique else {
                continue;
            };
            let holds = match unique.hold {
                Hold::UntilDone => !job.state.ended(),
                Hold::UntilStart => job.token == 0 && !job.state.ended(),
                Hold::For(_) => false,
            };
            if holds && let Some(other) = held.insert((&job.spec.queue, &unique.key), id) {
                let key = &unique.key;
                flaws.push(format!("both {other} and {id} hold the unique key {key}"));
            }
        }
    }

    /// Whether the id is that of a job deleted so shortly after its end that it must be known.
    fn knows(&self, id: Id) -> bool {
        self.deleted
            .get(&id)
            .is_some_and(|until| *until > self.last)
    }

    /// Remembers what is not in the records.
    fn note(&mut self, ask: &Ask, answer: &Answer, flaws: &mut Vec<String>) {
        match (ask, answer) {
            (Ask::Enqueue(jobs), Answer::Enqueue(outcomes)) => {
                for (new, outcome) in jobs.iter().zip(outcomes) {
                    let there = self.records.contains_key(&new.spec.id);
                    let (well, count) = match outcome {
                        Enqueued::Duplicate => (there || self.knows(new.spec.id), None),
                        Enqueued::Inserted => (there, None),
                        Enqueued::Superseded(_) => (there, Some(&mut self.tally.superseded)),
                        Enqueued::UniqueHit(_) => (!there, Some(&mut self.tally.hits)),
                        _ => (!there, None),
                    };
                    if let Some(count) = count {
                        *count += 1;
                    }
                    if !well {
                        let id = new.spec.id;
                        flaws.push(format!("{outcome:?} for {id}, which is there: {there}"));
                    }
                }
            }
            (Ask::Control(Control::Pause(queue)), _) => {
                self.paused.insert(queue.clone());
            }
            (Ask::Control(Control::Resume(queue)), _) => {
                self.paused.remove(queue);
            }
            (Ask::Control(Control::Limit(scope, limit)), _) => {
                let (queue, each) = match scope {
                    Scope::Queue(queue) => (queue, false),
                    Scope::EachGroup(queue) | Scope::Group(queue, _) => (queue, true),
                };
                // Claims count from when the limit was set.
                self.claims.retain(|(of, _), _| of != queue);
                self.limits.insert((queue.clone(), each), *limit);
            }
            (Ask::Cas(cas), Answer::Cron(out)) if out.won => {
                let slots = self.slots.entry(cas.key.clone()).or_default();
                slots.first.get_or_insert(cas.next.slot);
                slots.newest = slots.newest.max(Some(cas.next.slot));
                for new in &cas.jobs {
                    let tideway::jobs::Start::At(slot) = new.start else {
                        flaws.push(format!("a cron job starts {:?}", new.start));
                        continue;
                    };
                    let id = job_id(&cas.key, &new.spec.queue, slot);
                    if id != new.spec.id || !slots.fired.insert(slot) {
                        flaws.push(format!("{} fires twice for {slot:?}, as {id}", cas.key));
                    }
                }
            }
            _ => {}
        }
    }

    /// Every slot of the entry that fires each second has fired.
    pub(crate) fn every_slot(&self, key: &str, flaws: &mut Vec<String>) {
        let Some(slots) = self.slots.get(key) else {
            flaws.push(format!("{key} never fired"));
            return;
        };
        let (Some(first), Some(newest)) = (slots.first, slots.newest) else {
            return;
        };
        let due = (first.0.div_euclid(1_000) + 1) * 1_000..=newest.0;
        let missing: Vec<i64> = due
            .step_by(1_000)
            .filter(|slot| !slots.fired.contains(&Wall(*slot)))
            .collect();
        if !missing.is_empty() {
            flaws.push(format!("{key} never fired for {missing:?}"));
        }
    }

    /// What there is at the end is what was accepted.
    pub(crate) fn balance(&self, model: &Model, now: Wall, flaws: &mut Vec<String>) {
        let stats = model.stats(now);
        let mut there = 0;
        for mut queue in stats.queues {
            there += State::ALL
                .iter()
                .map(|state| *queue.count(*state))
                .sum::<u64>();
        }
        let Tally { inserted, gone, .. } = self.tally;
        if there + gone != inserted {
            flaws.push(format!(
                "{inserted} jobs were accepted, {there} are there and {gone} were pruned"
            ));
        }
    }

    fn kind(&mut self, kind: Kind) {
        match kind {
            Kind::Crash => self.tally.crashes += 1,
            Kind::Bury => {
                self.tally.crashes += 1;
                self.tally.buried += 1;
            }
            Kind::Lapse => self.tally.lapses += 1,
            _ => {}
        }
    }
}
