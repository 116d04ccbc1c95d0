//! A partition loses nothing and tells nobody: everything waits for its end.

use std::time::Duration;

use tideway_driver::{Listener, Runtime};
use tideway_sim::{Sim, Why};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn bytes_wait_in_their_order() {
    for seed in 0..50 {
        let sim = Sim::new(seed);
        let (server, client) = (sim.host("server"), sim.host("client"));
        let mut port = server.listener(80).unwrap();
        let mut near = sim.run(client.connect("server", 80)).unwrap();
        let (mut far, _) = sim.run(port.accept()).unwrap();
        // Some under way when it is cut, some after, some after it has healed.
        sim.run(near.write_all(b"under way, ")).unwrap();
        sim.partition(&client, &server);
        sim.run(near.write_all(b"during, ")).unwrap();
        let stalled = sim.block_on(far.read(1)).unwrap_err();
        assert_eq!(stalled.why(), Why::Idle);
        assert!(
            stalled
                .to_string()
                .ends_with("2 packets are held by partitions: heal them")
        );
        sim.run_for(SECOND).unwrap();
        sim.heal(&server, &client);
        sim.run(near.write_all(b"after")).unwrap();
        let text = sim.run(far.read_exact(24)).unwrap();
        assert_eq!(text, b"under way, during, after");
    }
}

#[test]
fn a_connection_is_made_once_it_heals() {
    let sim = Sim::new(1);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let _port = server.listener(80).unwrap();
    sim.partition(&server, &client);
    sim.run(async {
        let heal = client.clone();
        let connect = async {
            client.connect("server", 80).await.unwrap();
            assert!(sim.now().mono.as_nanos() > SECOND.as_nanos() as u64);
        };
        let mut connect = std::pin::pin!(connect);
        let mut wait = std::pin::pin!(heal.sleep(SECOND));
        std::future::poll_fn(|cx| {
            assert!(connect.as_mut().poll(cx).is_pending());
            wait.as_mut().poll(cx)
        })
        .await;
        sim.heal(&server, &client);
        connect.await;
    });
}

#[test]
fn others_are_not_concerned() {
    let sim = Sim::new(1);
    let (server, client, other) = (sim.host("server"), sim.host("client"), sim.host("other"));
    let _port = server.listener(80).unwrap();
    sim.partition(&server, &client);
    sim.run(other.connect("server", 80)).unwrap();
    sim.run(server.connect("server", 80)).unwrap();
    assert!(sim.block_on(client.connect("server", 80)).is_err());
}
