//! Hints between processes, by NOTIFY and LISTEN. A hint may be lost: whoever missed one looks by itself, seconds
//! later.
//!
//! NOTIFY takes a lock that the whole server shares until its commit. So it never travels with a call's own
//! commit, and of one process at most one is under way: what comes meanwhile goes together with the next. It is sent
//! whether or not somebody seems to wait: one who has just seen a lane empty may be on his way to sleep.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt, stream};
use tideway::jobs::StoreError;
use tideway::jobs::hints::Hints;
use tideway_engine::jobs::{Id, Name, Owner};
use tokio_postgres::AsyncMessage;
use tokio_postgres::types::Type;

use crate::connect::Address;
use crate::error::Doubt;
use crate::sql::Bits;
use crate::store::Inner;

/// Cancelled jobs in one message: it has 8000 bytes at most.
const IDS: usize = 200;

/// A connection on which nothing was heard for so long is asked whether it lives.
const QUIET: Duration = Duration::from_secs(10);

/// And has so long to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What waits to be sent.
#[derive(Default)]
pub(crate) struct Outbox(Mutex<(Hints, bool)>);

impl Outbox {
    /// Adds hints; whether the caller shall begin to send.
    pub(crate) fn add(&self, hints: Hints) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.append(hints);
        !std::mem::replace(&mut inner.1, true)
    }

    /// What there is to send; nothing, and the sending is over.
    fn take(&self) -> Option<Hints> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hints = std::mem::take(&mut inner.0);
        inner.1 = !hints.is_empty();
        inner.1.then_some(hints)
    }
}

/// As messages of the process `tag`.
pub(crate) fn messages(hints: &Hints, tag: u64) -> Vec<String> {
    let mut all: Vec<String> = hints
        .queues
        .iter()
        .map(|queue| format!("{tag:016x}q{queue}"))
        .collect();
    let mut cancels = hints.cancels.clone();
    cancels.sort_unstable();
    for of in cancels.chunk_by(|a, b| a.0 == b.0) {
        for some in of.chunks(IDS) {
            let mut text = format!("{tag:016x}c{}", of[0].0);
            some.iter()
                .for_each(|(_, id)| text += &format!("{:032x}", id.as_u128()));
            all.push(text);
        }
    }
    all
}

/// What another process says; nothing if it is this one, or no message of ours.
fn hints(text: &str, tag: u64) -> Hints {
    let mut hints = Hints::default();
    let Some((from, rest)) = text.split_at_checked(16) else {
        return hints;
    };
    if u64::from_str_radix(from, 16) == Ok(tag) {
        return hints;
    }
    match rest.split_at_checked(1) {
        Some(("q", queue)) => hints.queues.extend(Name::new(queue)),
        Some(("c", rest)) => {
            let all = rest.as_bytes().chunks(32);
            let all = all
                .filter_map(|bits| u128::from_str_radix(std::str::from_utf8(bits).ok()?, 16).ok());
            let mut all = all.collect::<Vec<u128>>().into_iter();
            if let Some(owner) = all.next() {
                hints
                    .cancels
                    .extend(all.map(|id| (Owner(owner), Id::from_u128(id))));
            }
        }
        _ => {}
    }
    hints
}

/// Sends what is in the outbox until it is empty.
pub(crate) async fn send(inner: Arc<Inner>) {
    while let Some(hints) = inner.outbox.take() {
        // A hint need not outlive a crash: its commit waits for no disk.
        let sql = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, n) FROM unnest($2) AS n";
        let channel = inner.schema.channel();
        let texts = messages(&hints, inner.tag);
        let params = [(&channel as _, Type::TEXT), (&texts as _, Type::TEXT_ARRAY)];
        // Hints that are lost are missed for seconds; to keep them would only send them in a crowd.
        let _ = inner.one(sql, &params, Doubt::None).await;
    }
}

/// Listens until the store is gone; connects again whenever it must.
pub(crate) async fn listen(store: Weak<Inner>, address: Address, gone: oneshot::Receiver<()>) {
    let connection = || once(&store, &address);
    address.net().reconnect(gone, connection).await;
}

type Messages = Pin<Box<dyn Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Send>>;

/// One connection, to its end.
async fn once(store: &Weak<Inner>, address: &Address) {
    let Some(channel) = store.upgrade().map(|inner| inner.schema.channel()) else {
        return;
    };
    let net = address.net();
    let Some(Ok((client, mut connection))) = net.within(ANSWER, address.open()).await else {
        return;
    };
    let mut messages: Messages = Box::pin(stream::poll_fn(move |cx| connection.poll_message(cx)));
    let listen = format!("LISTEN \"{channel}\"");
    let asked = net.within(ANSWER, client.batch_execute(&listen));
    let Some(Some(Ok(()))) = hear(store, &mut messages, asked).await else {
        return;
    };
    // Whatever was said before, or while there was no connection, nobody heard.
    let everything = async {
        if let Some(inner) = store.upgrade() {
            let _ = inner.hint_at_all().await;
        }
    };
    if hear(store, &mut messages, everything).await.is_none() {
        return;
    }
    while let Some(()) = hear(store, &mut messages, net.sleep(QUIET)).await {
        let asked = net.within(ANSWER, client.batch_execute(""));
        let Some(Some(Ok(()))) = hear(store, &mut messages, asked).await else {
            return;
        };
    }
}

/// Passes on what is said until `until` is done; `None` if the connection or its server is gone before.
async fn hear<T>(
    store: &Weak<Inner>,
    messages: &mut Messages,
    until: impl Future<Output = T>,
) -> Option<T> {
    let mut until = pin!(until);
    loop {
        match select(messages.next(), &mut until).await {
            Either::Right((done, _)) => return Some(done),
            Either::Left((Some(Ok(message)), _)) => {
                if let AsyncMessage::Notification(note) = message
                    && let Some(inner) = store.upgrade()
                {
                    inner.wakes.send(&hints(note.payload(), inner.tag));
                }
            }
            Either::Left(_) => return None,
        }
    }
}

impl Inner {
    /// Hints at every queue there is, and at every cancel request of those who listen.
    async fn hint_at_all(&self) -> Result<(), StoreError> {
        let mut hints = Hints::default();
        let rows = self
            .read("SELECT DISTINCT queue FROM {s}.tally", &[])
            .await?;
        for row in &rows {
            hints.queues.insert(Name::readable(row.get(0)));
        }
        let owners: Vec<Bits> = self
            .wakes
            .owners()
            .into_iter()
            .map(|owner| Bits(owner.0))
            .collect();
        let sql =
            "SELECT owner, id FROM {s}.job WHERE state = 2 AND flags & 1 = 1 AND owner = ANY ($1)";
        for row in &self.read(sql, &[(&owners, Type::UUID_ARRAY)]).await? {
            let (owner, id): (Bits, Bits) = (row.get(0), row.get(1));
            hints.cancels.push((Owner(owner.0), Id::from_u128(id.0)));
        }
        self.wakes.send(&hints);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_was_meant_to_all_but_its_sender() {
        let mut meant = Hints::default();
        meant.queue(&Name::new("mail é").unwrap());
        meant.cancels = (0..450).map(|n| (Owner(n % 2), Id::from_u128(n))).collect();
        let all = messages(&meant, 7);
        assert_eq!(all.len(), 1 + 4);
        assert!(all.iter().all(|text| text.len() < 8000));
        let mut heard = Hints::default();
        for text in &all {
            assert!(hints(text, 7).is_empty());
            let some = hints(text, 8);
            heard.append(some);
        }
        meant.cancels.sort_unstable();
        assert_eq!((heard.queues, heard.cancels), (meant.queues, meant.cancels));
        for strange in [
            "",
            "x",
            "0000000000000001",
            "0000000000000001c",
            "0000000000000001zé",
            "ééééééééé",
        ] {
            assert!(hints(strange, 7).is_empty(), "{strange}");
        }
    }
}
