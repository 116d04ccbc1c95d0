//! Twenty thousand handlers that would run for an hour, all cut at thirty seconds, in no time at all.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tideway::stages::Accounts;
use tideway::{App, Clock, get};
use tideway_conformance::suite::reply::Reply;
use tideway_driver::{Options, Runtime, Stop, serve};
use tideway_sim::{Link, Sim};

const HANDLERS: u32 = 20_000;
/// The default of the deadline *handler*.
const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn twenty_thousand_hour_long_handlers_are_cut_at_thirty_seconds() {
    let begun = Instant::now();
    let sim = Sim::new(1);
    sim.default_link(Link::perfect());
    let (server, clients) = (sim.host("server"), sim.host("clients"));
    let accounts = Accounts::default();
    let app = App::new()
        .without_stage("accounts")
        .stage_before("host", accounts.clone())
        .route(
            "/hour",
            get(async |clock: Clock| {
                clock.sleep(Duration::from_secs(3600)).await;
                "an hour later"
            }),
        );
    let mut options = Options::default();
    options.max_connections = HANDLERS as usize;
    let stop = Stop::new();
    let on = server.listener(80).expect("a free port");
    let served = serve(server.clone(), app, on, options, stop.clone());
    server.spawn_named("server", async move {
        served.await.expect("a well-formed app");
    });

    let answers = Arc::new(Mutex::new(Vec::with_capacity(HANDLERS as usize)));
    for n in 0..HANDLERS {
        let (rt, answers) = (clients.clone(), answers.clone());
        clients.spawn_named("client", async move {
            // Not all at one instant: a port holds only so many that nobody has accepted.
            rt.sleep(n * Duration::from_micros(100)).await;
            let asked = rt.now().mono;
            let mut stream = rt.connect("server", 80).await.expect("room in the backlog");
            let request = b"GET /hour HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.expect("an open connection");
            let bytes = stream.read_to_end().await.expect("an answer");
            let (reply, _) = Reply::whole(&bytes, false)
                .expect("well-formed")
                .expect("whole");
            let took = rt.now().mono.since(asked);
            answers
                .lock()
                .expect("one thread")
                .push((reply.status, took));
        });
    }
    sim.run_for(Duration::from_secs(60)).expect("time goes on");

    let answers = answers.lock().expect("one thread");
    assert_eq!(answers.len(), HANDLERS as usize, "every client is answered");
    for (status, took) in answers.iter() {
        assert_eq!(*status, 503, "a late handler is the server's fault");
        let late = *took >= DEADLINE && *took < DEADLINE + Duration::from_millis(10);
        assert!(late, "cut after {took:?} instead of {DEADLINE:?}");
    }
    let counts = accounts.counts();
    assert_eq!(
        (counts.completed, counts.in_flight),
        (u64::from(HANDLERS), 0)
    );
    assert_eq!(sim.task_names(), ["server/1 server"]);
    stop.stop();
    sim.run_for(Duration::from_secs(1)).expect("time goes on");
    assert_eq!((sim.tasks(), sim.connections()), (0, 0));
    println!(
        "{HANDLERS} handlers, 60 simulated seconds: {:?}",
        begun.elapsed()
    );
}
