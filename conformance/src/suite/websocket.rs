//! WebSockets: the upgrade takes the stream with every byte, the handler and the protocol share one task, and each socket
//! ends once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tideway::pipeline::End;
use tideway::ws::{Cause, Closed, Socket, WebSocketUpgrade};
use tideway::{App, Clock, Response, get};
use tideway_driver::Runtime;

use super::claim::{eventually, fail, holds, not_before, same};
use super::client::{Client, Ending};
use super::{Harness, Site};

pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The handshake of RFC 6455 §1.3, whose answer is known.
pub(super) fn handshake(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: suite\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into()
}

/// A whole frame as a client sends it, masked.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        len @ ..126 => bytes.push(0x80 | len as u8),
        len @ ..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(KEY);
    bytes.extend(payload.iter().zip(0..).map(|(byte, i)| byte ^ KEY[i % 4]));
    bytes
}

/// The next frame that is no Ping, whose first comes at any time: opcode and payload.
#[track_caller]
pub(super) fn next(client: &mut Client) -> (u8, Vec<u8>) {
    loop {
        let (opcode, payload) = next_of_all(client);
        if opcode != PING {
            return (opcode, payload);
        }
    }
}

#[track_caller]
fn next_of_all(client: &mut Client) -> (u8, Vec<u8>) {
    let head = client.bytes(2);
    holds(
        head[0] & 0x70 == 0 && head[0] & 0x80 != 0 && head[1] & 0x80 == 0,
        "a whole frame, not masked",
        format!("{head:?}"),
        "RFC 6455 §5.1",
    );
    let len = match head[1] {
        126 => u16::from_be_bytes(client.bytes(2).try_into().expect("two bytes")).into(),
        127 => u64::from_be_bytes(client.bytes(8).try_into().expect("eight bytes")) as usize,
        len => usize::from(len),
    };
    (head[0] & 0xf, client.bytes(len))
}

/// Opens a socket.
#[track_caller]
pub(super) fn open(site: &Site, path: &str) -> Client {
    let mut client = site.client();
    client.send(handshake(path));
    accepted(&mut client);
    client
}

#[track_caller]
pub(super) fn accepted(client: &mut Client) {
    let reply = client.head();
    same(
        (reply.status, reply.header("sec-websocket-accept")),
        (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        "RFC 6455 §1.3",
    );
}

/// Closes as RFC 6455 §7.1 has it: the peer's Close, ours, then the end.
#[track_caller]
pub(super) fn closes(client: &mut Client, code: u16) {
    let (opcode, payload) = next(client);
    let said = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
    same((opcode, said), (CLOSE, Some(code)), "the peer is told why");
    // It may have closed already.
    let _ = client.try_send(frame(CLOSE, &code.to_be_bytes()));
    let _ = client.ends("both have sent Close");
    client.half_close();
}

/// What `on_close` said, of all sockets.
#[derive(Clone, Default)]
pub(super) struct Ends(Arc<Mutex<Vec<Closed>>>);

impl Ends {
    pub(super) fn list(&self) -> Vec<Closed> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.clone()
    }

    #[track_caller]
    pub(super) fn are(&self, causes: &[Cause]) {
        let seen = || self.list().iter().map(|end| end.cause).collect::<Vec<_>>();
        eventually(
            &format!("{causes:?}"),
            || format!("{:?}", seen()),
            || seen().len() >= causes.len(),
            "`on_close` runs on every path",
        );
        same(
            seen(),
            causes.to_vec(),
            "`on_close` runs once, with its reason",
        );
    }

    fn hook(&self, upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
        let ends = self.0.clone();
        upgrade.on_close(move |closed| {
            let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.push(closed);
        })
    }
}

/// Sends back what comes.
async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

pub(super) fn echoes(app: App, ends: &Ends) -> App {
    let ends = ends.clone();
    let answer = move |upgrade: WebSocketUpgrade| -> Response {
        ends.hook(upgrade.max_message(8 << 20)).on_upgrade(echo)
    };
    app.route("/echo", get(answer)).route("/", get(|| "hello"))
}

/// The books say that the exchange became a socket.
#[track_caller]
fn upgraded(site: &Site, path: &str) {
    site.idle("an upgrade ends its exchange");
    let ends: Vec<End> = site
        .ledger
        .of(path)
        .into_iter()
        .flat_map(|entry| entry.ends)
        .collect();
    holds(
        ends.iter().all(|end| *end == End::Upgraded) && !ends.is_empty(),
        "upgraded, once",
        format!("{ends:?}"),
        "a socket that lives for a day is no request that takes one",
    );
}

/// Messages come back, those included that came in one segment with the handshake.
pub fn frames_behind_the_handshake_are_not_lost<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let site = h.site().serve(|app| echoes(app, &ends));
    let mut client = site.client();
    client.send(
        [
            handshake("/echo"),
            frame(TEXT, b"early"),
            frame(BINARY, b"too"),
        ]
        .concat(),
    );
    accepted(&mut client);
    same(
        next(&mut client),
        (TEXT, b"early".to_vec()),
        "it was read with the head",
    );
    same(next(&mut client), (BINARY, b"too".to_vec()), "in order");
    for size in [0, 125, 126, 65_535, 65_536, 5 << 20] {
        let data = vec![b'x'; size];
        client.send(frame(BINARY, &data));
        let (opcode, back) = next(&mut client);
        same((opcode, back.len()), (BINARY, size), "whatever its size");
        holds(
            back == data,
            "the same bytes",
            "other bytes",
            "that is what an echo is",
        );
    }
    upgraded(&site, "/echo");
    client.send(frame(CLOSE, &1000_u16.to_be_bytes()));
    closes(&mut client, 1000);
    ends.are(&[Cause::Peer]);
}

/// What is no handshake hears why, and the connection goes on.
pub fn a_broken_handshake_is_refused_and_the_connection_lives<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let site = h.site().serve(|app| echoes(app, &ends));
    let mut client = site.client();
    let whole = String::from_utf8(handshake("/echo")).expect("ASCII");
    for (from, to, status) in [
        ("upgrade: websocket\r\n", "", 426),
        ("version: 13", "version: 12", 426),
        ("dGhl", "", 400),
        ("connection: Upgrade\r\n", "", 400),
        (
            "host: suite\r\n",
            "host: suite\r\norigin: https://evil.example\r\n",
            403,
        ),
    ] {
        client.send(whole.replace(from, to));
        let reply = client.reply();
        same(
            (reply.status, reply.header("content-type")),
            (status, Some("application/problem+json")),
            "a client that is told what is wrong can mend it",
        );
        let version = reply.header("sec-websocket-version");
        same(version, (status == 426).then_some("13"), "RFC 6455 §4.4");
    }
    same(client.get("/").status, 200, "it is HTTP still");
    // The origin is the handler's to refuse, so there was an upgrade to hear of.
    ends.are(&[Cause::Refused]);
}

/// A handler that waits does not keep the protocol from answering, and one that panics takes nobody along.
pub fn a_handler_neither_blocks_nor_breaks_the_protocol<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let hook = ends.clone();
    let site = h.site().serve(|app| {
        let answer = move |upgrade: WebSocketUpgrade, clock: Clock| -> Response {
            hook.hook(upgrade)
                .on_upgrade(|mut socket: Socket| async move {
                    let told = socket.recv().await;
                    if told.is_some_and(|told| told.as_text() == Some("panic")) {
                        panic!("asked to");
                    }
                    clock.sleep(Duration::from_secs(3600)).await;
                })
        };
        app.route("/", get(answer))
    });
    let mut busy = open(&site, "/");
    busy.send(frame(TEXT, b"work"));
    for n in 0..3 {
        busy.send(frame(PING, &[n]));
        same(
            next(&mut busy),
            (PONG, vec![n]),
            "the handler waits, not the socket",
        );
    }
    let mut client = open(&site, "/");
    client.send(frame(TEXT, b"panic"));
    closes(&mut client, 1011);
    ends.are(&[Cause::Panic]);
    busy.send(frame(PING, b"still"));
    same(next(&mut busy), (PONG, b"still".to_vec()), "others live on");
    // A frame that is not masked.
    busy.send([0x81, 0x02, b'h', b'i']);
    let (opcode, payload) = next(&mut busy);
    same((opcode, &payload[..2]), (CLOSE, &[3, 234][..]), "1002");
}

/// A peer that reads nothing bounds what the handler may queue; once it reads, all arrives.
pub fn a_stalled_reader_makes_its_sender_wait<R: Runtime>(h: &Harness<R>) {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 512;
    let sent = Arc::new(Mutex::new(0_usize));
    let count = sent.clone();
    let site = h.site().serve(|app| {
        let answer = move |upgrade: WebSocketUpgrade| -> Response {
            let count = count.clone();
            upgrade.on_upgrade(|socket: Socket| async move {
                for n in 0..PIECES {
                    if socket.send(vec![n as u8; PIECE]).await.is_err() {
                        return;
                    }
                    *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                }
            })
        };
        app.route("/", get(answer))
    });
    let mut client = Client::connect_narrow(site.addr(), 16 << 10);
    client.send(handshake("/"));
    accepted(&mut client);
    let now = || *sent.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut before, begun) = (usize::MAX, Instant::now());
    while before != now() || begun.elapsed() < Duration::from_millis(200) {
        before = now();
        std::thread::sleep(Duration::from_millis(50));
    }
    // 1 MiB in our queue, and what the kernel's buffers take.
    holds(
        before * PIECE < 12 << 20,
        "fewer than 12 MiB queued",
        format!("{before} pieces of 64 KiB"),
        "a client that does not read must not fill our memory",
    );
    for n in 0..PIECES {
        let (opcode, piece) = next(&mut client);
        same(
            (opcode, piece.len(), piece[0]),
            (BINARY, PIECE, n as u8),
            "in order, none lost",
        );
    }
    closes(&mut client, 1000);
}

/// A peer that says nothing, not even to a Ping, is cut; one that does, lives.
pub fn a_silent_peer_is_cut_by_the_heartbeat<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let hook = ends.clone();
    let (every, within) = (Duration::from_millis(200), Duration::from_millis(300));
    let site = h.site().serve(|app| {
        let answer = move |upgrade: WebSocketUpgrade| -> Response {
            hook.hook(upgrade.heartbeat(every, within)).on_upgrade(echo)
        };
        app.route("/", get(answer))
    });
    let mut lives = open(&site, "/");
    for _ in 0..4 {
        let (opcode, payload) = next_of_all(&mut lives);
        same(opcode, PING, "silence is asked about");
        lives.send(frame(PONG, &payload));
    }
    let mut silent = open(&site, "/");
    let begun = Instant::now();
    drop(lives);
    let _ = silent.ends("nobody can tell a silent peer from a dead one");
    not_before(
        begun,
        within,
        "the cut",
        "a Ping has its time to be answered",
    );
    ends.are(&[Cause::Lost, Cause::Silent]);
}

/// A stop says 1001 to every socket, waits for the answers, and cuts who gives none.
pub fn a_stop_closes_sockets_and_cuts_who_does_not_answer<R: Runtime>(h: &Harness<R>) {
    let ends = Ends::default();
    let drain = Duration::from_millis(500);
    let site = h
        .site()
        .options(|options| options.drain = drain)
        .serve(|app| echoes(app, &ends));
    let (mut polite, mut rude) = (open(&site, "/echo"), open(&site, "/echo"));
    rude.send(frame(TEXT, b"here"));
    same(next(&mut rude).0, TEXT, "it is open");
    let begun = Instant::now();
    site.stop.stop();
    closes(&mut polite, 1001);
    same(next(&mut rude).0, CLOSE, "it is told as well");
    same(
        site.report().cut,
        1,
        "who does not answer is cut, and counted",
    );
    not_before(begun, drain, "the cut", "until then it could have answered");
    match rude.ending(Duration::from_secs(5)) {
        Ending::Open => fail("the end", "an open connection", "a stop is a stop"),
        Ending::Closed | Ending::Reset => {}
    }
    ends.are(&[Cause::Stop, Cause::Stop]);
}

/// Clients that vanish leave nothing behind.
pub fn sockets_of_clients_that_vanish_are_gone<R: Runtime>(h: &Harness<R>) {
    const SOCKETS: usize = 200;
    let ends = Ends::default();
    let site = h.site().serve(|app| echoes(app, &ends));
    let mut clients: Vec<Client> = (0..SOCKETS).map(|_| open(&site, "/echo")).collect();
    for client in &mut clients {
        client.send(frame(TEXT, b"one"));
        client.send(&frame(BINARY, &[0; 100])[..50]);
    }
    for client in &mut clients {
        same(next(client).0, TEXT, "each is served");
    }
    drop(clients);
    ends.are(&[Cause::Lost; SOCKETS]);
    site.stop.stop();
    same(site.report().cut, 0, "none was left to be cut");
}
