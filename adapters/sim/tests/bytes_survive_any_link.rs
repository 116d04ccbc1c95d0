//! Whatever an unbroken link does to timing and sizes, the bytes are the same.

use std::time::Duration;

use tideway_driver::{Listener, Runtime};
use tideway_sim::{Host, Link, Sim, SimStream};

const PORT: u16 = 80;

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n ^ (n >> 8)) as u8).collect()
}

async fn echo(mut stream: SimStream) {
    loop {
        let bytes = stream.read(1_000).await.unwrap();
        if bytes.is_empty() {
            return stream.shutdown().await.unwrap();
        }
        stream.write_all(&bytes).await.unwrap();
    }
}

fn serve(host: &Host) {
    let mut port = host.listener(PORT).unwrap();
    let rt = host.clone();
    host.spawn(async move {
        loop {
            let (stream, _) = port.accept().await.unwrap();
            rt.spawn(echo(stream));
        }
    });
}

#[test]
fn ping_pong_over_chopped_links() {
    for seed in 0..50 {
        for link in [
            Link::perfect(),
            Link::perfect().chop(1),
            Link::default(),
            Link::rough(),
        ] {
            let sim = Sim::new(seed);
            let (server, client) = (sim.host("server"), sim.host("client"));
            sim.default_link(link);
            serve(&server);
            sim.run(async {
                let mut stream = client.connect("server", PORT).await.unwrap();
                for bytes in [1, 2, 500, 2_000] {
                    let sent = pattern(bytes);
                    stream.write_all(&sent).await.unwrap();
                    assert_eq!(stream.read_exact(bytes).await.unwrap(), sent);
                }
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read_to_end().await.unwrap(), b"");
            });
            sim.run_for(Duration::from_secs(10)).unwrap();
            assert_eq!(
                (sim.tasks(), sim.connections()),
                (1, 0),
                "only the listener is left"
            );
        }
    }
}

#[test]
fn a_buffer_is_bounded_and_a_slow_reader_loses_nothing() {
    const BUFFER: usize = 1_000;
    let sim = Sim::new(1);
    let (server, client) = (sim.host("server"), sim.host("client"));
    sim.link(&server, &client, Link::perfect().buffer(BUFFER));
    let mut port = server.listener(PORT).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    server.spawn(async move {
        let (mut stream, _) = port.accept().await.unwrap();
        for byte in pattern(5_000) {
            stream.write_all(&[byte]).await.unwrap();
            tell.send(()).unwrap();
        }
    });
    let mut stream = sim.run(client.connect("10.0.0.1", PORT)).unwrap();
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(told.try_iter().count(), BUFFER);
    assert_eq!(sim.run(stream.read_exact(300)).unwrap(), pattern(300));
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(told.try_iter().count(), 300);
    assert_eq!(
        sim.run(stream.read_to_end()).unwrap(),
        &pattern(5_000)[300..]
    );
}

#[test]
fn latency_is_paid_once_each_way() {
    let sim = Sim::new(1);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let way = Duration::from_millis(10);
    sim.link(&server, &client, Link::perfect().latency(way..way));
    serve(&server);
    let start = sim.now().mono;
    sim.run(async {
        let mut stream = client.connect("server", PORT).await.unwrap();
        assert_eq!(sim.now().mono.since(start), 2 * way);
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(1).await.unwrap();
        assert_eq!(sim.now().mono.since(start), 4 * way);
    });
}

#[test]
fn stalls_delay_and_keep_the_order() {
    let sim = Sim::new(3);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let stall = Duration::from_secs(1)..Duration::from_secs(2);
    sim.link(&server, &client, Link::perfect().stall(500_000, stall));
    serve(&server);
    let sent = pattern(100);
    let back = sim.run(async {
        let mut stream = client.connect("server", PORT).await.unwrap();
        for byte in &sent {
            stream.write_all(&[*byte]).await.unwrap();
        }
        stream.read_exact(sent.len()).await.unwrap()
    });
    assert_eq!(back, sent);
    assert!(sim.now().mono.as_nanos() > 1_000_000_000);
}
