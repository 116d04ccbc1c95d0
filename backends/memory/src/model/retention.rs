//! What time ends: jobs that were not started in time, records of ended jobs, ids of deleted
//! ones, holds, idle groups.

use tideway_engine::Wall;
use tideway_engine::jobs::{Event, Id, Name};

use super::Model;

impl Model {
    /// Ends waiting and pending jobs that have expired, then forgets those whose retention is over; at most
    /// `limit` together. How many there were.
    pub fn prune(&mut self, limit: u32, now: Wall) -> u64 {
        self.hints.clear();
        self.holds.free_all(now);
        self.deleted.forget_all(now);
        let mut left = limit;
        while left > 0
            && let Some((_, id)) = self.index.expiries.first().filter(|(time, _)| *time <= now)
        {
            let id = *id;
            let _ = self.apply(id, &Event::Expire, now);
            left -= 1;
        }
        while left > 0
            && let Some((_, id)) = self.index.ended.first().filter(|(time, _)| *time <= now)
        {
            let id = *id;
            self.forget(id);
            left -= 1;
        }
        self.forget_idle(now);
        u64::from(limit - left)
    }

    /// Forgets an ended job. Nobody waits for it: they were told when it ended.
    pub(super) fn forget(&mut self, id: Id) {
        if let Some(job) = self.records.remove(&id) {
            self.index.forget(&job);
        }
    }

    fn forget_idle(&mut self, now: Wall) {
        let queues = &mut self.index.queues;
        for queue in queues.values_mut() {
            queue.forget_idle(now);
        }
        let blank = queues.iter().filter(|(_, queue)| queue.is_blank());
        let names: Vec<Name> = blank.map(|(name, _)| name.clone()).collect();
        for name in names {
            queues.remove(&name);
        }
    }
}
