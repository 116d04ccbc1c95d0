//! Whatever stages, handlers, bodies, clients and deadlines do: `done` runs once for every stage that
//! was entered, for no other, with the one end of the exchange. And the machine keeps its laws.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use tideway::bytes::Bytes;
use tideway::http::Method;
use tideway::pipeline::{Abort, Answer, Ask, Cx, Deadline, End, Exchange, Flow, Input, Origin};
use tideway::pipeline::{Slot, Stage, Step};
use tideway::stages::{TimeoutLimits, Timeouts};
use tideway::testing::{BodyFeed, InFlight, TestApp};
use tideway::{App, Body, BoxError, Clock, Mono, Now, Peer, Request, Response, Seed, any};

/// The first stands outside the deadlines and only looks on.
const NAMES: [&str; 5] = ["outermost", "first", "second", "third", "fourth"];

type Log = Arc<Mutex<Vec<Seen>>>;

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Request(&'static str),
    Answer(&'static str),
    Response(&'static str),
    Done(&'static str, End),
}

/// What a stage does when it is called.
#[derive(Clone, Copy, Debug)]
enum Act {
    Next,
    Respond,
    Ask,
    AskForEver,
    AskPanics,
    Panic,
}

#[derive(Clone, Debug)]
struct Script {
    request: Act,
    answer: Act,
    response: Act,
    timeout: Act,
    done: Act,
}

struct Scripted {
    name: &'static str,
    script: Script,
    log: Log,
}

impl Scripted {
    fn see(&self, seen: Seen) {
        self.log.lock().expect("no panic under it").push(seen);
    }

    fn play(act: Act, cx: &Cx<'_>) -> Flow {
        match act {
            Act::Next => Flow::Next,
            Act::Respond => Flow::Respond(Response::new(Body::from("a stage's"))),
            Act::Ask => {
                let tasks = cx.pipeline().tasks();
                let sleep = tasks.sleep_until(cx.now().mono.plus(Duration::from_secs(1)));
                Flow::Ask(Ask::Future(Box::pin(async {
                    sleep.await;
                    Box::new(()) as Answer
                })))
            }
            Act::AskForEver => Flow::Ask(Ask::Future(Box::pin(std::future::pending()))),
            Act::AskPanics => Flow::Ask(Ask::Future(Box::pin(async { panic!("on purpose") }))),
            Act::Panic => panic!("on purpose"),
        }
    }
}

impl Stage for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        self.see(Seen::Request(self.name));
        let fresh = matches!(cx.slot(), Slot::Empty);
        assert!(fresh && cx.bytes_out() == 0 && cx.cause().is_none() && !cx.panicked());
        *cx.slot() = Slot::Word(1);
        Self::play(self.script.request, cx)
    }

    fn answer(&self, cx: &mut Cx<'_>, _: Answer) -> Flow {
        self.see(Seen::Answer(self.name));
        match self.script.answer {
            // Once more, no more: else it is the test that goes on for ever.
            Act::Ask if cx.elapsed() > Duration::from_secs(3) => Flow::Next,
            act => Self::play(act, cx),
        }
    }

    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        self.see(Seen::Response(self.name));
        Self::play(self.script.response, cx)
    }

    fn timeout(&self, _: &mut Cx<'_>, _: &'static str) -> Option<Response> {
        match self.script.timeout {
            Act::Respond => Some(Response::new(Body::from("late"))),
            Act::Panic => panic!("on purpose"),
            _ => None,
        }
    }

    fn done(&self, cx: &mut Cx<'_>, end: &End) {
        self.see(Seen::Done(self.name, end.clone()));
        // The end is the end, whatever is armed after it.
        cx.set_deadline(Deadline::Total, Some(cx.now().mono));
        assert!(!matches!(self.script.done, Act::Panic), "on purpose");
    }
}

#[derive(Clone, Copy, Debug)]
enum Handler {
    Plain,
    Later,
    Never,
    PanicsAtOnce,
    PanicsLater,
    ReadsAll,
    Streams(Tail),
}

/// How a streamed body goes on after two chunks.
#[derive(Clone, Copy, Debug)]
enum Tail {
    Ends,
    Fails,
    Panics,
    Hangs,
}

async fn handle(handler: Handler, clock: Clock, body: Body) -> Response {
    let wait = clock.sleep(Duration::from_secs(1));
    match handler {
        Handler::Plain | Handler::PanicsAtOnce => {}
        Handler::Later => wait.await,
        Handler::Never => std::future::pending().await,
        Handler::PanicsLater => {
            wait.await;
            panic!("on purpose");
        }
        Handler::ReadsAll => {
            return match body.collect_up_to(100).await {
                Ok(bytes) => Response::new(Body::full(bytes)),
                Err(error) => tideway::IntoResponse::into_response(error),
            };
        }
        Handler::Streams(tail) => {
            let start = stream::iter(["one", "two"]).then(move |text| {
                let wait = clock.sleep(Duration::from_secs(1));
                async move {
                    wait.await;
                    Ok::<_, BoxError>(Bytes::from(text))
                }
            });
            let last = stream::once(async move {
                match tail {
                    Tail::Ends => Ok(Bytes::from("three")),
                    Tail::Fails => Err(BoxError::from("on purpose")),
                    Tail::Panics => panic!("on purpose"),
                    Tail::Hangs => std::future::pending().await,
                }
            });
            return Response::new(Body::stream(start.chain(last)));
        }
    }
    Response::new(Body::from("hello"))
}

#[derive(Clone, Debug)]
struct Case {
    method: Method,
    stages: Vec<Script>,
    handler: Handler,
    limits: TimeoutLimits,
    moves: Vec<Move>,
}

/// What the client does, and time.
#[derive(Clone, Copy, Debug)]
enum Move {
    Advance(u64),
    Look,
    Take,
    Block,
    Unblock,
    Push(usize),
    Finish,
    BreakOff,
    HangUp,
    Stop,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Next),
        1 => Just(Act::Respond),
        2 => Just(Act::Ask),
        1 => Just(Act::AskForEver),
        1 => Just(Act::AskPanics),
        1 => Just(Act::Panic),
    ]
}

fn scripts() -> impl Strategy<Value = Script> {
    (acts(), acts(), acts(), acts(), acts()).prop_map(
        |(request, answer, response, timeout, done)| Script {
            request,
            answer,
            response,
            timeout,
            done,
        },
    )
}

fn handlers() -> impl Strategy<Value = Handler> {
    let tails = prop_oneof![
        Just(Tail::Ends),
        Just(Tail::Fails),
        Just(Tail::Panics),
        Just(Tail::Hangs)
    ];
    prop_oneof![
        1 => Just(Handler::Plain),
        1 => Just(Handler::Later),
        1 => Just(Handler::Never),
        1 => Just(Handler::PanicsAtOnce),
        1 => Just(Handler::PanicsLater),
        2 => Just(Handler::ReadsAll),
        4 => tails.prop_map(Handler::Streams),
    ]
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..4_000_u64).prop_map(Move::Advance),
        1 => Just(Move::Look),
        3 => Just(Move::Take),
        1 => Just(Move::Block),
        1 => Just(Move::Unblock),
        2 => (0..60_usize).prop_map(Move::Push),
        1 => Just(Move::Finish),
        1 => Just(Move::BreakOff),
        1 => Just(Move::HangUp),
        1 => Just(Move::Stop),
    ]
}

fn limits() -> impl Strategy<Value = TimeoutLimits> {
    let limit = || proptest::option::weighted(0.7, (0..6_u64).prop_map(Duration::from_secs));
    // The handler's is always there: it is what bounds the wait for the head.
    let handler = (0..6_u64).prop_map(|seconds| Some(Duration::from_secs(seconds)));
    (handler, limit(), limit(), limit()).prop_map(|(handler, total, body_in, body_out)| {
        let mut limits = TimeoutLimits::default();
        (limits.handler, limits.total) = (handler, total);
        (limits.body_in, limits.body_out) = (body_in, body_out);
        limits
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let methods = prop_oneof![4 => Just(Method::POST), 1 => Just(Method::HEAD)];
    (
        methods,
        proptest::collection::vec(scripts(), 1..NAMES.len()),
        handlers(),
        limits(),
        proptest::collection::vec(moves(), 0..16),
    )
        .prop_map(|(method, stages, handler, limits, moves)| Case {
            method,
            stages,
            handler,
            limits,
            moves,
        })
}

fn app(case: &Case, log: &Log) -> TestApp {
    let handler = case.handler;
    let route = match handler {
        Handler::PanicsAtOnce => any(|| -> &'static str { panic!("on purpose") }),
        Handler::Plain => any(|| "hello"),
        _ => any(move |clock: Clock, body: Body| handle(handler, clock, body)),
    };
    let scripted = |name, script: &Script| Scripted {
        name,
        script: script.clone(),
        log: log.clone(),
    };
    let next = Act::Next;
    let onlooker = Script {
        request: next,
        answer: next,
        response: next,
        timeout: next,
        done: next,
    };
    let [outermost, names @ ..] = NAMES;
    let mut app = App::bare()
        .route("/", route)
        .stage(scripted(outermost, &onlooker))
        .stage(Timeouts(case.limits));
    for (name, script) in names.into_iter().zip(&case.stages) {
        app = app.stage(scripted(name, script));
    }
    TestApp::new(app)
}

/// Law 2, progress: what is due has been dealt with.
fn progress(flight: &mut InFlight, now: Mono) -> Result<(), TestCaseError> {
    if let Some((at, name)) = flight.deadline() {
        prop_assert!(at > now, "`{name}` is still due at {at:?}, now {now:?}");
    }
    Ok(())
}

/// What a client saw: status, bytes, end.
type Outcome = (Option<u16>, Vec<u8>, Option<End>);

fn play(case: &Case, log: &Log) -> Result<Outcome, TestCaseError> {
    let mut app = app(case, log);
    let feed = BodyFeed::new();
    let mut flight = app.request(case.method.clone(), "/").feed(&feed).start();
    let mut body = Vec::new();
    for step in &case.moves {
        match *step {
            Move::Advance(ms) => flight.advance(Duration::from_millis(ms)),
            Move::Look => drop(flight.poll_head().map(|head| head.status)),
            Move::Take => {
                if let Poll::Ready(Some(chunk)) = flight.poll_chunk() {
                    body.extend_from_slice(&chunk);
                }
            }
            Move::Block => flight.block(),
            Move::Unblock => flight.unblock(),
            Move::Push(len) => drop(feed.push(vec![b'x'; len]).clone()),
            Move::Finish => feed.finish(),
            Move::BreakOff => feed.break_off(),
            Move::HangUp => flight.disconnect(),
            Move::Stop => flight.abort(Abort::Stop),
        }
        flight.poll_head();
        progress(&mut flight, app.now().mono)?;
    }
    // The head is out once the handler's limit and the one grace have passed, and the waits for the body
    // in which the handler is not timed.
    let bytes = case.moves.iter().map(|step| match step {
        Move::Push(len) => *len as u64,
        _ => 0,
    });
    let waits = case.limits.body_in.unwrap_or_default() * 4 + Duration::from_millis(bytes.sum());
    let bound = case.limits.handler.unwrap_or_default() + waits + Duration::from_secs(5);
    if flight.elapsed() < bound {
        flight.advance(bound - flight.elapsed());
    }
    let head = flight.poll_head().map(|head| head.status.as_u16());
    prop_assert!(
        head.is_some() || flight.end().is_some(),
        "no head after {bound:?}"
    );
    for _ in 0..10 {
        match flight.poll_chunk() {
            Poll::Ready(Some(chunk)) => body.extend_from_slice(&chunk),
            Poll::Ready(None) => break,
            Poll::Pending => flight.advance(Duration::from_secs(1)),
        }
    }
    let hangs = matches!(case.handler, Handler::Streams(Tail::Hangs));
    prop_assert!(flight.end().is_some() || hangs, "{flight:?}");
    flight.disconnect();
    prop_assert_eq!(flight.deadline(), None);
    let end = flight.end().cloned();
    if let Some(End::Complete { bytes }) = end {
        prop_assert_eq!(bytes, body.len() as u64);
    }
    let before = log.lock().expect("no panic").len();
    // Afterwards every input is a no-op.
    flight.advance(Duration::from_secs(60));
    flight.disconnect();
    drop(flight);
    prop_assert_eq!(log.lock().expect("no panic").len(), before);
    Ok((head, body, end))
}

fn check(log: &[Seen], end: Option<&End>) -> Result<(), TestCaseError> {
    let names = |pick: fn(&Seen) -> Option<&'static str>| -> Vec<_> {
        log.iter().filter_map(pick).collect()
    };
    let requests = names(|seen| match seen {
        Seen::Request(name) => Some(name),
        _ => None,
    });
    let responses = names(|seen| match seen {
        Seen::Response(name) => Some(name),
        _ => None,
    });
    let dones = names(|seen| match seen {
        Seen::Done(name, _) => Some(name),
        _ => None,
    });
    prop_assert_eq!(
        &requests[..],
        &NAMES[..requests.len()],
        "outside-in, from the outermost"
    );
    let back: Vec<_> = requests.iter().rev().copied().collect();
    prop_assert_eq!(&dones, &back, "`done` inside-out, once where `request` ran");
    prop_assert_eq!(
        &responses[..],
        &back[..responses.len()],
        "`response` inside-out, once"
    );
    let after = log
        .iter()
        .position(|seen| matches!(seen, Seen::Done(..)))
        .unwrap_or(log.len());
    for seen in &log[after..] {
        match seen {
            Seen::Done(_, told) => prop_assert_eq!(Some(told), end),
            other => prop_assert!(false, "{:?} after the end", other),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn through_the_test_driver(case in cases()) {
        let (first, second) = (Log::default(), Log::default());
        let outcome = play(&case, &first)?;
        let log = first.lock().expect("no panic").clone();
        check(&log, outcome.2.as_ref())?;
        // Law 6, determinism.
        prop_assert_eq!(play(&case, &second)?, outcome);
        prop_assert_eq!(&*second.lock().expect("no panic"), &log);
    }

    #[test]
    fn for_any_input_in_any_state(case in cases(), inputs in proptest::collection::vec(0..11_u8, 0..24)) {
        let log = Log::default();
        let app = app(&case, &log);
        let mut now = app.now();
        let origin = Origin::new(app.pipeline().clone(), Peer::Other, Seed([7; 32]));
        let request = || {
            let (mut head, ()) = tideway::http::Request::new(()).into_parts();
            head.method = case.method.clone();
            Request::new(head, Body::empty())
        };
        let mut exchange = Exchange::new(origin.clone(), request(), now);
        let mut ended = None;
        exchange.step(now, Input::Start);
        for input in inputs {
            let end = match input {
                9 => Some(End::Aborted(Abort::Client)),
                10 => Some(End::Complete { bytes: exchange.bytes_out() }),
                _ => None,
            };
            let due = exchange.poll_timeout();
            let was_sending = exchange.is_sending();
            let input = match (input, &end) {
                (_, Some(end)) => Input::End(end.clone()),
                (0, _) => Input::Answer(Box::new(())),
                (1, _) => Input::Handled(Ok(Response::new(Body::from("handled")))),
                (2, _) => Input::BodyIn(0),
                (3, _) => Input::BodyIn(3),
                (4, _) => Input::BodyEnd,
                (5, _) => Input::BodyOut(5),
                (6, _) => Input::Blocked,
                (7, _) => Input::Start,
                _ => {
                    now = due.map_or(now.plus(Duration::from_secs(1)), |(at, _)| Now {
                        mono: at.max(now.mono),
                        wall: now.wall,
                    });
                    Input::Timeout
                }
            };
            let timeout = matches!(input, Input::Timeout);
            let step = exchange.step(now, input);
            if ended.is_none() && exchange.is_done() {
                ended = Some(match (end, due) {
                    (Some(end), _) => end,
                    (None, Some((_, name))) if timeout && was_sending => End::Aborted(Abort::Deadline(name)),
                    other => return Err(TestCaseError::fail(format!("ended by itself: {other:?}"))),
                });
            }
            if timeout && let Some((at, name)) = exchange.poll_timeout() {
                prop_assert!(at > now.mono, "`{}` is due after its timeout", name);
            }
            if ended.is_some() {
                prop_assert!(exchange.is_done() && matches!(step, Step::Done));
                prop_assert_eq!(exchange.poll_timeout(), None);
            }
        }
        // Used again, it is as good as new.
        let again = exchange.renew(request(), now);
        let end = ended.unwrap_or(End::Aborted(Abort::Client));
        check(&log.lock().expect("no panic"), Some(&end))?;
        let run = |mut exchange: Box<Exchange>| {
            log.lock().expect("no panic").clear();
            let step = std::mem::discriminant(&exchange.step(now, Input::Start));
            let response = exchange.take_response();
            let head = response.map(|response| response.into_parts().0);
            let facts = format!("{:?} {:?} {head:?}", exchange.poll_timeout(), exchange.closes());
            drop(exchange);
            (step, facts, log.lock().expect("no panic").clone())
        };
        prop_assert_eq!(run(again), run(Exchange::new(origin, request(), now)));
    }
}
