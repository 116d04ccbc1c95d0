//! One process's way to the store: a `JobStore` whose calls are lost, late, repeated. A call that was sent arrives
//! even if its sender has died.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tideway::jobs::call::{
    AuditReport, Beat, Beaten, Caps, ClaimReq, Claimed, Control, ControlOut, CronCas, CronOut,
    Cursor, Durability, Enqueued, Expired, Filter, Page, Settle, Settled, Stats, Wake,
};
use tideway::jobs::{Id, JobStore, Name, NewJob, Owner, Record, StoreError};
use tideway::{Mono, Rng};
use tideway_driver::Runtime as _;

use crate::ask::{Answer, Ask};
use crate::hub::Hub;
use crate::plan::Fault;
use crate::post::{Post, lock};

/// Clones are the same way.
#[derive(Clone)]
pub(crate) struct Wire {
    hub: Hub,
    way: Arc<Mutex<Way>>,
}

struct Way {
    rng: Rng,
    /// Whether the last call of a kind went wrong: the next one does not.
    wrong: [bool; Ask::KINDS],
    cut: Mono,
    /// Whether requests still arrive and only answers do not.
    half: bool,
    lost: u64,
}

/// What becomes of one call.
#[derive(Debug)]
struct Fate {
    there: Duration,
    back: Duration,
    request: bool,
    reply: bool,
    /// Whether its loss is noticed, as by a connection that breaks.
    noticed: bool,
    again: Option<Duration>,
}

impl Wire {
    pub(crate) fn new(hub: &Hub, rng: Rng) -> Self {
        let way = Way {
            rng,
            wrong: [false; Ask::KINDS],
            cut: Mono::START,
            half: false,
            lost: 0,
        };
        Self {
            hub: hub.clone(),
            way: Arc::new(Mutex::new(way)),
        }
    }

    /// Nothing gets through for a while, or no answer.
    pub(crate) fn cut(&self, time: Duration, half: bool) {
        let mut way = lock(&self.way);
        way.cut = self.hub.host().now().mono.plus(time);
        way.half = half;
    }

    fn takes_nothing(&self) -> bool {
        self.is_cut() && !lock(&self.way).half
    }

    fn is_cut(&self) -> bool {
        !self.hub.is_calm() && self.hub.host().now().mono < lock(&self.way).cut
    }

    /// How many calls or answers were lost.
    pub(crate) fn lost(&self) -> u64 {
        lock(&self.way).lost
    }

    fn fate(&self, ask: &Ask) -> Fate {
        let calm = self.hub.is_calm();
        let plan = self.hub.plan();
        let mut way = lock(&self.way);
        let way = &mut *way;
        let rng = &mut way.rng;
        let micros = |rng: &mut Rng| Duration::from_micros(100 + rng.below(2_000));
        let mut fate = Fate {
            there: micros(rng),
            back: micros(rng),
            request: true,
            reply: true,
            noticed: rng.below(2) == 0,
            again: None,
        };
        let rolls = [(); 4].map(|()| rng.below(100));
        let length = Duration::from_millis(rng.below(3_000));
        if calm {
            return fate;
        }
        let late = plan.has(Fault::Duplicate) && rolls[0] < 12;
        fate.again = late.then_some(length * 3);
        if std::mem::take(&mut way.wrong[ask.kind()]) {
            return fate;
        }
        if plan.has(Fault::LostRequest) && rolls[1] < 12 {
            fate.request = false;
        } else if plan.has(Fault::LostReply) && rolls[2] < 12 {
            fate.reply = false;
        } else if plan.has(Fault::Delay) && rolls[3] < 12 {
            // Late on the way there or back.
            if fate.noticed {
                fate.there += length;
            } else {
                fate.back += length;
            }
        } else {
            return fate;
        }
        way.wrong[ask.kind()] = true;
        way.lost += 1;
        fate
    }

    async fn send(&self, ask: Ask) -> Result<Answer, StoreError> {
        let fate = self.fate(&ask);
        let reply = Post::new();
        let (wire, answer) = (self.clone(), reply.clone());
        self.hub.host().spawn_named("call", async move {
            wire.carry(ask, fate, &answer).await;
        });
        // Without an answer this waits for ever, as its caller must not.
        reply.next().await
    }

    async fn carry(&self, ask: Ask, fate: Fate, reply: &Post<Result<Answer, StoreError>>) {
        let host = self.hub.host();
        let nothing = |why: &str| {
            if fate.noticed {
                reply.send(Err(StoreError::Transient(why.into())));
            }
        };
        host.sleep(fate.there).await;
        if self.takes_nothing() {
            return nothing("the way is cut");
        }
        if !fate.request {
            return nothing("the request is lost");
        }
        if self.hub.is_down() {
            return nothing("the store restarts");
        }
        let answer = self.hub.put(&ask);
        host.sleep(fate.back).await;
        if fate.reply && !self.is_cut() {
            reply.send(Ok(answer));
        } else if fate.noticed {
            reply.send(Err(StoreError::Ambiguous("the reply is lost".into())));
        }
        if let Some(later) = fate.again {
            host.sleep(later).await;
            if !self.is_cut() && !self.hub.is_down() {
                self.hub.put(&ask);
            }
        }
    }
}

/// The answer of the right kind.
macro_rules! call {
    ($self:ident, $ask:expr, $kind:ident) => {
        match $self.send($ask).await? {
            Answer::$kind(out) => Ok(out),
            other => Err(StoreError::Fatal(format!("{other:?}").into())),
        }
    };
}

impl JobStore for Wire {
    fn caps(&self) -> Caps {
        Caps {
            durability: Durability::Memory,
            unique: true,
            cron: true,
            limits: true,
            waits: true,
            list: true,
            wakeups: true,
            max_batch: self.hub.plan().max_batch,
            max_payload: 1 << 20,
        }
    }

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        call!(self, Ask::Enqueue(jobs.to_vec()), Enqueue)
    }

    async fn claim(&self, req: &ClaimReq) -> Result<Claimed, StoreError> {
        call!(self, Ask::Claim(req.clone()), Claim)
    }

    async fn settle(&self, settles: &[Settle]) -> Result<Vec<Settled>, StoreError> {
        call!(self, Ask::Settle(settles.to_vec()), Settle)
    }

    async fn heartbeat(&self, beats: &[Beat], lease: Duration) -> Result<Vec<Beaten>, StoreError> {
        call!(self, Ask::Beat(beats.to_vec(), lease), Beat)
    }

    async fn expired(&self, after: &Cursor, limit: u32) -> Result<Page<Expired>, StoreError> {
        call!(self, Ask::Expired(after.clone(), limit), Expired)
    }

    async fn cron_cas(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        call!(self, Ask::Cas(cas.clone()), Cron)
    }

    async fn cron_cell(&self, key: &Name) -> Result<CronOut, StoreError> {
        call!(self, Ask::Cell(key.clone()), Cron)
    }

    async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        call!(self, Ask::Control(control.clone()), Control)
    }

    async fn list(
        &self,
        filter: &Filter,
        after: &Cursor,
        limit: u32,
    ) -> Result<Page<Record>, StoreError> {
        call!(self, Ask::List(filter.clone(), after.clone(), limit), List)
    }

    async fn prune(&self, limit: u32) -> Result<u64, StoreError> {
        call!(self, Ask::Prune(limit), Prune)
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        call!(self, Ask::Stats, Stats)
    }

    async fn jobs(&self, ids: &[Id]) -> Result<Vec<Option<Record>>, StoreError> {
        call!(self, Ask::Jobs(ids.to_vec()), Jobs)
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        call!(self, Ask::Audit, Audit)
    }

    fn wakeups(&self, owner: Owner) -> Pin<Box<dyn Stream<Item = Wake> + Send>> {
        Box::pin(Hints {
            post: self.hub.hear(owner),
            wire: self.clone(),
        })
    }
}

struct Hints {
    post: Post<Wake>,
    wire: Wire,
}

impl Stream for Hints {
    type Item = Wake;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Wake>> {
        loop {
            let Poll::Ready(wake) = self.post.poll(cx) else {
                return Poll::Pending;
            };
            if !self.wire.is_cut() {
                return Poll::Ready(Some(wake));
            }
        }
    }
}
