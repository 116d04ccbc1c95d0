//! A crash ends a host's tasks at once and resets its connections; a restart starts from nothing.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tideway_driver::{Listener, Runtime};
use tideway_sim::{Host, Sim};

async fn serve(host: Host, kept: Arc<()>) {
    let mut port = host.listener(80).unwrap();
    loop {
        let (mut stream, _) = port.accept().await.unwrap();
        let kept = kept.clone();
        host.spawn(async move {
            while let Ok(bytes) = stream.read(100).await {
                if bytes.is_empty() || stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            drop(kept);
        });
    }
}

#[test]
fn tasks_and_connections_go_and_a_restart_serves_again() {
    let sim = Sim::new(1);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let kept = Arc::new(());
    for _ in 0..3 {
        server.spawn(serve(server.clone(), kept.clone()));
        let mut stream = sim.run(async {
            let mut stream = client.connect("server", 80).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            assert_eq!(stream.read_exact(4).await.unwrap(), b"ping");
            stream
        });
        assert_eq!((server.tasks(), Arc::strong_count(&kept)), (2, 3));
        sim.crash(&server);
        assert_eq!((server.tasks(), Arc::strong_count(&kept)), (0, 1));

        let broken = sim.run(stream.read(1)).unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
        let refused = sim.run(client.connect("server", 80)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        server.spawn(async { unreachable!("the host is off") });
        assert_eq!(sim.tasks(), 0);
        drop(stream);
        assert_eq!(sim.connections(), 0);
        sim.restart(&server);
    }
}

#[test]
fn a_task_can_crash_its_own_host() {
    let sim = Arc::new(Sim::new(1));
    let host = sim.host("host");
    let weak = Arc::downgrade(&sim);
    let own = host.clone();
    host.spawn(async move {
        let _mortal = own.clone();
        weak.upgrade().unwrap().crash(&own);
        own.sleep(Duration::from_secs(1)).await;
        unreachable!("the host is off");
    });
    sim.run_for(Duration::from_secs(5)).unwrap();
    assert_eq!(sim.tasks(), 0);
}

#[test]
fn dropping_a_simulation_drops_its_tasks() {
    let kept = Arc::new(());
    let sim = Sim::new(1);
    let host = sim.host("host");
    host.spawn(serve(host.clone(), kept.clone()));
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(Arc::strong_count(&kept), 2);
    drop(sim);
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
#[should_panic(expected = "in a task")]
fn a_panic_in_a_task_reaches_the_test() {
    let sim = Sim::new(1);
    sim.spawn(async { panic!("in a task") });
    sim.run(sim.host("test").sleep(Duration::from_secs(1)));
}
