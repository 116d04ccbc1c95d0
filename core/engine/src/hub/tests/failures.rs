//! What went wrong on one node of systems like this one, each under its own name.

use std::collections::BTreeSet;
use std::time::Duration;

use super::outboxes::Numbered;
use super::*;
use crate::jobs::Name;
use crate::rng::Seed;
use crate::time::Mono;

pub(super) type Hub = Rooms<u64, Numbered>;

pub(super) const US: Incarnation = Incarnation(1);
pub(super) const THEM: Incarnation = Incarnation(2);
pub(super) const CLUSTER: Rules = Rules {
    order: Order::Local,
    reach: Reach::Cluster,
    policy: Policy::Close,
};

pub(super) fn hub() -> Hub {
    Rooms::new(Config::new(US), &Seed::from_u64(1))
}

pub(super) fn room(n: u64) -> Topic {
    Topic::Room(Name::new(&format!("room {n}")).unwrap())
}

pub(super) fn user(n: u64) -> Name {
    Name::new(&format!("user {n}")).unwrap()
}

pub(super) fn at(millis: u64) -> Mono {
    Mono::START.plus(Duration::from_millis(millis))
}

pub(super) fn join(hub: &mut Hub, now: Mono, conn: u64, topic: &Topic, rules: Rules) -> Joined {
    let joined = hub.join(now, Conn(conn), &conn, topic, rules, Join::default());
    joined.unwrap()
}

pub(super) fn publish(hub: &mut Hub, now: Mono, topic: &Topic, rules: Rules, number: u64) {
    let post = Post::new(Numbered { number, bytes: 10 });
    let _ = hub.publish(now, topic, rules, post).unwrap();
}

/// Who gets what, handed out completely.
pub(super) fn fan(hub: &mut Hub) -> Vec<(u64, u64)> {
    let mut got = Vec::new();
    while hub.fan(HOLD, |to, batch| {
        got.extend(batch.iter().map(|item| (*to, item.frame.number)));
    }) == Turn::Yours
    {}
    got
}

pub(super) fn drain(hub: &mut Hub) -> Vec<Output<Numbered>> {
    std::iter::from_fn(|| hub.poll()).collect()
}

pub(super) fn events(hub: &mut Hub) -> Vec<Event> {
    drain(hub);
    std::iter::from_fn(|| hub.poll_event()).collect()
}

pub(super) fn answers(hub: &mut Hub) -> Vec<Answer> {
    let answers = drain(hub).into_iter().filter_map(|output| match output {
        Output::Answer(answer) => Some(answer),
        _ => None,
    });
    answers.collect()
}

pub(super) fn announced(hub: &mut Hub) -> Vec<Announce<Numbered>> {
    let said = drain(hub).into_iter().filter_map(|output| match output {
        Output::Announce(announce) => Some(announce),
        _ => None,
    });
    said.collect()
}

/// Lets time pass up to `until`, doing everything when it is due.
pub(super) fn pass(hub: &mut Hub, until: Mono) {
    while let Some((due, _)) = hub.poll_timeout().filter(|(due, _)| *due <= until) {
        hub.handle_timeout(due);
    }
}

/// Another node says something in room 0.
pub(super) fn hear(hub: &mut Hub, now: Mono, from: Incarnation, seq: u64, body: Body<Numbered>) {
    let announce = Announce {
        from,
        topic: room(0),
        seq,
        body,
    };
    let _ = hub.handle_remote(
        now,
        Remote {
            announce,
            position: None,
        },
    );
}

pub(super) fn message(number: u64) -> Body<Numbered> {
    Body::Message {
        frame: Numbered { number, bytes: 10 },
        key: 0,
    }
}

pub(super) fn state(version: u64, users: impl IntoIterator<Item = u64>) -> Body<Numbered> {
    Body::State {
        version,
        users: users.into_iter().map(user).collect(),
    }
}

/// A hub whose connection 0 is in the shared room 0, subscribed, nothing left to be done.
pub(super) fn subscribed() -> Hub {
    let mut hub = hub();
    assert_eq!(join(&mut hub, at(0), 0, &room(0), CLUSTER), Joined::Waiting);
    assert_eq!(drain(&mut hub), [Output::Subscribe(vec![room(0)])]);
    hub.handle_subscribed(at(0), &room(0));
    drain(&mut hub);
    hub
}

pub(super) fn gap(cause: Cause) -> Event {
    Event::Gap {
        topic: room(0),
        cause,
    }
}

#[test]
fn a_disconnect_visits_its_own_rooms_only() {
    let mut hub = hub();
    for n in 0..1_000 {
        join(&mut hub, at(0), n % 10, &room(n), Rules::default());
    }
    assert_eq!(hub.handle_gone(at(0), Conn(3)), 100);
    assert_eq!(hub.handle_gone(at(0), Conn(3)), 0, "once");
    assert_eq!(hub.counts().members, 900);
}

#[test]
fn a_client_that_stops_reading_stays_known_until_its_socket_is_gone() {
    let mut hub = hub();
    let mut outbox = Outbox::new(Limits {
        window: 100,
        queue: 400,
    });
    join(&mut hub, at(0), 0, &room(0), Rules::default());
    for number in 0..60 {
        publish(&mut hub, at(0), &room(0), Rules::default(), number);
        let _ = hub.fan(HOLD, |_, batch| {
            for item in batch.iter() {
                outbox.offer(item.frame, item.policy, item.key);
            }
        });
    }
    assert_eq!(
        outbox.poll(),
        Some(Outgoing::Close(Close::SLOW)),
        "a close frame, not a cut line"
    );
    assert_eq!(outbox.poll(), None, "once");
    assert!(
        hub.is_member(Conn(0), &room(0)),
        "whoever ends the socket finds its rooms"
    );
    outbox.handle_gone();
    assert_eq!(hub.handle_gone(at(0), Conn(0)), 1);
    assert_eq!(
        (
            outbox.queued(),
            hub.counts().connections,
            hub.counts().topics
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_large_room_does_not_keep_a_small_one_waiting() {
    let mut hub = hub();
    for conn in 0..5_000 {
        join(&mut hub, at(0), conn, &room(0), Rules::default());
    }
    join(&mut hub, at(0), 9_999, &room(1), Rules::default());
    publish(&mut hub, at(0), &room(0), Rules::default(), 1);
    publish(&mut hub, at(0), &room(1), Rules::default(), 2);
    let (mut holds, mut small) = (Vec::new(), None);
    loop {
        let mut served = 0;
        let turn = hub.fan(HOLD, |to, _| {
            served += 1;
            if *to == 9_999 {
                small = Some(holds.len());
            }
        });
        holds.push(served);
        if turn == Turn::Done {
            break;
        }
    }
    assert_eq!(
        (holds.iter().sum::<usize>(), holds.iter().max()),
        (5_001, Some(&HOLD))
    );
    assert_eq!(small, Some(1), "after one hold for the large room");
}

#[test]
fn a_room_most_have_left_still_reaches_the_others_once() {
    let mut hub = hub();
    for conn in 0..200 {
        join(&mut hub, at(0), conn, &room(0), Rules::default());
        join(&mut hub, at(0), conn, &room(1), Rules::default());
    }
    publish(&mut hub, at(0), &room(0), Rules::default(), 1);
    let mut first = Vec::new();
    let _ = hub.fan(100, |to, _| first.push(*to));
    // Amid the batch.
    for conn in (0..200).filter(|conn| conn % 10 != 0) {
        assert!(hub.leave(at(0), Conn(conn), &room(0)));
    }
    first.extend(fan(&mut hub).into_iter().map(|(to, _)| to));
    let expected = (0..100).chain((100..200).step_by(10));
    assert_eq!(first, expected.collect::<Vec<_>>());
    publish(&mut hub, at(0), &room(0), Rules::default(), 2);
    let got: Vec<_> = fan(&mut hub).into_iter().map(|(to, _)| to).collect();
    assert_eq!(got, (0..200).step_by(10).collect::<Vec<_>>());
    for conn in (0..200).step_by(20) {
        assert!(hub.leave(at(0), Conn(conn), &room(0)));
    }
    publish(&mut hub, at(0), &room(0), Rules::default(), 3);
    let got: BTreeSet<_> = fan(&mut hub).into_iter().map(|(to, _)| to).collect();
    assert_eq!(got, (10..200).step_by(20).collect());
    for conn in 0..200 {
        hub.handle_gone(at(0), Conn(conn));
    }
    assert_eq!(
        (hub.counts().members, hub.counts().topics, hub.counts().log),
        (0, 0, 0)
    );
}

#[test]
fn users_and_single_connections_are_reached_too() {
    let mut hub = hub();
    let me = Topic::User(user(1));
    join(&mut hub, at(0), 1, &me, Rules::default());
    join(&mut hub, at(0), 2, &me, Rules::default());
    join(&mut hub, at(0), 3, &Topic::Room(user(1)), Rules::default());
    publish(&mut hub, at(0), &me, Rules::default(), 7);
    assert_eq!(
        fan(&mut hub),
        [(1, 7), (2, 7)],
        "a room of the same name is another topic"
    );
    hub.register(Conn(4), &4).unwrap();
    assert_eq!(
        (
            hub.direct(Conn(2)),
            hub.direct(Conn(4)),
            hub.direct(Conn(5))
        ),
        (Some(&2), Some(&4), None)
    );
    hub.handle_gone(at(0), Conn(4));
    assert_eq!(hub.direct(Conn(4)), None);
}

#[test]
fn rooms_ordered_by_the_broker_are_refused_with_a_reason() {
    let mut hub = hub();
    let rules = Rules {
        order: Order::Broker,
        ..CLUSTER
    };
    let joined = hub.join(at(0), Conn(0), &0, &room(0), rules, Join::default());
    assert_eq!(joined, Err(Refused::BrokerOrder));
    let post = Post::new(Numbered {
        number: 1,
        bytes: 1,
    });
    assert_eq!(
        hub.publish(at(0), &room(0), rules, post),
        Err(Refused::BrokerOrder)
    );
    assert_eq!(
        Refused::BrokerOrder.to_string(),
        "rooms ordered by the broker are not built yet: declare `Order::Local`"
    );
    assert_eq!(hub.counts(), Counts::default());
}

#[test]
fn every_map_is_capped() {
    let config = Config {
        connections: 3,
        topics: 2,
        members: 2,
        rooms: 1,
        present: 1,
        log: 1_000,
        ..Config::new(US)
    };
    let mut hub = Hub::new(config, &Seed::from_u64(1));
    let mut enter = |conn, n, who: Option<u64>| {
        let join = Join {
            user: who.map(user),
            since: None,
        };
        hub.join(at(0), Conn(conn), &conn, &room(n), Rules::default(), join)
    };
    assert_eq!(enter(0, 0, Some(0)), Ok(Joined::Whole));
    assert_eq!(enter(0, 1, None), Err(Refused::Rooms(1)));
    assert_eq!(enter(1, 0, Some(1)), Err(Refused::Present(1)));
    assert_eq!(
        enter(1, 0, Some(0)),
        Ok(Joined::Whole),
        "the same user again"
    );
    assert_eq!(enter(2, 0, None), Err(Refused::Members(2)));
    assert_eq!(enter(2, 1, None), Ok(Joined::Whole));
    assert_eq!(enter(3, 1, None), Err(Refused::Connections(3)));
    assert_eq!(hub.register(Conn(3), &3), Err(Refused::Connections(3)));
    hub.leave(at(0), Conn(1), &room(0));
    let third = hub.join(
        at(0),
        Conn(1),
        &1,
        &room(2),
        Rules::default(),
        Join::default(),
    );
    assert_eq!(third, Err(Refused::Topics(2)));
    let other = hub.publish(
        at(0),
        &room(0),
        CLUSTER,
        Post::new(Numbered {
            number: 0,
            bytes: 0,
        }),
    );
    assert_eq!(other, Err(Refused::OtherRules));

    let mut refused = None;
    for number in 0..100 {
        let post = Post::new(Numbered { number, bytes: 100 });
        refused = refused.or(hub.publish(at(0), &room(0), Rules::default(), post).err());
        assert!(hub.counts().log <= 1_000);
    }
    assert_eq!(refused, Some(Refused::Busy));
    assert!(!fan(&mut hub).is_empty());
    publish(&mut hub, at(0), &room(0), Rules::default(), 1);
    let large = Post::new(Numbered {
        number: 0,
        bytes: 2_000,
    });
    assert!(matches!(
        hub.publish(at(0), &room(0), Rules::default(), large),
        Err(Refused::TooLarge(_))
    ));
}

#[test]
fn a_member_reads_its_history_first_and_misses_nothing_after_it() {
    let mut hub = subscribed();
    let place = |offset| Position { epoch: 1, offset };
    let mut catch_up = |conn, spill: bool| {
        let join = Join {
            user: None,
            since: Some(place(3)),
        };
        assert_eq!(
            hub.join(at(0), Conn(conn), &conn, &room(0), CLUSTER, join),
            Ok(Joined::Whole)
        );
        let recover = Answer::Recover {
            conn: Conn(conn),
            topic: room(0),
            since: place(3),
        };
        assert_eq!(answers(&mut hub), [recover]);
        let first = hub.counts().remote + 1;
        for n in 0..if spill { 1_000 } else { 4 } {
            let announce = Announce {
                from: THEM,
                topic: room(0),
                seq: first + n,
                body: message(n),
            };
            let position = Some(place(4 + n));
            let _ = hub.handle_remote(at(0), Remote { announce, position });
            let got = fan(&mut hub);
            assert!(got.iter().all(|(to, _)| *to != conn), "kept for it");
        }
        assert!(hub.counts().joining <= 64 << 10);
        let mut got = Vec::new();
        let live = hub.live(Conn(conn), &room(0), Some(place(5)), |_, batch| {
            got.extend(batch.iter().map(|item| item.frame.number));
        });
        assert_eq!(hub.counts().joining, 0);
        assert_eq!(
            hub.live(Conn(conn), &room(0), None, |_, _| ()),
            Err(Refused::NotMember),
            "once"
        );
        hub.handle_gone(at(0), Conn(conn));
        (live, got)
    };
    assert_eq!(
        catch_up(1, false),
        (Ok(Live::Whole), vec![2, 3]),
        "those after the history"
    );
    let (live, got) = catch_up(2, true);
    assert_eq!(
        (live, got.first()),
        (Ok(Live::Gap), Some(&2)),
        "too many were to be kept"
    );

    // What was published, and not handed out yet, when the history was read is not sent twice.
    let join = Join {
        user: None,
        since: Some(place(3)),
    };
    hub.join(at(0), Conn(3), &3, &room(0), CLUSTER, join)
        .unwrap();
    let first = hub.counts().remote + 1;
    for n in 0..4 {
        let announce = Announce {
            from: THEM,
            topic: room(0),
            seq: first + n,
            body: message(n),
        };
        let _ = hub.handle_remote(
            at(0),
            Remote {
                announce,
                position: Some(place(4 + n)),
            },
        );
    }
    let mut got = Vec::new();
    let live = hub.live(Conn(3), &room(0), Some(place(5)), |_, batch| {
        got.extend(batch.iter().map(|item| item.frame.number));
    });
    assert_eq!((live, got), (Ok(Live::Whole), vec![2, 3]));
    assert_eq!(fan(&mut hub), [(0, 0), (0, 1), (0, 2), (0, 3)]);
    hub.handle_gone(at(0), Conn(3));

    // There is no history, or another one.
    for upto in [
        None,
        Some(Position {
            epoch: 2,
            offset: 9,
        }),
    ] {
        let join = Join {
            user: None,
            since: Some(place(3)),
        };
        hub.join(at(0), Conn(3), &3, &room(0), CLUSTER, join)
            .unwrap();
        assert_eq!(hub.live(Conn(3), &room(0), upto, |_, _| ()), Ok(Live::Gap));
        hub.handle_gone(at(0), Conn(3));
    }
    let left = events(&mut hub);
    assert_eq!(left, [], "no history is read for who has left: {left:?}");
}

#[test]
fn what_members_keep_while_they_join_is_capped_together() {
    let config = Config {
        joining: 2_000,
        joining_all: 5_000,
        ..Config::new(US)
    };
    let mut hub = Hub::new(config, &Seed::from_u64(1));
    let since = Some(Position {
        epoch: 1,
        offset: 1,
    });
    for conn in 0..10 {
        let join = Join { user: None, since };
        hub.join(at(0), Conn(conn), &conn, &room(0), Rules::default(), join)
            .unwrap();
    }
    for number in 0..100 {
        publish(&mut hub, at(0), &room(0), Rules::default(), number);
        assert_eq!(fan(&mut hub), []);
        assert!(hub.counts().joining <= 5_000, "{}", hub.counts().joining);
    }
    assert!(hub.counts().joining > 4_000);
    for conn in 0..10 {
        hub.handle_gone(at(0), Conn(conn));
    }
    assert_eq!(hub.counts().joining, 0);
}
