//! Leases that ran out: found page by page, charged only when they are seen again a beat later.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::call::{Cursor, Expired, Page, Settle};
use super::super::{Id, Outcome, Owner};
use super::line::Line;
use super::{Note, Output, Pool};
use crate::time::{Mono, Wall};

/// How many a page holds.
pub(super) const PAGE: u32 = 200;
/// How many leases it remembers at most; more wait for the next sweep.
const SEEN: usize = 10_000;
/// How many dead owners it remembers.
const COHORTS: usize = 64;
/// Sweeps are at most this far apart.
const SLOWEST: Duration = Duration::from_secs(10);
/// A crash of a job that crashed before waits, so that a poison job does not kill in a loop.
const LONGEST: Duration = Duration::from_secs(60);

/// What a pool knows of leases that ran out.
#[derive(Debug)]
pub(super) struct Reaper {
    pub(super) line: Line<Cursor>,
    every: Duration,
    next: Mono,
    sweep: u64,
    seen: BTreeMap<Id, Seen>,
    /// The most crashes among the charged jobs of an owner: their rows may be claimed again before the
    /// next page is read, and then count no more in the store's answer.
    cohorts: VecDeque<(Owner, u32)>,
}

#[derive(Debug)]
struct Seen {
    token: u64,
    lease_until: Wall,
    since: Mono,
    sweep: u64,
}

impl Reaper {
    pub(super) fn new(lease: Duration, now: Mono) -> Self {
        let every = (lease / 4).min(SLOWEST);
        Self {
            line: Line::new(),
            every,
            next: now.plus(every / 2),
            sweep: 0,
            seen: BTreeMap::new(),
            cohorts: VecDeque::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        if self.line.idle() {
            Some(self.next)
        } else {
            self.line.deadline()
        }
    }

    /// Whether this lease was seen a beat ago and is the same still. A store's clock that jumps forward
    /// makes all leases lapse at once: their workers' next beats revive them before this.
    fn stale(&mut self, expired: &Expired, now: Mono) -> bool {
        let fresh = Seen {
            token: expired.fence.token,
            lease_until: expired.lease_until,
            since: now,
            sweep: self.sweep,
        };
        match self.seen.get_mut(&expired.id) {
            Some(seen) if seen.token == fresh.token && seen.lease_until == fresh.lease_until => {
                seen.sweep = self.sweep;
                now.since(seen.since) >= expired.lease / 4
            }
            Some(seen) => {
                *seen = fresh;
                false
            }
            None => {
                if self.seen.len() < SEEN {
                    self.seen.insert(expired.id, fresh);
                }
                false
            }
        }
    }

    /// Whether the crash is the job's own doing: no other job of the dead incarnation had crashed as often.
    fn guilty(&mut self, expired: &Expired) -> bool {
        let owner = expired.fence.owner;
        let known = self.cohorts.iter_mut().find(|(known, _)| *known == owner);
        let alone = known
            .as_ref()
            .is_none_or(|(_, most)| *most < expired.crashes);
        match known {
            Some((_, most)) => *most = (*most).max(expired.crashes),
            None => {
                if self.cohorts.len() >= COHORTS {
                    self.cohorts.pop_front();
                }
                self.cohorts.push_back((owner, expired.crashes));
            }
        }
        alone && expired.peers_at_or_above == 0
    }
}

impl Pool {
    pub(super) fn reap(&mut self) {
        if self.reaper.line.idle() && self.now >= self.reaper.next {
            self.reaper.next = self.now.plus(self.reaper.every);
            self.reaper.sweep += 1;
            self.read(Cursor::default());
        }
    }

    fn read(&mut self, cursor: Cursor) {
        let cursor = self.reaper.line.send(self.now, cursor);
        self.out.push_back(Output::Expired((*cursor).clone(), PAGE));
    }

    pub(super) fn expired(&mut self, page: Page<Expired>) {
        if self.reaper.line.done().is_none() {
            return;
        }
        self.store = Some((page.now, self.now));
        for expired in page.items {
            if !self.reaper.stale(&expired, self.now) {
                continue;
            }
            self.reaper.seen.remove(&expired.id);
            let strike = !expired.abandoned && self.reaper.guilty(&expired);
            let outcome = match expired.crashes {
                _ if expired.abandoned => Outcome::Lapsed,
                0 => Outcome::Crashed {
                    after: Duration::ZERO,
                    strike,
                },
                before => Outcome::Crashed {
                    after: Duration::from_secs(1 << (before - 1).min(6)).min(LONGEST),
                    strike,
                },
            };
            self.out.push_back(Output::Note(Note::Reaped {
                id: expired.id,
                strike,
            }));
            self.queued.push_back(Settle {
                id: expired.id,
                fence: expired.fence,
                outcome,
                progress: None,
                then: Vec::new(),
            });
        }
        match page.next {
            Some(next) => self.read(next),
            None => {
                let sweep = self.reaper.sweep;
                self.reaper.seen.retain(|_, seen| seen.sweep == sweep);
            }
        }
    }
}
