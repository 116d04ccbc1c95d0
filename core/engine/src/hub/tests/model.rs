//! Rooms of one node under random calls, compared with a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::outboxes::Numbered;
use super::*;
use crate::jobs::Name;
use crate::rng::Seed;
use crate::time::Mono;

#[derive(Clone, Debug)]
enum Call {
    Join {
        conn: u64,
        room: u8,
        user: Option<u8>,
        since: bool,
    },
    Leave {
        conn: u64,
        room: u8,
    },
    Gone {
        conn: u64,
    },
    Publish {
        room: u8,
        except: Option<u64>,
        bytes: usize,
    },
    Live {
        conn: u64,
        room: u8,
    },
    Fan {
        limit: usize,
    },
    Events,
}

fn call() -> impl Strategy<Value = Call> {
    let (conn, room) = (|| 0..8_u64, || 0..4_u8);
    prop_oneof![
        20 => (conn(), room(), prop::option::of(0..3_u8), prop::bool::weighted(0.2))
            .prop_map(|(conn, room, user, since)| Call::Join { conn, room, user, since }),
        8 => (conn(), room()).prop_map(|(conn, room)| Call::Leave { conn, room }),
        3 => conn().prop_map(|conn| Call::Gone { conn }),
        20 => (room(), prop::option::of(conn()), 0..200_usize)
            .prop_map(|(room, except, bytes)| Call::Publish { room, except, bytes }),
        8 => (conn(), room()).prop_map(|(conn, room)| Call::Live { conn, room }),
        20 => (1..6_usize).prop_map(|limit| Call::Fan { limit }),
        5 => Just(Call::Events),
    ]
}

fn room(n: u8) -> Topic {
    Topic::Room(Name::new(&format!("room {n}")).unwrap())
}

fn user(n: u8) -> Name {
    Name::new(&format!("user {n}")).unwrap()
}

/// What one membership is owed, in order.
#[derive(Default)]
struct Membership {
    user: Option<Name>,
    joining: bool,
    owed: VecDeque<u64>,
}

struct Bench {
    rooms: Rooms<u64, Numbered>,
    model: BTreeMap<(u8, u64), Membership>,
    number: u64,
    /// Someone was told that it is its turn.
    turn: bool,
    /// Who is present as the events tell.
    seen: BTreeSet<(Topic, Name)>,
    trace: Vec<String>,
}

const SINCE: Position = Position {
    epoch: 1,
    offset: 5,
};

impl Bench {
    fn new(config: Config) -> Self {
        Self {
            rooms: Rooms::new(config, &Seed::from_u64(1)),
            model: BTreeMap::new(),
            number: 0,
            turn: false,
            seen: BTreeSet::new(),
            trace: Vec::new(),
        }
    }

    fn members(&self, room: u8) -> usize {
        self.model.range((room, 0)..=(room, u64::MAX)).count()
    }

    fn run(&mut self, call: &Call) -> Result<(), TestCaseError> {
        let (now, rules) = (Mono::START, Rules::default());
        // When the last member left, the turn went with it.
        self.turn &= self.rooms.counts().log > 0;
        match *call {
            Call::Join {
                conn,
                room: n,
                user: who,
                since,
            } => {
                let join = Join {
                    user: who.map(user),
                    since: since.then_some(SINCE),
                };
                let joined = self
                    .rooms
                    .join(now, conn_of(conn), &conn, &room(n), rules, join)
                    .unwrap();
                let new = !self.model.contains_key(&(n, conn));
                prop_assert_eq!(joined, if new { Joined::Whole } else { Joined::Already });
                if new {
                    let member = Membership {
                        user: who.map(user),
                        joining: since,
                        ..Membership::default()
                    };
                    self.model.insert((n, conn), member);
                }
            }
            Call::Leave { conn, room: n } => {
                let was = self.rooms.leave(now, conn_of(conn), &room(n));
                prop_assert_eq!(was, self.model.remove(&(n, conn)).is_some());
            }
            Call::Gone { conn } => {
                let visited = self.rooms.handle_gone(now, conn_of(conn));
                let before = self.model.len();
                self.model.retain(|(_, member), _| *member != conn);
                prop_assert_eq!(
                    visited,
                    before - self.model.len(),
                    "it visits its own rooms only"
                );
            }
            Call::Publish {
                room: n,
                except,
                bytes,
            } => {
                self.number += 1;
                let frame = Numbered {
                    number: self.number,
                    bytes,
                };
                let post = Post {
                    except: except.map(conn_of),
                    ..Post::new(frame)
                };
                let turn = loop {
                    match self.rooms.publish(now, &room(n), rules, post.clone()) {
                        Ok(turn) => break turn,
                        Err(Refused::Busy) => self.fan(1)?,
                        Err(error) => prop_assert!(false, "{}", error),
                    }
                };
                if turn == Turn::Yours {
                    prop_assert!(!self.turn, "two have the turn");
                    self.turn = true;
                }
                for ((_, conn), member) in self.model.range_mut((n, 0)..=(n, u64::MAX)) {
                    if Some(*conn) != except {
                        member.owed.push_back(self.number);
                    }
                }
                prop_assert!(self.turn || self.members(n) == 0, "nobody hands it out");
            }
            Call::Live { conn, room: n } => {
                let mut got = Vec::new();
                let live = self
                    .rooms
                    .live(conn_of(conn), &room(n), Some(SINCE), |to, batch| {
                        got.extend(
                            batch
                                .iter()
                                .map(|item| (*to, batch.to(), item.frame.number)),
                        );
                    });
                let member = self
                    .model
                    .get_mut(&(n, conn))
                    .filter(|member| member.joining);
                prop_assert_eq!(live.is_ok(), member.is_some());
                if let Some(member) = member {
                    member.joining = false;
                }
                for (to, conn, number) in got {
                    prop_assert_eq!(conn_of(to), conn);
                    self.delivered(n, to, number)?;
                }
            }
            Call::Fan { limit } => self.fan(limit)?,
            Call::Events => self.events(),
        }
        for n in 0..4 {
            if self.members(n) == 0 {
                self.seen.retain(|(topic, _)| *topic != room(n));
            }
            prop_assert_eq!(self.rooms.members(&room(n)), self.members(n));
            let present: BTreeSet<_> = self.rooms.present(&room(n)).cloned().collect();
            let here = self.model.range((n, 0)..=(n, u64::MAX));
            let expected = here.filter_map(|(_, member)| member.user.clone()).collect();
            prop_assert_eq!(present, expected);
        }
        let counts = self.rooms.counts();
        prop_assert_eq!(counts.members, self.model.len());
        let rooms: BTreeSet<_> = self.model.keys().map(|(n, _)| n).collect();
        prop_assert_eq!(counts.topics, rooms.len());
        Ok(())
    }

    fn fan(&mut self, limit: usize) -> Result<(), TestCaseError> {
        let (mut got, mut members) = (Vec::new(), 0);
        let turn = self.rooms.fan(limit, |to, batch| {
            members += 1;
            got.extend(batch.iter().map(|item| (*to, item.frame.number)));
        });
        prop_assert!(members <= limit, "{} in one hold", members);
        if turn == Turn::Done {
            self.turn = false;
        }
        for (to, number) in got {
            let n = (0..4).find(|n| {
                self.model
                    .get(&(*n, to))
                    .is_some_and(|member| member.owed.contains(&number))
            });
            prop_assert!(n.is_some(), "{} is not owed {}", to, number);
            let n = n.unwrap_or_default();
            prop_assert!(!self.model[&(n, to)].joining, "it reads its history first");
            self.delivered(n, to, number)?;
        }
        Ok(())
    }

    fn delivered(&mut self, n: u8, to: u64, number: u64) -> Result<(), TestCaseError> {
        let member = self.model.get_mut(&(n, to));
        let owed = member.and_then(|member| member.owed.pop_front());
        prop_assert_eq!(owed, Some(number), "in the order of the room, each once");
        self.trace.push(format!("{n} {to} {number}"));
        Ok(())
    }

    fn events(&mut self) {
        while let Some(output) = self.rooms.poll() {
            self.trace.push(format!("{output:?}"));
        }
        while let Some(event) = self.rooms.poll_event() {
            self.trace.push(format!("{event:?}"));
            match event {
                Event::Came { topic, user } => {
                    assert!(self.seen.insert((topic, user)));
                }
                Event::Went { topic, user } => {
                    assert!(self.seen.remove(&(topic, user)));
                }
                _ => {}
            }
        }
    }

    /// Everything owed arrives, and then everyone goes.
    fn end(&mut self) -> Result<(), TestCaseError> {
        while self.turn {
            self.fan(2)?;
        }
        for ((_, conn), member) in &self.model {
            prop_assert!(
                member.joining || member.owed.is_empty(),
                "{} is still owed {:?}",
                conn,
                member.owed
            );
        }
        self.events();
        for n in 0..4 {
            if self.members(n) > 0 {
                let present: BTreeSet<_> = self.rooms.present(&room(n)).cloned().collect();
                let seen = self.seen.iter().filter(|(topic, _)| *topic == room(n));
                prop_assert_eq!(
                    seen.map(|(_, user)| user.clone()).collect::<BTreeSet<_>>(),
                    present
                );
            }
        }
        for conn in 0..8 {
            self.run(&Call::Gone { conn })?;
        }
        let counts = self.rooms.counts();
        let zero = Counts {
            published: counts.published,
            delivered: counts.delivered,
            ..Counts::default()
        };
        prop_assert_eq!(counts, zero, "nothing is left");
        prop_assert_eq!(self.rooms.poll_timeout(), None);
        Ok(())
    }
}

fn conn_of(n: u64) -> Conn {
    Conn(n)
}

fn config() -> Config {
    Config {
        log: 3_000,
        joining: 1 << 20,
        joining_all: 1 << 24,
        ..Config::new(Incarnation(1))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn rooms_do_what_the_model_does(calls in prop::collection::vec(call(), 1..150)) {
        let mut bench = Bench::new(config());
        for call in &calls {
            bench.run(call)?;
            prop_assert!(bench.rooms.counts().log <= 3_000);
        }
        bench.end()?;
        let mut again = Bench::new(config());
        for call in &calls {
            again.run(call)?;
        }
        again.end()?;
        prop_assert_eq!(bench.trace, again.trace, "the same calls, the same answers");
    }
}

/// After which call, to whom, what.
type Receipt = (usize, usize, u64);

/// Outboxes behind rooms, some of which nobody reads.
struct Crowd {
    rooms: Rooms<usize, Numbered>,
    outboxes: Vec<Outbox<Numbered>>,
    stalled: BTreeSet<usize>,
    trace: Vec<Receipt>,
}

impl Crowd {
    fn fan(&mut self, call: usize, limits: Limits) {
        loop {
            let mut woken = Vec::new();
            let turn = self.rooms.fan(HOLD, |to, batch| {
                for item in batch.iter() {
                    if self.outboxes[*to]
                        .offer(item.frame, item.policy, item.key)
                        .wake
                    {
                        woken.push(*to);
                    }
                }
            });
            let limit = (limits.window + limits.queue) * self.outboxes.len();
            let held: usize = self.outboxes.iter().map(Outbox::queued).sum();
            assert!(held <= limit, "{held} bytes, the bound is {limit}");
            for to in woken.into_iter().filter(|to| !self.stalled.contains(to)) {
                while let Some(Outgoing::Frame(frame)) = self.outboxes[to].poll() {
                    self.outboxes[to].handle_written(frame.bytes);
                    self.trace.push((call, to, frame.number));
                }
            }
            if turn == Turn::Done {
                return;
            }
        }
    }
}

/// What forty receivers get, and when, with or without ten more that read nothing.
fn received(
    policy: Policy,
    frames: &[(usize, u64, bool)],
    stalled: bool,
) -> (Vec<Receipt>, Vec<Option<Close>>) {
    let limits = Limits {
        window: 500,
        queue: 4_000,
    };
    let mut crowd = Crowd {
        rooms: Rooms::new(Config::new(Incarnation(1)), &Seed::from_u64(1)),
        outboxes: (0..50).map(|_| Outbox::new(limits)).collect(),
        stalled: (40..50).collect(),
        trace: Vec::new(),
    };
    let rules = Rules {
        policy,
        ..Rules::default()
    };
    for at in 0..40 {
        for member in [at, 40 + at / 4] {
            if member < 40 || stalled {
                let conn = Conn(member as u64);
                crowd
                    .rooms
                    .join(Mono::START, conn, &member, &room(0), rules, Join::default())
                    .unwrap();
            }
        }
    }
    for (call, (bytes, key, together)) in frames.iter().enumerate() {
        let frame = Numbered {
            number: call as u64,
            bytes: *bytes,
        };
        let post = Post {
            key: *key,
            except: Some(Conn(*key)),
            ..Post::new(frame)
        };
        let _ = crowd
            .rooms
            .publish(Mono::START, &room(0), rules, post)
            .unwrap();
        if !together {
            crowd.fan(call, limits);
        }
    }
    crowd.fan(frames.len(), limits);
    let close = |outbox: &mut Outbox<Numbered>| match outbox.poll() {
        Some(Outgoing::Close(close)) => Some(close),
        _ => None,
    };
    let closes = crowd.outboxes.iter_mut().map(close).collect();
    (crowd.trace, closes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn one_slow_client_never_delays_another(
        frames in prop::collection::vec((0..300_usize, 0..3_u64, prop::bool::weighted(0.3)), 1..80),
    ) {
        for policy in [Policy::DropOldest, Policy::DropNewest, Policy::Conflate, Policy::Close] {
            let (with, closes) = received(policy, &frames, true);
            let (without, _) = received(policy, &frames, false);
            prop_assert_eq!(with, without, "{:?}", policy);
            let bytes: usize = frames.iter().map(|(bytes, ..)| bytes).sum();
            if policy == Policy::Close && bytes > 4_500 {
                prop_assert!(closes[40..].iter().all(|close| *close == Some(Close::SLOW)), "{:?}", closes);
            }
            prop_assert!(closes[..40].iter().all(Option::is_none));
        }
    }
}
