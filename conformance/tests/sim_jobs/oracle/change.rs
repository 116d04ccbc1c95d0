//! Whether one call may change one record as it did.

use tideway::Wall;
use tideway::jobs::call::{Control, Select, Settle, Settled};
use tideway::jobs::{Kind, Outcome, Reason, Record, State, WaitFailed, later, next_state};
use tideway_memory::Model;

use super::{Change, Oracle};
use crate::ask::{Answer, Ask};

type Checked = Result<(), String>;

fn check(well: bool, flaw: &str) -> Checked {
    if well { Ok(()) } else { Err(flaw.into()) }
}

impl Oracle {
    pub(super) fn change(
        &mut self,
        model: &Model,
        ask: &Ask,
        answer: &Answer,
        change: &Change,
        now: Wall,
    ) -> Checked {
        match (&change.before, &change.after) {
            (Some(before), Some(after)) => {
                self.changed(model, ask, answer, before, after, now)?;
                self.bounds(after)
            }
            (Some(before), None) => {
                if matches!(ask, Ask::Control(_)) {
                    let until = before.known_until();
                    self.deleted.extend(until.map(|until| (before.id(), until)));
                }
                removed(ask, before, now)
            }
            (None, Some(after)) => {
                check(
                    !self.knows(after.id()),
                    "inserted again after it was deleted",
                )?;
                inserted(after, now)
            }
            (None, None) => Ok(()),
        }
    }

    fn changed(
        &mut self,
        model: &Model,
        ask: &Ask,
        answer: &Answer,
        before: &Record,
        after: &Record,
        now: Wall,
    ) -> Checked {
        let fixed = before.spec == after.spec && before.digest == after.digest;
        check(fixed, "what was enqueued has changed")?;
        let revived = matches!(ask, Ask::Control(Control::Revive(..)));
        let since = if revived { now } else { before.enqueued_at };
        let counts = after.enqueued_at == since;
        check(counts, "its expiry counts from neither enqueue nor revival")?;
        let claims = u64::from(before.state != State::Running && after.state == State::Running);
        let counted = after.token == before.token + claims;
        check(counted, "the token counts claims and nothing else")?;
        let id = before.id();
        match (ask, answer) {
            (Ask::Claim(req), _) if claims == 1 => {
                *self.spent.entry(id).or_default() += 1;
                self.tally.claimed += 1;
                if before.state != State::Pending {
                    // What it waited for was found to be too late by this very claim.
                    let ready = Record {
                        state: State::Pending,
                        ..after.clone()
                    };
                    cascaded(model, before, &ready)?;
                }
                check(before.run_at <= now, "claimed early")?;
                let expired = before.expires_at().is_some_and(|time| time <= now);
                check(!expired, "claimed though it is too late")?;
                check(
                    !self.paused.contains(&before.spec.queue),
                    "claimed from a paused queue",
                )?;
                let asked = req.lanes.iter().any(|(lane, _)| *lane == before.lane());
                check(asked, "claimed from a lane nobody asked for")?;
                let lease = after.owner == Some(req.owner)
                    && after.seq == req.seq
                    && after.settled.is_none()
                    && after.lease_until == later(now, req.lease);
                check(lease, "claimed with another lease than asked")
            }
            (Ask::Settle(settles), Answer::Settle(outcomes)) if before.state == State::Running => {
                let both = settles.iter().zip(outcomes);
                let mut own = both.filter(|(settle, outcome)| {
                    settle.id == id && matches!(outcome, Settled::Applied(_))
                });
                let Some((settle, Settled::Applied(kind))) = own.next() else {
                    return Err("changed by a settle that was not applied".into());
                };
                check(own.next().is_none(), "settled twice in one call")?;
                self.settled(settle, *kind, before, after, now)
            }
            (Ask::Beat(beats, lease), _) => {
                let fence = |beat: &&tideway::jobs::call::Beat| {
                    beat.id == id
                        && beat.fence.token == before.token
                        && Some(beat.fence.owner) == before.owner
                };
                check(beats.iter().any(|beat| fence(&beat)), "beaten by another")?;
                let same = before.state == State::Running
                    && after.state == State::Running
                    && after.lease_until == later(now, *lease)
                    && after.run_at == before.run_at
                    && after.attempt == before.attempt
                    && after.failures == before.failures;
                check(same, "a beat changed more than the lease")
            }
            (Ask::Control(control), _) => {
                if matches!(control, Control::Revive(..)) && after.state == State::Pending {
                    self.spent.insert(id, 0);
                }
                controlled(control, before, after)
                    .or_else(|flaw| cascaded(model, before, after).map_err(|_| flaw))
            }
            (Ask::Prune(_) | Ask::Claim(_), _) if after.reason == Some(Reason::Expired) => {
                let time = before.expires_at();
                let well = !before.state.ended()
                    && before.state != State::Running
                    && after.state == State::Dead
                    && time.is_some_and(|time| time <= now);
                check(well, "expired before its time")
            }
            (Ask::Enqueue(_) | Ask::Cas(_) | Ask::Settle(_), _)
                if matches!(after.reason, Some(Reason::Superseded(_))) =>
            {
                // What waited may have become pending within the batch.
                let open = matches!(before.state, State::Pending | State::Waiting);
                let well = open && after.state == State::Cancelled;
                check(well, "superseded though it was not pending")
            }
            _ => cascaded(model, before, after),
        }
    }

    fn settled(
        &mut self,
        settle: &Settle,
        kind: Kind,
        before: &Record,
        after: &Record,
        now: Wall,
    ) -> Checked {
        let id = before.id();
        let fence = settle.fence;
        let ours = fence.token == before.token && Some(fence.owner) == before.owner;
        check(ours, "settled by one who does not hold the lease")?;
        check(
            next_state(before.state, kind) == Some(after.state),
            "settled into a state the table does not have",
        )?;
        self.kind(kind);
        let reaped = matches!(kind, Kind::Crash | Kind::Bury | Kind::Lapse);
        check(!reaped || before.lapsed(now), "reaped under a live lease")?;
        if kind != Kind::Abandon {
            let first = self.settled.insert((id, fence.token, fence.owner));
            check(first, "one lease was settled twice")?;
        }
        if matches!(kind, Kind::Snooze | Kind::Release | Kind::Lapse) {
            let spent = self.spent.entry(id).or_default();
            *spent = spent.saturating_sub(1);
        }
        let back = matches!(
            settle.outcome,
            Outcome::Retry { .. } | Outcome::Snoozed(_) | Outcome::Released { .. }
        );
        check(
            !(back && before.cancel && after.state == State::Pending),
            "a cancelled job went back",
        )?;
        if let (Kind::Retry, Outcome::Retry { after: delay, .. }) = (kind, &settle.outcome) {
            check(
                after.run_at == later(now, *delay) && after.failures == before.failures + 1,
                "a retry is not due after its delay",
            )?;
        }
        Ok(())
    }

    /// Attempts are counted right and end.
    fn bounds(&self, job: &Record) -> Checked {
        let spent = self.spent.get(&job.id()).copied().unwrap_or_default();
        let stopped = job.state == State::Cancelled;
        check(
            job.attempt == spent || stopped,
            &format!("{spent} attempts were made"),
        )?;
        let most = job.spec.retry.attempts;
        check(job.failures <= most, "it failed more often than it may")?;
        let last = job.state == State::Pending && job.failures >= most;
        check(!last, "it goes on after its last attempt")?;
        let dead = job.reason != Some(Reason::Attempts) || job.failures == most;
        check(dead, "it was given up before its last attempt")?;
        let strikes = u32::from(job.spec.strikes);
        check(
            job.state != State::Pending || job.strikes < strikes,
            "it goes on after its last strike",
        )
    }
}

fn inserted(after: &Record, now: Wall) -> Checked {
    let fresh = after.token == 0 && after.attempt == 0 && after.enqueued_at == now;
    check(fresh, "inserted, yet not fresh")?;
    let well = match after.state {
        State::Pending | State::Waiting => true,
        // Within the batch that brought it.
        State::Cancelled => {
            matches!(after.reason, Some(Reason::Wait(_) | Reason::Superseded(_)))
        }
        _ => false,
    };
    check(well, "inserted in a state no job begins in")
}

fn removed(ask: &Ask, before: &Record, now: Wall) -> Checked {
    check(before.state.ended(), "a job that has not ended disappeared")?;
    match ask {
        Ask::Control(Control::Delete(Select::Ids(ids))) => {
            check(ids.contains(&before.id()), "deleted, though nobody asked")
        }
        Ask::Prune(_) => {
            let keep = match before.state {
                State::Succeeded => before.spec.keep.succeeded,
                _ => before.spec.keep.failed,
            };
            let keep = keep.max(tideway::jobs::Keep::LEAST);
            let over = before.ended_at.is_some_and(|at| later(at, keep) <= now);
            check(over, "pruned before its time")
        }
        _ => Err("a record disappeared".into()),
    }
}

fn controlled(control: &Control, before: &Record, after: &Record) -> Checked {
    use State::{Cancelled, Dead, Pending, Running, Waiting};
    let (select, well) = match control {
        Control::Cancel(select) => {
            let well = match before.state {
                Running => after.state == Running && after.cancel,
                Waiting | Pending => {
                    after.state == Cancelled && after.reason == Some(Reason::Asked)
                }
                _ => false,
            };
            (select, well)
        }
        Control::Reschedule(select, _) => {
            let well = before.state == Pending && after.state == Pending;
            (select, well)
        }
        Control::Revive(select, _) => {
            let well = matches!(before.state, Dead | Cancelled) && after.state == Pending;
            (select, well)
        }
        _ => return Err("changed by a control that names no job".into()),
    };
    check(well, "a control did what it must not")?;
    let named = matches!(select, Select::Ids(ids) if ids.contains(&before.id()));
    check(named, "changed by a control that does not name it")
}

/// A job that waited for others goes on or ends with them.
fn cascaded(model: &Model, before: &Record, after: &Record) -> Checked {
    check(
        before.state == State::Waiting,
        "changed by a call it has no part in",
    )?;
    let on_failure = before.spec.wait_failed;
    let over = |id: &tideway::jobs::Id| match model.job(*id) {
        None => true,
        Some(job) => {
            job.state == State::Succeeded || job.state.ended() && on_failure == WaitFailed::Run
        }
    };
    match after.state {
        State::Waiting => {
            let gone = before.waits.iter().filter(|id| !after.waits.contains(id));
            check(
                gone.into_iter().all(over),
                "waits no more for a job that goes on",
            )
        }
        State::Pending => check(
            before.waits.iter().all(over),
            "ready before what it waits for has ended",
        ),
        State::Cancelled => {
            let Some(Reason::Wait(id)) = after.reason else {
                return Err("cancelled for no reason".into());
            };
            let failed = model
                .job(id)
                .is_none_or(|job| matches!(job.state, State::Dead | State::Cancelled));
            check(
                failed && on_failure == WaitFailed::Cancel && before.waits.contains(&id),
                "cancelled for a job that has not failed",
            )
        }
        _ => Err("no job that waits goes there".into()),
    }
}
