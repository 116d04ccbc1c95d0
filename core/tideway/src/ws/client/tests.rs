//! What is refused before anything is connected.

use futures_util::future::FutureExt as _;
use tideway_engine::Mono;

use super::*;
use crate::Clock;
use crate::testing::VirtualTasks;

fn tasks() -> Arc<dyn Tasks> {
    Arc::new(VirtualTasks::new(tideway_engine::Now {
        mono: Mono::START,
        wall: tideway_engine::Wall(0),
    }))
}

fn refused(connect: Connect<'_>) -> ConnectError {
    let refused = connect.into_future().now_or_never().expect("at once");
    refused.expect_err("no socket")
}

#[test]
fn mistakes_are_told_before_anything_is_connected() {
    let clock = Clock::new(tasks());
    let good = || connect(&clock, "ws://h/");
    let wrong = |connect| refused(connect).to_string();
    assert!(wrong(connect(&clock, "wss://h/")).starts_with("TLS is not built in yet"));
    assert!(wrong(connect(&clock, "http://h/")).contains("ws://"));
    for header in [
        "Host",
        "upgrade",
        "Connection",
        "sec-websocket-key",
        "content-length",
    ] {
        let told = wrong(good().header(header, "x"));
        assert!(
            told.contains(&format!("`{}`", header.to_lowercase())),
            "{told}"
        );
    }
    assert!(wrong(good().header("a b", "x")).contains("malformed"));
    assert!(wrong(good().header("x-a", "a\r\nb")).contains("`x-a`"));
    for names in [&["a b"][..], &["a", "b", "a"], &[""], &["a,b"]] {
        let told = refused(good().protocols(names.iter().copied()));
        assert!(
            matches!(told, ConnectError::Protocol(_)),
            "{names:?}: {told}"
        );
    }
    // The first of many.
    let told = refused(connect(&clock, "wss://h/").header("host", "x"));
    assert!(matches!(told, ConnectError::Url(UrlError::Tls)), "{told}");
}

#[test]
fn without_a_network_it_is_refused() {
    let tasks = tasks();
    let clock = Clock::new(tasks.clone());
    for connect in [connect(&tasks, "ws://h/"), connect(&clock, "ws://h/")] {
        let connect = connect.header("x-a", "b").protocols(["v1"]).deflate(true);
        let told = refused(connect);
        assert!(matches!(told, ConnectError::NoNetwork), "{told}");
    }
}
