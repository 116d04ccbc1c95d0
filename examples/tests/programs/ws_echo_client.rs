//! The client that is judged by tools: it echoes until it is closed and says how that was, or why it never was open.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

use tideway_engine::ws::handshake::accept_key;

use crate::on_each_runtime;

on_each_runtime! { it_echoes_until_it_is_closed, it_says_why_it_cannot_connect, }

/// The client run against a server of one connection, which `talk` is given after the handshake.
fn run(
    runtime: &str,
    more: &[&str],
    talk: impl FnOnce(&str, &mut TcpStream) + Send + 'static,
) -> Output {
    let on = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!(
        "ws://{}/run?case=1&agent=x",
        on.local_addr().expect("bound")
    );
    let server = thread::spawn(move || {
        let (mut stream, _) = on.accept().expect("a client");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.extend(byte);
        }
        talk(&String::from_utf8(head).expect("ASCII"), &mut stream);
    });
    let output = Command::new(env!("CARGO_BIN_EXE_ws_echo_client"))
        .args(["--url", &url, "--runtime", runtime])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    server.join().expect("the server saw what it should");
    output
}

fn accept(head: &str, more: &str) -> String {
    let key = head.split("Sec-WebSocket-Key: ").nth(1).expect("a key");
    let key = accept_key(key.split("\r\n").next().expect("a line"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {key}\r\n{more}\r\n"
    )
}

/// A frame of up to 125 bytes, its mask undone.
fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 6];
    stream.read_exact(&mut head).expect("a frame");
    assert_eq!(head[1] & 0x80, 0x80, "it masks");
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload).expect("a payload");
    let key = head[2..].iter().cycle();
    let plain = payload.iter().zip(key).map(|(byte, key)| byte ^ key);
    (head[0], plain.collect())
}

fn it_echoes_until_it_is_closed(runtime: &str) {
    let output = run(runtime, &["--deflate", "on"], |head, stream| {
        assert!(
            head.starts_with("GET /run?case=1&agent=x HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("permessage-deflate"), "{head}");
        let answer = accept(head, "");
        stream
            .write_all(&[answer.as_bytes(), b"\x81\x02hi\x82\x01\xff"].concat())
            .expect("it reads");
        assert_eq!(frame(stream), (0x81, b"hi".to_vec()));
        assert_eq!(frame(stream), (0x82, vec![0xff]));
        stream.write_all(b"\x88\x05\x03\xe9bye").expect("it reads");
        assert_eq!(frame(stream), (0x88, vec![3, 233]));
        // We close first, and it follows (RFC 6455 §7.1.1).
        stream.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.success(), said.trim()), (true, "1001"));
}

fn it_says_why_it_cannot_connect(runtime: &str) {
    let output = run(runtime, &[], |head, stream| {
        assert!(!head.contains("permessage-deflate"), "{head}");
        let no = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nlater";
        stream.write_all(no.as_bytes()).expect("it reads");
    });
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("503 Service Unavailable: later"), "{said}");
}
