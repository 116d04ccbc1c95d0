//! Every way a connection can break is seen at both ends, as a socket would show it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tideway_driver::{Bound, Listener, Runtime};
use tideway_sim::{Host, Link, Sim, SimStream};

fn pair(sim: &Sim, link: Link) -> (SimStream, SimStream) {
    let (server, client) = (sim.host("server"), sim.host("client"));
    sim.link(&server, &client, link);
    let mut port = server.listener(80).unwrap();
    sim.run(async {
        let near = client.connect("server", 80).await.unwrap();
        let (far, peer) = port.accept().await.unwrap();
        assert_eq!(peer, tideway::Peer::Tcp(near.local_addr()));
        assert_eq!(far.local_addr(), near.peer_addr());
        (far, near)
    })
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn a_reset_is_econnreset_at_the_other_end_and_flushes_what_was_not_read() {
    let sim = Sim::new(1);
    let (mut server, mut client) = pair(&sim, Link::default());
    sim.run(async {
        server.write_all(b"lost").await.unwrap();
        server.reset();
    });
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(kind(sim.run(client.read(9))), ErrorKind::ConnectionReset);
    assert_eq!(
        kind(sim.run(client.write_all(b"x"))),
        ErrorKind::ConnectionReset
    );
    assert_eq!(kind(sim.run(client.shutdown())), ErrorKind::NotConnected);
    drop(client);
    assert_eq!(sim.connections(), 0);
}

#[test]
fn a_reset_wakes_who_waits_to_read_or_to_write() {
    let sim = Sim::new(1);
    let (reads, far_reader) = pair(&sim, Link::default());
    let (writes, far_writer) = pair(&sim, Link::default().buffer(4));
    let (tell, told) = std::sync::mpsc::channel();
    for (mut stream, read) in [(reads, true), (writes, false)] {
        let tell = tell.clone();
        sim.spawn(async move {
            let result = if read {
                stream.read(1).await.map(drop)
            } else {
                stream.write_all(b"more than four").await
            };
            tell.send(kind(result)).unwrap();
        });
    }
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(told.try_iter().count(), 0);
    far_reader.reset();
    far_writer.reset();
    sim.run_for(Duration::from_secs(1)).unwrap();
    let kinds: Vec<_> = told.try_iter().collect();
    assert_eq!(kinds, [ErrorKind::ConnectionReset; 2]);
}

#[test]
fn half_closed_one_way_still_carries_the_other() {
    let sim = Sim::new(1);
    let (mut server, mut client) = pair(&sim, Link::rough());
    sim.run(async {
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(server.read_to_end().await.unwrap(), b"question");
        assert_eq!(kind(client.write_all(b"x").await), ErrorKind::BrokenPipe);
        server.write_all(b"answer").await.unwrap();
        drop(server);
        assert_eq!(client.read_to_end().await.unwrap(), b"answer");
    });
}

#[test]
fn a_link_can_shut_a_writer() {
    let sim = Sim::new(1);
    let (mut server, mut client) = pair(&sim, Link::default().half_close(1_000_000));
    sim.run(async {
        client.write_all(b"all").await.unwrap();
        assert_eq!(kind(client.write_all(b"x").await), ErrorKind::BrokenPipe);
        assert_eq!(server.read_to_end().await.unwrap(), b"all");
        server.write_all(b"back").await.unwrap();
        assert_eq!(client.read_to_end().await.unwrap(), b"back");
    });
}

#[test]
fn a_link_can_reset() {
    let sim = Sim::new(1);
    let (mut server, mut client) = pair(&sim, Link::default().reset(1_000_000));
    assert_eq!(
        kind(sim.run(client.write_all(b"x"))),
        ErrorKind::ConnectionReset
    );
    assert_eq!(kind(sim.run(server.read(1))), ErrorKind::ConnectionReset);
}

#[test]
fn closing_with_bytes_unread_resets() {
    let sim = Sim::new(1);
    let (mut server, mut client) = pair(&sim, Link::default());
    sim.run(client.write_all(b"never read")).unwrap();
    sim.run_for(Duration::from_secs(1)).unwrap();
    sim.run(server.write_all(b"413")).unwrap();
    drop(server);
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(kind(sim.run(client.read(9))), ErrorKind::ConnectionReset);
}

#[test]
fn writing_to_who_has_gone_resets() {
    let sim = Sim::new(1);
    let (server, mut client) = pair(&sim, Link::default());
    drop(server);
    sim.run_for(Duration::from_secs(1)).unwrap();
    sim.run(client.write_all(b"into the void")).unwrap();
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(
        kind(sim.run(client.write_all(b"x"))),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn connecting_to_nobody_fails() {
    let sim = Sim::new(1);
    let client = sim.host("client");
    let server = sim.host("server");
    let connect = |host: &'static str| sim.run(client.connect(host, 80));
    assert_eq!(kind(connect("server")), ErrorKind::ConnectionRefused);
    assert_eq!(kind(connect("elsewhere")), ErrorKind::NotFound);
    let port = server.listener(80).unwrap();
    assert_eq!(kind(server.listener(80)), ErrorKind::AddrInUse);
    let accepted_never = connect("server").unwrap();
    drop(port);
    let mut stream = accepted_never;
    assert_eq!(kind(sim.run(stream.read(1))), ErrorKind::ConnectionReset);
    drop(stream);
    assert_eq!(sim.connections(), 0);
    server.listener(80).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(
        kind(server.listen(Bound::Tcp(socket))),
        ErrorKind::Unsupported
    );
}

#[test]
fn giving_up_connecting_leaves_nothing_behind() {
    let sim = Sim::new(1);
    let (client, server) = (sim.host("client"), sim.host("server"));
    let _port = server.listener(80).unwrap();
    let connecting: &dyn Fn(&Host) = &|host| {
        let mut connect = Box::pin(host.connect("server", 80));
        let waker = std::task::Waker::noop();
        let polled = connect
            .as_mut()
            .poll(&mut std::task::Context::from_waker(waker));
        assert!(polled.is_pending());
    };
    connecting(&client);
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(sim.connections(), 0);
}

#[test]
fn a_hostile_link_breaks_some_and_not_all() {
    let mut broken = 0;
    for seed in 0..100 {
        let sim = Sim::new(seed);
        let (mut server, mut client) = pair(&sim, Link::hostile());
        let sent = vec![7; 5_000];
        let read = sim.run(async {
            if client.write_all(&sent[..4_000]).await.is_err() {
                return false;
            }
            drop(client);
            server
                .read_to_end()
                .await
                .is_ok_and(|read| read.len() == 4_000)
        });
        broken += usize::from(!read);
    }
    assert!((5..80).contains(&broken), "{broken}");
}
