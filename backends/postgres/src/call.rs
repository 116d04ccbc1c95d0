//! How a call is made: a connection within the time it has, one statement or one transaction on it, and
//! what its failure means.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use deadpool::managed::{Object, PoolError};
use tideway::jobs::StoreError;
use tokio_postgres::Row;

use crate::connect::{Address, Conn};
use crate::error::{Doubt, Failed, fatal, lost, transient};
use crate::pool::Loan;
use crate::schema;
use crate::sql::Param;
use crate::store::Inner;
use crate::tx::{Call, Tx};

/// How often a call is made that another transaction is in the way of.
const ATTEMPTS: u32 = 5;

/// How far a call has come.
#[derive(Default)]
struct Stage(AtomicU8);

impl Stage {
    const INSIDE: u8 = 1;
    const IN_DOUBT: u8 = 2;

    fn is(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    /// The error of a call that was given up here.
    fn late(&self, inner: &Inner) -> StoreError {
        let time = inner.timeout;
        match self.0.load(Ordering::Relaxed) {
            Self::IN_DOUBT => lost(&format!("no answer within {time:?}"), Doubt::Done),
            Self::INSIDE => lost(&format!("no answer within {time:?}"), Doubt::None),
            _ => transient(&format!(
                "no connection within {time:?}: all {} are in use, or the server does not answer; raise \
                 `Options::connections` if this happens under load",
                inner.pool.status().max_size
            )),
        }
    }
}

/// A connection in use. Dropped before [`done`](Busy::done), it is closed, and the server told to stop.
struct Busy<'a> {
    loan: Option<Loan>,
    answered: bool,
    address: &'a Address,
}

impl Deref for Busy<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.loan.as_ref().expect("it is taken when it is dropped")
    }
}

impl DerefMut for Busy<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.loan.as_mut().expect("it is taken when it is dropped")
    }
}

impl Busy<'_> {
    /// The call has its answer.
    fn done(mut self) {
        self.answered = true;
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let Some(loan) = self.loan.take() else {
            return;
        };
        if self.answered && !loan.client.is_closed() {
            return;
        }
        let conn = Object::take(loan);
        if !conn.client.is_closed() {
            self.address.cancel(&conn.client);
        }
    }
}

impl Inner {
    /// A statement that changes nothing.
    pub(crate) async fn read(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        self.one(sql, params, Doubt::None)
            .await
            .map_err(|failed| failed.into_store(Doubt::None))
    }

    /// A statement that is a whole call.
    pub(crate) async fn write(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        self.one(sql, params, Doubt::Done)
            .await
            .map_err(|failed| failed.into_store(Doubt::Done))
    }

    /// One statement. `doubt`: what may have become of it when there is no answer.
    pub(crate) async fn one(
        &self,
        sql: &str,
        params: &[Param<'_>],
        doubt: Doubt,
    ) -> Result<Vec<Row>, Failed> {
        let stage = Stage::default();
        let sql = self.schema.sql(sql);
        let work = async {
            let mut tried = 1;
            loop {
                match self.once(&sql, params, doubt, &stage).await {
                    Err(Failed::Again) if tried < ATTEMPTS => tried += 1,
                    done => return done,
                }
            }
        };
        match self.address.net().within(self.timeout, work).await {
            Some(done) => done,
            None => Err(Failed::Store(stage.late(self))),
        }
    }

    async fn once(
        &self,
        sql: &str,
        params: &[Param<'_>],
        doubt: Doubt,
        stage: &Stage,
    ) -> Result<Vec<Row>, Failed> {
        let busy = self.busy().await?;
        stage.is(if doubt == Doubt::Done {
            Stage::IN_DOUBT
        } else {
            Stage::INSIDE
        });
        let done = busy
            .client
            .query_typed(sql, params)
            .await
            .map_err(Failed::from);
        let done = match done {
            Err(failed) if failed.doubts_schema() => {
                Err(schema::explain(failed, &busy.client, &self.schema).await)
            }
            done => done,
        };
        self.settle_up(busy, done.as_ref().err());
        done
    }

    /// A transaction.
    pub(crate) async fn transact<C: Call>(
        self: &Arc<Self>,
        call: &C,
    ) -> Result<C::Out, StoreError> {
        let stage = Stage::default();
        let work = async {
            let mut tried = 1;
            loop {
                match self.attempt(call, &stage).await {
                    Err((Failed::Again, _)) if tried < ATTEMPTS => tried += 1,
                    Err((failed, doubt)) => return Err(failed.into_store(doubt)),
                    Ok(out) => return Ok(out),
                }
            }
        };
        match self.address.net().within(self.timeout, work).await {
            Some(done) => done,
            None => Err(stage.late(self)),
        }
    }

    async fn attempt<C: Call>(
        self: &Arc<Self>,
        call: &C,
        stage: &Stage,
    ) -> Result<C::Out, (Failed, Doubt)> {
        let sure = |failed: Failed| (failed, Doubt::None);
        let mut busy = self.busy().await.map_err(sure)?;
        stage.is(Stage::INSIDE);
        let db = match busy.client.transaction().await {
            Ok(db) => db,
            Err(error) => return Err(sure(error.into())),
        };
        let done = async {
            let mut tx = Tx::begin(&db, self.terms(), call.exclusive()).await?;
            let out = call.run(&mut tx).await?;
            Ok((out, tx.finish().await?))
        };
        let done: Result<_, Failed> = done.await;
        let (out, hints) = match done {
            Ok(done) => done,
            Err(failed) => {
                // If it cannot be rolled back, the connection is gone, and so is the transaction.
                let _ = db.rollback().await;
                let failed = match failed.doubts_schema() {
                    true => schema::explain(failed, &busy.client, &self.schema).await,
                    false => failed,
                };
                self.settle_up(busy, Some(&failed));
                return Err(sure(failed));
            }
        };
        stage.is(Stage::IN_DOUBT);
        if let Err(error) = db.commit().await {
            let failed = Failed::from(error);
            self.settle_up(busy, Some(&failed));
            return Err((failed, Doubt::Done));
        }
        busy.done();
        self.hint(hints);
        Ok(out)
    }

    /// Gives a connection back that has answered, unless another server should be looked for.
    fn settle_up(&self, busy: Busy<'_>, failed: Option<&Failed>) {
        if !failed.is_some_and(Failed::wants_another_server) {
            busy.done();
        }
    }

    async fn busy(&self) -> Result<Busy<'_>, Failed> {
        let loan = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            error => fatal(&error.to_string()),
        })?;
        Ok(Busy {
            loan: Some(loan),
            answered: false,
            address: &self.address,
        })
    }
}
