//! Faults of WebSocket clients one by one, in the simulator with the real driver: each sentence of what must hold is a test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideway::stages::Accounts;
use tideway::ws::{Cause, Closed, Socket, Violation, WebSocketUpgrade};
use tideway::{App, Clock, Mono, Response, get};
use tideway_conformance::suite::reply::Reply;
use tideway_driver::{Options, Report, Runtime, Stop, serve};
use tideway_sim::{Host, Link, Sim, SimStream};

type Ends = Arc<Mutex<Vec<(Mono, Closed)>>>;

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

fn app(ends: &Ends, accounts: &Accounts) -> App {
    let ends = ends.clone();
    let told = move |upgrade: WebSocketUpgrade, clock: Clock| {
        let ends = ends.clone();
        upgrade.on_close(move |closed| {
            let mut ends = ends.lock().expect("one thread");
            ends.push((clock.now().mono, closed));
        })
    };
    let (echoes, closes, limited, slow, silent) =
        (told.clone(), told.clone(), told.clone(), told.clone(), told);
    App::new()
        .without_stage("accounts")
        .stage_before("host", accounts.clone())
        .route(
            "/echo",
            get(move |upgrade: WebSocketUpgrade, clock: Clock| -> Response {
                echoes(upgrade, clock)
                    .max_message(100_000)
                    .deflate(true)
                    .on_upgrade(echo)
            }),
        )
        .route(
            "/close",
            get(move |upgrade: WebSocketUpgrade, clock: Clock| -> Response {
                closes(upgrade, clock).on_upgrade(|socket| async move { drop(socket) })
            }),
        )
        .route(
            "/limited",
            get(move |upgrade: WebSocketUpgrade, clock: Clock| -> Response {
                limited(upgrade, clock).rate_limit(10, 10).on_upgrade(echo)
            }),
        )
        .route(
            "/slow",
            get(move |upgrade: WebSocketUpgrade, clock: Clock| {
                let slow = slow.clone();
                async move {
                    let upgrade = slow(upgrade, clock.clone());
                    clock.sleep(Duration::from_secs(2)).await;
                    upgrade.on_upgrade(echo)
                }
            }),
        )
        .route(
            "/beat",
            get(move |upgrade: WebSocketUpgrade, clock: Clock| -> Response {
                silent(upgrade, clock)
                    .heartbeat(Duration::from_secs(10), Duration::from_secs(5))
                    .on_upgrade(echo)
            }),
        )
}

struct World {
    sim: Sim,
    server: Host,
    client: Host,
    ends: Ends,
    accounts: Accounts,
    stop: Stop,
    report: std::sync::mpsc::Receiver<Report>,
}

impl World {
    fn new() -> Self {
        let sim = Sim::new(1);
        let (server, client) = (sim.host("server"), sim.host("client"));
        sim.default_link(Link::perfect());
        let (ends, accounts, stop) = (Ends::default(), Accounts::default(), Stop::new());
        let (tell, report) = std::sync::mpsc::channel();
        let on = server.listener(80).expect("a free port");
        let app = app(&ends, &accounts);
        let served = serve(server.clone(), app, on, Options::default(), stop.clone());
        server.spawn_named("server", async move {
            let report = served.await.expect("a well-formed app");
            let _ = tell.send(report);
        });
        Self {
            sim,
            server,
            client,
            ends,
            accounts,
            stop,
            report,
        }
    }

    fn pass(&self, seconds: u64) {
        self.sim
            .run_for(Duration::from_secs(seconds))
            .expect("time goes on");
    }

    fn ends(&self) -> Vec<(Mono, Closed)> {
        self.ends.lock().expect("one thread").clone()
    }

    /// The one end there was, and nothing is left.
    #[track_caller]
    fn ended(&self) -> (Mono, Closed) {
        let mut ends = self.ends();
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert_eq!(self.sim.connections(), 0);
        assert_eq!(self.sim.task_names(), ["server/1 server"]);
        assert_eq!(self.accounts.counts().in_flight, 0);
        ends.remove(0)
    }

    fn open(&self, path: &str) -> SimStream {
        self.sim.run(async {
            let mut stream = ask(&self.client, path).await;
            answered(&mut stream).await;
            stream
        })
    }

    /// Sends `bytes` and reads to the end.
    fn say(&self, mut stream: SimStream, bytes: &[u8]) -> Vec<u8> {
        self.sim.run(async {
            stream.write_all(bytes).await.expect("it is open");
            stream.read_to_end().await.expect("nothing breaks")
        })
    }
}

async fn ask(client: &Host, path: &str) -> SimStream {
    ask_from(client, path, "server").await
}

async fn ask_from(client: &Host, path: &str, origin: &str) -> SimStream {
    let mut stream = client.connect("server", 80).await.expect("it listens");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: server\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-extensions: permessage-deflate\r\norigin: http://{origin}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    stream
}

async fn answered(stream: &mut SimStream) {
    let mut head = Vec::new();
    loop {
        let byte = stream.read(1).await.expect("nothing breaks");
        assert!(!byte.is_empty(), "closed");
        head.extend(byte);
        if let Some((reply, _)) = Reply::head(&head).expect("HTTP") {
            assert_eq!(reply.status, 101, "{}", reply.summary());
            return;
        }
    }
}

/// A short frame under a mask of zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = 0x80 | u8::try_from(payload.len()).expect("a short one");
    [&[first, len, 0, 0, 0, 0], payload].concat()
}

/// The code and reason of the Close that is all of `sent`.
fn close(sent: &[u8]) -> (u16, &str) {
    let [0x88, len, high, low, reason @ ..] = sent else {
        panic!("no Close: {sent:?}");
    };
    assert_eq!(
        usize::from(*len),
        reason.len() + 2,
        "once, and nothing else"
    );
    let reason = std::str::from_utf8(reason).expect("text");
    (u16::from_be_bytes([*high, *low]), reason)
}

#[test]
fn every_violation_has_its_code_and_its_reason_once() {
    use Violation as V;

    let close_of = |payload: &[u8]| masked(0x88, payload);
    let long_ping = [&[0x89, 0xfe, 0, 126, 0, 0, 0, 0], &[0; 126][..]].concat();
    let padded = vec![0x82, 0xfe, 0, 5, 0, 0, 0, 0];
    let announced = [&[0x82, 0xff], &200_000_u64.to_be_bytes()[..], &[0; 4]].concat();
    let continued = [masked(0x01, b"a"), masked(0x81, b"b")].concat();
    let cases: [(Vec<u8>, V); 14] = [
        (b"\x81\x02hi".to_vec(), V::Unmasked),
        (masked(0x91, b"x"), V::Reserved),
        (masked(0x83, b""), V::Opcode),
        (long_ping, V::ControlLength),
        (masked(0x09, b""), V::ControlFragment),
        (padded, V::Length),
        (masked(0x80, b"x"), V::NothingToContinue),
        (continued, V::Unfinished),
        (close_of(&[3]), V::Close),
        (close_of(&1005_u16.to_be_bytes()), V::Close),
        (masked(0x81, b"\xed\xa0\x80"), V::Utf8),
        (close_of(b"\x03\xe8\xff"), V::Utf8),
        (masked(0xc2, b"\x06\xff"), V::Inflate),
        (announced, V::TooBig),
    ];
    for (bytes, violation) in cases {
        let world = World::new();
        let sent = world.say(world.open("/echo"), &bytes);
        let code = match violation {
            V::Utf8 | V::Inflate => 1007,
            V::TooBig => 1009,
            _ => 1002,
        };
        assert_eq!(
            close(&sent),
            (code, &*violation.to_string()),
            "{violation:?}"
        );
        world.pass(1);
        let (_, closed) = world.ended();
        assert_eq!(
            (closed.cause, closed.code),
            (Cause::Violation(violation), code)
        );
    }
}

#[test]
fn a_bomb_closes_1009() {
    use tideway::ws::{Codecs, Config};
    use tideway_engine::ws::{Conn, Deflate, DeflateConfig, Encoded, Role};

    let (agreed, _) = Deflate::accept("permessage-deflate", &DeflateConfig::default())
        .expect("a list")
        .expect("it is taken");
    let config = Config {
        max_queue: usize::MAX,
        ..Config::default()
    };
    let seed = tideway::Seed::from_u64(1);
    let mut peer = Conn::new(
        Role::Client,
        Arc::new(config),
        Some(agreed),
        &seed,
        Mono::START,
    );
    let zeros = Encoded::binary(&vec![0; 20_000_000]);
    peer.send(zeros, &mut Codecs::default()).expect("room");
    let mut slices = [std::io::IoSlice::new(&[]); 4];
    let count = peer.poll_transmit(&mut slices);
    let bomb: Vec<u8> = slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect();
    assert!(bomb.len() < 30_000, "{}", bomb.len());

    let world = World::new();
    let sent = world.say(world.open("/echo"), &bomb);
    assert_eq!(close(&sent), (1009, "message too big"));
    world.pass(1);
    assert_eq!(world.ended().1.cause, Cause::Violation(Violation::TooBig));
}

#[test]
fn a_flood_is_answered_as_fast_as_the_rate_allows() {
    let world = World::new();
    let mut stream = world.open("/limited");
    let began = world.sim.now().mono;
    let flood = masked(0x82, b"x").repeat(110);
    world.sim.run(async {
        stream.write_all(&flood).await.expect("it is open");
        // An unmasked echo of one byte takes three.
        stream.read_exact(330).await.expect("all of them");
    });
    let took = world.sim.now().mono.since(began);
    assert!(took >= Duration::from_secs(10), "{took:?}");
    assert!(took < Duration::from_secs(11), "{took:?}");
}

#[test]
fn a_client_that_never_answers_close_is_cut_at_the_deadline() {
    let world = World::new();
    let stream = world.open("/close");
    world.pass(4);
    assert!(world.ends().is_empty());
    world.pass(2);
    drop(stream);
    world.pass(1);
    let (at, closed) = world.ended();
    assert_eq!((closed.cause, closed.code), (Cause::Handler, 1006));
    let took = at.since(Mono::START);
    assert!((5000..5100).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_half_open_peer_is_found_within_interval_and_time_out() {
    let world = World::new();
    let mut stream = world.open("/beat");
    world.sim.run(async {
        stream.write_all(&masked(0x82, b"x")).await.expect("open");
        stream.read_exact(3).await.expect("its echo");
    });
    let heard = world.sim.now().mono;
    world.sim.partition(&world.server, &world.client);
    world.pass(20);
    let ends = world.ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].1.cause, Cause::Silent);
    let took = ends[0].0.since(heard);
    assert!(took <= Duration::from_millis(15_100), "{took:?}");
}

#[test]
fn a_stop_in_the_middle_of_the_handshake_ends_it_once_and_in_time() {
    let world = World::new();
    let outcome = Arc::new(Mutex::new(Vec::new()));
    let (rt, sent) = (world.client.clone(), outcome.clone());
    world.client.spawn_named("client", async move {
        let mut stream = ask(&rt, "/slow").await;
        let all = stream.read_to_end().await;
        sent.lock()
            .expect("one thread")
            .extend(all.unwrap_or_default());
    });
    world.pass(1);
    world.stop.stop();
    world.pass(12);
    let sent = std::mem::take(&mut *outcome.lock().expect("one thread"));
    let (reply, head) = Reply::head(&sent).expect("HTTP").expect("an answer");
    println!("{}", reply.summary());
    let ends = world.ends();
    assert_eq!(ends.len(), 1, "{ends:?}");
    if reply.status == 101 {
        assert_eq!(close(&sent[head..]).0, 1001);
        assert_eq!(ends[0].1.cause, Cause::Stop);
    } else {
        assert_eq!(ends[0].1.cause, Cause::Refused);
    }
    let report = world.report.try_recv().expect("it has stopped");
    assert_eq!(report.cut, 0);
    assert_eq!((world.sim.tasks(), world.sim.connections()), (0, 0));
}

#[test]
fn what_never_became_a_socket_is_told_once() {
    // Refused.
    let world = World::new();
    let answer = world.sim.run(async {
        let mut stream = ask_from(&world.client, "/echo", "elsewhere").await;
        stream.read(4096).await.expect("an answer")
    });
    let (reply, _) = Reply::head(&answer).expect("HTTP").expect("a head");
    assert_eq!(reply.status, 403);
    world.pass(1);
    assert_eq!(world.ended().1.cause, Cause::Refused);

    // Gone while the handshake's handler ran.
    for reset in [false, true] {
        let world = World::new();
        let stream = world.sim.run(ask(&world.client, "/slow"));
        world.pass(1);
        if reset {
            stream.reset();
        } else {
            drop(stream);
        }
        world.pass(10);
        assert_eq!(world.ended().1.code, 1006);
    }

    // Gone at once.
    let world = World::new();
    let mut stream = world.open("/echo");
    world
        .sim
        .run(async { stream.write_all(&masked(0x82, b"x")).await.expect("open") });
    stream.reset();
    world.pass(1);
    assert_eq!(world.ended().1.cause, Cause::Lost);

    // Cut by a stop that does not wait.
    let world = World::new();
    let _stream = world.open("/echo");
    world.stop.stop();
    world.stop.stop();
    world.pass(1);
    let ends = world.ends();
    assert_eq!((ends.len(), ends[0].1.cause), (1, Cause::Stop));
}
