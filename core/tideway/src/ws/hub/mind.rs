//! What a hub does besides handing frames out: it minds the time of its shards, answers joins, gives what is for other nodes to [`nodes`](super::nodes), and tells the application what
//! happens in its rooms. Whoever serves the app runs [`Hub::tend`]; user code in it delays nothing but later events.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures_util::future::{join3, select};
use futures_util::task::AtomicWaker;
use tideway_engine::Mono;
use tideway_engine::hub::{Answer, Output};

use super::Hub;
use super::shard::{COUNT, each};
use crate::error::caught;

/// Which shards have something for whom, one bit each.
#[derive(Default)]
pub(super) struct Bells {
    due: Bell,
    news: Bell,
}

#[derive(Default)]
struct Bell {
    shards: AtomicU64,
    waker: AtomicWaker,
}

impl Bells {
    pub(super) fn ring(&self, at: usize, due: bool, news: bool) {
        if due {
            self.due.ring(at);
        }
        if news {
            self.news.ring(at);
        }
    }
}

impl Bell {
    fn ring(&self, at: usize) {
        let bit = 1 << at;
        if self.shards.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            self.waker.wake();
        }
    }

    /// Which rang since it was asked last.
    fn take(&self) -> u64 {
        self.shards.swap(0, Ordering::AcqRel)
    }

    /// Completes once any has rung.
    async fn rung(&self) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            match self.shards.load(Ordering::Acquire) {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
}

impl Hub {
    /// Minds time, tells [`RoomEvents`](super::RoomEvents), and speaks with other nodes, until it is dropped. For drivers: one at a time, as long as
    /// the app is served.
    pub async fn tend(&self) {
        join3(self.mind(), self.tell(), self.link()).await;
    }

    /// Completes when there is something to [`tend`](Self::tend). An app without rooms never does.
    pub async fn needs_tending(&self) {
        let Bells { due, news } = &self.0.bells;
        select(pin!(due.rung()), pin!(news.rung())).await;
    }

    async fn mind(&self) {
        let mut due = u64::MAX;
        let mut next = [None::<Mono>; COUNT];
        loop {
            let now = self.now();
            for (at, next) in next.iter_mut().enumerate() {
                if due >> at & 1 == 1 || next.is_some_and(|at| at <= now) {
                    *next = self.mind_shard(at, now);
                }
            }
            let rung = pin!(self.0.bells.due.rung());
            match next.iter().flatten().min() {
                None => rung.await,
                Some(first) => {
                    let sleep = self.0.tasks.sleep_until(*first);
                    select(rung, sleep).await;
                }
            }
            due = self.0.bells.due.take();
        }
    }

    /// Does what is due in one shard; when something will be next.
    fn mind_shard(&self, at: usize, now: Mono) -> Option<Mono> {
        self.visit(at, |shard| {
            if shard.rooms.poll_timeout().is_some_and(|(at, _)| at <= now) {
                shard.rooms.handle_timeout(now);
            }
            while let Some(output) = shard.rooms.poll() {
                match output {
                    Output::Answer(Answer::Joined {
                        conn,
                        topic,
                        joined,
                    }) => shard.answer(conn, topic, joined),
                    output => {
                        if let Some(nodes) = &self.0.nodes {
                            nodes.take(output);
                        }
                    }
                }
            }
            shard.minded = shard.rooms.poll_timeout().map(|(at, _)| at);
            shard.minded
        })
    }

    /// Tells events one by one, in turn from each shard.
    async fn tell(&self) {
        let Some(events) = &self.0.events else {
            return;
        };
        loop {
            for at in each(self.0.bells.news.take()) {
                // The bell rings again if there are more.
                let Some(event) = self.visit(at, |shard| shard.rooms.poll_event()) else {
                    continue;
                };
                let mut told = match caught(|| events.tell(self, event)) {
                    Ok(told) => told,
                    Err(panic) => {
                        tracing::error!(target: "tideway::ws", "`RoomEvents` {panic}");
                        continue;
                    }
                };
                poll_fn(|cx| match caught(|| told.as_mut().poll(cx)) {
                    Ok(polled) => polled,
                    Err(panic) => {
                        tracing::error!(target: "tideway::ws", "`RoomEvents` {panic}");
                        Poll::Ready(())
                    }
                })
                .await;
            }
            self.0.bells.news.rung().await;
        }
    }
}
