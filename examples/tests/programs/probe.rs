//! The probe: each endpoint does what its name says, on each runtime, and a stop lets requests end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::on_each_runtime;
use crate::server::{Server, until};

on_each_runtime! {
    every_endpoint_answers,
    without_stages_it_answers_too,
    what_is_past_a_cap_is_refused,
    an_echo_begins_before_the_body_ends,
    an_echo_tells_a_client_that_asks_to_go_on,
    an_upload_takes_constant_memory,
    a_stop_lets_a_request_end,
    readiness_is_false_while_it_stops,
    a_second_signal_cuts,
    a_stop_that_had_to_cut_is_no_success,
    a_websocket_echoes,
}

fn start(runtime: &str, stages: &str) -> Server {
    Server::start(
        env!("CARGO_BIN_EXE_probe"),
        &["--runtime", runtime, "--stages", stages],
    )
}

fn every_endpoint_answers(runtime: &str) {
    let server = start(runtime, "all");
    let reply = server.get("/plaintext");
    assert_eq!(reply.text(), "Hello, World!");
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(reply.header("x-request-id").len(), 36);
    assert_eq!(reply.header("date").len(), 29);

    let reply = server.get("/json");
    assert_eq!(reply.text(), r#"{"message":"Hello, World!"}"#);
    assert_eq!(reply.header("content-type"), "application/json");

    assert_eq!(server.get("/users/7").text(), "user 7");
    assert_eq!(server.get("/area50/3/items/4").text(), "item 4 of 3");
    assert_eq!(server.get("/area100/3/items/4").status, 404);

    let reply = server.json("POST", "/json-echo", &json!({"a": [1, null, "é"]}));
    assert_eq!(reply.json(), json!({"a": [1, null, "é"]}));

    let reply = server.get("/stream?chunks=3&bytes=5");
    assert_eq!(reply.text(), "x".repeat(15));
    assert_eq!(reply.header("transfer-encoding"), "chunked");

    let reply = server.get("/sse?n=2");
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let events = "event: tick\nid: 1\ndata: 1 of 2\n\nevent: tick\nid: 2\ndata: 2 of 2\n\n";
    assert_eq!(reply.text(), events);

    assert_eq!(server.get("/slow?ms=20").text(), "after 20 ms\n");

    let reply = server.get("/panic");
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (500, "application/problem+json")
    );
    assert!(!reply.text().contains("asked to"), "{}", reply.text());

    for status in [200, 204, 304, 418, 599] {
        assert_eq!(server.get(&format!("/status/{status}")).status, status);
    }

    let reply = server.ask("GET", "/headers", &[("x-a", "1"), ("X-A", "2")], b"");
    assert_eq!(reply.json(), json!({"host": ["test"], "x-a": ["1", "2"]}));

    assert_eq!(
        server
            .ask("HEAD", "/plaintext", &[], b"")
            .header("content-length"),
        "13"
    );
    assert_eq!(server.get("/healthz").text(), "ok\n");
    assert_eq!(server.get("/readyz").text(), "ready\n");
    server.stop();
}

fn without_stages_it_answers_too(runtime: &str) {
    let server = start(runtime, "none");
    let mut client = server.connect();
    for _ in 0..20 {
        let reply = client.ask("GET", "/plaintext", &[], b"");
        assert_eq!(
            (reply.text(), reply.header("x-request-id")),
            ("Hello, World!", "")
        );
    }
    drop(client);
    server.stop();
}

fn what_is_past_a_cap_is_refused(runtime: &str) {
    let server = start(runtime, "all");
    for path in [
        "/stream?chunks=1000001",
        "/stream?bytes=1048577",
        "/stream?bytes=-1",
        "/sse?n=10001",
        "/slow?ms=120001",
        "/slow?ms=soon",
        "/status/101",
        "/status/1000",
        "/status/2e2",
        "/users/x",
    ] {
        let reply = server.get(path);
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{path}"
        );
    }
    let reply = server.ask(
        "POST",
        "/json-echo",
        &[("content-type", "text/plain")],
        b"{}",
    );
    assert_eq!(reply.status, 415);
    let large = format!("\"{}\"", "x".repeat(2 * 1024 * 1024));
    let mut client = server.connect();
    let kind = ("content-type", "application/json");
    client.send("POST", "/json-echo", &[kind], Some(large.len()));
    assert_eq!(
        client.head().expect("an answer before the body").status,
        413
    );
    server.stop();
}

fn an_echo_begins_before_the_body_ends(runtime: &str) {
    let server = start(runtime, "all");
    let mut client = server.connect();
    client.send("POST", "/echo", &[], None);
    client.chunk(b"first ");
    let head = client.head().expect("an answer before the end of the body");
    let mut echoed = Vec::new();
    while echoed.len() < 6 {
        client.next_chunk(&mut echoed).expect("the first chunk");
    }
    client.chunk(b"second");
    client.chunk(b"");
    echoed.extend(client.rest(&head).expect("the rest"));
    assert_eq!(echoed, b"first second");
    drop(client);
    server.stop();
}

fn an_echo_tells_a_client_that_asks_to_go_on(runtime: &str) {
    let server = start(runtime, "all");
    let mut client = server.connect();
    client.send("POST", "/echo", &[("expect", "100-continue")], None);
    assert_eq!(client.head().expect("an interim answer").status, 100);
    client.chunk(b"body");
    client.chunk(b"");
    let head = client.head().expect("an answer");
    let body = client.rest(&head).expect("its body");
    assert_eq!((head.status, &*body), (200, &b"body"[..]));
    drop(client);
    server.stop();
}

fn an_upload_takes_constant_memory(runtime: &str) {
    const MIB: usize = 96;
    let server = start(runtime, "all");
    let mut client = server.connect();
    client.send("POST", "/upload", &[], None);
    let block: Vec<u8> = (0..1024 * 1024_usize).map(|i| (i % 251) as u8).collect();
    let mut hash = Sha256::new();
    for _ in 0..MIB {
        client.chunk(&block);
        hash.update(&block);
    }
    client.chunk(b"");
    let mut reply = client.head().expect("an answer");
    reply.body = client.rest(&reply).expect("its body");
    let sha256: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        reply.json(),
        json!({"bytes": MIB * 1024 * 1024, "sha256": sha256})
    );
    let peak = server.peak_rss();
    assert!(peak < 48 * 1024, "{peak} KiB for {MIB} MiB");
    server.stop();
}

fn a_stop_lets_a_request_end(runtime: &str) {
    let mut server = start(runtime, "all");
    let mut client = server.connect();
    client.send("GET", "/sse?n=12&ms=30", &[], Some(0));
    let head = client.head().expect("an answer");
    let mut events = Vec::new();
    client.next_chunk(&mut events).expect("the first event");
    server.signal(Signal::TERM);
    events.extend(client.rest(&head).expect("all events, and the end"));
    assert!(events.ends_with(b"data: 12 of 12\n\n"));
    let status = server.wait();
    assert!(status.success(), "{status}");
}

fn readiness_is_false_while_it_stops(runtime: &str) {
    let probe = env!("CARGO_BIN_EXE_probe");
    let args = ["--runtime", runtime, "--listen", "127.0.0.1:0"];
    let duck = ("TIDEWAY_LAME_DUCK", "1500ms");
    let mut server = Server::start_with(Command::new(probe).args(args).env(duck.0, duck.1));
    assert_eq!(server.get("/readyz").status, 200);
    server.signal(Signal::TERM);
    until("readiness is false", || {
        let reply = server.get("/readyz");
        reply.status == 503 && reply.text() == "stopping\n"
    });
    assert_eq!(server.get("/healthz").status, 200);
    let status = server.wait();
    assert!(status.success(), "{status}");
}

fn a_second_signal_cuts(runtime: &str) {
    let mut server = start(runtime, "all");
    let mut client = server.connect();
    client.send("GET", "/sse?n=10000&ms=30", &[], Some(0));
    let head = client.head().expect("an answer");
    server.signal(Signal::INT);
    // Two signals at once may count as one.
    until("it takes no more connections", || {
        TcpStream::connect(&server.addr).is_err()
    });
    let begun = std::time::Instant::now();
    server.signal(Signal::INT);
    client
        .rest(&head)
        .expect_err("a cut body does not look whole");
    assert_eq!(server.wait().code(), Some(1), "a request was cut");
    assert!(
        begun.elapsed().as_secs() < 5,
        "forced, yet it took {:?}",
        begun.elapsed()
    );
}

fn a_stop_that_had_to_cut_is_no_success(runtime: &str) {
    let log = format!("{}/forced-{runtime}.log", env!("CARGO_TARGET_TMPDIR"));
    let file = std::fs::File::create(&log).expect("a file of ours");
    let probe = env!("CARGO_BIN_EXE_probe");
    let args = ["--runtime", runtime, "--listen", "127.0.0.1:0"];
    let mut command = Command::new(probe);
    command.args(args).env("TIDEWAY_DRAIN", "200ms");
    let mut server = Server::start_logging(&mut command, file.into());
    let mut client = server.connect();
    client.send("GET", "/sse?n=10000&ms=30", &[], Some(0));
    let head = client.head().expect("an answer");
    server.signal(Signal::TERM);
    client
        .rest(&head)
        .expect_err("a cut body does not look whole");
    assert_eq!(server.wait().code(), Some(1));
    let log = std::fs::read_to_string(&log).expect("text");
    let warned = log.lines().find(|line| line.contains("stop forced"));
    let warned = warned.unwrap_or_else(|| panic!("no warning: {log}"));
    assert!(
        warned.contains("WARN") && warned.contains("cut=1"),
        "{warned}"
    );
    // What `main` returned, as Rust prints it.
    assert!(log.contains("1 of 1 connections were busy"), "{log}");
}

fn a_websocket_echoes(runtime: &str) {
    for deflate in ["on", "off"] {
        let probe = env!("CARGO_BIN_EXE_probe");
        let args = ["--runtime", runtime, "--deflate", deflate];
        let server = Server::start(probe, &args);
        let mut socket = TcpStream::connect(&server.addr).expect("it listens");
        let handshake = "GET /ws/echo HTTP/1.1\r\nhost: test\r\norigin: https://elsewhere.example\r\n\
             connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
        socket.write_all(handshake.as_bytes()).expect("it reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("a head");
            head.extend(byte);
        }
        let head = String::from_utf8(head).expect("ASCII");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(
            head.contains("permessage-deflate"),
            deflate == "on",
            "{head}"
        );
        // 2 MiB, with a mask of zeros; then Close.
        const LEN: usize = 2 << 20;
        let mut frame = vec![0x82, 0xff];
        frame.extend((LEN as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.resize(frame.len() + LEN, b'x');
        socket.write_all(&frame).expect("it reads");
        let mut back = [0; 4];
        socket.read_exact(&mut back).expect("an answer");
        // What is compressed fits into 64 KiB.
        let first = if deflate == "on" {
            [0xc2, 126]
        } else {
            [0x82, 127]
        };
        assert_eq!(back[..2], first);
        let rest = if deflate == "on" {
            usize::from(u16::from_be_bytes([back[2], back[3]]))
        } else {
            6 + LEN
        };
        let mut payload = vec![0; rest];
        socket.read_exact(&mut payload).expect("all of it");
        socket
            .write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8])
            .expect("it reads");
        let mut close = Vec::new();
        socket.read_to_end(&mut close).expect("the end");
        assert_eq!(close, [0x88, 2, 3, 0xe8]);
        server.stop();
    }
}
