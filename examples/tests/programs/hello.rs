//! The two hellos, the ten lines of the README and the runtime of our own.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::on_each_runtime;
use crate::server::{Server, until};

on_each_runtime! { it_says_hello_and_stops, it_serves_a_unix_socket, }

fn it_says_hello_and_stops(runtime: &str) {
    let server = Server::start(env!("CARGO_BIN_EXE_hello"), &["--runtime", runtime]);
    let reply = server.get("/");
    assert_eq!((reply.status, reply.text()), (200, "Hello, world!\n"));
    assert_eq!(server.get("/nowhere").status, 404);
    server.stop();
}

/// Unix socket paths are short (108 bytes), so not below the target directory.
fn socket(name: &str) -> PathBuf {
    let name = format!("tideway-{}-{name}.sock", std::process::id());
    std::env::temp_dir().join(name)
}

fn ask_unix(path: &PathBuf) -> Option<String> {
    let mut stream = UnixStream::connect(path).ok()?;
    let request = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    stream.write_all(request).expect("it reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("an answer");
    Some(reply)
}

/// A program at a Unix socket answers with `Hello`, and ends well.
fn serves_at(path: &PathBuf, command: &mut Command) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut reply = None;
    until("it answers at the socket", || {
        reply = ask_unix(path);
        reply.is_some()
    });
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it is running");
    let status = child.wait().expect("it is our child");
    let _ = std::fs::remove_file(path);
    assert!(status.success(), "{status}");
    let reply = reply.unwrap_or_default();
    assert!(
        reply.starts_with("HTTP/1.1 200 ") && reply.contains("\r\n\r\nHello"),
        "{reply}"
    );
}

fn it_serves_a_unix_socket(runtime: &str) {
    let path = socket(runtime);
    let listen = format!("unix:{}", path.display());
    let hello = env!("CARGO_BIN_EXE_hello");
    serves_at(
        &path,
        Command::new(hello).args(["--runtime", runtime, "--listen", &listen]),
    );
}

#[test]
fn the_ten_lines_serve_where_the_environment_says() {
    let path = socket("ten-lines");
    let listen = format!("unix:{}", path.display());
    serves_at(
        &path,
        Command::new(env!("CARGO_BIN_EXE_ten_lines")).env("TIDEWAY_LISTEN", listen),
    );
}

#[test]
fn a_wrong_setting_is_refused_by_name() {
    let ten_lines = Command::new(env!("CARGO_BIN_EXE_ten_lines"))
        .env("TIDEWAY_LISTEN", "80x")
        .output();
    let ten_lines = ten_lines.expect("it starts");
    assert!(!ten_lines.status.success());
    let error = String::from_utf8_lossy(&ten_lines.stderr).into_owned();
    assert!(
        error.contains("TIDEWAY_LISTEN") && error.contains("80x"),
        "{error}"
    );

    let hello = Command::new(env!("CARGO_BIN_EXE_hello"))
        .args(["--listen", "80x"])
        .output();
    let hello = hello.expect("it starts");
    assert_eq!(hello.status.code(), Some(2));
    let error = String::from_utf8_lossy(&hello.stderr).into_owned();
    assert!(
        error.contains("--listen") && error.contains("80x"),
        "{error}"
    );
}

#[test]
fn a_runtime_of_our_own_serves_and_stops() {
    let server = Server::start(env!("CARGO_BIN_EXE_own_runtime"), &[]);
    let mut client = server.connect();
    for _ in 0..100 {
        let reply = client.ask("GET", "/", &[], b"");
        assert_eq!(reply.text(), "Hello from a runtime of our own!\n");
    }
    drop(client);
    server.stop();
}
