//! The driver, hyper and an app as they are, on simulated machines.

use std::time::Duration;

use tideway::{App, Clock, get, post};
use tideway_driver::{Options, Report, Runtime, Stop, serve};
use tideway_sim::{Host, Link, Sim, SimStream};

fn app() -> App {
    App::new()
        .route("/", get(async || "Hello, world!"))
        .route("/echo", post(async |body: String| body))
        .route(
            "/slow",
            get(async |clock: Clock| {
                clock.sleep(Duration::from_secs(3)).await;
                "done"
            }),
        )
}

/// Starts the app on a host; what it reports comes through the channel.
fn start(host: &Host, stop: Stop) -> std::sync::mpsc::Receiver<Report> {
    let (tell, told) = std::sync::mpsc::channel();
    let on = host.listener(80).unwrap();
    let served = serve(host.clone(), app(), on, Options::default(), stop);
    host.spawn_named("server", async move {
        tell.send(served.await.unwrap()).unwrap();
    });
    told
}

async fn ask(stream: &mut SimStream, head: &str, body: &str, answer: &str) {
    let length = body.len();
    let request =
        format!("{head} HTTP/1.1\r\nhost: server\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.ends_with(&format!("\r\n\r\n{answer}")) {
        let byte = stream.read_exact(1).await.unwrap();
        text.push(char::from(byte[0]));
    }
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("01 Jan 2026"), "{text}");
}

/// Four clients with three requests each; returns the digest.
fn run(seed: u64, link: Link) -> u128 {
    let sim = Sim::new(seed);
    sim.default_link(link);
    let server = sim.host("server");
    let stop = Stop::new();
    let told = start(&server, stop.clone());
    let long = "all work and no play ".repeat(200);
    for n in 0..4 {
        let client = sim.host(&format!("client {n}"));
        let (rt, long) = (client.clone(), long.clone());
        client.spawn_named("client", async move {
            let mut stream = rt.connect("server", 80).await.unwrap();
            ask(&mut stream, "GET /", "", "Hello, world!").await;
            ask(&mut stream, "POST /echo", &long, &long).await;
            ask(&mut stream, "GET /slow", "", "done").await;
        });
    }
    sim.run_for(Duration::from_secs(120)).unwrap();
    assert_eq!(sim.task_names(), ["server/1 server"]);
    stop.stop();
    sim.run_for(Duration::from_secs(1)).unwrap();
    let report = told.try_recv().unwrap();
    assert_eq!((report.accepted, report.cut), (4, 0));
    assert_eq!((sim.tasks(), sim.connections()), (0, 0));
    sim.digest()
}

#[test]
fn over_any_link_with_nothing_left_behind() {
    for seed in 0..10 {
        for link in [Link::perfect(), Link::default(), Link::rough()] {
            run(seed, link);
        }
    }
}

#[test]
fn replayed_byte_for_byte() {
    for seed in 0..5 {
        assert_eq!(run(seed, Link::rough()), run(seed, Link::rough()));
    }
    assert_ne!(run(1, Link::rough()), run(2, Link::rough()));
}

#[test]
fn a_request_under_way_outlives_a_stop() {
    let sim = Sim::new(1);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let stop = Stop::new();
    let told = start(&server, stop.clone());
    sim.run(async {
        let mut stream = client.connect("server", 80).await.unwrap();
        let slow = ask(&mut stream, "GET /slow", "", "done");
        let mut slow = std::pin::pin!(slow);
        let mut first = std::pin::pin!(client.sleep(Duration::from_secs(1)));
        std::future::poll_fn(|cx| {
            assert!(slow.as_mut().poll(cx).is_pending());
            first.as_mut().poll(cx)
        })
        .await;
        stop.stop();
        slow.await;
    });
    sim.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(told.try_recv().unwrap().cut, 0);
    assert_eq!(sim.tasks(), 0);
}

#[test]
fn a_hostile_link_leaves_nothing_behind() {
    let mut answered = 0;
    for seed in 0..100 {
        let sim = Sim::new(seed);
        sim.default_link(Link::hostile().reset(5_000).half_close(5_000));
        let server = sim.host("server");
        let stop = Stop::new();
        let told = start(&server, stop.clone());
        let (tell, answers) = std::sync::mpsc::channel();
        for n in 0..4 {
            let client = sim.host(&format!("client {n}"));
            let (rt, tell) = (client.clone(), tell.clone());
            client.spawn_named("client", async move {
                for _ in 0..3 {
                    let Ok(mut stream) = rt.connect("server", 80).await else {
                        continue;
                    };
                    let body = "x".repeat(3_000);
                    let head = "POST /echo HTTP/1.1\r\nhost: server\r\nconnection: close\r\n";
                    let request = format!("{head}content-length: 3000\r\n\r\n{body}");
                    let sent = stream.write_all(request.as_bytes()).await;
                    if let (Ok(()), Ok(answer)) = (sent, stream.read_to_end().await) {
                        tell.send(answer.ends_with(body.as_bytes())).unwrap();
                    }
                }
            });
        }
        sim.run_for(Duration::from_secs(300)).unwrap();
        assert_eq!(sim.task_names(), ["server/1 server"], "seed {seed}");
        answered += answers.try_iter().filter(|whole| *whole).count();
        stop.stop();
        sim.run_for(Duration::from_secs(1)).unwrap();
        assert_eq!(told.try_recv().unwrap().cut, 0, "seed {seed}");
        assert_eq!((sim.tasks(), sim.connections()), (0, 0), "seed {seed}");
    }
    assert!((100..1_100).contains(&answered), "{answered}");
}
