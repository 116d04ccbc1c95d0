//! What went wrong in systems like this one, each under its own name.

use std::collections::BTreeSet;
use std::time::Duration;

use super::outboxes::Numbered;
use super::*;
use crate::jobs::Name;
use crate::rng::Seed;
use crate::time::Mono;

type Hub = Rooms<u64, Numbered>;

const US: Incarnation = Incarnation(1);
const THEM: Incarnation = Incarnation(2);
const CLUSTER: Rules = Rules {
    order: Order::Local,
    reach: Reach::Cluster,
    policy: Policy::Close,
};

fn hub() -> Hub {
    Rooms::new(Config::new(US), &Seed::from_u64(1))
}

fn room(n: u64) -> Topic {
    Topic::Room(Name::new(&format!("room {n}")).unwrap())
}

fn user(n: u64) -> Name {
    Name::new(&format!("user {n}")).unwrap()
}

fn at(millis: u64) -> Mono {
    Mono::START.plus(Duration::from_millis(millis))
}

fn join(hub: &mut Hub, now: Mono, conn: u64, topic: &Topic, rules: Rules) -> Joined {
    let joined = hub.join(now, Conn(conn), &conn, topic, rules, Join::default());
    joined.unwrap()
}

fn publish(hub: &mut Hub, now: Mono, topic: &Topic, rules: Rules, number: u64) {
    let post = Post::new(Numbered { number, bytes: 10 });
    let _ = hub.publish(now, topic, rules, post).unwrap();
}

/// Who gets what, handed out completely.
fn fan(hub: &mut Hub) -> Vec<(u64, u64)> {
    let mut got = Vec::new();
    while hub.fan(HOLD, |to, batch| {
        got.extend(batch.iter().map(|item| (*to, item.frame.number)));
    }) == Turn::Yours
    {}
    got
}

fn drain(hub: &mut Hub) -> Vec<Output<Numbered>> {
    std::iter::from_fn(|| hub.poll()).collect()
}

fn events(hub: &mut Hub) -> Vec<Event> {
    let events = drain(hub).into_iter().filter_map(|output| match output {
        Output::Event(event) => Some(event),
        _ => None,
    });
    events.collect()
}

fn announced(hub: &mut Hub) -> Vec<Announce<Numbered>> {
    let said = drain(hub).into_iter().filter_map(|output| match output {
        Output::Announce(announce) => Some(announce),
        _ => None,
    });
    said.collect()
}

/// Lets time pass up to `until`, doing everything when it is due.
fn pass(hub: &mut Hub, until: Mono) {
    while let Some((due, _)) = hub.poll_timeout().filter(|(due, _)| *due <= until) {
        hub.handle_timeout(due);
    }
}

/// Another node says something in room 0.
fn hear(hub: &mut Hub, now: Mono, from: Incarnation, seq: u64, body: Body<Numbered>) {
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

fn message(number: u64) -> Body<Numbered> {
    Body::Message {
        frame: Numbered { number, bytes: 10 },
        key: 0,
    }
}

fn state(version: u64, users: impl IntoIterator<Item = u64>) -> Body<Numbered> {
    Body::State {
        version,
        users: users.into_iter().map(user).collect(),
    }
}

/// A hub whose connection 0 is in the shared room 0, subscribed, nothing left to be done.
fn subscribed() -> Hub {
    let mut hub = hub();
    assert_eq!(join(&mut hub, at(0), 0, &room(0), CLUSTER), Joined::Waiting);
    assert_eq!(drain(&mut hub), [Output::Subscribe(vec![room(0)])]);
    hub.handle_subscribed(at(0), &room(0));
    drain(&mut hub);
    hub
}

fn gap(cause: Cause) -> Event {
    Event::Gap {
        topic: room(0),
        cause,
    }
}

#[test]
fn a_join_that_races_with_the_last_leave_is_not_lost() {
    // While the room lingers.
    let mut hub = subscribed();
    assert!(hub.leave(at(1), Conn(0), &room(0)));
    pass(&mut hub, at(29_000));
    assert_eq!(
        join(&mut hub, at(29_000), 1, &room(0), CLUSTER),
        Joined::Whole
    );
    pass(&mut hub, at(90_000));
    assert!(hub.is_subscribed(&room(0)), "it is in use");

    // Just after the request to unsubscribe was made: that goes first.
    hub.leave(at(90_000), Conn(1), &room(0));
    pass(&mut hub, at(121_000));
    assert_eq!(
        join(&mut hub, at(121_000), 2, &room(0), CLUSTER),
        Joined::Waiting
    );
    let requests = [
        Output::Unsubscribe(vec![room(0)]),
        Output::Subscribe(vec![room(0)]),
    ];
    let asked = drain(&mut hub);
    let asked = asked
        .into_iter()
        .filter(|output| !matches!(output, Output::Announce(_)));
    assert_eq!(asked.collect::<Vec<_>>(), requests);

    // While the answer to the first request is on its way: it is not taken for a second one's.
    hub.leave(at(121_000), Conn(2), &room(0));
    pass(&mut hub, at(300_000));
    assert_eq!(
        join(&mut hub, at(300_000), 3, &room(0), CLUSTER),
        Joined::Waiting
    );
    assert!(
        drain(&mut hub)
            .iter()
            .all(|output| !matches!(output, Output::Subscribe(_)))
    );
    hub.handle_subscribed(at(300_001), &room(0));
    publish(&mut hub, at(300_001), &room(0), CLUSTER, 7);
    assert_eq!(fan(&mut hub), [(3, 7)]);
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
fn subscriptions_go_out_in_batches_and_come_back_after_a_pause() {
    let mut hub = hub();
    for n in 0..1_100 {
        join(&mut hub, at(0), n, &room(n), CLUSTER);
    }
    let sizes = |hub: &mut Hub| -> Vec<usize> {
        let sizes = drain(hub).into_iter().filter_map(|output| match output {
            Output::Subscribe(topics) => Some(topics.len()),
            _ => None,
        });
        sizes.collect()
    };
    assert_eq!(sizes(&mut hub), [512, 512, 76]);
    // A broker that refuses at once is not asked in a hot loop.
    let (mut now, mut pauses) = (at(0), Vec::new());
    for _ in 0..9 {
        hub.handle_lost(now, None);
        assert!(sizes(&mut hub).is_empty(), "not at once");
        let before = now;
        while sizes(&mut hub).is_empty() {
            let (due, _) = hub.poll_timeout().expect("it tries again");
            now = due;
            hub.handle_timeout(now);
        }
        pauses.push(now.since(before));
    }
    assert!(
        pauses[0] >= Duration::from_millis(100) && pauses[0] < Duration::from_millis(130),
        "{pauses:?}"
    );
    assert!(
        pauses[8] >= Duration::from_secs(5) && pauses[8] < Duration::from_millis(6_500),
        "{pauses:?}"
    );
    hub.handle_lost(now, None);
    hub.handle_connected(now);
    assert_eq!(
        sizes(&mut hub),
        [512, 512, 76],
        "at once when the connection is there"
    );
}

#[test]
fn a_cluster_join_completes_with_the_subscription_or_says_degraded_at_its_deadline() {
    let mut hub = hub();
    let joined = |conn, joined| Event::Joined {
        conn: Conn(conn),
        topic: room(0),
        joined,
    };
    assert_eq!(join(&mut hub, at(0), 0, &room(0), CLUSTER), Joined::Waiting);
    assert_eq!(
        join(&mut hub, at(500), 1, &room(0), CLUSTER),
        Joined::Waiting
    );
    publish(&mut hub, at(600), &room(0), CLUSTER, 1);
    assert_eq!(
        fan(&mut hub),
        [(0, 1), (1, 1)],
        "they are members here already"
    );
    drain(&mut hub);
    assert_eq!(hub.poll_timeout(), Some((at(2_000), "join")));
    hub.handle_timeout(at(2_000));
    assert_eq!(events(&mut hub), [joined(0, Joined::Degraded)]);
    hub.handle_subscribed(at(2_100), &room(0));
    let told = [gap(Cause::Reconnected), joined(1, Joined::Whole)];
    assert_eq!(
        events(&mut hub),
        told,
        "who was told `Degraded` is told that something is missing"
    );
    hub.handle_timeout(at(3_000));
    assert_eq!(events(&mut hub), []);
    assert_eq!(
        join(&mut hub, at(3_000), 2, &room(0), CLUSTER),
        Joined::Whole
    );
}

#[test]
fn gaps_between_nodes_do_not_pass_in_silence() {
    let mut hub = subscribed();
    hear(&mut hub, at(0), THEM, 5, message(5));
    hear(&mut hub, at(0), THEM, 6, message(6));
    assert_eq!(
        (fan(&mut hub), events(&mut hub)),
        (vec![(0, 5), (0, 6)], vec![])
    );
    // One is missing in between.
    hear(&mut hub, at(0), THEM, 8, message(8));
    assert_eq!(
        (fan(&mut hub), events(&mut hub)),
        (vec![(0, 8)], vec![gap(Cause::Missed)])
    );
    // It comes late, or one comes twice: it was told as missing, and is not delivered out of order.
    hear(&mut hub, at(0), THEM, 7, message(7));
    hear(&mut hub, at(0), THEM, 8, message(8));
    assert_eq!((fan(&mut hub), events(&mut hub)), (vec![], vec![]));
    // The last one is missing: the next digest shows it.
    hear(
        &mut hub,
        at(0),
        THEM,
        9,
        Body::Digest {
            version: 0,
            empty: true,
        },
    );
    assert_eq!(events(&mut hub), [gap(Cause::Missed)]);
    // The subscription was lost for a while.
    hub.handle_lost(at(1), Some(&room(0)));
    assert_eq!(events(&mut hub), []);
    pass(&mut hub, at(1_000));
    drain(&mut hub);
    hub.handle_subscribed(at(1_000), &room(0));
    assert_eq!(events(&mut hub), [gap(Cause::Reconnected)]);
    // And what came while the log was full.
    for n in 10..100_000 {
        hear(&mut hub, at(0), THEM, n, message(n));
    }
    assert_eq!(
        events(&mut hub),
        [gap(Cause::Overload)],
        "once until it is taken"
    );
    assert!(
        hub.counts().gaps > 3 && hub.counts().log <= 4 << 20,
        "{:?}",
        hub.counts()
    );
}

#[test]
fn a_killed_nodes_users_do_not_stay_for_ever() {
    let mut hub = subscribed();
    let went = |n| Event::Went {
        topic: room(0),
        user: user(n),
    };
    hear(&mut hub, at(0), THEM, 0, state(1, [1, 2]));
    events(&mut hub);
    assert_eq!(hub.present(&room(0)).count(), 2);
    pass(&mut hub, at(14_999));
    assert_eq!(events(&mut hub), []);
    pass(&mut hub, at(15_000));
    assert_eq!(events(&mut hub), [went(1), went(2)]);

    // One that says nothing here but was seen elsewhere has another 15 s, and no more: its goodbye was lost.
    hear(&mut hub, at(20_000), THEM, 0, state(1, [1, 2]));
    events(&mut hub);
    for second in 20..55 {
        hub.handle_node_seen(at(second * 1_000), THEM);
        pass(&mut hub, at(second * 1_000));
        assert_eq!(
            hub.present(&room(0)).count() == 2,
            second < 50,
            "{second} s"
        );
    }

    // One that is known to be dead goes at once, and what it said last does not bring it back.
    hear(&mut hub, at(60_000), THEM, 0, state(1, [1]));
    events(&mut hub);
    hub.handle_node_down(at(60_000), THEM);
    assert_eq!(events(&mut hub), [went(1)]);
    hear(&mut hub, at(60_001), THEM, 1, state(2, [1]));
    assert_eq!((events(&mut hub), hub.counts().present), (vec![], 0));
    // Unless it was not dead: then something was missed.
    hub.handle_node_seen(at(61_000), THEM);
    assert_eq!(events(&mut hub), [gap(Cause::Missed)]);
    hear(&mut hub, at(61_001), THEM, 1, state(2, [1]));
    assert_eq!(hub.counts().present, 1);
}

#[test]
fn numbering_never_starts_again_within_an_incarnation() {
    let mut hub = hub();
    let numbers = |hub: &mut Hub| -> Vec<u64> {
        let said = announced(hub).into_iter();
        said.filter(|said| matches!(said.body, Body::Message { .. }))
            .map(|said| said.seq)
            .collect()
    };
    for number in 0..3 {
        publish(&mut hub, at(0), &room(0), CLUSTER, number);
    }
    assert_eq!(numbers(&mut hub), [1, 2, 3]);
    pass(&mut hub, at(60_000));
    assert_eq!(
        (hub.counts().topics, hub.poll_timeout()),
        (0, None),
        "the topic is forgotten"
    );
    publish(&mut hub, at(60_000), &room(0), CLUSTER, 3);
    assert_eq!(numbers(&mut hub), [4]);
}

#[test]
fn comings_and_goings_are_told_together_and_the_whole_list_to_who_asks() {
    let mut hub = subscribed();
    let mut enter = |now, conn, n| {
        let join = Join {
            user: Some(user(n)),
            since: None,
        };
        hub.join(now, Conn(conn), &conn, &room(0), CLUSTER, join)
            .unwrap();
    };
    enter(at(0), 1, 1);
    enter(at(100), 2, 1);
    enter(at(200), 3, 3);
    pass(&mut hub, at(1_000));
    let bodies = |hub: &mut Hub| -> Vec<Body<Numbered>> {
        announced(hub).into_iter().map(|said| said.body).collect()
    };
    assert_eq!(bodies(&mut hub), [state(1, [1, 3])], "the first time all");
    hub.leave(at(1_100), Conn(3), &room(0));
    hub.leave(at(1_200), Conn(2), &room(0));
    let four = Join {
        user: Some(user(4)),
        since: None,
    };
    hub.join(at(1_300), Conn(4), &4, &room(0), CLUSTER, four)
        .unwrap();
    hub.handle_gone(at(1_400), Conn(1));
    let one = Join {
        user: Some(user(1)),
        since: None,
    };
    hub.join(at(1_500), Conn(5), &5, &room(0), CLUSTER, one)
        .unwrap();
    pass(&mut hub, at(2_100));
    let diff = Body::Diff {
        base: 1,
        version: 2,
        came: vec![user(4)],
        went: vec![user(3)],
    };
    assert_eq!(
        bodies(&mut hub),
        [diff],
        "who went and came back within a second never left"
    );
    for _ in 0..5 {
        hear(&mut hub, at(2_200), THEM, 0, Body::Ask { of: Some(US) });
        hear(
            &mut hub,
            at(2_200),
            THEM,
            0,
            Body::Ask {
                of: Some(Incarnation(3)),
            },
        );
    }
    pass(&mut hub, at(3_200));
    assert_eq!(
        bodies(&mut hub),
        [state(2, [1, 4])],
        "once for all who asked"
    );
    pass(&mut hub, at(5_000));
    assert_eq!(
        bodies(&mut hub),
        [Body::Digest {
            version: 2,
            empty: false
        }]
    );
}

#[test]
fn a_node_whose_list_is_newer_is_asked_until_it_answers() {
    let mut hub = subscribed();
    hear(
        &mut hub,
        at(0),
        THEM,
        0,
        Body::Digest {
            version: 3,
            empty: false,
        },
    );
    let asks = |hub: &mut Hub| {
        let said = announced(hub).into_iter();
        said.filter(|said| said.body == Body::Ask { of: Some(THEM) })
            .count()
    };
    assert_eq!(asks(&mut hub), 1, "at once");
    for second in 1..4 {
        pass(&mut hub, at(second * 1_000));
        assert_eq!(asks(&mut hub), 1, "each second");
    }
    hear(&mut hub, at(3_500), THEM, 0, state(3, [1]));
    pass(&mut hub, at(10_000));
    assert_eq!(asks(&mut hub), 0);
}

#[test]
fn announcements_nobody_takes_are_capped_and_missed_by_number() {
    let config = Config {
        announcements: 10_000,
        ..Config::new(US)
    };
    let mut hub = Hub::new(config, &Seed::from_u64(1));
    for number in 0..1_000 {
        publish(&mut hub, at(0), &room(0), CLUSTER, number);
    }
    let lost = hub.counts().unannounced;
    let said = announced(&mut hub);
    assert!(
        said.len() < 100 && lost as usize + said.len() == 1_000,
        "{} said",
        said.len()
    );
    publish(&mut hub, at(0), &room(0), CLUSTER, 1_000);
    assert_eq!(
        announced(&mut hub)[0].seq,
        1_001,
        "others see what is missing"
    );
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
        let recover = Event::Recover {
            conn: Conn(conn),
            topic: room(0),
            since: place(3),
        };
        assert_eq!(events(&mut hub), [recover]);
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

#[test]
fn more_changes_than_are_kept_become_one_relisting() {
    let mut hub = subscribed();
    for version in 1..=20 {
        let users = if version % 2 == 1 { 0..4_096 } else { 0..0 };
        hear(&mut hub, at(0), THEM, 0, state(version, users));
    }
    let told = events(&mut hub);
    assert_eq!(told.len(), (1 << 16) + 1);
    assert_eq!(told.last(), Some(&Event::Relist { topic: room(0) }));
    hear(&mut hub, at(0), THEM, 0, state(21, [1]));
    assert_eq!(
        events(&mut hub),
        [Event::Came {
            topic: room(0),
            user: user(1)
        }],
        "then as before"
    );
    // A node may not show more users than one of ours could have.
    hear(&mut hub, at(0), THEM, 0, state(22, 0..10_000));
    assert_eq!(hub.present(&room(0)).count(), 4_096);
}

#[test]
fn more_nodes_than_are_remembered_show_as_a_gap() {
    let mut hub = subscribed();
    for n in 0..1_024 {
        hear(
            &mut hub,
            at(n),
            Incarnation(100 + u128::from(n)),
            1,
            state(1, [n]),
        );
    }
    assert_eq!(
        (hub.present(&room(0)).count(), hub.counts().gaps),
        (1_024, 0)
    );
    events(&mut hub);
    hear(&mut hub, at(1_024), THEM, 1, message(1));
    let went = Event::Went {
        topic: room(0),
        user: user(0),
    };
    assert_eq!(
        events(&mut hub),
        [went, gap(Cause::Unchecked)],
        "the longest silent"
    );
}

#[test]
fn what_is_told_to_nobody_is_not_kept() {
    let mut hub = subscribed();
    hear(&mut hub, at(0), THEM, 0, state(1, [1]));
    hear(&mut hub, at(0), THEM, 9, message(9));
    hub.handle_gone(at(0), Conn(0));
    assert_eq!((events(&mut hub), hub.counts().log), (vec![], 0));
    join(&mut hub, at(1), 1, &room(0), CLUSTER);
    hear(&mut hub, at(1), THEM, 19, message(19));
    assert_eq!(
        (fan(&mut hub), events(&mut hub)),
        (vec![(1, 19)], vec![gap(Cause::Missed)])
    );
}
