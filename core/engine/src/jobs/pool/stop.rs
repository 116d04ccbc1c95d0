//! How a pool stops: it drains, then asks, then drops, and gives back only what is proved stopped.

use std::time::Duration;

use super::super::Id;
use super::held::Why;
use super::{Output, PROOF, Pool};
use crate::time::Mono;

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// At work.
    Running,
    /// Nothing new starts; what runs may end.
    Draining,
    /// Handlers have been asked to stop.
    Cancelling,
    /// Handlers have been dropped; leases are given back.
    Releasing,
    /// Over.
    Stopped,
}

/// After the hard deadline: how long the store has to take the last settles.
const LAST: Duration = Duration::from_secs(1);

impl Pool {
    pub(super) fn stop(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Draining;
            self.begun = self.now;
            self.hurry();
        }
    }

    pub(super) fn force(&mut self) {
        self.stop();
        if self.phase < Phase::Releasing {
            self.release();
        }
    }

    /// When the stop goes on by time alone.
    pub(super) fn stop_deadline(&self) -> Option<Mono> {
        match self.phase {
            Phase::Running | Phase::Stopped => None,
            Phase::Draining => Some(self.begun.plus(self.config.soft)),
            Phase::Cancelling => Some(self.begun.plus(self.config.hard)),
            Phase::Releasing => Some(self.begun.plus(PROOF + LAST)),
        }
    }

    pub(super) fn advance_stop(&mut self) {
        if self.phase == Phase::Draining && self.now >= self.begun.plus(self.config.soft) {
            self.phase = Phase::Cancelling;
            for id in self.unsettled() {
                self.cancel(id, Why::Stop);
            }
        }
        if self.phase == Phase::Cancelling && self.now >= self.begun.plus(self.config.hard) {
            self.release();
        }
        if matches!(self.phase, Phase::Running | Phase::Stopped) {
            return;
        }
        let clean = self.held.is_empty()
            && self.claim.idle()
            && self.settle.idle()
            && self.queued.is_empty();
        let late = self.phase == Phase::Releasing && self.now >= self.begun.plus(PROOF + LAST);
        if clean || late {
            self.phase = Phase::Stopped;
            self.report.abandoned += self.held.len() as u64;
            self.out.push_back(Output::Stopped(self.report));
        }
    }

    /// Drops every handler; from here the clock of the last phase runs.
    fn release(&mut self) {
        self.phase = Phase::Releasing;
        self.begun = self.now;
        self.hurry();
        for id in self.unsettled() {
            if let Some(held) = self.held.get_mut(&id) {
                held.why.get_or_insert(Why::Stop);
            }
            self.abort(id);
        }
    }

    /// What has to be answered before the stop is clean is asked again now, not in some seconds.
    fn hurry(&mut self) {
        self.claim.hurry(self.now);
        self.settle.hurry(self.now);
    }

    fn unsettled(&self) -> Vec<Id> {
        let running = self.held.iter().filter(|(_, held)| held.handled());
        running.map(|(id, _)| *id).collect()
    }
}
