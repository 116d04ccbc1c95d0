//! `Host` as RFC 9110 §7.2 and RFC 9112 §3.2 want it.

use tideway::http::Version;
use tideway::testing::TestApp;
use tideway::{App, get};

fn app() -> TestApp {
    TestApp::new(App::new().route("/", get(|| "hello")))
}

#[test]
fn http_1_1_needs_exactly_one() {
    let mut app = app();
    app.get("/")
        .send()
        .assert_status(200)
        .assert_no_header("connection");
    let missing = app.get("/").without_header("host").send();
    missing
        .assert_problem(400, "missing")
        .assert_header("connection", "close");
    let double = app
        .get("/")
        .header("host", "a")
        .add_header("host", "a")
        .send();
    double
        .assert_problem(400, "more than one")
        .assert_header("connection", "close");
}

#[test]
fn what_is_no_host_and_port_is_refused() {
    let mut app = app();
    for bad in [
        "a b", "a/b", "user@a", "a:port", ":80", "[::1", "a:1:2", "a,b",
    ] {
        let response = app.get("/").header("host", bad).send();
        if bad == "a,b" {
            // A sub-delim (RFC 3986 §3.2.2): odd, and allowed.
            response.assert_status(200);
        } else {
            response.assert_problem(400, "no host and port");
        }
    }
    for good in [
        "",
        "example.com",
        "example.com:8080",
        "[::1]:80",
        "127.0.0.1",
    ] {
        app.get("/").header("host", good).send().assert_status(200);
    }
    app.get("/")
        .header("host", b"\xff")
        .send()
        .assert_problem(400, "no host");
}

#[test]
fn older_and_newer_versions_may_leave_it_out_but_not_get_it_wrong() {
    let mut app = app();
    for version in [Version::HTTP_10, Version::HTTP_2] {
        app.get("/").version(version).send().assert_status(200);
        app.get("/")
            .version(version)
            .header("host", "a")
            .send()
            .assert_status(200);
        app.get("/")
            .version(version)
            .header("host", "a b")
            .send()
            .assert_status(400);
        let double = app
            .get("/")
            .version(version)
            .header("host", "a")
            .add_header("host", "b");
        double.send().assert_problem(400, "more than one");
    }
}
