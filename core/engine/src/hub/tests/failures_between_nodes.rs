//! What went wrong between the nodes of systems like this one, each under its own name.

use std::time::Duration;

use super::failures::*;
use super::outboxes::Numbered;
use super::*;
use crate::rng::Seed;

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
    let joined = |conn, joined| Answer::Joined {
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
    assert_eq!(answers(&mut hub), [joined(0, Joined::Degraded)]);
    hub.handle_subscribed(at(2_100), &room(0));
    assert_eq!(answers(&mut hub), [joined(1, Joined::Whole)]);
    assert_eq!(
        events(&mut hub),
        [gap(Cause::Reconnected)],
        "who was told `Degraded` is told that something is missing"
    );
    hub.handle_timeout(at(3_000));
    assert_eq!((answers(&mut hub), events(&mut hub)), (vec![], vec![]));
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
