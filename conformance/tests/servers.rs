//! The servers for tests start, answer, survive a kill with their data, and never outlive their process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tideway_conformance::servers::{
    self, Persistence, PgBouncer, PostgresServer, RedisCluster, RedisServer,
};

/// Set in a copy of this test that starts servers and waits to be killed.
const CHILD: &str = "TIDEWAY_SERVERS_CHILD";

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// The first line of a Redis server's answer to a command.
fn redis(port: u16, command: &str) -> String {
    let mut stream = BufReader::new(connect(port).expect("Redis takes connections"));
    write!(stream.get_mut(), "{command}\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_line(&mut answer).expect("it answers");
    answer.trim_end().to_owned()
}

/// What a PostgreSQL server says to `user` until it waits for it: a letter for each message, and all bytes.
fn postgres(port: u16, user: &str, query: Option<&str>) -> (String, Vec<u8>) {
    let mut stream = connect(port).expect("PostgreSQL takes connections");
    let mut startup = vec![0, 3, 0, 0];
    startup.extend(format!("user\0{user}\0database\0postgres\0\0").bytes());
    let length = u32::try_from(startup.len() + 4).expect("short");
    stream.write_all(&length.to_be_bytes()).expect("it reads");
    stream.write_all(&startup).expect("it reads");
    let mut said = conversation(&mut stream);
    if let (Some(query), true) = (query, said.0.ends_with('Z')) {
        let length = u32::try_from(query.len() + 5).expect("short");
        let mut message = vec![b'Q'];
        message.extend(length.to_be_bytes());
        message.extend(query.bytes().chain([0]));
        stream.write_all(&message).expect("it reads");
        said = conversation(&mut stream);
    }
    said
}

/// Reads messages until one after which the client speaks: ready (`Z`), a challenge (`R` that is not 0) or an end.
fn conversation(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let (mut letters, mut bytes) = (String::new(), Vec::new());
    loop {
        let mut head = [0; 5];
        if stream.read_exact(&mut head).is_err() {
            return (letters, bytes);
        }
        let [kind, length @ ..] = head;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut body).expect("a whole message");
        letters.push(kind.into());
        let challenge = kind == b'R' && body[..4] != [0; 4];
        bytes.extend(body);
        if kind == b'Z' || challenge {
            return (letters, bytes);
        }
    }
}

#[track_caller]
fn refuses(port: u16, within: Duration) {
    let until = Instant::now() + within;
    while connect(port).is_ok() {
        assert!(Instant::now() < until, "port {port} still answers");
        sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn vanishes(directory: &Path, within: Duration) {
    let until = Instant::now() + within;
    while directory.exists() {
        assert!(Instant::now() < until, "{} is left", directory.display());
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn redis_keeps_what_it_answered_over_a_kill() {
    let mut server = RedisServer::start(Persistence::Always).expect("a server");
    let port = server.port();
    assert_eq!(server.url(), format!("redis://127.0.0.1:{port}"));
    assert_eq!(redis(port, "PING"), "+PONG");
    assert_eq!(redis(port, "SET a b"), "+OK");
    server.kill();
    refuses(port, Duration::ZERO);
    server.restart().expect("a restart");
    assert_eq!(
        (server.port(), redis(port, "STRLEN a")),
        (port, ":1".to_owned())
    );
    server.stop();
    refuses(port, Duration::ZERO);
    server.restart().expect("a restart after a stop");
    server.restart().expect("a restart while it runs");
    assert_eq!(redis(port, "STRLEN a"), ":1");
    let directory = server.directory().to_owned();
    drop(server);
    refuses(port, Duration::ZERO);
    vanishes(&directory, Duration::ZERO);
}

#[test]
fn redis_takes_settings_and_passwords_and_forgets_without_persistence() {
    let settings = [("maxmemory", "64mb"), ("requirepass", "secret")];
    let server = RedisServer::start_with(Persistence::None, &settings).expect("a server");
    let port = server.port();
    assert_eq!(server.url(), format!("redis://:secret@127.0.0.1:{port}"));
    assert!(redis(port, "PING").starts_with("-NOAUTH"));
    let mut server = RedisServer::start(Persistence::None).expect("a server");
    let port = server.port();
    assert_eq!(redis(port, "SET a b"), "+OK");
    server.restart().expect("a restart");
    assert_eq!(redis(port, "STRLEN a"), ":0");
}

#[test]
fn a_setting_that_is_none_is_told_with_the_log() {
    let wrong = RedisServer::start_with(Persistence::None, &[("no-such-setting", "1")]);
    let said = wrong.expect_err("refused");
    assert!(said.contains("no-such-setting"), "{said}");
    let wrong = PostgresServer::start_with(&[("no_such_setting", "1")]);
    let said = wrong.expect_err("refused");
    assert!(said.contains("no_such_setting"), "{said}");
}

#[test]
fn a_cluster_serves_all_slots_also_after_the_kill_of_a_master() {
    let mut cluster = RedisCluster::start().expect("a cluster");
    let ports = cluster.ports();
    assert_eq!((ports.len(), cluster.urls().len()), (3, 3));
    // `foo` is in slot 12182, the third master's.
    assert_eq!(redis(ports[2], "SET foo 1"), "+OK");
    let moved = format!("-MOVED 12182 127.0.0.1:{}", ports[2]);
    assert_eq!(redis(ports[0], "SET foo 1"), moved);
    cluster.kill(2);
    refuses(ports[2], Duration::ZERO);
    cluster.restart(2).expect("a restart");
    assert_eq!(cluster.ports(), ports);
    assert_eq!(redis(ports[2], "SET foo 1"), "+OK");
    assert_eq!(redis(ports[1], "SET foo 1"), moved);
}

#[test]
fn postgres_keeps_what_it_answered_over_a_kill() {
    let mut server = PostgresServer::start().expect("a server");
    let port = server.port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    assert_eq!(server.url(), url);
    let made = postgres(port, "postgres", Some("CREATE TABLE t AS SELECT 42 AS a")).0;
    assert_eq!(made, "CZ");
    // A session that is at work does not keep the server from coming back.
    let busy = std::thread::spawn(move || {
        postgres(
            port,
            "postgres",
            Some("SELECT count(*) FROM generate_series(1, 1000000000)"),
        )
    });
    sleep(Duration::from_millis(300));
    server.kill();
    refuses(port, Duration::ZERO);
    assert_eq!(
        busy.join().expect("it read to the end").0,
        "",
        "the query was answered"
    );
    server.restart().expect("a restart");
    let (letters, bytes) = postgres(port, "postgres", Some("SELECT a, 'x' FROM t"));
    assert_eq!((server.port(), letters.as_str()), (port, "TDCZ"));
    assert!(bytes.windows(2).any(|pair| pair == b"42"));
    server.stop();
    refuses(port, Duration::ZERO);
    server.restart().expect("a restart after a stop");
    let directory = server.directory().to_owned();
    drop(server);
    refuses(port, Duration::ZERO);
    vanishes(&directory, Duration::ZERO);
}

#[test]
fn postgres_takes_settings_and_asks_one_role_for_its_password() {
    let server = PostgresServer::start_with(&[("max_connections", "17")]).expect("a server");
    let port = server.port();
    let (_, bytes) = postgres(port, "postgres", Some("SHOW max_connections"));
    assert!(bytes.windows(2).any(|pair| pair == b"17"));
    let (letters, bytes) = postgres(port, "guarded", None);
    assert_eq!(letters, "R");
    assert!(bytes.starts_with(&[0, 0, 0, 10]), "not SASL: {bytes:?}");
    let url = server.url_with_password("wrong");
    assert_eq!(
        url,
        format!("postgres://guarded:wrong@127.0.0.1:{port}/postgres")
    );
}

#[test]
fn pgbouncer_pools_transactions_and_survives_a_kill_of_either() {
    let mut behind = PostgresServer::start().expect("a server");
    let mut server = PgBouncer::start_with(&behind, &[("default_pool_size", "1")]).expect("a pool");
    let port = server.port();
    // Two sessions share the one connection only if it is given back after each transaction.
    let mut first = connect(port).expect("it takes connections");
    let startup = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    first.write_all(startup).expect("it reads");
    assert!(conversation(&mut first).0.ends_with('Z'));
    assert_eq!(postgres(port, "postgres", Some("SELECT 1")).0, "TDCZ");
    server.kill();
    refuses(port, Duration::ZERO);
    server.restart().expect("a restart");
    assert_eq!(server.port(), port);
    assert_eq!(postgres(port, "postgres", Some("SELECT 1")).0, "TDCZ");
    behind.kill();
    behind.restart().expect("a restart");
    let until = Instant::now() + Duration::from_secs(30);
    while postgres(port, "postgres", Some("SELECT 1")).0 != "TDCZ" {
        assert!(
            Instant::now() < until,
            "PgBouncer does not reach PostgreSQL"
        );
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn shared_servers_start_once() {
    let urls = || {
        [
            servers::postgres().expect("PostgreSQL").url(),
            servers::pgbouncer().expect("PgBouncer").url(),
            servers::redis().expect("Redis").url(),
            servers::redis_cluster().expect("a cluster").urls().concat(),
        ]
    };
    let first = urls();
    assert_eq!(urls(), first);
    assert_eq!(
        redis(servers::redis().expect("Redis").port(), "PING"),
        "+PONG"
    );
    let port = servers::pgbouncer().expect("PgBouncer").port();
    assert_eq!(postgres(port, "postgres", Some("SELECT 1")).0, "TDCZ");
}

#[test]
fn servers_go_with_their_process_however_it_ends() {
    if let Ok(end) = std::env::var(CHILD) {
        let servers = [
            (
                servers::postgres().expect("PostgreSQL").port(),
                servers::postgres().expect("it").directory(),
            ),
            (
                servers::pgbouncer().expect("PgBouncer").port(),
                servers::pgbouncer().expect("it").directory(),
            ),
            (
                servers::redis().expect("Redis").port(),
                servers::redis().expect("it").directory(),
            ),
        ];
        for (port, directory) in servers {
            println!("\nserver {port} {}", directory.display());
        }
        println!("\nall");
        if end == "exit" {
            std::process::exit(0);
        }
        sleep(Duration::from_secs(60));
        unreachable!("it is killed before");
    }
    for end in ["exit", "kill"] {
        let mut child = Command::new(std::env::current_exe().expect("this file"))
            .args([
                "--exact",
                "servers_go_with_their_process_however_it_ends",
                "--nocapture",
            ])
            .env(CHILD, end)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a copy of this test");
        let mut left = Vec::new();
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            let mut words = line.split_whitespace();
            match words.next() {
                Some("server") => {
                    let port: u16 = words.next().and_then(|n| n.parse().ok()).expect("a port");
                    left.push((port, words.next().expect("a directory").to_owned()));
                }
                Some("all") => break,
                _ => {}
            }
        }
        assert_eq!(left.len(), 3, "servers started");
        if end == "kill" {
            for (port, directory) in &left {
                connect(*port).expect("it lives");
                assert!(Path::new(directory).exists());
            }
            child.kill().expect("it lives");
        }
        child.wait().expect("it ends");
        for (port, directory) in left {
            refuses(port, Duration::from_secs(20));
            vanishes(Path::new(&directory), Duration::from_secs(20));
        }
    }
}
