//! HTTP/2 with prior knowledge, on the port that serves HTTP/1.

use futures_util::future::join_all;
use tideway::get;
use tideway_driver::Runtime;

use super::Harness;
use super::basics::waiting;
use super::claim::{eventually, same};
use super::gate::{Count, Gate};
use super::http2_client::{on_http2, whole};

/// Both protocols on one port.
pub fn prior_knowledge_on_the_same_port<R: Runtime>(h: &Harness<R>) {
    let site = h.site().serve(|app| app.route("/", get(|| "hello")));
    on_http2(site.addr(), async |mut h2| {
        for _ in 0..10 {
            let reply = h2.get("/").await;
            same(
                (reply.status, reply.text().as_str()),
                (200, "hello"),
                "it is the same app",
            );
            same(
                reply.header("x-request-id").is_some(),
                true,
                "and the same stages",
            );
        }
        same(h2.get("/none").await.status, 404, "errors too");
    });
    same(
        site.client().get("/").text(),
        "hello".into(),
        "HTTP/1 is served beside it",
    );
}

/// A stream does not wait for one before it.
pub fn a_fast_stream_overtakes_a_slow_one<R: Runtime>(h: &Harness<R>) {
    let gate = Gate::new();
    let site = h.site().serve(|app| {
        app.route("/slow", waiting(&gate))
            .route("/fast", get(|| "fast"))
    });
    on_http2(site.addr(), async |mut h2| {
        let slow = h2.send("/slow").await;
        let fast = h2.get("/fast").await;
        same(
            fast.text(),
            "fast".into(),
            "streams are independent (RFC 9113 §5)",
        );
        gate.open();
        let (head, body) = slow
            .await
            .expect("the slow stream is served too")
            .into_parts();
        same(
            whole(head, body).await.text(),
            "passed".into(),
            "the slow one ends as well",
        );
    });
}

/// Fifty streams wait at once, and all are answered.
pub fn fifty_streams_at_once<R: Runtime>(h: &Harness<R>) {
    let gate = Gate::new();
    let site = h.site().serve(|app| app.route("/", waiting(&gate)));
    on_http2(site.addr(), async |mut h2| {
        let mut streams = Vec::new();
        for _ in 0..50 {
            streams.push(h2.send("/").await);
        }
        while site.counts().in_flight < 50 {
            super::http2_client::pause(std::time::Duration::from_millis(2)).await;
        }
        gate.open();
        for response in join_all(streams).await {
            let status = response.map(|response| response.status().as_u16());
            same(
                status.map_err(|error| error.to_string()),
                Ok(200),
                "each stream is answered",
            );
        }
    });
    site.idle("the streams are over");
    same(site.counts().completed, 50, "each stream is one exchange");
}

/// A stream that the client resets takes its handler with it.
pub fn a_reset_stream_ends_its_handler<R: Runtime>(h: &Harness<R>) {
    let dropped = Count::default();
    let seen = dropped.clone();
    let never = move || {
        let dropped = seen.on_drop();
        async move {
            std::future::pending::<()>().await;
            drop(dropped);
            "never"
        }
    };
    let site = h
        .site()
        .serve(|app| app.route("/never", get(never)).route("/", get(|| "hello")));
    on_http2(site.addr(), async |mut h2| {
        let never = h2.send("/never").await;
        while site.counts().in_flight < 1 {
            super::http2_client::pause(std::time::Duration::from_millis(2)).await;
        }
        drop(never);
        same(
            h2.get("/").await.text(),
            "hello".into(),
            "other streams are not concerned",
        );
        while dropped.now() < 1 {
            super::http2_client::pause(std::time::Duration::from_millis(2)).await;
        }
    });
    eventually(
        "one aborted exchange",
        || format!("{:?}", site.counts()),
        || site.counts().aborted == 1,
        "a handler whose client has gone works for nobody",
    );
}
