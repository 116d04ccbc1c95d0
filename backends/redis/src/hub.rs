//! Hints from the servers to the workers of this handle.

use std::sync::Weak;
use std::time::Duration;

use async_channel::Receiver;
use redis::{PushKind, Value};
use tideway::jobs::StoreError;
use tideway::jobs::hints::Hints;
use tideway_driver::Net;
use tideway_engine::jobs::{Id, Owner};

use crate::connection::Connection;
use crate::error::transient;
use crate::open;
use crate::row::Reader;
use crate::store::Inner;

/// How long a connection that says nothing is trusted.
const QUIET: Duration = Duration::from_secs(10);

/// What a script published: `q` and a queue, `c` and an owner and its job, one after the other. What cannot be read
/// ends it.
fn heard(message: &[u8]) -> Hints {
    let mut from = Reader(message);
    let mut hints = Hints::default();
    while let Some(what) = from.byte() {
        match what {
            b'q' => match from.name() {
                Some(queue) => hints.queue(&queue),
                None => break,
            },
            b'c' => match cancel(&mut from) {
                Some(cancel) => hints.cancels.push(cancel),
                None => break,
            },
            _ => break,
        }
    }
    hints
}

fn cancel(from: &mut Reader<'_>) -> Option<(Owner, Id)> {
    let owner = from.array().map(u128::from_be_bytes)?;
    Some((Owner(owner), from.id()?))
}

/// Listens to the channel until the store is closed; connects again whenever the connection breaks.
pub(crate) async fn listen(net: Net, inner: Weak<Inner>, first: Connection, closed: Receiver<()>) {
    let mut first = Some(first);
    let connection = || {
        let (inner, first) = (inner.clone(), first.take());
        async move {
            let connection = match first {
                None => again(&inner).await,
                first => first,
            };
            if let Some(connection) = connection {
                until_broken(&inner, connection).await;
            }
        }
    };
    net.reconnect(closed.recv(), connection).await;
}

/// Another connection. Hints were missed: everything that has jobs is worth a look.
async fn again(inner: &Weak<Inner>) -> Option<Connection> {
    let store = inner.upgrade()?;
    let connection = subscribe(&store).await.ok()?;
    store.hint_all().await;
    Some(connection)
}

/// Passes hints on; asks now and then whether the server is still there.
async fn until_broken(inner: &Weak<Inner>, mut connection: Connection) {
    let mut asked = false;
    loop {
        let Some(store) = inner.upgrade() else {
            return;
        };
        let (net, wakes) = (store.nodes.net.clone(), store.wakes.clone());
        drop(store);
        match net.within(QUIET, connection.reply()).await {
            Some(Ok(Value::Push { kind, data })) => {
                if kind == PushKind::Message
                    && let Some(Value::BulkString(message)) = data.get(1)
                {
                    wakes.send(&heard(message));
                }
            }
            Some(Ok(_)) => asked = false,
            Some(Err(_)) => return,
            None if asked => return,
            None => {
                let ping = redis::cmd("PING").get_packed_command();
                let written = connection.write(&ping);
                if !matches!(net.within(QUIET, written).await, Some(Ok(()))) {
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
        if self.wakes.owners().is_empty() {
            return;
        }
        let Ok(stats) = self.stats().await else {
            return;
        };
        let pending = stats.queues.into_iter().filter(|queue| queue.pending > 0);
        self.wakes.send(&Hints {
            queues: pending.map(|queue| queue.queue).collect(),
            cancels: Vec::new(),
        });
    }
}
