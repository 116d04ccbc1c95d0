//! A whole program, as `main` would run it: asked once over HTTP, then told to stop.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use tideway::{App, Peer, get};
use tideway_driver::{Config, config};

/// One test process at a time may do this: the signal goes to all of it.
pub(crate) fn serves_until(
    signal: &str,
    run_with: fn(App, Config, Sender<Peer>) -> io::Result<()>,
) {
    let app = App::new().route("/", get(async || "Hello, world!"));
    let config = config(|name| (name == "TIDEWAY_LISTEN").then(|| "127.0.0.1:0".to_owned()));
    let (tell, ready) = channel();
    let program = thread::spawn(move || run_with(app, config.unwrap(), tell));
    let Ok(Peer::Tcp(at)) = ready.recv_timeout(Duration::from_secs(10)) else {
        panic!("not ready: {:?}", program.join());
    };
    let mut stream = TcpStream::connect(at).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nHello, world!"), "{answer}");
    let pid = std::process::id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .unwrap()
            .success()
    );
    program.join().unwrap().unwrap();
    assert!(TcpStream::connect(at).is_err(), "the port is closed");
}
