//! The fault proxy is transparent until it is told otherwise, and each of its faults happens, is counted, and
//! happens again under the same seed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tideway_conformance::proxy::{Counts, Faults, Proxy};

/// A server that says what it is told; the number of bytes that it was told.
fn echo() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound");
    let told = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&told);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let heard = Arc::clone(&heard);
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    heard.fetch_add(length as u64, Ordering::SeqCst);
                    if stream.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (addr, told)
}

fn started(faults: Faults) -> (Proxy, Arc<AtomicU64>) {
    let (upstream, told) = echo();
    let proxy = Proxy::start(upstream, 7).expect("a proxy");
    proxy.set(faults);
    (proxy, told)
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.addr()).expect("it takes connections");
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("open");
    stream
}

/// Says four bytes and reads them back.
fn ask(stream: &mut TcpStream) -> Result<(), ErrorKind> {
    stream.write_all(b"ping").map_err(|error| error.kind())?;
    let mut answer = [0; 4];
    stream
        .read_exact(&mut answer)
        .map_err(|error| error.kind())?;
    assert_eq!(&answer, b"ping");
    Ok(())
}

/// Sends a mebibyte through a proxy and an echo, and half-closes.
fn mebibyte(proxy: &Proxy) {
    let sent: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let mut stream = client(proxy);
    let mut writer = stream.try_clone().expect("open");
    let bytes = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&bytes).expect("the proxy reads");
        writer.shutdown(Shutdown::Write).expect("open");
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("an orderly end");
    writing.join().expect("written");
    assert!(
        received == sent,
        "{} of {} bytes",
        received.len(),
        sent.len()
    );
}

#[test]
fn without_faults_it_is_transparent() {
    let (proxy, _) = started(Faults::default());
    mebibyte(&proxy);
    let counts = proxy.counts();
    assert!(counts.chunks >= 128, "{counts:?}");
    let mut quiet = Counts::default();
    (quiet.connections, quiet.chunks) = (1, counts.chunks);
    assert_eq!(counts, quiet);
}

#[test]
fn chopping_and_delays_change_no_byte() {
    let (proxy, _) = started(Faults {
        chop: 1.0,
        ..Faults::default()
    });
    mebibyte(&proxy);
    let counts = proxy.counts();
    assert!(counts.chopped >= 128, "{counts:?}");
    proxy.set(Faults {
        delay: Some(Duration::from_millis(50)..Duration::from_millis(60)),
        ..Faults::default()
    });
    let mut stream = client(&proxy);
    let begun = Instant::now();
    ask(&mut stream).expect("an answer");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(proxy.counts().delays, 2);
}

#[test]
fn chopped_bytes_arrive_in_pieces() {
    let (proxy, _) = started(Faults {
        chop: 1.0,
        ..Faults::default()
    });
    let mut stream = client(&proxy);
    let mut reads = 0;
    for _ in 0..20 {
        stream.write_all(&[1; 4000]).expect("it reads");
        let (mut bytes, mut total) = ([0; 4000], 0);
        while total < 4000 {
            total += stream.read(&mut bytes).expect("more");
            reads += 1;
        }
    }
    // Each was four pieces at least, two for each there and back; a busy machine may join some again.
    assert!(reads > 40, "{reads} reads");
}

#[test]
fn a_reset_chunk_does_not_arrive() {
    let (proxy, told) = started(Faults {
        reset: 1.0,
        ..Faults::default()
    });
    assert_eq!(ask(&mut client(&proxy)), Err(ErrorKind::ConnectionReset));
    assert_eq!((proxy.counts().resets, told.load(Ordering::SeqCst)), (1, 0));
}

#[test]
fn a_lost_reply_was_given() {
    let (proxy, told) = started(Faults::default());
    let mut stream = client(&proxy);
    ask(&mut stream).expect("an answer");
    proxy.lose_next_reply();
    assert_eq!(ask(&mut stream), Err(ErrorKind::ConnectionReset));
    assert_eq!(
        (proxy.counts().lost_replies, told.load(Ordering::SeqCst)),
        (1, 8)
    );
    ask(&mut client(&proxy)).expect("only one was lost");
    proxy.set(Faults {
        drop_reply: 1.0,
        ..Faults::default()
    });
    assert_eq!(ask(&mut client(&proxy)), Err(ErrorKind::ConnectionReset));
    assert_eq!(
        (proxy.counts().lost_replies, told.load(Ordering::SeqCst)),
        (2, 16)
    );
}

#[test]
fn a_half_open_connection_says_nothing_and_stays() {
    let (proxy, told) = started(Faults::default());
    let mut stream = client(&proxy);
    ask(&mut stream).expect("an answer");
    proxy.set(Faults {
        half_open: 1.0,
        ..Faults::default()
    });
    let short = Some(Duration::from_millis(200));
    stream.set_read_timeout(short).expect("open");
    assert_eq!(ask(&mut stream), Err(ErrorKind::WouldBlock));
    proxy.set(Faults::default());
    assert_eq!(
        ask(&mut stream),
        Err(ErrorKind::WouldBlock),
        "it is for good"
    );
    assert_eq!(
        (proxy.counts().half_opens, told.load(Ordering::SeqCst)),
        (1, 4)
    );
    ask(&mut client(&proxy)).expect("others are well");
}

#[test]
fn a_cut_resets_all_and_refuses_none() {
    let (proxy, _) = started(Faults::default());
    let mut streams: Vec<TcpStream> = (0..5).map(|_| client(&proxy)).collect();
    for stream in &mut streams {
        ask(stream).expect("an answer");
    }
    proxy.cut();
    assert_eq!(proxy.counts().cuts, 5);
    for mut stream in streams {
        let error = stream.read(&mut [0]).expect_err("reset").kind();
        assert_eq!(error, ErrorKind::ConnectionReset);
    }
    ask(&mut client(&proxy)).expect("a new one is taken");
}

#[test]
fn refusal_is_for_new_connections_and_ends() {
    let (proxy, _) = started(Faults::default());
    let mut old = client(&proxy);
    ask(&mut old).expect("an answer");
    for _ in 0..3 {
        proxy.refuse(true);
        let error = TcpStream::connect(proxy.addr())
            .expect_err("refused")
            .kind();
        assert_eq!(error, ErrorKind::ConnectionRefused);
        ask(&mut old).expect("the old one is left alone");
        proxy.refuse(false);
        ask(&mut client(&proxy)).expect("an answer");
    }
}

#[test]
fn a_server_that_takes_no_connection_resets_the_clients() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = Proxy::start(gone.local_addr().expect("bound"), 7).expect("a proxy");
    drop(gone);
    assert_eq!(ask(&mut client(&proxy)), Err(ErrorKind::ConnectionReset));
    assert_eq!(proxy.counts().unreached, 1);
}

#[test]
fn the_same_seed_does_the_same_to_the_same_chunks() {
    // How many answers each connection gave, and how it ended.
    let run = |seed: u64| -> Vec<(usize, Option<ErrorKind>)> {
        let proxy = Proxy::start(echo().0, seed).expect("a proxy");
        proxy.set(Faults {
            delay: Some(Duration::ZERO..Duration::from_millis(1)),
            // It would make the echo read other chunks than last time.
            chop: 0.0,
            drop_reply: 0.05,
            reset: 0.05,
            half_open: 0.02,
        });
        let one = || {
            let mut stream = client(&proxy);
            let short = Some(Duration::from_millis(300));
            stream.set_read_timeout(short).expect("open");
            let end = (0..20)
                .map(|n| (n, ask(&mut stream)))
                .find(|(_, said)| said.is_err());
            end.map_or((20, None), |(n, said)| (n, said.err()))
        };
        (0..24).map(|_| one()).collect()
    };
    let first = run(41);
    assert_eq!(run(41), first);
    assert_ne!(run(42), first);
    let ends = |kind| first.iter().filter(|(_, end)| *end == kind).count();
    let silent = ends(Some(ErrorKind::WouldBlock));
    assert!(
        silent > 0 && ends(Some(ErrorKind::ConnectionReset)) > silent,
        "{first:?}"
    );
}
