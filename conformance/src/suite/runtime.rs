//! The runtime by itself: tasks, timers, threads that may block, connections out.

use std::future::{Future, poll_fn};
use std::io::{Read as _, Write as _};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, Write};
use tideway::{Clock, get};
use tideway_driver::{Runtime, Sleep};

use super::Harness;
use super::claim::{holds, same};
use super::gate::{Count, Gate};

const MS: Duration = Duration::from_millis(1);

/// `spawn` detaches: the task goes on when the one that spawned it is over.
pub fn a_spawned_task_outlives_its_spawner<R: Runtime>(h: &Harness<R>) {
    let ran = Count::default();
    let counted = ran.clone();
    h.on_runtime(move |rt| async move {
        let (inner, outer, done) = (Gate::new(), Gate::new(), Gate::new());
        let spawner = (rt.clone(), inner.clone(), outer.clone(), done.clone());
        rt.spawn(async move {
            let (rt, inner, outer, done) = spawner;
            rt.spawn(async move {
                inner.passed().await;
                counted.add(1);
                done.open();
            });
            outer.open();
        });
        outer.passed().await;
        // Let the spawner end first.
        rt.sleep_until(rt.now().mono.plus(20 * MS)).await;
        inner.open();
        done.passed().await;
    });
    same(
        ran.now(),
        1,
        "a connection's task must not die with whoever accepted it",
    );
}

/// `sleep_until` completes at its deadline or later, by the runtime's own clock.
pub fn a_sleep_is_never_early<R: Runtime>(h: &Harness<R>) {
    let early = h.on_runtime(|rt| async move {
        let mut early = Vec::new();
        for micros in [
            0, 1, 100, 500, 999, 1_000, 1_001, 1_500, 2_999, 5_000, 10_000, 25_500,
        ] {
            for _ in 0..5 {
                let at = rt.now().mono.plus(Duration::from_micros(micros));
                rt.sleep_until(at).await;
                let now = rt.now().mono;
                if now < at {
                    early.push((micros, at, now));
                }
            }
        }
        let past = rt.now().mono;
        rt.sleep_until(rt.now().mono.plus(2 * MS)).await;
        rt.sleep_until(past).await;
        early
    });
    same(
        early,
        Vec::new(),
        "a deadline that fires early cuts those who were in time",
    );
}

/// A sleep moves: later, earlier, from another task's waker, and after it has fired.
pub fn a_sleep_can_be_moved<R: Runtime>(h: &Harness<R>) {
    let wrong = h.on_runtime(|rt| async move {
        let at = |ms: u32| rt.now().mono.plus(ms * MS);
        let mut wrong = Vec::new();
        let first = at(10);
        let mut sleep = pin!(rt.sleep_until(first));

        let later = at(40);
        sleep.as_mut().reset(later);
        sleep.as_mut().await;
        if rt.now().mono < later {
            wrong.push("moved later before its first poll, it fired early");
        }

        let later = at(40);
        sleep.as_mut().reset(at(10));
        if poll_once(sleep.as_mut()).await {
            wrong.push("moved after it had fired, it was still over");
        }
        sleep.as_mut().reset(later);
        sleep.as_mut().await;
        if rt.now().mono < later {
            wrong.push("moved later after a poll, it fired early");
        }

        sleep
            .as_mut()
            .reset(rt.now().mono.plus(Duration::from_secs(3600)));
        if poll_once(sleep.as_mut()).await {
            wrong.push("moved an hour ahead, it was still over");
        }
        // If this is lost, the case runs into its limit.
        sleep.as_mut().reset(at(5));
        sleep.as_mut().await;

        sleep.as_mut().reset(first);
        sleep.as_mut().await;
        wrong
    });
    same(
        wrong,
        Vec::new(),
        "one timer serves all deadlines of a connection by being moved",
    );
}

async fn poll_once<F: Future<Output = ()>>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

/// `blocking` returns what its work does, and requests are served while it blocks.
pub fn blocking_work_stalls_nobody<R: Runtime>(h: &Harness<R>) {
    let sum = h.on_runtime(|rt| async move { rt.blocking(|| (1..=10).sum::<u32>()).await });
    same(sum, 55, "the value of the work is the value of the future");

    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Arc::new(std::sync::Mutex::new(Some(blocked)));
    let (entered, left) = (Count::default(), Count::default());
    let counts = (entered.clone(), left.clone());
    let block = move |clock: Clock| {
        let (blocked, (entered, left)) = (blocked.clone(), counts.clone());
        clock.tasks().run(Box::new(move || {
            entered.add(1);
            let taken = blocked.lock().ok().and_then(|mut slot| slot.take());
            if let Some(blocked) = taken {
                let _ = blocked.recv();
            }
            left.add(1);
        }));
        "blocking"
    };
    let site = h
        .site()
        .serve(|app| app.route("/block", get(block)).route("/", get(|| "hello")));
    let mut client = site.client();
    same(
        client.get("/block").status,
        200,
        "the handler does not wait for the work",
    );
    super::claim::eventually(
        "the work runs",
        || format!("{} begun", entered.now()),
        || entered.now() == 1,
        "work that is not awaited runs all the same",
    );
    for _ in 0..20 {
        same(
            client.get("/").status,
            200,
            "a thread that blocks is not one that serves",
        );
    }
    same(left.now(), 0, "it blocks all the while");
    drop(release);
    super::claim::eventually(
        "the work ends",
        || format!("{} ended", left.now()),
        || left.now() == 1,
        "it goes on to its end",
    );
}

/// `connect` makes a stream that reads and writes; what cannot be reached is an error.
pub fn it_connects_and_says_why_it_cannot<R: Runtime>(h: &Harness<R>) {
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = server.local_addr().expect("a bound socket").port();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().expect("a client");
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).expect("four bytes");
        stream.write_all(&bytes).expect("a client that listens");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the client's end");
        rest.len()
    });
    let (echoed, refused) = h.on_runtime(move |rt| async move {
        let mut stream = rt.connect("127.0.0.1", port).await.expect("a connection");
        let mut sent = 0;
        while sent < 4 {
            let write = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, &b"ping"[sent..]));
            sent += write.await.expect("a server that listens");
        }
        poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx))
            .await
            .expect("a flush");
        let mut echoed = Vec::new();
        while echoed.len() < 4 {
            let mut bytes = [0; 16];
            let mut buf = ReadBuf::new(&mut bytes);
            let read = poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, buf.unfilled()));
            read.await.expect("an answer");
            if buf.filled().is_empty() {
                break;
            }
            echoed.extend_from_slice(buf.filled());
        }
        poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx))
            .await
            .expect("a shutdown");
        // Port 1 of this machine: nobody listens there without being root.
        (echoed, rt.connect("127.0.0.1", 1).await.map(drop))
    });
    same(
        echoed,
        b"ping".to_vec(),
        "what is written arrives, and so does the answer",
    );
    same(echo.join().ok(), Some(0), "a shutdown is seen as the end");
    holds(
        refused.is_err(),
        "an error",
        format!("{refused:?}"),
        "a dead server must be told from a slow one",
    );
}
