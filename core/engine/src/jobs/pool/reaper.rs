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
    /// The dead of each owner, as they were seen first: later some may have been claimed again, and
    /// then count no more in the store's answer.
    cohorts: VecDeque<Cohort>,
}

#[derive(Debug)]
struct Seen {
    token: u64,
    lease_until: Wall,
    since: Mono,
    sweep: u64,
    /// Its settle is on its way.
    charged: bool,
}

#[derive(Debug)]
struct Cohort {
    owner: Owner,
    /// The job with the most crashes.
    first: (Id, u32),
    /// The most crashes among the others.
    second: Option<u32>,
}

impl Reaper {
    pub(super) fn new(lease: Duration, spread: &mut impl FnMut(Duration) -> Mono) -> Self {
        let every = (lease / 4).min(SLOWEST);
        Self {
            line: Line::new(),
            every,
            next: spread(every),
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
    /// makes all leases lapse at once: their workers' next beats, due within a third of a lease, revive
    /// them before this.
    fn stale(&mut self, expired: &Expired, now: Mono) -> bool {
        let same = |seen: &Seen| {
            seen.token == expired.fence.token && seen.lease_until == expired.lease_until
        };
        let room = self.seen.len() < SEEN;
        match self.seen.get_mut(&expired.id) {
            Some(seen) if same(seen) => {
                seen.sweep = self.sweep;
                return !seen.charged && now.since(seen.since) >= expired.lease * 5 / 12;
            }
            None if !room => return false,
            _ => {}
        }
        self.mourn(expired);
        let seen = Seen {
            token: expired.fence.token,
            lease_until: expired.lease_until,
            since: now,
            sweep: self.sweep,
            charged: false,
        };
        self.seen.insert(expired.id, seen);
        false
    }

    /// The store has answered to a charge.
    pub(super) fn charged(&mut self, id: Id) {
        self.seen.remove(&id);
    }

    fn mourn(&mut self, expired: &Expired) {
        let (owner, one) = (expired.fence.owner, (expired.id, expired.crashes));
        let known = self.cohorts.iter_mut().find(|known| known.owner == owner);
        let Some(cohort) = known else {
            if self.cohorts.len() >= COHORTS {
                self.cohorts.pop_front();
            }
            self.cohorts.push_back(Cohort {
                owner,
                first: one,
                second: None,
            });
            return;
        };
        if cohort.first.0 == one.0 {
            cohort.first.1 = one.1;
        } else if cohort.first.1 < one.1 {
            cohort.second = Some(cohort.first.1);
            cohort.first = one;
        } else {
            cohort.second = cohort.second.max(Some(one.1));
        }
    }

    /// Whether the crash is the job's own doing: no other job of the dead incarnation had crashed as often.
    fn guilty(&self, expired: &Expired) -> bool {
        let owner = expired.fence.owner;
        let others = self.cohorts.iter().find(|known| known.owner == owner);
        let others = others.and_then(|known| {
            if known.first.0 == expired.id {
                known.second
            } else {
                Some(known.first.1)
            }
        });
        expired.peers_at_or_above == 0 && others < Some(expired.crashes)
    }
}

impl Pool {
    pub(super) fn reap(&mut self) {
        if self.reaper.line.idle() && self.now >= self.reaper.next {
            self.reaper.next = self.now.plus(self.reaper.every);
            self.reaper.sweep += 1;
            self.read(Cursor::default());
        } else if let Some(cursor) = self.reaper.line.resend(self.now) {
            self.out.push_back(Output::Expired((*cursor).clone(), PAGE));
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
            // Of its own jobs its beats decide, and the claim whose answer may still bring them.
            let ours = expired.fence.owner == self.owner
                && (self.held.contains_key(&expired.id) || !self.claim.idle());
            if !self.reaper.stale(&expired, self.now) || ours {
                continue;
            }
            if let Some(seen) = self.reaper.seen.get_mut(&expired.id) {
                seen.charged = true;
            }
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
            let charge = Settle::new(expired.id, expired.fence, outcome);
            self.queued.push_back(charge);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Fence;

    #[test]
    fn the_dead_are_remembered_as_they_were_seen_first() {
        let mut reaper = Reaper::new(Duration::from_secs(2), &mut |every| Mono::START.plus(every));
        let expired = |id, crashes| Expired {
            id: Id::from_u128(id),
            fence: Fence {
                token: 1,
                owner: Owner(7),
            },
            lease_until: Wall(0),
            lease: Duration::from_secs(2),
            crashes,
            // The store sees no peers any more: they were charged and claimed by others.
            peers_at_or_above: 0,
            abandoned: false,
        };
        let cases: [(&[u32], usize, bool); 5] = [
            (&[0], 0, true),
            (&[0, 0], 0, false),
            (&[0, 0], 1, false),
            (&[0, 2, 1], 1, true),
            (&[2, 0, 2], 0, false),
        ];
        for (crashes, suspect, guilty) in cases {
            reaper.cohorts.clear();
            reaper.seen.clear();
            for (id, crashes) in crashes.iter().enumerate() {
                reaper.stale(&expired(id as u128, *crashes), Mono::START);
            }
            let suspect = expired(suspect as u128, crashes[suspect]);
            assert_eq!(reaper.guilty(&suspect), guilty, "{crashes:?}");
        }
    }
}
