//! What a person or program asks of the store.

use tideway_engine::Wall;
use tideway_engine::jobs::call::{Control, ControlOut, Cursor, Left, Limit, Scope, Select};
use tideway_engine::jobs::{Event, Id, Name, Start, State};

use super::Model;

impl Model {
    /// Does what a person or program asks.
    pub fn control(&mut self, control: &Control, now: Wall) -> ControlOut {
        self.hints.clear();
        match control {
            Control::Cancel(select) => {
                self.each(select, |model, id| model.event(id, &Event::Cancel, now))
            }
            Control::Reschedule(select, start) => {
                let event = Event::Reschedule(*start);
                self.each(select, |model, id| model.event(id, &event, now))
            }
            Control::Revive(select, start) => {
                self.each(select, |model, id| model.revive(id, *start, now))
            }
            Control::Delete(select) => self.each(select, |model, id| model.delete(id, now)),
            Control::Pause(queue) => self.pause(queue, true),
            Control::Resume(queue) => self.pause(queue, false),
            Control::Limit(scope, limit) => self.limit(scope, *limit),
            // A call this store does not know changes nothing.
            _ => ControlOut::default(),
        }
    }

    /// Does `act` to each of the selected jobs; it says why it left one.
    fn each(
        &mut self,
        select: &Select,
        mut act: impl FnMut(&mut Self, Id) -> Result<(), Left>,
    ) -> ControlOut {
        let mut out = ControlOut::default();
        let (ids, next): (Vec<Id>, Option<Cursor>) = match select {
            Select::Ids(ids) => (ids.clone(), None),
            Select::Filter {
                filter,
                after,
                limit,
            } => {
                let (jobs, next) = self.page(filter, after, *limit);
                (jobs.iter().map(|job| job.id()).collect(), next)
            }
        };
        out.next = next;
        for id in ids {
            match act(self, id) {
                Ok(()) => out.done.push(id),
                Err(left) => out.left.push((id, left)),
            }
        }
        out
    }

    fn event(&mut self, id: Id, event: &Event<'_>, now: Wall) -> Result<(), Left> {
        let state = self.state(id)?;
        match self.apply(id, event, now) {
            Some(Ok(_)) => Ok(()),
            _ => Err(Left::State(state)),
        }
    }

    /// As a new enqueue, the key of a unique job is taken, unless another holds it.
    fn revive(&mut self, id: Id, start: Start, now: Wall) -> Result<(), Left> {
        if let Some(job) = self.records.get(&id)
            && matches!(job.state, State::Dead | State::Cancelled)
            && let Some(unique) = &job.spec.unique
        {
            match self.holds.holder(&job.spec.queue, &unique.key, now) {
                Some(holder) if holder != id => return Err(Left::UniqueHit(holder)),
                _ => self.holds.take(job, unique, now),
            }
        }
        self.event(id, &Event::Revive(start), now)
    }

    fn delete(&mut self, id: Id, now: Wall) -> Result<(), Left> {
        let state = self.state(id)?;
        if !state.ended() {
            return Err(Left::State(state));
        }
        if let Some(job) = self.records.get(&id) {
            self.deleted.keep(job, now);
        }
        self.forget(id);
        Ok(())
    }

    fn state(&self, id: Id) -> Result<State, Left> {
        self.job(id).map(|job| job.state).ok_or(Left::NotFound)
    }

    fn pause(&mut self, name: &Name, paused: bool) -> ControlOut {
        self.index.queue(name).paused = paused;
        self.changed(name);
        ControlOut::default()
    }

    fn limit(&mut self, scope: &Scope, limit: Limit) -> ControlOut {
        let (Scope::Queue(name) | Scope::EachGroup(name) | Scope::Group(name, _)) = scope;
        let queue = self.index.queue(name);
        match scope {
            Scope::Queue(_) => queue.limit(limit),
            Scope::EachGroup(_) => queue.limit_each(limit),
            Scope::Group(_, group) => queue.limit_group(group, limit),
        }
        self.changed(name);
        ControlOut::default()
    }

    /// Other rules hold for the queue: a claim may find what it did not before.
    fn changed(&mut self, name: &Name) {
        self.index.tidy(name);
        self.hints.queue(name);
    }
}
