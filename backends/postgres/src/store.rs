//! The handle: which call goes which way.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::Pool;
use futures_channel::oneshot;
use futures_core::Stream;
use tideway::jobs::hints::{Hints, Wakes};
use tideway::jobs::{JobStore, StoreClock, StoreError};
use tideway_driver::Net;
use tideway_engine::Wall;
use tideway_engine::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Durability, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway_engine::jobs::{Id, Name, NewJob, Owner, Record};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use crate::connect::Address;
use crate::error::{Doubt, Failed, fatal};
use crate::fast::{self, Asked, Leases, New};
use crate::notify::{self, Outbox};
use crate::options::Options;
use crate::pool::{Opener, pool};
use crate::row::{self, COLUMNS};
use crate::schema;
use crate::sql::{Bits, Schema};
use crate::tx::audit::Audit;
use crate::tx::claim::{Claim, SetAside};
use crate::tx::control::Ask;
use crate::tx::cron::{self, Move};
use crate::tx::enqueue::Enqueue;
use crate::tx::prune::Prune;
use crate::tx::settle::Settles;
use crate::tx::{Terms, Tx};
use crate::view;

/// Items of one call at most, as `caps` reports it: a statement of so many takes some 20 ms.
const MAX_BATCH: u32 = 1000;

/// A job store in a PostgreSQL database. A clone is another handle on the same connections; they close with the
/// last one.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

/// What all handles share.
pub(crate) struct Inner {
    pub(crate) pool: Pool<Opener>,
    pub(crate) address: Address,
    pub(crate) schema: Schema,
    pub(crate) timeout: Duration,
    pub(crate) outbox: Outbox,
    pub(crate) wakes: Wakes,
    /// Tells this process's hints from those of others.
    pub(crate) tag: u64,
    forget: bool,
    clock: Option<StoreClock>,
    caps: Caps,
    /// Where to listen, until somebody does; then what ends with the store.
    ear: Mutex<Ear>,
    listens: AtomicBool,
}

enum Ear {
    At(Option<Box<Address>>),
    Open(
        #[allow(dead_code, reason = "dropped with the store, which ends the listening")]
        oneshot::Sender<()>,
    ),
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({}, {:?})", self.0.schema.name(), self.0.caps)
    }
}

impl Postgres {
    /// Opens the store at `url` (`postgres://user:password@host:5432/database`) over the network of the
    /// application's runtime, and makes its tables if there are none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fatal`] if the address or an option cannot be, the server does not let the user in, takes no
    /// writes, or has a schema of another version that [`Options::migrate`] does not allow to change, or a newer one;
    /// nothing is changed then. [`StoreError::Transient`] if the server cannot be reached in
    /// [`Options::timeout`].
    pub async fn open(net: Net, url: &str, options: Options) -> Result<Self, StoreError> {
        let schema = Schema::new(&options.schema).ok_or_else(|| {
            fatal(&format!(
                "{:?} is no name for a schema: write at most 40 lower-case letters, digits and `_`, not beginning with a digit \
                 or pg_",
                options.schema
            ))
        })?;
        if options.timeout < Duration::from_millis(10) {
            return Err(fatal(
                "Options::timeout is under 10 ms: no call could be answered",
            ));
        }
        // The server gives up first, so that what became of the call is known.
        let limit = (!options.pooled).then(|| options.timeout.mul_f64(0.9));
        let address = Address::new(url, limit, net.clone())?;
        let listen = match (&options.listen_url, options.pooled) {
            (Some(url), _) => Some(Address::new(url, None, net.clone())?),
            (None, false) => Some(Address::new(url, None, net.clone())?),
            (None, true) => None,
        };
        let durability = net
            .within(options.timeout, prepare(&address, &schema, options.migrate))
            .await;
        let late = || {
            StoreError::Transient(
                format!("the server did not answer in {:?}", options.timeout).into(),
            )
        };
        let durability = durability.ok_or_else(late)??;
        let caps = Caps {
            durability,
            unique: true,
            cron: true,
            limits: true,
            waits: true,
            list: true,
            wakeups: listen.is_some(),
            max_batch: MAX_BATCH,
            max_payload: options.max_payload,
        };
        let seed = tideway_engine::Rng::new(&net.seed()).u64();
        Ok(Self(Arc::new(Inner {
            pool: pool(address.clone(), options.connections)?,
            address,
            schema,
            timeout: options.timeout,
            outbox: Outbox::default(),
            wakes: Wakes::default(),
            tag: seed.max(1),
            forget: options.delete_succeeded,
            clock: options.clock,
            caps,
            ear: Mutex::new(Ear::At(listen.map(Box::new))),
            listens: AtomicBool::new(false),
        })))
    }

    /// Inserts jobs in a transaction of the caller's own: they are there if and when it commits. Hints are sent
    /// by the commit. The transaction may be on any connection to the same database; a unique key is locked until it
    /// ends, and so are the jobs that `jobs` wait for.
    ///
    /// # Errors
    ///
    /// [`StoreError`], after which the transaction is to be rolled back, as PostgreSQL demands it. Never
    /// [`StoreError::Ambiguous`]: what was done is decided by the commit.
    pub async fn enqueue_in(
        &self,
        tx: &Transaction<'_>,
        jobs: &[NewJob],
    ) -> Result<Vec<Enqueued>, StoreError> {
        let inner = &*self.0;
        let done = inner.enqueue_in(tx, jobs).await;
        let (out, hints) = done.map_err(|failed| failed.into_store(Doubt::None))?;
        let texts = notify::messages(&hints, 0);
        let params = [
            (&inner.schema.channel() as _, Type::TEXT),
            (&texts as _, Type::TEXT_ARRAY),
        ];
        let sent = tx
            .query_typed("SELECT pg_notify($1, n) FROM unnest($2) AS n", &params)
            .await;
        sent.map_err(|error| Failed::from(error).into_store(Doubt::None))?;
        Ok(out)
    }

    /// Asks the server, now: whether it can be reached, knows the user, takes writes and has the tables of this
    /// release.
    ///
    /// # Errors
    ///
    /// [`StoreError`] says what is wrong.
    pub async fn health(&self) -> Result<(), StoreError> {
        let sql = "SELECT max(version), current_setting('transaction_read_only') = 'on' FROM {s}.migration";
        let rows = self.0.read(sql, &[]).await?;
        let row = rows
            .first()
            .ok_or_else(|| fatal("the server did not answer what was asked"))?;
        schema::check(row.get(0), &self.0.schema)?;
        if row.get(1) {
            return Err(read_only());
        }
        Ok(())
    }
}

fn read_only() -> StoreError {
    fatal(
        "the server takes no writes: it is a replica, or default_transaction_read_only is set; name the primary in the address",
    )
}

/// Connects for the first time.
async fn prepare(
    address: &Address,
    schema: &Schema,
    migrate: bool,
) -> Result<Durability, StoreError> {
    let mut conn = address.connect().await?;
    let client = &mut conn.client;
    let fail = |failed: Failed| failed.into_store(Doubt::None);
    let found = schema::version(client, schema).await.map_err(fail)?;
    if migrate && found.is_none_or(|found| found < schema::VERSION) {
        if let Err(failed) = schema::migrate(client, schema).await {
            return Err(match failed.wants_another_server() {
                true => read_only(),
                false => failed.into_store(Doubt::None),
            });
        }
    } else {
        schema::check(found, schema)?;
    }
    let sql = "SELECT current_setting('transaction_read_only') = 'on', current_setting('fsync') = 'on', \
               current_setting('synchronous_commit') = 'off'";
    let row = client
        .query_typed_one(sql, &[])
        .await
        .map_err(|error| fail(error.into()))?;
    if row.get(0) {
        return Err(read_only());
    }
    Ok(match (row.get(1), row.get(2)) {
        // Answered before the log is written.
        (_, true) => Durability::Delayed,
        (true, false) => Durability::Power,
        (false, false) => Durability::Process,
    })
}

impl Inner {
    pub(crate) fn now(&self) -> Option<Wall> {
        self.clock.as_ref().map(|clock| clock())
    }

    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms {
            schema: &self.schema,
            clock: self.now(),
            forget: self.forget,
        }
    }

    /// Sends hints: to this process at once, to others soon.
    pub(crate) fn hint(self: &Arc<Self>, hints: Hints) {
        if hints.is_empty() {
            return;
        }
        self.wakes.send(&hints);
        if self.outbox.add(hints) {
            self.address.net().spawn(notify::send(self.clone()));
        }
    }

    fn hint_queues<'n>(self: &Arc<Self>, queues: impl Iterator<Item = &'n Name>) {
        let mut hints = Hints::default();
        queues.for_each(|queue| hints.queue(queue));
        self.hint(hints);
    }

    async fn enqueue_in(
        &self,
        db: &Transaction<'_>,
        jobs: &[NewJob],
    ) -> Result<(Vec<Enqueued>, Hints), Failed> {
        if fast::plain(jobs) {
            let mut hints = Hints::default();
            let new = New::of(jobs, self.now());
            let rows = db
                .query_typed(&self.schema.sql(fast::ENQUEUE), &new.params())
                .await?;
            jobs.iter().for_each(|job| hints.queue(&job.spec.queue));
            return match fast::enqueued(jobs, &rows)? {
                Some(out) => Ok((out, hints)),
                None => Err(Failed::Again),
            };
        }
        let mut tx = Tx::begin(db, self.terms(), false).await?;
        let out = crate::tx::Call::run(&Enqueue(jobs), &mut tx).await?;
        Ok((out, tx.finish().await?))
    }

    /// Begins to listen, if nobody has.
    fn listen(self: &Arc<Self>) {
        if self.listens.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut ear = self.ear.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ear::At(Some(address)) = &*ear {
            let (alive, gone) = oneshot::channel();
            let address = Address::clone(address);
            let task = notify::listen(Arc::downgrade(self), address, gone);
            self.address.net().spawn(task);
            *ear = Ear::Open(alive);
        }
    }
}

impl JobStore for Postgres {
    fn caps(&self) -> Caps {
        self.0.caps
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        let inner = &self.0;
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        if fast::plain(jobs) {
            let new = New::of(jobs, inner.now());
            let rows = inner.write(fast::ENQUEUE, &new.params()).await?;
            if let Some(out) = fast::enqueued(jobs, &rows).map_err(unreadable)? {
                inner.hint_queues(jobs.iter().map(|job| &job.spec.queue));
                return Ok(out);
            }
        }
        inner.transact(&Enqueue(jobs)).await
    }

    async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        let inner = &self.0;
        let asked = Asked::of(req, inner.now());
        let rows = inner.one(fast::CLAIM, &asked.params(), Doubt::Done).await;
        match rows {
            Err(Failed::TooShort) => inner.transact(&Claim(req)).await,
            Err(failed) => Err(failed.into_store(Doubt::Done)),
            Ok(rows) => {
                let (claimed, flawed) = fast::claimed(req, &rows).map_err(unreadable)?;
                if !flawed.is_empty() {
                    inner.transact(&SetAside(&flawed, req.owner)).await?;
                }
                Ok(claimed)
            }
        }
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        let inner = &self.0;
        if settles.is_empty() {
            return Ok(Vec::new());
        }
        let Some(leases) = Leases::successes(settles, inner.now(), inner.forget) else {
            return inner.transact(&Settles(settles)).await;
        };
        match inner
            .one(fast::SUCCEED, &leases.of_success(), Doubt::Done)
            .await
        {
            Err(Failed::TooShort) => inner.transact(&Settles(settles)).await,
            Err(failed) => Err(failed.into_store(Doubt::Done)),
            Ok(rows) => {
                let row = rows
                    .first()
                    .ok_or_else(|| fatal("a settle had no answer"))?;
                let hints: Option<Vec<&str>> = row.try_get(1).map_err(unreadable)?;
                let hints: Vec<Name> = hints
                    .unwrap_or_default()
                    .into_iter()
                    .map(Name::readable)
                    .collect();
                inner.hint_queues(hints.iter());
                leases.settled(row).map_err(unreadable)
            }
        }
    }

    async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Result<Vec<Beaten>, StoreError> {
        let inner = &self.0;
        let mut out = vec![Beaten::Lost; beats.len()];
        let mut from = 0;
        while from < beats.len() {
            let (leases, next) = Leases::beats(beats, from, lease, inner.now());
            let rows = inner.write(fast::BEAT, &leases.of_beat()).await?;
            leases.beaten(&rows, &mut out).map_err(unreadable)?;
            from = next;
        }
        Ok(out)
    }

    async fn expired(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        view::expired(&self.0, after, limit).await
    }

    async fn cron_cas(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        self.0.transact(&Move(cas)).await
    }

    async fn cron_cell(&self, key: &Name) -> Result<CronOut, StoreError> {
        let inner = &self.0;
        let clock = inner.now().map(|time| time.0);
        let rows = inner
            .read(cron::LOOK, &[(&&**key, Type::TEXT), (&clock, Type::INT8)])
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| fatal("the server did not answer what was asked"))?;
        cron::look(row).map_err(unreadable)
    }

    async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        self.0.transact(&Ask(control)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        view::list(&self.0, filter, after, limit).await
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        self.0.transact(&Prune(limit)).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        view::stats(&self.0).await
    }

    async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        let wanted: Vec<Bits> = ids.iter().map(|id| row::id(*id)).collect();
        let sql = format!("SELECT {COLUMNS} FROM {{s}}.job WHERE id = ANY ($1)");
        let rows = self.0.read(&sql, &[(&wanted, Type::UUID_ARRAY)]).await?;
        let mut found = std::collections::BTreeMap::new();
        for row in &rows {
            let job = row::read(row).map_err(unreadable)?.job;
            found.insert(job.id(), job);
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.0.transact(&Audit).await
    }

    fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        if !self.0.caps.wakeups {
            return Box::pin(futures_util::stream::empty());
        }
        let hearing = self.0.wakes.subscribe(owner);
        self.0.listen();
        Box::pin(hearing)
    }
}

/// An answer that is none.
pub(crate) fn unreadable(error: tokio_postgres::Error) -> StoreError {
    fatal(&format!("the answer of the server cannot be read: {error}"))
}
