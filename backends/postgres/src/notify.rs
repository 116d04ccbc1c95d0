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
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client};

use crate::connect::Address;
use crate::error::Doubt;
use crate::row;
use crate::sql::Bits;
use crate::store::Inner;

/// Cancelled jobs in one message: it has 8000 bytes at most.
const IDS: usize = 200;

/// A connection on which nothing was heard for so long is asked whether it lives.
const QUIET: Duration = Duration::from_secs(10);

/// And has so long to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Between two attempts to connect: the first wait and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

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
pub(crate) async fn listen(store: Weak<Inner>, address: Address, mut gone: oneshot::Receiver<()>) {
    let mut wait = WAITS.0;
    while let Some(inner) = store.upgrade() {
        let listen = format!("LISTEN \"{}\"", inner.schema.channel());
        drop(inner);
        let begun = address.net().now().mono;
        let lives = once(&store, &address, &listen, &mut gone).await;
        if !lives {
            return;
        }
        if address.net().now().mono.since(begun) > QUIET {
            wait = WAITS.0;
        }
        let sleep = address.net().sleep(wait);
        if let Either::Left(_) = select(&mut gone, sleep).await {
            return;
        }
        wait = (wait * 2).min(WAITS.1);
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Send>>;

/// How the wait for something ended.
enum Heard<T> {
    Done(T),
    /// The connection or its server is gone.
    Lost,
    /// The store is.
    Gone,
}

/// One connection, to its end; false if nobody listens any more.
async fn once(
    store: &Weak<Inner>,
    address: &Address,
    listen: &str,
    gone: &mut oneshot::Receiver<()>,
) -> bool {
    let open = address.within(ANSWER, address.open());
    let (client, mut connection) = match select(pin!(open), &mut *gone).await {
        Either::Left((Some(Ok(open)), _)) => open,
        Either::Left(_) => return true,
        Either::Right(_) => return false,
    };
    let mut messages: Messages = Box::pin(stream::poll_fn(move |cx| connection.poll_message(cx)));
    let ask = |text: &'static str| ask(&client, text.to_owned());
    let asked = self::ask(&client, listen.to_owned());
    if let Some(over) = ended(hear(store, &mut messages, address.within(ANSWER, asked), gone).await)
    {
        return over;
    }
    // Whatever was said before, or while there was no connection, nobody heard.
    let everything = async {
        if let Some(inner) = store.upgrade() {
            let _ = inner.hint_at_all().await;
        }
        Some(true)
    };
    if let Some(over) = ended(hear(store, &mut messages, everything, gone).await) {
        return over;
    }
    loop {
        let quiet = address.net().sleep(QUIET);
        match hear(store, &mut messages, quiet, gone).await {
            Heard::Done(()) => {}
            Heard::Lost => return true,
            Heard::Gone => return false,
        }
        let asked = address.within(ANSWER, ask(""));
        if let Some(over) = ended(hear(store, &mut messages, asked, gone).await) {
            return over;
        }
    }
}

async fn ask(client: &Client, text: String) -> bool {
    client.batch_execute(&text).await.is_ok()
}

/// `None` to go on; else whether to connect again.
fn ended(heard: Heard<Option<bool>>) -> Option<bool> {
    match heard {
        Heard::Done(Some(true)) => None,
        Heard::Done(_) | Heard::Lost => Some(true),
        Heard::Gone => Some(false),
    }
}

/// Passes on what is said until `until` is done.
async fn hear<T>(
    store: &Weak<Inner>,
    messages: &mut Messages,
    until: impl Future<Output = T>,
    gone: &mut oneshot::Receiver<()>,
) -> Heard<T> {
    let mut until = pin!(until);
    loop {
        let next = select(messages.next(), &mut until);
        match select(next, &mut *gone).await {
            Either::Right(_) => return Heard::Gone,
            Either::Left((Either::Right((done, _)), _)) => return Heard::Done(done),
            Either::Left((Either::Left((Some(Ok(message)), _)), _)) => {
                let Some(inner) = store.upgrade() else {
                    return Heard::Gone;
                };
                if let AsyncMessage::Notification(note) = message {
                    inner.wakes.send(&hints(note.payload(), inner.tag));
                }
            }
            Either::Left((Either::Left(_), _)) => return Heard::Lost,
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
            hints.queues.insert(row::name(row.get(0)));
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
