//! What every adapter must pass, over real sockets and a real clock. Time is only ever bounded from
//! below, or from above by a bound that a busy machine keeps too.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBuf, Write};
use tideway::Peer;
use tideway_driver::{Bound, Listener, Net, NetStream, Runtime, Sleep};
use tokio::io::{AsyncRead, AsyncWrite};

const MILLI: Duration = Duration::from_millis(1);

/// One `#[test]` for each part of the suite, each run by `$run`.
macro_rules! suite {
    ($run:path) => {
        suite!($run:
            bytes_travel_both_ways_over_tcp
            bytes_travel_both_ways_over_unix
            small_exchanges_are_not_delayed
            the_end_is_seen_right_after_the_last_bytes
            a_slow_reader_loses_nothing
            accept_can_be_given_up_and_taken_up_again
            refusals_are_errors
            a_sleep_is_never_early
            a_sleep_can_be_moved
            a_moved_sleep_wakes_who_waits
            tasks_are_detached
            blocking_work_blocks_nobody
            clocks_go_on_and_seeds_differ
            a_backend_reaches_a_server_without_a_runtimes_name
        );
    };
    ($run:path: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $run(|rt| async move { support::$name(rt).await })
            }
        )*
    };
}

pub(crate) use suite;

async fn read(stream: &mut (impl Read + Unpin), most: usize) -> io::Result<Vec<u8>> {
    let mut memory = vec![MaybeUninit::uninit(); most];
    poll_fn(|cx| {
        let mut buf = ReadBuf::uninit(&mut memory);
        ready!(Pin::new(&mut *stream).poll_read(cx, buf.unfilled()))?;
        Poll::Ready(Ok(buf.filled().to_vec()))
    })
    .await
}

async fn read_exact(stream: &mut (impl Read + Unpin), bytes: usize) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < bytes {
        let more = read(stream, bytes - all.len()).await?;
        assert!(!more.is_empty(), "the end came after {} bytes", all.len());
        all.extend(more);
    }
    Ok(all)
}

/// Writes in two parts at once.
async fn write_all(stream: &mut (impl Write + Unpin), mut bytes: &[u8]) -> io::Result<()> {
    assert!(stream.is_write_vectored());
    while !bytes.is_empty() {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        let parts = [IoSlice::new(head), IoSlice::new(tail)];
        let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write_vectored(cx, &parts)).await?;
        bytes = &bytes[written..];
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}

async fn shutdown(stream: &mut (impl Write + Unpin)) -> io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
}

fn tcp<R: Runtime>(rt: &R) -> (R::Listener, u16) {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listener = rt
        .listen(Bound::Tcp(socket).nonblocking().unwrap())
        .unwrap();
    match listener.local().unwrap() {
        Peer::Tcp(addr) => (listener, addr.port()),
        other => panic!("{other:?}"),
    }
}

async fn pair<R: Runtime>(rt: &R) -> (R::Stream, R::Stream) {
    let (mut listener, port) = tcp(rt);
    let client = rt.connect("127.0.0.1", port).await.unwrap();
    (listener.accept().await.unwrap().0, client)
}

/// Bytes that differ, so that a piece in the wrong place shows.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect()
}

/// Sends back what comes, until the end.
async fn echo(mut stream: impl Read + Write + Unpin) {
    loop {
        let bytes = read(&mut stream, 16 * 1024).await.unwrap();
        if bytes.is_empty() {
            return shutdown(&mut stream).await.unwrap();
        }
        write_all(&mut stream, &bytes).await.unwrap();
    }
}

pub(crate) async fn bytes_travel_both_ways_over_tcp(rt: impl Runtime) {
    let (mut listener, port) = tcp(&rt);
    rt.spawn(async move {
        let (stream, peer) = listener.accept().await.unwrap();
        assert!(peer.ip().is_some_and(|ip| ip.is_loopback()));
        echo(stream).await;
    });
    let mut stream = rt.connect("localhost", port).await.unwrap();
    for bytes in [1, 2, 1_000, 60_000] {
        let sent = pattern(bytes);
        write_all(&mut stream, &sent).await.unwrap();
        assert!(read_exact(&mut stream, bytes).await.unwrap() == sent);
    }
    shutdown(&mut stream).await.unwrap();
    assert_eq!(read(&mut stream, 1).await.unwrap(), b"");
}

pub(crate) async fn a_backend_reaches_a_server_without_a_runtimes_name(rt: impl Runtime) {
    let (mut listener, port) = tcp(&rt);
    let net = Net::of(rt);
    net.spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let before = net.now().mono;
    net.sleep(2 * MILLI).await;
    assert!(net.now().mono.since(before) >= 2 * MILLI);

    let mut stream: NetStream = net.connect("127.0.0.1", port).await.unwrap();
    let sent = pattern(60_000);
    let mut back = Vec::new();
    let mut at = 0;
    poll_fn(|cx| {
        while at < sent.len() {
            match Pin::new(&mut stream).poll_write(cx, &sent[at..]) {
                Poll::Ready(written) => at += written.unwrap(),
                Poll::Pending => break,
            }
        }
        let _ = Pin::new(&mut stream).poll_flush(cx);
        let mut memory = [MaybeUninit::uninit(); 4096];
        while back.len() < sent.len() {
            // A buffer of which a part is filled already: what is read goes behind it.
            let mut buf = tokio::io::ReadBuf::uninit(&mut memory);
            buf.put_slice(b"kept");
            ready!(Pin::new(&mut stream).poll_read(cx, &mut buf)).unwrap();
            assert_eq!(&buf.filled()[..4], b"kept");
            assert!(buf.filled().len() > 4, "an early end");
            back.extend_from_slice(&buf.filled()[4..]);
        }
        Poll::Ready(())
    })
    .await;
    assert!(back == sent);
}

pub(crate) async fn bytes_travel_both_ways_over_unix(rt: impl Runtime) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tideway-{}-{count}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut listener = rt
        .listen(Bound::Unix(socket).nonblocking().unwrap())
        .unwrap();
    assert_eq!(listener.local().unwrap(), Peer::Unix);
    let at = path.clone();
    let client = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(at).unwrap();
        stream.write_all(&pattern(10_000)).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        back
    });
    let (stream, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, Peer::Unix);
    echo(stream).await;
    std::fs::remove_file(path).unwrap();
    assert!(client.join().unwrap() == pattern(10_000));
}

/// Nagle's algorithm against delayed acknowledgements costs 40 ms each time.
pub(crate) async fn small_exchanges_are_not_delayed(rt: impl Runtime) {
    let (server, mut client) = pair(&rt).await;
    rt.spawn(echo(server));
    let began = Instant::now();
    for _ in 0..100 {
        write_all(&mut client, b"ping").await.unwrap();
        write_all(&mut client, b"pong").await.unwrap();
        read_exact(&mut client, 8).await.unwrap();
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "100 exchanges took {took:?}");
}

pub(crate) async fn the_end_is_seen_right_after_the_last_bytes(rt: impl Runtime) {
    let (mut server, mut client) = pair(&rt).await;
    write_all(&mut client, b"last").await.unwrap();
    drop(client);
    // More memory than bytes, so that this is a short read.
    assert_eq!(read(&mut server, 100).await.unwrap(), b"last");
    assert_eq!(read(&mut server, 100).await.unwrap(), b"");
    assert_eq!(read(&mut server, 100).await.unwrap(), b"", "and again");
}

pub(crate) async fn a_slow_reader_loses_nothing(rt: impl Runtime) {
    const BYTES: usize = 8 << 20;
    let (mut server, mut client) = pair(&rt).await;
    rt.spawn(async move {
        write_all(&mut server, &pattern(BYTES)).await.unwrap();
    });
    rt.sleep_until(rt.now().mono.plus(20 * MILLI)).await;
    assert!(read_exact(&mut client, BYTES).await.unwrap() == pattern(BYTES));
    assert_eq!(read(&mut client, 1).await.unwrap(), b"");
}

pub(crate) async fn accept_can_be_given_up_and_taken_up_again(rt: impl Runtime) {
    let (mut listener, port) = tcp(&rt);
    for _ in 0..3 {
        let mut accept = pin!(listener.accept());
        let mut limit = pin!(rt.sleep_until(rt.now().mono.plus(5 * MILLI)));
        poll_fn(|cx| {
            assert!(accept.as_mut().poll(cx).is_pending());
            limit.as_mut().poll(cx)
        })
        .await;
    }
    let _client = rt.connect("127.0.0.1", port).await.unwrap();
    listener.accept().await.unwrap();
}

pub(crate) async fn refusals_are_errors(rt: impl Runtime) {
    let (listener, port) = tcp(&rt);
    drop(listener);
    let refused = rt.connect("127.0.0.1", port).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert!(rt.connect("no such host", 1).await.is_err());
}

pub(crate) async fn a_sleep_is_never_early(rt: impl Runtime) {
    for micros in [0, 1, 999, 1_500, 7_300] {
        let at = rt.now().mono.plus(Duration::from_micros(micros));
        rt.sleep_until(at).await;
        assert!(rt.now().mono >= at, "after {micros} µs");
    }
    rt.sleep_until(tideway::Mono::START).await;
}

pub(crate) async fn a_sleep_can_be_moved(rt: impl Runtime) {
    let far = rt.now().mono.plus(Duration::from_secs(3_600));
    let mut sleep = pin!(rt.sleep_until(far));
    let pending = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await;
    assert!(pending);
    // Before it has fired, and after.
    for _ in 0..2 {
        let at = rt.now().mono.plus(3 * MILLI);
        sleep.as_mut().reset(at);
        sleep.as_mut().await;
        assert!(rt.now().mono >= at);
        sleep.as_mut().await;
    }
    // Later than it was.
    let (early, late) = (rt.now().mono.plus(MILLI), rt.now().mono.plus(10 * MILLI));
    sleep.as_mut().reset(early);
    sleep.as_mut().reset(late);
    sleep.as_mut().await;
    assert!(rt.now().mono >= late);
}

pub(crate) async fn a_moved_sleep_wakes_who_waits(rt: impl Runtime) {
    let far = rt.now().mono.plus(Duration::from_secs(3_600));
    let mut sleep = pin!(rt.sleep_until(far));
    let mut moved = false;
    poll_fn(|cx| {
        let polled = sleep.as_mut().poll(cx);
        if !moved {
            moved = true;
            sleep.as_mut().reset(rt.now().mono.plus(3 * MILLI));
        }
        polled
    })
    .await;
}

pub(crate) async fn tasks_are_detached(rt: impl Runtime) {
    let done = Arc::new(AtomicUsize::new(0));
    let (outer, inner) = (rt.clone(), rt.clone());
    let count = done.clone();
    outer.spawn(async move {
        let rt = inner.clone();
        inner.spawn(async move {
            rt.sleep_until(rt.now().mono.plus(5 * MILLI)).await;
            count.fetch_add(1, Ordering::SeqCst);
        });
    });
    drop(outer);
    while done.load(Ordering::SeqCst) == 0 {
        rt.sleep_until(rt.now().mono.plus(MILLI)).await;
    }
}

pub(crate) async fn blocking_work_blocks_nobody(rt: impl Runtime) {
    // Would never end if the sender waited for the receiver on one thread.
    let (send, receive) = std::sync::mpsc::channel();
    let ended = Arc::new(AtomicUsize::new(0));
    let (task, work) = (rt.clone(), ended.clone());
    rt.spawn(async move {
        assert_eq!(task.blocking(move || receive.recv().unwrap()).await, 7);
        work.store(1, Ordering::SeqCst);
    });
    for _ in 0..5 {
        rt.sleep_until(rt.now().mono.plus(MILLI)).await;
    }
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    send.send(7).unwrap();
    while ended.load(Ordering::SeqCst) == 0 {
        rt.sleep_until(rt.now().mono.plus(MILLI)).await;
    }
}

pub(crate) async fn clocks_go_on_and_seeds_differ(rt: impl Runtime) {
    let before = rt.now();
    rt.sleep_until(before.mono.plus(5 * MILLI)).await;
    let after = rt.clone().now();
    assert!(after.mono.since(before.mono) >= 5 * MILLI);
    assert!(after.wall.0 > 1_600_000_000_000);
    assert_ne!(rt.seed().0, rt.seed().0);
}
