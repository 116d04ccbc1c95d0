//! A client that is still sending hears why it is refused, on a network where a reset destroys what
//! was not read. Over a real socket this cannot be seen: Linux keeps what has arrived.

use std::time::Duration;

use bytes::Bytes;
use tideway::stages::MaxBody;
use tideway::{App, post};
use tideway_conformance::suite::reply::Reply;
use tideway_driver::{Options, Runtime, Stop, serve};
use tideway_sim::{Link, Sim};

#[test]
fn a_refused_upload_is_answered_before_the_end() {
    for seed in 0..200 {
        let link = match seed % 3 {
            0 => Link::perfect(),
            1 => Link::default(),
            // Far slower than this, and a client is still sending when lingering is over.
            _ => Link::default().chop(1_000),
        };
        // The head alone, some of the body in the same breath, or far more than is read at once.
        for sent in [0, 1_000, 100_000] {
            let request = "POST / HTTP/1.1\r\nhost: server\r\ncontent-length: 3000000\r\n\r\n";
            let request = [request.as_bytes(), &vec![b'x'; sent]].concat();
            refused(seed, link.clone(), &request, 413);
        }
        let nonsense = [&b"nonsense\r\n\r\n"[..], &[b'x'; 50_000]].concat();
        refused(seed, link.clone(), &nonsense, 400);
    }
}

#[track_caller]
fn refused(seed: u64, link: Link, request: &[u8], status: u16) {
    let sim = Sim::new(seed);
    sim.default_link(link);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let app = App::new()
        .set(MaxBody(1_000_000))
        .route("/", post(|body: Bytes| body));
    let on = server.listener(80).expect("a free port");
    let served = serve(server.clone(), app, on, Options::default(), Stop::new());
    server.spawn_named("server", async move {
        served.await.expect("a well-formed app");
    });
    let read = sim.run(async {
        let mut stream = client.connect("server", 80).await?;
        // The server may close its end before it has taken everything.
        let _ = stream.write_all(request).await;
        client.sleep(Duration::from_millis(300)).await;
        stream.read_to_end().await
    });
    let read = read.unwrap_or_else(|error| panic!("seed {seed}: {error} instead of {status}"));
    let reply = Reply::whole(&read, false);
    let Ok(Some((reply, len))) = reply else {
        panic!("seed {seed}: {reply:?} instead of {status}");
    };
    assert_eq!((reply.status, len), (status, read.len()), "seed {seed}");
    sim.run_for(Duration::from_secs(10)).expect("time goes on");
    assert_eq!(sim.task_names(), ["server/1 server"], "seed {seed}");
}
