//! The handle, and what all calls share: tags, scripts, the channel of hints.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::Stream;
use redis::Cmd;
use tideway::jobs::hints::Wakes;
use tideway::jobs::{JobStore, StoreClock, StoreError};
use tideway_driver::Net;
use tideway_engine::Mono;
use tideway_engine::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway_engine::jobs::{Id, Name, NewJob, Owner, Record, shard_of};

use crate::calls::Reply;
use crate::error::{asked, decoded, unreadable};
use crate::nodes::{Nodes, Tag, lock};
use crate::open;
use crate::options::{Options, Tags};
use crate::scripts::Script;

/// How long a shard is taken to be in the set of tags in use.
const AGAIN: Duration = Duration::from_secs(60);

/// A job store on Redis. A clone is another handle on the same connections; they close with the last one.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) nodes: Nodes,
    pub(crate) prefix: String,
    pub(crate) tags: Tags,
    pub(crate) clock: Option<StoreClock>,
    pub(crate) caps: Caps,
    pub(crate) wakes: Arc<Wakes>,
    /// Shards that this process has entered into the set of tags in use, and when.
    pub(crate) known: Mutex<BTreeMap<u16, Mono>>,
    /// Closed with the store: the task that listens ends then.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) open: async_channel::Sender<()>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({:?}, {:?})", self.0.prefix, self.0.caps)
    }
}

impl Redis {
    /// Opens the store at `redis://[[user]:password@]host[:port][/db]`, or on the cluster at
    /// `redis-cluster://[[user]:password@]host[:port][,host[:port]…]`, through the network of any runtime.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fatal`] if the URL is none; the server is older than 7, a replica, refuses the password, or may
    /// drop keys when its memory is full (`maxmemory-policy` is not `noeviction`); or the prefix is in use with
    /// other [`Tags`] or by a newer release. [`StoreError::Transient`] if there is no server, or it is still loading.
    pub async fn open(net: Net, url: &str, options: Options) -> Result<Self, StoreError> {
        open::open(net, url, options).await.map(Self)
    }

    /// Whether the servers answer and take writes now.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn health(&self) -> Result<(), StoreError> {
        open::check(&self.0.nodes).await.map(|_| ())
    }
}

impl Inner {
    /// The tag of a queue.
    pub(crate) fn tag_of(&self, queue: &str) -> Tag {
        match self.tags {
            Tags::One => Tag { shard: None },
            Tags::PerQueue => self.tag(shard_of(queue)),
        }
    }

    /// The tag of a job.
    pub(crate) fn tag_of_id(&self, id: Id) -> Tag {
        self.tag(id.shard())
    }

    pub(crate) fn tag(&self, shard: u16) -> Tag {
        let shard = (self.tags == Tags::PerQueue).then_some(shard);
        Tag { shard }
    }

    /// What its keys begin with.
    fn base(&self, tag: &Tag) -> String {
        match tag.shard {
            None => format!("{{{}}}", self.prefix),
            Some(shard) => format!("{{{}:{shard:03x}}}", self.prefix),
        }
    }

    /// The tags in use.
    pub(crate) async fn all_tags(&self) -> Result<Vec<Tag>, StoreError> {
        if self.tags == Tags::One {
            return Ok(vec![self.tag(0)]);
        }
        let key = open::tags_key(&self.prefix);
        let mut members = redis::cmd("SMEMBERS");
        members.arg(&key);
        let shards: BTreeSet<u16> = decoded(asked(self.nodes.on_key(&key, members).await)?)?;
        Ok(shards.into_iter().map(|shard| self.tag(shard)).collect())
    }

    /// Enters tags into the set of those in use, before anything is written to them.
    pub(crate) async fn enter(&self, tags: impl Iterator<Item = &Tag>) -> Result<(), StoreError> {
        let now = self.nodes.net.now().mono;
        let new: Vec<u16> = {
            let known = lock(&self.known);
            // Once more after a while: a failover may have lost the entry, and not the jobs.
            let lasts = |at: &Mono| now.since(*at) < AGAIN;
            let shards = tags.filter_map(|tag| tag.shard);
            shards
                .filter(|shard| !known.get(shard).is_some_and(lasts))
                .collect()
        };
        if new.is_empty() {
            return Ok(());
        }
        let key = open::tags_key(&self.prefix);
        let mut add = redis::cmd("SADD");
        add.arg(&key).arg(&new);
        self.nodes.on_key(&key, add).await?;
        lock(&self.known).extend(new.into_iter().map(|shard| (shard, now)));
        Ok(())
    }

    /// A call of `script` on `tag`, to which its own arguments are to be added.
    pub(crate) fn call(&self, tag: &Tag, script: &Script) -> Cmd {
        self.call_of(tag, script, 0)
    }

    /// As [`call`](Self::call), with room for about so many bytes of arguments.
    pub(crate) fn call_of(&self, tag: &Tag, script: &Script, bytes: usize) -> Cmd {
        let mut call = Cmd::with_capacity(0, bytes);
        call.arg("EVALSHA");
        // The second key is never there: it makes Redis answer TRYAGAIN while a slot moves to another node,
        // when the script would see a part of the keys.
        let base = self.base(tag);
        call.arg(&script.digest).arg(2).arg(&base);
        call.arg(format!("{base}:-"));
        match &self.clock {
            Some(clock) => call.arg(clock().0),
            None => call.arg(""),
        };
        call.arg(tag.shard.map_or(-1, i32::from));
        call.arg(open::channel(&self.prefix));
        call
    }

    /// The replies to calls of `script`, in order.
    pub(crate) async fn run(
        &self,
        tag: &Tag,
        script: &Script,
        calls: Vec<Cmd>,
    ) -> Result<Vec<Reply>, StoreError> {
        let values = self.nodes.run(&self.base(tag), script, calls).await?;
        values.into_iter().map(Reply::of).collect()
    }

    /// The reply to one call.
    pub(crate) async fn run_one(
        &self,
        tag: &Tag,
        script: &Script,
        call: Cmd,
    ) -> Result<Reply, StoreError> {
        let mut replies = self.run(tag, script, vec![call]).await?;
        replies.pop().ok_or_else(unreadable)
    }
}

/// Positions of `items` by the tag of each, in order within a tag.
pub(crate) fn by_tag<T>(items: &[T], tag: impl Fn(&T) -> Tag) -> BTreeMap<Tag, Vec<usize>> {
    let mut all: BTreeMap<Tag, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        all.entry(tag(item)).or_default().push(at);
    }
    all
}

impl JobStore for Redis {
    fn caps(&self) -> Caps {
        self.0.caps
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        self.0.enqueue(jobs).await
    }

    async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        self.0.claim(req).await
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        self.0.settle(settles).await
    }

    async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Result<Vec<Beaten>, StoreError> {
        self.0.heartbeat(beats, lease).await
    }

    async fn expired(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        self.0.expired(after, limit).await
    }

    async fn cron_cas(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        self.0.cron_cas(cas).await
    }

    async fn cron_cell(&self, key: &Name) -> Result<CronOut, StoreError> {
        self.0.cron_cell(key).await
    }

    async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        self.0.control(control).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        self.0.list(filter, after, limit).await
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        self.0.prune(limit).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.0.stats().await
    }

    async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        self.0.jobs(ids).await
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.0.audit().await
    }

    fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        Box::pin(self.0.wakes.subscribe(owner))
    }
}
