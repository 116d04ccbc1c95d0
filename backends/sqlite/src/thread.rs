//! The thread that owns a connection, and the calls it is sent. Calls that wait are done together in
//! one transaction; each is answered after the commit. Never runs a runtime, never blocks a caller's thread.

use std::sync::Arc;
use std::thread::JoinHandle;

use async_channel::{Receiver, Sender};
use rusqlite::Connection;
use tideway::jobs::hints::{Hints, Wakes};
use tideway::jobs::{StoreClock, StoreError};
use tideway_engine::Wall;

use crate::error::{fatal, of_commit, refused};
use crate::tx::Tx;

/// Calls that wait for the thread; one more waits in its caller.
const ROOM: usize = 256;

/// Calls of one transaction at most, so that the first is not answered too late.
const TOGETHER: usize = 64;

/// A call on its way. It may be run again if the transaction it was part of came to nothing.
trait Work: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    fn answer(&mut self, failed: Option<StoreError>);
}

struct Call<T, F> {
    work: F,
    out: Option<T>,
    reply: Sender<Result<T, StoreError>>,
}

impl<T, F> Work for Call<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.out = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(&mut self, failed: Option<StoreError>) {
        let answer = match (failed, self.out.take()) {
            (None, Some(out)) => Ok(out),
            (Some(error), _) => Err(error),
            (None, None) => Err(fatal("the call was not run")),
        };
        // A caller that has gone away needs no answer.
        let _ = self.reply.try_send(answer);
    }
}

/// What a thread does with its calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Changes the file; calls share transactions.
    Writer,
    /// Reads it; each call sees the newest commit.
    Reader,
}

/// A handle on the thread; the thread ends when it is dropped, the calls that wait done.
pub(crate) struct Thread {
    calls: Option<Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    pub(crate) fn start(
        role: Role,
        db: Connection,
        clock: StoreClock,
        hub: Arc<Wakes>,
    ) -> Result<Self, StoreError> {
        let (to, from) = async_channel::bounded(ROOM);
        let name = match role {
            Role::Writer => "jobs-sqlite",
            Role::Reader => "jobs-sqlite-read",
        };
        let worker = Worker {
            role,
            db,
            clock,
            hub,
        };
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || worker.serve(from))
            .map_err(|error| {
                StoreError::Transient(format!("no thread could be started: {error}").into())
            })?;
        Ok(Self {
            calls: Some(to),
            thread: Some(thread),
        })
    }

    /// Has the thread do `work` in a transaction. A caller that stops waiting does not stop the call.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = || {
            fatal(
                "the store's thread has ended, as its clock or SQLite panicked: open the file again",
            )
        };
        let (reply, answer) = async_channel::bounded(1);
        let call = Box::new(Call {
            work,
            out: None,
            reply,
        });
        let calls = self.calls.as_ref().ok_or_else(ended)?;
        calls.send(call).await.map_err(|_| ended())?;
        answer.recv().await.unwrap_or_else(|_| {
            Err(StoreError::Ambiguous(
                "the store's thread ended before it answered".into(),
            ))
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.calls.take());
        if let Some(thread) = self.thread.take()
            // The last handle may go with a future that the thread itself has just woken.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// The thread's end of the calls. However the thread ends, nobody waits for it then: calls that it has not
/// taken go with this.
struct Calls(Receiver<Box<dyn Work>>);

impl Drop for Calls {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

struct Worker {
    role: Role,
    db: Connection,
    clock: StoreClock,
    hub: Arc<Wakes>,
}

impl Worker {
    fn serve(self, calls: Receiver<Box<dyn Work>>) {
        let most = match self.role {
            Role::Writer => TOGETHER,
            Role::Reader => 1,
        };
        let mut group = Vec::with_capacity(most);
        // Closed before the calls in `group` are told, should one of them panic.
        let Calls(calls) = &Calls(calls);
        while let Ok(first) = calls.recv_blocking() {
            group.push(first);
            while group.len() < most
                && let Ok(next) = calls.try_recv()
            {
                group.push(next);
            }
            self.serve_group(&mut group);
            group.clear();
        }
    }

    fn serve_group(&self, group: &mut [Box<dyn Work>]) {
        match self.transact(group) {
            Ok(()) => {
                for call in group {
                    call.answer(None);
                }
            }
            Err(error) if group.len() == 1 || matches!(error, StoreError::Transient(_)) => {
                for call in group {
                    call.answer(Some(error.clone()));
                }
            }
            // One of them failed: each goes alone. A savepoint for each would spare the others that, but have
            // SQLite copy every page that a call changes, and nearly all calls succeed.
            Err(_) => {
                for call in group.chunks_mut(1) {
                    self.serve_group(call);
                }
            }
        }
    }

    /// Runs the calls in one transaction, all or none.
    fn transact(&self, group: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        let begin = match self.role {
            Role::Writer => "BEGIN IMMEDIATE",
            Role::Reader => "BEGIN",
        };
        self.exec(begin).map_err(|error| refused(&error))?;
        let ended = match self.run(group, (self.clock)()) {
            Ok(hints) => self
                .exec("COMMIT")
                .map(|()| hints)
                .map_err(|error| of_commit(&error)),
            Err(error) => Err(refused(&error)),
        };
        if ended.is_err() && !self.db.is_autocommit() {
            let _ = self.exec("ROLLBACK");
        }
        self.hub.send(&ended?);
        Ok(())
    }

    fn run(&self, group: &mut [Box<dyn Work>], now: Wall) -> rusqlite::Result<Hints> {
        let mut hints = Hints::default();
        for call in group {
            let mut tx = Tx::new(&self.db, now);
            call.run(&mut tx)?;
            hints.append(tx.finish()?);
        }
        Ok(hints)
    }

    fn exec(&self, sql: &str) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
