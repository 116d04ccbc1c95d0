//! Rooms over sockets: one order for all members, presence told once, and a member that reads nothing delays nobody.

use std::sync::{Arc, Mutex, PoisonError};

use tideway::http::StatusCode;
use tideway::ws::{Hub, Room, RoomEvents, Socket, WebSocketUpgrade};
use tideway::{App, IntoResponse, Response, extract::Path, get};
use tideway_driver::Runtime;

use super::Harness;
use super::claim::{eventually, same};
use super::client::Client;
use super::websocket::{CLOSE, TEXT, accepted, closes, frame, handshake, next, open};

/// Tells who comes and goes.
struct Announcer;

impl RoomEvents for Announcer {
    async fn came(&self, room: &Room, user: &str) {
        let _ = room.publish_here(format!("+{user}"));
    }

    async fn went(&self, room: &Room, user: &str) {
        let _ = room.publish_here(format!("-{user}"));
    }
}

type Kept = Arc<Mutex<Option<Hub>>>;

/// A room in which everyone hears everyone, and is present by the name in the path.
fn room(app: App, kept: &Kept) -> App {
    let kept = kept.clone();
    let answer = move |upgrade: WebSocketUpgrade, hub: Hub, Path(user): Path<String>| -> Response {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(hub.clone());
        let Ok(room) = hub.room("room") else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        upgrade
            .max_queue(256 << 10)
            .max_message(128 << 10)
            .on_upgrade(move |mut socket: Socket| async move {
                if room.join_as(&socket, &user).await.is_err() {
                    return;
                }
                while let Some(message) = socket.recv().await {
                    if room.publish(message).is_err() {
                        return;
                    }
                }
            })
    };
    app.room_events(Announcer).route("/{user}", get(answer))
}

#[track_caller]
fn text(client: &mut Client) -> String {
    let (opcode, payload) = next(client);
    same(opcode, TEXT, "nothing else is said");
    String::from_utf8_lossy(&payload).into_owned()
}

#[track_caller]
fn is_empty(kept: &Kept) {
    let hub = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let counts = || {
        let counts = hub.as_ref().map(Hub::counts).unwrap_or_default();
        [
            counts.connections,
            counts.members,
            counts.topics,
            counts.log,
        ]
    };
    eventually(
        "no connection, member, room or byte",
        || format!("{:?}", counts()),
        || counts() == [0; 4],
        "what has ended leaves nothing behind",
    );
}

/// All members hear all that is said, in one order, and who comes and goes.
pub fn a_room_reaches_its_members_in_one_order<R: Runtime>(h: &Harness<R>) {
    const MEMBERS: usize = 20;
    const WORDS: usize = 50;
    let kept = Kept::default();
    let site = h.site().serve(|app| room(app, &kept));
    let mut members = Vec::new();
    for n in 0..MEMBERS {
        let mut member = open(&site, &format!("/user{n}"));
        same(text(&mut member), format!("+user{n}"), "it hears of itself");
        for earlier in &mut members {
            same(text(earlier), format!("+user{n}"), "and those before it do");
        }
        members.push(member);
    }
    for word in 0..WORDS {
        for (n, member) in members.iter_mut().enumerate() {
            member.send(frame(TEXT, format!("{n} {word}").as_bytes()));
        }
    }
    let heard: Vec<Vec<String>> = members
        .iter_mut()
        .map(|member| (0..MEMBERS * WORDS).map(|_| text(member)).collect())
        .collect();
    for other in &heard[1..] {
        same(other == &heard[0], true, "one order for all members");
    }
    for n in 0..MEMBERS {
        let of_one = heard[0]
            .iter()
            .filter(|said| said.starts_with(&format!("{n} ")));
        let of_one: Vec<_> = of_one.cloned().collect();
        let said: Vec<_> = (0..WORDS).map(|word| format!("{n} {word}")).collect();
        same(of_one, said, "each sender's words in its order, each once");
    }
    let mut first = members.remove(0);
    first.send(frame(CLOSE, &1000_u16.to_be_bytes()));
    closes(&mut first, 1000);
    for member in &mut members {
        same(text(member), "-user0".to_owned(), "who went is told of");
    }
    drop(members);
    is_empty(&kept);
}

/// A member that reads nothing is closed when its queue is full; the others get everything meanwhile.
pub fn a_stalled_member_delays_nobody_and_is_closed<R: Runtime>(h: &Harness<R>) {
    const PIECES: usize = 400;
    let kept = Kept::default();
    let site = h.site().serve(|app| room(app, &kept));
    let mut stalled = Client::connect_narrow(site.addr(), 16 << 10);
    stalled.send(handshake("/stalled"));
    accepted(&mut stalled);
    same(text(&mut stalled), "+stalled".to_owned(), "it is a member");
    let mut talker = open(&site, "/talker");
    same(text(&mut talker), "+talker".to_owned(), "so is it");
    let piece = "x".repeat(64 << 10);
    // Its queue and the kernel's buffers hold far less than all of them.
    let mut sent = 0;
    loop {
        sent += 1;
        same(sent < PIECES, true, "a queue of 256 KiB is full by now");
        talker.send(frame(TEXT, piece.as_bytes()));
        let said = text(&mut talker);
        if said == "-stalled" {
            break;
        }
        same(
            said.len(),
            piece.len(),
            "nobody waits for who does not read",
        );
    }
    same(text(&mut talker).len(), piece.len(), "nor for its end");
    // It has 5 s for its Close, and reads at last.
    let mut last = (0, Vec::new());
    while last.0 != CLOSE {
        last = next(&mut stalled);
    }
    let code = last.1.first_chunk().map(|code| u16::from_be_bytes(*code));
    same(
        code,
        Some(1013),
        "the room's policy is to close, and to say why",
    );
    drop((stalled, talker));
    is_empty(&kept);
}
