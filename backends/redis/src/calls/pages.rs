//! Listings by id, page by page, and jobs by id. A page over several tags is made of the first of each.

use futures_util::future::try_join_all;
use redis::Cmd;
use tideway::jobs::StoreError;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Cursor, Filter, Page};
use tideway_engine::jobs::{Id, Record};

use super::control::{Ids, filter_args};
use super::each::no_words;
use super::{Reply, bits, id};
use crate::nodes::Tag;
use crate::row;
use crate::scripts::{JOBS, LIST};
use crate::store::{Inner, by_tag};

/// A page takes no more scripts than this in each tag, each of which looks at about 1000 records: it may be short and
/// not the last.
const LOOKED_AT: usize = 10;

/// The first matches of one tag.
struct Part<T> {
    now: Wall,
    found: Vec<T>,
    /// The id up to which was looked, unless that was the end.
    until: Option<Id>,
}

impl Inner {
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        from: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        let (now, items, next) = self
            .page(filter, from, limit, false, Record::id, |reply| {
                Ok(reply.job()?.map(|stored| stored.job))
            })
            .await?;
        Ok(Page { items, next, now })
    }

    /// The ids of one page.
    pub(super) async fn matching(
        &self,
        filter: &Filter,
        from: &Cursor,
        limit: u32,
    ) -> Result<(Ids, Option<Cursor>), StoreError> {
        let of = |reply: &mut Reply| id(&reply.bytes()?).map(Some);
        let (_, ids, next) = self.page(filter, from, limit, true, |id| *id, of).await?;
        Ok((ids, next))
    }

    async fn page<T>(
        &self,
        filter: &Filter,
        from: &Cursor,
        limit: u32,
        bare: bool,
        id_of: impl Fn(&T) -> Id,
        read: impl Fn(&mut Reply) -> Result<Option<T>, StoreError>,
    ) -> Result<(Wall, Vec<T>, Option<Cursor>), StoreError> {
        let tags = match &filter.queue {
            Some(queue) => vec![self.tag_of(queue)],
            None => self.all_tags().await?,
        };
        let limit = limit.max(1) as usize;
        let Ok(from) = from.id() else {
            let now = self.stats_of(&self.tag(0)).await?.now;
            return Ok((now, Vec::new(), None));
        };
        let (from, read) = (&bits(from), &read);
        let parts = tags
            .iter()
            .map(|tag| self.first_of(tag, filter, from, limit, bare, read));
        let (mut now, mut until) = (None, None::<Id>);
        let mut all = Vec::new();
        for part in try_join_all(parts).await? {
            now = now.max(Some(part.now));
            all.extend(part.found);
            until = [until, part.until].into_iter().flatten().min();
        }
        all.sort_by_key(|one| id_of(one));
        // Behind where one tag was not looked at, others may not be told yet.
        if let Some(until) = until {
            all.retain(|one| id_of(one) <= until);
        }
        let mut next = until;
        if all.len() > limit {
            all.truncate(limit);
            next = all.last().map(&id_of);
        }
        let now = match now {
            Some(now) => now,
            None => self.stats_of(&self.tag(0)).await?.now,
        };
        Ok((now, all, next.map(Cursor::behind)))
    }

    /// Up to `limit` matches, and one more, of one tag.
    async fn first_of<T>(
        &self,
        tag: &Tag,
        filter: &Filter,
        from: &[u8],
        limit: usize,
        bare: bool,
        read: &impl Fn(&mut Reply) -> Result<Option<T>, StoreError>,
    ) -> Result<Part<T>, StoreError> {
        let mut from = from.to_vec();
        let mut part = Part {
            now: Wall(0),
            found: Vec::new(),
            until: None,
        };
        for _ in 0..LOOKED_AT {
            let mut call = self.call(tag, &LIST);
            filter_args(&mut call, filter);
            call.arg(&from).arg(limit + 1 - part.found.len());
            call.arg(u8::from(bare));
            let mut reply = self.run_one(tag, &LIST, call).await?;
            part.now = reply.now()?;
            let over = reply.int()? == 1;
            from = reply.bytes()?;
            while !reply.is_over() {
                part.found.extend(read(&mut reply)?);
            }
            if over {
                part.until = None;
                return Ok(part);
            }
            part.until = Some(id(&from)?);
            if part.found.len() > limit {
                return Ok(part);
            }
        }
        Ok(part)
    }

    pub(crate) async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        let by_tag = by_tag(ids, |id| self.tag_of_id(*id));
        let fill = |call: &mut Cmd, _: &Tag, chunk: &[usize]| {
            for at in chunk {
                call.arg(&row::id(ids[*at]));
            }
        };
        let read = |reply: &mut Reply| Ok(reply.job()?.map(|stored| stored.job));
        self.each(&JOBS, &by_tag, |_| 0, fill, no_words, read).await
    }
}
