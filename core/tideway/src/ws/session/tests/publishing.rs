//! A handler that is behind its input: what it publishes is held back a moment, and neither lost nor overtaken.

use super::*;
use crate::testing::VirtualTasks;
use crate::ws::{Hub, HubConfig};

/// A handler that publishes what it is sent in the room it is in, and does else what it is told to.
fn world() -> World {
    let (seed, tasks) = (Seed::from_u64(1), Arc::new(VirtualTasks::default()));
    let hub = Hub::new(HubConfig::default(), None, None, &seed, tasks);
    World::new(move |mut socket: Socket| async move {
        let room = hub.room("room").unwrap();
        room.join(&socket).await.unwrap();
        while let Some(message) = socket.recv().await {
            match message.as_text() {
                Some("answer") => socket.send("answer").await.unwrap(),
                Some("wait") => std::future::pending().await,
                Some("panic") => panic!("asked to"),
                Some("return") => return,
                _ => room.publish(message).unwrap(),
            }
        }
    })
}

#[test]
fn messages_of_one_read_come_back_as_one_piece_and_answers_keep_their_place() {
    let mut world = world();
    world.run();
    for text in ["a", "b", "c"] {
        world.say(text);
    }
    let mut read = world.outgoing();
    let (now, mut codecs) = (world.now, Codecs::default());
    world.session().handle_rx(now, &mut read, &mut codecs);
    world.poll();
    let mut slices = [IoSlice::new(&[]); 8];
    assert_eq!(world.session().poll_transmit(&mut slices), 1);
    for text in ["d", "answer", "e", "f", "answer", "g"] {
        world.say(text);
    }
    world.run();
    let all = ["a", "b", "c", "d", "answer", "e", "f", "answer", "g"];
    assert_eq!(world.got, all);
}

#[test]
fn what_is_held_back_goes_out_however_the_poll_ends() {
    for (last, code) in [
        ("wait", None),
        ("return", Some(1000)),
        ("panic", Some(1011)),
    ] {
        let mut world = world();
        for text in ["a", "b", last, "never read"] {
            world.say(text);
        }
        world.run();
        assert_eq!(world.got, ["a", "b"], "{last}");
        let ended = world.told().first().map(|closed| closed.code);
        assert_eq!(ended, code, "{last}");
    }
}
