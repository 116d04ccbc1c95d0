//! A WebSocket's handshake is a request like any other: stages, extractors and wrappers stand around it, and what is
//! wrong with it is answered as a problem.

use std::sync::{Arc, Mutex};

use tideway::http::{Method, StatusCode, Version};
use tideway::pipeline::End;
use tideway::routing::Next;
use tideway::testing::{TestApp, TestRequest, TestResponse};
use tideway::ws::{Cause, Closed, ExtendedConnect, WebSocketUpgrade};
use tideway::{App, IntoResponse, Peer, Request, Response, any, get, post};

type Ends = Arc<Mutex<Vec<Closed>>>;

fn app(ends: &Ends) -> App {
    let ends = ends.clone();
    let answer = move |upgrade: WebSocketUpgrade| -> Response {
        let ends = ends.clone();
        upgrade
            .protocols(["chat.v2", "chat.v1"])
            .allow_origin("https://friend.example")
            .deflate(true)
            .on_close(move |closed| ends.lock().unwrap().push(closed))
            .on_upgrade(|_| async {})
    };
    App::new().route("/ws", any(answer)).route(
        "/page",
        any(|upgrade: Option<WebSocketUpgrade>| match upgrade {
            Some(upgrade) => upgrade.on_upgrade(|_| async {}),
            None => "a page".into_response(),
        }),
    )
}

/// The example of RFC 6455 §1.3.
fn handshake<'a>(app: &'a mut TestApp, method: Method, path: &str) -> TestRequest<'a> {
    app.request(method, path)
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[test]
fn a_handshake_is_accepted_and_ends_its_exchange() {
    let mut app = TestApp::new(app(&Ends::default()));
    let response = handshake(&mut app, Method::GET, "/ws").send();
    response
        .assert_status(101)
        .assert_header("upgrade", "websocket")
        .assert_header("connection", "Upgrade")
        .assert_header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        .assert_no_header("sec-websocket-protocol")
        .assert_no_header("sec-websocket-extensions")
        .assert_no_header("content-length");
    assert_eq!(response.end(), &End::Upgraded);
    assert!(
        response.header("x-request-id").is_some(),
        "it passed the stages"
    );
}

#[test]
fn the_first_of_the_clients_protocols_and_offers_that_is_spoken_here_is_chosen() {
    let mut app = TestApp::new(app(&Ends::default()));
    handshake(&mut app, Method::GET, "/ws")
        .header("sec-websocket-protocol", "chat.v3, chat.v1")
        .add_header("sec-websocket-protocol", "chat.v2")
        .header("sec-websocket-extensions", "x-unknown, permessage-deflate")
        .send()
        .assert_status(101)
        .assert_header("sec-websocket-protocol", "chat.v1")
        .assert_header(
            "sec-websocket-extensions",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        );
}

#[test]
fn what_is_no_handshake_hears_why() {
    let mut app = TestApp::new(app(&Ends::default()));
    handshake(&mut app, Method::GET, "/ws")
        .without_header("upgrade")
        .send()
        .assert_problem(426, "Upgrade")
        .assert_header("upgrade", "websocket")
        .assert_header("connection", "Upgrade")
        .assert_header("sec-websocket-version", "13");
    handshake(&mut app, Method::GET, "/ws")
        .header("sec-websocket-version", "8")
        .send()
        .assert_problem(426, "13")
        .assert_header("sec-websocket-version", "13");
    for (name, value) in [
        ("sec-websocket-key", "short"),
        ("connection", "keep-alive"),
        ("sec-websocket-protocol", "a, a"),
        ("sec-websocket-extensions", "=;"),
        ("sec-websocket-extensions", "\u{fc}"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ] {
        let response = handshake(&mut app, Method::GET, "/ws")
            .header(name, value)
            .send();
        response.assert_problem(400, "");
    }
    handshake(&mut app, Method::GET, "/ws")
        .version(Version::HTTP_10)
        .send()
        .assert_problem(505, "HTTP/1.1");
    handshake(&mut app, Method::POST, "/ws")
        .send()
        .assert_problem(405, "GET")
        .assert_header("allow", "GET");
}

#[test]
fn pages_of_other_origins_are_refused_unless_they_are_listed() {
    let ends = Ends::default();
    let mut app = TestApp::new(app(&ends));
    for (origin, status) in [
        ("https://friend.example", 101),
        ("https://shop.example", 101),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        let response = handshake(&mut app, Method::GET, "/ws")
            .header("host", "shop.example")
            .header("origin", origin)
            .send();
        response.assert_status(status);
    }
    let twice = handshake(&mut app, Method::GET, "/ws")
        .header("origin", "https://friend.example")
        .add_header("origin", "https://evil.example");
    twice.send().assert_problem(403, "Origin");
    // There is no stream in this test, so all of them never were a socket; each is told once.
    let ends = ends.lock().unwrap();
    assert_eq!(ends.len(), 5);
    assert!(ends.iter().all(|closed| closed.cause == Cause::Refused));
}

#[test]
fn whoever_stands_around_it_may_answer_instead() {
    async fn no(request: Request, next: Next) -> Response {
        drop(next.run(request).await);
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
    let ends = Ends::default();
    let mut app = TestApp::new(app(&ends).wrap(no));
    let response = handshake(&mut app, Method::GET, "/ws").send();
    response.assert_status(503).assert_complete();
    assert_eq!(ends.lock().unwrap().len(), 1);
}

#[test]
fn a_route_can_be_a_page_and_a_socket() {
    let mut app = TestApp::new(app(&Ends::default()));
    app.get("/page").send().assert_text("a page");
    handshake(&mut app, Method::GET, "/page")
        .send()
        .assert_status(101);
}

/// RFC 8441 §5: extended CONNECT, as a driver hands it over.
fn extended(app: &mut TestApp, path: &str, version: &str) -> TestResponse {
    let request = app
        .request(Method::CONNECT, path)
        .version(Version::HTTP_2)
        .header("sec-websocket-version", version)
        .header("sec-websocket-protocol", "chat.v1");
    let mut request = request.into_request();
    request.parts.extensions.insert(ExtendedConnect);
    app.start(request, Peer::Other).finish()
}

#[test]
fn over_http2_the_get_route_answers_with_200_and_without_a_key() {
    let ends = Ends::default();
    let routes = App::new()
        .route(
            "/get",
            get(|upgrade: WebSocketUpgrade| upgrade.on_upgrade(|_| async {})),
        )
        .route("/post", post(|| "no socket"))
        .route("/plain", get(|| "a page"));
    let mut both = TestApp::new(app(&ends));
    let response = extended(&mut both, "/ws", "13");
    response
        .assert_status(200)
        .assert_header("sec-websocket-protocol", "chat.v1")
        .assert_no_header("sec-websocket-accept")
        .assert_no_header("upgrade")
        .assert_no_header("connection");
    assert_eq!(response.end(), &End::Upgraded);
    extended(&mut both, "/page", "13").assert_status(200);
    extended(&mut both, "/ws", "12").assert_status(426);
    let mut routes = TestApp::new(routes);
    assert_eq!(extended(&mut routes, "/get", "13").end(), &End::Upgraded);
    extended(&mut routes, "/post", "13").assert_status(405);
    // Success would say that there is a socket.
    extended(&mut routes, "/plain", "13").assert_problem(501, "GET");
    // And any other CONNECT that there is a tunnel.
    let plain = both.request(Method::CONNECT, "/page");
    plain
        .version(Version::HTTP_2)
        .send()
        .assert_problem(501, "GET");
}
