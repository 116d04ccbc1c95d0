//! The numbers of queues.

use futures_util::future::try_join_all;
use tideway::jobs::StoreError;
use tideway_engine::jobs::call::{QueueStats, Stats};
use tideway_engine::jobs::{Name, State};

use crate::error::unreadable;
use crate::nodes::Tag;
use crate::scripts::STATS;
use crate::store::Inner;

impl Inner {
    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        let tags = self.all_tags().await?;
        let parts = try_join_all(tags.iter().map(|tag| self.stats_of(tag))).await?;
        let mut parts = parts.into_iter();
        let mut all = match parts.next() {
            Some(first) => first,
            None => self.stats_of(&self.tag(0)).await?,
        };
        for part in parts {
            all.now = all.now.max(part.now);
            all.queues.extend(part.queues);
        }
        all.queues.sort_by(|a, b| a.queue.cmp(&b.queue));
        Ok(all)
    }

    pub(super) async fn stats_of(&self, tag: &Tag) -> Result<Stats, StoreError> {
        let mut reply = self.run_one(tag, &STATS, self.call(tag, &STATS)).await?;
        let now = reply.now()?;
        let mut queues = Vec::new();
        while !reply.is_over() {
            let name = String::from_utf8(reply.bytes()?).ok();
            let name = name.and_then(|name| Name::new(&name).ok());
            let mut queue = QueueStats::empty(name.ok_or_else(unreadable)?);
            for state in State::ALL {
                *queue.count(state) = reply.count()?;
            }
            queue.paused = reply.int()? == 1;
            queue.oldest = reply.time()?;
            queues.push(queue);
        }
        Ok(Stats { queues, now })
    }
}
