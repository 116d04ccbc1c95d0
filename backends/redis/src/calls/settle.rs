//! Leases end or go on, and those that ran out are listed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Cmd;
use tideway::jobs::StoreError;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{Beat, Beaten, Cursor, Expired, Page, Settle, Settled};
use tideway_engine::jobs::{Fence, Outcome, Owner, Record};

use super::each::no_words;
use super::enqueue::Told;
use super::{CHUNK, Reply, bits};
use crate::error::unreadable;
use crate::nodes::Tag;
use crate::row;
use crate::scripts::{BEAT, COHORT, EXPIRED, SETTLE};
use crate::store::{Inner, by_tag};

impl Inner {
    pub(crate) async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        let then = || settles.iter().flat_map(|settle| &settle.then);
        let told = &self.told(then()).await?;
        let by_tag = by_tag(settles, |settle| self.tag_of_id(settle.id));
        // Only what comes with a settle can be the first of its tag.
        let tags: Vec<Tag> = then().map(|new| self.tag_of(&new.spec.queue)).collect();
        self.enter(tags.iter()).await?;
        let size = |at: usize| size(&settles[at]);
        let fill = |call: &mut Cmd, tag: &Tag, chunk: &[usize]| {
            for at in chunk {
                self.add_settle(call, &settles[*at], tag, told);
            }
        };
        self.each(&SETTLE, &by_tag, size, fill, Reply::count, settled)
            .await
    }

    fn add_settle(&self, call: &mut Cmd, settle: &Settle, tag: &Tag, told: &Told) {
        let mut head = Vec::with_capacity(72);
        head.extend(row::id(settle.id));
        fence(&mut head, settle.fence);
        let none = Duration::ZERO;
        let nothing: &[u8] = &[];
        let (code, after, flag, reason, text) = match &settle.outcome {
            Outcome::Succeeded(result) => (1, none, false, None, &**result),
            Outcome::Retry { after, failure } => (2, *after, false, None, failure.text.as_bytes()),
            Outcome::Dead { reason, failure } => {
                (3, none, false, Some(*reason), failure.text.as_bytes())
            }
            Outcome::Cancelled => (4, none, false, None, nothing),
            Outcome::Snoozed(after) => (5, *after, false, None, nothing),
            Outcome::Released { after, unknown } => (6, *after, *unknown, None, nothing),
            Outcome::Abandoned => (7, none, false, None, nothing),
            Outcome::Lapsed => (8, none, false, None, nothing),
            Outcome::Crashed { after, strike } => (9, *after, *strike, None, nothing),
        };
        let (reason, other) = reason.map_or((0, None), row::reason);
        head.push(code);
        head.extend(row::millis(after).to_le_bytes());
        head.extend([u8::from(flag), reason, u8::from(settle.progress.is_some())]);
        head.extend(other.into_iter().flat_map(row::id));
        call.arg(head).arg(text);
        call.arg(settle.progress.as_deref().unwrap_or_default());
        call.arg(settle.then.len());
        for (at, new) in settle.then.iter().enumerate() {
            self.add_job(call, new, tag, told, &settle.then[..at]);
        }
    }

    pub(crate) async fn heartbeat(
        &self,
        beats: &[Beat],
        lease: Duration,
    ) -> Result<Vec<Beaten>, StoreError> {
        let by_tag = by_tag(beats, |beat| self.tag_of_id(beat.id));
        let size = |at: usize| beats[at].progress.as_ref().map_or(0, bytes::Bytes::len);
        let fill = |call: &mut Cmd, _: &Tag, chunk: &[usize]| {
            call.arg(row::millis(lease));
            for beat in chunk.iter().map(|at| &beats[*at]) {
                let mut head = Vec::with_capacity(41);
                head.extend(row::id(beat.id));
                fence(&mut head, beat.fence);
                head.push(u8::from(beat.progress.is_some()));
                call.arg(head);
                call.arg(beat.progress.as_deref().unwrap_or_default());
            }
        };
        self.each(&BEAT, &by_tag, size, fill, no_words, beaten)
            .await
    }

    pub(crate) async fn expired(
        &self,
        from: &Cursor,
        limit: u32,
    ) -> Result<Page<Expired>, StoreError> {
        let tags = &self.all_tags().await?;
        let Ok(from) = from.id() else {
            let now = self.now().await?;
            return Ok(Page {
                items: Vec::new(),
                next: None,
                now,
            });
        };
        let (from, limit) = (&bits(from), limit.max(1));
        let pages = tags.iter().map(|tag| async move {
            let mut call = self.call(tag, &EXPIRED);
            call.arg(from).arg(limit);
            let mut reply = self.run_one(tag, &EXPIRED, call).await?;
            let (now, more) = (reply.now()?, reply.int()? == 1);
            let mut jobs = Vec::new();
            while !reply.is_over() {
                jobs.extend(reply.job()?.map(|stored| stored.job));
            }
            Ok::<_, StoreError>((now, more, jobs))
        });
        let (mut now, mut more, mut jobs) = (None, false, Vec::new());
        for (at, further, some) in try_join_all(pages).await? {
            now = now.max(Some(at));
            more |= further;
            jobs.extend(some);
        }
        jobs.sort_by_key(Record::id);
        let (jobs, cut) = Cursor::cut(jobs, limit, Record::id);
        let cohorts = self.cohorts(tags, &jobs).await?;
        let items = jobs.iter().filter_map(|job| {
            let cohort = cohorts.get(&job.owner?).into_iter().flatten();
            Expired::among(job, cohort.copied())
        });
        Ok(Page {
            items: items.collect(),
            next: cut.or_else(|| {
                let last = jobs.last().filter(|_| more)?;
                Some(Cursor::behind(last.id()))
            }),
            now: match now {
                Some(now) => now,
                None => self.now().await?,
            },
        })
    }

    /// Of each owner of `jobs`: how many jobs it held, by the crashes they had before.
    async fn cohorts(
        &self,
        tags: &[Tag],
        jobs: &[Record],
    ) -> Result<BTreeMap<Owner, Vec<(u32, u64)>>, StoreError> {
        let mut all: BTreeMap<Owner, Vec<(u32, u64)>> = BTreeMap::new();
        for job in jobs {
            all.extend(job.owner.map(|owner| (owner, Vec::new())));
        }
        if all.is_empty() {
            return Ok(all);
        }
        let owners: Vec<[u8; 16]> = all.keys().copied().map(row::owner).collect();
        let owners = &owners;
        let asked = tags.iter().map(|tag| async move {
            let mut call = self.call(tag, &COHORT);
            for owner in owners {
                call.arg(owner);
            }
            self.run_one(tag, &COHORT, call).await
        });
        for mut reply in try_join_all(asked).await? {
            for counts in all.values_mut() {
                let mut of = reply.inner()?;
                while !of.is_over() {
                    counts.push((number(&mut of)?, number(&mut of)?.into()));
                }
            }
        }
        Ok(all)
    }

    /// The store's clock, where no script said it.
    async fn now(&self) -> Result<Wall, StoreError> {
        Ok(self.stats_of(&self.tag(0)).await?.now)
    }
}

fn number(reply: &mut Reply) -> Result<u32, StoreError> {
    let text = reply.bytes()?;
    let text = std::str::from_utf8(&text).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(unreadable)
}

/// About how many bytes it takes; one with many jobs counts as many.
fn size(settle: &Settle) -> usize {
    let then: usize = settle
        .then
        .iter()
        .map(|new| new.payload.len() + (1 << 20) / CHUNK)
        .sum();
    let progress = settle.progress.as_ref().map_or(0, bytes::Bytes::len);
    let result = match &settle.outcome {
        Outcome::Succeeded(result) => result.len(),
        _ => 0,
    };
    then + progress + result
}

fn fence(out: &mut Vec<u8>, fence: Fence) {
    out.extend((fence.token as f64).to_le_bytes());
    out.extend(row::owner(fence.owner));
}

fn settled(reply: &mut Reply) -> Result<Settled, StoreError> {
    let said = reply.bytes()?;
    let kind = || {
        let code = said.get(1).copied().unwrap_or_default();
        row::kind(code).ok_or_else(unreadable)
    };
    Ok(match said.first() {
        Some(b'a') => Settled::Applied(kind()?),
        Some(b's') => Settled::Already(kind()?),
        Some(b'f') => Settled::Fenced,
        Some(b'n') => Settled::NotFound,
        Some(b'r') => Settled::Refused,
        _ => return Err(unreadable()),
    })
}

fn beaten(reply: &mut Reply) -> Result<Beaten, StoreError> {
    Ok(match reply.int()? {
        2 => Beaten::Lost,
        cancel => Beaten::Alive {
            cancel: cancel == 1,
        },
    })
}
