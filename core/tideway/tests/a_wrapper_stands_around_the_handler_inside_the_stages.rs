//! `wrap` on a route, a group and the app: the first is the outermost, and each sees what the
//! inner ones answered.

use tideway::extract::{Extension, MatchedPath};
use tideway::http::StatusCode;
use tideway::routing::Next;
use tideway::testing::TestApp;
use tideway::{App, IntoResponse, Request, Response, Routes, get};

#[derive(Clone, Default)]
struct Trace(Vec<&'static str>);

async fn mark(name: &'static str, mut request: Request, next: Next) -> Response {
    let trace: &mut Trace = request.parts.extensions.get_or_insert_default();
    trace.0.push(name);
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .append("x-out", name.parse().expect("a value"));
    response
}

async fn app_mark(request: Request, next: Next) -> Response {
    mark("app", request, next).await
}

async fn group_mark(request: Request, next: Next) -> Response {
    mark("group", request, next).await
}

async fn route_mark(request: Request, next: Next) -> Response {
    mark("route", request, next).await
}

async fn guard(request: Request, next: Next) -> Result<Response, StatusCode> {
    if request.parts.headers.contains_key("authorization") {
        Ok(next.run(request).await)
    } else {
        Err(StatusCode::UNAUTHORIZED)
    }
}

async fn show(Extension(trace): Extension<Trace>, path: MatchedPath) -> String {
    format!("{} at {}", trace.0.join(" "), path.as_str())
}

fn app() -> TestApp {
    let group = Routes::new()
        .wrap(group_mark)
        .wrap(guard)
        .route("/{id}", get(show).wrap(route_mark));
    TestApp::new(
        App::new()
            .nest("/in", group)
            .route("/out", get(show))
            .wrap(app_mark),
    )
}

#[test]
fn they_run_from_the_outside_in_and_back() {
    let response = app().get("/in/7").header("authorization", "x").send();
    response.assert_text("app group route at /in/{id}");
    let out: Vec<_> = response.headers().get_all("x-out").iter().collect();
    assert_eq!(out, ["route", "group", "app"]);
    app().get("/out").send().assert_text("app at /out");
}

#[test]
fn one_that_answers_keeps_the_handler_from_running() {
    let mut app = app();
    let response = app.get("/in/7").send();
    response.assert_status(401);
    let out: Vec<_> = response.headers().get_all("x-out").iter().collect();
    assert_eq!(out, ["group", "app"]);
    // What the group does not answer is guarded as what it does.
    app.delete("/in/7").send().assert_status(401);
    app.get("/nothing")
        .send()
        .assert_status(404)
        .assert_header("x-out", "app");
}

#[test]
fn a_panic_in_one_is_500() {
    async fn broken(_: Request, _: Next) -> Response {
        if true {
            panic!("a mistake");
        }
        ().into_response()
    }
    let mut app = TestApp::new(App::new().route("/", get(|| "x").wrap(broken)));
    app.get("/").send().assert_status(500);
}
