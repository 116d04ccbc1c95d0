//! Hints from the servers to the listeners of this handle. Bounded, never waited for: a hint that finds no room is
//! dropped, as there are some already.

use std::sync::{Mutex, Weak};
use std::time::Duration;

use async_channel::{Receiver, Sender, TrySendError};
use futures_util::future::{Either, select};
use redis::{Pipeline, PushKind, Value};
use tideway::jobs::StoreError;
use tideway_engine::jobs::call::Wake;
use tideway_engine::jobs::{Id, Owner};

use crate::connection::{Connection, within};
use crate::error::transient;
use crate::nodes::lock;
use crate::open;
use crate::row::Reader;
use crate::store::Inner;

/// Hints that one listener has not taken yet.
const ROOM: usize = 256;

/// How long a connection that says nothing is trusted.
const QUIET: Duration = Duration::from_secs(10);

/// How long to wait before connecting again, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The listeners of one handle.
#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<Vec<(Owner, Sender<Wake>)>>);

impl Hub {
    pub(crate) fn listen(&self, owner: Owner) -> Receiver<Wake> {
        let (to, from) = async_channel::bounded(ROOM);
        let mut all = lock(&self.0);
        all.retain(|(_, to)| !to.is_closed());
        all.push((owner, to));
        from
    }

    fn send(&self, wake: &Wake, only: Option<Owner>) {
        lock(&self.0).retain(|(owner, to)| {
            if only.is_some_and(|only| only != *owner) {
                return !to.is_closed();
            }
            !matches!(to.try_send(wake.clone()), Err(TrySendError::Closed(_)))
        });
    }

    /// What a script published: `q` and a queue, `c` and an owner and its job, one after the other.
    fn heard(&self, message: &[u8]) {
        let mut from = Reader(message);
        while let Some(what) = from.byte() {
            let read = match what {
                b'q' => from
                    .name()
                    .map(|queue| self.send(&Wake::Queue(queue), None)),
                b'c' => cancel(&mut from).map(|(owner, id)| {
                    self.send(&Wake::Cancel(vec![id]), Some(owner));
                }),
                _ => None,
            };
            if read.is_none() {
                return;
            }
        }
    }

    fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

fn cancel(from: &mut Reader<'_>) -> Option<(Owner, Id)> {
    let owner = from.array().map(u128::from_be_bytes)?;
    Some((Owner(owner), from.id()?))
}

/// Listens to the channel until the store is closed; connects again whenever the connection breaks.
pub(crate) async fn listen(inner: Weak<Inner>, first: Connection, closed: Receiver<()>) {
    let mut connection = Some(first);
    let mut pause = AGAIN.0;
    loop {
        if let Some(current) = connection.take() {
            pause = AGAIN.0;
            let ended = std::pin::pin!(until_broken(&inner, current));
            if let Either::Right(_) = select(ended, std::pin::pin!(closed.recv())).await {
                return;
            }
        }
        let Some(store) = inner.upgrade() else {
            return;
        };
        let net = store.nodes.net.clone();
        match subscribe(&store).await {
            Ok(new) => {
                connection = Some(new);
                // Hints were missed: everything that has jobs is worth a look.
                store.hint_all().await;
            }
            Err(_) => {
                drop(store);
                let sleep = net.sleep(pause);
                if let Either::Right(_) = select(sleep, std::pin::pin!(closed.recv())).await {
                    return;
                }
                pause = (pause * 2).min(AGAIN.1);
            }
        }
    }
}

/// Passes hints on; asks now and then whether the server is still there.
async fn until_broken(inner: &Weak<Inner>, mut connection: Connection) {
    let mut asked = false;
    loop {
        let Some(store) = inner.upgrade() else {
            return;
        };
        let (net, hub) = (store.nodes.net.clone(), store.hub.clone());
        drop(store);
        match within(&net, QUIET, connection.reply()).await {
            Some(Ok(Value::Push { kind, data })) => {
                if kind == PushKind::Message
                    && let Some(Value::BulkString(message)) = data.get(1)
                {
                    hub.heard(message);
                }
            }
            Some(Ok(_)) => asked = false,
            Some(Err(_)) => return,
            None if asked => return,
            None => {
                let mut ping = Pipeline::new();
                ping.cmd("PING");
                let ping = ping.get_packed_pipeline();
                let written = connection.write(&ping);
                if !matches!(within(&net, QUIET, written).await, Some(Ok(()))) {
                    return;
                }
                asked = true;
            }
        }
    }
}

/// A connection on which hints come in.
pub(crate) async fn subscribe(store: &Inner) -> Result<Connection, StoreError> {
    let mut last = None;
    for address in store.nodes.masters().await? {
        let connecting = store.nodes.connecting(&address);
        match connecting.subscribe(&open::channel(&store.prefix)).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| transient("there is no server to listen to")))
}

impl Inner {
    async fn hint_all(&self) {
        if self.hub.is_empty() {
            return;
        }
        let Ok(stats) = self.stats().await else {
            return;
        };
        for queue in stats.queues {
            if queue.pending > 0 {
                self.hub.send(&Wake::Queue(queue.queue), None);
            }
        }
    }
}
