//! Rooms over meetings, in virtual time: what sockets would send, without sockets.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::sync::Mutex;
use std::task::{Context, Waker};
use std::time::Duration;

use tideway_engine::hub::{Frame as _, Join, Joined, Outgoing, Policy, Post, Reach};
use tideway_engine::ws::{CloseCode, Codecs, Config, Deflate, Encoded, Parcel, Role};

use super::*;
use crate::testing::VirtualTasks;
use crate::ws::closed::OnClose;
use crate::ws::meeting::Meeting;
use crate::ws::{Cause, Sender, Session, Socket, Upgrade};

fn hub_with(events: Option<Box<dyn DynRoomEvents>>) -> (Hub, VirtualTasks) {
    let tasks = VirtualTasks::default();
    let seed = Seed::from_u64(1);
    let hub = Hub::new(
        HubConfig::default(),
        events,
        None,
        &seed,
        Arc::new(tasks.clone()),
    );
    (hub, tasks)
}

fn socket() -> (Socket, Arc<Meeting>) {
    let config = Config {
        max_message: 4 << 10,
        max_queue: 8 << 10,
        ..Config::default()
    };
    let meeting = Arc::new(Meeting::new(&config, None, Role::Server));
    (Socket::new(&meeting), meeting)
}

/// What a socket's connection takes.
fn taken(meeting: &Meeting) -> Vec<String> {
    pieces(meeting).concat()
}

/// The same, by what is queued as one.
fn pieces(meeting: &Meeting) -> Vec<Vec<String>> {
    let mut state = meeting.lock();
    let mut all = Vec::new();
    while let Some(out) = state.outbox.poll() {
        match out {
            Outgoing::Frame(parcel) => {
                state.outbox.handle_written(parcel.allocated());
                let messages: Vec<Encoded> = match parcel {
                    Parcel::One(message) => vec![message],
                    Parcel::Run(run) => run.collect(),
                };
                let text =
                    |message: &Encoded| String::from_utf8_lossy(message.payload()).into_owned();
                all.push(messages.iter().map(text).collect());
            }
            Outgoing::Close(close) => all.push(vec![format!("close {}", close.code)]),
        }
    }
    all
}

fn now<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("it waits for nobody")
}

#[test]
fn a_room_is_joined_published_to_and_left_behind_by_the_end_of_its_sockets() {
    let (hub, _) = hub_with(None);
    let lobby = hub.room("lobby").unwrap();
    let sockets: Vec<_> = (0..3).map(|_| socket()).collect();
    for (socket, _) in &sockets {
        assert_eq!(now(lobby.join(socket)), Ok(Joined::Whole));
        assert_eq!(now(lobby.join(socket)), Ok(Joined::Already));
    }
    lobby.publish("to all").unwrap();
    lobby.publish_except("to others", &sockets[0].0).unwrap();
    lobby.publish_json(&[1]).unwrap();
    let got: Vec<_> = sockets.iter().map(|(_, meeting)| taken(meeting)).collect();
    assert_eq!(got[0], ["to all", "[1]"]);
    assert_eq!(got[1], ["to all", "to others", "[1]"]);
    assert_eq!(got[2], got[1]);
    assert!(lobby.leave(&sockets[1].0) && !lobby.leave(&sockets[1].0));
    assert!(lobby.has(&sockets[2].0) && !lobby.has(&sockets[1].0));
    sockets[2].1.leave_rooms();
    assert_eq!(lobby.members(), 1);
    assert_eq!(
        now(lobby.join(&sockets[2].0)),
        Err(RoomError::Closed),
        "it has ended"
    );
    sockets[0].1.leave_rooms();
    sockets[1].1.leave_rooms();
    let counts = hub.counts();
    assert_eq!(
        (
            counts.connections,
            counts.members,
            counts.topics,
            counts.log
        ),
        (0, 0, 0, 0)
    );
    assert_eq!((counts.published, counts.delivered), (3, 8));
    for (_, meeting) in &sockets {
        assert_eq!(Arc::strong_count(meeting), 3, "only the test's");
    }
}

#[test]
fn rooms_and_users_of_one_name_are_two() {
    let (hub, _) = hub_with(None);
    let (ann, meeting) = socket();
    now(hub.user("ann").unwrap().join(&ann)).unwrap();
    hub.room("ann").unwrap().publish("room").unwrap();
    hub.user("ann").unwrap().publish("user").unwrap();
    assert_eq!(taken(&meeting), ["user"]);
    assert!(hub.room("").is_err() && hub.room(&"x".repeat(201)).is_err());
}

#[test]
fn a_slow_client_is_dealt_with_by_the_rooms_policy_and_delays_nobody() {
    let (hub, _) = hub_with(None);
    let rules = |policy| Rules {
        policy,
        ..Rules::default()
    };
    let message = |n: u32| format!("{n:04} {}", "x".repeat(995));
    for policy in [Policy::Close, Policy::DropOldest, Policy::DropNewest] {
        let room = hub
            .room(&format!("{policy:?}"))
            .unwrap()
            .rules(rules(policy));
        let ((slow, stalled), (quick, reading)) = (socket(), socket());
        now(room.join(&slow)).unwrap();
        now(room.join(&quick)).unwrap();
        for n in 0..20 {
            room.publish(message(n)).unwrap();
            assert_eq!(taken(&reading), [message(n)]);
            assert!(stalled.lock().outbox.queued() <= 9 << 10);
        }
        let got = taken(&stalled);
        match policy {
            Policy::Close => {
                assert_eq!(got, ["close 1013"]);
                assert_eq!(stalled.lock().cause, Some(Cause::Slow));
            }
            Policy::DropOldest => assert_eq!(got.last(), Some(&message(19))),
            _ => assert_eq!(got.first(), Some(&message(0))),
        }
        assert!(got.len() < 10);
    }
    let room = hub.room("latest").unwrap().rules(rules(Policy::Conflate));
    let (slow, stalled) = socket();
    now(room.join(&slow)).unwrap();
    for n in 0..50 {
        room.publish_latest(n % 2, format!("{n}")).unwrap();
    }
    assert_eq!(taken(&stalled), ["48", "49"]);
}

#[test]
fn a_room_larger_than_a_hold_is_served_by_a_task_in_one_order() {
    let (hub, tasks) = hub_with(None);
    let room = hub.room("large").unwrap();
    let sockets: Vec<_> = (0..3_000).map(|_| socket()).collect();
    for (socket, _) in &sockets {
        now(room.join(socket)).unwrap();
    }
    room.publish("one").unwrap();
    assert_eq!(
        tasks.spawned(),
        1,
        "the publisher serves a hold and goes on"
    );
    room.publish("two").unwrap();
    assert_eq!(tasks.spawned(), 1, "one hands out at a time");
    tasks.run_ready();
    assert_eq!(tasks.spawned(), 0);
    for (_, meeting) in &sockets {
        assert_eq!(taken(meeting), ["one", "two"]);
    }
    // More than the log holds: the publisher helps, and is not refused.
    for _ in 0..3_000 {
        room.publish("x".repeat(4_000)).unwrap();
    }
    tasks.run_ready();
    assert_eq!(hub.counts().log, 0);
    assert_eq!(hub.counts().delivered, 3_000 * 3_002);
}

#[test]
fn what_is_published_while_more_waits_to_be_read_goes_out_as_one_piece() {
    let (hub, _) = hub_with(None);
    let room = hub.room("busy").unwrap();
    let [(first, me), (_second, other), (third, slow)] = [(); 3].map(|()| socket());
    for meeting in [&me, &other, &slow] {
        now(room.join(&Socket::new(meeting))).unwrap();
    }
    let mut history = hub.listener();
    now(room.join(&history)).unwrap();
    let nobody_has_any = || [&me, &other, &slow].iter().all(|it| taken(it).is_empty());
    round::during(&me, || {
        round::read(&other, true);
        room.publish("not the one that is polled").unwrap();
        for meeting in [&me, &other, &slow] {
            assert_eq!(pieces(meeting), [["not the one that is polled"]]);
        }
        round::read(&me, true);
        room.publish("1").unwrap();
        room.publish_except("2", &third).unwrap();
        room.publish("3").unwrap();
        assert!(nobody_has_any());
        round::read(&me, false);
        room.publish("4").unwrap();
        assert_eq!(pieces(&me), [["1", "2", "3", "4"]]);
        assert_eq!(taken(&slow), ["1", "3", "4"]);
        assert_eq!(taken(&other), ["1", "2", "3", "4"]);
        // The handler does not wait for what it took to lead to something.
        round::read(&me, true);
        room.publish("5").unwrap();
        assert!(nobody_has_any());
    });
    assert_eq!(pieces(&other), [["5"]]);
    round::during(&me, || {
        room.publish("no message was read since").unwrap();
        assert_eq!(taken(&other), ["no message was read since"]);
        for n in 0..40 {
            round::read(&me, n < 39);
            room.publish("x".repeat(1_000)).unwrap();
            assert!(hub.counts().log <= 20 << 10);
            if n % 7 == 6 {
                taken(&me);
                taken(&slow);
            }
        }
    });
    drop(first);
    let heard = std::iter::from_fn(|| futures_util::FutureExt::now_or_never(history.recv())?);
    let heard: Vec<_> = heard.map(|it| it.payload().len()).collect();
    assert_eq!(heard.len(), 47, "one by one");
    assert_eq!(heard[1..6], [1; 5]);
    let queued = history.as_ref().meeting().lock().outbox.queued();
    assert!(queued < 400, "{queued} bytes are more than its spare slots");
}

#[test]
fn nothing_overtakes_what_is_held_back() {
    let (hub, _) = hub_with(None);
    let (room, other) = (hub.room("a").unwrap(), hub.room("b").unwrap());
    let (socket, me) = socket();
    now(room.join(&socket)).unwrap();
    now(other.join(&socket)).unwrap();
    let hold = |what: &str| {
        round::read(&me, true);
        room.publish(what).unwrap();
        other.publish(what.to_uppercase()).unwrap();
        assert!(taken(&me).is_empty(), "{what} is held back");
    };
    let behind_it = || {
        let mut got = taken(&me);
        // Of two rooms, in any order.
        got[..2].sort();
        got
    };
    round::during(&me, || {
        hold("x");
        now(socket.send("y")).unwrap();
        assert_eq!(behind_it(), ["X", "x", "y"]);
        hold("x");
        AsRef::<Sender>::as_ref(&socket).try_send("y").unwrap();
        assert_eq!(behind_it(), ["X", "x", "y"]);
        hold("x");
        let elsewhere = room.clone();
        let publish = move || elsewhere.publish("of another thread").unwrap();
        #[expect(clippy::disallowed_methods, reason = "whoever else publishes")]
        let published = std::thread::spawn(publish).join();
        published.unwrap();
        assert_eq!(taken(&me)[..2], ["x", "of another thread"]);
        now(socket.send("y")).unwrap();
        assert_eq!(taken(&me).last().unwrap(), "y");
        hold("x");
        room.leave(&socket);
        assert_eq!(behind_it(), ["X", "x"]);
        now(room.join(&socket)).unwrap();
        hold("x");
        let (_, inner) = self::socket();
        round::during(&inner, || assert_eq!(behind_it(), ["X", "x"]));
        hold("x");
        socket.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(behind_it(), ["X", "x", "close 1000"]);
    });
}

#[test]
fn presence_and_what_it_means_are_told_one_by_one_without_a_lock() {
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl RoomEvents for Told {
        async fn came(&self, room: &Room, user: &str) {
            // It would deadlock if a lock were held.
            room.publish_here(format!("hello {user}")).unwrap();
            let present = room.present().len();
            self.0.lock().unwrap().push(format!("+{user} {present}"));
            assert_ne!(user, "panic");
        }

        async fn went(&self, _: &Room, user: &str) {
            self.0.lock().unwrap().push(format!("-{user}"));
        }
    }

    let told = Told::default();
    let (hub, tasks) = hub_with(Some(Box::new(told.clone())));
    let tended = hub.clone();
    tasks.spawn(Box::pin(async move { tended.tend().await }));
    let room = hub.room("r").unwrap();
    let (ann, anns) = socket();
    let (again, agains) = socket();
    let (bob, bobs) = socket();
    now(room.join_as(&ann, "ann")).unwrap();
    now(room.join_as(&again, "ann")).unwrap();
    now(room.join_as(&bob, "panic")).unwrap();
    tasks.run_ready();
    agains.leave_rooms();
    bobs.leave_rooms();
    tasks.run_ready();
    assert_eq!(*told.0.lock().unwrap(), ["+ann 2", "+panic 2", "-panic"]);
    assert_eq!(taken(&anns), ["hello ann", "hello panic"]);
    assert!(matches!(
        now(room.join_as(&ann, "\n")),
        Err(RoomError::User(_))
    ));
}

#[test]
fn events_nobody_hears_are_not_kept() {
    let (hub, _) = hub_with(None);
    let room = hub.room("r").unwrap();
    let (ann, _kept) = socket();
    now(room.join_as(&ann, "ann")).unwrap();
    assert!((0..shard::COUNT).all(|at| !hub.0.shards.lock(at).rooms.has_event()));
}

#[test]
fn what_a_room_cannot_be_is_refused_with_the_cure() {
    let (hub, _) = hub_with(None);
    let (other, _) = hub_with(None);
    let (ann, _kept) = socket();
    let room = hub.room("r").unwrap();
    now(room.join(&ann)).unwrap();
    let elsewhere = now(other.room("r").unwrap().join(&ann));
    assert_eq!(elsewhere, Err(RoomError::OtherHub));
    let cluster = Rules {
        reach: Reach::Cluster,
        ..Rules::default()
    };
    let error = room.clone().rules(cluster).publish("x").unwrap_err();
    assert!(error.to_string().contains("pubsub"), "{error}");
    let closing = Rules {
        policy: Policy::DropOldest,
        ..Rules::default()
    };
    let error = room.clone().rules(closing).publish("x").unwrap_err();
    assert!(error.to_string().contains("other rules"), "{error}");
    let error = room.publish("x".repeat(5 << 20)).unwrap_err();
    assert!(error.to_string().contains("Config::log"), "{error}");
    // A closed socket joins nothing.
    let (shut, meeting) = socket();
    let sender: Sender = shut.split().0;
    let _ = meeting.lock().finish(hub::Close::DONE, Cause::Handler);
    assert_eq!(now(room.join(&sender)), Err(RoomError::Closed));
}

#[test]
fn the_end_of_a_socket_undoes_what_it_joined_and_refuses_the_rest() {
    for joined in 0..=20 {
        let (hub, _) = hub_with(None);
        let (socket, meeting) = socket();
        for n in 0..20 {
            if n == joined {
                meeting.leave_rooms();
            }
            let room = hub.room(&format!("{n}")).unwrap();
            let expected = if n < joined {
                Ok(Joined::Whole)
            } else {
                Err(RoomError::Closed)
            };
            assert_eq!(now(room.join(&socket)), expected);
        }
        meeting.leave_rooms();
        let counts = hub.counts();
        assert_eq!((counts.connections, counts.members), (0, 0));
    }
}

#[test]
fn a_cluster_join_waits_for_its_answer_its_leave_or_its_end() {
    let (hub, tasks) = hub_with(None);
    let tended = hub.clone();
    tasks.spawn(Box::pin(async move { tended.tend().await }));
    let topic = Topic::Room(Name::new("far").unwrap());
    let cluster = Rules {
        reach: Reach::Cluster,
        ..Rules::default()
    };
    let at = hub.shard_of(&topic);
    let wait = |meeting: &Arc<Meeting>| {
        let entered = hub.enter(&topic, cluster, Join::default(), meeting);
        let (conn, joined) = entered.unwrap();
        assert_eq!(joined, Joined::Waiting);
        conn
    };
    let answer = |conn| {
        let cx = std::task::Context::from_waker(std::task::Waker::noop());
        hub.visit(at, |shard| shard.poll_joined(conn, &topic, &cx))
    };
    let sockets: Vec<_> = (0..3).map(|_| socket()).collect();
    let conns: Vec<_> = sockets.iter().map(|(_, meeting)| wait(meeting)).collect();
    assert!(conns.iter().all(|conn| answer(*conn).is_pending()));
    assert!(hub.leave(&topic, &sockets[1].1));
    sockets[2].1.leave_rooms();
    assert!(answer(conns[1]).is_ready() && answer(conns[2]).is_ready());
    // Nobody subscribes: the deadline is minded, and the join is degraded.
    tasks.advance(Duration::from_secs(3));
    tasks.run_ready();
    assert_eq!(
        answer(conns[0]),
        std::task::Poll::Ready(Some(Joined::Degraded))
    );
    assert_eq!(hub.counts().members, 1);
    let _ = hub.publish(&topic, Rules::default(), &Post::new(Encoded::text("x")));
}

#[test]
fn a_listener_hears_without_a_socket_and_leaves_when_dropped() {
    let (hub, tasks) = hub_with(None);
    let room = hub.room("r").unwrap();
    let mut listener = hub.listener();
    now(room.join(&listener)).unwrap();
    room.publish("one").unwrap();
    room.publish("two").unwrap();
    assert_eq!(now(listener.recv()).unwrap().payload(), b"one");
    assert_eq!(now(listener.recv()).unwrap().payload(), b"two");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    tasks.spawn(Box::pin(async move {
        while let Some(frame) = listener.recv().await {
            hears.lock().unwrap().push(frame.len());
        }
    }));
    tasks.run_ready();
    room.publish("three").unwrap();
    tasks.run_ready();
    assert_eq!(*heard.lock().unwrap(), [7], "it was woken");
    // More than its queue: the policy closes it.
    for _ in 0..50 {
        room.publish("x".repeat(50_000)).unwrap();
    }
    tasks.run_ready();
    assert_eq!((tasks.spawned(), hub.counts().members), (0, 0));
}

#[test]
fn a_message_is_compressed_once_for_all_whose_windows_agree() {
    let (hub, _) = hub_with(None);
    let room = hub.room("lobby").unwrap();
    let mut codecs = Codecs::default();
    let mut cx = Context::from_waker(Waker::noop());
    let agreed = |bits| Deflate {
        server_takeover: false,
        client_takeover: false,
        server_max_window_bits: bits,
        client_max_window_bits: 15,
    };
    let mut open = |deflate| {
        let member = room.clone();
        let upgrade = Upgrade::new(
            Arc::default(),
            deflate,
            None,
            None,
            OnClose::default(),
            move |mut socket: Socket| async move {
                assert_eq!(member.join(&socket).await, Ok(Joined::Whole));
                while socket.recv().await.is_some() {}
            },
        );
        let mut session = upgrade.start(Mono::START, &Seed::from_u64(1), Vec::new());
        assert!(session.poll(Mono::START, &mut cx, &mut codecs).is_pending());
        session
    };
    let mut sessions: Vec<Session> = [Some(15), Some(15), Some(10), None, None]
        .map(|bits| open(bits.map(agreed)))
        .into();
    room.publish("to everybody ".repeat(100)).unwrap();
    let lent: Vec<(*const u8, usize)> = sessions
        .iter_mut()
        .map(|session| {
            session.wake();
            assert!(session.poll(Mono::START, &mut cx, &mut codecs).is_pending());
            let mut slices = [IoSlice::new(&[]); 4];
            assert_eq!(session.poll_transmit(&mut slices), 1);
            (slices[0].as_ptr(), slices[0].len())
        })
        .collect();
    assert_eq!(lent[0], lent[1], "one block of memory");
    assert_eq!(lent[3], lent[4], "one block of memory");
    let blocks: BTreeSet<_> = lent.iter().collect();
    assert_eq!(blocks.len(), 3, "{lent:?}");
    assert!(
        lent[0].1 < 100 && lent[2].1 < 100 && lent[3].1 > 1_300,
        "{lent:?}"
    );
}
