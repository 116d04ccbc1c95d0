//! From the end of a handler to the settled lease.

use std::time::Duration;

use super::super::call::Settled;
use super::super::retry::{Verdict, Why as GaveUp};
use super::super::{Failure, Id, Kind, NewJob, Outcome, Reason};
use super::held::{Held, Stage, Why};
use super::{End, Note, Output, PROOF, Phase, Pool, Run};

/// The longest a job of an unknown kind is given back for.
const RETURN_LONGEST: Duration = Duration::from_secs(300);

impl Pool {
    pub(super) fn ended(&mut self, run: Run, end: End) {
        if self.leaked.remove(&run) {
            return;
        }
        let Some((why, held)) = self.running_mut(run) else {
            return;
        };
        let id = run.id;
        let spec = held.spec.clone();
        match (why, end) {
            // Whatever it was asked, it did its work: that counts if the fence lets it.
            (_, End::Succeeded { result, then }) => {
                self.finish(id, Outcome::Succeeded(result), then);
            }
            (Some(why @ (Why::Timeout | Why::Asked | Why::Lease)), _) => self.stopped(id, why),
            (Some(Why::Stop), End::Failed { .. }) => self.stopped(id, Why::Stop),
            (_, End::Failed { text, after }) => {
                let outcome = self.fail(id, &text, after);
                self.finish(id, outcome, Vec::new());
            }
            (_, End::Fatal { text }) => {
                let failure = Failure::new(&text);
                let reason = Reason::Fatal;
                self.finish(id, Outcome::Dead { reason, failure }, Vec::new());
            }
            (_, End::Snoozed(after)) => {
                let after = after.max(End::SHORTEST_SNOOZE);
                self.finish(id, Outcome::Snoozed(after), Vec::new());
            }
            (_, End::Unknown) => {
                let after = Duration::from_secs(1)
                    .saturating_mul(1 << self.held[&id].returns.min(9))
                    .min(RETURN_LONGEST);
                self.out
                    .push_back(Output::Note(Note::Unknown(spec.id, after)));
                let unknown = true;
                self.finish(id, Outcome::Released { after, unknown }, Vec::new());
            }
        }
    }

    pub(super) fn dropped(&mut self, run: Run) {
        if self.leaked.remove(&run) {
            return;
        }
        let Some((why, _)) = self.running_mut(run) else {
            return;
        };
        let id = run.id;
        match why {
            Some(why) => self.stopped(id, why),
            None => {
                let outcome = self.fail(id, "the handler was dropped", None);
                self.finish(id, outcome, Vec::new());
            }
        }
    }

    /// A handler is proved stopped, for this reason, without a result.
    fn stopped(&mut self, id: Id, why: Why) {
        let outcome = match why {
            Why::Timeout => self.timed_out(id),
            Why::Asked => Outcome::Cancelled,
            Why::Lease | Why::Stop => Outcome::Released {
                after: Duration::ZERO,
                unknown: false,
            },
        };
        self.finish(id, outcome, Vec::new());
    }

    /// A handler was dropped and is not gone: it blocks its thread. Its slot is lost until it ends.
    fn unproved(&mut self, run: Run, why: Why) {
        let id = run.id;
        self.out.push_back(Output::Note(Note::Leaked(id)));
        let outcome = match why {
            Why::Timeout => self.timed_out(id),
            Why::Asked => Outcome::Cancelled,
            Why::Lease | Why::Stop => Outcome::Abandoned,
        };
        self.finish(id, outcome, Vec::new());
        self.leaked.insert(run);
    }

    fn timed_out(&mut self, id: Id) -> Outcome {
        let timeout = self.held.get(&id).and_then(|held| held.spec.timeout);
        let text = format!("timed out after {:?}", timeout.unwrap_or_default());
        self.fail(id, &text, None)
    }

    /// What a failed attempt comes to under the job's retry rule.
    fn fail(&mut self, id: Id, text: &str, asked: Option<Duration>) -> Outcome {
        let failure = Failure::new(text);
        let store_now = self.store_now();
        let Some(held) = self.held.get(&id) else {
            return Outcome::Retry {
                after: Duration::ZERO,
                failure,
            };
        };
        let age = store_now.map_or(0, |now| now.0.saturating_sub(held.enqueued_at.0));
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        let retry = &held.spec.retry;
        let failed = held.failures.saturating_add(1);
        match retry.after(failed, held.delay, age, asked, self.rng.u64()) {
            Verdict::Retry(after) => Outcome::Retry { after, failure },
            Verdict::GiveUp(GaveUp::Until) => {
                let reason = Reason::RetryUntil;
                Outcome::Dead { reason, failure }
            }
            Verdict::GiveUp(_) => {
                let reason = Reason::Attempts;
                Outcome::Dead { reason, failure }
            }
        }
    }

    /// The lease, if its handler still counts as running.
    fn running_mut(&mut self, run: Run) -> Option<(Option<Why>, &mut Held)> {
        let held = self.held.get_mut(&run.id)?;
        (held.run == run && held.handled()).then_some((held.why, held))
    }

    /// A handler no longer counts as running; its lease waits to be settled.
    fn finish(&mut self, id: Id, outcome: Outcome, then: Vec<NewJob>) {
        let Some(held) = self.held.get_mut(&id) else {
            return;
        };
        held.stage = Stage::Settling;
        held.silence();
        let crashes = held.crashes;
        self.queued.push_back(held.settle(id, outcome, then));
        self.busy = self.busy.saturating_sub(1);
        if crashes > 0 {
            let suspects = &mut self.suspects;
            suspects.running = suspects.running.saturating_sub(1);
            if crashes == 1 {
                suspects.allowed = suspects.allowed.saturating_mul(2).min(self.config.slots);
            }
        }
    }

    pub(super) fn alarm(&mut self, id: Id) {
        let Some(held) = self.held.get(&id) else {
            return;
        };
        match held.stage {
            Stage::Running => self.cancel(id, Why::Timeout),
            Stage::Cancelling => self.abort(id),
            Stage::Aborting => self.unproved(held.run, held.why.unwrap_or(Why::Stop)),
            Stage::Settling => {}
        }
    }

    /// Asks a handler to stop, once.
    pub(super) fn cancel(&mut self, id: Id, why: Why) {
        let Some(held) = self.held.get_mut(&id) else {
            return;
        };
        if held.stage != Stage::Running {
            return;
        }
        held.stage = Stage::Cancelling;
        held.why = Some(why);
        self.out.push_back(Output::Cancel(id));
        match why {
            // It may run elsewhere soon: no time to lose.
            Why::Lease => self.abort(id),
            // The hard deadline of the stop.
            Why::Stop => held.silence(),
            Why::Timeout | Why::Asked => {
                let at = self.now.plus(self.config.grace);
                self.alarms.set(&mut self.held, at, id);
            }
        }
    }

    pub(super) fn abort(&mut self, id: Id) {
        let Some(held) = self.held.get_mut(&id) else {
            return;
        };
        if matches!(held.stage, Stage::Aborting | Stage::Settling) {
            return;
        }
        held.stage = Stage::Aborting;
        self.out.push_back(Output::Abort(id));
        let at = self.now.plus(PROOF);
        self.alarms.set(&mut self.held, at, id);
    }

    pub(super) fn send_settles(&mut self) {
        if !self.settle.idle() || self.queued.is_empty() || self.phase == Phase::Stopped {
            return;
        }
        let mut settles = Vec::with_capacity(self.queued.len().min(self.config.max_batch as usize));
        while settles.len() < self.config.max_batch as usize
            && let Some(settle) = self.queued.pop_front()
        {
            // The job was claimed here while its charge waited: the older lease is gone, and a store that failed
            // over may have given its fence again.
            if is_charge(&settle.outcome) && self.held.contains_key(&settle.id) {
                self.reaper.charged(settle.id);
                continue;
            }
            settles.push(settle);
        }
        if settles.is_empty() {
            return;
        }
        let settles = self.settle.send(self.now, settles);
        self.out.push_back(Output::Settle(settles));
    }

    pub(super) fn settled(&mut self, settled: &[Settled]) {
        let Some((settles, _)) = self.settle.done() else {
            return;
        };
        for (settle, settled) in settles.iter().zip(settled) {
            if is_charge(&settle.outcome) {
                self.reaper.charged(settle.id);
            }
            // After a failover the store may give a lease a second time under the same fence: what settles
            // that says nothing of a handler that still runs under the first.
            let over = |held: &Held| held.fence == settle.fence && !held.handled();
            let ours = self.held.get(&settle.id).is_some_and(over);
            if ours {
                self.let_go(settle.id);
            }
            match settled {
                Settled::Applied(_) | Settled::Already(_) if settle.fence.owner == self.owner => {
                    self.count(&settle.outcome);
                }
                Settled::Fenced | Settled::NotFound if ours => {
                    self.out.push_back(Output::Note(Note::Fenced(settle.id)));
                }
                _ => {}
            }
            if let Settled::Applied(kind) = settled {
                self.again(*kind, &settle.outcome);
                self.hungry |= !settle.then.is_empty();
            }
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        let report = &mut self.report;
        match outcome {
            outcome if is_charge(outcome) => {}
            Outcome::Released { .. } => {
                report.released += u64::from(self.phase != Phase::Running);
            }
            Outcome::Abandoned => report.abandoned += u64::from(self.phase != Phase::Running),
            _ => report.settled += 1,
        }
    }

    /// A job went back into its lane: whoever put it there knows when it is due.
    fn again(&mut self, kind: Kind, outcome: &Outcome) {
        let after = match (kind, outcome) {
            (Kind::Retry, Outcome::Retry { after, .. })
            | (Kind::Snooze, Outcome::Snoozed(after))
            | (Kind::Release, Outcome::Released { after, .. })
            | (Kind::Crash, Outcome::Crashed { after, .. }) => *after,
            (Kind::Lapse, _) => Duration::ZERO,
            // What it waited for or held back may be due now; a store's hint says so too.
            _ => return,
        };
        self.next_look = self.next_look.min(self.now.plus(after));
    }
}

/// Whether it is what the reaper says of a lease that ran out.
fn is_charge(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Crashed { .. } | Outcome::Lapsed)
}
