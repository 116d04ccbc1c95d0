//! A build without the feature `http2`: who speaks it is closed at once, and HTTP/1 works on the same port.
#![cfg(not(feature = "http2"))]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tideway::{App, get};
use tideway_driver::{Bound, Stop};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Everything the server says before it closes.
fn said(at: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(at).expect("a connection");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    socket.write_all(request).expect("a request");
    let mut said = Vec::new();
    socket.read_to_end(&mut said).expect("an end");
    said
}

#[test]
fn a_client_that_speaks_http2_is_closed_and_the_next_is_served() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = socket.local_addr().expect("an address");
    let stop = Stop::new();
    let app = App::new().route("/", get(async || "hello"));
    let server = tideway_smol::serve(app).stop(stop.clone());
    let serving = std::thread::spawn(|| smol::block_on(server.on(Bound::Tcp(socket))));

    assert_eq!(said(at, PREFACE), b"");
    let answer = said(
        at,
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("hello"), "{answer}");

    stop.stop();
    serving.join().expect("a server").expect("a report");
}
