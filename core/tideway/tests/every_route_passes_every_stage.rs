//! However a route is mounted, and whether it is there at all, its request passes all stages.

use tideway::http::{HeaderValue, StatusCode};
use tideway::pipeline::{Cx, Flow, Stage};
use tideway::testing::TestApp;
use tideway::{App, Routes, get, post};

/// Leaves a mark on every response.
struct Mark;

impl Stage for Mark {
    fn name(&self) -> &'static str {
        "mark"
    }

    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        let route = cx.route().unwrap_or("none").to_owned();
        if let Some(response) = cx.response() {
            let value = HeaderValue::try_from(route).expect("a header value");
            response.headers_mut().insert("x-mark", value);
        }
        Flow::Next
    }
}

#[test]
fn mounted_nested_merged_missing_and_refused() {
    let deep = Routes::new().route("/{id}", get(|| "deep"));
    let app = App::new()
        .route("/flat", get(|| "flat"))
        .nest(
            "/nested",
            Routes::new().route("/", get(|| "n")).nest("/deep", deep),
        )
        .merge(Routes::new().route("/merged", post(async || StatusCode::CREATED)))
        .stage(Mark);
    let mut app = TestApp::new(app);
    for (method, path, status, mark) in [
        ("GET", "/flat", 200, "/flat"),
        ("HEAD", "/flat", 200, "/flat"),
        ("GET", "/nested", 200, "/nested"),
        ("GET", "/nested/", 404, "none"),
        ("GET", "/nested/deep/7", 200, "/nested/deep/{id}"),
        ("POST", "/merged", 201, "/merged"),
        ("GET", "/merged", 405, "/merged"),
        ("OPTIONS", "/merged", 204, "/merged"),
        ("BREW", "/merged", 405, "/merged"),
        ("GET", "/nothing", 404, "none"),
    ] {
        let method = method.parse().expect("a method");
        app.request(method, path)
            .send()
            .assert_status(status)
            .assert_header("x-mark", mark);
    }
}

#[test]
fn a_custom_404_and_405_do_so_too() {
    let app = App::new()
        .route("/a", get(|| "a"))
        .fallback(async || (StatusCode::GONE, "gone"))
        .method_not_allowed(|| (StatusCode::METHOD_NOT_ALLOWED, "not so"))
        .stage(Mark);
    let mut app = TestApp::new(app);
    app.get("/b")
        .send()
        .assert_status(410)
        .assert_text("gone")
        .assert_header("x-mark", "none");
    let refused = app.delete("/a").send();
    refused
        .assert_status(405)
        .assert_text("not so")
        .assert_header("x-mark", "/a");
    refused.assert_header("allow", "GET, HEAD, OPTIONS");
}
