//! One shard: its rooms, who waits for other nodes, and how a frame gets from a room's log into the queues of sockets. The
//! lock is let go between holds, and nobody is woken under it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tideway_engine::hub::{
    Batch, Config, Conn, Counts, Frame as _, HOLD, Joined, Post, Reach, Refused, Rooms, Rules,
    Topic, Turn,
};
use tideway_engine::ws::{Encoded, Parcel};
use tideway_engine::{Mono, Rng};

use super::super::Cause;
use super::super::meeting::{Meeting, State};
use super::{Hub, RoomError, round};

/// Shards of a hub.
pub(super) const COUNT: usize = 16;

pub(super) struct Shards([Mutex<Shard>; COUNT]);

pub(super) struct Shard {
    pub(super) rooms: Rooms<Arc<Meeting>, Encoded>,
    /// Joins that wait for other nodes.
    waiting: BTreeMap<(Conn, Topic), Wait>,
    /// When somebody comes to see what is due, if anybody does.
    pub(super) minded: Option<Mono>,
    /// Whom to wake once the lock is free.
    woken: Vec<Waker>,
    /// The turn to hand out is free: a [`round`](super::round) has held back what there is.
    held: bool,
}

enum Wait {
    Since(Option<Waker>),
    Over(Joined),
}

impl Shards {
    pub(super) fn new(config: &Config, rng: &mut Rng) -> Self {
        Self(std::array::from_fn(|_| {
            Mutex::new(Shard {
                rooms: Rooms::new(config.clone(), &rng.fork()),
                waiting: BTreeMap::new(),
                minded: None,
                woken: Vec::new(),
                held: false,
            })
        }))
    }

    pub(super) fn lock(&self, at: usize) -> MutexGuard<'_, Shard> {
        self.0[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        (0..COUNT).map(|at| self.lock(at).rooms.counts()).sum()
    }
}

/// The numbers of the bits that are set.
pub(super) fn each(bits: u64) -> impl Iterator<Item = usize> {
    (0..COUNT).filter(move |at| bits >> at & 1 == 1)
}

impl Shard {
    /// A join waits for other nodes.
    pub(super) fn wait(&mut self, conn: Conn, topic: &Topic) {
        let place = (conn, topic.clone());
        self.waiting.insert(place, Wait::Since(None));
    }

    /// Its wait is over.
    pub(super) fn answer(&mut self, conn: Conn, topic: Topic, joined: Joined) {
        if let Some(wait) = self.waiting.get_mut(&(conn, topic))
            && let Wait::Since(Some(waker)) = std::mem::replace(wait, Wait::Over(joined))
        {
            self.woken.push(waker);
        }
    }

    /// Nobody waits any more for `conn` to join `topic`, or anything.
    pub(super) fn give_up(&mut self, conn: Conn, topic: Option<&Topic>) {
        if self.waiting.is_empty() {
            return;
        }
        let woken = &mut self.woken;
        self.waiting.retain(|(who, place), wait| {
            let stays = *who != conn || topic.is_some_and(|topic| topic != place);
            if !stays && let Wait::Since(waker) = wait {
                woken.extend(waker.take());
            }
            stays
        });
    }

    /// How a join ended: `None` inside if its membership did first.
    pub(super) fn poll_joined(
        &mut self,
        conn: Conn,
        topic: &Topic,
        cx: &Context<'_>,
    ) -> Poll<Option<Joined>> {
        let place = (conn, topic.clone());
        match self.waiting.get_mut(&place) {
            None => Poll::Ready(None),
            Some(Wait::Since(waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Wait::Over(joined)) => {
                let joined = *joined;
                self.waiting.remove(&place);
                Poll::Ready(Some(joined))
            }
        }
    }

    /// Hands out if the turn is the caller's, or free; later if `hold`.
    fn turn(&mut self, turn: Turn, hold: bool) -> Turn {
        let free = std::mem::take(&mut self.held);
        if turn == Turn::Done && !free {
            return Turn::Done;
        }
        self.held = hold;
        if hold { Turn::Done } else { self.fan() }
    }

    /// Hands out to as many as one hold of the lock serves.
    pub(super) fn fan(&mut self) -> Turn {
        let (woken, mut joined) = (&mut self.woken, None);
        self.rooms.fan(HOLD, |to, batch| {
            let alike = alike(&batch, &mut joined);
            deliver(to, &batch, alike, woken);
        })
    }
}

/// The frames of a batch as one, made for the first of those who get the same.
fn alike<'a>(
    batch: &Batch<'_, Encoded>,
    joined: &'a mut Option<(u64, Option<Parcel>)>,
) -> Option<&'a Parcel> {
    let number = batch.alike()?;
    if joined.as_ref().is_none_or(|(last, _)| *last != number) {
        let parcel = Parcel::join(batch.iter().map(|item| item.frame));
        *joined = Some((number, parcel));
    }
    joined.as_ref()?.1.as_ref()
}

/// Lets other tasks of the thread work.
pub(super) async fn others_turn() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Queues frames for one socket: one by one unless they all find room, for then each is dealt with by the policy.
fn deliver(
    to: &Meeting,
    batch: &Batch<'_, Encoded>,
    alike: Option<&Parcel>,
    woken: &mut Vec<Waker>,
) {
    let mut state = to.lock();
    let was_open = state.outbox.is_open();
    let fits = |parcel: &Parcel| {
        matches!(parcel, Parcel::One(_)) || state.outbox.has_room(parcel.allocated())
    };
    let wake = match alike.filter(|parcel| fits(parcel)) {
        Some(parcel) => state.outbox.offer(parcel, batch.policy(), 0).wake,
        None => one_by_one(&mut state, batch),
    };
    if was_open && !state.outbox.is_open() {
        state.cause = Some(Cause::Slow);
    }
    let wakes = state.after(wake);
    drop(state);
    woken.extend(wakes.task);
    woken.extend(wakes.others.into_iter().flatten());
}

/// Whether to wake the connection.
#[cold]
fn one_by_one(state: &mut State, batch: &Batch<'_, Encoded>) -> bool {
    let mut wake = false;
    for item in batch.iter() {
        let parcel = Parcel::One(item.frame.clone());
        wake |= state.outbox.offer(&parcel, item.policy, item.key).wake;
    }
    wake
}

impl Hub {
    /// Does something with a shard, and then rings for what follows from it.
    pub(super) fn visit<T>(&self, at: usize, work: impl FnOnce(&mut Shard) -> T) -> T {
        let mut shard = self.0.shards.lock(at);
        let done = work(&mut shard);
        if self.0.events.is_none() {
            // Nobody wants to know.
            while shard.rooms.poll_event().is_some() {}
        }
        let news = shard.rooms.has_event();
        let next = shard.rooms.poll_timeout().map(|(at, _)| at);
        let sooner = next.is_some_and(|next| shard.minded.is_none_or(|minded| next < minded));
        let due = sooner || shard.rooms.has_output();
        let woken = std::mem::take(&mut shard.woken);
        drop(shard);
        woken.into_iter().for_each(Waker::wake);
        self.0.bells.ring(at, due, news);
        done
    }

    /// Publishes, and hands out if nobody else does.
    pub(super) fn publish(
        &self,
        topic: &Topic,
        rules: Rules,
        post: &Post<Encoded>,
    ) -> Result<(), RoomError> {
        self.reaches(rules)?;
        let (now, at) = (self.now(), self.shard_of(topic));
        let bytes = post.frame.allocated();
        let holds = round::holds(bytes);
        loop {
            let turn = self.visit(at, |shard| {
                match shard.rooms.publish(now, topic, rules, post.clone()) {
                    Ok(turn) => Ok(shard.turn(turn, holds)),
                    Err(Refused::Busy) => {
                        // Whoever has the turn goes on with it.
                        let _ = shard.fan();
                        Err(Refused::Busy)
                    }
                    Err(refused) => Err(refused),
                }
            });
            match turn {
                Ok(Turn::Done) if holds => {
                    round::owe(self, at, bytes);
                    return Ok(());
                }
                Ok(Turn::Done) => return Ok(()),
                Ok(Turn::Yours) => {
                    self.hand_out(at);
                    return Ok(());
                }
                Err(Refused::Busy) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    /// Hands out what a round held back, unless somebody did since.
    pub(super) fn release(&self, at: usize) {
        if self.visit(at, |shard| shard.turn(Turn::Done, false)) == Turn::Yours {
            self.hand_out(at);
        }
    }

    /// Hands out what is left, in a task: the publisher has other things to do.
    pub(super) fn hand_out(&self, at: usize) {
        let hub = self.clone();
        self.0.tasks.spawn(Box::pin(async move {
            while hub.visit(at, Shard::fan) == Turn::Yours {
                others_turn().await;
            }
        }));
    }

    /// Whether rooms of these rules can be what they declare.
    pub(super) fn reaches(&self, rules: Rules) -> Result<(), RoomError> {
        match rules.reach {
            Reach::Node => Ok(()),
            _ if self.0.nodes.is_some() => Ok(()),
            _ => Err(RoomError::NoPubSub),
        }
    }
}
