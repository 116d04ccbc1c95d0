//! A session against a client machine, in memory and virtual time.

mod publishing;

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use futures_util::future::{Either, select};
use tideway_engine::ws::{CloseFrame, Encoded, End, Event, Violation};

use super::*;
use crate::ws::meeting::INBOX;
use crate::ws::{SendError, Sender};

/// Counts the wake-ups of the session's task.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Told = Arc<Mutex<Vec<Closed>>>;

struct World {
    session: Option<Session>,
    client: Conn,
    now: Mono,
    codecs: Codecs,
    woken: Arc<Count>,
    told: Told,
    /// What the client received, and its end.
    got: Vec<String>,
    end: Option<End>,
    /// What the client has sent and the session has not read.
    wire: Vec<u8>,
}

/// Without a heartbeat: for what has nothing to do with time.
fn still() -> Config {
    Config {
        ping_every: Duration::MAX,
        ..Config::default()
    }
}

fn upgrade<F, Fut>(config: Config, rate: Option<Rate>, handler: F) -> (Upgrade, Told)
where
    F: FnOnce(Socket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let told = Told::default();
    let tell = told.clone();
    let on_close = OnClose::new(move |closed| tell.lock().unwrap().push(closed));
    let upgrade = Upgrade::new(Arc::new(config), None, None, rate, on_close, handler);
    (upgrade, told)
}

impl World {
    fn new<F, Fut>(handler: F) -> Self
    where
        F: FnOnce(Socket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::with(still(), None, Vec::new(), handler)
    }

    fn with<F, Fut>(config: Config, rate: Option<Rate>, read: Vec<u8>, handler: F) -> Self
    where
        F: FnOnce(Socket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let now = Mono::START;
        let (upgrade, told) = upgrade(config, rate, handler);
        let large = Config {
            max_queue: usize::MAX,
            ..still()
        };
        let session = upgrade.start(now, &Seed::from_u64(1), read);
        let client = Conn::new(Role::Client, Arc::new(large), None, &Seed::from_u64(2), now);
        Self {
            session: Some(session),
            client,
            now,
            codecs: Codecs::default(),
            woken: Arc::default(),
            told,
            got: Vec::new(),
            end: None,
            wire: Vec::new(),
        }
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("it is not over")
    }

    /// The client queues a message.
    fn say(&mut self, message: impl Into<Encoded>) {
        self.client.send(message.into(), &mut self.codecs).unwrap();
    }

    /// What the client has to send.
    fn outgoing(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = self.client.poll_transmit(&mut slices);
            let some: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            if some.is_empty() {
                return bytes;
            }
            self.client.handle_tx(self.now, some.len());
            bytes.extend(some);
        }
    }

    /// Polls the session once, without writing; whether it is over.
    fn poll(&mut self) -> bool {
        let waker = Waker::from(self.woken.clone());
        let (now, mut codecs) = (self.now, std::mem::take(&mut self.codecs));
        let session = self.session.as_mut().expect("it is not over");
        let polled = session.poll(now, &mut Context::from_waker(&waker), &mut codecs);
        self.codecs = codecs;
        polled.is_ready()
    }

    /// Writes what the session has, as much as `most` bytes; whether that was anything.
    fn write(&mut self, most: usize) -> bool {
        let (now, mut codecs) = (self.now, std::mem::take(&mut self.codecs));
        let session = self.session();
        let mut slices = [IoSlice::new(&[]); 8];
        let count = session.poll_transmit(&mut slices);
        let mut bytes: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        bytes.truncate(most);
        session.handle_tx(now, bytes.len(), &mut codecs);
        let mut input = &mut bytes[..];
        let wrote = !input.is_empty();
        while let Some(event) = self.client.handle_rx(now, &mut input, &mut codecs) {
            match event {
                Event::Text(text) => self.got.push(text.into_owned()),
                Event::Binary(data) => self.got.push(format!("{} bytes", data.len())),
                Event::Ping(_) => self.got.push("ping".into()),
                Event::Pong(_) => self.got.push("pong".into()),
            }
        }
        self.codecs = codecs;
        wrote
    }

    /// Carries bytes both ways, in reads of at most `chop` bytes, until nothing moves.
    fn run_chopped(&mut self, chop: usize) {
        self.session().wake();
        loop {
            let sent = self.outgoing();
            self.wire.extend(sent);
            let mut moved = false;
            let asked = self.session().wants_bytes();
            if asked && !self.wire.is_empty() {
                let rest = self.wire.split_off(chop.min(self.wire.len()));
                let mut read = std::mem::replace(&mut self.wire, rest);
                let (now, mut codecs) = (self.now, std::mem::take(&mut self.codecs));
                self.session().handle_rx(now, &mut read, &mut codecs);
                self.codecs = codecs;
                moved = true;
            }
            let over = self.poll();
            while self.write(usize::MAX) {
                moved = true;
            }
            if self.session().has_sent_all() {
                self.client.handle_eof(self.now);
            }
            if self.client.is_done() || self.client.has_sent_all() {
                let now = self.now;
                self.session().handle_lost(now, false);
                moved |= self.session().has_news();
            }
            self.end = self.client.poll_event().or(self.end.take());
            if over {
                self.session = None;
                return;
            }
            // Room that the handler made since.
            moved |= !asked && self.session().wants_bytes();
            if !moved && !self.session().has_news() {
                break;
            }
        }
        let stuck = !self.wire.is_empty() && self.session().wants_bytes();
        assert!(!stuck, "it waits for bytes that are here");
    }

    fn run(&mut self) {
        self.run_chopped(usize::MAX);
    }

    /// Goes on to the next deadline; its name.
    fn sleep(&mut self) -> &'static str {
        let (at, name) = self.session().poll_timeout().expect("a deadline");
        assert!(at > self.now, "{name} lies ahead");
        self.now = at;
        self.session().handle_timeout(at);
        name
    }

    fn told(&self) -> Vec<Closed> {
        self.told.lock().unwrap().clone()
    }
}

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

fn closed(cause: Cause, code: u16) -> Vec<Closed> {
    let reason = Box::default();
    vec![Closed {
        cause,
        code,
        reason,
    }]
}

#[test]
fn what_comes_is_given_to_the_handler_and_what_it_sends_goes_out() {
    for chop in [1, 2, 7, usize::MAX] {
        let mut world = World::new(echo);
        let long = "long ".repeat(100);
        for text in ["", "short", &long] {
            world.say(text);
        }
        world.say(&b"data"[..]);
        world.run_chopped(chop);
        assert_eq!(world.got, ["", "short", &long, "4 bytes"], "chopped {chop}");
        assert!(world.told().is_empty());
    }
}

#[test]
fn bytes_read_before_the_upgrade_come_first() {
    let mut first = World::new(echo);
    first.say("early");
    let early = first.outgoing();
    let mut world = World::with(still(), None, early, echo);
    world.say("late");
    world.run();
    assert_eq!(world.got, ["early", "late"]);
}

#[test]
fn frames_of_one_read_are_answered_in_one_write() {
    let mut world = World::new(echo);
    for n in 0..16 {
        world.say(&*format!("message {n}"));
    }
    let mut bytes = world.outgoing();
    let (now, mut codecs) = (world.now, Codecs::default());
    world.session().handle_rx(now, &mut bytes, &mut codecs);
    assert!(!world.poll());
    let mut slices = [IoSlice::new(&[]); 64];
    assert_eq!(world.session().poll_transmit(&mut slices), 16);
    assert_eq!(world.woken.0.load(Ordering::SeqCst), 0, "it woke itself");
}

#[test]
fn an_inbox_over_its_cap_stops_reading_and_goes_on_once_there_is_room() {
    let (let_go, gate) = futures_channel();
    let mut world = World::new(|mut socket: Socket| async move {
        gate.await;
        let mut seen = 0;
        while let Some(message) = socket.recv().await {
            assert_eq!(message.as_bytes(), [seen as u8; 1000], "in order");
            seen += 1;
            if seen == 1000 {
                socket.send("all").await.unwrap();
            }
        }
    });
    for n in 0..1000_u32 {
        world.say(&[n as u8; 1000][..]);
    }
    world.run_chopped(50_000);
    assert!(!world.session().wants_bytes());
    let unread = world.wire.len() + world.session().rest.len();
    // With a head of 8 bytes each.
    let kept = 1_008_000 - unread;
    assert!((INBOX / 2..INBOX + 2000).contains(&kept), "{kept} are kept");
    assert!(world.session().rest.len() < 50_000);
    assert!(world.session().conn.poll_timeout().is_none());
    let_go();
    world.run_chopped(50_000);
    assert_eq!(world.got, ["all"]);
    assert_eq!(
        world.session().rest.capacity(),
        0,
        "an idle socket holds none"
    );
}

/// A future that another hand completes.
fn futures_channel() -> (impl FnOnce(), impl Future<Output = ()> + Send + 'static) {
    let state: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
    let open = state.clone();
    let gate = std::future::poll_fn(move |cx| {
        let mut state = state.lock().unwrap();
        state.1 = Some(cx.waker().clone());
        if state.0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let let_go = move || {
        let mut state = open.lock().unwrap();
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    };
    (let_go, gate)
}

#[test]
fn a_send_waits_while_the_queue_is_full_and_is_withdrawn_when_dropped() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let config = Config {
        max_queue: 40_000,
        max_message: 10_000,
        ..still()
    };
    let mut world = World::with(config, None, Vec::new(), |socket: Socket| async move {
        while socket.send(vec![1; 1000]).await.is_ok() {
            if count.fetch_add(1, Ordering::SeqCst) == 200 {
                break;
            }
        }
        let _ = socket.send("last").await;
    });
    world.session().wake();
    assert!(!world.poll());
    let queued = sent.load(Ordering::SeqCst);
    assert!((30..40).contains(&queued), "{queued} fit into 40 kB");
    assert!(!world.poll());
    assert_eq!(sent.load(Ordering::SeqCst), queued, "it waits");
    world.run();
    assert_eq!(world.got.len(), 202, "{} more", sent.load(Ordering::SeqCst));
    assert_eq!(world.got[201], "last");
    assert_eq!(world.told(), closed(Cause::Handler, 1000));

    let mut world = World::with(
        Config {
            max_queue: 1000,
            max_message: 1000,
            ..still()
        },
        None,
        Vec::new(),
        |socket: Socket| async move {
            socket.send(vec![0; 1500]).await.unwrap();
            let waits = Box::pin(socket.send(vec![0; 900]));
            let Either::Right(((), waits)) = select(waits, std::future::ready(())).await else {
                return;
            };
            drop(waits);
            let large = socket.send(vec![0; 10_000]).await;
            assert!(matches!(large, Err(SendError::TooLarge { .. })));
            socket.send("after").await.unwrap();
        },
    );
    world.run();
    assert_eq!(world.got, ["1500 bytes", "after"]);
}

#[test]
fn a_receive_that_is_dropped_loses_nothing() {
    let mut world = World::new(|mut socket: Socket| async move {
        loop {
            let next = {
                let recv = std::pin::pin!(socket.recv());
                // Polled, and dropped if it is not there yet.
                match select(recv, std::future::ready(())).await {
                    Either::Left((message, _)) => Some(message),
                    Either::Right(_) => None,
                }
            };
            let message = match next {
                Some(message) => message,
                None => socket.recv().await,
            };
            match message {
                Some(message) => socket.send(message).await.unwrap(),
                None => return,
            }
        }
    });
    for n in 0..20 {
        world.say(&*n.to_string());
        world.run_chopped(3);
    }
    let all: Vec<String> = (0..20).map(|n: i32| n.to_string()).collect();
    assert_eq!(world.got, all);
}

#[test]
fn others_send_on_it_too_and_wake_its_task() {
    let place: Arc<Mutex<Option<Sender>>> = Arc::default();
    let theirs = place.clone();
    let mut world = World::new(|socket: Socket| async move {
        let (sender, mut receiver) = socket.split();
        *theirs.lock().unwrap() = Some(sender);
        while receiver.recv().await.is_some() {}
    });
    world.run();
    let sender = place.lock().unwrap().take().expect("the handler ran");
    sender.try_send("one").unwrap();
    sender.clone().try_send("two").unwrap();
    assert_eq!(world.woken.0.load(Ordering::SeqCst), 1, "once for both");
    world.run();
    assert_eq!(world.got, ["one", "two"]);
    world
        .client
        .close(world.now, CloseCode::NORMAL, "bye")
        .unwrap();
    world.run();
    assert!(matches!(sender.try_send("three"), Err(SendError::Closed)));
    assert!(sender.is_closed());
    let told = world.told();
    assert_eq!(
        (told[0].cause, told[0].code, &*told[0].reason, told.len()),
        (Cause::Peer, 1000, "bye", 1)
    );
}

/// A socket whose queue holds one frame of 1 400 bytes, and who sends on it.
fn narrow() -> (World, Sender) {
    let place: Arc<Mutex<Option<Sender>>> = Arc::default();
    let theirs = place.clone();
    let config = Config {
        max_message: 1024,
        max_queue: 1024,
        ..still()
    };
    let mut world = World::with(config, None, Vec::new(), |socket: Socket| async move {
        let (sender, mut receiver) = socket.split();
        *theirs.lock().unwrap() = Some(sender);
        while receiver.recv().await.is_some() {}
    });
    world.run();
    let sender = place.lock().unwrap().take().expect("the handler ran");
    (world, sender)
}

#[test]
fn what_was_written_leaves_room_at_once() {
    let (mut world, sender) = narrow();
    for n in 1..4 {
        sender.try_send(vec![7; 1400]).unwrap();
        world.session().wake();
        assert!(!world.poll());
        let full = sender.try_send(vec![7; 1400]);
        assert!(matches!(full, Err(SendError::Full)), "it is not written");
        assert!(world.write(usize::MAX));
        assert_eq!(world.got.len(), n);
    }
}

#[test]
fn a_send_that_waits_for_what_is_being_written_is_told() {
    let (mut world, sender) = narrow();
    sender.try_send(vec![7; 1400]).unwrap();
    world.session().wake();
    assert!(!world.poll());
    // All is given out, and the task does not look any more.
    let looks = world.woken.0.load(Ordering::SeqCst);
    let told = Arc::new(Count::default());
    let waker = Waker::from(told.clone());
    let mut cx = Context::from_waker(&waker);
    let mut sending = pin!(sender.send(vec![8; 1400]));
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    assert_eq!(world.woken.0.load(Ordering::SeqCst), looks + 1);
    assert!(world.write(usize::MAX));
    world.run();
    assert_eq!(told.0.load(Ordering::SeqCst), 1, "there is room");
    assert!(matches!(
        sending.as_mut().poll(&mut cx),
        Poll::Ready(Ok(()))
    ));
    world.run();
    assert_eq!(world.got, ["1400 bytes", "1400 bytes"]);
}

#[test]
fn a_handler_that_returns_closes_1000_and_one_that_panics_1011() {
    let mut world = World::new(|socket: Socket| async move {
        socket.send("bye").await.unwrap();
    });
    world.run();
    assert_eq!(world.got, ["bye"]);
    assert_eq!(world.end.map(|end| end.code()), Some(1000));
    assert_eq!(world.told.lock().unwrap()[..], closed(Cause::Handler, 1000));

    let mut world = World::new(|_: Socket| async { panic!("asked to") });
    world.run();
    assert_eq!(world.end.as_ref().map(End::code), Some(1011));
    assert_eq!(world.told(), closed(Cause::Panic, 1011));

    // In the call, not in the future it returns.
    let mut world = World::new(|_: Socket| -> std::future::Ready<()> { panic!("asked to") });
    world.run();
    assert_eq!(world.told(), closed(Cause::Panic, 1011));
}

#[test]
fn what_the_peer_said_before_its_close_is_answered() {
    let mut world = World::new(echo);
    world.say("last words");
    world.client.close(world.now, CloseCode::AWAY, "").unwrap();
    world.run();
    assert_eq!(world.got, ["last words"]);
    assert_eq!(world.told(), closed(Cause::Peer, 1001));
    let frame = CloseFrame {
        code: Some(CloseCode::AWAY),
        reason: Box::default(),
    };
    assert_eq!(world.end, Some(End::Answered(frame)));
}

#[test]
fn a_close_of_the_handlers_own_says_its_code() {
    let mut world = World::new(|mut socket: Socket| async move {
        let code = CloseCode::new(4001).unwrap();
        socket.close(code, "not you").unwrap();
        assert!(socket.close(code, "again").is_err());
        assert_eq!(socket.recv().await, None);
    });
    world.run();
    assert_eq!(world.end.as_ref().map(End::code), Some(4001));
    assert_eq!(world.told(), closed(Cause::Handler, 4001));
}

#[test]
fn a_stop_closes_1001_and_a_cut_does_not_wait() {
    let mut world = World::new(echo);
    world.run();
    world.session().stop();
    world.session().stop();
    world.run();
    assert_eq!(world.end.as_ref().map(End::code), Some(1001));
    assert_eq!(world.told(), closed(Cause::Stop, 1001));

    let mut world = World::new(echo);
    world.run();
    world.session().stop();
    world.session().cut();
    world.session = None;
    assert_eq!(world.told(), closed(Cause::Stop, 1006));
}

#[test]
fn a_socket_that_never_was_is_told_too() {
    let (upgrade, told) = upgrade(still(), None, echo);
    drop(upgrade);
    assert_eq!(*told.lock().unwrap(), closed(Cause::Refused, 1006));

    let mut world = World::new(echo);
    world.session = None;
    assert_eq!(world.told(), closed(Cause::Cut, 1006), "never polled");
}

#[test]
fn a_broken_rule_and_a_lost_stream_end_it_once() {
    let mut world = World::new(echo);
    let (now, mut codecs) = (world.now, Codecs::default());
    // Not masked.
    world
        .session()
        .handle_rx(now, &mut b"\x81\x02hi".to_vec(), &mut codecs);
    world.client.handle_eof(now);
    world.run();
    assert_eq!(
        world.told(),
        closed(Cause::Violation(Violation::Unmasked), 1002)
    );

    for failed in [false, true] {
        let mut world = World::new(echo);
        world.run();
        let now = world.now;
        world.session().handle_lost(now, failed);
        assert!(world.session().is_over());
        assert!(world.poll());
        assert_eq!(world.told(), closed(Cause::Lost, 1006));
    }
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let mut world = World::with(Config::default(), None, Vec::new(), echo);
    world.run();
    assert_eq!(world.sleep(), "ping");
    assert!(!world.poll());
    while world.write(usize::MAX) {}
    assert_eq!(world.got, ["ping"]);
    assert_eq!(world.sleep(), "pong");
    assert!(world.session().is_over());
    assert!(world.poll());
    assert_eq!(world.told(), closed(Cause::Silent, 1006));
}

#[test]
fn a_handler_that_does_not_end_with_its_socket_is_dropped() {
    let mut world = World::new(|_socket: Socket| std::future::pending());
    world.run();
    let now = world.now;
    world.session().handle_lost(now, true);
    assert!(!world.poll(), "it may go on for a while");
    assert!(world.told().is_empty());
    assert_eq!(world.sleep(), "handler");
    assert_eq!(world.now.since(now), LINGER);
    assert!(world.poll());
    assert_eq!(world.told(), closed(Cause::Lost, 1006));
}

#[test]
fn a_flood_is_read_as_slowly_as_the_rate_allows() {
    let rate = Rate::new(10, 5);
    let mut world = World::with(still(), Some(rate), Vec::new(), echo);
    for n in 0..25 {
        world.say(&*n.to_string());
    }
    world.run_chopped(40);
    assert_eq!(world.got.len(), 5, "a burst");
    let began = world.now;
    while world.got.len() < 25 {
        assert_eq!(world.sleep(), "rate");
        world.run_chopped(40);
    }
    let took = world.now.since(began);
    assert_eq!(took.as_millis(), 2000, "ten a second");
    let all: Vec<String> = (0..25).map(|n: i32| n.to_string()).collect();
    assert_eq!(world.got, all);
}

#[test]
fn a_reader_in_another_task_is_woken_for_what_waited_for_room() {
    let place: Arc<Mutex<Option<crate::ws::Receiver>>> = Arc::default();
    let theirs = place.clone();
    let mut world = World::new(|socket: Socket| async move {
        let (sender, receiver) = socket.split();
        *theirs.lock().unwrap() = Some(receiver);
        std::future::pending::<()>().await;
        drop(sender);
    });
    world.run();
    let mut receiver = place.lock().unwrap().take().expect("the handler ran");
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    let mut polled = || std::pin::pin!(receiver.recv()).poll(&mut cx);
    assert!(polled().is_pending());
    // In one read; neither the second nor the third finds room.
    for n in 1..=3 {
        world.say(vec![n; INBOX + 1]);
    }
    for n in 1..=3 {
        world.run();
        assert_eq!(woken.0.load(Ordering::SeqCst), n, "message {n}");
        let Poll::Ready(Some(message)) = polled() else {
            panic!("message {n}");
        };
        assert_eq!(usize::from(message.as_bytes()[0]), n);
        assert!(polled().is_pending());
    }
}
